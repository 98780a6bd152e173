//! The pump, on a data thread: body → tap → handlers → store, the only place where they meet.
//!
//! ```text
//! Body ──frames──► Split ──pieces──► field: kept in memory, within a bound
//!   │                        └─────► file:  handlers ──► Session::write
//!   └─► Tap (bytes off the wire)
//! ```
//!
//! [`Receiver::begin`] makes an empty [`Received`] and [`Received::take_in`] takes a body to its end: fields in memory,
//! files in the store but out of sight. [`Received::commit`] makes them visible. Whatever breaks off on the way leaves nothing in the
//! store and ends the upload's record in a state that says why.

use std::sync::Arc;

use bytes::Bytes;

use crate::admission::Place;
use crate::handlers::{Chain, FileHandlers};
use crate::name::{OnConflict, Template};
use crate::progress::Tap;
use crate::store::{Session, Store};
use crate::upload::{FileFacts, FileHead, Upload};

mod arrived;
mod between;
mod body;
mod checkpoint;
mod checksum;
mod digests;
mod end;
mod hand_off;
#[cfg(feature = "server")]
mod handed;
mod leave;
mod pace;
mod pieces;
mod pump;
mod resume;
mod skeleton;
mod split;
mod terms;
mod whole;
mod window;

use resume::Resumable;

pub(crate) use arrived::Arrived;
pub use body::Body;
pub(crate) use checkpoint::Kept;
pub(crate) use checksum::{ALGORITHMS, Check, Checksum};
pub use digests::Digests;
pub(crate) use digests::{CONTENT as CONTENT_DIGEST, REPR as REPR_DIGEST};
pub use hand_off::{AppAnswer, HandOff, Told};
#[cfg(feature = "server")]
pub(crate) use handed::{Handed, Part};
pub use pace::PaceOptions;
pub(crate) use resume::{OnKept, Words};
#[cfg(feature = "server")]
pub(crate) use skeleton::{Skeleton, Span};
pub(crate) use split::Shape;
pub use split::{Piece, Raw, Split};
#[cfg(feature = "server")]
pub(crate) use terms::{LastWord, Word};
pub(crate) use window::WindowOptions;

/// How much of a form is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Files of one upload; default 1,000.
    pub files: usize,
    /// Form fields that are no files; default 1,000.
    pub fields: usize,
    /// Bytes of one field's value; default 1 MiB.
    pub field_size: usize,
    /// Bytes of all fields of one upload, names and values together, and of the names and types of its files; they are
    /// kept in memory until its end. Default 1 MiB.
    pub field_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 1000,
            fields: 1000,
            field_size: 1024 * 1024,
            field_bytes: 1024 * 1024,
        }
    }
}

/// How stored files are called.
#[derive(Clone, Default, Debug)]
pub struct Naming {
    /// What the name is made of.
    pub template: Template,
    /// What happens when it is taken.
    pub on_conflict: OnConflict,
}

/// Takes bodies in: the store, the chain of handlers and the limits that all uploads share.
#[derive(Clone)]
pub struct Receiver {
    /// Where bytes rest.
    pub store: Arc<dyn Store>,
    /// What they pass through.
    pub chain: Chain,
    /// How much of a form is taken.
    pub limits: Limits,
    /// How slowly it may come.
    pub pace: PaceOptions,
    /// Makes what splits a form whose saved state is to be restored.
    pub form: Arc<dyn Fn() -> Box<dyn Split> + Send + Sync>,
    /// Who is told of an upload before it is done, if anybody.
    pub hand_off: Option<Arc<dyn HandOff>>,
}

impl Receiver {
    /// An upload of which no byte has come. It keeps its `place` until nothing of it is under way.
    ///
    /// It lies on the heap, once: a slow upload waits in a row of futures, and each would keep room for it.
    #[must_use]
    pub fn begin(&self, upload: Box<Upload>, tap: Tap, place: Place) -> Box<Received> {
        let mut received = self.empty(upload);
        received.tap = Some(tap);
        received.place = Some(place);
        received.hears_terms();
        received
    }

    fn empty(&self, upload: Box<Upload>) -> Box<Received> {
        Box::new(Received {
            receiver: self.clone(),
            upload,
            tap: None,
            place: None,
            session: None,
            handlers: Vec::new(),
            files: Vec::new(),
            fields_before: Vec::new(),
            fields: Vec::new(),
            field_bytes: 0,
            begun: 0,
            taken: 0,
            current: Current::Nothing,
            frames: Vec::new(),
            is_due: false,
            resumable: None,
            skeleton: None,
        })
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("chain", &self.chain)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What has come of an upload, not yet visible in the store. Dropping it removes it.
pub struct Received {
    receiver: Receiver,
    upload: Box<Upload>,
    /// Gone when the upload has ended.
    tap: Option<Tap>,
    place: Option<Place>,
    /// Opened with the first file.
    session: Option<Box<dyn Session>>,
    /// Those of every file, skipped ones too: all hear how the upload ends.
    handlers: Vec<FileHandlers>,
    files: Vec<FileFacts>,
    /// How many fields stand before each of these files.
    fields_before: Vec<usize>,
    fields: Vec<(String, String)>,
    field_bytes: usize,
    /// Files begun, left out ones too.
    begun: usize,
    /// Body bytes taken before the frames at hand.
    taken: u64,
    current: Current,
    /// Bytes of the current file that wait for the next write.
    frames: Vec<Bytes>,
    /// Its hand-off is written down with its files.
    is_due: bool,
    /// Only of an upload that outlives its requests.
    resumable: Option<Box<Resumable>>,
    /// Only of a form that is to be put together again.
    skeleton: Option<Box<skeleton::Growing>>,
}

enum Current {
    Nothing,
    /// The rest of a file that a handler skipped.
    Skipped,
    Field {
        name: String,
        value: Vec<u8>,
    },
    /// A file without a name, of which no byte has come yet.
    Head(FileHead),
    File(FileFacts),
}

impl Received {
    /// The form's fields that are no files, in the order in which they came.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received")
            .field("id", &self.upload.id)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
