//! What is asked of a request before anything else: whether it means this server, and whether a page that should not
//! made a browser send it.
//!
//! | danger | rule |
//! |---|---|
//! | a name of the attacker's that leads to our address (DNS rebinding) | `Host` is an address, a loopback name or one that we know |
//! | a foreign page whose form posts to us with the visitor's cookie, password or address (CSRF) | `Origin` of every unsafe method is our own, or named |
//! | a foreign page that reads our answers | no CORS fields but for origins that are named |

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::Rights;
use super::authority::Authority;
use super::client::Client;
use super::origin::{AllowOrigin, Origin};
use crate::error::Error;

/// Methods that pages of allowed origins may use.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Fields that they may send: those of all ways in and out, since a preflight does not say which one comes.
const HEADERS: &str = "Authorization, Cache-Control, Content-Digest, Content-Disposition, Content-Type, \
    Dumbwaiter-Redirect, Incremental, Last-Event-ID, Range, Repr-Digest, Tus-Resumable, Upload-Checksum, \
    Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Incomplete, \
    Upload-Length, Upload-Metadata, Upload-Name, Upload-Offset, Want-Content-Digest, Want-Repr-Digest, \
    X-HTTP-Method-Override, X-Progress-ID, X-Request-ID, X-Requested-With";

/// Fields of our answers that they may read.
const EXPOSED: &str = "Accept-Patch, Content-Disposition, Content-Range, Dumbwaiter-Location, ETag, Location, \
    Repr-Digest, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, \
    Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Expires, \
    Upload-Incomplete, Upload-Length, Upload-Limit, Upload-Metadata, Upload-Offset, Want-Content-Digest, \
    Want-Repr-Digest";

/// How long a browser keeps a preflight's answer; Chromium keeps none longer than two hours.
const PREFLIGHT_SECONDS: &str = "7200";

/// Whose page made the request.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Nobody says: no browser, or a plain visit.
    Unsaid,
    /// Our own.
    Same,
    /// Another one that may, with the visitor's cookie and password only where it is named.
    Allowed { origin: HeaderValue, named: bool },
    /// Another one, or one that hides where it comes from.
    Foreign(String),
}

impl Rights {
    /// Whether the request is for us at all.
    pub(crate) fn check_host(&self, head: &Parts, client: &Client) -> Result<(), Error> {
        let Some(known) = &self.hosts else {
            return Ok(());
        };
        // RFC 9112, 3.2.2: with an absolute target that counts; whoever reads `Host` instead must not be fooled either.
        let target = head
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned());
        let fields = head
            .headers
            .get_all(HOST)
            .iter()
            .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        for text in target
            .into_iter()
            .chain(fields)
            .filter(|text| !text.is_empty())
        {
            let host = Authority::parse(&text).map(|authority| authority.host);
            if !host.is_some_and(|host| known.iter().any(|name| name.is(&host))) {
                return Err(strange(text));
            }
        }
        match &client.host {
            Some(told) if !known.iter().any(|name| name.is(&told.host)) => {
                Err(strange(told.host.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Finds out whose page made the request.
    pub(crate) fn source(&self, head: &Parts, client: &Client) -> Source {
        let mut fields = head.headers.get_all(ORIGIN).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return unsaid(&head.headers);
        };
        let text = String::from_utf8_lossy(field.as_bytes()).into_owned();
        // `null` stands for a page that hides where it comes from: a sandboxed frame, a file.
        let Ok(origin) = text.parse::<Origin>() else {
            return Source::Foreign(text);
        };
        if is_ours(&origin, head, client) {
            return Source::Same;
        }
        let named = self
            .origins
            .iter()
            .any(|allowed| matches!(allowed, AllowOrigin::This(named) if *named == origin));
        let any = self.origins.contains(&AllowOrigin::Any);
        if named || self.is_local(&origin, head, client) {
            Source::Allowed {
                origin: field.clone(),
                named,
            }
        } else if any {
            Source::Allowed {
                origin: HeaderValue::from_static("*"),
                named,
            }
        } else {
            Source::Foreign(text)
        }
    }

    /// On a loopback listener the front end under development is a page of another port. A proxy before us may be
    /// reached from anywhere: then somebody else's localhost is meant, and that is not ours.
    fn is_local(&self, origin: &Origin, head: &Parts, client: &Client) -> bool {
        let to_loopback =
            || hosts(head).all(|host| host.is_some_and(|host| host.host.is_loopback()));
        self.local_origins && origin.is_local() && client.is_direct() && to_loopback()
    }

    /// The rule against forged requests: what changes something comes from our own page, from one that may, or from no
    /// page at all.
    pub(crate) fn check_origin(&self, head: &Parts, source: &Source) -> Result<(), Error> {
        let safe = matches!(
            head.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
        );
        // What it came as, a POST, may be forged by a form.
        let safe = safe && !head.headers.contains_key("x-http-method-override");
        match source {
            Source::Foreign(origin) if !safe || is_preflight(head) => Err(foreign(origin)),
            _ => Ok(()),
        }
    }

    /// Adds what lets the page read the answer: to every answer, since a refusal that it cannot read looks like a
    /// network failure.
    pub(crate) fn share(&self, source: &Source, headers: &mut HeaderMap) {
        if self.origins.is_empty() && !self.local_origins {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Source::Allowed { origin, named } = source else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
        if *named {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }
}

/// Whether a browser asks beforehand what a page may send (Fetch, "CORS-preflight request").
pub(crate) fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that, without the fields that every answer gets.
pub(crate) fn preflight() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Without `Origin`, or with several: browsers say in another field what kind of page asks.
fn unsaid(headers: &HeaderMap) -> Source {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    match site {
        _ if headers.contains_key(ORIGIN) => Source::Foreign("several origins".to_owned()),
        None | Some(b"same-origin" | b"none") => Source::Unsaid,
        Some(_) => Source::Foreign("another site".to_owned()),
    }
}

/// By the host it was sent to, the one that a trusted proxy names, or the browser's own word, which no page can forge:
/// a proxy may have put another `Host` in.
fn is_ours(origin: &Origin, head: &Parts, client: &Client) -> bool {
    let browser = head
        .headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "same-origin");
    browser
        || hosts(head)
            .flatten()
            .chain(client.host.clone())
            .any(|host| origin.is_at(&host))
}

/// Every name by which the request addresses its server; `None` for one that cannot be read.
fn hosts(head: &Parts) -> impl Iterator<Item = Option<Authority>> {
    let target = head
        .uri
        .authority()
        .map(|authority| Authority::parse(authority.as_str()));
    let fields = head.headers.get_all(HOST).iter();
    target
        .into_iter()
        .chain(fields.map(|host| Authority::parse(host.to_str().ok()?)))
}

fn strange(host: String) -> Error {
    tracing::warn!(host = %host.escape_debug(), "refused: the request is for another host; --host adds a name of this one");
    Error::HostNotAllowed { host }
}

fn foreign(origin: &str) -> Error {
    tracing::warn!(
        origin = %origin.escape_debug(),
        "refused: a page of another origin; --allow-origin adds one that may"
    );
    Error::OriginNotAllowed {
        origin: origin.to_owned(),
    }
}
