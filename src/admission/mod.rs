//! Whether there is room for an upload, asked before its body is read; and the place that it holds while it runs.
//!
//! ```text
//! head ─► admit: size ─► places ─► disk ─► store, owner ──► Place ──► moves along with the upload
//!           413     503, 429     507        507, 413          └─ dropped at any end: everything is given back
//! ```
//!
//! What a head says is believed only against the one who says it: declared bytes that have not come count with their
//! owner and nowhere else, so that nobody can fill the store with promises. In all, what counts is what
//! has come.
//!
//! The way of the bytes pays one comparison and one relaxed load for each write; where `--max-store-size` is set, or
//! `--max-owner-bytes` and the length is not known, one relaxed addition more. The disk is looked at from time to time,
//! never by a write.

mod place;
mod room;
mod slots;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::error::Error;
use crate::store::{Held, Store};
use crate::threads::DataThreads;
use crate::upload::Upload;
use room::Room;
use slots::Slots;

#[doc(hidden)]
pub use place::Place;

/// How many uploads may run, how large they may be, and how much must stay free. `None` is no limit.
#[derive(Clone, Debug)]
pub struct AdmissionOptions {
    /// Uploads at once in all; default 8,000.
    pub uploads: usize,
    /// Uploads at once from one address, IPv6 by /64; default 2,000.
    pub uploads_per_address: usize,
    /// Unfinished uploads of one owner; default 2,000. What runs is what is unfinished as long as nothing can resume.
    pub unfinished: usize,
    /// Body bytes of one upload.
    pub upload_bytes: Option<u64>,
    /// Body bytes of one request. Where an upload is one request, it bounds the upload.
    pub request_bytes: Option<u64>,
    /// Bytes that all uploads together may hold, finished or not.
    pub store_bytes: Option<u64>,
    /// Bytes that one owner's uploads together may hold, with those declared and still to come.
    pub owner_bytes: Option<u64>,
    /// Bytes of the file system that stay free; default 256 MiB, 0 for not looking.
    pub keep_free: u64,
    /// Inodes of the file system that stay free; default 1,000, 0 for not looking.
    pub keep_free_inodes: u64,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        Self {
            uploads: 8_000,
            uploads_per_address: 2_000,
            unfinished: 2_000,
            upload_bytes: None,
            request_bytes: None,
            store_bytes: None,
            owner_bytes: None,
            keep_free: 256 << 20,
            keep_free_inodes: 1_000,
        }
    }
}

impl AdmissionOptions {
    /// Whether a body of so many bytes is too large whoever sends it and whatever there is room for.
    fn check_size(&self, bytes: u64) -> Result<(), Error> {
        match (self.upload_bytes, self.request_bytes) {
            (Some(limit), _) if bytes > limit => Err(Error::UploadTooLarge { limit }),
            (_, Some(limit)) if bytes > limit => Err(Error::RequestTooLarge { limit }),
            _ => Ok(()),
        }
    }

    /// The largest body that [`Self::check_size`] lets pass.
    fn most_bytes(&self) -> u64 {
        let limits = [self.upload_bytes, self.request_bytes];
        limits.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// Lets uploads in. Clones share the bounds.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: AdmissionOptions,
    slots: Arc<Slots>,
    room: Arc<Room>,
    held: Arc<Held>,
    short: Arc<Notify>,
}

impl Admission {
    /// Lets uploads into `store`; its disk is looked at on `data` threads.
    #[must_use]
    pub fn start(options: AdmissionOptions, store: &Arc<dyn Store>, data: &DataThreads) -> Self {
        let slots = Arc::new(Slots::new(&options));
        Self {
            shared: Arc::new(Shared {
                room: Room::start(&options, store, data, &slots),
                held: store.held().unwrap_or_default(),
                short: Arc::default(),
                slots,
                options,
            }),
        }
    }

    /// Decides on an upload by its head, before the first byte of its body.
    ///
    /// # Errors
    /// [`Error::UploadTooLarge`], [`Error::RequestTooLarge`], [`Error::TooManyUploads`],
    /// [`Error::TooManyFromAddress`], [`Error::TooManyUnfinished`], [`Error::DiskFull`], [`Error::StoreLimit`],
    /// [`Error::OwnerLimit`].
    pub async fn admit(&self, upload: &Upload) -> Result<Place, Error> {
        let declared = upload.length.unwrap_or(0);
        self.shared.options.check_size(declared)?;
        let running = self.shared.slots.run(upload.address)?;
        let unfinished = self.shared.slots.unfinished(upload.owner.key())?;
        self.shared.room.check(declared).await?;
        Place::new(&self.shared, running, unfinished, upload)
    }

    /// How many uploads run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.slots.running()
    }

    /// The bounds.
    #[must_use]
    pub fn options(&self) -> &AdmissionOptions {
        &self.shared.options
    }

    /// Told whenever an upload was refused for want of room in the store or with its owner: files that the app has
    /// taken away since may make some.
    #[must_use]
    pub(crate) fn short_of_room(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.short)
    }
}

impl Shared {
    fn refuse<T>(&self, error: Error) -> Result<T, Error> {
        self.short.notify_one();
        Err(error)
    }
}
