//! The header fields of one part.

use std::borrow::Cow;

use bytes::{Buf, Bytes};
use memchr::memmem;

use crate::error::Error;
use crate::protocol::headers;
use crate::receive::Piece;
use crate::upload::FileHead;

const LINE_END: &[u8] = b"\r\n";
pub(super) const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// Takes a part's head from `begun` and `rest`, without its blank line; `None` when more of it is to come, which then
/// waits in `begun`.
pub(super) fn complete(
    begun: &mut Vec<u8>,
    rest: &mut Bytes,
    most: usize,
) -> Result<Option<Bytes>, Error> {
    let room = most + BLANK_LINE.len() - begun.len();
    let had = begun.len();
    let window = &rest[..rest.len().min(room)];
    if had == 0
        && !window.starts_with(LINE_END)
        && let Some(end) = memmem::find(window, BLANK_LINE)
    {
        let text = rest.split_to(end);
        rest.advance(BLANK_LINE.len());
        return Ok(Some(text));
    }
    begun.extend_from_slice(window);
    if begun.starts_with(LINE_END) {
        return Err(malformed("a part has no head"));
    }
    let seen = had.saturating_sub(BLANK_LINE.len() - 1);
    if let Some(at) = memmem::find(&begun[seen..], BLANK_LINE) {
        let end = seen + at;
        rest.advance(end + BLANK_LINE.len() - had);
        begun.truncate(end);
        return Ok(Some(std::mem::take(begun).into()));
    }
    if window.len() == room {
        return Err(Error::LimitExceeded {
            what: "bytes in a part's head",
            limit: most as u64,
        });
    }
    rest.clear();
    Ok(None)
}

/// What begins with a part of this head.
pub(super) fn piece(text: &[u8], most_fields: usize) -> Result<Piece, Error> {
    let (mut disposition, mut content_type) = (None, None);
    let fields = fields(text, most_fields)?;
    for field in &fields {
        let (name, value) = field_parts(field)?;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let slot = if is("content-disposition") {
            &mut disposition
        } else if is("content-type") {
            &mut content_type
        } else {
            continue;
        };
        if slot.replace(value).is_some() {
            return Err(malformed("a part's head says one thing twice"));
        }
    }
    let disposition = disposition.ok_or_else(|| malformed("a part has no Content-Disposition"))?;
    let disposition = headers::disposition(disposition)?;
    let field = disposition
        .name
        .ok_or_else(|| malformed("a part has no name"))?;
    if disposition.filename.is_none() {
        return Ok(Piece::Field(field));
    }
    Ok(Piece::File(FileHead {
        field: Some(field),
        name: disposition.filename,
        content_type: content_type
            .filter(|value| !value.is_empty())
            .map(|value| String::from_utf8_lossy(value).into_owned()),
    }))
}

/// The fields of a head, lines that go on with a blank joined: mail libraries used for forms fold them (RFC 5322
/// §2.2.3).
fn fields(text: &[u8], most: usize) -> Result<Vec<Cow<'_, [u8]>>, Error> {
    let mut fields: Vec<Cow<'_, [u8]>> = Vec::new();
    for line in lines(text) {
        let line = line?;
        let goes_on = line.starts_with(b" ") || line.starts_with(b"\t");
        if goes_on && let Some(field) = fields.last_mut() {
            field.to_mut().extend_from_slice(line);
        } else if fields.len() < most {
            fields.push(Cow::Borrowed(line));
        } else {
            return Err(Error::LimitExceeded {
                what: "fields in a part's head",
                limit: most as u64,
            });
        }
    }
    Ok(fields)
}

fn lines(text: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = memmem::find(text, LINE_END);
        rest = end.map(|end| &text[end + LINE_END.len()..]);
        let line = &text[..end.unwrap_or(text.len())];
        // A bare CR or LF is a line's end to some readers and none to others; a NUL ends a text for a few.
        let odd = memchr::memchr3(b'\r', b'\n', 0, line).is_some();
        Some(match odd {
            true => Err(malformed("a line in a part's head ends without CR LF")),
            false => Ok(line),
        })
    })
}

/// Name and value of a field.
fn field_parts(field: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let colon = memchr::memchr(b':', field);
    let (name, value) = match colon {
        Some(at) => (&field[..at], field[at + 1..].trim_ascii()),
        None => return Err(malformed("a line in a part's head has no colon")),
    };
    let plain = |byte: &u8| byte.is_ascii_graphic();
    match !name.is_empty() && name.iter().all(plain) {
        true => Ok((name, value)),
        false => Err(malformed("a field name in a part's head is none")),
    }
}

fn malformed(what: &'static str) -> Error {
    Error::MalformedForm { what }
}
