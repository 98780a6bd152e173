//! What was due when this process began, what is due now, and answers that nobody asks for any more.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use super::Shared;
use super::attempt::Job;
use super::note::{Note, Stage, Verdict, seconds, until};
use super::queue::Turn;
use crate::error::Error;
use crate::store::Due;
use crate::upload::UploadId;

/// How many rows are read at once.
const AT_ONCE: usize = 100;
/// The longest time between two looks for answers that are too old; a tenth of how long they stay if that is shorter.
const ROUND: Duration = Duration::from_secs(3600);
/// The shortest.
const REST: Duration = Duration::from_millis(100);

/// Takes up what the store has, and goes on from there.
pub(super) fn run(shared: &Arc<Shared>) {
    let (told, tell) = sync_channel(1);
    let this = Arc::clone(shared);
    shared.data.spawn(async move {
        if let Err(error) = this.load().await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(
                cause,
                "cannot read what is due: nobody is told of it in this run"
            );
        }
        let _ = told.send(());
    });
    // An error means that it has panicked, which has been reported.
    let _ = tell.recv();
    let bell = Arc::clone(&shared.bell);
    shared
        .data
        .spawn(keep_telling(Arc::downgrade(shared), bell));
    shared.data.spawn(keep_sweeping(Arc::downgrade(shared)));
}

impl Shared {
    async fn load(&self) -> Result<(), Error> {
        let mut last = None;
        loop {
            let due = self.notes.due(last.as_ref(), AT_ONCE).await?;
            let Some(end) = due.last() else {
                return Ok(());
            };
            last = Some(end.id);
            for due in due {
                self.recall(due);
            }
        }
    }

    /// One that was due before this process began. Watchers see that it is still processed.
    fn recall(&self, due: Due) {
        let Ok(note) = Note::read(&due.note) else {
            tracing::error!(
                upload = due.id.short(),
                "what is due of an upload cannot be read: it stays"
            );
            return;
        };
        let wait = match note.stage {
            Stage::Leaving { at } => until(at),
            Stage::Untold | Stage::Working { .. } => Duration::ZERO,
        };
        self.queue().wait(due.id, Instant::now() + wait, 0);
        if !matches!(note.stage, Stage::Leaving { .. }) {
            let length = note.about.length.unwrap_or_default();
            let job = Job {
                turn: Turn::nobodys(due.id),
                note,
                files: due.files,
            };
            self.take_up(&job).rest(length);
        }
    }

    /// Begins what is due; gives when something is next, if anything is.
    fn begin_turns(self: &Arc<Self>) -> Option<Instant> {
        loop {
            let next = self.queue().next(Instant::now());
            match next {
                Ok(turn) => drop(self.data.spawn(Arc::clone(self).take(turn))),
                Err(next) => return next,
            }
        }
    }

    /// Removes answers that are too old, unless their files are still there.
    async fn sweep(&self) -> Result<(), Error> {
        let mut last: Option<UploadId> = None;
        let most = self.options.give_up.as_secs();
        let now = seconds(SystemTime::now());
        loop {
            let answers = self.notes.answers(last.as_ref(), AT_ONCE).await?;
            let Some((end, _)) = answers.last() else {
                return Ok(());
            };
            last = Some(*end);
            for (id, answer) in &answers {
                let at = Verdict::read(answer).map_or(now, |verdict| verdict.at);
                let is_old = at.saturating_add(most) <= now;
                if is_old && self.store.stored(id).await?.is_none() {
                    self.notes.forget(id).await?;
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Goes on as long as somebody else has the teller.
async fn keep_telling(shared: Weak<Shared>, bell: Arc<Notify>) {
    while let Some(this) = shared.upgrade() {
        let next = this.begin_turns();
        drop(this);
        match next {
            Some(at) => {
                let _ = tokio::time::timeout_at(at.into(), bell.notified()).await;
            }
            None => bell.notified().await,
        }
    }
}

async fn keep_sweeping(shared: Weak<Shared>) {
    while let Some(this) = shared.upgrade() {
        if let Err(error) = this.sweep().await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(cause, "cannot clear away old answers");
        }
        let round = (this.options.give_up / 10).clamp(REST, ROUND);
        drop(this);
        tokio::time::sleep(round).await;
    }
}
