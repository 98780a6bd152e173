//! FilePond's server, as `server: "/filepond"` means it: a file whole, or in chunks, under an id that is all its answer.
//!
//! ```text
//! POST   /filepond             a form with the file ─► create.rs  201, its id
//! POST   /filepond             Upload-Length ────────► create.rs  201, the id for its chunks
//! PATCH  /filepond?patch=ID    Upload-Offset, bytes ─► patch.rs   204, Upload-Offset
//! HEAD   /filepond?patch=ID    ──────────────────────► patch.rs   204, Upload-Offset
//! DELETE /filepond             the id as its body ───► revert.rs  204
//! GET    /filepond?load=ID, ?restore=ID ─────────────► a stored file
//! ```
//!
//! FilePond sends each chunk from its own first byte, again and again, and takes each that begins before `Upload-Offset`
//! for sent. So nothing is kept of a chunk that breaks off, and an offset that is told is always one where a chunk begins.
//!
//! A refusal is one line of text: that is what FilePond hands to `onerror`.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::get::{self, FileBody};
use super::multipart::PartLimits;
use super::{Asked, Inbound, answer};
use crate::error::Error;
use crate::problem;
use crate::query;
use crate::receive::Body;

mod create;
mod patch;
mod revert;

/// What can be asked here.
pub(crate) const ALLOW: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";

/// What a request's query asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// A stored file.
    Stored(String),
    /// A file from elsewhere.
    Elsewhere,
    /// An upload, which the path may name where the query does not.
    Upload(Option<String>),
}

impl Wanted {
    /// Reads the query.
    pub(crate) fn of(asked: &Asked) -> Self {
        let said = |name| query::first(&asked.head.uri, name).flatten();
        let owned = std::borrow::Cow::into_owned;
        if let Some(id) = said("load").or_else(|| said("restore")) {
            return Self::Stored(owned(id));
        }
        match said("fetch") {
            Some(_) => Self::Elsewhere,
            None => Self::Upload(said("patch").map(owned)),
        }
    }
}

/// Answers a request at `/filepond`, or below it, where `name` is the rest of the path.
pub(crate) async fn answer(
    inbound: &Inbound,
    limits: PartLimits,
    name: &str,
    asked: &Asked,
    body: Body,
) -> Response<FileBody> {
    let whole = |answer: Response<Bytes>| answer.map(FileBody::Whole);
    let stored = async |id: &str| match asked.downloads {
        true => named(get::get(inbound, id, asked).await),
        false => whole(refused(&Error::NotFound)),
    };
    match (&asked.head.method, Wanted::of(asked)) {
        (&Method::OPTIONS, _) => whole(answer::options(ALLOW, inbound.admission.options())),
        (&(Method::GET | Method::HEAD), Wanted::Stored(id)) => stored(&id).await,
        (&(Method::GET | Method::HEAD), Wanted::Elsewhere) => whole(refused(&NOT_FETCHED)),
        (&Method::GET, Wanted::Upload(_)) => stored(name).await,
        (&Method::POST, Wanted::Upload(None)) if name.is_empty() => {
            whole(create::post(inbound, limits, asked, body).await)
        }
        (&Method::HEAD, Wanted::Upload(id)) => {
            let id = id.as_deref().unwrap_or(name);
            whole(patch::look(inbound, id, asked).await)
        }
        (&Method::PATCH, Wanted::Upload(id)) => {
            let id = id.as_deref().unwrap_or(name);
            whole(patch::patch(inbound, id, asked, body).await)
        }
        (&Method::DELETE, Wanted::Upload(_)) => {
            whole(revert::revert(inbound, name, asked, body).await)
        }
        _ => whole(refused(&Error::MethodNotAllowed { allow: ALLOW })),
    }
}

/// The same answer, with its file's name as FilePond reads it: by `decodeURI`, which leaves `%2C` and its like as they are.
fn named(mut answer: Response<FileBody>) -> Response<FileBody> {
    let given = answer.headers().get(header::CONTENT_DISPOSITION);
    let read = given.and_then(|given| for_filepond(given.to_str().ok()?));
    if let Some(read) = read {
        answer
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, read);
    }
    answer
}

fn for_filepond(given: &str) -> Option<HeaderValue> {
    /// It takes quotes at either end off.
    const NOT_AS_IT_IS: &AsciiSet = &CONTROLS.add(b'"').add(b'\'').add(b'%').add(b'\\');
    let (kind, _) = given.split_once(';')?;
    let (_, name) = given.split_once("filename*=UTF-8''")?;
    let name = percent_decode_str(name).decode_utf8().ok()?;
    let name = utf8_percent_encode(&name, NOT_AS_IT_IS);
    HeaderValue::try_from(format!("{kind}; filename=\"{name}\"")).ok()
}

const NOT_FETCHED: Error = Error::BadRequest {
    what: "nothing is fetched from elsewhere here",
};

/// A refusal in one line.
pub(crate) fn refused(error: &Error) -> Response<Bytes> {
    let mut answer = text(problem::status(error), error.to_string());
    let code = problem::RefusalCode(error.code());
    answer.extensions_mut().insert(code);
    problem::advise(answer.headers_mut(), error);
    answer
}

/// A line, which nobody keeps.
fn text(status: StatusCode, text: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(text));
    *answer.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_filepond_reads_it() {
        for (given, expected) in [
            (
                "inline; filename=\"a, b.jpg\"; filename*=UTF-8''a%2C%20b.jpg",
                "inline; filename=\"a, b.jpg\"",
            ),
            (
                "attachment; filename=\"__ 100_\"; filename*=UTF-8''%E6%96%99%E7%90%86%20100%25",
                "attachment; filename=\"%E6%96%99%E7%90%86 100%25\"",
            ),
            (
                "attachment; filename=\"___\"; filename*=UTF-8''%22%27%5C",
                "attachment; filename=\"%22%27%5C\"",
            ),
        ] {
            assert_eq!(for_filepond(given).unwrap(), expected);
        }
        assert_eq!(for_filepond("attachment"), None);
    }
}
