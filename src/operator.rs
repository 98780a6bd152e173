//! What whoever runs the server may see and do: all uploads, by their watch names.
//!
//! An operator needs no id: one that stood on a screen or in a log would give away the right to resume and delete.
//! The binary's admin listener is made of this; a host may build its own.

use http::request::Parts;

use crate::error::Error;
use crate::progress::Why;
use crate::protocol::Inbound;
use crate::protocol::remove::{self, Removed};
use crate::upload::WatchId;
use crate::watch::{Uploads, Watch};

/// The right to see and end all uploads of one [`Service`](crate::Service). Whom to give it to is the host's affair.
///
/// ```
/// use dumbwaiter::Dumbwaiter;
/// use dumbwaiter::store::Memory;
/// use http_body_util::{BodyExt, Full};
/// use tower_service::Service;
///
/// # async fn run() {
/// let mut service = Dumbwaiter::new(Memory::new()).into_service();
/// let operator = service.operator();
/// let body = Full::new(bytes::Bytes::from("a dish"));
/// let put = http::Request::put("/files/paella").body(body).unwrap();
/// let answer = service.call(put).await.unwrap();
/// let record = answer.into_body().collect().await.unwrap().to_bytes();
/// let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
///
/// let watch = record["watch"].as_str().unwrap().parse().unwrap();
/// assert_eq!(operator.running(), 0);
/// assert!(operator.remove(&watch).await.is_ok());
/// assert!(operator.remove(&watch).await.is_err(), "nothing is left of it");
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run());
/// ```
#[derive(Clone, Debug)]
pub struct Operator {
    inbound: Inbound,
    watch: Watch,
}

impl Operator {
    pub(crate) fn new(inbound: Inbound, watch: Watch) -> Self {
        Self { inbound, watch }
    }

    /// All uploads that run or have ended not long ago: a JSON array, or with `Accept: text/event-stream` a stream of
    /// all changes. Records have no id and no URLs.
    #[must_use]
    pub fn uploads(&self, request: &Parts) -> Uploads {
        self.watch.all(request)
    }

    /// One upload's record, or 404.
    #[must_use]
    pub fn upload(&self, watch: &WatchId) -> Uploads {
        self.watch.one(watch)
    }

    /// Cancels the upload if it runs, else removes its files and its record.
    ///
    /// # Errors
    /// [`Error::NotFound`] also for one whose record is no longer kept; [`Error::Store`].
    pub async fn remove(&self, watch: &WatchId) -> Result<Removed, Error> {
        match self.inbound.tracker.by_watch(watch) {
            Some(progress) => remove::remove(&self.inbound, progress.id()).await,
            None => Err(Error::NotFound),
        }
    }

    /// Has every running upload end with [`Error::ShuttingDown`], which its client is told.
    pub fn end_all(&self) {
        self.inbound.tracker.halt_all(Why::ShuttingDown);
    }

    /// How many uploads run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inbound.tracker.running()
    }

    /// How many uploads are unfinished and can be resumed, and how many of their bytes are kept.
    #[must_use]
    pub fn unfinished(&self) -> (usize, u64) {
        self.inbound.unfinished.held()
    }

    /// How many streams of progress are open.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.watch.watchers()
    }
}
