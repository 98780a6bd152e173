//! tus 1.0: an upload is begun by POST, filled by any number of PATCHes and asked for by HEAD, until all of it is here.
//!
//! ```text
//! POST   /files/    Upload-Length, Upload-Metadata ──► create.rs   201, Location: /files/ID
//! PATCH  /files/ID  Upload-Offset, bytes ────────────► patch.rs    204, Upload-Offset
//! HEAD   /files/ID  ─────────────────────────────────► look.rs     204, Upload-Offset
//! DELETE /files/ID  ─────────────────────────────────► end.rs      204
//! OPTIONS           ─────────────────────────────────► options.rs  204, Tus-Extension
//! ```
//!
//! | file | what |
//! |---|---|
//! | `head.rs`, `metadata.rs`, `concat.rs` | header fields become types |
//! | `create.rs`, `patch.rs`, `look.rs`, `end.rs`, `options.rs` | one for each thing that a client asks |
//! | `told.rs` | what is told of an upload, as header fields; refusals |
//!
//! What an upload is between its requests, who writes to it and what is kept of it is the affair of `unfinished`. The rule
//! for all of this is <https://tus.io/protocols/resumable-upload>, which the names of sections in these files are of.
//! Other protocols will live at the same URLs: a request that speaks none is refused only where tus alone takes its method.

use bytes::Bytes;
use http::{Method, Response};

use super::{Asked, Inbound};
use crate::receive::Body;
use crate::unfinished::Offers;

pub mod concat;
mod create;
mod end;
pub mod head;
mod look;
pub mod metadata;
mod options;
mod patch;
mod told;

pub(crate) use head::is_spoken;
pub(crate) use look::look;
pub(crate) use options::offer;
pub(crate) use told::speak;

/// How tus is spoken, and how much of its lists is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TusOptions {
    /// Whether the `Location` of a new upload is a whole URL, with scheme and host as the client or a trusted proxy
    /// writes them; a path unless said.
    pub absolute_location: bool,
    /// Bytes of `Upload-Metadata`; default 4 KiB. They are kept with the upload.
    pub metadata_bytes: usize,
    /// Uploads of which one is put together; default 300.
    pub partials: usize,
}

impl Default for TusOptions {
    fn default() -> Self {
        Self {
            absolute_location: false,
            metadata_bytes: 4096,
            partials: 300,
        }
    }
}

/// tus as one service speaks it.
#[derive(Clone, Debug)]
pub(crate) struct Tus {
    pub(crate) options: TusOptions,
    /// What there is to offer.
    pub(crate) offers: Offers,
    /// The most bytes that an upload may have, by all that bounds it.
    pub(crate) max_size: Option<u64>,
}

/// Answers a POST, PATCH or DELETE below `/files/`, where `name` is the rest of the path.
pub(crate) async fn answer(
    inbound: &Inbound,
    tus: &Tus,
    name: &str,
    asked: &Asked,
    body: Body,
) -> Response<Bytes> {
    match asked.head.method {
        Method::POST => create::post(inbound, tus, asked, body).await,
        Method::PATCH => patch::patch(inbound, name, asked, body).await,
        _ => end::delete(inbound, name, asked).await,
    }
}
