//! Uploads that outlive their requests: begun by one, filled by others, ended by the last or by time.
//!
//! ```text
//! create ─► record, place, file, checkpoint 0 ─► rests
//! append ─► lock (an older one is asked to let go) ─► taken up ─► bytes ─┬─► all there ─► stored, visible
//!                                                                       ├─► more to come, cut off ─► checkpoint ─► rests
//!                                                                       └─► refused, cancelled, disk broken ─► gone
//! join   ─► rests until its parts are there ─► their bytes, as if a client sent them ─► stored, visible
//! sweep  ─► too old ─► gone
//! ```
//!
//! The truth is what the store has. The table in memory says the same without a disk, so that whoever asks how far an
//! upload has come is answered at once; it is filled from the store at start, and after a crash it is what the last
//! checkpoints say.
//!
//! | file | what |
//! |---|---|
//! | `table.rs` | what is known of each |
//! | `create.rs`, `join.rs` | how one begins: of nothing, of others |
//! | `append.rs` | a request brings more |
//! | `turn.rs` | how each turn at an upload ends: stored, at rest, gone |
//! | `end.rs` | ended from outside, and by time |
//! | `start.rs` | what the store has from before |

use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::admission::Admission;
use crate::error::Error;
use crate::lock::{Lock, Locks};
use crate::progress::Tracker;
use crate::receive::{Body, Check, Naming, OnKept, Receiver, Shape, WindowOptions};
use crate::threads::{DataThreads, Outliving, on_data_thread};
use crate::upload::{Concat, FileHead, Remembered, Upload, UploadId};

mod append;
mod create;
mod end;
mod join;
mod options;
mod start;
mod table;
mod turn;

pub use options::ResumeOptions;
use table::Table;

/// All unfinished uploads of one service. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    shared: Arc<Shared>,
}

/// What all of its parts use.
#[derive(Debug)]
struct Shared {
    options: ResumeOptions,
    receiver: Receiver,
    naming: Naming,
    admission: Admission,
    tracker: Tracker,
    data: DataThreads,
    locks: Locks,
    table: Mutex<Table>,
    /// Rung whenever a writer has come to its end.
    let_go: Notify,
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
    /// What is said of the file only now; it fills in what is not known of one that begins with its first byte.
    pub(crate) said: FileHead,
    /// Whether the upload's end is this request's end, where the protocol says so. `Some(true)`: its last byte is the last
    /// one, and the length is known with it. `Some(false)`: more is to come, even if all of the length is there. `None`:
    /// complete as soon as all of the length is there.
    pub(crate) last: Option<bool>,
    /// Nobody has been told where the upload is, but by the request's answer: when its client goes away the upload is
    /// ended, since nobody could come back. Whatever else breaks it off is answered, and the answer is to say where it is.
    pub(crate) untold: bool,
    /// Of a request that breaks off nothing is kept: its client sends all of it again.
    pub(crate) whole: bool,
    /// What all of the upload must add up to, where its client says so only now: see [`Remembered::digest`].
    pub(crate) digest: Option<String>,
    /// Called with the offset of each checkpoint that is taken while the body comes.
    pub(crate) on_kept: Option<OnKept>,
}

impl Append {
    /// `body` from `offset` on, of an upload that is complete as soon as all of its length is there.
    pub(crate) fn new(offset: u64, body: Body, address: IpAddr, head: Arc<Parts>) -> Self {
        Self {
            offset,
            length: None,
            body,
            check: None,
            address,
            head,
            said: FileHead::default(),
            last: None,
            untold: false,
            whole: false,
            digest: None,
            on_kept: None,
        }
    }

    /// The upload's length, where the request knows it: its end may be the upload's end.
    fn length(&self) -> Option<u64> {
        let is_last = self.last == Some(true);
        let end = || self.body.declared().filter(|_| is_last);
        self.length
            .or_else(|| Some(self.offset.saturating_add(end()?)))
    }
}

impl std::fmt::Debug for Append {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Append")
            .field("offset", &self.offset)
            .field("length", &self.length)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
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
}

impl Unfinished {
    /// What can be offered; `None` where the store keeps nothing of an upload whose session has ended, or a handler cannot
    /// go on after an interruption.
    pub(crate) fn offers(&self) -> Option<Offers> {
        let Shared {
            receiver,
            admission,
            options,
            ..
        } = &*self.shared;
        let resumes = receiver.store.resumes() && receiver.chain.resumes();
        resumes.then(|| Offers {
            expire_after: options.expire_after,
            upload_bytes: admission.options().upload_bytes,
            request_bytes: admission.options().request_bytes,
        })
    }

    /// Begins an upload: its record, its place, its first checkpoint. One of no bytes is complete at once.
    ///
    /// # Errors
    /// Those of admission; [`Error::NotResumable`]; what handlers and store say. Its record says so too.
    pub(crate) async fn create(
        &self,
        upload: Box<Upload>,
        about: Remembered,
        shape: Shape,
    ) -> Result<Status, Error> {
        let shared = Arc::clone(&self.shared);
        let create = async move { shared.create(upload, about, shape).await };
        self.shared.on_its_own(create).await
    }

    /// An unfinished upload as of its last checkpoint, at once: no lock, no disk.
    pub(crate) fn look(&self, id: &UploadId) -> Option<Status> {
        self.shared.look(id)
    }

    /// Has whoever writes to the upload let go of it, and tells how far it is: what a client asks before it goes on. Of a
    /// finished one it tells that it is complete, where it was begun here.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub(crate) async fn settle(&self, id: &UploadId) -> Result<Status, Error> {
        self.shared.settle(*id).await
    }

    /// Takes in what the request brings, and completes the upload with its last byte.
    ///
    /// It runs on its own: whoever drops the future only stops waiting for it. After an error [`Unfinished::look`] tells
    /// what is kept, if anything is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OffsetMismatch`], [`Error::LengthMismatch`], [`Error::FinalUpload`],
    /// [`Error::ChecksumMismatch`], [`Error::DigestMismatch`], [`Error::Superseded`], [`Error::NotResumable`], and whatever can break an upload.
    pub(crate) async fn append(&self, id: &UploadId, append: Append) -> Result<Status, Error> {
        let (shared, id) = (Arc::clone(&self.shared), *id);
        let append = async move { shared.append(id, append).await };
        self.shared.on_its_own(append).await
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
        let shared = Arc::clone(&self.shared);
        let join = async move { shared.join(upload, about, head).await };
        self.shared.on_its_own(join).await
    }

    /// Ends an unfinished upload with `why`; `false` when it is none, or has been completed meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn end(&self, id: &UploadId, why: Error) -> Result<bool, Error> {
        if self.shared.table().get(id).is_none() {
            return Ok(false);
        }
        let (shared, id) = (Arc::clone(&self.shared), *id);
        let end = async move { shared.end(id, &why).await };
        self.shared.on_its_own(end).await
    }

    /// How many there are, and how many bytes are kept of them.
    pub(crate) fn held(&self) -> (usize, u64) {
        let table = self.shared.table();
        let bytes = table.iter().map(|(_, entry)| entry.kept.offset()).sum();
        (table.len(), bytes)
    }
}

impl Shared {
    /// Runs `work` on a data thread, the caller's own if it is one, to its end even if the caller vanishes.
    async fn on_its_own<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let work = caught(Box::pin(work));
        if on_data_thread() {
            // In the caller's task: another one would have to be woken for every read.
            return Outliving::new(work, Handle::current()).await;
        }
        let task = self.data.spawn(work);
        task.await.unwrap_or_else(|lost| Err(Error::store(lost)))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, id: &UploadId) -> Option<Status> {
        let table = self.table();
        let entry = table.get(id).filter(|entry| !entry.is_ending())?;
        let old = !entry.has_writer() && self.is_expired(entry.kept.at());
        match old && !table.is_needed(id) {
            true => None,
            false => table.status(id, self.options.expire_after),
        }
    }

    /// Whether what was touched last at that time is too old.
    fn is_expired(&self, at: SystemTime) -> bool {
        let age = SystemTime::now().duration_since(at).ok();
        // A clock that was set back makes nothing old.
        matches!((age, self.options.expire_after), (Some(age), Some(most)) if age >= most)
    }

    async fn settle(self: &Arc<Self>, id: UploadId) -> Result<Status, Error> {
        let Some(status) = self.look(&id) else {
            return self.finished(id).await;
        };
        // What is put together here has no client who could go on with it.
        if !matches!(status.remembered.concat, Some(Concat::Final { .. })) {
            self.quiet(id).await;
        }
        match self.look(&id) {
            Some(status) => Ok(status),
            None => self.finished(id).await,
        }
    }

    /// Has whoever writes let go, within patience. What is whole then, or was left so by a crash, is stored: a client that
    /// hears of all its bytes does not come back.
    async fn quiet(self: &Arc<Self>, id: UploadId) {
        if self.has_writer(&id) {
            // Somebody newer still may have come: what there is to tell is the same.
            drop(self.locks.take(id, self.options.patience).await);
        }
        if self.is_left_whole(&id) {
            let this = Arc::clone(self);
            let stored = self.on_its_own(async move { this.store_whole(id).await });
            let _ = tokio::time::timeout(self.options.patience, stored).await;
        }
    }

    fn has_writer(&self, id: &UploadId) -> bool {
        self.table().get(id).is_some_and(table::Entry::has_writer)
    }

    /// What is known of a finished upload that was begun here.
    async fn finished(&self, id: UploadId) -> Result<Status, Error> {
        let store = Arc::clone(&self.receiver.store);
        let asked = async move { (store.stored(&id).await, store.remembered(&id).await) };
        let (files, remembered) = self.data.run(Box::pin(asked)).await;
        let (Some(files), Some(mut remembered)) = (files?, remembered?) else {
            return Err(Error::NotFound);
        };
        remembered.awaits_word = false;
        let stored = files.iter().map(|file| file.length).sum();
        let length = remembered.length.unwrap_or(stored);
        Ok(Status {
            id,
            offset: length,
            length: Some(length),
            complete: true,
            remembered,
            expires_at: None,
        })
    }

    /// Takes the upload; an older writer is asked to let go, and passed over when it does not, unless it is storing what is
    /// complete already: then there is nothing left to take.
    async fn lock(&self, id: &UploadId) -> Result<Lock, Error> {
        let lock = self.locks.take(*id, self.options.patience).await?;
        while lock.is_forced() {
            let let_go = self.let_go.notified();
            let mut let_go = std::pin::pin!(let_go);
            let_go.as_mut().enable();
            if !self.table().is_storing(id) {
                break;
            }
            tokio::select! {
                () = let_go => {}
                () = lock.asked() => return Err(Error::Superseded),
            }
        }
        Ok(lock)
    }

    /// What takes an upload's bytes in: those of a part pass no handlers, which see them when it is put together.
    fn receiver_for(&self, about: &Remembered) -> Receiver {
        let mut receiver = self.receiver.clone();
        match about.concat {
            Some(Concat::Partial) => receiver.chain = crate::handlers::Chain::default(),
            // No client could be too slow.
            Some(Concat::Final { .. }) => receiver.pace = crate::receive::PaceOptions::NONE,
            None => {}
        }
        receiver
    }

    fn window(&self) -> WindowOptions {
        WindowOptions {
            bytes: self.options.checkpoint_bytes,
            time: self.options.checkpoint_time,
        }
    }
}

/// Ends `work` with an error when it panics, of a handler say: that has been reported, and the upload is at rest or gone.
fn caught<T, W>(mut work: Pin<Box<W>>) -> impl Future<Output = Result<T, Error>>
where
    W: Future<Output = Result<T, Error>>,
{
    poll_fn(
        move |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(_) => Poll::Ready(Err(Error::store("a step of this upload has panicked"))),
        },
    )
}

#[cfg(test)]
pub(crate) mod tests;
