//! Uploads that outlive their requests: begun by one, filled by others, ended by the last or by time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;

use crate::error::Error;
use crate::progress::Progress;
use crate::receive::{Body, Check};
use crate::upload::{FileHead, Remembered, Upload, UploadId};

mod options;

pub use options::ResumeOptions;

/// All unfinished uploads of one service. Clones share them.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Unfinished {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: ResumeOptions,
}

impl Unfinished {
    /// Takes up what the store has.
    pub(crate) fn start(options: ResumeOptions) -> Self {
        Self {
            shared: Arc::new(Shared { options }),
        }
    }
}

/// What is offered to clients that can resume.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offers {
    /// How long an upload that nobody goes on with is kept.
    pub(crate) expire_after: Option<Duration>,
    /// The most bytes of one upload.
    pub(crate) upload_bytes: Option<u64>,
    /// The most bytes of one request.
    pub(crate) request_bytes: Option<u64>,
}

/// A request that brings more of an upload.
#[derive(Debug)]
pub(crate) struct Append {
    /// Where it goes on, in body bytes from the start.
    pub(crate) offset: u64,
    /// The upload's length, where the client says it only now.
    pub(crate) length: Option<u64>,
    /// The bytes.
    pub(crate) body: Body,
    /// What they must add up to, where the client says so.
    pub(crate) check: Option<Check>,
    /// Where the client is.
    pub(crate) address: IpAddr,
    /// The request's head.
    pub(crate) head: Arc<Parts>,
}

/// An upload as its client may know it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// Its id.
    pub(crate) id: UploadId,
    /// Where its kept bytes end.
    pub(crate) offset: u64,
    /// Body bytes in all, as soon as they are known.
    pub(crate) length: Option<u64>,
    /// Whether all of them are there: it is stored, or, a partial upload, ready to be put together with others.
    pub(crate) complete: bool,
    /// What was settled about it.
    pub(crate) remembered: Remembered,
    /// When it ends if nobody goes on with it; `None` for never, and for one that is stored.
    pub(crate) expires_at: Option<SystemTime>,
    /// Its record, where there is one.
    pub(crate) progress: Option<Arc<Progress>>,
}

impl Unfinished {
    /// What can be offered; `None` where the store keeps nothing of an upload whose session has ended, or a handler cannot
    /// go on after an interruption.
    pub(crate) fn offers(&self) -> Option<Offers> {
        None
    }

    /// Begins an upload: its record, its place, its first checkpoint. One of no bytes is complete at once.
    ///
    /// # Errors
    /// Those of admission; [`Error::NotResumable`]; what handlers and store say. Its record says so too.
    pub(crate) async fn create(
        &self,
        upload: Box<Upload>,
        about: Remembered,
        head: FileHead,
    ) -> Result<Status, Error> {
        let _ = (upload, about, head, self.shared.options);
        Err(Error::NotFound)
    }

    /// An unfinished upload as of its last checkpoint, at once: no lock, no disk.
    pub(crate) fn look(&self, id: &UploadId) -> Option<Status> {
        let _ = id;
        None
    }

    /// Has whoever writes to the upload let go of it, and tells how far it is: what a client asks before it goes on. Of a
    /// finished one it tells that it is complete, where it was begun here.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub(crate) async fn settle(&self, id: &UploadId) -> Result<Status, Error> {
        let _ = id;
        Err(Error::NotFound)
    }

    /// Takes in what the request brings, and completes the upload with its last byte.
    ///
    /// It runs on its own: whoever drops the future only stops waiting for it. After an error [`Unfinished::look`] tells
    /// what is kept, if anything is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OffsetMismatch`], [`Error::LengthMismatch`], [`Error::FinalUpload`],
    /// [`Error::ChecksumMismatch`], [`Error::Superseded`], [`Error::NotResumable`], and whatever can break an upload.
    pub(crate) async fn append(&self, id: &UploadId, append: Append) -> Result<Status, Error> {
        let _ = (id, append);
        Err(Error::NotFound)
    }

    /// Begins an upload that is put together of others, which `about.concat` names. It is complete when it comes back,
    /// unless one of them is not or it takes long: then it goes on by itself.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one of the parts is not there, [`Error::BadRequest`] when it is no part; else as
    /// [`Unfinished::create`] and [`Unfinished::append`].
    pub(crate) async fn join(
        &self,
        upload: Box<Upload>,
        about: Remembered,
        head: FileHead,
    ) -> Result<Status, Error> {
        let _ = (upload, about, head);
        Err(Error::NotFound)
    }

    /// Ends an unfinished upload with `why`; `false` when it is none, or has been completed meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn end(&self, id: &UploadId, why: Error) -> Result<bool, Error> {
        let _ = (id, why);
        Ok(false)
    }

    /// How many there are, and how many bytes are kept of them.
    pub(crate) fn held(&self) -> (usize, u64) {
        (0, 0)
    }
}
