//! When it is whose turn. One that waits takes about 100 bytes here; all else is in the store.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use crate::progress::Tap;
use crate::upload::{FileFacts, UploadId};

/// Everything that is due.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: HashMap<UploadId, Job>,
    /// Those that wait, by when they are due.
    order: BTreeSet<(Instant, [u8; 16])>,
    /// How many attempts may run.
    most: usize,
    /// How many do.
    running: usize,
}

#[derive(Debug)]
enum Job {
    /// Stored a moment ago: somebody may wait for the first attempt.
    Fresh {
        at: Instant,
        first: Box<First>,
        over: Over,
    },
    Waiting {
        at: Instant,
        tries: u32,
    },
    Running {
        cancel: Arc<Cancel>,
        over: Over,
        /// The first attempt.
        is_first: bool,
        /// It counts among those that may run.
        counts: bool,
    },
}

/// The first attempt is still to come.
#[derive(Debug)]
pub(super) struct First {
    pub(super) tap: Tap,
    pub(super) files: Vec<FileFacts>,
    ends: watch::Sender<()>,
}

/// Somebody's turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: UploadId,
    /// How many attempts have failed.
    pub(super) tries: u32,
    /// Of the first attempt: who writes the record, and the files.
    pub(super) first: Option<(Tap, Vec<FileFacts>)>,
    pub(super) cancel: Arc<Cancel>,
    /// Dropped with the turn.
    _ends: watch::Sender<()>,
}

impl Turn {
    /// One that only names an upload.
    pub(super) fn nobodys(id: UploadId) -> Self {
        Self {
            id,
            tries: 0,
            first: None,
            cancel: Arc::default(),
            _ends: watch::channel(()).0,
        }
    }
}

/// The end of a turn.
#[derive(Clone, Debug)]
pub(super) struct Over(watch::Receiver<()>);

impl Over {
    /// Waits until it is over.
    pub(super) async fn wait(mut self) {
        // Nothing is ever sent.
        while self.0.changed().await.is_ok() {}
    }
}

/// The wish that an upload ends while it is somebody's turn.
#[derive(Default, Debug)]
pub(super) struct Cancel {
    asked: Notify,
    granted: AtomicBool,
}

impl Cancel {
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    pub(super) fn grant(&self) {
        self.granted.store(true, Ordering::Release);
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }
}

/// What is found by whoever wants an upload to end.
pub(super) enum Found {
    /// It is somebody's turn.
    Running(Arc<Cancel>, Over),
    /// It was nobody's turn, and is not in the queue any more.
    Taken(Option<Tap>),
}

impl Queue {
    /// `most` attempts run at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            jobs: HashMap::new(),
            order: BTreeSet::new(),
            most: most.max(1),
            running: 0,
        }
    }

    /// An upload has just been stored.
    pub(super) fn begin(&mut self, id: UploadId, tap: Tap, files: Vec<FileFacts>) {
        let (ends, over) = watch::channel(());
        let at = Instant::now();
        let job = Job::Fresh {
            at,
            first: Box::new(First { tap, files, ends }),
            over: Over(over),
        };
        self.jobs.insert(id, job);
        self.order.insert((at, *id.as_bytes()));
    }

    /// Something is to be done about an upload then; its turn, if it has one, is over.
    pub(super) fn wait(&mut self, id: UploadId, at: Instant, tries: u32) {
        self.leave(&id);
        self.jobs.insert(id, Job::Waiting { at, tries });
        self.order.insert((at, *id.as_bytes()));
    }

    /// Nothing is due of the upload any more.
    pub(super) fn leave(&mut self, id: &UploadId) {
        match self.jobs.remove(id) {
            Some(Job::Running { counts, .. }) => self.running -= usize::from(counts),
            Some(Job::Fresh { at, .. } | Job::Waiting { at, .. }) => {
                self.order.remove(&(at, *id.as_bytes()));
            }
            None => {}
        }
    }

    /// The attempt is over, and the turn goes on without it: others may run beside what only waits.
    pub(super) fn rests(&mut self, turn: Turn) -> Turn {
        let (ends, now_over) = watch::channel(());
        if let Some(Job::Running {
            over,
            is_first,
            counts,
            ..
        }) = self.jobs.get_mut(&turn.id)
        {
            self.running -= usize::from(std::mem::take(counts));
            (*over, *is_first) = (Over(now_over), false);
        }
        Turn {
            _ends: ends,
            ..turn
        }
    }

    /// Whose turn it is now, else when it is somebody's; nobody's while all that may run do.
    pub(super) fn next(&mut self, now: Instant) -> Result<Turn, Option<Instant>> {
        if self.running >= self.most {
            return Err(None);
        }
        match self.order.first().copied() {
            None => Err(None),
            Some((at, _)) if at > now => Err(Some(at)),
            Some((at, key)) => {
                self.order.remove(&(at, key));
                Ok(self.turn(UploadId::from_bytes(key)))
            }
        }
    }

    fn turn(&mut self, id: UploadId) -> Turn {
        let cancel = Arc::<Cancel>::default();
        let (tries, first, ends, over, is_first) = match self.jobs.remove(&id) {
            Some(Job::Fresh { first, over, .. }) => {
                let First { tap, files, ends } = *first;
                (0, Some((tap, files)), ends, over, true)
            }
            Some(Job::Waiting { tries, .. }) => {
                let (ends, over) = watch::channel(());
                (tries, None, ends, Over(over), false)
            }
            Some(Job::Running { .. }) | None => unreachable!("what is in order waits"),
        };
        self.running += 1;
        let job = Job::Running {
            cancel: Arc::clone(&cancel),
            over,
            is_first,
            counts: true,
        };
        self.jobs.insert(id, job);
        Turn {
            id,
            tries,
            first,
            cancel,
            _ends: ends,
        }
    }

    /// The end of an upload's first attempt, where that is still to come.
    pub(super) fn first_of(&self, id: &UploadId) -> Option<Over> {
        match self.jobs.get(id)? {
            Job::Fresh { over, .. }
            | Job::Running {
                over,
                is_first: true,
                ..
            } => Some(over.clone()),
            Job::Waiting { .. } | Job::Running { .. } => None,
        }
    }

    /// For whoever wants an upload to end; `None` when nothing is due of it.
    pub(super) fn find(&mut self, id: &UploadId) -> Option<Found> {
        if let Job::Running { cancel, over, .. } = self.jobs.get(id)? {
            return Some(Found::Running(Arc::clone(cancel), over.clone()));
        }
        let job = self.jobs.remove(id)?;
        let (at, tap) = match job {
            Job::Fresh { at, first, .. } => (at, Some(first.tap)),
            Job::Waiting { at, .. } => (at, None),
            Job::Running { .. } => unreachable!("looked at before"),
        };
        self.order.remove(&(at, *id.as_bytes()));
        Some(Found::Taken(tap))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_over(over: &Over) -> bool {
        over.0.has_changed().is_err()
    }

    #[test]
    fn whoever_is_due_first_has_his_turn_and_no_more_run_than_may() {
        let (mut queue, now) = (Queue::new(2), Instant::now());
        let ids: Vec<_> = (0..4).map(|_| UploadId::random()).collect();
        for (id, seconds) in ids.iter().zip([3, 1, 2, 9]) {
            queue.wait(*id, now + SECOND * seconds, seconds);
        }
        assert_eq!(queue.next(now).unwrap_err(), Some(now + SECOND));
        let later = now + SECOND * 5;
        let first = queue.next(later).unwrap();
        assert_eq!((first.id, first.tries), (ids[1], 1));
        let second = queue.next(later).unwrap();
        assert_eq!(second.id, ids[2]);
        assert_eq!(queue.next(later).unwrap_err(), None, "two run");
        queue.wait(first.id, later + SECOND, 2);
        assert_eq!(queue.next(later).unwrap().id, ids[0]);
        queue.leave(&second.id);
        let again = queue.next(later + SECOND).unwrap();
        assert_eq!((again.id, again.tries), (ids[1], 2));
    }

    #[test]
    fn what_only_waits_for_the_apps_word_takes_no_place() {
        let (mut queue, now) = (Queue::new(1), Instant::now());
        let (one, two) = (UploadId::random(), UploadId::random());
        queue.wait(one, now, 0);
        queue.wait(two, now + SECOND, 0);
        let turn = queue.next(now).unwrap();
        let Some(Found::Running(_, attempt)) = queue.find(&one) else {
            panic!("it runs");
        };
        let turn = queue.rests(turn);
        assert!(is_over(&attempt), "the attempt, not the turn");
        let Some(Found::Running(_, over)) = queue.find(&one) else {
            panic!("it still does");
        };
        let other = queue.next(now + SECOND).unwrap();
        assert_eq!(other.id, two);
        queue.leave(&one);
        drop(turn);
        assert!(is_over(&over));
        // The place that it had given back is not given back again.
        queue.wait(one, now, 0);
        assert_eq!(queue.next(now + SECOND).unwrap_err(), None);
    }

    #[test]
    fn one_that_waits_can_be_taken_out_and_one_that_is_not_there_is_not_found() {
        let (mut queue, now) = (Queue::new(1), Instant::now());
        let id = UploadId::random();
        assert!(queue.find(&id).is_none());
        queue.wait(id, now, 0);
        assert!(matches!(queue.find(&id), Some(Found::Taken(None))));
        assert!(queue.find(&id).is_none());
        assert_eq!(queue.next(now).unwrap_err(), None);
    }
}
