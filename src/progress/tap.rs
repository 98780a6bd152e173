//! The pump's end: counts bytes as they pass and sees a client go away.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::known::{File, Known};
use super::ledger::End;
use super::tracker::Shared;
use super::{Progress, State, locked};
use crate::error::Error;
use crate::upload::{FileFacts, FileHead};

/// Tells the tracker how one upload goes.
///
/// Dropping it without [`Tap::done`] or [`Tap::fail`] means that the pump has vanished under way: the upload then ends
/// in `error` with [`Error::ClientGone`].
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    progress: Arc<Progress>,
}

impl Tap {
    pub(super) fn new(shared: Arc<Shared>, progress: Arc<Progress>) -> Self {
        Self { shared, progress }
    }

    /// What is known of the upload; it stays readable after the end.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Counts body bytes off the wire: one relaxed atomic. The first ones turn `starting` into `uploading`.
    pub fn received(&self, bytes: u64) {
        let before = self.progress.received.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 && bytes > 0 {
            self.first_byte();
        }
    }

    #[cold]
    fn first_byte(&self) {
        let now = self.shared.now();
        self.change(|known, _| {
            if known.turn(State::Uploading) {
                known.rate.first_byte(now);
            }
        });
    }

    /// A file begins in the body.
    pub fn begin_file(&self, head: &FileHead) {
        self.change(|known, _| {
            known.files.push(File::begun(head));
        });
    }

    /// The file begun last is complete, and this is what is known of it.
    pub fn end_file(&self, facts: &FileFacts) {
        self.change(|known, _| {
            if let Some(file) = known.files.last_mut() {
                file.facts = facts.clone();
                file.complete = true;
            }
        });
    }

    /// The file begun last is left out.
    pub fn discard_file(&self) {
        self.change(|known, _| {
            known.files.pop();
        });
    }

    /// A form field that is no file. Beyond [`super::TrackerOptions::max_field_bytes`] the record says `null` instead
    /// of its value, and beyond twice that nothing.
    pub fn field(&self, name: &str, value: &str) {
        let most = self.shared.options.max_field_bytes;
        self.change(|known, _| known.keep_field(name, value, most));
    }

    /// The whole body is taken; what follows is storing.
    pub fn processing(&self) {
        self.change(|known, _| {
            known.turn(State::Processing);
        });
    }

    /// The upload is stored and handed over, as these files.
    pub fn done(self, files: &[FileFacts]) {
        self.end(None, |known, received| {
            known.turn(State::Processing);
            if known.turn(State::Done) {
                known.offset = Some(received);
                known.length = Some(received);
                known.files = files.iter().cloned().map(File::complete).collect();
            }
        });
    }

    /// The upload ended otherwise, and nothing of it is kept.
    pub fn fail(self, why: &Error) {
        self.end_with(why);
    }

    fn end_with(&self, why: &Error) {
        self.end(Some(why), |known, _| {
            if known.turn(State::Error) {
                known.error = Some(why.into());
            }
        });
    }

    fn end(&self, error: Option<&Error>, change: impl FnOnce(&mut Known, u64)) {
        // Counted before it is told: whoever sees an upload's end finds it in the numbers.
        self.account(error);
        self.change(change);
        self.shared.ended(&self.progress);
    }

    fn account(&self, error: Option<&Error>) {
        let progress = &self.progress;
        self.shared.count(progress);
        self.shared.tell(&End {
            id: progress.id,
            protocol: progress.protocol,
            progress_id: progress.progress_id.as_ref(),
            client: progress.client,
            error,
            received: progress.received(),
            files: locked(&progress.known).files.len(),
            lasted: self.shared.now().saturating_duration_since(progress.began),
        });
    }

    /// Changes the record and has the ticker wake those who follow it: the pump itself wakes nobody.
    fn change(&self, change: impl FnOnce(&mut Known, u64)) {
        self.progress.change(self.shared.now(), change);
        if self.progress.is_followed() {
            self.shared.queue.push(&self.progress);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if !self.progress.state().is_end() {
            self.end_with(&Error::ClientGone);
        }
    }
}
