//! The answer to a plain browser form: a page that needs no script.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::xml;
use super::xml::escape;
use crate::error::Error;
use crate::progress::Record;

/// Nothing from elsewhere, no script; the style sheet is ours.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'";

/// The page around `inside`, with the same answer as JSON and XML out of sight.
///
/// jquery-form's iframe mode reads the first `textarea` where it wants JSON or text and the document itself where it wants XML,
/// and takes the status from an attribute: of the `textarea` in one case, of `body` in the other.
pub(super) fn reply(
    status: StatusCode,
    inside: &str,
    facts: &Value,
    base: &str,
) -> Response<Bytes> {
    let (base, json, xml, status_code) = (
        escape(base),
        escape(&facts.to_string()),
        xml::element(facts),
        status.as_u16(),
    );
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Upload</title>\n\
         <link rel=\"stylesheet\" href=\"{base}/dumbwaiter.css\">\n\
         <body status=\"{status_code}\">\n<main>\n{inside}<p><a href=\"{base}/\">Send more</a></p>\n</main>\n\
         <textarea hidden readonly status=\"{status_code}\">{json}</textarea>\n<div hidden>{xml}</div>\n</body>\n</html>\n"
    );
    let mut answer = super::reply(status, "text/html; charset=utf-8", html);
    answer.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    answer
}

/// What has arrived, in words.
pub(super) fn accepted(record: &Record) -> String {
    let count = match record.files.len() {
        0 => "The form has arrived. It held no file.".to_owned(),
        1 => "1 file has arrived. You can close this page.".to_owned(),
        n => format!("{n} files have arrived. You can close this page."),
    };
    let items: String = record.files.iter().map(item).collect();
    let list = if items.is_empty() {
        String::new()
    } else {
        format!("<ul>\n{items}</ul>\n")
    };
    format!("<h1>{count}</h1>\n{list}")
}

fn item(file: &crate::progress::FileRecord) -> String {
    let name = escape(file.name.as_deref().unwrap_or("a file without a name"));
    match file.url.as_ref().and_then(Option::as_deref) {
        Some(url) => format!("<li><a href=\"{}\">{name}</a></li>\n", escape(url)),
        None => format!("<li>{name}</li>\n"),
    }
}

/// Why it was refused, what is kept, what to do, and the code small.
pub(super) fn refused(error: &Error) -> String {
    let (message, code) = (escape(&sentence(&error.to_string())), escape(error.code()));
    format!(
        "<h1>This did not arrive.</h1>\n<p>{message} Nothing of it is kept.</p>\n<p><small><code>{code}</code></small></p>\n"
    )
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
