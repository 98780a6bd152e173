//! OPTIONS: that uploads can be resumed here ("Limits").

use http::{HeaderMap, HeaderName, HeaderValue};

/// What a PATCH may bring, by this protocol and by tus. Several drafts want it from every server.
const ACCEPT_PATCH: &str = "application/partial-upload, application/offset+octet-stream";

/// Says it in an answer that has `Upload-Limit` already.
pub(crate) fn offer(headers: &mut HeaderMap) {
    let name = HeaderName::from_static("accept-patch");
    headers.insert(name, HeaderValue::from_static(ACCEPT_PATCH));
}
