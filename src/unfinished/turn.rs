//! One turn at an upload, and how it ends.
//!
//! | what happened | what becomes of the upload |
//! |---|---|
//! | all its bytes are there | stored and visible: `done` |
//! | the request has ended, more is to come | kept, at rest: as it was |
//! | cut off, too slow, asked to let go, server stops, no room, a wrong checksum | kept, at rest: `interrupted` |
//! | cut off before anybody has been told where it is | gone: `error` |
//! | refused by a handler, cancelled, a failed sync, a name that is taken | gone: `error` |

use std::sync::Arc;

use http::Request;

use super::table::{Entry, Writer};
use super::{Shared, Status};
use crate::admission::Place;
use crate::error::Error;
use crate::lock::Lock;
use crate::receive::Received;
use crate::store::Open;
use crate::upload::{Concat, UploadId};

/// The right to change an upload, as long as no newer one has it.
pub(super) struct Turn {
    shared: Arc<Shared>,
    id: UploadId,
    lock: Lock,
    writer: Writer,
    /// How it ends has been told.
    closed: bool,
    /// Nobody has been told where the upload is.
    pub(super) untold: bool,
}

impl Turn {
    pub(super) fn new(shared: Arc<Shared>, id: UploadId, lock: Lock, writer: Writer) -> Self {
        Self {
            shared,
            id,
            lock,
            writer,
            closed: false,
            untold: false,
        }
    }

    pub(super) fn lock(&self) -> &Lock {
        &self.lock
    }

    pub(super) fn id(&self) -> UploadId {
        self.id
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Changes what is known of the upload, unless a newer turn has begun.
    pub(super) fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.shared.table().of(&self.id, self.writer) {
            change(entry);
        }
    }

    /// Ends the turn after a request, which came to its end or broke off.
    pub(super) async fn close(
        self,
        mut received: Box<Received>,
        came: Result<(), Error>,
    ) -> Result<Status, Error> {
        let partial = received.about().concat == Some(Concat::Partial);
        match came {
            Ok(()) if received.is_whole() && !partial => self.store(received).await,
            Ok(()) => match received.keep().await {
                Ok(()) => self.rest(received).await,
                Err(error) => self.broken(received, error).await,
            },
            Err(error) => self.broken(received, error).await,
        }
    }

    async fn store(mut self, mut received: Box<Received>) -> Result<Status, Error> {
        let is_ours = self.shared.table().begin_store(&self.id, self.writer);
        if !is_ours {
            return self.broken(received, Error::Superseded).await;
        }
        match received.complete(&self.shared.naming).await {
            Ok(files) => {
                let (about, kept) = (received.about().clone(), Arc::clone(received.kept()));
                self.change(|entry| (entry.about, entry.kept) = (about, kept));
                let status = self.forget();
                received.completed(files);
                let stored = |status: Status| Status {
                    offset: status.length.unwrap_or(status.offset),
                    complete: true,
                    ..status
                };
                status.map(stored).ok_or(Error::Superseded)
            }
            Err(error) => {
                self.shared.table().has_not_stored(&self.id, self.writer);
                match error {
                    // Of one request that means that nothing of it is kept, of all of them that nothing is.
                    Error::DigestMismatch => self.fail(received, error).await,
                    _ => self.broken(received, error).await,
                }
            }
        }
    }

    /// Something has broken off: what came before is kept, where the upload can go on behind it.
    async fn broken(self, mut received: Box<Received>, error: Error) -> Result<Status, Error> {
        let lost = self.untold && matches!(error, Error::ClientGone);
        if lost || !is_kept_after(&error) {
            return self.fail(received, error).await;
        }
        if received.is_sound()
            && let Err(worse) = received.keep().await
            && !is_kept_after(&worse)
        {
            return self.fail(received, worse).await;
        }
        if !received.is_sound() && !self.is_still_there().await {
            return self.fail(received, error).await;
        }
        received.pause().await;
        let place = received.interrupt(&error);
        self.let_go(received, place);
        Err(error)
    }

    /// Whether a checkpoint is left to go on from: storing may have taken it.
    async fn is_still_there(&self) -> bool {
        let store = &self.shared.receiver.store;
        !matches!(store.unfinished(&self.id).await, Ok(None))
    }

    /// More is to come.
    async fn rest(self, mut received: Box<Received>) -> Result<Status, Error> {
        received.pause().await;
        let (id, shared) = (self.id, Arc::clone(&self.shared));
        let whole = received.is_whole();
        let place = match whole {
            true => received.is_a_part(),
            false => received.rest(),
        };
        let status = self.let_go(received, place);
        if whole {
            shared.join_with(&id);
        }
        status.ok_or(Error::Superseded)
    }

    /// Ends the upload for good, with all that is stored of it.
    pub(super) async fn fail(
        mut self,
        mut received: Box<Received>,
        error: Error,
    ) -> Result<Status, Error> {
        if self.is_current() {
            let removed = match received.has_session() {
                true => received.abandon().await,
                false => self.shared.remove(&self.id).await,
            };
            if let Err(failed) = removed {
                let cause = std::error::Error::source(&failed).map(ToString::to_string);
                let upload = self.id.short();
                tracing::warn!(upload, cause, "what was kept could not be removed");
            }
            self.forget();
        }
        received.fail(&error);
        Err(error)
    }

    /// Removes what is stored; says whether that went well.
    pub(super) async fn remove(&self) -> bool {
        self.shared.remove(&self.id).await.is_ok()
    }

    fn is_current(&self) -> bool {
        self.shared.table().of(&self.id, self.writer).is_some()
    }

    /// The upload rests; it stays open if it may. Tells how far it is, before anybody else has it.
    pub(super) fn let_go(
        mut self,
        received: Box<Received>,
        place: Option<Place>,
    ) -> Option<Status> {
        self.closed = true;
        let (about, kept) = (received.about().clone(), Arc::clone(received.kept()));
        let mut table = self.shared.table();
        if let Some(entry) = table.of(&self.id, self.writer) {
            entry.kept = kept;
            // What no checkpoint has is not settled: a length that came with bytes which add up to something else.
            if received.is_sound() {
                entry.about = about;
            }
        }
        let open = received.is_sound().then_some(received);
        let gone = table.let_go(&self.id, self.writer, place, open);
        let status = table.status(&self.id, self.shared.options.expire_after);
        drop(table);
        drop(gone);
        status
    }

    /// The upload is as it was: nothing has come of this turn.
    pub(super) fn give_back(&mut self, received: Option<Box<Received>>, place: Option<Place>) {
        self.closed = true;
        let gone = self
            .shared
            .table()
            .let_go(&self.id, self.writer, place, received);
        drop(gone);
    }

    /// The upload is at its last checkpoint, and counts on; what has none was never begun.
    fn vanish(&mut self) {
        let known = |entry: &mut Entry| (entry.about.clone(), Arc::clone(&entry.kept));
        let known = self.shared.table().of(&self.id, self.writer).map(known);
        match known {
            Some((about, kept)) if kept.stands() => {
                let (head, ()) = Request::new(()).into_parts();
                let upload = about.upload(self.id, Arc::new(head));
                let place = self.shared.admission.restore(&upload, kept.offset());
                self.give_back(None, Some(place));
            }
            Some(_) => drop(self.forget()),
            None => {}
        }
    }

    /// The upload is unfinished no more; tells how it was last. Whoever waits for it still waits, until its record says
    /// the same.
    pub(super) fn forget(&mut self) -> Option<Status> {
        self.closed = true;
        let mut table = self.shared.table();
        let status = table.status(&self.id, None);
        let entry = table.forget(&self.id, self.writer)?;
        drop(table);
        if entry.about.concat == Some(Concat::Partial) {
            self.shared.end_without(&self.id);
        }
        status
    }
}

impl Drop for Turn {
    /// A handler may have panicked.
    fn drop(&mut self) {
        if !self.closed {
            self.vanish();
        }
        self.shared.let_go.notify_waiters();
    }
}

impl Shared {
    /// Removes all that the store has of an unfinished upload.
    pub(super) async fn remove(&self, id: &UploadId) -> Result<(), Error> {
        match self.receiver.store.open(id, Open::Take).await {
            Ok(session) => session.abandon().await,
            Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether an upload that this has broken off can go on.
fn is_kept_after(error: &Error) -> bool {
    matches!(
        error,
        Error::ClientGone
            | Error::Stalled { .. }
            | Error::TooSlow { .. }
            | Error::TookTooLong { .. }
            | Error::ShuttingDown
            | Error::Superseded
            | Error::DiskFull
            | Error::StoreLimit
            | Error::OwnerLimit
            | Error::RequestTooLarge { .. }
            | Error::BadRequest { .. }
            | Error::ChecksumMismatch
            | Error::DigestMismatch
            | Error::LengthMismatch { .. }
            | Error::NotResumable { .. }
            | Error::AskFailed
    )
}
