//! Refusals as problem details (RFC 9457): what a client gets unless it speaks a protocol with words of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::error::Error;

/// The code of the error that an answer tells, in the answer's extensions: for whoever counts refusals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefusalCode(pub &'static str);

/// A kind of problem that has a type of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    /// The type.
    pub(crate) uri: &'static str,
    /// What it is in words; the same for all of the type.
    pub(crate) title: &'static str,
    /// What else is said, by name.
    pub(crate) members: Vec<(&'static str, u64)>,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: String,
    #[serde(flatten)]
    members: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The answer that says what went wrong: `type`, `title`, `status`, the stable `code` and one line of `detail`.
#[must_use]
pub(crate) fn problem(error: &Error) -> Response<Bytes> {
    told(error, None)
}

/// The same as plain JSON, for clients that know no other: they look for the words in `error`.
#[must_use]
pub(crate) fn plain(error: &Error) -> Response<Bytes> {
    let mut answer = told(error, Some(error.to_string()));
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

fn told(error: &Error, words: Option<String>) -> Response<Bytes> {
    let status = status(error);
    let kind = Kind {
        uri: "about:blank",
        title: status.canonical_reason().unwrap_or("Refused"),
        members: Vec::new(),
    };
    let mut response = Response::new(written(error, kind, words));
    *response.status_mut() = status;
    response.extensions_mut().insert(RefusalCode(error.code()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    advise(headers, error);
    response
}

/// The content type of problems.
pub(crate) const JSON: &str = "application/problem+json";

/// The problem's text, for one of a type of its own.
pub(crate) fn typed(error: &Error, kind: Kind) -> Bytes {
    written(error, kind, None)
}

fn written(error: &Error, kind: Kind, words: Option<String>) -> Bytes {
    let body = Problem {
        r#type: kind.uri,
        title: kind.title,
        status: status(error).as_u16(),
        code: error.code(),
        detail: error.to_string(),
        members: kind.members.into_iter().collect(),
        error: words,
    };
    let body = serde_json::to_vec(&body).expect("a problem has string keys only");
    Bytes::from(body)
}

/// Says in header fields what the client may do about it: other methods, when to come again, how much to send.
pub(crate) fn advise(headers: &mut HeaderMap, error: &Error) {
    if let Error::MethodNotAllowed { allow } = error {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if matches!(error.status(), 429 | 503) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(AGAIN_AFTER_SECONDS));
    }
    if matches!(error, Error::DigestMismatch) {
        // RFC 9530, 4: sent with an answer, it says what a next request may bring.
        for name in [WANT_CONTENT_DIGEST, WANT_REPR_DIGEST] {
            headers.insert(name, HeaderValue::from_static(DIGESTS));
        }
    }
    let limit = match error {
        Error::UploadTooLarge { limit } => upload_limit(Some(*limit), None),
        Error::RequestTooLarge { limit } => upload_limit(None, Some(*limit)),
        _ => return,
    };
    headers.insert(UPLOAD_LIMIT, limit);
}

/// The field that tells a client how much it may send, in all and in one request, both in bytes. A client that can send
/// in parts keeps to it. (draft-ietf-httpbis-resumable-upload, "Upload-Limit"; without a limit it says `min-size=0`.)
pub(crate) fn upload_limit(in_all: Option<u64>, in_one_request: Option<u64>) -> HeaderValue {
    upload_limits(&[("max-size", in_all), ("max-append-size", in_one_request)])
}

/// The same field with these members, as far as they are known.
pub(crate) fn upload_limits(members: &[(&'static str, Option<u64>)]) -> HeaderValue {
    // A structured field's integer has 15 digits at most (RFC 9651, 3.3.1); beyond that there is no limit to speak of.
    const MOST: u64 = 999_999_999_999_999;
    let member = |&(name, limit): &(_, Option<u64>)| {
        let limit = limit.filter(|&limit| limit <= MOST)?;
        Some(format!("{name}={limit}"))
    };
    let members: Vec<_> = members.iter().filter_map(member).collect();
    let text = match members.is_empty() {
        true => "min-size=0".to_owned(),
        false => members.join(", "),
    };
    HeaderValue::try_from(text).expect("names and digits are a field's value")
}

/// The field's name.
pub(crate) const UPLOAD_LIMIT: HeaderName = HeaderName::from_static("upload-limit");

const WANT_CONTENT_DIGEST: HeaderName = HeaderName::from_static("want-content-digest");
const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");

/// The algorithms that are checked here; what costs less is liked more.
const DIGESTS: &str = "sha-256=10, sha-512=5";

/// When one may try again where every place is taken: a place may be free at any moment.
const AGAIN_AFTER_SECONDS: &str = "5";

/// The error's status.
pub(crate) fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.status()).expect("an error's status is one of 400 to 599")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    #[test]
    fn a_problem_says_code_status_and_words() {
        let response = problem(&Error::NotFound);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(
            response.body(),
            r#"{"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"there is nothing here under that name"}"#
        );
    }

    #[test]
    fn a_problem_of_a_type_says_what_belongs_to_it() {
        let error = Error::OffsetMismatch {
            expected: 7,
            given: 5,
        };
        let kind = Kind {
            uri: "https://example.org/offset",
            title: "Offset",
            members: vec![("given", 5), ("expected", 7)],
        };
        assert_eq!(
            typed(&error, kind),
            r#"{"type":"https://example.org/offset","title":"Offset","status":409,"code":"offset_mismatch","detail":"offset 5 is not the kept 7","expected":7,"given":5}"#
        );
    }

    #[test]
    fn plain_json_says_the_same_and_its_words_once_more() {
        let (plain, problem) = (plain(&Error::NotFound), problem(&Error::NotFound));
        assert_eq!(plain.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(plain.status(), problem.status());
        let read = |answer: &Response<Bytes>| -> serde_json::Value {
            serde_json::from_slice(answer.body()).unwrap()
        };
        let (mut plain, problem) = (read(&plain), read(&problem));
        let words = plain.as_object_mut().unwrap().remove("error");
        assert_eq!(words.as_ref(), problem.get("detail"));
        assert_eq!(plain, problem);
    }

    #[test]
    fn a_405_lists_the_methods() {
        let response = problem(&Error::MethodNotAllowed { allow: "GET, HEAD" });
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }

    #[test]
    fn a_refusal_says_in_its_head_what_the_client_may_do() {
        for (error, name, value) in [
            (Error::TooManyUploads, RETRY_AFTER, Some("5")),
            (Error::TooManyFromAddress, RETRY_AFTER, Some("5")),
            (Error::StoreLimit, RETRY_AFTER, None),
            (
                Error::UploadTooLarge { limit: 7 },
                UPLOAD_LIMIT,
                Some("max-size=7"),
            ),
            (
                Error::RequestTooLarge { limit: 7 },
                UPLOAD_LIMIT,
                Some("max-append-size=7"),
            ),
            (Error::DiskFull, UPLOAD_LIMIT, None),
            (Error::DigestMismatch, WANT_REPR_DIGEST, Some(DIGESTS)),
            (Error::DigestMismatch, WANT_CONTENT_DIGEST, Some(DIGESTS)),
            (Error::ChecksumMismatch, WANT_CONTENT_DIGEST, None),
        ] {
            let response = problem(&error);
            let given = response
                .headers()
                .get(&name)
                .map(|given| given.to_str().unwrap());
            assert_eq!(given, value, "{error}");
        }
    }

    #[test]
    fn upload_limit_names_what_is_limited() {
        assert_eq!(upload_limit(None, None), "min-size=0");
        assert_eq!(
            upload_limit(Some(9), Some(4)),
            "max-size=9, max-append-size=4"
        );
        assert_eq!(upload_limit(Some(u64::MAX), None), "min-size=0");
    }

    #[test]
    fn a_refusal_with_an_absurd_status_is_still_a_refusal() {
        for (given, answered) in [(0, 500), (200, 500), (451, 451), (599, 599), (1000, 500)] {
            let refusal = Refusal {
                status: given,
                ..Refusal::new("no")
            };
            assert_eq!(problem(&refusal.into()).status(), answered);
        }
    }
}
