//! The event stream: records of one upload or several, sent as they change (HTML standard, "Server-sent events").
//!
//! ```text
//! retry: 2000
//!
//! id: 1795356131123456.0            what the client has now seen of each upload asked for, in order
//! data: {"id":…,"state":"uploading",…}
//!
//! event: gone                       asked for, but not there within the bound, or no longer
//! id: 1795356131123456.-
//! data: {"progress_id":"0.73"}
//! ```
//!
//! Each place of an event's `id` is the number of a publication, `0` for an upload that is not there yet and `-` for one
//! that is gone. A reconnect sends it back as `Last-Event-ID`: what it names is not sent again, and when nothing is left
//! to come the answer is 204, which stops EventSource. A watcher has no queue: it is woken, looks at what has changed
//! since it last looked, and however slow it is, it gets the newest.

use std::convert::Infallible;
use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::asked::{Ask, Asked, Event, Last, Seen};
use super::{WatchOptions, fresh};
use crate::progress::{Bell, Tracker};

/// The media type of a stream.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// After how many milliseconds a client comes back when the stream breaks off.
pub(super) const RETRY: &str = "retry: 2000\n\n";
pub(super) const COMMENT: &[u8] = b":\n\n";
/// After how many bytes a stream lets others of its thread go first: records of a hundred uploads with a thousand files
/// each are 15 MB.
const CHUNK: usize = 64 * 1024;
/// All streams together write for at most one part in this many of the time.
const SHARE: u32 = 10;

/// A stream of `asks`; `None` when the client has seen all there is to come.
pub(super) fn open(
    tracker: &Tracker,
    options: &WatchOptions,
    asks: Vec<Ask>,
    last: Last,
    base: &str,
    place: OwnedSemaphorePermit,
) -> Option<EventStream> {
    let bell = Bell::default();
    let mut asked: Vec<_> = asks
        .into_iter()
        .zip(last.seen)
        .map(|(ask, seen)| Asked::new(ask, seen, tracker, &bell))
        .collect();
    if last.returns && asked.iter_mut().all(Asked::is_over) {
        return None;
    }
    let now = Instant::now();
    let live = Live {
        asked,
        bell,
        base: base.into(),
        tick: tracker.tick(),
        comment: options.comment,
        give_up: now + options.wait,
        at: 0,
        round: Round::default(),
        most: options.max_watchers,
        end: now + options.time,
        next_event: now,
        speak_by: now + options.comment,
        opened: false,
        place,
    };
    Some(EventStream::of(live))
}

/// The stream's answer: never kept, never held back by a proxy.
pub(super) fn response(stream: EventStream) -> Response<EventStream> {
    let mut response = fresh(StatusCode::OK, stream);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// The body of a stream. Dropping it gives its place to the next watcher.
pub struct EventStream {
    next: Option<Next>,
}

/// Waits for the next piece; with it comes what follows.
pub(super) type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Box<dyn Source>)>> + Send>>;

/// What a stream tells, piece by piece.
pub(super) trait Source: Send + 'static {
    /// The next piece; `None` when all has been said.
    fn next(self: Box<Self>) -> Next;
}

impl EventStream {
    pub(super) fn of(source: impl Source) -> Self {
        Self {
            next: Some(Box::new(source).next()),
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream")
            .field("ended", &self.next.is_none())
            .finish()
    }
}

impl http_body::Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        let said = ready!(next.as_mut().poll(cx));
        let (bytes, source) = said.unzip();
        self.next = source.map(Source::next);
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none()
    }
}

/// A stream between two chunks.
struct Live {
    asked: Vec<Asked>,
    bell: Bell,
    base: Box<str>,
    tick: Duration,
    comment: Duration,
    /// When what is not there yet is given up.
    give_up: Instant,
    /// The upload at which to go on, where the last chunk did not hold all; else 0.
    at: usize,
    round: Round,
    /// The most streams at once.
    most: usize,
    /// When the client is to come back, so that nobody holds a place for ever.
    end: Instant,
    /// Numbers are not told before this time; states are.
    next_event: Instant,
    /// When a comment is due.
    speak_by: Instant,
    opened: bool,
    place: OwnedSemaphorePermit,
}

/// One telling of all that is new, in one chunk or several.
#[derive(Default)]
struct Round {
    spent: Duration,
    told: bool,
}

impl Source for Live {
    fn next(self: Box<Self>) -> Next {
        Box::pin(self.wait())
    }
}

impl Live {
    /// Waits for something to say; `None` when all has been said.
    async fn wait(mut self: Box<Self>) -> Option<(Bytes, Box<dyn Source>)> {
        if self.at > 0 {
            tokio::task::yield_now().await;
        }
        let mut rung = false;
        loop {
            let now = Instant::now();
            if let Some(bytes) = self.say(now) {
                self.speak_by = now + self.comment;
                return Some((bytes, self as Box<dyn Source>));
            }
            if now >= self.end || self.asked.iter_mut().all(Asked::is_over) {
                return None;
            }
            let until = self.wake_at(rung && now < self.next_event);
            tokio::select! {
                () = self.bell.rung() => rung = true,
                () = sleep_until(until) => {}
            }
        }
    }

    /// What is to be said now, if anything.
    fn say(&mut self, now: Instant) -> Option<Bytes> {
        let mut text = String::new();
        if !std::mem::replace(&mut self.opened, true) {
            text.push_str(RETRY);
        }
        let begun = self.at > 0;
        if begun || now >= self.next_event || self.asked.iter_mut().any(|asked| asked.has_turned())
        {
            self.write_events(&mut text, now);
        }
        if text.is_empty() && now >= self.speak_by {
            return Some(Bytes::from_static(COMMENT));
        }
        (!text.is_empty()).then(|| text.into())
    }

    fn write_events(&mut self, text: &mut String, now: Instant) {
        let late = now >= self.give_up;
        while self.at < self.asked.len() && text.len() < CHUNK {
            if let Some(event) = self.asked[self.at].event(&self.base, late) {
                self.round.told = true;
                self.write_event(text, &event);
            }
            self.at += 1;
        }
        self.round.spent += now.elapsed();
        if self.at == self.asked.len() {
            self.end_round();
        }
    }

    /// Leaves the thread to others for as long as the round was dear, so that polls are answered at once.
    fn end_round(&mut self) {
        let round = std::mem::take(&mut self.round);
        self.at = 0;
        if round.told {
            let streams = self.most - self.place.semaphore().available_permits().min(self.most);
            let streams = u32::try_from(streams).unwrap_or(u32::MAX);
            let pause = round.spent.saturating_mul(SHARE.saturating_mul(streams));
            self.next_event = Instant::now() + pause.clamp(self.tick, self.comment.max(self.tick));
        }
    }

    fn write_event(&self, text: &mut String, event: &Event) {
        let (name, data) = match event {
            Event::Record(data) => ("", data),
            Event::Gone(data) => ("event: gone\n", data),
        };
        text.push_str(name);
        text.push_str("id: ");
        for (index, asked) in self.asked.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            let _ = write!(text, "{dot}{}", asked.seen);
        }
        let _ = write!(text, "\ndata: {data}\n\n");
    }

    /// When to look again by itself; `held` says that numbers wait for the tick.
    fn wake_at(&self, held: bool) -> Instant {
        let missing = self.asked.iter().any(|asked| asked.seen == Seen::Nothing);
        let mut until = self.speak_by.min(self.end);
        if missing {
            until = until.min(self.give_up.max(self.next_event));
        }
        if held {
            until = until.min(self.next_event);
        }
        until
    }
}
