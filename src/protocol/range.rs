//! Which bytes of a file a client wants: `Range`, `If-Range`, `If-None-Match` (RFC 9110, 13 and 14).

use http::{HeaderMap, header};

/// What to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// From `start` up to, but not including, `end`; in bytes.
    Part { start: u64, end: u64 },
    /// The range begins behind the end.
    Nothing,
}

/// Whether the client has this very file already.
pub(super) fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    known
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// What the client wants of a file of `length` bytes. Several ranges at once, other units and what cannot be read count
/// as no range, which the RFC allows; so does a range of a file that has changed since (`If-Range`).
pub(super) fn wanted(headers: &HeaderMap, tag: &str, length: u64) -> Wanted {
    if headers
        .get(header::IF_RANGE)
        .is_some_and(|known| known.as_bytes() != tag.as_bytes())
    {
        return Wanted::Whole;
    }
    let text = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    text.and_then(|text| text.strip_prefix("bytes="))
        .and_then(|spec| parse(spec, length))
        .unwrap_or(Wanted::Whole)
}

fn parse(spec: &str, length: u64) -> Option<Wanted> {
    let (first, last) = spec.trim().split_once('-')?;
    let digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let (start, end) = match (first, last) {
        ("", count) => (length.saturating_sub(digits(count)?), length),
        (first, "") => (digits(first)?, length),
        (first, last) => {
            let (first, last) = (digits(first)?, digits(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(length))
        }
    };
    Some(if start < end {
        Wanted::Part { start, end }
    } else {
        Wanted::Nothing
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let part = |start, end| Wanted::Part { start, end };
        for (range, expected) in [
            ("bytes=0-", part(0, 10)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-4", part(2, 5)),
            ("bytes=5-99", part(5, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("bytes=9-18446744073709551615", part(9, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, range.parse().unwrap());
            assert_eq!(wanted(&headers, "\"t\"", 10), expected, "{range}");
        }
    }

    #[test]
    fn a_range_of_a_changed_file_is_the_whole_file() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=2-4".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"old\"".parse().unwrap());
        assert_eq!(wanted(&headers, "\"new\"", 10), Wanted::Whole);
        assert_eq!(
            wanted(&headers, "\"old\"", 10),
            Wanted::Part { start: 2, end: 5 }
        );
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, "\"a\", W/\"b\"".parse().unwrap());
        assert!(unchanged(&headers, "\"b\""));
        assert!(!unchanged(&headers, "\"c\""));
    }
}
