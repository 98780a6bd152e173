//! What is told of an upload, as header fields; and refusals, which tell where to go on.

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

use super::head::{self, VERSION};
use super::{Asked, Inbound, concat};
use crate::error::Error;
use crate::problem::{self, UPLOAD_LIMIT};
use crate::protocol::answer;
use crate::unfinished::Status;
use crate::upload::{Concat, UploadId};

const VERSIONS: HeaderName = HeaderName::from_static("tus-version");
const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

/// Says the version: on every answer to a request of tus, whoever gives it.
pub(crate) fn speak(headers: &mut HeaderMap) {
    let name = HeaderName::from_static(head::RESUMABLE);
    headers.insert(name, HeaderValue::from_static(VERSION));
}

/// Says which versions there are.
pub(super) fn versions(headers: &mut HeaderMap) {
    headers.insert(VERSIONS, HeaderValue::from_static(VERSION));
}

/// Where the kept bytes end. Of an upload that is put together nothing is told until it is ("Concatenation").
pub(super) fn offset(headers: &mut HeaderMap, status: &Status) {
    let is_final = matches!(status.remembered.concat, Some(Concat::Final { .. }));
    if status.complete || !is_final {
        set(headers, head::OFFSET.name, status.offset);
    }
}

/// When the upload ends if nobody goes on with it ("Expiration").
pub(super) fn expires(headers: &mut HeaderMap, status: &Status) {
    if let Some(at) = status.expires_at {
        set(headers, EXPIRES, httpdate::fmt_http_date(at));
    }
}

/// All that is known of the upload, for whoever would go on with it.
pub(super) fn all(headers: &mut HeaderMap, status: &Status, inbound: &Inbound) {
    let about = &status.remembered;
    offset(headers, status);
    match (status.length, &about.concat) {
        (Some(length), _) => set(headers, head::LENGTH.name, length),
        // It follows from parts that are not complete.
        (None, Some(Concat::Final { .. })) => {}
        (None, _) => set(headers, head::DEFER_LENGTH.name, 1),
    }
    if let Some(metadata) = &about.metadata {
        set(headers, head::METADATA.name, metadata);
    }
    if let Some(concat) = &about.concat {
        set(headers, head::CONCAT.name, concat::echo(concat));
    }
    expires(headers, status);
    set(headers, COMPLETE, if status.complete { "?1" } else { "?0" });
    let limits = inbound.admission.options();
    let limit = problem::upload_limit(limits.upload_bytes, limits.request_bytes);
    headers.insert(UPLOAD_LIMIT, limit);
    no_store(headers);
}

/// Nobody keeps what changes with every byte.
pub(super) fn no_store(headers: &mut HeaderMap) {
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
}

/// A refusal of a request that names no upload, or of which nothing may be told.
pub(super) fn refused(asked: &Asked, error: &Error) -> Response<Bytes> {
    let mut answer = answer::refused(&asked.head.headers, &asked.base, error);
    if matches!(error, Error::TusVersion) {
        speak(answer.headers_mut());
        versions(answer.headers_mut());
    }
    answer
}

/// A refusal of bytes; where the upload is still there it tells where to go on.
pub(super) fn refused_at(
    inbound: &Inbound,
    asked: &Asked,
    id: &UploadId,
    error: &Error,
) -> Response<Bytes> {
    let mut answer = refused(asked, error);
    let headers = answer.headers_mut();
    match (error, inbound.unfinished.look(id)) {
        (_, Some(status)) => {
            offset(headers, &status);
            expires(headers, &status);
        }
        (Error::OffsetMismatch { expected, .. }, None) => {
            set(headers, head::OFFSET.name, *expected);
        }
        (_, None) => {}
    }
    answer
}

/// Puts a field in whose value is made of numbers, or was one when it came.
pub(super) fn set(headers: &mut HeaderMap, name: impl TryInto<HeaderName>, value: impl Display) {
    let (name, value) = (name.try_into(), HeaderValue::try_from(value.to_string()));
    if let (Ok(name), Ok(value)) = (name, value) {
        headers.insert(name, value);
    }
}
