//! What is due and what was answered, as the store keeps it: as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::receive::{AppAnswer, Told};
use crate::upload::{Owner, Remembered};

/// What is due of an upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    /// What the upload is.
    pub(super) about: Remembered,
    /// Since when, in seconds since 1970.
    pub(super) since: u64,
    /// What is to be done.
    pub(super) stage: Stage,
}

/// How far a hand-off has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// The app is to be told.
    Untold,
    /// The app works on it; it has until then, in seconds since 1970.
    Working { until: u64 },
    /// The app has refused it: its files go then.
    Leaving { at: u64 },
}

impl Note {
    pub(super) fn new(about: Remembered) -> Self {
        Self {
            about,
            since: seconds(SystemTime::now()),
            stage: Stage::Untold,
        }
    }

    pub(super) fn at(&self, stage: Stage) -> Self {
        Self {
            stage,
            ..self.clone()
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note has string keys only and no fallible part")
    }

    pub(super) fn read(row: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(row).map_err(Error::store)
    }

    /// How long it may still be tried, when that is `all` in all; `None` when it is over.
    pub(super) fn left(&self, all: Duration) -> Option<Duration> {
        let end = self.since.saturating_add(all.as_secs());
        Some(until(end)).filter(|left| !left.is_zero())
    }
}

/// What has come of an upload's hand-off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// Since when it is known, in seconds since 1970.
    pub(super) at: u64,
    /// To whom the upload belongs, where the app said so.
    owner: Option<Owner>,
    /// Its body bytes.
    length: Option<u64>,
    how: How,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum How {
    Taken(Said),
    Refused(Said),
    /// Nobody tries any more.
    GivenUp,
}

/// The app's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Said {
    status: u16,
    headers: Vec<(String, String)>,
    /// In Base64.
    body: String,
}

impl Said {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.to_string(), value.to_str().ok()?.to_owned()))
        };
        Self {
            status: status.as_u16(),
            headers: headers.iter().filter_map(text).collect(),
            body: STANDARD.encode(body),
        }
    }
}

impl Verdict {
    pub(super) fn new(about: &Remembered, how: How) -> Self {
        let named = matches!(about.owner, Owner::Named(_));
        Self {
            at: seconds(SystemTime::now()),
            owner: named.then(|| about.owner.clone()),
            length: about.length,
            how,
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an answer has string keys only and no fallible part")
    }

    pub(super) fn read(row: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(row).map_err(Error::store)
    }

    fn answer(said: Said, owner: Option<Owner>, length: Option<u64>) -> AppAnswer {
        let header = |(name, value): (String, String)| {
            let name = HeaderName::try_from(name).ok()?;
            Some((name, HeaderValue::try_from(value).ok()?))
        };
        AppAnswer {
            // What cannot be read any more was written by us.
            status: StatusCode::from_u16(said.status).unwrap_or(StatusCode::BAD_GATEWAY),
            headers: said.headers.into_iter().filter_map(header).collect(),
            body: Bytes::from(STANDARD.decode(said.body).unwrap_or_default()),
            owner,
            length,
        }
    }
}

impl From<Verdict> for Told {
    fn from(verdict: Verdict) -> Self {
        let Verdict { owner, length, .. } = verdict;
        match verdict.how {
            How::Taken(said) => Self::Taken(Verdict::answer(said, owner, length)),
            How::Refused(said) => Self::Refused(Verdict::answer(said, owner, length)),
            How::GivenUp => Self::GivenUp,
        }
    }
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// How long it is until then, in seconds since 1970.
pub(super) fn until(then: u64) -> Duration {
    let then = UNIX_EPOCH.checked_add(Duration::from_secs(then));
    let left = then.and_then(|then| then.duration_since(SystemTime::now()).ok());
    left.unwrap_or_default()
}
