//! What is known of one upload besides its count of bytes: what changes seldom, or is computed by the ticker.

use std::time::{Duration, Instant, SystemTime};

use super::State;
use super::rate::Rate;
use super::record::{Phase, RecordError};
use crate::upload::{FileFacts, FileHead, Upload};

/// All of it, behind the lock of a [`super::Progress`].
#[derive(Debug)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) length: Option<u64>,
    pub(super) offset: Option<u64>,
    /// How many of the bytes received the ledger knows of.
    pub(super) counted: u64,
    /// Since when nobody writes, though more is to come.
    pub(super) rests: Option<Instant>,
    pub(super) rate: Rate,
    pub(super) shown: Shown,
    pub(super) shown_at: Instant,
    pub(super) updated_at: SystemTime,
    pub(super) fields: Vec<(String, Option<String>)>,
    pub(super) field_bytes: usize,
    pub(super) files: Vec<File>,
    /// Its bytes come from other uploads.
    pub(super) joining: bool,
    /// Its files are the app's: none can be fetched here.
    pub(super) handed: bool,
    /// What the app, or we, do with what has come.
    pub(super) phase: Option<Phase>,
    pub(super) error: Option<RecordError>,
}

/// The numbers as last published.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Shown {
    pub(super) received: u64,
    pub(super) rate: Option<u64>,
    pub(super) eta: Option<u64>,
    pub(super) offset: Option<u64>,
    pub(super) phase_done: Option<u64>,
}

/// One file of the upload, begun and not discarded.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) facts: FileFacts,
    pub(super) complete: bool,
}

impl Known {
    pub(super) fn new(upload: &Upload, now: Instant) -> Self {
        Self {
            state: State::Starting,
            length: upload.length,
            offset: None,
            counted: 0,
            rests: None,
            rate: Rate::begin(0, now),
            shown: Shown::default(),
            shown_at: now,
            updated_at: upload.started_at,
            fields: Vec::new(),
            field_bytes: 0,
            files: Vec::new(),
            joining: false,
            handed: false,
            phase: None,
            error: None,
        }
    }

    /// Takes the next state, unless it may not follow: then everything stays and the answer is `false`.
    pub(super) fn turn(&mut self, next: State) -> bool {
        let allowed = self.state.may_become(next);
        if allowed {
            self.state = next;
        }
        allowed
    }

    /// Counts the bytes that have come since the last time it was asked, so that none counts twice.
    pub(super) fn uncounted(&mut self, received: u64) -> u64 {
        let before = std::mem::replace(&mut self.counted, received);
        match self.joining {
            true => 0,
            false => received.saturating_sub(before),
        }
    }

    /// What is being done with the upload, with so many bytes here.
    pub(super) fn phase(&self, received: u64) -> Option<Phase> {
        let joining = || Phase {
            name: "joining".into(),
            done: Some(received),
            total: self.length,
        };
        let phase = self.phase.clone().or_else(|| self.joining.then(joining));
        phase.filter(|_| self.state == State::Processing)
    }

    /// Brings the rate up to `now`. It stands still in every state but `uploading`.
    pub(super) fn advance(&mut self, received: u64, now: Instant) {
        if self.state == State::Uploading {
            self.rate.advance(received, now);
        }
    }

    /// The numbers as of `now`.
    pub(super) fn show(&self, received: u64, now: Instant) -> Shown {
        let uploading = self.state == State::Uploading;
        let length = self.length.filter(|_| uploading);
        Shown {
            received,
            rate: self.rate.per_second(),
            eta: length.and_then(|length| self.rate.eta(length, now)),
            offset: self.offset,
            phase_done: self.phase.as_ref().and_then(|phase| phase.done),
        }
    }

    /// Keeps a form field within `most` bytes for all, without its value up to twice that.
    pub(super) fn keep_field(&mut self, name: &str, value: &str, most: usize) {
        // What JSON adds, so that empty names are not free.
        const AROUND: usize = "\"\":\"\",".len();
        let fits = |bytes: usize, most: usize| self.field_bytes.saturating_add(bytes) <= most;
        let around = name.len() + AROUND;
        let value = fits(around + value.len(), most).then(|| value.to_owned());
        let bytes = around + value.as_ref().map_or(0, String::len);
        if fits(bytes, most.saturating_mul(2)) {
            self.field_bytes += bytes;
            self.fields.push((name.to_owned(), value));
        }
    }
}

impl Shown {
    /// Bytes, checkpoints, steps and a vanished estimate are told at every tick; a rate that only fades while nothing comes, once a second.
    pub(super) fn is_due(self, last: Self, since: Duration) -> bool {
        const FADING: Duration = Duration::from_secs(1);
        self.received != last.received
            || self.offset != last.offset
            || self.phase_done != last.phase_done
            || (self.eta.is_none() && last.eta.is_some())
            || (self != last && since >= FADING)
    }
}

impl File {
    pub(super) fn begun(head: &FileHead) -> Self {
        Self {
            facts: head.clone().into(),
            complete: false,
        }
    }

    pub(super) fn complete(facts: FileFacts) -> Self {
        Self {
            facts,
            complete: true,
        }
    }
}
