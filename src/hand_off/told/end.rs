//! How a turn ends: answered, put off, given up, cancelled.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Shared;
use super::attempt::{Job, upload};
use super::note::{How, Note, Stage, Verdict, seconds, until};
use super::queue::{Found, Turn};
use crate::error::Error;
use crate::hand_off::working::{Lease, Word};
use crate::progress::Tap;
use crate::upload::UploadId;

impl Shared {
    /// Writes down what is due from now on.
    ///
    /// # Errors
    /// [`Error::Store`]; what was due still is.
    pub(super) async fn settle(
        &self,
        turn: &Turn,
        note: Option<&Note>,
        answer: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        let note = note.map(Note::write);
        self.notes.settle(&turn.id, note, answer).await
    }

    /// The app has it.
    pub(super) async fn done(&self, job: Job, tap: Tap, answer: Option<Vec<u8>>) {
        match self.settle(&job.turn, None, answer).await {
            Ok(true) => {
                // What it has moved away counts no more.
                let _ = self.store.stored(&job.turn.id).await;
                self.leave(&job.turn);
                tap.done(&job.files);
            }
            Ok(false) => self.vanished(&job.turn, Some(tap)),
            Err(error) => self.again(&job, tap, &error, None),
        }
    }

    /// The app does not want it: its files go after a while.
    pub(super) async fn refused(&self, job: Job, tap: Tap, why: Error, answer: Option<Vec<u8>>) {
        let at = seconds(SystemTime::now()).saturating_add(self.options.grace.as_secs());
        let note = job.note.at(Stage::Leaving { at });
        match self.settle(&job.turn, Some(&note), answer).await {
            Ok(true) => {
                self.wait(&job.turn, Instant::now() + self.options.grace, 0);
                tap.fail(&why);
            }
            Ok(false) => self.vanished(&job.turn, Some(tap)),
            Err(error) => self.again(&job, tap, &error, None),
        }
    }

    /// It has been tried for long enough; the files stay.
    pub(super) async fn give_up(&self, job: Job, tap: Tap, why: &Error) {
        tracing::error!(upload = job.turn.id.short(), %why, "the app could not be told of an upload: given up");
        let answer = Verdict::new(&job.note.about, How::GivenUp).write();
        self.over(job, tap, &Error::HandOffFailed, Some(answer))
            .await;
    }

    /// Nothing more is done about it; the files stay.
    async fn over(&self, job: Job, tap: Tap, why: &Error, answer: Option<Vec<u8>>) {
        match self.settle(&job.turn, None, answer).await {
            Ok(true) => {
                self.leave(&job.turn);
                tap.fail(why);
            }
            Ok(false) => self.vanished(&job.turn, Some(tap)),
            Err(error) => self.again(&job, tap, &error, None),
        }
    }

    /// The app has it, and says later what became of it. Until then nobody writes the record: a server that stops does
    /// not wait for it.
    pub(super) async fn wait_for_word(&self, mut job: Job, tap: Tap, mut lease: Lease, end: u64) {
        rest(tap, &job);
        job.turn = self.queue().rests(job.turn);
        self.bell.notify_one();
        let word = tokio::select! {
            word = lease.last_word() => word.and_then(Word::verdict),
            // Since the app was told, which may be longer ago than this process.
            () = tokio::time::sleep(until(end)) => Err(Error::ProcessingTimeout {
                seconds: self.options.processing.as_secs(),
            }),
            () = job.turn.cancel.asked() => {
                let tap = self.take_up(&job);
                return self.cancelled(job, tap).await;
            }
        };
        let tap = self.take_up(&job);
        match word {
            Ok(()) => self.done(job, tap, None).await,
            Err(why @ Error::ProcessingTimeout { .. }) => self.over(job, tap, &why, None).await,
            Err(why) => self.refused(job, tap, why, None).await,
        }
    }

    /// It is tried again later.
    pub(super) fn again(&self, job: &Job, tap: Tap, why: &Error, after: Option<Duration>) {
        let tries = job.turn.tries.saturating_add(1);
        let left = job.note.left(self.options.give_up);
        let wait = after.unwrap_or_default().max(self.delay(tries));
        // The last attempt comes when the time is over, however long the app wants to be left alone.
        let wait = left.map_or(wait, |left| wait.min(left));
        tracing::warn!(upload = job.turn.id.short(), tries, ?wait, %why, "the app is told of an upload later");
        rest(tap, job);
        self.wait(&job.turn, Instant::now() + wait, tries);
    }

    /// What is due could not be read: later perhaps.
    pub(super) fn put_off(&self, turn: &Turn, tap: Option<Tap>, error: &Error) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(
            upload = turn.id.short(),
            cause,
            "what is due cannot be read now"
        );
        if let Some(tap) = tap {
            let received = tap.progress().received();
            tap.rest(received);
        }
        let tries = turn.tries.saturating_add(1);
        self.wait(turn, Instant::now() + self.delay(tries), tries);
    }

    /// Twice as long with each attempt, and not the same for all that failed together.
    fn delay(&self, tries: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        let whole = self.options.retry.saturating_mul(doubled);
        let whole = whole.min(self.options.retry_most);
        let mut random = [0; 2];
        // Without chance all come together: that is all that is lost.
        let _ = getrandom::fill(&mut random);
        whole / 2 + (whole / 2).mul_f64(f64::from(u16::from_le_bytes(random)) / 65_536.0)
    }

    /// The server stops: what is due stays due.
    pub(super) fn stops(&self, job: &Job, tap: Tap) {
        rest(tap, job);
        self.leave(&job.turn);
    }

    /// Nothing is due any more: it has been removed.
    pub(super) fn vanished(&self, turn: &Turn, tap: Option<Tap>) {
        self.leave(turn);
        if let Some(tap) = tap {
            tap.fail(&Error::Cancelled);
        }
    }

    /// Takes away the files of an upload that the app has refused.
    pub(super) async fn remove(&self, job: &Job) {
        match self.store.remove(&job.turn.id).await {
            Ok(_) => self.leave(&job.turn),
            Err(error) => {
                not_removed(&job.turn.id, &error);
                let tries = job.turn.tries.saturating_add(1);
                self.wait(&job.turn, Instant::now() + self.delay(tries), tries);
            }
        }
    }

    /// Somebody has ended it during its turn.
    pub(super) async fn cancelled(&self, job: Job, tap: Tap) {
        match self.store.remove(&job.turn.id).await {
            Ok(_) => {
                job.turn.cancel.grant();
                self.leave(&job.turn);
                tap.fail(&Error::Cancelled);
            }
            Err(error) => self.again(&job, tap, &error, None),
        }
    }

    /// Ends an upload of which something is due; `false` when nothing is.
    pub(super) async fn end(self: Arc<Self>, id: UploadId) -> Result<bool, Error> {
        loop {
            let Some(found) = self.queue().find(&id) else {
                return Ok(false);
            };
            match found {
                Found::Running(cancel, over) => {
                    cancel.ask();
                    over.wait().await;
                    if cancel.is_granted() {
                        return Ok(true);
                    }
                }
                Found::Taken(tap) => return self.take_away(&id, tap).await,
            }
        }
    }

    /// Removes one whose turn it was not.
    async fn take_away(&self, id: &UploadId, tap: Option<Tap>) -> Result<bool, Error> {
        let tap = match (tap, self.notes.due_of(id).await?) {
            (Some(tap), _) => Some(tap),
            (None, Some(due)) => Note::read(&due.note)
                .ok()
                .filter(|note| !matches!(note.stage, Stage::Leaving { .. }))
                .map(|note| {
                    let length = note.about.length.unwrap_or_default();
                    self.tracker.resume(&upload(id, &note), length)
                }),
            (None, None) => None,
        };
        let removed = self.store.remove(id).await;
        if let Err(error) = &removed {
            not_removed(id, error);
            self.queue().wait(*id, Instant::now(), 0);
        }
        if let Some(tap) = tap {
            match &removed {
                Ok(_) => tap.fail(&Error::Cancelled),
                Err(_) => {
                    let received = tap.progress().received();
                    tap.rest(received);
                }
            }
        }
        self.bell.notify_one();
        removed.map(|_| true)
    }

    fn leave(&self, turn: &Turn) {
        self.queue().leave(&turn.id);
        self.bell.notify_one();
    }

    fn wait(&self, turn: &Turn, at: Instant, tries: u32) {
        self.queue().wait(turn.id, at, tries);
        self.bell.notify_one();
    }
}

/// Nobody writes the record for a while.
fn rest(tap: Tap, job: &Job) {
    tap.rest(job.note.about.length.unwrap_or_default());
}

fn not_removed(id: &UploadId, error: &Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(
        upload = id.short(),
        cause,
        "the files of an upload could not be removed"
    );
}
