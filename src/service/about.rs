//! What a request is about, as its head says, for those who say who may.

use http::{Method, Uri, header};
use percent_encoding::percent_decode_str;

use super::Lift;
use crate::protocol::filepond::Wanted;
use crate::protocol::{Asked, headers, tus};
use crate::query::{self, GivenId};
use crate::rights::{About, Act};

impl Lift {
    pub(super) fn about(&self, act: Act, asked: &Asked) -> About {
        let path = self.below(asked.head.uri.path()).unwrap_or_default();
        let is_new = act == Act::Upload && is_new(path, asked);
        About {
            uploads: match is_new {
                true => Vec::new(),
                false => uploads(path, asked),
            },
            progress_ids: match act {
                Act::Watch => progress_ids(asked),
                _ => Vec::new(),
            },
            name: is_new.then(|| self.file_name(path, asked)).flatten(),
            length: length(asked),
            is_stream: is_stream(path, asked),
        }
    }

    /// What the file is called that a request is to bring.
    fn file_name(&self, path: &str, asked: &Asked) -> Option<String> {
        let fields = &asked.head.headers;
        let in_path = path
            .strip_prefix("/files/")
            .filter(|name| !name.is_empty() && asked.head.method == Method::PUT)
            .map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
        let attached = || headers::attached_name(fields).ok().flatten();
        let in_metadata = || {
            let text = fields.get("upload-metadata")?.to_str().ok()?;
            let most = self.tus.as_ref()?.options.metadata_bytes;
            tus::metadata::read(text, most).ok()?.split().0.name
        };
        in_path.or_else(attached).or_else(in_metadata)
    }
}

/// Whether an upload is to begin: it is named by nothing yet.
fn is_new(path: &str, asked: &Asked) -> bool {
    let is_put = asked.head.method == Method::PUT;
    let begins = is_put || asked.head.method == Method::POST;
    let in_chunks = path.starts_with("/filepond") && Wanted::of(asked) != Wanted::Upload(None);
    begins && !in_chunks
}

/// The uploads that the path and the query name.
fn uploads(path: &str, asked: &Asked) -> Vec<String> {
    if let Some(rest) = super::filepond::name(path) {
        let named = match Wanted::of(asked) {
            Wanted::Stored(id) | Wanted::Upload(Some(id)) => Some(id),
            Wanted::Upload(None) | Wanted::Elsewhere => Some(rest.to_owned()),
        };
        return named.filter(|name| !name.is_empty()).into_iter().collect();
    }
    let below = ["/files/", "/uploads/"];
    let named = below.iter().find_map(|folder| path.strip_prefix(folder));
    let named = named.and_then(|rest| rest.split('/').next());
    match named.filter(|name| !name.is_empty()) {
        Some(name) => vec![name.to_owned()],
        None if path == "/uploads" => ids(&asked.head.uri),
        None => Vec::new(),
    }
}

fn ids(uri: &Uri) -> Vec<String> {
    let ids = query::pairs(uri).filter(|(name, _)| name == "id");
    ids.filter_map(|(_, value)| Some(value?.into_owned()))
        .collect()
}

/// The progress ids that a watcher looks for: those in the query, else the one in the header.
fn progress_ids(asked: &Asked) -> Vec<String> {
    let given = query::pairs(&asked.head.uri).filter(|(name, _)| query::is_progress_id(name));
    let given: Vec<_> = given
        .filter_map(|(_, value)| Some(value?.into_owned()))
        .collect();
    match (given.is_empty(), GivenId::in_header(&asked.head.headers)) {
        (true, GivenId::Id(id)) => vec![id.as_str().to_owned()],
        _ => given,
    }
}

/// How long the upload is, or else the body.
fn length(asked: &Asked) -> Option<u64> {
    let fields = &asked.head.headers;
    let number = |name: &str| fields.get(name)?.to_str().ok()?.parse().ok();
    number("upload-length").or_else(|| number(header::CONTENT_LENGTH.as_str()))
}

/// Whether the answer is to be an event stream, whose client, a browser's `EventSource`, sends no fields of its own.
fn is_stream(path: &str, asked: &Asked) -> bool {
    let is_there = path == "/uploads" || path.starts_with("/uploads/");
    let accepts = asked.head.headers.get_all(header::ACCEPT).iter();
    let mut accepts = accepts.filter_map(|accept| accept.to_str().ok());
    is_there
        && asked.head.method == Method::GET
        && accepts.any(|accept| accept.contains("text/event-stream"))
}
