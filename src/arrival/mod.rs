//! An upload at a route of the app's own: what has come, and the app's word on it.
//!
//! ```text
//! Service::receive ─► Arrival ──► field, file ─► persist(place)    visible under that name, remembered by the upload's id
//!                        └─► dropped, done, refuse                 all else goes, the record ends
//! ```
//!
//! Everything that touches the store runs on the data threads, whoever waits for it: a handler whose future is dropped
//! takes nothing back and loses nothing half-way.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::error::{Error, Refusal};
use crate::name::{OnConflict, SafePath};
use crate::progress::Progress;
use crate::receive::Arrived;
use crate::threads::DataThreads;
use crate::upload::{FileFacts, Owner, UploadId, WatchId};

mod file;
mod rejection;

pub use file::{ArrivedFile, Persisted};
pub(crate) use rejection::Manner;
pub use rejection::Rejection;

/// An upload of which every byte has come, in the app's hands.
///
/// Its record says `processing` for as long as the app has it. What the app persists is visible at once and stays; when
/// this is dropped all else goes, and the record ends:
///
/// | what the app did | how the record ends |
/// |---|---|
/// | persisted a file, or there was none | `done` |
/// | tried to persist one, and neither that nor another try went well | `error`, `not_kept`; what was persisted stays |
/// | nothing: an early return, a panic, a handler that was dropped because its client went | `error`, `not_kept` |
/// | [`Arrival::done`] | `done` |
/// | [`Arrival::refuse`] | `error`, with the app's code and words; what was persisted goes too |
///
/// How long the app takes is its own affair: there is no bound, and meanwhile the upload counts as one that runs. Whoever
/// may cancel it (`DELETE /uploads/ID`) does so here too: what was persisted goes, and a later
/// [`persist`](ArrivedFile::persist) fails with [`Error::Cancelled`]. When the host stops it
/// ([`Operator::end_all`](crate::Operator::end_all)), what was persisted stays.
#[must_use = "dropping it lets its files go"]
pub struct Arrival {
    fields: Vec<(String, String)>,
    files: Vec<FileFacts>,
    owner: Owner,
    on_conflict: OnConflict,
    manner: Manner,
    held: Arc<Held>,
    data: DataThreads,
    /// How the upload ends has been said: nothing is left to be done when this is dropped.
    settled: bool,
    /// As long as it is there, somebody else may end the upload.
    _watched: oneshot::Sender<()>,
}

/// The upload, until it has ended; whoever does something to it has it to himself.
struct Held {
    progress: Arc<Progress>,
    arrived: Arc<Mutex<Option<Arrived>>>,
}

/// The upload to oneself.
type Turn = OwnedMutexGuard<Option<Arrived>>;

impl Held {
    /// What still can be done something to.
    async fn end(&self) -> Option<Arrived> {
        self.arrived.lock().await.take()
    }

    /// Ends the upload when somebody else says so, for as long as the app has it.
    async fn until_halted(self: Arc<Self>, gone: oneshot::Receiver<()>) {
        let why = tokio::select! {
            why = Arc::clone(&self.progress).halted() => why,
            _ = gone => return,
        };
        if let Some(arrived) = self.end().await {
            arrived.halt(&why).await;
        }
    }

    /// Gets in line for the upload at the first poll of this future, and gives what waits on: it may be moved to another
    /// task, and whoever comes later, the upload's end say, waits for it.
    async fn in_line(&self) -> impl Future<Output = Turn> + Send + use<> {
        let mut turn = Box::pin(Arc::clone(&self.arrived).lock_owned());
        let first = poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await;
        async move {
            match first {
                Poll::Ready(turn) => turn,
                Poll::Pending => turn.await,
            }
        }
    }

    /// Persists one file of the upload, in its turn; says too whether one was persisted, now or before.
    async fn keep(
        &self,
        turn: &mut Turn,
        index: usize,
        place: Result<SafePath, Error>,
        on_conflict: OnConflict,
    ) -> (Result<(usize, FileFacts), Error>, bool) {
        let kept = match (self.progress.go_on(), turn.as_mut()) {
            (Err(halt), _) => Err(halt),
            (Ok(()), Some(arrived)) => arrived.keep(index, place, on_conflict).await,
            (Ok(()), None) => Err(Error::Cancelled),
        };
        (kept, turn.as_ref().is_some_and(Arrived::keeps))
    }
}

impl Arrival {
    pub(crate) fn new(
        (progress, arrived): (Arc<Progress>, Arrived),
        on_conflict: OnConflict,
        manner: Manner,
        data: DataThreads,
    ) -> Self {
        let (fields, files) = (arrived.fields().to_vec(), arrived.files().to_vec());
        let owner = arrived.upload().owner.clone();
        let held = Arc::new(Held {
            progress,
            arrived: Arc::new(Mutex::new(Some(arrived))),
        });
        let (watched, gone) = oneshot::channel();
        data.spawn(Arc::clone(&held).until_halted(gone));
        Self {
            fields,
            files,
            owner,
            on_conflict,
            manner,
            held,
            data,
            settled: false,
            _watched: watched,
        }
    }

    /// The upload's id: whoever holds it may read and delete what is persisted.
    #[must_use]
    pub fn id(&self) -> UploadId {
        self.held.progress.id()
    }

    /// The name under which others may watch the upload.
    #[must_use]
    pub fn watch(&self) -> WatchId {
        self.held.progress.watch()
    }

    /// To whom the upload belongs: whom [`Dumbwaiter::allow`](crate::Dumbwaiter::allow) named, else a browser's cookie or
    /// an address.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The value of the form's field `name` that is no file, the first one if there are several.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields();
        fields.find_map(|(given, value)| (given == name).then_some(value))
    }

    /// The form's fields that are no files, name and value, in the order in which they came.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The file of the form's field `name`, the first one if there are several.
    ///
    /// # Errors
    /// [`Error::MissingFile`] when the form has none there: the input was left empty, is called otherwise, or a handler
    /// has skipped its file. A body that is no form has no fields; [`Arrival::files`] has its file.
    pub fn file(&self, name: &str) -> Result<ArrivedFile<'_>, Rejection> {
        let mut files = self.files();
        let found = files.find(|file| file.field() == Some(name));
        found.ok_or_else(|| {
            let field = name.to_owned();
            self.manner.reject(Error::MissingFile { field })
        })
    }

    /// All files, in the order in which they came.
    pub fn files(&self) -> impl Iterator<Item = ArrivedFile<'_>> {
        (0..self.files.len()).map(|index| ArrivedFile::new(self, index))
    }

    /// Ends the upload well, whether or not a file of it was persisted, and waits until its record says so: for an app that
    /// needs the fields alone, or whose handlers have taken what it wanted.
    ///
    /// After any other end nobody waits for the record: a poll right after the answer may still find `processing`.
    pub async fn done(mut self) {
        self.settled = true;
        let held = Arc::clone(&self.held);
        let ended = self.data.spawn(async move {
            if let Some(arrived) = held.end().await {
                arrived.finish(true);
            }
        });
        // A panic in there has been reported; the upload has ended all the same.
        let _ = ended.await;
    }

    /// Ends the upload in an error of the app's own, which watchers see, and waits until nothing of it is left: files
    /// persisted before go too, though not back to what they may have replaced.
    pub async fn refuse(mut self, refusal: Refusal) -> Rejection {
        self.settled = true;
        let held = Arc::clone(&self.held);
        let error = Error::from(refusal);
        let ended = self.data.spawn(async move {
            if let Some(arrived) = held.end().await {
                arrived.refuse(&error).await;
            }
            error
        });
        let error = ended.await.unwrap_or_else(Error::store);
        self.manner.reject(error)
    }
}

impl Drop for Arrival {
    /// On a data thread, since removing files takes its time; after whatever is still being persisted, which is in line
    /// before it.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let held = Arc::clone(&self.held);
        self.data.spawn(async move {
            if let Some(arrived) = held.end().await {
                arrived.finish(false);
            }
        });
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("id", &self.id())
            .field("fields", &self.fields)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
