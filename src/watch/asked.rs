//! The uploads that a request asks for, and what its client has seen of each.

use std::fmt;

use http::HeaderMap;
use serde::Serialize;

use crate::progress::{Bell, Follow, Found, Key, State, Tracker};

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
pub(super) enum Seen {
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

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("0"),
            Self::Gone => f.write_str("-"),
            Self::Version(version) => version.fmt(f),
        }
    }
}

/// What a reconnecting client has seen, upload by upload; on a first visit nothing.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) seen: Vec<Seen>,
    pub(super) returns: bool,
}

impl Last {
    /// Reads `Last-Event-ID`. One that is not of ours, or of another list of uploads, counts as none.
    pub(super) fn of(headers: &HeaderMap, asked: usize) -> Self {
        let text = headers
            .get("last-event-id")
            .and_then(|value| value.to_str().ok());
        let seen =
            text.and_then(|text| text.split('.').map(Seen::parse).collect::<Option<Vec<_>>>());
        let seen = seen.filter(|seen| seen.len() == asked);
        Self {
            returns: seen.is_some(),
            seen: seen.unwrap_or_else(|| vec![Seen::Nothing; asked]),
        }
    }
}

/// One upload of a stream.
pub(super) struct Asked {
    /// `None` for a name that no upload can have.
    follow: Option<Follow>,
    given: Given,
    pub(super) seen: Seen,
    /// The state told last.
    told: Option<State>,
}

/// What a stream tells, as JSON.
pub(super) enum Event {
    Record(String),
    Gone(String),
}

impl Asked {
    pub(super) fn new(ask: Ask, seen: Seen, tracker: &Tracker, bell: &Bell) -> Self {
        Self {
            follow: ask.key.map(|key| tracker.follow(key, bell)),
            given: ask.given,
            seen,
            told: None,
        }
    }

    fn look(&mut self) -> Option<&Found> {
        self.follow.as_mut()?.look()
    }

    /// Whether nothing can come any more that the client has not seen: it is gone, or ended and told, or was there once
    /// and is forgotten.
    pub(super) fn is_over(&mut self) -> bool {
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
    pub(super) fn has_turned(&mut self) -> bool {
        let told = self.told;
        match self.look() {
            Some(found) => told != Some(found.progress.state()),
            None => false,
        }
    }

    /// The next event, if there is something that the client has not seen. `late` says that waiting is over.
    pub(super) fn event(&mut self, base: &str, late: bool) -> Option<Event> {
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
