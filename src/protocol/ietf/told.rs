//! What is told of an upload, as header fields; and refusals, by the problem types that the protocol names.

use std::fmt::Display;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::version::Version;
use super::{Asked, Here, field};
use crate::error::Error;
use crate::problem::{self, UPLOAD_LIMIT};
use crate::protocol::{answer, handed};
use crate::unfinished::Status;
use crate::upload::{Protocol, UploadId};

/// Where kept bytes end, and whether they are all.
pub(super) fn state(headers: &mut HeaderMap, version: &Version, offset: u64, complete: bool) {
    set(headers, field::OFFSET, offset);
    headers.insert(version.field(), version.word(complete));
}

/// What bounds an upload: `max-size`, `max-append-size`, and how long it is kept ("Limits").
pub(super) fn limit(here: Here<'_>, protocol: Protocol, status: Option<&Status>) -> HeaderValue {
    let limits = here.inbound.admission.options();
    let in_all = match protocol {
        // Bounds of one file are not those of a form, whatever number of them it has.
        Protocol::Form => limits.upload_bytes,
        _ => here.ietf.max_size,
    };
    let left = status.and_then(|status| status.expires_at).map(|at| {
        let left = at.duration_since(SystemTime::now());
        left.unwrap_or_default().as_secs()
    });
    problem::upload_limits(&[
        ("max-size", in_all),
        ("max-append-size", limits.request_bytes),
        (version(here.asked).age, left),
    ])
}

/// All that is known of the upload, for whoever would go on with it ("Offset Retrieval").
pub(super) fn all(headers: &mut HeaderMap, here: Here<'_>, status: &Status) {
    reached(headers, here, status);
    if let Some(length) = status.length {
        set(headers, field::LENGTH, length);
    }
}

/// How far the upload has come, and what bounds it.
fn reached(headers: &mut HeaderMap, here: Here<'_>, status: &Status) {
    state(headers, version(here.asked), status.offset, status.complete);
    let limit = limit(here, status.remembered.protocol, Some(status));
    headers.insert(UPLOAD_LIMIT, limit);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
}

/// The answer to a request behind which more is to come.
pub(super) fn resting(here: Here<'_>, status: &Status, code: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = code;
    reached(answer.headers_mut(), here, status);
    answer
}

/// The answer that the upload's target gives to the whole of it ("Upload Append": as if it had come in one request).
pub(super) async fn whole(here: Here<'_>, status: &Status) -> Response<Bytes> {
    let Here { inbound, asked, .. } = here;
    let answer = handed::own_of(inbound, asked, &status.id).await;
    complete(here, answer, status.offset)
}

/// The answer to the whole of an upload, which says so.
pub(super) fn complete(
    here: Here<'_>,
    mut answer: Response<Bytes>,
    offset: u64,
) -> Response<Bytes> {
    state(answer.headers_mut(), version(here.asked), offset, true);
    answer
}

/// Says where the upload is, unless its target has said where its file is: clients look for one of them.
pub(super) fn located(mut answer: Response<Bytes>, location: &str) -> Response<Bytes> {
    if !answer.headers().contains_key(header::LOCATION) {
        set(answer.headers_mut(), header::LOCATION, location);
    }
    answer
}

/// What the request speaks.
pub(super) fn version(asked: &Asked) -> &'static Version {
    Version::of(&asked.head.headers)
}

/// A refusal of a request that names no upload, or of which nothing may be told.
pub(super) fn refused(here: Here<'_>, protocol: Protocol, error: &Error) -> Response<Bytes> {
    let asked = here.asked;
    let mut answer = answer::refused(&asked.head.headers, &asked.base, error);
    if let Some(kind) = kind(error)
        && answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|given| given == problem::JSON)
    {
        *answer.body_mut() = problem::typed(error, kind);
    }
    if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let limit = limit(here, protocol, None);
        answer.headers_mut().insert(UPLOAD_LIMIT, limit);
    }
    answer
}

/// A refusal of bytes; where the upload is still there it tells where to go on.
pub(super) fn refused_at(here: Here<'_>, id: &UploadId, error: &Error) -> Response<Bytes> {
    let status = here.inbound.unfinished.look(id);
    let protocol = status.as_ref().map(|status| status.remembered.protocol);
    let mut answer = refused(here, protocol.unwrap_or(Protocol::Ietf), error);
    let (headers, version) = (answer.headers_mut(), version(here.asked));
    match (error, status) {
        (_, Some(status)) => {
            state(headers, version, status.offset, false);
            let limit = limit(here, status.remembered.protocol, Some(&status));
            headers.insert(UPLOAD_LIMIT, limit);
        }
        (Error::OffsetMismatch { expected, .. }, None) => state(headers, version, *expected, true),
        // All of it came; what was to be made of it failed, and no byte sent once more would help.
        (Error::NameTaken { .. } | Error::UnusableName { .. }, None) => {
            headers.insert(version.field(), version.word(true));
        }
        (_, None) => {}
    }
    answer
}

/// Ends an upload of which nothing can be made any more ("Upload Append": the upload resource is marked invalid).
pub(super) async fn invalid(here: Here<'_>, id: &UploadId, why: Error) {
    if let Err(failed) = here.inbound.unfinished.end(id, why).await {
        let cause = std::error::Error::source(&failed).map(ToString::to_string);
        tracing::warn!(
            upload = id.short(),
            cause,
            "cannot end an upload that is invalid"
        );
    }
}

/// The problem's type, where the protocol has one ("Problem Types").
fn kind(error: &Error) -> Option<problem::Kind> {
    Some(match error {
        Error::OffsetMismatch { expected, given } => problem::Kind {
            uri: "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
            title: "Mismatching upload offset",
            members: vec![("expected-offset", *expected), ("provided-offset", *given)],
        },
        Error::LengthMismatch { .. } => problem::Kind {
            uri: "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
            title: "Inconsistent upload length",
            members: Vec::new(),
        },
        Error::CompletedUpload => problem::Kind {
            uri: "https://iana.org/assignments/http-problem-types#completed-upload",
            title: "Completed upload",
            members: Vec::new(),
        },
        _ => return None,
    })
}

/// Puts a field in whose value is made of numbers and what we made of them.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: impl Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(name, value);
    }
}
