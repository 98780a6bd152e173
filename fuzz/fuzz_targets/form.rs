//! Our form parser beside multer: what one takes the other takes, with equal fields, files and bytes.
//!
//! `cargo fuzz run -s none form -- -max_total_time=20`
//!
//! An input is the boundary, a line feed, a byte that says how long frames are, and the body. Where the two differ and
//! ours is meant to:
//!
//! | the body has | multer | ours |
//! |---|---|---|
//! | its first boundary within a line | takes it | sees none |
//! | a boundary right behind a head's blank line | takes it for data | ends an empty part (RFC 2046 §5.1.1) |
//! | a bare LF, a NUL, odd or doubled fields in a head; no name; another disposition | takes it | refuses |
//! | a head of more than 8 KiB or 16 fields, more than 64 blanks behind a boundary | takes it | refuses |
//! | a folded head, a field name that is no token, control characters in a field | refuses | takes it |
//! | names other than `name="…"; filename="…"` in plain UTF-8 without backslash | reads them its own way | see TRAPS |

#![no_main]

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dumbwaiter::Error;
use dumbwaiter::protocol::headers::Boundary;
use dumbwaiter::protocol::multipart::{Form, PartLimits};
use dumbwaiter::receive::{Piece, Split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((boundary, size, body)) = read_input(input) else {
        return;
    };
    let whole = ours(&boundary, [body]);
    let framed = ours(&boundary, body.chunks(size));
    assert_eq!(code(&whole), code(&framed), "frames change the end");
    assert_eq!(whole.0, framed.0, "frames change the parts");

    let theirs = ready(theirs(boundary.as_str().to_owned(), body.to_vec()));
    match (whole, theirs) {
        ((parts, None), Ok(expected)) => {
            assert!(agree(&parts, &expected) || is_read_otherwise(&boundary, body));
        }
        ((_, Some(error)), Ok(_)) => {
            assert!(
                is_stricter(&error) || is_read_otherwise(&boundary, body),
                "refused: {error}"
            );
        }
        ((_, None), Err(error)) => {
            assert!(
                is_laxer(&error) || is_read_otherwise(&boundary, body),
                "taken: {error}"
            );
        }
        ((_, Some(_)), Err(_)) => {}
    }
});

fn read_input(input: &[u8]) -> Option<(Boundary, usize, &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let [size, body @ ..] = &input[end + 1..] else {
        return None;
    };
    Some((
        Boundary::parse(&input[..end])?,
        usize::from(*size).max(1),
        body,
    ))
}

#[derive(PartialEq, Eq, Default, Debug)]
struct Part {
    name: Option<String>,
    filename: Option<String>,
    data: Vec<u8>,
    /// Are its names written so plainly that every reader must agree?
    is_plain: bool,
}

fn ours<'a>(
    boundary: &Boundary,
    frames: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Part>, Option<Error>) {
    let mut form = Form::new(boundary, PartLimits::default());
    let mut pieces = Vec::new();
    let mut error = None;
    for frame in frames {
        error = form.split(Bytes::copy_from_slice(frame), &mut pieces).err();
        if error.is_some() {
            break;
        }
        let saved = form.save();
        form = Form::new(boundary, PartLimits::default());
        form.restore(&saved).expect("a saved state can be restored");
    }
    let error = error.or_else(|| form.finish(&mut pieces).err());
    (parts(pieces), error)
}

fn parts(pieces: Vec<Piece>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Part::default();
    for piece in pieces {
        match piece {
            Piece::Field(name) => part.name = Some(name),
            Piece::File(file) => {
                part.name = file.field;
                part.filename = file.name;
            }
            Piece::Data(bytes) => {
                assert!(!bytes.is_empty(), "an empty piece");
                part.data.extend_from_slice(&bytes);
            }
            Piece::End => parts.push(std::mem::take(&mut part)),
            Piece::Between(_) => unreachable!("it was not asked for"),
        }
    }
    parts
}

fn code(result: &(Vec<Part>, Option<Error>)) -> Option<&'static str> {
    result.1.as_ref().map(Error::code)
}

async fn theirs(boundary: String, body: Vec<u8>) -> multer::Result<Vec<Part>> {
    let frame = Ok::<_, Infallible>(Bytes::from(body));
    let stream = futures_util::stream::iter([frame]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await? {
        let disposition = field.headers().get("content-disposition");
        parts.push(Part {
            name: field.name().map(str::to_owned),
            filename: field.file_name().map(str::to_owned),
            is_plain: disposition.is_some_and(|value| is_plain(value.as_bytes())),
            data: field.bytes().await?.to_vec(),
        });
    }
    Ok(parts)
}

/// The value of a future that waits for nothing outside; one that never has one counts as an error would.
fn ready<T>(future: impl Future<Output = multer::Result<T>>) -> multer::Result<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    // multer returns "pending" after each step, whether or not it has the next one's bytes.
    for _ in 0..10_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    Err(multer::Error::IncompleteStream)
}

fn is_plain(disposition: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(disposition) else {
        return false;
    };
    let odd = |text: &str| text.contains(['"', '\\']) || text.contains("name");
    let Some((name, rest)) = text
        .strip_prefix("form-data; name=\"")
        .and_then(|text| text.split_once('"'))
    else {
        return false;
    };
    let filename = rest
        .strip_prefix("; filename=\"")
        .and_then(|text| text.strip_suffix('"'));
    !odd(name) && (rest.is_empty() || filename.is_some_and(|name| !odd(name)))
}

fn agree(ours: &[Part], theirs: &[Part]) -> bool {
    let same = |(our, their): (&Part, &Part)| {
        let names = our.name == their.name && our.filename == their.filename;
        our.data == their.data && (names || !their.is_plain)
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
}

fn is_stricter(error: &Error) -> bool {
    match error {
        Error::LimitExceeded { .. } => true,
        Error::MalformedForm { what } => !what.starts_with("a boundary"),
        _ => false,
    }
}

fn is_laxer(error: &multer::Error) -> bool {
    matches!(
        error,
        multer::Error::ReadHeaderFailed(_)
            | multer::Error::DecodeHeaderName { .. }
            | multer::Error::DecodeHeaderValue { .. }
    )
}

/// Does the body have a boundary within its first line, or right behind a blank line?
fn is_read_otherwise(boundary: &Boundary, body: &[u8]) -> bool {
    let dashed = [b"--", boundary.as_str().as_bytes()].concat();
    let behind_blank_line = [b"\r\n\r\n", dashed.as_slice()].concat();
    let first = find(body, &dashed).unwrap_or_default();
    let begins_a_line = first == 0 || body[..first].ends_with(b"\r\n");
    !begins_a_line || find(body, &behind_blank_line).is_some()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}
