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
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::{WatchOptions, fresh};
use crate::progress::{Bell, Follow, Found, Key, State, Tracker};

/// The media type of a stream.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// After how many milliseconds a client comes back when the stream breaks off.
const RETRY: &str = "retry: 2000\n\n";
const COMMENT: &[u8] = b":\n\n";

/// One upload as the client asks for it.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) key: Option<Key>,
    given: Given,
}

/// The client's words for it, given back when it is gone.
#[derive(Clone, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Given {
    Id(Option<String>),
    ProgressId(Option<String>),
}

impl Ask {
    pub(super) fn by_name(name: Option<&str>) -> Self {
        Self {
            key: name.and_then(Key::name),
            given: Given::Id(name.map(str::to_owned)),
        }
    }

    pub(super) fn by_progress_id(given: Option<&str>, key: Option<Key>) -> Self {
        Self {
            key,
            given: Given::ProgressId(given.map(str::to_owned)),
        }
    }
}

/// What a client has seen of one upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    Nothing,
    Version(u64),
    Gone,
}

impl Seen {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self::Nothing),
            "-" => Some(Self::Gone),
            version => version.parse().ok().map(Self::Version),
        }
    }
}

/// What a reconnecting client has seen, upload by upload; `None` on a first visit.
pub(super) struct Last(Option<Vec<Seen>>);

impl Last {
    /// Reads `Last-Event-ID`. One that is not of ours, or of another list of uploads, counts as none.
    pub(super) fn of(headers: &HeaderMap, asked: usize) -> Self {
        let text = headers
            .get("last-event-id")
            .and_then(|value| value.to_str().ok());
        let seen =
            text.and_then(|text| text.split('.').map(Seen::parse).collect::<Option<Vec<_>>>());
        Self(seen.filter(|seen| seen.len() == asked))
    }
}

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
    let returns = last.0.is_some();
    let seen = last.0.unwrap_or_else(|| vec![Seen::Nothing; asks.len()]);
    let mut asked: Vec<_> = asks
        .into_iter()
        .zip(seen)
        .map(|(ask, seen)| Asked {
            follow: ask.key.map(|key| tracker.follow(key, &bell)),
            given: ask.given,
            seen,
            told: None,
        })
        .collect();
    if returns && asked.iter_mut().all(Asked::is_over) {
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
        next_event: now,
        speak_by: now + options.comment,
        opened: false,
        _place: place,
    };
    Some(EventStream {
        next: Some(Box::pin(live.next())),
    })
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

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Live)>> + Send>>;

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
        let (bytes, live) = said.map_or((None, None), |(bytes, live)| (Some(bytes), Some(live)));
        self.next = live.map(|live| Box::pin(live.next()) as Next);
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
    /// Numbers are not told before this time; states are.
    next_event: Instant,
    /// When a comment is due.
    speak_by: Instant,
    opened: bool,
    _place: OwnedSemaphorePermit,
}

impl Live {
    /// Waits for something to say; `None` when all has been said.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut rung = false;
        loop {
            let now = Instant::now();
            if let Some(bytes) = self.say(now) {
                self.speak_by = now + self.comment;
                return Some((bytes, self));
            }
            if self.asked.iter_mut().all(Asked::is_over) {
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
        if now >= self.next_event || self.asked.iter_mut().any(|asked| asked.has_turned()) {
            self.write_events(&mut text, now);
        }
        if text.is_empty() && now >= self.speak_by {
            return Some(Bytes::from_static(COMMENT));
        }
        (!text.is_empty()).then(|| text.into())
    }

    fn write_events(&mut self, text: &mut String, now: Instant) {
        let late = now >= self.give_up;
        for index in 0..self.asked.len() {
            if let Some(event) = self.asked[index].event(&self.base, late) {
                self.next_event = now + self.tick;
                self.write_event(text, &event);
            }
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
            let _ = match asked.seen {
                Seen::Nothing => write!(text, "{dot}0"),
                Seen::Gone => write!(text, "{dot}-"),
                Seen::Version(version) => write!(text, "{dot}{version}"),
            };
        }
        let _ = write!(text, "\ndata: {data}\n\n");
    }

    /// When to look again by itself; `held` says that numbers wait for the tick.
    fn wake_at(&self, held: bool) -> Instant {
        let missing = self.asked.iter().any(|asked| asked.seen == Seen::Nothing);
        let mut until = self.speak_by;
        if missing {
            until = until.min(self.give_up.max(self.next_event));
        }
        if held {
            until = until.min(self.next_event);
        }
        until
    }
}

/// One upload of a stream.
struct Asked {
    /// `None` for a name that no upload can have.
    follow: Option<Follow>,
    given: Given,
    seen: Seen,
    /// The state told last.
    told: Option<State>,
}

enum Event {
    Record(String),
    Gone(String),
}

impl Asked {
    fn look(&mut self) -> Option<&Found> {
        self.follow.as_mut()?.look()
    }

    /// Whether nothing can come any more that the client has not seen: it is gone, or ended and told, or was there once
    /// and is forgotten.
    fn is_over(&mut self) -> bool {
        let seen = self.seen;
        match self.look() {
            // In this order: after the end no publication follows.
            Some(found) => {
                found.progress.state().is_end() && seen == Seen::Version(found.progress.version())
            }
            None => seen != Seen::Nothing,
        }
    }

    /// Whether its state is another than the one told last, which does not wait for the tick.
    fn has_turned(&mut self) -> bool {
        let told = self.told;
        match self.look() {
            Some(found) => told != Some(found.progress.state()),
            None => false,
        }
    }

    /// The next event, if there is something that the client has not seen. `late` says that waiting is over.
    fn event(&mut self, base: &str, late: bool) -> Option<Event> {
        let seen = self.seen;
        let Some(found) = self.look() else {
            let hopeless = late || self.follow.is_none() || seen != Seen::Nothing;
            return (seen != Seen::Gone && hopeless).then(|| self.gone());
        };
        let (version, record) = found.progress.versioned(found.holder, base);
        self.told = Some(record.state);
        self.seen = Seen::Version(version);
        (seen != self.seen).then(|| Event::Record(record.to_json()))
    }

    fn gone(&mut self) -> Event {
        self.seen = Seen::Gone;
        let given = serde_json::to_string(&self.given).expect("strings become JSON");
        Event::Gone(given)
    }
}
