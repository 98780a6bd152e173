//! How an upload's answer reads: JSON, XML or a page, by the client's `Accept`.
//!
//! The content is the same in all three: the upload's record when it went well, a problem when it did not. XML is one
//! document, `<upload>`, with the record's names as elements (jQuery's `dataType: 'xml'` asks for it). The page is for
//! a plain browser form; it carries both the JSON and the XML out of sight, so that a script which posts through an
//! iframe finds what it would have got (jquery-form's iframe mode).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{Asked, repr};
use crate::accept;
use crate::admission::AdmissionOptions;
use crate::error::Error;
use crate::problem;
use crate::progress::{Holder, Progress, Record};
use crate::query;
use crate::unfinished::Status;

mod page;
mod xml;

/// The answer to an upload that has been taken or refused.
pub(super) fn uploaded(asked: &Asked, taken: Result<Arc<Progress>, Error>) -> Response<Bytes> {
    match taken {
        Ok(progress) => {
            let mut record = progress.record(Holder::Id, &asked.base);
            if !asked.downloads {
                without_urls(&mut record);
            }
            let mut answer = accepted(asked, &record);
            if let [file] = &record.files[..] {
                repr::tell(answer.headers_mut(), asked, file.digest.as_deref());
            }
            answer
        }
        Err(error) => refused(&asked.head.headers, &asked.base, &error),
    }
}

/// What nobody can fetch has no address.
fn without_urls(record: &mut Record) {
    record.url = Some(None);
    for file in &mut record.files {
        file.url = Some(None);
    }
}

#[derive(Clone, Copy)]
enum Language {
    Json,
    Xml,
    Html,
}

fn language(headers: &HeaderMap) -> Language {
    match accept::prefer(
        headers,
        &[
            "application/json",
            "application/xml",
            "text/xml",
            "text/html",
        ],
    ) {
        Some("application/xml" | "text/xml") => Language::Xml,
        Some("text/html") => Language::Html,
        // Whoever takes none of them gets one all the same: the upload is done, and JSON is the shortest.
        _ => Language::Json,
    }
}

const JSON: &str = "application/json";

/// Whether JSON is taken and no problem: Dropzone and its like show the `error` of what they know as JSON.
fn is_plain(headers: &HeaderMap) -> bool {
    accept::prefer(headers, &[problem::JSON]).is_none()
        && accept::prefer(headers, &[JSON]).is_some()
}

fn accepted(asked: &Asked, record: &Record) -> Response<Bytes> {
    let status = if record.files.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let facts = || serde_json::to_value(record).expect("a record is plain data");
    let mut answer = match language(&asked.head.headers) {
        Language::Json => reply(status, JSON, record.to_json() + "\n"),
        Language::Xml => reply(status, "application/xml", xml::document(&facts())),
        Language::Html => match next(asked, record) {
            Some(next) => return fresh(redirect(&next)),
            None => page::reply(status, &page::accepted(record), &facts(), &asked.base),
        },
    };
    if let Some(url) = record
        .url
        .iter()
        .flatten()
        .next()
        .and_then(|url| HeaderValue::from_str(url).ok())
    {
        answer.headers_mut().insert(header::LOCATION, url);
    }
    fresh(answer)
}

/// The answer to a piece of an upload of which more is to come.
pub(super) fn so_far(status: &Status) -> Response<Bytes> {
    let facts = serde_json::json!({
        "id": status.id.to_string(),
        "state": "uploading",
        "offset": status.offset,
        "length": status.length,
    });
    fresh(reply(StatusCode::OK, JSON, format!("{facts}\n")))
}

/// The answer to a request that is refused, in the client's language; JSON means `application/problem+json`, unless that is
/// the one kind of JSON that the client does not take.
pub fn refused(headers: &HeaderMap, base: &str, error: &Error) -> Response<Bytes> {
    refusal(headers, base, error, page::Kept::Nothing)
}

/// The same, when some of what was sent is stored for good.
pub fn refused_in_part(headers: &HeaderMap, base: &str, error: &Error) -> Response<Bytes> {
    refusal(headers, base, error, page::Kept::Some)
}

fn refusal(headers: &HeaderMap, base: &str, error: &Error, kept: page::Kept) -> Response<Bytes> {
    let status = problem::status(error);
    let facts = serde_json::json!({
        "state": "error",
        "error": {"code": error.code(), "message": error.to_string(), "status": status.as_u16()},
    });
    let mut answer = match language(headers) {
        Language::Json if is_plain(headers) => problem::plain(error),
        Language::Json => problem::problem(error),
        Language::Xml => reply(status, "application/xml", xml::document(&facts)),
        Language::Html => page::reply(status, &page::refused(error, kept), &facts, base),
    };
    answer
        .extensions_mut()
        .insert(problem::RefusalCode(error.code()));
    problem::advise(answer.headers_mut(), error);
    fresh(answer)
}

/// The answer to OPTIONS: the methods that the path takes, and how much one may send.
pub fn options(allow: &'static str, limits: &AdmissionOptions) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    let limit = problem::upload_limit(limits.upload_bytes, limits.request_bytes);
    headers.insert(problem::UPLOAD_LIMIT, limit);
    answer
}

/// Told to one client in the language it asked for: nobody keeps it for another.
fn fresh(mut answer: Response<Bytes>) -> Response<Bytes> {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept"),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}

fn redirect(next: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::from_str(next) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// Where a plain form wants to go on: `next`, in the query or as a field. Only a path of this origin is followed:
/// `//host` and `/\host` lead elsewhere in browsers.
fn next(asked: &Asked, record: &Record) -> Option<String> {
    let query = query::first(&asked.head.uri, "next")
        .flatten()
        .map(std::borrow::Cow::into_owned);
    let field = || {
        record
            .fields
            .as_ref()
            .and_then(|fields| fields.first("next"))
            .map(str::to_owned)
    };
    let next = query.or_else(field)?;
    safe_path(&next).then_some(next)
}

fn safe_path(path: &str) -> bool {
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    plain && path.starts_with('/') && !path.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_in_every_language_whatever_status_a_handler_chose() {
        for accept in ["application/json", "application/xml", "text/html"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            let refusal = crate::Refusal {
                status: 200,
                ..crate::Refusal::new("no")
            };
            let answer = refused(&headers, "", &refusal.into());
            assert_eq!(answer.status(), 500, "{accept}");
            assert_eq!(answer.headers()[header::VARY], "Accept", "{accept}");
            assert_eq!(
                answer.headers()[header::CACHE_CONTROL],
                "no-store",
                "{accept}"
            );
        }
    }

    #[test]
    fn who_takes_json_and_no_problem_gets_plain_json() {
        for (accept, plain) in [
            ("application/json", true),
            ("text/html;q=0.1, application/json", true),
            ("application/json, */*", false),
            ("application/json, text/javascript, */*; q=0.01", false),
            ("application/*", false),
            ("application/json, application/problem+json", false),
            ("text/plain", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            let answer = refused(&headers, "", &Error::NotFound);
            let expected = if plain { JSON } else { problem::JSON };
            assert_eq!(answer.headers()[header::CONTENT_TYPE], expected, "{accept}");
        }
        let answer = refused(&HeaderMap::new(), "", &Error::NotFound);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], problem::JSON);
    }

    #[test]
    fn next_leads_to_this_origin_alone() {
        for good in ["/", "/thanks?dish=12#end", "/a//b"] {
            assert!(safe_path(good), "{good}");
        }
        for bad in [
            "",
            "thanks",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: b",
            "/ä",
        ] {
            assert!(!safe_path(bad), "{bad}");
        }
    }
}
