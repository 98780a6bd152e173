//! The `Cookie` field: any bytes are read, and a good `dw` among them is found whatever stands around it.
//!
//! `cargo fuzz run -s none cookie -- -max_total_time=20`

#![no_main]

use dumbwaiter::rights::Cookie;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

const GOOD: &str = "dw=00112233445566778899aabbccddeeff";

fn of(line: &[u8]) -> Option<Cookie> {
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_bytes(line).ok()?);
    Cookie::of(&headers)
}

fuzz_target!(|input: &[u8]| {
    if HeaderValue::from_bytes(input).is_err() {
        return;
    }
    let (good, found) = (of(GOOD.as_bytes()), of(input));
    assert!(good.is_some());
    // What comes first counts; what is no cookie of ours counts for nothing.
    assert_eq!(
        of(&[input, b"; ", GOOD.as_bytes()].concat()),
        found.or(good)
    );
    assert_eq!(of(&[GOOD.as_bytes(), b";", input].concat()), good);
    // What we set comes back as it was.
    if let Some(cookie) = found {
        let set = cookie.set("", true);
        let pair = set.as_bytes().split(|byte| *byte == b';').next();
        assert_eq!(of(pair.expect("a first pair")), Some(cookie));
    }
});
