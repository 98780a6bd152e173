//! A tracker whose clock and ticker a test moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Ledger, Tracker, TrackerOptions};

/// How long its clients may be silent.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// Moves one tracker's time.
pub(crate) struct Hand {
    tracker: Tracker,
    passed: Arc<AtomicU64>,
}

/// A tracker without a thread, and the hand that moves it.
pub(crate) fn tracker(options: TrackerOptions) -> (Tracker, Hand) {
    build(options, None)
}

/// The same, with a ledger.
pub(crate) fn told(options: TrackerOptions, ledger: Arc<dyn Ledger>) -> (Tracker, Hand) {
    build(options, Some(ledger))
}

fn build(options: TrackerOptions, ledger: Option<Arc<dyn Ledger>>) -> (Tracker, Hand) {
    let began = Instant::now();
    let passed = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&passed);
    let tracker = Tracker::by_clock(
        options,
        Some(STALL),
        Arc::new(move || began + Duration::from_millis(clock.load(Ordering::SeqCst))),
        ledger,
    );
    let hand = Hand {
        tracker: tracker.clone(),
        passed,
    };
    (tracker, hand)
}

impl Hand {
    /// Lets `time` pass, then does what the ticker would.
    pub(crate) fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.passed.fetch_add(millis, Ordering::SeqCst);
        let shared = &self.tracker.shared;
        shared.queue.ring_urgent();
        shared.tick(shared.now());
    }

    /// One tick of 100 ms.
    pub(crate) fn tick(&self) {
        self.pass(Duration::from_millis(100));
    }
}
