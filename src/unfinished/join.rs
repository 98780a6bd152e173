//! An upload that is put together of others (tus 1.0, "Concatenation").
//!
//! The parts' bytes flow as if a client sent them, through the handlers, into a file of its own. The parts stay as they
//! are: they may be used again, and go when they are too old.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::table::Table;
use super::{Append, Shared, Status};
use crate::error::Error;
use crate::receive::{Body, Shape};
use crate::store::Store;
use crate::upload::{Concat, FileHead, Remembered, Upload, UploadId};

/// How long an answer waits for an upload to be put together. Then it goes on by itself.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much is read at once, and how many such pieces wait to be written.
const READ: usize = 256 * 1024;
const AHEAD: usize = 2;

impl Shared {
    pub(super) async fn join(
        self: Arc<Self>,
        mut upload: Box<Upload>,
        mut about: Remembered,
        head: FileHead,
    ) -> Result<Status, Error> {
        let id = upload.id;
        upload.length = self.length_of(&about)?;
        about.length = upload.length;
        let status = Arc::clone(&self)
            .create(upload, about, Shape::File(head))
            .await?;
        // One of them may have gone meanwhile, when nobody waited for it yet.
        if self.table().is_forlorn(&id) {
            self.end_forlorn(id).await;
            return Err(Error::NotFound);
        }
        if status.complete {
            return Ok(status);
        }
        let joined = self.put_together_once(id);
        match tokio::time::timeout(PATIENCE, joined).await {
            Ok(joined) => joined,
            Err(_) => self.look(&id).ok_or(Error::NotFound),
        }
    }

    /// How long it will be, if all of its parts know how long they are.
    fn length_of(&self, about: &Remembered) -> Result<Option<u64>, Error> {
        let Some(Concat::Final { parts, .. }) = &about.concat else {
            return Err(Error::store("this upload is not made of others"));
        };
        let mut sum = Some(0_u64);
        for part in parts {
            let part = self.look(part).ok_or(Error::NotFound)?;
            if part.remembered.concat != Some(Concat::Partial) {
                return Err(Error::BadRequest {
                    what: "an upload is put together of partial ones",
                });
            }
            let both = sum.zip(part.length);
            sum = both.and_then(|(sum, length)| sum.checked_add(length));
        }
        Ok(sum)
    }

    /// Has everything put together that waits for nothing more.
    pub(super) fn join_ready(self: &Arc<Self>) {
        let ready = self.table().ready();
        self.join_all(ready);
    }

    /// Has put together what waited for this part alone.
    pub(super) fn join_with(self: &Arc<Self>, part: &UploadId) {
        let ready = self.table().ready_with(part);
        self.join_all(ready);
    }

    fn join_all(self: &Arc<Self>, ready: Vec<UploadId>) {
        for id in ready {
            let this = Arc::clone(self);
            self.data.spawn(Box::pin(async move {
                // Its record says what came of it.
                let _ = this.put_together(id).await;
            }));
        }
    }

    /// The last part may have come at the same moment, and have it done.
    async fn put_together_once(self: &Arc<Self>, id: UploadId) -> Result<Status, Error> {
        if self.table().parts_of(&id).is_none() {
            return self.joined(id).await;
        }
        let together = Arc::clone(self).put_together(id);
        match self.on_its_own(together).await {
            Ok(status) if status.complete => Ok(status),
            Ok(_) | Err(Error::Superseded | Error::NotFound) => self.joined(id).await,
            Err(error) => Err(error),
        }
    }

    /// A part is gone: what waits for it will never be whole.
    pub(super) fn end_without(self: &Arc<Self>, part: &UploadId) {
        let forlorn = self.table().waiting_for(part);
        if forlorn.is_empty() {
            return;
        }
        let this = Arc::clone(self);
        self.data.spawn(Box::pin(async move {
            for id in forlorn {
                this.end_forlorn(id).await;
            }
        }));
    }

    /// Ends an upload one of whose parts is not there.
    pub(super) async fn end_forlorn(self: &Arc<Self>, id: UploadId) {
        if let Err(error) = Arc::clone(self).end(id, &Error::NotFound).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let upload = id.short();
            tracing::warn!(upload, cause, "cannot end an upload whose part is gone");
        }
    }

    /// Somebody else puts it together: waits for what becomes of it.
    async fn joined(&self, id: UploadId) -> Result<Status, Error> {
        loop {
            let mut let_go = std::pin::pin!(self.let_go.notified());
            let_go.as_mut().enable();
            let Some(status) = self.look(&id) else {
                return self.finished(id).await;
            };
            let rests = |table: &Table| table.get(&id).is_some_and(|e| !e.has_writer());
            let waits = |table: &Table| rests(table) && table.parts_of(&id).is_none();
            if waits(&self.table()) {
                return Ok(status);
            }
            let_go.await;
        }
    }

    async fn put_together(self: Arc<Self>, id: UploadId) -> Result<Status, Error> {
        let lock = self.lock(&id).await?;
        let (status, parts) = {
            let table = self.table();
            let status = table.status(&id, self.options.expire_after);
            (status.ok_or(Error::NotFound)?, table.parts_of(&id))
        };
        let Some((parts, length)) = parts else {
            return Ok(status);
        };
        let (tell, piped) = channel(AHEAD);
        let store = Arc::clone(&self.receiver.store);
        let offset = status.offset;
        let reading = tokio::spawn(async move {
            let read = read(&*store, parts, offset, &tell).await;
            if read.is_err() {
                // Else what came before would pass for all.
                let _ = tell.send(Err(Error::ClientGone)).await;
            }
            read
        });
        let mut append = Append::by_itself(&status, Body::new(Piped(piped)));
        append.length = Some(length);
        let joined = Arc::clone(&self).go_on(id, lock, append).await;
        match reading.await {
            // What could not be read says more than that the bytes broke off.
            Ok(Err(error)) if joined.is_err() => {
                if matches!(error, Error::NotFound) {
                    self.end_forlorn(id).await;
                }
                Err(error)
            }
            _ => joined,
        }
    }
}

/// Reads the parts one after the other, from `offset` of them all on.
async fn read(
    store: &dyn Store,
    parts: Vec<UploadId>,
    mut offset: u64,
    pipe: &Sender<Result<Bytes, Error>>,
) -> Result<(), Error> {
    for part in parts {
        let reader = store.read_unfinished(&part, 0).await?;
        let mut reader = reader.ok_or(Error::NotFound)?;
        let length = reader.facts().length;
        while offset < length {
            let bytes = reader.read_at(offset, READ).await?;
            if bytes.is_empty() {
                return Err(Error::store("a part is shorter than it was"));
            }
            offset += bytes.len() as u64;
            if pipe.send(Ok(bytes)).await.is_err() {
                return Ok(());
            }
        }
        offset -= length;
    }
    Ok(())
}

/// Bytes that come from elsewhere in the process.
struct Piped(Receiver<Result<Bytes, Error>>);

impl http_body::Body for Piped {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0
            .poll_recv(cx)
            .map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }
}
