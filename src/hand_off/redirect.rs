//! Where the app's answer leads to, said to a page that sends its form by script.
//!
//! `XMLHttpRequest` follows a redirect before the page hears of it. What the app shows there once, such as a message that all
//! went well, would be shown to nobody when the browser then goes to the same address; and to another origin a script
//! cannot follow at all. So a page may ask to be told, and goes there as for a form without script.

use http::header::LOCATION;
use http::{HeaderMap, HeaderName, Response, StatusCode};

const ASKED: HeaderName = HeaderName::from_static("dumbwaiter-redirect");
const TOLD: HeaderName = HeaderName::from_static("dumbwaiter-location");

/// Whether the page wants to be told.
pub(super) fn is_asked(fields: &HeaderMap) -> bool {
    let said = fields.get(ASKED);
    said.is_some_and(|said| said.as_bytes().trim_ascii() == b"?1")
}

/// Says where a GET has to follow in a field that no browser follows. The answers by which the form itself goes elsewhere
/// (307 and 308) stay as they are: its bytes are the browser's to send.
pub(super) fn tell<B>(answer: &mut Response<B>) {
    let goes = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
    ];
    if goes.contains(&answer.status())
        && let Some(location) = answer.headers_mut().remove(LOCATION)
    {
        answer.headers_mut().insert(TOLD, location);
    }
}
