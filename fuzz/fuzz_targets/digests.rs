//! The digest fields of HTTP: any bytes are read or refused, and what is read is written in one way that reads the same.
//!
//! `cargo fuzz run -s none digests -- -max_total_time=20`

#![no_main]

use dumbwaiter::receive::Digests;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const FIELD: HeaderName = HeaderName::from_static("repr-digest");

fuzz_target!(|input: &[u8]| {
    let whole = Digests::read(input);
    if let Ok(Some(digests)) = &whole {
        let written = digests.to_string();
        assert!(written.len() <= 9 + 46 + 2 + 9 + 90);
        let again = Digests::read(written.as_bytes());
        assert_eq!(again.expect("we wrote it").as_ref(), Some(digests));
    }
    // Several lines are one list, however they are cut.
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(FIELD, value);
        }
    }
    if let Ok(Some(digests)) = Digests::of(&headers, &FIELD) {
        let written = HeaderValue::try_from(digests.to_string()).expect("it is a field's value");
        headers.insert(FIELD, written);
        let again = Digests::of(&headers, &FIELD).expect("we wrote it");
        assert_eq!(again, Some(digests));
    }
});
