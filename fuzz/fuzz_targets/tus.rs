//! The header fields of tus: any bytes are read or refused, what is read is echoed to the byte, and pairs written as
//! clients write them come back as they were.
//!
//! The first line of the input is `Upload-Length`, then `Upload-Concat`, `Upload-Metadata`, `Upload-Offset`; an empty line
//! leaves the field out.
//!
//! `cargo fuzz run -s none tus -- -max_total_time=20`

#![no_main]

use dumbwaiter::protocol::tus::concat;
use dumbwaiter::protocol::tus::head::{Appending, Creation};
use dumbwaiter::protocol::tus::metadata;
use dumbwaiter::upload::Concat;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const FIELDS: [&str; 4] = [
    "upload-length",
    "upload-concat",
    "upload-metadata",
    "upload-offset",
];

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for (name, line) in FIELDS.into_iter().zip(input.split(|byte| *byte == b'\n')) {
        if let (false, Ok(value)) = (line.is_empty(), HeaderValue::from_bytes(line)) {
            headers.insert(name, value);
        }
    }
    if let Ok(creation) = Creation::of(&headers, 100, 3) {
        if let Some(metadata) = &creation.metadata {
            assert_eq!(headers["upload-metadata"], metadata.given);
            assert!(metadata.given.len() <= 100);
            pairs_come_back(metadata);
        }
        match &creation.concat {
            Some(Concat::Final { parts, given }) => {
                assert_eq!(headers["upload-concat"], given);
                assert!((1..=3).contains(&parts.len()) && creation.length.is_none());
                parts_come_back(parts);
            }
            Some(Concat::Partial) | None => {
                let digits = headers["upload-length"].as_bytes();
                assert!(creation.length.is_some() && digits.iter().all(u8::is_ascii_digit));
            }
        }
    }
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/offset+octet-stream"),
    );
    if let Ok(appending) = Appending::of(&headers) {
        let digits = headers["upload-offset"].to_str().expect("it was read");
        assert_eq!(digits.parse(), Ok(appending.offset));
    }
});

/// What was read, written once more, reads the same.
fn pairs_come_back(metadata: &metadata::Metadata) {
    use base64::Engine as _;
    let coded = |(key, value): &(String, String)| {
        let value = base64::engine::general_purpose::STANDARD.encode(value);
        format!("{key} {value}")
    };
    let pairs: Vec<_> = metadata.pairs.iter().map(coded).collect();
    let again = metadata::read(&pairs.join(","), usize::MAX).expect("a client writes it");
    assert_eq!(again.pairs, metadata.pairs);
    let (file, fields) = metadata.split();
    let used = metadata.pairs.len() - fields.len();
    let said = [&file.name, &file.content_type]
        .into_iter()
        .flatten()
        .count();
    assert!(used <= 2 && said <= used);
}

fn parts_come_back(parts: &[dumbwaiter::UploadId]) {
    let urls: Vec<_> = parts.iter().map(|id| format!("/up/files/{id}")).collect();
    let again = concat::read(&format!("final;{}", urls.join(" ")), 3).expect("we told it");
    assert!(matches!(again, Concat::Final { parts: read, .. } if read == parts));
}
