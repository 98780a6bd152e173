//! What is known of an upload under way: its numbers, its state, and the tracker that keeps all of them.
//!
//! ```text
//! pump ─► Tap ─► one relaxed atomic ──┐
//!          └───► states, files, end ─►│ Progress ─► Record ─► polls and streams (`watch`)
//! Ticker ── every 100 ms: rate, eta ─►│    └─► Bell of each stream that follows it
//! ```
//!
//! The pump only counts. Everything that costs (rates, estimates, waking those who look) is done by the ticker's own
//! thread, so a watcher can neither fail nor slow an upload. Numbers are counted in body bytes, boundaries included.
//! Records are memory: they end some minutes after their upload. What maps an id to its stored file, and what is kept of an
//! unfinished upload, is the store's.
//!
//! A host sets [`TrackerOptions`] with [`Dumbwaiter::progress`](crate::Dumbwaiter::progress), and may be told of every upload's
//! end by a [`Ledger`]; whoever wants to see an upload asks the [`Service`](crate::Service), as any client does.

#[cfg(feature = "server")]
mod attend;
mod follow;
mod halt;
mod known;
mod ledger;
mod rate;
mod record;
mod records;
mod resume;
mod state;
mod tap;
mod ticker;
mod tracker;

#[cfg(test)]
pub(crate) mod by_hand;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::upload::{Owner, ProgressId, Protocol, Upload, UploadId, WatchId};

#[cfg(feature = "server")]
pub(crate) use attend::Newcomers;
pub use ledger::{End, Interruption, Ledger};
#[cfg(feature = "server")]
pub(crate) use rate::Rate;
pub use resume::Files;
#[cfg(feature = "server")]
pub(crate) use tap::Phases;
pub use tracker::TrackerOptions;

// What is ours to use, but for our own tests.
#[doc(hidden)]
pub use self::{
    follow::{Bell, Follow, Key},
    halt::Why,
    record::{Fields, FileRecord, Holder, Phase, Record, RecordError},
    state::{State, percent},
    tap::Tap,
    tracker::{Found, Tracker},
};

use known::{Known, Shown};

/// One upload as those who look at it know it.
///
/// The count of bytes is one atomic; the rest stands behind a lock that is held for a few lines, and never by the pump
/// while bytes flow.
#[derive(Debug)]
#[doc(hidden)]
pub struct Progress {
    id: UploadId,
    watch: WatchId,
    progress_id: Option<ProgressId>,
    owner: Owner,
    protocol: Protocol,
    client: Option<IpAddr>,
    started_at: SystemTime,
    began: Instant,
    received: AtomicU64,
    halt: halt::Halt,
    version: AtomicU64,
    replaced: AtomicBool,
    /// It stands in the ticker's queue already.
    queued: AtomicBool,
    /// When somebody last asked for it, in milliseconds of the tracker's clock.
    polled: AtomicU64,
    known: Mutex<Known>,
    bells: Mutex<Vec<Bell>>,
}

impl Progress {
    fn new(upload: &Upload, now: Instant) -> Self {
        Self {
            id: upload.id,
            watch: upload.id.watch(),
            progress_id: upload.progress_id.clone(),
            owner: upload.owner.clone(),
            protocol: upload.protocol,
            client: Some(upload.address).filter(|address| !address.is_unspecified()),
            started_at: upload.started_at,
            began: now,
            received: AtomicU64::new(0),
            halt: halt::Halt::default(),
            version: AtomicU64::new(next_version()),
            replaced: AtomicBool::new(false),
            queued: AtomicBool::new(false),
            polled: AtomicU64::new(0),
            known: Mutex::new(Known::new(upload, now)),
            bells: Mutex::default(),
        }
    }

    /// The upload's own name.
    #[must_use]
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// To whom it belongs.
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The name under which others may watch it.
    #[must_use]
    pub fn watch(&self) -> WatchId {
        self.watch
    }

    /// The client's own name for it.
    #[cfg(feature = "server")]
    pub(crate) fn progress_id(&self) -> Option<&ProgressId> {
        self.progress_id.as_ref()
    }

    /// Where it comes from, where the host told it.
    #[cfg(feature = "server")]
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        locked(&self.known).state
    }

    /// Body bytes taken off the wire so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// State, bytes received, length in body bytes and the error, of one moment: what a poll needs.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let known = locked(&self.known);
        Numbers {
            state: known.state,
            received: self.received(),
            length: known.length,
            error: known.error.as_ref().map(|error| (error.code, error.status)),
        }
    }

    /// Which publication this is: grows with each, and no two of one machine's uploads share one, across restarts too.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The key that its progress id makes.
    fn key(&self) -> Option<Key> {
        let id = self.progress_id.clone()?;
        Some(Key::Progress(self.owner.clone(), id))
    }

    /// Every key under which it can be asked for.
    fn keys(&self) -> impl Iterator<Item = Key> {
        let names = [self.id.to_string(), self.watch.to_string()];
        names
            .into_iter()
            .filter_map(|name| Key::name(&name))
            .chain(self.key())
    }

    /// A newer upload has taken over the progress id.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    /// Wakes those who follow it. The bells are copied, so that the pump never waits for them to be rung.
    fn ring(&self) {
        let bells = locked(&self.bells).clone();
        bells.iter().for_each(Bell::ring);
    }

    fn is_followed(&self) -> bool {
        !locked(&self.bells).is_empty()
    }

    /// Brings rate and estimate up to `now`, and turns what has rested for longer than a client may be silent.
    fn tick(&self, now: Instant, stall: Option<Duration>) -> Ticked {
        let mut known = locked(&self.known);
        let received = self.received();
        let uncounted = known.uncounted(received);
        known.advance(received, now);
        let stalled = known.stall(now, stall);
        let fresh = known.show(received, now);
        let since = now.saturating_duration_since(known.shown_at);
        let due = stalled.is_some() || fresh.is_due(known.shown, since);
        if due {
            self.publish(&mut known, fresh, now);
        }
        Ticked {
            uncounted,
            stalled,
            due,
        }
    }

    fn publish(&self, known: &mut Known, shown: Shown, now: Instant) {
        known.shown = shown;
        known.shown_at = now;
        known.updated_at = SystemTime::now();
        self.version.store(next_version(), Ordering::Release);
    }

    /// Changes what is known and publishes it.
    fn change(&self, now: Instant, change: impl FnOnce(&mut Known, u64)) {
        let mut known = locked(&self.known);
        let received = self.received();
        known.advance(received, now);
        change(&mut known, received);
        // What had come may have been set back.
        let shown = known.show(self.received(), now);
        self.publish(&mut known, shown, now);
    }
}

/// What a tick has found.
struct Ticked {
    /// Bytes that the ledger does not know of yet.
    uncounted: u64,
    /// It is `interrupted` from now on, with so many bytes kept.
    stalled: Option<u64>,
    /// Watchers should hear of it.
    due: bool,
}

/// What a poll shows of an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[doc(hidden)]
pub struct Numbers {
    /// Where it stands.
    pub state: State,
    /// Body bytes taken off the wire.
    pub received: u64,
    /// Body bytes in all, where known.
    pub length: Option<u64>,
    /// Code and HTTP status of what ended it.
    pub error: Option<(&'static str, u16)>,
}

impl Numbers {
    /// Bytes and length as the article's page has them: below the length until the upload is done, and 0 of 1 while that
    /// is not known, since the page divides by it.
    pub(crate) fn for_the_article(&self) -> (u64, u64) {
        match self.length {
            None | Some(0) => (0, 1),
            Some(length) => (self.received.min(length - 1), length),
        }
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Another number after each publication of any upload in this process.
#[must_use]
#[doc(hidden)]
pub fn latest_version() -> u64 {
    NEXT.load(Ordering::Acquire)
}

/// The next publication's number. It starts at the wall clock's microseconds, which no run publishes faster than, so
/// that a number given out before a restart is never given out again.
fn next_version() -> u64 {
    if NEXT.load(Ordering::Relaxed) == 0 {
        let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let micros = u64::try_from(clock.as_micros()).unwrap_or(1);
        // Losing the race means that another thread has seeded it.
        let _ = NEXT.compare_exchange(0, micros.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }
    NEXT.fetch_add(1, Ordering::AcqRel)
}

/// A lock that outlives a panic of another holder: what it guards here is never left half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
