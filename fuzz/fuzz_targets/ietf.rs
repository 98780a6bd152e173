//! The header fields of Resumable Uploads for HTTP: any bytes are read, passed over or refused; what is read is what was
//! said, and the same length in both ways in which it is said.
//!
//! The first byte of the input is how many bytes the body says to have, above 200 it does not. Then come lines:
//! `Upload-Draft-Interop-Version`, `Upload-Complete`, `Upload-Incomplete`, `Upload-Offset`, `Upload-Length`; an empty line
//! leaves the field out.
//!
//! `cargo fuzz run -s none ietf -- -max_total_time=20`

#![no_main]

use dumbwaiter::protocol::ietf::head::{Appending, Creation};
use dumbwaiter::protocol::ietf::version::{Completeness, Version};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const FIELDS: [&str; 5] = [
    "upload-draft-interop-version",
    "upload-complete",
    "upload-incomplete",
    "upload-offset",
    "upload-length",
];

/// The most that a structured field's integer can be.
const MOST: u64 = 999_999_999_999_999;

fuzz_target!(|input: &[u8]| {
    let Some((first, lines)) = input.split_first() else {
        return;
    };
    let declared = (*first <= 200).then_some(u64::from(*first));
    let mut headers = HeaderMap::new();
    for (name, line) in FIELDS.into_iter().zip(lines.split(|byte| *byte == b'\n')) {
        if let (false, Ok(value)) = (line.is_empty(), HeaderValue::from_bytes(line)) {
            headers.insert(name, value);
        }
    }
    let version = Version::of(&headers);
    if let Some(number) = version.number.map(u64::from) {
        assert!(matches!(number, 3 | 5..=9));
        assert_eq!(plain(&headers, FIELDS[0]).unwrap_or(number), number);
    }
    let field = match version.complete {
        Completeness::Complete => FIELDS[1],
        Completeness::Incomplete => FIELDS[2],
    };
    let said = version.says_complete(&headers);
    assert!(said.is_none() || headers.contains_key(field));
    if let Ok(creation) = Creation::of(&headers, declared) {
        assert_eq!(Some(creation.complete), said);
        agree(&headers, 0, declared, creation.complete, creation.length);
    }
    let kind = HeaderValue::from_static("application/partial-upload");
    headers.insert("content-type", kind);
    if let Ok(appending) = Appending::of(&headers, declared) {
        let Appending {
            offset,
            complete,
            length,
        } = appending;
        assert_eq!(plain(&headers, FIELDS[3]).unwrap_or(offset), offset);
        assert!(offset <= MOST && said.is_none_or(|said| said == complete));
        agree(&headers, offset, declared, complete, length);
    }
});

/// The length is that of its field, and where the last body ends.
fn agree(
    headers: &HeaderMap,
    offset: u64,
    declared: Option<u64>,
    complete: bool,
    length: Option<u64>,
) {
    if let (true, Some(declared)) = (complete, declared) {
        assert_eq!(length, Some(offset + declared));
    }
    if let Some(said) = plain(headers, FIELDS[4]) {
        assert_eq!(length, Some(said));
    }
    assert!(length.is_none_or(|length| length <= MOST + 200));
}

/// The field's number where it is written as most clients do: up to 15 digits and nothing else.
fn plain(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    let digits = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().expect("digits are a number"))
}
