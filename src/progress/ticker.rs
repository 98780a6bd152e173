//! The thread that publishes: it looks at what has changed, so that the pump need not tell.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::tracker::{Next, Shared};
use super::{Progress, locked};

/// The interval never widens beyond this.
const WIDEST: Duration = Duration::from_secs(2);

/// What the ticker is to do before its next tick.
#[derive(Default, Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default, Debug)]
struct Waiting {
    /// Uploads whose watchers are to be woken now: a first byte, a new state, a file, the end. Each stands here once.
    urgent: Vec<Arc<Progress>>,
    /// An upload has begun since the ticker last looked.
    begun: bool,
    /// The ticker waits for one to begin.
    ends_at_begin: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn push(&self, progress: &Arc<Progress>) {
        if !progress.queued.swap(true, Ordering::AcqRel) {
            self.tell(|waiting| waiting.urgent.push(Arc::clone(progress)));
        }
    }

    /// An upload has begun. The ticker is woken only if it waits for that: while it ticks anyway, a wake-up for each
    /// of many small uploads would cost more than the tick.
    pub(super) fn wake(&self) {
        let mut waiting = locked(&self.waiting);
        let news = !std::mem::replace(&mut waiting.begun, true);
        let wanted = waiting.ends_at_begin;
        drop(waiting);
        if news && wanted {
            self.wake.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.tell(|waiting| waiting.closed = true);
    }

    fn tell(&self, what: impl FnOnce(&mut Waiting)) {
        what(&mut locked(&self.waiting));
        self.wake.notify_one();
    }

    /// Rings what is urgent until it is time for the next tick; `false` when there is no more to do at all.
    fn wait(&self, until: Wait) -> bool {
        loop {
            let (urgent, verdict) = self.next(until);
            urgent.iter().for_each(ring);
            if let Some(go_on) = verdict {
                return go_on;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn ring_urgent(&self) {
        let urgent = std::mem::take(&mut locked(&self.waiting).urgent);
        urgent.iter().for_each(ring);
    }

    /// The uploads to ring, and whether the wait is over.
    fn next(&self, until: Wait) -> (Vec<Arc<Progress>>, Option<bool>) {
        let mut waiting = locked(&self.waiting);
        waiting.ends_at_begin = until.ends_at_begin;
        loop {
            let begun = std::mem::take(&mut waiting.begun) && until.ends_at_begin;
            let late = until.at.is_some_and(|at| at <= Instant::now());
            let verdict = match waiting.closed {
                true => Some(false),
                false => (begun || late).then_some(true),
            };
            if verdict.is_some() || !waiting.urgent.is_empty() {
                return (std::mem::take(&mut waiting.urgent), verdict);
            }
            waiting = match until.at {
                None => self
                    .wake
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    let waited = self.wake.wait_timeout(waiting, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

fn ring(progress: &Arc<Progress>) {
    // First, so that what changes from now on is queued again.
    progress.queued.store(false, Ordering::Release);
    progress.ring();
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
struct Wait {
    at: Option<Instant>,
    ends_at_begin: bool,
}

impl Wait {
    fn for_next(next: Next, interval: Duration) -> Self {
        Self {
            at: match next {
                Next::Tick => Some(Instant::now() + interval),
                Next::At(due) => Some(due),
                Next::Begin => None,
            },
            ends_at_begin: next != Next::Tick,
        }
    }
}

/// Starts the ticker; it ends when the queue is closed.
///
/// Without a thread uploads go on and end as ever, and polls show their bytes: only rates and streams stand still.
pub(super) fn spawn(shared: Arc<Shared>) {
    let started = std::thread::Builder::new()
        .name("ticker".into())
        .spawn(move || run(&shared));
    if let Err(error) = started {
        tracing::error!(cause = %error, "no thread for the ticker: streams of progress stand still");
    }
}

fn run(shared: &Shared) {
    let mut interval = shared.options.tick;
    let mut next = Next::Begin;
    while shared.queue.wait(Wait::for_next(next, interval)) {
        let began = Instant::now();
        next = shared.tick(began);
        interval = widen(interval, shared.options.tick, began.elapsed());
    }
}

/// The next interval: doubled while a tick takes more than a tenth of it, halved towards `calm` while it takes less
/// than a fortieth, so that it does not swing between two.
fn widen(interval: Duration, calm: Duration, took: Duration) -> Duration {
    if took * 10 > interval {
        (interval * 2).min(WIDEST.max(calm))
    } else if took * 40 < interval {
        (interval / 2).max(calm)
    } else {
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::{Owner, Protocol, Upload};

    #[test]
    fn an_upload_that_changes_a_thousand_times_waits_in_the_queue_once() {
        let upload = Upload::new(Protocol::Put, Owner::from_address([127, 0, 0, 1].into()));
        let progress = Arc::new(Progress::new(&upload, Instant::now()));
        let queue = Queue::default();
        for _ in 0..2 {
            (0..1000).for_each(|_| queue.push(&progress));
            assert_eq!(locked(&queue.waiting).urgent.len(), 1);
            queue.ring_urgent();
        }
    }

    #[test]
    fn interval_widens_while_a_tick_is_long_and_comes_back_when_calm() {
        let calm = Duration::from_millis(100);
        let ms = Duration::from_millis;
        assert_eq!(widen(calm, calm, ms(1)), calm);
        assert_eq!(widen(calm, calm, ms(10)), calm);
        assert_eq!(widen(calm, calm, ms(11)), ms(200));
        assert_eq!(widen(ms(200), calm, ms(11)), ms(200));
        assert_eq!(widen(ms(200), calm, ms(4)), calm);
        assert_eq!(widen(ms(1600), calm, ms(900)), WIDEST);
        assert_eq!(widen(WIDEST, calm, ms(900)), WIDEST);
    }
}
