//! The pump's end: counts bytes as they pass and sees a client go away.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::halt::{Why, Writer};
use super::known::{File, Known};
use super::ledger::End;
use super::tracker::Shared;
use super::{Phase, Progress, State, locked};
use crate::error::Error;
use crate::upload::{FileFacts, FileHead};

/// Tells the tracker how one upload goes.
///
/// Dropping it without an end means that the pump has vanished under way: an upload of which something is kept is then
/// interrupted, any other ends in `error`, both with [`Error::ClientGone`].
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    progress: Arc<Progress>,
    writer: Writer,
    /// How many bytes had come before it.
    from: u64,
    /// It has told how its part ends.
    closed: bool,
}

impl Tap {
    /// For an upload that begins.
    pub(super) fn new(shared: Arc<Shared>, progress: Arc<Progress>) -> Self {
        let writer = progress.halt.writer();
        Self::of(shared, progress, writer, 0)
    }

    /// For one that goes on behind `from` bytes.
    pub(super) fn of(
        shared: Arc<Shared>,
        progress: Arc<Progress>,
        writer: Writer,
        from: u64,
    ) -> Self {
        Self {
            shared,
            progress,
            writer,
            from,
            closed: false,
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What is known of the upload; it stays readable after the end.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Whether to go on, and with which error not: one relaxed atomic. Ask before each [`Tap::received`].
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::ShuttingDown`], [`Error::Superseded`].
    pub fn go_on(&self) -> Result<(), Error> {
        self.progress.may_write(self.writer)
    }

    /// Waits until it is not to go on.
    pub fn halted(&self) -> impl Future<Output = Error> + Send + 'static {
        Arc::clone(&self.progress).until_halted(self.writer)
    }

    /// What has this writer let go of the upload, whenever it is called: not one who has taken it up since.
    pub fn lets_go(&self) -> impl Fn() + Send + Sync + use<> {
        let (progress, writer) = (Arc::clone(&self.progress), self.writer);
        move || progress.halt_writer(writer, Why::Superseded)
    }

    /// Counts body bytes off the wire: one relaxed atomic. The first ones make the upload `uploading`.
    pub fn received(&self, bytes: u64) {
        let before = self.progress.received.fetch_add(bytes, Ordering::Relaxed);
        if before == self.from && bytes > 0 {
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

    /// What is done with the upload from now on, in state `processing`: see [`Phases::phase`].
    pub fn phase(&self, phase: Phase) {
        self.phases().phase(phase);
    }

    /// For whoever else tells what is done with the upload, for as long as that is this writer's.
    pub(crate) fn phases(&self) -> Phases {
        Phases {
            shared: Arc::clone(&self.shared),
            progress: Arc::clone(&self.progress),
            writer: self.writer,
        }
    }

    /// The bytes that follow come from other uploads, of which this one is put together: it is `processing` from now on,
    /// and how many there are already is how far its phase has come. They came off the wire before, and count there.
    pub fn joining(&self) {
        self.change(|known, _| {
            known.joining = true;
            known.turn(State::Processing);
        });
    }

    /// The whole body is taken; what follows is storing.
    pub fn processing(&self) {
        self.change(|known, _| {
            known.turn(State::Processing);
        });
    }

    /// The upload is stored and handed over, as these files.
    pub fn done(mut self, files: &[FileFacts]) {
        self.end(None, |known, received| {
            known.turn(State::Processing);
            if known.turn(State::Done) {
                known.offset = Some(received);
                known.length = Some(received);
                known.files = files.iter().cloned().map(File::complete).collect();
            }
        });
    }

    /// The app behind has the upload, and says that all is well; its files are the app's, and have no address here.
    #[cfg(feature = "server")]
    pub(crate) fn handed(self, files: &[FileFacts]) {
        self.change(|known, _| known.handed = true);
        self.done(files);
    }

    /// The upload ended otherwise, and nothing of it is kept.
    pub fn fail(mut self, why: &Error) {
        self.end_with(why);
    }

    fn end_with(&mut self, why: &Error) {
        self.end(Some(why), |known, _| {
            if known.turn(State::Error) {
                known.error = Some(why.into());
            }
        });
    }

    fn end(&mut self, error: Option<&Error>, change: impl FnOnce(&mut Known, u64)) {
        self.close();
        if !self.writes() {
            return;
        }
        // Counted before it is told: whoever sees an upload's end finds it in the numbers.
        self.account(error);
        self.change(change);
        self.shared.ended(&self.progress);
    }

    /// Its part is over, whatever becomes of the upload.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.shared.running.end();
    }

    /// Whether no newer one has taken the upload up.
    pub(super) fn writes(&self) -> bool {
        self.progress.halt.writer() == self.writer
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
    pub(super) fn change(&self, change: impl FnOnce(&mut Known, u64)) {
        change_as(self.writer, &self.shared, &self.progress, change);
    }
}

/// Says what is done with an upload once all its bytes are here. It holds nothing up and ends nothing.
#[derive(Clone, Debug)]
pub(crate) struct Phases {
    shared: Arc<Shared>,
    progress: Arc<Progress>,
    writer: Writer,
}

impl Phases {
    /// What is done with the upload from now on, in state `processing`. A new name is told at once, its numbers with the
    /// next tick.
    pub(crate) fn phase(&self, phase: Phase) {
        let mut known = locked(&self.progress.known);
        let new = |old: &Phase| old.name != phase.name;
        if known.phase.as_ref().is_none_or(new) {
            drop(known);
            change_as(self.writer, &self.shared, &self.progress, |known, _| {
                known.phase = Some(phase);
            });
        } else if self.progress.halt.writer() == self.writer {
            known.phase = Some(phase);
        }
    }
}

fn change_as(
    writer: Writer,
    shared: &Shared,
    progress: &Arc<Progress>,
    change: impl FnOnce(&mut Known, u64),
) {
    let ours = |known: &mut Known, received: u64| {
        if progress.halt.writer() == writer {
            change(known, received);
        }
    };
    progress.change(shared.now(), ours);
    if progress.is_followed() {
        shared.queue.push(progress);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let resumes = |known: &Known| known.offset.filter(|_| known.state != State::Processing);
        let kept = resumes(&locked(&self.progress.known));
        match kept {
            Some(offset) => self.interrupted(offset, &Error::ClientGone),
            None => self.end_with(&Error::ClientGone),
        }
    }
}
