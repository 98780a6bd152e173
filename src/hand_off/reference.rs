//! A form given with its files where they lie: in the place of each file stand fields that name it, and before all others one
//! that says the same, signed.
//!
//! ```text
//! dumbwaiter.statement = JWT {method, path, upload, files: [{field, name, path, …}]}
//! title                = Paella            the client's fields, in their order
//! picture.name         = paella.jpg ┐
//! picture.path         = /srv/…     │
//! picture.content_type = image/jpeg ├      where the file was
//! picture.size         = 307200     │
//! picture.sha256       = …          ┘      with `--digest sha256`
//! ```
//!
//! The plain fields are for reading; what a file is, the app takes from the statement, which nobody else can make, which is
//! for this one request and for five minutes. What a client sends under such a name does not get through: see `forged`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use super::forged::{Forged, SAID, STATEMENT};
use crate::error::Error;
use crate::name;
use crate::protocol::Asked;
use crate::receive::{Body, Handed, Part};
use crate::signed::{Audience, Keys};
use crate::upload::{FileFacts, Owner, UploadId};

/// How long a statement counts.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

/// What a client says of a body that it will not be any more.
const OF_THE_BODY: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
];

/// By what stored files are referred to.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Sign the statement; the app knows them too.
    pub(crate) keys: Keys,
    /// The folder in which the store keeps its files, as the app sees it.
    pub(crate) folder: PathBuf,
}

/// Whether the app is asked for this, and under which path.
pub(super) struct Target<'a> {
    pub(super) method: &'a str,
    /// With the query.
    pub(super) path: &'a str,
}

/// A form made anew.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
    /// How many of the client's fields are not in it.
    pub(super) dropped: usize,
}

/// What is signed.
#[derive(Serialize)]
struct Statement<'a> {
    method: &'a str,
    path: &'a str,
    upload: String,
    /// Whom the app itself named.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    files: Vec<&'a File<'a>>,
}

/// What is said of a file.
#[derive(Serialize)]
struct File<'a> {
    field: &'a str,
    /// The client's name for it, cleaned.
    name: String,
    /// From the file system's root.
    path: String,
    content_type: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

impl Reference {
    /// The form of an upload whose files are stored; `names` is what the client called them.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be signed.
    pub(super) fn rewrite(
        &self,
        handed: &Handed,
        names: &[Option<String>],
        target: &Target<'_>,
    ) -> Result<Rewritten, Error> {
        let forged = forged(handed);
        let folder = self.folder.canonicalize();
        let folder = folder.as_deref().unwrap_or(&self.folder);
        let files = handed.files().iter().zip(names);
        let files: Vec<_> = files
            .map(|(facts, name)| File::new(folder, facts, name))
            .collect();
        let mut form = Form::new();
        form.field(STATEMENT, &self.state(handed, &files, target)?);
        let (mut dropped, mut stored) = (0, files.iter());
        for part in handed.parts() {
            match part {
                Part::Field((name, _)) if forged.is(name) => dropped += 1,
                Part::Field((name, value)) => form.field(name, value),
                Part::File(_) => stored.next().into_iter().for_each(|file| form.file(file)),
            }
        }
        Ok(form.end(dropped))
    }

    fn state(
        &self,
        handed: &Handed,
        files: &[File<'_>],
        target: &Target<'_>,
    ) -> Result<String, Error> {
        let upload = handed.upload();
        let says = Statement {
            method: target.method,
            path: target.path,
            upload: upload.id.to_string(),
            owner: match &upload.owner {
                Owner::Named(name) => Some(name),
                Owner::Cookie(_) | Owner::Address(_) => None,
            },
            files: files.iter().collect(),
        };
        self.keys.sign(Audience::Statement, GOOD_FOR, &says)
    }
}

/// The path and query without parameters that only we may send.
pub(super) fn target(handed: &Handed, target: PathAndQuery) -> PathAndQuery {
    without(&forged(handed), Some(handed.upload().id), target)
}

/// Takes out of a request's head what no longer holds of its body.
pub(super) fn clear(fields: &mut HeaderMap) {
    for name in OF_THE_BODY {
        fields.remove(name);
    }
}

/// Reads a form without files to its end, and takes out of it, and of the query, what only we may send.
///
/// # Errors
/// [`Error::LimitExceeded`] behind `most` bytes, [`Error::WrongContentType`] for one in which nothing can be found, and
/// those of the body.
pub(super) async fn plain(asked: &mut Asked, mut body: Body, most: usize) -> Result<Bytes, Error> {
    let head = std::sync::Arc::make_mut(&mut asked.head);
    if head.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Error::WrongContentType {
            expected: "application/x-www-form-urlencoded, in no encoding",
        });
    }
    let (mut text, mut frames) = (Vec::new(), Vec::new());
    while body.frames(&mut frames).await? {
        frames
            .drain(..)
            .for_each(|frame| text.extend_from_slice(&frame));
        if text.len() > most {
            return Err(Error::LimitExceeded {
                what: "bytes of fields",
                limit: most as u64,
            });
        }
    }
    let forged = Forged::default();
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    uri.path_and_query = uri
        .path_and_query
        .map(|target| without(&forged, None, target));
    head.uri = uri.try_into().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let (kept, dropped) = forged.without(&text);
    tell(None, dropped);
    clear(&mut head.headers);
    let kept = Bytes::copy_from_slice(kept.as_bytes());
    head.headers
        .insert(header::CONTENT_LENGTH, kept.len().into());
    Ok(kept)
}

/// Says so in the log when a client sent what only we may send.
pub(super) fn tell(upload: Option<UploadId>, dropped: usize) {
    if dropped > 0 {
        let upload = upload.map(|id| id.short());
        tracing::warn!(
            upload,
            dropped,
            "fields that only this server may send are dropped"
        );
    }
}

fn forged(handed: &Handed) -> Forged {
    let files = handed.files().iter();
    Forged::beside(files.filter_map(|file| file.field.as_deref()))
}

fn without(forged: &Forged, upload: Option<UploadId>, target: PathAndQuery) -> PathAndQuery {
    let (kept, dropped) = forged.without(target.query().unwrap_or_default());
    tell(upload, dropped);
    let path = target.path();
    let kept = match (dropped, kept.is_empty()) {
        (0, _) => return target,
        (_, true) => path.parse(),
        (_, false) => format!("{path}?{kept}").parse(),
    };
    kept.expect("a part of a query is one")
}

impl<'a> File<'a> {
    fn new(folder: &Path, facts: &'a FileFacts, name: &Option<String>) -> Self {
        let stored = facts.name.as_deref().unwrap_or_default();
        let last = stored.rsplit('/').next().unwrap_or_default();
        let given = name.as_deref().and_then(name::clean);
        let digest = facts.digest.as_deref();
        Self {
            field: facts.field.as_deref().unwrap_or_default(),
            name: given.unwrap_or_else(|| last.to_owned()),
            path: folder.join(stored).to_string_lossy().into_owned(),
            content_type: facts.content_type.as_deref().unwrap_or_default(),
            size: facts.length,
            sha256: digest.and_then(|digest| digest.strip_prefix("sha256:")),
        }
    }

    fn said(&self, what: &str) -> Option<String> {
        match what {
            "name" => Some(self.name.clone()),
            "path" => Some(self.path.clone()),
            "content_type" => Some(self.content_type.to_owned()),
            "size" => Some(self.size.to_string()),
            _ => self.sha256.map(str::to_owned),
        }
    }
}

/// A form as it is written, with a boundary that nobody knew before.
struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    fn new() -> Self {
        Self {
            boundary: format!("dumbwaiter-{}", UploadId::random()),
            body: Vec::new(),
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        let (boundary, name) = (&self.boundary, escaped(name));
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        for text in [&head, value, "\r\n"] {
            self.body.extend_from_slice(text.as_bytes());
        }
    }

    fn file(&mut self, file: &File<'_>) {
        for what in SAID {
            if let Some(value) = file.said(what) {
                self.field(&format!("{}.{what}", file.field), &value);
            }
        }
    }

    fn end(mut self, dropped: usize) -> Rewritten {
        let boundary = &self.boundary;
        self.body
            .extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let content_type =
            HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
        Rewritten {
            content_type: content_type.expect("a boundary is of letters and digits"),
            body: self.body.into(),
            dropped,
        }
    }
}

/// A name between quotes, as browsers write it (HTML, "multipart/form-data encoding algorithm"). A backslash too, which
/// some parsers take as a mark that the next character is meant.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => text.push_str("%22"),
            '\\' => text.push_str("%5C"),
            c if c.is_ascii_control() => text.push_str(&format!("%{:02X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests;
