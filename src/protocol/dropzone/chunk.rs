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
