//! What a request's query says, percent-decoded once.

use std::borrow::Cow;

use http::request::Parts;
use percent_encoding::percent_decode_str;

/// The name under which a client gives its progress id, as a query parameter or a header field.
pub const PROGRESS_ID: &str = "X-Progress-ID";

/// The values of the query's parameters called `name`, in order. A `+` is a plus: only `%XX` is decoded, so that an id
/// is the same string in every poll, whoever wrote it.
pub fn values<'a>(head: &'a Parts, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    pairs(head).filter(move |(key, _)| key == name).map(|(_, value)| value)
}

/// All parameters of the query, in order.
pub fn pairs(head: &Parts) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(key).decode_utf8_lossy(), percent_decode_str(value).decode_utf8_lossy())
    })
}

/// The client's own name for an upload: from the query, else the header field.
pub fn progress_id(head: &Parts) -> Option<Cow<'_, str>> {
    let header = || head.headers.get(PROGRESS_ID).map(|value| String::from_utf8_lossy(value.as_bytes()));
    values(head, PROGRESS_ID).next().or_else(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> Parts {
        let request = http::Request::get(target).header(PROGRESS_ID, "from-header");
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_query_goes_before_the_header_and_is_decoded_once() {
        for (target, expected) in [
            ("/?X-Progress-ID=a%20b", "a b"),
            ("/?X-Progress-ID=a%2520b", "a%20b"),
            ("/?X-Progress-ID=a+b", "a+b"),
            ("/?x=1&X-Progress-ID=c", "c"),
            ("/?X-Progress-ID=", ""),
            ("/?x-progress-id=c", "from-header"),
            ("/", "from-header"),
        ] {
            assert_eq!(progress_id(&head(target)).unwrap(), expected, "{target}");
        }
    }
}
