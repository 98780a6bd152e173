//! Uploads that came by PUT, tus, Resumable Uploads and their like: the app is told of each by a request of our own.
//!
//! ```text
//! stored, and in the same transaction due ─► queue ─► attempt: POST --hand-off ─┬─► 2xx, 3xx ────────► answer kept, done
//!                                              ▲                                ├─► Processing: ?1 ──► the app's last word
//!                                              │                                ├─► 400–499 ─────────► refused, files go
//!                                              └─── later, for --hand-off-for ──┴─► all else ────────► given up, files stay
//! ```
//!
//! Each upload is told of at least once: what is due stands in the store from before the upload is visible until the app has
//! answered, so that neither a crash of ours nor one of the app's loses it. After a crash the app may be told once more, by
//! the same `Idempotency-Key`. Nothing of the client's request but what it said of its files is passed on: a request that
//! may be sent a day later holds no credentials.
//!
//! | file | what |
//! |---|---|
//! | `note.rs` | what is due and what was answered, as the store keeps it |
//! | `queue.rs` | when it is whose turn |
//! | `attempt.rs` | one turn: what is asked, and what follows from the answer |
//! | `request.rs` | the request |
//! | `start.rs` | what was due when this process began; what is due now |
//! | `end.rs` | how a turn ends: answered, given up, cancelled |

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::working::Working;
use crate::error::Error;
use crate::net::{Client, Net, Patience, Upstream};
use crate::progress::{Tap, Tracker};
use crate::receive::{HandOff, Told};
use crate::signed::Keys;
use crate::store::{HandOffs, Store};
use crate::threads::DataThreads;
use crate::upload::{FileFacts, Remembered, UploadId};
use note::{Note, Verdict};
use queue::Queue;

mod attempt;
mod end;
mod note;
mod queue;
mod request;
mod start;

/// Whom to tell, and how patiently.
#[derive(Clone, Debug)]
pub(crate) struct TellOptions {
    /// Where the app is told.
    pub(crate) url: Upstream,
    /// What statements are signed with.
    pub(crate) keys: Keys,
    /// How long one attempt may take.
    pub(crate) timeout: Duration,
    /// How long it is tried.
    pub(crate) give_up: Duration,
    /// How long after the first attempt comes the second; each wait is twice the one before.
    pub(crate) retry: Duration,
    /// The longest wait between two attempts.
    pub(crate) retry_most: Duration,
    /// How many attempts run at once.
    pub(crate) at_once: usize,
    /// The most bytes of the app's answer that are kept.
    pub(crate) answer_bytes: usize,
    /// The statuses by which the app refuses an upload.
    pub(crate) refuses: Vec<RangeInclusive<u16>>,
    /// How long the files of a refused upload stay.
    pub(crate) grace: Duration,
    /// How long the app may work on an upload.
    pub(crate) processing: Duration,
    /// Where the store's files lie.
    pub(crate) folder: PathBuf,
    /// What paths begin with.
    pub(crate) base: String,
    /// Whether the files can be fetched.
    pub(crate) downloads: bool,
}

/// Tells the app of finished uploads. Clones share what is due.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    shared: Arc<Shared>,
}

struct Shared {
    options: TellOptions,
    client: Client,
    working: Working,
    store: Arc<dyn Store>,
    notes: Arc<dyn HandOffs>,
    tracker: Tracker,
    data: DataThreads,
    queue: Mutex<Queue>,
    /// Rung when there is something to do, or one may do more.
    bell: Arc<Notify>,
}

/// What the teller works with, besides its options.
pub(crate) struct Tools<'a> {
    pub(crate) net: &'a Net,
    pub(crate) working: Working,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tracker: Tracker,
    pub(crate) data: DataThreads,
}

impl Teller {
    /// Takes up what is due, and tells of it from now on.
    ///
    /// # Panics
    /// When the store keeps no hand-offs.
    pub(crate) fn start(options: TellOptions, tools: Tools<'_>) -> Self {
        let notes = tools.store.hand_offs();
        let notes = notes.expect("the server's own store keeps hand-offs");
        // Each attempt as a whole takes no longer.
        let patience = Patience {
            connect: options.timeout,
            head: options.timeout,
            silence: options.timeout,
            idle: Duration::ZERO,
            ..Patience::default()
        };
        let shared = Arc::new(Shared {
            client: Client::new(tools.net, patience),
            queue: Mutex::new(Queue::new(options.at_once)),
            options,
            working: tools.working,
            store: tools.store,
            notes,
            tracker: tools.tracker,
            data: tools.data,
            bell: Arc::default(),
        });
        start::run(&shared);
        Self { shared }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.bell.notify_one();
    }
}

#[async_trait]
impl HandOff for Teller {
    fn due(&self, _id: &UploadId, about: Remembered) -> Vec<u8> {
        Note::new(about).write()
    }

    fn stored(&self, id: UploadId, tap: Tap, files: Vec<FileFacts>) {
        tap.phase(attempt::phase());
        self.shared.queue().begin(id, tap, files);
        self.shared.bell.notify_one();
    }

    async fn told(&self, id: &UploadId) -> Result<Told, Error> {
        let first = self.shared.queue().first_of(id);
        if let Some(over) = first {
            // Whoever is behind many others is told that it is not decided yet.
            let _ = tokio::time::timeout(self.shared.options.timeout, over.wait()).await;
        }
        let (notes, key) = (Arc::clone(&self.shared.notes), *id);
        let kept = async move { (notes.answer(&key).await, notes.due_of(&key).await) };
        let (answer, due) = self.shared.data.run(Box::pin(kept)).await;
        match (answer?, due?) {
            (Some(answer), _) => Verdict::read(&answer).map(Told::from),
            (None, Some(_)) => Ok(Told::NotYet),
            (None, None) => Ok(Told::Nothing),
        }
    }

    async fn end(&self, id: &UploadId) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let (id, work) = (*id, self.shared.data.clone());
        work.run(Box::pin(async move { shared.end(id).await }))
            .await
    }
}
