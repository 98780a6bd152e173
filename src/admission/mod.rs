//! Whether there is room for an upload, asked before its body is read; and the place that it holds while it runs.
//!
//! ```text
//! head ─► admit: size ─► places ─► disk ─► store, owner ──► Place ──► moves along with the upload
//!           413     503, 429     507        507, 413          ├─ rest ─► it waits, unfinished ─► run: as above, once more
//!                                                             └─ dropped at any end: everything is given back
//! ```
//!
//! An upload that waits to be resumed runs no more, but is unfinished still, and what is stored of it counts on. After a
//! restart it is there again without being asked.
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
use crate::handlers::too_large;
use crate::store::{Held, Store};
use crate::threads::DataThreads;
use crate::upload::{Protocol, Upload};
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
    /// Unfinished uploads of one owner, running or waiting to be resumed; default 2,000.
    pub unfinished: usize,
    /// Unfinished uploads of all owners together; default 100,000.
    pub unfinished_in_all: usize,
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
            unfinished_in_all: 100_000,
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
    /// Whether an upload of so many bytes is too large, or one request with so many of them, whoever sends it and
    /// whatever there is room for.
    fn check_sizes(&self, upload: u64, request: u64) -> Result<(), Error> {
        match (self.upload_bytes, self.request_bytes) {
            (Some(limit), _) if upload > limit => Err(Error::UploadTooLarge { limit }),
            (_, Some(limit)) if request > limit => Err(Error::RequestTooLarge { limit }),
            _ => Ok(()),
        }
    }

    /// How far an upload may come that [`Self::check_sizes`] lets pass, in a request that found `before` bytes of it;
    /// `None` in no request.
    fn most_bytes(&self, before: Option<u64>) -> u64 {
        let request = self.request_bytes.zip(before);
        let request = request.map(|(most, before)| most.saturating_add(before));
        let limits = [self.upload_bytes, request];
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

    /// Decides on an upload that comes in one request by its head, before the first byte of its body.
    ///
    /// # Errors
    /// [`Error::UploadTooLarge`], [`Error::RequestTooLarge`], [`Error::TooManyUploads`],
    /// [`Error::TooManyFromAddress`], [`Error::TooManyUnfinished`], [`Error::DiskFull`], [`Error::StoreLimit`],
    /// [`Error::OwnerLimit`]; those of the terms on which it was let in: `file_too_large`, [`Error::BadTicket`].
    pub async fn admit(&self, upload: &Upload) -> Result<Place, Error> {
        self.begin(upload, upload.length).await
    }

    /// Decides on an upload that may come in several requests, the first of which says to carry `declared` bytes of it.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub async fn begin(&self, upload: &Upload, declared: Option<u64>) -> Result<Place, Error> {
        let declared = declared.unwrap_or(0);
        let length = upload.length.unwrap_or(declared);
        self.shared.options.check_sizes(length, declared)?;
        check_terms(upload, length)?;
        let running = self.shared.slots.run(upload.address)?;
        let unfinished = self.shared.slots.unfinished(upload.owner.key())?;
        self.shared.room.check(length).await?;
        let mut place = Place::resting(&self.shared, unfinished, upload.owner.key());
        place.run(Some(running), upload.length)?;
        spend_ticket(upload)?;
        Ok(place)
    }

    /// Lets an upload run again that rested: a request has come that says to carry `declared` more bytes of it. `length`
    /// is that of the whole upload as it is known by now, and the request comes from `upload`'s address. One that runs
    /// already goes on with the new request.
    ///
    /// # Errors
    /// As [`Admission::admit`], but for its ticket's; the place is then as it was.
    pub async fn run(
        &self,
        place: &mut Place,
        upload: &Upload,
        length: Option<u64>,
        declared: Option<u64>,
    ) -> Result<(), Error> {
        let (before, declared) = (place.received(), declared.unwrap_or(0));
        let all = length.unwrap_or(before.saturating_add(declared));
        self.shared.options.check_sizes(all, declared)?;
        check_terms(upload, all)?;
        let running = match place.is_running() {
            true => None,
            false => Some(self.shared.slots.run(upload.address)?),
        };
        self.shared.room.check(all.saturating_sub(before)).await?;
        place.run(running, length)
    }

    /// The place of an upload that was there before this run, `offset` bytes of it. It rests, and whatever the bounds
    /// are, it has it.
    #[must_use]
    pub fn restore(&self, upload: &Upload, offset: u64) -> Place {
        let owner = upload.owner.key();
        let unfinished = self.shared.slots.unfinished_as_before(owner);
        let mut place = Place::resting(&self.shared, unfinished, owner);
        place.declare(upload.length);
        place.rest(offset);
        place
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

/// Whether so many bytes are more than was granted. What a form declares is more than its files: it is counted while it comes.
fn check_terms(upload: &Upload, length: u64) -> Result<(), Error> {
    let most = upload.terms.as_ref().and_then(|terms| terms.max_size);
    let is_form = matches!(upload.protocol, Protocol::Form | Protocol::FilePond);
    match most {
        Some(most) if !is_form && length > most => Err(Error::Refused(too_large(most))),
        _ => Ok(()),
    }
}

/// A ticket lets one upload begin. Whatever else refused it has not spent the ticket.
fn spend_ticket(upload: &Upload) -> Result<(), Error> {
    match upload.terms.as_ref().and_then(|terms| terms.once.as_ref()) {
        Some(once) if !once.take() => Err(Error::BadTicket {
            why: "an upload has begun with it already",
        }),
        _ => Ok(()),
    }
}

impl Shared {
    fn refuse<T>(&self, error: Error) -> Result<T, Error> {
        self.short.notify_one();
        Err(error)
    }
}

#[cfg(test)]
mod tests;
