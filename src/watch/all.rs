//! All uploads at once, for whoever runs the server: as one array, or as a stream of each change.
//!
//! ```text
//! retry: 2000
//!
//! data: {"watch":…,"state":"uploading",…}      each upload as it is, then whenever it has changed
//!
//! event: gone
//! data: {"watch":"…"}                          its record is forgotten
//! ```
//!
//! Unlike the streams of single uploads this one is not woken: once a tick it compares what was published with what it
//! has told. It costs an upload nothing and, while nothing is published, two loads a tick. A reconnect begins anew.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use super::sse::{self, COMMENT, EventStream, Next, RETRY, Source};
use super::{Uploads, Watch, fresh, json, poll};
use crate::error::Error;
use crate::problem::problem;
use crate::progress::{Holder, Progress, Tracker, latest_version};
use crate::upload::{UploadId, WatchId};

/// The most records in one piece of an answer, so that it needs little memory however many there are.
const AT_ONCE: usize = 100;

impl Watch {
    /// Every upload that can be found, those begun last first: an array of records, or with
    /// `Accept: text/event-stream` a stream. Records are those of [`Holder::Operator`].
    #[must_use]
    pub fn all(&self, request: &Parts) -> Uploads {
        if !poll::wants_stream(request) {
            let rest = self.tracker.all();
            let array = Array { rest, at: 0 };
            let answer = json(Bytes::new()).map(|_| EventStream::of(array));
            return Uploads::Live(answer);
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Uploads::Now(problem(&Error::TooManyWatchers));
        };
        let now = Instant::now();
        Uploads::Live(sse::response(EventStream::of(Changes {
            tracker: self.tracker.clone(),
            told: HashMap::new(),
            waiting: Vec::new(),
            looks: [None; 2],
            tick: self.tracker.tick(),
            comment: self.options.comment,
            speak_by: now + self.options.comment,
            opened: false,
            _place: place,
        })))
    }

    /// One upload's record for whoever runs the server.
    #[must_use]
    pub fn one(&self, watch: &WatchId) -> Uploads {
        Uploads::Now(match self.tracker.by_watch(watch) {
            Some(progress) => json(progress.record(Holder::Operator, "").to_json()),
            None => problem(&Error::NotFound),
        })
    }

    /// How many streams are open.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.most().saturating_sub(self.places.available_permits())
    }

    /// An answer that says what is wrong.
    #[must_use]
    pub fn refused(error: &Error) -> Uploads {
        Uploads::Now(problem(error))
    }

    /// An answer of nothing but its status.
    #[must_use]
    pub fn empty(status: http::StatusCode) -> Uploads {
        Uploads::Now(fresh(status, Bytes::new()))
    }
}

/// The array, written piece by piece.
struct Array {
    rest: Vec<Arc<Progress>>,
    at: usize,
}

impl Source for Array {
    fn next(mut self: Box<Self>) -> Next {
        Box::pin(async move {
            if self.at > self.rest.len() {
                return None;
            }
            let mut text = String::new();
            let until = self.rest.len().min(self.at + AT_ONCE);
            for index in self.at..until {
                text.push(if index == 0 { '[' } else { ',' });
                text.push_str(&self.rest[index].record(Holder::Operator, "").to_json());
            }
            self.at = until;
            if until == self.rest.len() {
                text.push_str(if until == 0 { "[]" } else { "]" });
                self.at += 1;
            }
            Some((text.into(), self as Box<dyn Source>))
        })
    }
}

/// The stream, between two pieces.
struct Changes {
    tracker: Tracker,
    /// The publication told last of each upload, and its name for when it is gone.
    told: HashMap<UploadId, (u64, WatchId)>,
    /// What is still to be told of the last look, newest last.
    waiting: Vec<Arc<Progress>>,
    /// What was published, and how many uploads there were, at the last two looks. A number is drawn a moment before
    /// it can be seen, so one look more than there are changes is needed.
    looks: [Option<(u64, usize)>; 2],
    tick: Duration,
    comment: Duration,
    speak_by: Instant,
    opened: bool,
    _place: OwnedSemaphorePermit,
}

impl Source for Changes {
    fn next(mut self: Box<Self>) -> Next {
        Box::pin(async move {
            loop {
                let text = self.say();
                if !text.is_empty() {
                    self.speak_by = Instant::now() + self.comment;
                    return Some((text.into(), self as Box<dyn Source>));
                }
                tokio::select! {
                    () = sleep(self.tick) => {}
                    () = sleep_until(self.speak_by) => {
                        self.speak_by = Instant::now() + self.comment;
                        return Some((Bytes::from_static(COMMENT), self as Box<dyn Source>));
                    }
                }
            }
        })
    }
}

impl Changes {
    fn say(&mut self) -> String {
        let mut text = String::new();
        if !std::mem::replace(&mut self.opened, true) {
            text.push_str(RETRY);
        }
        if self.waiting.is_empty() {
            self.look(&mut text);
        }
        for _ in 0..AT_ONCE {
            let Some(progress) = self.waiting.pop() else {
                break;
            };
            let (version, record) = progress.versioned(Holder::Operator, "");
            self.told.insert(progress.id(), (version, progress.watch()));
            let _ = write!(text, "data: {}\n\n", record.to_json());
        }
        text
    }

    /// Finds what has changed since the last look, and tells what is gone.
    fn look(&mut self, text: &mut String) {
        let now = Some((latest_version(), self.tracker.len()));
        let calm = self.looks == [now; 2];
        self.looks = [self.looks[1], now];
        if calm {
            return;
        }
        let all = self.tracker.all();
        let mut gone = std::mem::take(&mut self.told);
        for progress in all {
            let known = gone.remove(&progress.id());
            if let Some(known) = known {
                self.told.insert(progress.id(), known);
            }
            if known.is_none_or(|(version, _)| version != progress.version()) {
                self.waiting.push(progress);
            }
        }
        for (_, watch) in gone.into_values() {
            let _ = write!(text, "event: gone\ndata: {{\"watch\":\"{watch}\"}}\n\n");
        }
    }
}
