//! Ways out for progress: which upload was asked for, and how much of it may the asker see.
//!
//! | request | answer |
//! |---|---|
//! | `GET /get_upload_progress?X-Progress-ID=…` | the article's two numbers, or `null` |
//! | `GET /progress?X-Progress-ID=…` | nginx-upload-progress-module's report |
//! | `GET /uploads/NAME`, `GET /uploads?id=…&X-Progress-ID=…` | records, or a stream of them |
//!
//! A host sets [`WatchOptions`] with [`Dumbwaiter::watch`](crate::Dumbwaiter::watch).
//!
//! Nothing here waits for a disk or a lock of the byte path, so a poll is answered at once whatever the disk does. What
//! is unknown and what is not the asker's answer alike. These functions take a request's head and give an answer; paths
//! are the service's.

mod all;
mod asked;
mod nginx;
mod poll;
mod sse;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::Error;
use crate::progress::{Key, Tracker};
use crate::query::GivenId;
use crate::upload::Owner;

pub use sse::EventStream;

/// How polls and streams answer, and how many there may be.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// The form of `/progress`.
    pub progress_format: ProgressFormat,
    /// What the article's poll says of an id that was never seen.
    pub poll_unknown: PollUnknown,
    /// How long a stream, or the article's poll with [`PollUnknown::Wait`], waits for an id that is not there yet;
    /// default 60 s.
    pub wait: Duration,
    /// How long a stream lasts; its client comes back by itself and goes on where it was. Default 1 hour.
    pub time: Duration,
    /// After how long a silence a stream sends a comment, so that proxies keep it open; default 15 s.
    pub comment: Duration,
    /// The most streams at once; default 10,000.
    pub max_watchers: usize,
    /// The most uploads asked for in one request; default 100.
    pub max_ids: usize,
    /// The most ids whose first poll is remembered for [`PollUnknown::Wait`]; beyond it an unknown id is waited for
    /// without end. Default 10,000.
    pub max_awaited: usize,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            progress_format: ProgressFormat::default(),
            poll_unknown: PollUnknown::default(),
            wait: Duration::from_secs(60),
            time: Duration::from_secs(60 * 60),
            comment: Duration::from_secs(15),
            max_watchers: 10_000,
            max_ids: 100,
            max_awaited: 10_000,
        }
    }
}

/// The forms in which nginx-upload-progress-module reports (its directives `upload_progress_*_output`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ProgressFormat {
    /// `{ "state" : "done" }`
    #[default]
    Json,
    /// The same as the argument of the function that `callback` names: a script that any page may load.
    Jsonp,
    /// The elements of the module's README.
    Xml,
    /// `new Object({ 'state' : 'done' })`, the module's oldest form.
    Java,
}

/// What the article's poll says of an id that was never seen.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PollUnknown {
    /// `null`, as in the article: its page then stops and shows 100 %.
    #[default]
    Null,
    /// Nothing yet of it for [`WatchOptions::wait`], where a proxy holds the upload back before it comes to us.
    Wait,
}

/// Answers those who ask how uploads stand. Clones share the bounds.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Watch {
    tracker: Tracker,
    options: Arc<WatchOptions>,
    places: Arc<Semaphore>,
    awaited: Arc<Mutex<HashMap<Key, Instant>>>,
}

/// What `/uploads` answers.
#[derive(Debug)]
pub enum Uploads {
    /// Records as they are now, or a refusal.
    Now(Response<Bytes>),
    /// Records as they change.
    Live(Response<EventStream>),
}

impl Watch {
    /// Answers from what `tracker` knows.
    #[must_use]
    pub fn new(tracker: Tracker, options: WatchOptions) -> Self {
        let most = options.max_watchers.min(Semaphore::MAX_PERMITS);
        Self {
            tracker,
            options: Arc::new(options),
            places: Arc::new(Semaphore::new(most)),
            awaited: Arc::default(),
        }
    }

    /// The key of a progress id: it means something only together with the asker. Of all that the asker is, whoever has
    /// an upload of that name is meant; if nobody has yet, the first.
    fn progress_key(&self, owners: &[Owner], given: GivenId) -> Option<Key> {
        let GivenId::Id(id) = given else { return None };
        let key = |owner: &Owner| Key::Progress(owner.clone(), id.clone());
        let known = owners
            .iter()
            .map(key)
            .find(|key| self.tracker.find(key).is_some());
        known.or_else(|| owners.first().map(key))
    }

    /// How many streams there may be at once.
    fn most(&self) -> usize {
        self.options.max_watchers.min(Semaphore::MAX_PERMITS)
    }

    /// Whether an unknown id is still within its time of grace, which its first poll begins.
    fn is_awaited(&self, key: &Key) -> bool {
        let (now, wait) = (Instant::now(), self.options.wait);
        let young = |since: &Instant| now.saturating_duration_since(*since) < wait;
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = awaited.get(key) {
            return young(since);
        }
        if awaited.len() >= self.options.max_awaited {
            awaited.retain(|_, since| young(since));
        }
        if awaited.len() < self.options.max_awaited {
            awaited.insert(key.clone(), now);
        }
        true
    }
}

/// Polls are safe requests.
fn only_get(request: &Parts) -> Result<(), Error> {
    match request.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Error::MethodNotAllowed { allow: "GET, HEAD" }),
    }
}

/// A JSON answer that nobody keeps: the article's page polls the same URL without a cache-buster.
fn json(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = fresh(StatusCode::OK, body.into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn fresh<B>(status: StatusCode, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
