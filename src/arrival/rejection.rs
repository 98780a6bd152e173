//! What a route of the app's own says when it goes wrong.

use std::fmt;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Response, StatusCode};

use crate::error::Error;
use crate::outbound::ResponseBody;
use crate::protocol::answer;

/// An error, and the answer that tells it in the client's language: problem details, XML or a page, as its `Accept` says.
///
/// It turns into an [`http::Response`], so that `?` is enough in a handler whose error is one; axum takes that as it is.
///
/// ```
/// use dumbwaiter::{Rejection, ResponseBody};
///
/// fn handler(received: Result<(), Rejection>) -> Result<&'static str, http::Response<ResponseBody>> {
///     received?;
///     Ok("thank you")
/// }
/// # drop(handler(Ok(())));
/// ```
///
/// The answer is whole and well-formed. Whether a client that still sends its body gets to read it is up to the host's
/// server: the binary reads on for a while after a refusal, most others close.
#[must_use]
pub struct Rejection(Box<Inner>);

struct Inner {
    error: Error,
    answer: Response<Bytes>,
}

impl Rejection {
    /// What went wrong; its table is in `docs/errors.md`.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.answer.status()
    }

    /// The answer for the client.
    #[must_use]
    pub fn into_response(self) -> Response<ResponseBody> {
        self.0.answer.map(Into::into)
    }
}

impl From<Rejection> for Response<ResponseBody> {
    fn from(rejection: Rejection) -> Self {
        rejection.into_response()
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rejection").field(&self.0.error).finish()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.error.source()
    }
}

/// How one client wants to be told, settled from its request's head.
#[derive(Debug)]
pub(crate) struct Manner {
    /// The fields by which an answer's language is chosen.
    pub(crate) headers: HeaderMap,
    /// What every URL begins with.
    pub(crate) base: String,
    /// Whether stored files are given back.
    pub(crate) downloads: bool,
    /// What the links of a page begin with: nothing where the client may not know the base.
    pub(crate) known_base: String,
    /// Fields of every answer: those that let the page read it.
    pub(crate) shared: HeaderMap,
    /// Fields of a 401: how one says who one is.
    pub(crate) challenge: HeaderMap,
}

impl Manner {
    /// Tells `error` to this client.
    pub(crate) fn reject(&self, error: Error) -> Rejection {
        self.reject_rest(error, false)
    }

    /// Tells `error` to this client, when some of its upload may be stored for good: `in_part`.
    pub(crate) fn reject_rest(&self, error: Error, in_part: bool) -> Rejection {
        let (headers, base) = (&self.headers, &self.known_base);
        let mut answer = match in_part {
            true => answer::refused_in_part(headers, base, &error),
            false => answer::refused(headers, base, &error),
        };
        let headers = answer.headers_mut();
        for (name, value) in &self.shared {
            headers.append(name, value.clone());
        }
        if error.status() == 401 {
            for value in self.challenge.get_all(WWW_AUTHENTICATE) {
                headers.append(WWW_AUTHENTICATE, value.clone());
            }
        }
        Rejection(Box::new(Inner { error, answer }))
    }
}
