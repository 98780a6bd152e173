//! The `Content-Disposition` of a part: any bytes are read or refused, and a name written as browsers write it comes
//! back as it was sent.
//!
//! `cargo fuzz run -s none disposition -- -max_total_time=20`

#![no_main]

use dumbwaiter::protocol::headers::disposition;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(read) = disposition(input) {
        let length = |text: Option<String>| text.map_or(0, |text| text.chars().count());
        assert!(length(read.name) + length(read.filename) <= input.len());
    }
    let Ok(name) = std::str::from_utf8(input) else {
        return;
    };
    // WHATWG HTML, "multipart/form-data encoding algorithm"; backslashes are left alone there, and only one before a
    // quote or another backslash has a second reading.
    let sent = name
        .replace('\n', "%0A")
        .replace('\r', "%0D")
        .replace('"', "%22");
    if sent.contains(r"\\") || sent.ends_with('\\') {
        return;
    }
    let value = format!("form-data; name=\"{sent}\"; filename=\"{sent}\"");
    let read = disposition(value.as_bytes()).expect("a browser sends it");
    assert_eq!(read.name.as_deref(), Some(sent.as_str()));
    assert_eq!(read.filename.as_deref(), Some(sent.as_str()));
});
