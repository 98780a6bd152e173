//! What a request's query says, decoded once and in one place, so that an upload and its polls mean the same string.

use std::borrow::Cow;

use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;

use crate::upload::ProgressId;

/// The name of the query parameter and of the header field.
const PROGRESS_ID: &str = "X-Progress-ID";

/// The pairs of a query in their order, percent-decoded once. A value that is no UTF-8 is `None`. `+` stays `+`: nginx
/// leaves it too, and the article's page puts its id into the URL as it is.
pub(crate) fn pairs(uri: &Uri) -> impl Iterator<Item = (Cow<'_, str>, Option<Cow<'_, str>>)> {
    uri.query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter_map(|(name, value)| Some((decode(name)?, decode(value))))
}

/// The first value of a parameter: outside `None` when it is not there, inside when it is no UTF-8.
#[must_use]
pub(crate) fn first<'a>(uri: &'a Uri, name: &str) -> Option<Option<Cow<'a, str>>> {
    pairs(uri).find(|pair| pair.0 == name).map(|pair| pair.1)
}

/// What a request gives as its progress id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum GivenId {
    /// None at all.
    Absent,
    /// One outside the rule: it names no upload, and never fails one.
    Unusable,
    /// One that may name an upload.
    Id(ProgressId),
}

impl GivenId {
    /// The id in the query.
    #[must_use]
    pub(crate) fn in_query(uri: &Uri) -> Self {
        match first(uri, PROGRESS_ID) {
            None => Self::Absent,
            Some(value) => Self::from_value(value.as_deref()),
        }
    }

    /// The id in the header, decoded like that of the query: nginx-upload-progress takes both as the same string.
    #[must_use]
    pub(crate) fn in_header(headers: &HeaderMap) -> Self {
        match headers.get(PROGRESS_ID) {
            None => Self::Absent,
            Some(value) => {
                let text = std::str::from_utf8(value.as_bytes()).ok();
                Self::from_value(text.and_then(decode).as_deref())
            }
        }
    }

    /// A value of the parameter, after decoding.
    #[must_use]
    pub(crate) fn from_value(value: Option<&str>) -> Self {
        value
            .and_then(ProgressId::parse)
            .map_or(Self::Unusable, Self::Id)
    }

    /// This one, or `other` where this one is absent.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        match self {
            Self::Absent => other,
            given => given,
        }
    }
}

/// Whether a parameter's name is that of the progress id.
#[must_use]
pub(crate) fn is_progress_id(name: &str) -> bool {
    name == PROGRESS_ID
}

pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_query(query: &str) -> GivenId {
        GivenId::in_query(&format!("/x?{query}").parse().unwrap())
    }

    fn id(text: &str) -> GivenId {
        GivenId::Id(ProgressId::parse(text).unwrap())
    }

    #[test]
    fn progress_id_is_decoded_once_and_the_first_counts() {
        for (query, given) in [
            ("", GivenId::Absent),
            ("x-progress-id=a", GivenId::Absent),
            ("my-X-Progress-ID=a", GivenId::Absent),
            ("X-Progress-ID", GivenId::Unusable),
            ("X-Progress-ID=", GivenId::Unusable),
            ("X-Progress-ID=%00", GivenId::Unusable),
            ("X-Progress-ID=%ff", GivenId::Unusable),
            ("X-Progress-ID=a&X-Progress-ID=b", id("a")),
            ("a=1&X-Progress-ID=0.73", id("0.73")),
            ("X-Progress-ID=a+b", id("a+b")),
            ("X-Progress-ID=a%2520b", id("a%20b")),
            ("X-Progress-ID=%E6%96%99", id("料")),
            ("X-Progress-ID=a=b", id("a=b")),
            ("X%2DProgress-ID=a", id("a")),
        ] {
            assert_eq!(in_query(query), given, "{query}");
        }
    }

    #[test]
    fn header_says_the_same_as_the_query() {
        let in_header = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-progress-id", value.try_into().unwrap());
            GivenId::in_header(&headers)
        };
        assert_eq!(in_header(b"0.73"), id("0.73"));
        assert_eq!(in_header(b"%41"), in_query("X-Progress-ID=%41"));
        assert_eq!(in_header("料".as_bytes()), id("料"));
        assert_eq!(in_header(b"\xff"), GivenId::Unusable);
        assert_eq!(GivenId::in_header(&HeaderMap::new()), GivenId::Absent);
    }

    #[test]
    fn a_given_id_stands_before_the_other_even_if_unusable() {
        assert_eq!(GivenId::Absent.or(id("a")), id("a"));
        assert_eq!(id("b").or(id("a")), id("b"));
        assert_eq!(GivenId::Unusable.or(id("a")), GivenId::Unusable);
    }
}
