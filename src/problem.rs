//! Refusals as problem details (RFC 9457): what a client gets unless it speaks a protocol with words of its own.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::error::Error;

/// The code of the error that an answer tells, in the answer's extensions: for whoever counts refusals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefusalCode(pub &'static str);

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: String,
}

/// The answer that says what went wrong: `type`, `title`, `status`, the stable `code` and one line of `detail`.
#[must_use]
pub(crate) fn problem(error: &Error) -> Response<Bytes> {
    let status = status(error);
    let body = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Refused"),
        status: status.as_u16(),
        code: error.code(),
        detail: error.to_string(),
    };
    let body = serde_json::to_vec(&body).expect("a problem has string keys only");
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.extensions_mut().insert(RefusalCode(error.code()));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/problem+json");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Error::MethodNotAllowed { allow } = error {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

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
    fn a_405_lists_the_methods() {
        let response = problem(&Error::MethodNotAllowed { allow: "GET, HEAD" });
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
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
