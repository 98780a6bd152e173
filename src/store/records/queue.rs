//! The way to the writer: what waits for it, and how long it waits for more.
//!
//! A transaction costs some 25 µs of processor time by itself and 7 µs for each upload in it, so that company pays. While
//! more uploads are under way than have brought their change, the writer waits: until all have, but no longer than
//! [`COMPANY`], since the others may be slow. Whoever brings a change meanwhile does not wake it, unless it is the last
//! one that can come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::writer::Change;
use crate::upload::UploadId;

/// The most that waits for the writer; whoever brings one more blocks until there is room.
const QUEUE: usize = 4096;
/// The most changes in one transaction.
const BATCH: usize = 256;
/// Settled promises that wait at most, before they get a transaction of their own.
const SETTLED: usize = 1024;
/// How long settled promises wait for a transaction that goes their way.
const QUIET: Duration = Duration::from_secs(1);
/// How long the writer waits for others. With more, a few fast clients beside slow ones would all wait for nobody.
const COMPANY: Duration = Duration::from_micros(500);

/// What waits for the writer.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the writer.
    come: Condvar,
    /// Wakes those who found no room.
    room: Condvar,
    /// How many uploads may still bring a change.
    under_way: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Waiting {
    changes: Vec<Box<dyn Change>>,
    settled: Vec<UploadId>,
    writer: Listens,
    stage: Stage,
}

/// For what the writer is to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Listens {
    /// It is at work.
    #[default]
    Nothing,
    /// It has nothing to do.
    Anything,
    /// It waits for as many changes as can come.
    All,
}

/// How far the queue has come.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Open,
    /// The writer does what is left and ends.
    Ending,
    /// There is no writer any more.
    Gone,
}

/// What goes into one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Box<dyn Change>>,
    pub(super) settled: Vec<UploadId>,
}

impl Queue {
    pub(super) fn new(under_way: Arc<AtomicUsize>) -> Self {
        Self {
            waiting: Mutex::default(),
            come: Condvar::new(),
            room: Condvar::new(),
            under_way,
        }
    }

    /// Brings a change. Dropped when there is no writer any more, which its asker hears.
    pub(super) fn change(&self, change: Box<dyn Change>) {
        self.put(|waiting| waiting.changes.push(change));
    }

    /// Brings a promise that is kept.
    pub(super) fn settled(&self, id: UploadId) {
        self.put(|waiting| waiting.settled.push(id));
    }

    fn put(&self, put: impl FnOnce(&mut Waiting)) {
        let full = |waiting: &mut Waiting| waiting.len() >= QUEUE && waiting.stage == Stage::Open;
        let mut waiting = unpoisoned(self.room.wait_while(self.lock(), full));
        if waiting.stage != Stage::Open {
            return;
        }
        put(&mut waiting);
        let wakes = match waiting.writer {
            Listens::Nothing => false,
            Listens::Anything => true,
            Listens::All => self.are_all(&waiting),
        };
        if wakes {
            // Once is enough, until it listens again.
            waiting.writer = Listens::Nothing;
            drop(waiting);
            self.come.notify_one();
        }
    }

    /// Waits until there is something worth a transaction; `None` when nothing more can come.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut waiting = self.keep_company(self.wait());
        waiting.writer = Listens::Nothing;
        if waiting.stage != Stage::Open && waiting.len() == 0 {
            return None;
        }
        let full = waiting.len() >= QUEUE;
        let batch = waiting.take();
        drop(waiting);
        if full {
            self.room.notify_all();
        }
        Some(batch)
    }

    /// Until there is a change, or settled promises have waited long enough.
    fn wait(&self) -> MutexGuard<'_, Waiting> {
        let mut waiting = self.lock();
        while !waiting.is_due() {
            waiting.writer = Listens::Anything;
            if waiting.settled.is_empty() {
                waiting = unpoisoned(self.come.wait(waiting));
                continue;
            }
            let (quiet, timer) = unpoisoned(self.come.wait_timeout(waiting, QUIET));
            waiting = quiet;
            if timer.timed_out() {
                break;
            }
        }
        waiting
    }

    /// Until all have come that can, or it has taken long enough.
    fn keep_company<'q>(&self, mut waiting: MutexGuard<'q, Waiting>) -> MutexGuard<'q, Waiting> {
        if waiting.changes.is_empty() || self.are_all(&waiting) {
            return waiting;
        }
        waiting.writer = Listens::All;
        unpoisoned(self.come.wait_timeout(waiting, COMPANY)).0
    }

    /// Whether no more changes can come, or no more fit into a transaction.
    fn are_all(&self, waiting: &Waiting) -> bool {
        let can_come = self.under_way.load(Ordering::Relaxed);
        waiting.changes.len() >= can_come.min(BATCH) || waiting.stage != Stage::Open
    }

    /// Takes nothing more, and has the writer do what is left.
    pub(super) fn end(&self) {
        self.lock().stage = Stage::Ending;
        self.come.notify_one();
    }

    /// The writer is gone: whoever waits for it hears so, since what waits is dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.stage = Stage::Gone;
        let left = std::mem::take(&mut waiting.changes);
        drop(waiting);
        self.room.notify_all();
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        unpoisoned(self.waiting.lock())
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.changes.len() + self.settled.len()
    }

    /// Whether what is here is worth a transaction.
    fn is_due(&self) -> bool {
        !self.changes.is_empty() || self.settled.len() >= SETTLED || self.stage != Stage::Open
    }

    fn take(&mut self) -> Batch {
        let most = self.changes.len().min(BATCH);
        Batch {
            changes: self.changes.drain(..most).collect(),
            settled: std::mem::take(&mut self.settled),
        }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::super::rows::Tables;
    use super::*;

    /// Tells that it is dropped.
    struct Dropped(Sender<()>);

    impl Change for Dropped {
        fn apply(&mut self, _: &mut Tables<'_>) -> Result<(), redb::Error> {
            Ok(())
        }

        fn tell(self: Box<Self>, _: Result<(), &Arc<redb::Error>>) {}
    }

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    fn queue(under_way: usize) -> Queue {
        Queue::new(Arc::new(AtomicUsize::new(under_way)))
    }

    fn sizes(batch: Option<Batch>) -> Option<(usize, usize)> {
        batch.map(|batch| (batch.changes.len(), batch.settled.len()))
    }

    #[test]
    fn all_that_waits_goes_together_up_to_the_bound_and_uploads_that_bring_nothing_hold_nobody_up()
    {
        let (tell, _told) = channel();
        let queue = queue(100_000);
        for _ in 0..=BATCH {
            queue.change(Box::new(Dropped(tell.clone())));
        }
        queue.settled(UploadId::random());
        assert_eq!(sizes(queue.next()), Some((BATCH, 1)));
        assert_eq!(sizes(queue.next()), Some((1, 0)));
    }

    #[test]
    fn settled_promises_alone_go_after_a_while() {
        let queue = queue(0);
        queue.settled(UploadId::random());
        assert_eq!(sizes(queue.next()), Some((0, 1)));
    }

    #[test]
    fn what_is_left_is_done_before_the_end_and_nothing_comes_after_it() {
        let (tell, told) = channel();
        let queue = queue(1);
        queue.change(Box::new(Dropped(tell.clone())));
        queue.end();
        queue.change(Box::new(Dropped(tell)));
        told.try_recv().unwrap();
        assert_eq!(sizes(queue.next()), Some((1, 0)));
        assert_eq!(sizes(queue.next()), None);
    }

    #[test]
    fn whoever_waits_for_a_writer_that_is_gone_hears_so_and_whoever_waits_for_room_too() {
        let (tell, told) = channel();
        let queue = queue(1);
        for _ in 0..QUEUE {
            queue.change(Box::new(Dropped(tell.clone())));
        }
        std::thread::scope(|threads| {
            threads.spawn(|| queue.change(Box::new(Dropped(tell.clone()))));
            queue.close();
        });
        drop(tell);
        assert_eq!(told.iter().count(), QUEUE + 1);
    }
}
