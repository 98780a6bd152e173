//! Structured fields (RFC 9651) become numbers and booleans here. One that cannot be read is as if it were not there: so
//! the protocol wants it ("Upload-Offset": other values cause the field to be ignored).

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Item, Parser};

pub(super) const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
pub(super) const INCOMPLETE: HeaderName = HeaderName::from_static("upload-incomplete");
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// A field that is one non-negative integer.
#[must_use]
pub fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let BareItem::Integer(number) = item(headers, name)? else {
        return None;
    };
    u64::try_from(number).ok()
}

/// A field that is one boolean.
#[must_use]
pub fn boolean(headers: &HeaderMap, name: &HeaderName) -> Option<bool> {
    item(headers, name)?.as_boolean()
}

/// A field's one item; its parameters mean nothing here.
fn item(headers: &HeaderMap, name: &HeaderName) -> Option<BareItem> {
    let mut lines = headers.get_all(name).iter();
    // Two lines would be joined by a comma, which stands in no item.
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let item: Item = Parser::new(line.as_bytes()).parse().ok()?;
    Some(item.bare_item)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn headers(lines: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            let name: HeaderName = name.trim().parse().unwrap();
            headers.append(name, value.trim().parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_number_is_an_integer_of_fifteen_digits_and_not_negative() {
        for (lines, read) in [
            ("upload-offset: 0", Some(0)),
            ("upload-offset: 007", Some(7)),
            ("upload-offset: -0", Some(0)),
            ("upload-offset: 5;by=client", Some(5)),
            ("upload-offset: 999999999999999", Some(999_999_999_999_999)),
            ("upload-offset: 1000000000000000", None),
            ("upload-offset: -1", None),
            ("upload-offset: +1", None),
            ("upload-offset: 1.0", None),
            ("upload-offset: 0x1", None),
            ("upload-offset: \"1\"", None),
            ("upload-offset: ?1", None),
            ("upload-offset: 1, 1", None),
            ("upload-offset:", None),
            ("upload-offset: 1\nupload-offset: 1", None),
            ("x: y", None),
        ] {
            assert_eq!(number(&headers(lines), &OFFSET), read, "{lines}");
        }
    }

    #[test]
    fn a_boolean_is_a_question_mark_and_a_digit() {
        for (lines, read) in [
            ("upload-complete: ?1", Some(true)),
            ("upload-complete: ?0", Some(false)),
            ("upload-complete: ?1;x", Some(true)),
            ("upload-complete: ?2", None),
            ("upload-complete: 1", None),
            ("upload-complete: true", None),
            ("upload-complete: ?1 ?1", None),
            ("upload-complete: ?1\nupload-complete: ?1", None),
            ("upload-complete:", None),
            ("x: y", None),
        ] {
            assert_eq!(boolean(&headers(lines), &COMPLETE), read, "{lines}");
        }
    }
}
