//! `GET /files/ID` and `/files/ID/n`: a stored file, with ranges.
//!
//! What clients sent is served back to browsers here, so nothing is left to guessing: `nosniff`, an attachment unless it
//! is a picture that cannot carry a script, and a sandbox for whoever opens it all the same.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::Frame;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::mpsc;

use super::range::{self, Wanted};
use super::{Asked, Inbound, answer, repr};
use crate::error::Error;
use crate::store::Reader;
use crate::upload::{FileFacts, UploadId};

/// Bytes read from the store at a time, and how many such chunks wait for a slow client: half a MiB for each download.
const CHUNK: usize = 256 * 1024;
const CHUNKS_AHEAD: usize = 1;

/// Picture types that browsers show and that cannot hold a script (SVG can).
const INLINE: [&str; 5] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
];

/// Answers with the file that `path`, the part behind `/files/`, addresses.
pub(crate) async fn get(inbound: &Inbound, path: &str, asked: &Asked) -> Response<FileBody> {
    match open(inbound, path).await {
        Ok(reader) => send(inbound, asked, reader),
        Err(error) => {
            answer::refused(&asked.head.headers, &asked.base, &error).map(FileBody::Whole)
        }
    }
}

async fn open(inbound: &Inbound, path: &str) -> Result<Box<dyn Reader>, Error> {
    let (id, index) = address(path).ok_or(Error::NotFound)?;
    let store = inbound.receiver.store.clone();
    inbound
        .data
        .run(async move { store.read(&id, index).await })
        .await?
        .ok_or(Error::NotFound)
}

/// `ID` is file 0, `ID/n` the others.
fn address(path: &str) -> Option<(UploadId, usize)> {
    let (id, index) = match path.split_once('/') {
        Some((id, index)) => (id, index.parse().ok()?),
        None => (path, 0),
    };
    Some((id.parse().ok()?, index))
}

fn send(inbound: &Inbound, asked: &Asked, reader: Box<dyn Reader>) -> Response<FileBody> {
    let (facts, modified) = (reader.facts().clone(), reader.modified());
    let tag = entity_tag(&facts, modified);
    let mut answer = Response::new(FileBody::Whole(Bytes::new()));
    describe(answer.headers_mut(), &facts, &tag, modified);
    repr::tell(answer.headers_mut(), asked, facts.digest.as_deref());
    if range::unchanged(&asked.head.headers, &tag) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    let (start, end) = match range::wanted(&asked.head.headers, &tag, facts.length) {
        Wanted::Whole => (0, facts.length),
        Wanted::Part { start, end } => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(
                answer.headers_mut(),
                header::CONTENT_RANGE,
                &format!("bytes {start}-{}/{}", end - 1, facts.length),
            );
            (start, end)
        }
        Wanted::Nothing => {
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(
                answer.headers_mut(),
                header::CONTENT_RANGE,
                &format!("bytes */{}", facts.length),
            );
            return answer;
        }
    };
    set(
        answer.headers_mut(),
        header::CONTENT_LENGTH,
        &(end - start).to_string(),
    );
    if asked.head.method != Method::HEAD {
        *answer.body_mut() = FileBody::read(inbound, reader, start, end);
    }
    answer
}

/// Strong: the same length and time of change mean the same bytes, since files are written once and then renamed.
fn entity_tag(facts: &FileFacts, modified: Option<SystemTime>) -> String {
    let since = modified
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .unwrap_or_default();
    format!("\"{:x}-{:x}\"", facts.length, since.as_nanos())
}

fn describe(headers: &mut HeaderMap, facts: &FileFacts, tag: &str, modified: Option<SystemTime>) {
    let given = facts.content_type.as_deref().unwrap_or_default();
    let inline = INLINE
        .iter()
        .find(|known| given.eq_ignore_ascii_case(known));
    let content_type = inline.copied().unwrap_or("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    set(headers, header::ETAG, tag);
    if let Some(modified) = modified {
        set(
            headers,
            header::LAST_MODIFIED,
            &httpdate::fmt_http_date(modified),
        );
    }
    let kind = if inline.is_some() {
        "inline"
    } else {
        "attachment"
    };
    set(
        headers,
        header::CONTENT_DISPOSITION,
        &disposition(kind, facts.name.as_deref().unwrap_or("file")),
    );
}

/// The name twice: in ASCII for old clients, and as it is (RFC 6266, appendix D; RFC 8187).
fn disposition(kind: &str, path: &str) -> String {
    /// What RFC 8187 lets stand as it is, `attr-char`.
    const ATTR: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'!')
        .remove(b'#')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b'-')
        .remove(b'.')
        .remove(b'^')
        .remove(b'_')
        .remove(b'`')
        .remove(b'|')
        .remove(b'~');
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = |c: char| {
        if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' {
            c
        } else {
            '_'
        }
    };
    let ascii: String = name.chars().map(plain).collect();
    format!(
        "{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, ATTR)
    )
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    let value =
        HeaderValue::from_str(value).expect("what we write into a header is printable ASCII");
    headers.insert(name, value);
}

/// A file on its way out, read on a data thread a little ahead of the client.
#[derive(Debug)]
pub(crate) enum FileBody {
    /// All of it is in memory: an answer without a file.
    Whole(Bytes),
    /// Chunks as they are read.
    Read(mpsc::Receiver<Result<Bytes, Error>>),
}

impl FileBody {
    fn read(inbound: &Inbound, mut reader: Box<dyn Reader>, start: u64, end: u64) -> Self {
        let (chunks, body) = mpsc::channel(CHUNKS_AHEAD);
        inbound.data.spawn(async move {
            let mut at = start;
            while at < end {
                let most = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
                let chunk = match reader.read_at(at, most).await {
                    // Shorter than it was: the client learns of it as a broken body, never as a short file.
                    Ok(chunk) if chunk.is_empty() => {
                        Err(Error::store("the file has become shorter"))
                    }
                    chunk => chunk,
                };
                at += chunk.as_ref().map_or(end, |chunk| chunk.len() as u64);
                if chunks.send(chunk).await.is_err() {
                    return;
                }
            }
        });
        Self::Read(body)
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Read(chunks) => chunks
                .poll_recv(cx)
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(bytes) => http_body::SizeHint::with_exact(bytes.len() as u64),
            Self::Read(_) => http_body::SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_id_and_an_index_and_nothing_else() {
        let id = UploadId::random();
        assert_eq!(address(&id.to_string()), Some((id, 0)));
        assert_eq!(address(&format!("{id}/3")), Some((id, 3)));
        for bad in [
            "",
            "paella.jpg",
            &format!("{id}/"),
            &format!("{id}/-1"),
            &format!("{id}/0/0"),
            &format!("../{id}"),
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_harmless_pictures_are_shown_in_place() {
        for (given, kind, content_type) in [
            ("image/png", "inline", "image/png"),
            ("Image/JPEG", "inline", "image/jpeg"),
            ("image/svg+xml", "attachment", "application/octet-stream"),
            ("text/html", "attachment", "application/octet-stream"),
            (
                "image/png\r\nX: y",
                "attachment",
                "application/octet-stream",
            ),
        ] {
            let facts = FileFacts {
                content_type: Some(given.to_owned()),
                ..FileFacts::default()
            };
            let mut headers = HeaderMap::new();
            describe(&mut headers, &facts, "\"0-0\"", None);
            assert!(
                headers[header::CONTENT_DISPOSITION]
                    .to_str()
                    .unwrap()
                    .starts_with(kind),
                "{given}"
            );
            assert_eq!(headers[header::CONTENT_TYPE], content_type, "{given}");
        }
    }

    #[test]
    fn a_name_in_any_script_goes_out_whole_and_in_ascii() {
        let text = disposition("inline", "料理/pa\"ella é.jpg");
        assert_eq!(
            text,
            "inline; filename=\"pa_ella _.jpg\"; filename*=UTF-8''pa%22ella%20%C3%A9.jpg"
        );
    }
}
