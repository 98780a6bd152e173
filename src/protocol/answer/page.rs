//! The answer to a plain browser form: a page that needs no script.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::xml;
use super::xml::escape;
use crate::error::Error;
use crate::progress::Record;
use crate::sizes::{limit_in_words, size_in_words};

/// Nothing from elsewhere, no script; the style sheet and the icon are ours.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'";

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
    let (title, icon, link) = match status.is_success() {
        true => ("Arrived", 9, "Send more"),
        false => ("Not arrived", 0, "Back to the form"),
    };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · Dumbwaiter</title>\n\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"{base}/lift-{icon}.svg\">\n\
         <link rel=\"stylesheet\" href=\"{base}/dumbwaiter.css\">\n\
         <body status=\"{status_code}\">\n<main class=\"answer\">\n{inside}<a class=\"more\" href=\"{base}/\">{link}</a>\n</main>\n\
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
    // A name may run the other way than the page.
    let name = format!("<bdi>{name}</bdi>");
    let name = match file.url.as_ref().and_then(Option::as_deref) {
        Some(url) => format!("<a href=\"{}\">{name}</a>", escape(url)),
        None => name,
    };
    let size = file.length.map_or(String::new(), size_in_words);
    format!("<li>{name} <span class=\"size\">{size}</span></li>\n")
}

/// What of a refused upload is stored.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    Nothing,
    Some,
}

/// What happened, what is kept, what to do, and the code small.
pub(super) fn refused(error: &Error, kept: Kept) -> String {
    let (message, code) = (escape(&what(error)), escape(error.code()));
    let act = act(error);
    let (title, kept) = match kept {
        Kept::Nothing => ("This did not arrive.", "Nothing of it is kept."),
        Kept::Some => ("Not all of this was stored.", "The rest of it is kept."),
    };
    format!("<h1>{title}</h1>\n<p class=\"why\">{message} {kept} {act} <code>{code}</code></p>\n")
}

/// What happened; sizes as a person reads them.
fn what(error: &Error) -> String {
    match error {
        Error::UploadTooLarge { limit } | Error::RequestTooLarge { limit } => format!(
            "This is larger than the {} taken here at once.",
            limit_in_words(*limit)
        ),
        error => sentence(&error.to_string()),
    }
}

/// What whoever sent the form can do about it.
fn act(error: &Error) -> &'static str {
    match (error, error.status()) {
        (Error::OwnerLimit, _) | (_, 401 | 403 | 421) => "Ask who runs this server.",
        (Error::LimitExceeded { .. }, _) => "Send less at once.",
        (_, 413) => "Choose a smaller one, or send them one by one.",
        (Error::Refused(_), 400..=499) => "Choose another file.",
        (_, 409 | 422) => "Rename the file, or choose another one.",
        (_, 408 | 429 | 500..=599) => "Try again later.",
        _ => "Go back and try once more.",
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
