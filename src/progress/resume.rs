//! Uploads that outlive their requests: writers follow each other, and between two of them the upload rests.
//!
//! ```text
//! begin ─► Tap ─► rest ────► (uploading, as long as a client may be silent) ─┐
//!           └───► interrupt ─────────────────────────────────────────────────┴► interrupted
//! resume ─► Tap ─► …                                 revive: from a store, after a restart
//! ```
//!
//! An upload that rests has its record and no [`Tap`]. It is never forgotten for its age: whoever keeps the bytes says when it
//! ends, by taking it up and letting it [`fail`](Tap::fail).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::halt::Writer;
use super::known::{File, Known};
use super::ledger::Interruption;
use super::rate::Rate;
use super::tracker::{Shared, Tracker};
use super::{Progress, State, Tap, locked};
use crate::error::Error;
use crate::upload::{FileFacts, FileHead, Upload};

/// The files of an upload that rests.
#[derive(Clone, Copy, Default, Debug)]
pub struct Files<'a> {
    /// Those that are complete.
    pub complete: &'a [FileFacts],
    /// The one of which more is to come.
    pub open: Option<&'a FileHead>,
}

impl<'a> Files<'a> {
    /// One at most, of which more is to come.
    #[must_use]
    pub fn open(open: Option<&'a FileHead>) -> Self {
        Self {
            complete: &[],
            open,
        }
    }
}

impl Tracker {
    /// Goes on with an upload at `offset`, where what is kept of it ends: another writer, the same record. An older
    /// writer that has not let go yet changes nothing from now on. A length that has become known since is taken over.
    ///
    /// An upload that is not listed, since the tracker had no room for it, is listed as [`Tracker::revive`] would.
    #[must_use]
    pub fn resume(&self, upload: &Upload, offset: u64) -> Tap {
        let shared = Arc::clone(&self.shared);
        let progress = shared.unfinished(upload, offset);
        shared.running.begin();
        let (writer, uncounted) = progress.take_up(upload.length, offset, shared.now());
        shared.count_more(&progress, uncounted);
        shared.sort(&progress);
        shared.queue.wake();
        if progress.is_followed() {
            shared.queue.push(&progress);
        }
        Tap::of(shared, progress, writer, offset)
    }

    /// Lists an upload that rests at `offset` since before this process began: `interrupted`, or `starting` while
    /// nothing of it is kept. One that is listed already stays as it is.
    pub fn revive(
        &self,
        upload: &Upload,
        offset: u64,
        files: Files<'_>,
        fields: &[(String, String)],
    ) {
        if self.shared.listed(&upload.id).is_some() {
            return;
        }
        let most = self.shared.options.max_field_bytes;
        let progress = Progress::revived(upload, offset, self.shared.now(), |known| {
            let complete = files.complete.iter().cloned().map(File::complete);
            known.files.extend(complete);
            known.files.extend(files.open.map(File::begun));
            for (name, value) in fields {
                known.keep_field(name, value, most);
            }
        });
        self.shared.list(&Arc::new(progress));
    }

    /// What the record of a finished upload says, for whoever asks how it ended when that has been forgotten. It is not
    /// listed.
    #[must_use]
    pub fn recall(
        &self,
        upload: &Upload,
        files: Vec<FileFacts>,
        fields: &[(String, String)],
    ) -> Arc<Progress> {
        let stored = files.iter().map(|file| file.length).sum();
        let most = self.shared.options.max_field_bytes;
        let offset = upload.length.unwrap_or(stored);
        let progress = Progress::revived(upload, offset, self.shared.now(), |known| {
            known.state = State::Done;
            known.length = Some(offset);
            known.files = files.into_iter().map(File::complete).collect();
            for (name, value) in fields {
                known.keep_field(name, value, most);
            }
        });
        Arc::new(progress)
    }
}

impl Tap {
    /// A checkpoint stands: `offset` bytes are kept, whatever happens. The next tick tells it.
    pub fn kept(&self, offset: u64) {
        let mut known = locked(&self.progress().known);
        if self.writes() {
            known.offset = Some(offset);
        }
    }

    /// The request has ended well and more is to come: the state stays, and `offset` bytes are kept.
    pub fn rest(mut self, offset: u64) {
        self.leave(offset, |_, _| {});
    }

    /// The request was cut; what is kept, `offset` bytes, can be resumed: `interrupted`, unless nothing has come at all.
    pub fn interrupt(mut self, offset: u64, why: &Error) {
        self.interrupted(offset, why);
    }

    pub(super) fn interrupted(&mut self, offset: u64, why: &Error) {
        let now = self.shared().now();
        self.shared()
            .tell_interruption(&self.progress().interruption(offset, why, now));
        self.leave(offset, |known, now| known.interrupt(offset, now));
    }

    fn leave(&mut self, offset: u64, change: impl FnOnce(&mut Known, Instant)) {
        self.close();
        let progress = Arc::clone(self.progress());
        let now = self.shared().now();
        let mut uncounted = 0;
        self.change(|known, _| {
            change(known, now);
            known.rests = Some(now);
            uncounted = progress.set_back(known, offset);
        });
        self.shared().count_more(&progress, uncounted);
        self.shared().sort(&progress);
    }
}

impl Shared {
    /// The listed upload, or if there is none that could go on, one that is listed now.
    fn unfinished(&self, upload: &Upload, offset: u64) -> Arc<Progress> {
        if let Some(listed) = self.listed(&upload.id) {
            if !listed.state().is_end() {
                return listed;
            }
            locked(&self.records).forget_one(&upload.id);
        }
        let progress = Arc::new(Progress::revived(upload, offset, self.now(), |_| {}));
        self.list(&progress);
        progress
    }
}

impl Known {
    /// Bytes come no longer, but may again.
    fn interrupt(&mut self, offset: u64, now: Instant) {
        if self.turn(State::Interrupted) {
            self.rate = Rate::begin(offset, now);
            self.phase = None;
        }
    }

    /// Turns one that was `uploading` when its last writer left, longer ago than a client may be silent, and says where
    /// it rests then.
    pub(super) fn stall(&mut self, now: Instant, most: Option<Duration>) -> Option<u64> {
        let since = self.rests.filter(|_| self.state == State::Uploading)?;
        let offset = self.offset?;
        let silent = now.saturating_duration_since(since);
        most.is_some_and(|most| silent >= most).then(|| {
            self.interrupt(offset, now);
            offset
        })
    }
}

impl Progress {
    /// One whose earlier writers nobody here has seen.
    fn revived(upload: &Upload, offset: u64, now: Instant, fill: impl FnOnce(&mut Known)) -> Self {
        let mut progress = Self::new(upload, now);
        let age = upload.started_at.elapsed().unwrap_or_default();
        progress.began = now.checked_sub(age).unwrap_or(now);
        progress.received = AtomicU64::new(offset);
        let known = progress
            .known
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if offset > 0 {
            known.state = State::Interrupted;
        }
        (known.offset, known.counted) = (Some(offset), offset);
        known.rate = Rate::begin(offset, now);
        known.rests = Some(now);
        known.updated_at = SystemTime::now();
        fill(known);
        known.shown = known.show(offset, now);
        progress
    }

    /// Another writer from now on; gives its number, and how many bytes of the older ones the ledger does not know of.
    fn take_up(&self, length: Option<u64>, offset: u64, now: Instant) -> (Writer, u64) {
        let (mut writer, mut uncounted) = (self.halt.writer(), 0);
        self.change(now, |known, _| {
            writer = self.halt.next();
            known.rests = None;
            known.length = known.length.or(length);
            uncounted = self.set_back(known, offset);
            known.offset = Some(offset);
        });
        (writer, uncounted)
    }

    /// What has come beyond `offset` is to come again. Gives how much of it the ledger does not know of.
    fn set_back(&self, known: &mut Known, offset: u64) -> u64 {
        let received = self.received.swap(offset, Ordering::Relaxed);
        let uncounted = known.uncounted(received);
        known.counted = offset;
        known.offset = Some(offset);
        known.rate.set_back(offset);
        uncounted
    }

    pub(super) fn interruption<'a>(
        &'a self,
        offset: u64,
        why: &'a Error,
        now: Instant,
    ) -> Interruption<'a> {
        Interruption {
            id: self.id,
            protocol: self.protocol,
            progress_id: self.progress_id.as_ref(),
            client: self.client,
            why,
            received: self.received(),
            offset,
            lasted: now.saturating_duration_since(self.began),
        }
    }

    /// Whether the ticker looks at it: somebody writes, or did a moment ago.
    pub(super) fn ticks(&self) -> bool {
        let known = locked(&self.known);
        known.rests.is_none() || known.state == State::Uploading
    }
}

#[cfg(test)]
mod tests;
