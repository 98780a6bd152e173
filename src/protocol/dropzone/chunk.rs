//! What a chunk's fields say. They say it several times over: what does not agree is refused, nothing is guessed.

use super::UUID;
use crate::error::Error;
use crate::upload::ProgressId;

/// One chunk, and what it is a part of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Chunk {
    /// The client's name for the upload.
    pub(super) uuid: ProgressId,
    /// Where the chunk begins, in bytes of the file.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) length: u64,
    /// The file's bytes.
    pub(super) total: u64,
}

impl Chunk {
    /// Takes what it says out of a form's fields, which are then the form's own.
    ///
    /// # Errors
    /// [`Error::BadRequest`].
    pub(super) fn take(fields: &mut Vec<(String, String)>) -> Result<Self, Error> {
        let uuid = ProgressId::parse(&one(fields, UUID)?);
        let uuid = uuid.ok_or(bad("its dzuuid has no text, or more than 200 bytes"))?;
        let index = number(fields, "dzchunkindex")?;
        let total = number(fields, "dztotalfilesize")?;
        let size = number(fields, "dzchunksize")?;
        let count = number(fields, "dztotalchunkcount")?;
        let offset = number(fields, "dzchunkbyteoffset")?;
        if size == 0 || total.div_ceil(size).max(1) != count {
            return Err(bad("its file is not made of as many chunks as it says"));
        }
        if index >= count || index.checked_mul(size) != Some(offset) {
            return Err(bad("its chunk does not begin where its index says"));
        }
        Ok(Self {
            uuid,
            offset,
            length: size.min(total - offset),
            total,
        })
    }

    /// Whether all of it is among the first `kept` bytes of the file.
    pub(super) fn is_there(&self, kept: u64) -> bool {
        self.length > 0 && self.offset + self.length <= kept
    }
}

/// The value of a field that stands exactly once.
fn one(fields: &mut Vec<(String, String)>, name: &str) -> Result<String, Error> {
    let mut is_named = fields.extract_if(.., |(given, _)| given == name);
    match (is_named.next(), is_named.next()) {
        (Some((_, value)), None) => Ok(value),
        _ => Err(bad(
            "a chunk says each of its six dz fields once, before its file",
        )),
    }
}

fn number(fields: &mut Vec<(String, String)>, name: &str) -> Result<u64, Error> {
    let text = one(fields, name)?;
    // `parse` takes a sign too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or(bad("one of its dz fields is no whole number"))
}

fn bad(what: &'static str) -> Error {
    Error::BadRequest { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(index: u64, total: u64, size: u64, count: u64, offset: u64) -> Option<(u64, u64)> {
        let numbers = [
            ("dzchunkindex", index),
            ("dztotalfilesize", total),
            ("dzchunksize", size),
            ("dztotalchunkcount", count),
            ("dzchunkbyteoffset", offset),
        ];
        let pair = |(name, number): (&str, u64)| (name.to_owned(), number.to_string());
        let mut fields: Vec<_> = numbers.into_iter().map(pair).collect();
        fields.insert(0, ("dish".into(), "paella".into()));
        fields.push((UUID.into(), "u".into()));
        let chunk = Chunk::take(&mut fields).ok()?;
        // Its own are gone, the form's own are left.
        assert_eq!(fields, [("dish".into(), "paella".into())]);
        Some((chunk.offset, chunk.length))
    }

    #[test]
    fn a_chunk_is_where_its_fields_say_in_agreement() {
        const MOST: u64 = u64::MAX;
        for (given, expected) in [
            ((0, 250, 100, 3, 0), Some((0, 100))),
            ((1, 250, 100, 3, 100), Some((100, 100))),
            ((2, 250, 100, 3, 200), Some((200, 50))),
            ((1, 200, 100, 2, 100), Some((100, 100))),
            ((0, 0, 100, 1, 0), Some((0, 0))),
            ((0, 5, MOST, 1, 0), Some((0, 5))),
            ((1, MOST, MOST - 1, 2, MOST - 1), Some((MOST - 1, 1))),
            ((0, 0, 100, 0, 0), None),
            ((0, 0, 0, 1, 0), None),
            ((2, 200, 100, 2, 200), None),
            ((2, 200, 100, 3, 200), None),
            ((1, 250, 100, 3, 99), None),
            ((3, 250, 100, 3, 300), None),
            ((2, MOST, MOST / 2 + 1, 2, 0), None),
            ((MOST, MOST, 1, MOST, MOST), None),
        ] {
            let (index, total, size, count, offset) = given;
            assert_eq!(
                take(index, total, size, count, offset),
                expected,
                "{given:?}"
            );
        }
    }

    #[test]
    fn an_empty_chunk_is_never_there_already() {
        let chunk = |offset, length| Chunk {
            uuid: ProgressId::parse("u").unwrap(),
            offset,
            length,
            total: 10,
        };
        assert!(chunk(0, 5).is_there(5));
        assert!(!chunk(0, 5).is_there(4));
        assert!(chunk(5, 5).is_there(10));
        assert!(!chunk(0, 0).is_there(10));
    }
}
