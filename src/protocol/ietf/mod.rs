//! Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload): any upload can be resumed whose request says whether
//! it is complete.
//!
//! ```text
//! POST   /files/      Upload-Complete, bytes ──────────────► create.rs  ?0: 201, Location: /files/ID
//! PUT    /files/NAME  the same; POST /upload: a form ──────► create.rs  ?1: what it would be without
//! PATCH  /files/ID    Upload-Offset, Upload-Complete, bytes ► append.rs  ?0: 204; ?1: as above
//! HEAD   /files/ID    ─────────────────────────────────────► look.rs    204, Upload-Offset, Upload-Complete
//! DELETE /files/ID    ─────────────────────────────────────► end.rs     204
//! ```
//!
//! | file | what |
//! |---|---|
//! | `version.rs` | the drafts, and all in which they differ |
//! | `field.rs`, `head.rs` | structured fields, and heads made of them, become types |
//! | `create.rs`, `append.rs`, `look.rs`, `end.rs` | one for each thing that a client asks |
//! | `offer.rs` | what OPTIONS says of it |
//! | `told.rs`, `early.rs` | what is told of an upload: in answers and refusals; before the answer, by 104 |
//!
//! It lives at tus's URLs, told apart by header fields, and it is the same upload behind both: what it is between its
//! requests is the affair of `unfinished`. Names in quotes in these files are of the draft's sections.

use super::{Asked, Inbound};
use crate::receive::Body;
use crate::unfinished::Append;

mod append;
mod create;
mod early;
mod end;
pub mod field;
pub mod head;
mod look;
mod offer;
mod told;
pub mod version;

pub(crate) use append::patch;
pub(crate) use create::{Target, begin};
pub(crate) use end::delete;
pub(crate) use head::{is_spoken, says_complete};
pub(crate) use look::{ended, look};
pub(crate) use offer::offer;

/// The protocol as one service speaks it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ietf {
    /// Whether the `Location` of a new upload is a whole URL; else it is a path.
    pub(crate) absolute_location: bool,
    /// Bytes of `Upload-Metadata`, by which clients of tus name a file here too.
    pub(crate) metadata_bytes: usize,
    /// The most bytes that an upload of one file may have, by all that bounds it.
    pub(crate) max_size: Option<u64>,
}

/// What each of these files is given: the service's part, and the request's.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) inbound: &'a Inbound,
    pub(crate) ietf: &'a Ietf,
    pub(crate) asked: &'a Asked,
}

impl Here<'_> {
    /// The request's bytes, to go on at `offset` with.
    fn append(self, offset: u64, body: Body) -> Append {
        Append::new(offset, body, self.asked.address, self.asked.head.clone())
    }
}
