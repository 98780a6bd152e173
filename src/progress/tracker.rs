//! Keeps every upload's [`Progress`], in this process, for as long as somebody may ask for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::follow::{Bell, Expected, Follow, Key};
use super::halt::Why;
use super::ledger::{End, Interruption, Ledger, Running};
use super::record::Holder;
use super::records::{Ended, Records};
use super::ticker::{self, Queue};
use super::{Progress, Tap, locked};
use crate::error::Error;
use crate::upload::{Owner, ProgressId, Upload, UploadId, WatchId};

/// How long and how many records are kept, and how often they are published.
#[derive(Clone, Debug)]
pub struct TrackerOptions {
    /// How long a record stays after its upload has ended, so that a late watcher sees how; default 5 minutes.
    pub keep: Duration,
    /// How long it may stay while somebody still asks for it; default 1 hour.
    pub keep_polled: Duration,
    /// The most records; the oldest ended go first, then unfinished ones that nobody writes, those that rest longest
    /// first; running ones never. An upload begun while all are running is taken, but nobody can find it. Default
    /// 100,000.
    pub max_records: usize,
    /// The most bytes of form fields in one record; what goes beyond is shown as `null`. Default 16 KiB.
    pub max_field_bytes: usize,
    /// How often changed numbers are published; default 100 ms. It widens while publishing takes more than a tenth of
    /// that time.
    pub tick: Duration,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(5 * 60),
            keep_polled: Duration::from_secs(60 * 60),
            max_records: 100_000,
            max_field_bytes: 16 * 1024,
            tick: Duration::from_millis(100),
        }
    }
}

/// Keeps progress in this process. Clones share it; its ticker's thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub(super) shared: Arc<Shared>,
    _ticking: Arc<Ticking>,
}

/// Ends the ticker when the last tracker is gone.
#[derive(Debug)]
struct Ticking(Arc<Shared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

/// An upload that was asked for, and by what kind of name.
#[derive(Clone, Debug)]
pub struct Found {
    /// What is known of it.
    pub progress: Arc<Progress>,
    /// What the asker's name for it lets him see.
    pub holder: Holder,
}

impl Tracker {
    /// A tracker with its ticker running.
    #[must_use]
    pub fn start(options: TrackerOptions) -> Self {
        let stall = Some(Duration::from_secs(60));
        Self::start_with(options, stall, None)
    }

    /// The same, with a ledger that is told what comes and how it ends. `stall` is how long a client may be silent: an
    /// unfinished upload that nobody writes for longer is `interrupted`.
    #[must_use]
    pub fn start_with(
        options: TrackerOptions,
        stall: Option<Duration>,
        ledger: Option<Arc<dyn Ledger>>,
    ) -> Self {
        let tracker = Self::by_clock(options, stall, Arc::new(Instant::now), ledger);
        ticker::spawn(Arc::clone(&tracker.shared));
        tracker
    }

    pub(super) fn by_clock(
        options: TrackerOptions,
        stall: Option<Duration>,
        clock: Clock,
        ledger: Option<Arc<dyn Ledger>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            began: clock(),
            clock: clock.into(),
            options,
            stall,
            ledger,
            running: Running::default(),
            records: Mutex::default(),
            expected: Expected::default(),
            queue: Queue::default(),
            #[cfg(feature = "server")]
            attending: std::sync::OnceLock::new(),
        });
        Self {
            _ticking: Arc::new(Ticking(Arc::clone(&shared))),
            shared,
        }
    }

    /// Lists a new upload, in state `starting`, from now on. Call it when the request's head is read, before the first
    /// byte of the body: the article's page stops at the first poll that knows nothing.
    #[must_use]
    pub fn begin(&self, upload: &Upload) -> Tap {
        let shared = Arc::clone(&self.shared);
        let progress = Arc::new(Progress::new(upload, shared.now()));
        shared.running.begin();
        shared.list(&progress);
        Tap::new(shared, progress)
    }

    /// The upload of this id, running or ended not long ago.
    #[must_use]
    pub fn by_id(&self, id: &UploadId) -> Option<Arc<Progress>> {
        self.shared.asked(|records| records.by_id.get(id))
    }

    /// The upload of this watch name.
    #[must_use]
    pub fn by_watch(&self, watch: &WatchId) -> Option<Arc<Progress>> {
        self.shared.asked(|records| records.by_watch.get(watch))
    }

    /// The newest upload that this owner gave this progress id.
    #[must_use]
    pub fn by_progress_id(&self, owner: &Owner, id: &ProgressId) -> Option<Arc<Progress>> {
        self.find(&Key::Progress(owner.clone(), id.clone()))
            .map(|found| found.progress)
    }

    /// The upload that stands under `key`, and what the key lets its holder see.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Found> {
        self.shared.find(key)
    }

    /// Every upload that can be found, the ones begun last first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Progress>> {
        let mut all: Vec<_> = locked(&self.shared.records)
            .by_id
            .values()
            .cloned()
            .collect();
        all.sort_by_key(|progress| std::cmp::Reverse((progress.began, *progress.id.as_bytes())));
        all
    }

    /// How many uploads can be found.
    #[must_use]
    pub fn len(&self) -> usize {
        locked(&self.shared.records).by_id.len()
    }

    /// Whether no upload can be found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many uploads run, those too that cannot be found.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.running.count()
    }

    /// Has every running upload end.
    pub fn halt_all(&self, why: Why) {
        let running: Vec<_> = locked(&self.shared.records)
            .running
            .values()
            .cloned()
            .collect();
        running.iter().for_each(|progress| progress.halt(why));
    }

    /// Forgets an upload that has ended, before its time.
    pub fn forget(&self, id: &UploadId) {
        locked(&self.shared.records).forget_one(id);
    }

    /// How often changed numbers are published when all is calm.
    #[must_use]
    pub fn tick(&self) -> Duration {
        self.shared.options.tick
    }

    /// Has `bell` rung whenever something new is known of the upload under `key`, also of one still to begin.
    #[must_use]
    pub fn follow(&self, key: Key, bell: &Bell) -> Follow {
        Follow::new(Arc::clone(&self.shared), key, bell.clone())
    }
}

pub(super) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// A clock that can be replaced where a test is about time.
struct Now(Clock);

impl From<Clock> for Now {
    fn from(clock: Clock) -> Self {
        Self(clock)
    }
}

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Now").field(&(self.0)()).finish()
    }
}

/// What trackers, taps, streams and the ticker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: TrackerOptions,
    clock: Now,
    began: Instant,
    /// How long a client may be silent.
    stall: Option<Duration>,
    ledger: Option<Arc<dyn Ledger>>,
    pub(super) running: Running,
    pub(super) records: Mutex<Records>,
    pub(super) expected: Expected,
    pub(super) queue: Queue,
    /// Who hears of every upload.
    #[cfg(feature = "server")]
    pub(super) attending: std::sync::OnceLock<super::attend::Attending>,
}

impl Shared {
    pub(super) fn now(&self) -> Instant {
        (self.clock.0)()
    }

    pub(super) fn list(&self, progress: &Arc<Progress>) {
        let listed = locked(&self.records).insert(progress, self.options.max_records);
        if listed.is_err() {
            tracing::warn!(
                upload = progress.id.short(),
                "too many uploads at once to track this one"
            );
            return;
        }
        #[cfg(feature = "server")]
        self.tell_attending(progress);
        self.queue.wake();
        self.expected.announce(progress);
    }

    /// The listed upload of this id.
    pub(super) fn listed(&self, id: &UploadId) -> Option<Arc<Progress>> {
        locked(&self.records).by_id.get(id).map(Arc::clone)
    }

    /// Puts an unfinished upload where it belongs, now that somebody writes it or has ceased to.
    pub(super) fn sort(&self, progress: &Arc<Progress>) {
        locked(&self.records).sort(progress);
    }

    /// Tells the ledger of the bytes that it does not know of yet.
    pub(super) fn count(&self, progress: &Progress) {
        let received = progress.received();
        let bytes = locked(&progress.known).uncounted(received);
        self.count_more(progress, bytes);
    }

    pub(super) fn count_more(&self, progress: &Progress, bytes: u64) {
        if let Some(ledger) = &self.ledger
            && bytes > 0
        {
            ledger.received(progress.protocol, bytes);
        }
    }

    /// Tells log and ledger that an upload is interrupted.
    pub(super) fn tell_interruption(&self, interruption: &Interruption<'_>) {
        interruption.log();
        if let Some(ledger) = &self.ledger {
            ledger.interrupted(interruption);
        }
    }

    /// Tells log and ledger how an upload has ended.
    pub(super) fn tell(&self, end: &End<'_>) {
        end.log();
        if let Some(ledger) = &self.ledger {
            ledger.ended(end);
        }
    }

    pub(super) fn ended(&self, progress: &Arc<Progress>) {
        let now = self.now();
        locked(&self.records).end(progress, now, now + self.options.keep);
    }

    pub(super) fn find(&self, key: &Key) -> Option<Found> {
        let found = |holder| move |progress| Found { progress, holder };
        match key {
            Key::Name(id, watch) => self
                .asked(|records| records.by_id.get(id))
                .map(found(Holder::Id))
                .or_else(|| {
                    self.asked(|records| records.by_watch.get(watch))
                        .map(found(Holder::Watch))
                }),
            Key::Progress(..) => self
                .asked(|records| records.by_progress_id.get(key))
                .map(found(Holder::ProgressId)),
        }
    }

    fn asked(
        &self,
        find: impl FnOnce(&Records) -> Option<&Arc<Progress>>,
    ) -> Option<Arc<Progress>> {
        let progress = find(&locked(&self.records)).map(Arc::clone)?;
        let since = self.now().saturating_duration_since(self.began).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        progress.polled.store(since, Ordering::Relaxed);
        Some(progress)
    }

    /// Publishes what has changed, forgets what is due, and says when to look again.
    pub(super) fn tick(&self, now: Instant) -> Next {
        let running: Vec<_> = locked(&self.records).running.values().cloned().collect();
        for progress in &running {
            let ticked = progress.tick(now, self.stall);
            self.count_more(progress, ticked.uncounted);
            if let Some(offset) = ticked.stalled {
                self.stalled(progress, offset, now);
            }
            if ticked.due {
                progress.ring();
            }
        }
        let mut records = locked(&self.records);
        records.forget(now, |ended| self.kept_until(ended));
        match records.next_due() {
            _ if !running.is_empty() => Next::Tick,
            Some(due) => Next::At(due),
            None => Next::Begin,
        }
    }

    /// One that has rested for so long that it is `interrupted` now.
    fn stalled(&self, progress: &Arc<Progress>, offset: u64, now: Instant) {
        let seconds = self.stall.unwrap_or_default().as_secs();
        let why = Error::Stalled { seconds };
        self.tell_interruption(&progress.interruption(offset, &why, now));
        self.sort(progress);
    }

    /// How long one that is due by [`TrackerOptions::keep`] stays all the same.
    fn kept_until(&self, ended: &Ended) -> Instant {
        let polled = Duration::from_millis(ended.progress.polled.load(Ordering::Relaxed));
        let while_polled = self.began + polled + self.options.keep;
        while_polled.min(ended.at + self.options.keep_polled)
    }
}

/// What the ticker waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Uploads run: the next tick.
    Tick,
    /// Only ended ones are left: when the first may go.
    At(Instant),
    /// Nothing is left: an upload that begins.
    Begin,
}
