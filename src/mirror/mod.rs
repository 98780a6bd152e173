//! A copy of the progress in a cache that the app reads: never our truth, and nothing waits for it.
//!
//! ```text
//! progress ─ newcomers, bell ─► keeper ─► Table: what is to be there ─┬─► carrier ─► memcached
//!                                                                     └─► carrier ─► Redis
//! ```
//!
//! All of it runs on the thread of `net`. The keeper looks at the uploads when their bell rings, which the ticker does; the
//! first and the last values are due at once, others not more often than `interval`. Each cache has a carrier of its own,
//! which takes from the table what its cache lacks: however long that is away, one value a key waits for it, the newest.
//! With several caches each key goes to every one, since client libraries hash them differently.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::net::{Net, Upstream};
use crate::progress::{Bell, Newcomers, Progress, Tracker};

mod cache;
mod key;
mod memcached;
mod pickle;
mod redis;
mod sight;
mod table;

pub(crate) use cache::CacheUrl;
pub(crate) use key::{KeyFacts, KeyTemplate, part_of_a_key};

use cache::{Cache, Trouble};
use sight::Sight;
use table::{Begun, MOST_CACHES, Table, Times, Write};

/// The shortest time between two looks at all uploads.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes that go together.
const BATCH: usize = 256;

/// Waits between two attempts at a cache that is away.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Where the copy goes, and how often.
#[derive(Clone, Debug)]
pub(crate) struct MirrorOptions {
    /// The caches, at most 64 of them.
    pub(crate) caches: Vec<CacheUrl>,
    /// The password of those that want one.
    pub(crate) password: Option<Secret>,
    /// Under which keys.
    pub(crate) key: KeyTemplate,
    /// What stands in each key.
    pub(crate) facts: KeyFacts,
    /// The app behind, if there is one: it sees our address, not the client's.
    pub(crate) app: Option<Upstream>,
    /// How long a cache keeps a value; it is written again before that.
    pub(crate) ttl: Duration,
    /// The shortest time between two writes of one upload's moving numbers.
    pub(crate) interval: Duration,
    /// The longest wait for a cache.
    pub(crate) timeout: Duration,
    /// The most uploads.
    pub(crate) most: usize,
}

/// A word that no log shows.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Keeps count of what goes to the caches.
pub(crate) trait MirrorLedger: Send + Sync + 'static {
    /// So many values were written or deleted.
    fn written(&self, values: u64);
    /// So many were not, and are tried again where they still count.
    fn failed(&self, values: u64);
    /// An upload is left out: its key is somebody else's, no cache takes it, or there are too many.
    fn left_out(&self, why: &'static str);
}

/// What keeper and carriers share.
struct Mirror<L> {
    options: MirrorOptions,
    table: Mutex<Table>,
    /// One for each cache: there may be something for it.
    due: Vec<Notify>,
    ledger: L,
}

/// The copies under way.
pub(crate) struct Copies {
    bell: Bell,
    keeper: Arc<dyn Keeps>,
    timeout: Duration,
}

/// Whether all is where it belongs.
trait Keeps: Send + Sync {
    /// How often it was looked at all uploads, and whether the caches lack nothing.
    fn settled(&self) -> (u64, bool);
}

impl Copies {
    /// Waits until the caches have what is known now, no longer than for one that is away: a key that is not deleted when
    /// the process ends would show its upload under way.
    pub(crate) async fn settle(&self) {
        let (before, _) = self.keeper.settled();
        self.bell.ring();
        let settled = async {
            // A look that had begun may have missed what is new.
            while !matches!(self.keeper.settled(), (looks, true) if looks > before + 1) {
                self.bell.ring();
                sleep(PAUSE).await;
            }
        };
        let _ = timeout(self.timeout, settled).await;
    }
}

/// Has the caches follow every upload that is not finished yet, or begins from now on. They end with `net`.
pub(crate) fn start<L: MirrorLedger>(
    net: &Net,
    options: MirrorOptions,
    tracker: &Tracker,
    ledger: L,
) -> Copies {
    let caches = options.caches.len().min(MOST_CACHES);
    let times = Times {
        interval: options.interval,
        ttl: options.ttl,
    };
    let bell = Bell::default();
    let newcomers = tracker.attend(&bell, options.most);
    let mirror = Arc::new(Mirror {
        table: Mutex::new(Table::new(caches, options.most, times)),
        due: std::iter::repeat_with(Notify::new).take(caches).collect(),
        options,
        ledger,
    });
    for cache in 0..caches {
        net.spawn(Arc::clone(&mirror).carry(cache));
    }
    let copies = Copies {
        bell: bell.clone(),
        keeper: Arc::clone(&mirror) as Arc<dyn Keeps>,
        timeout: mirror.options.timeout,
    };
    net.spawn(mirror.keep(newcomers, bell));
    copies
}

impl<L: MirrorLedger> Keeps for Mirror<L> {
    fn settled(&self) -> (u64, bool) {
        let table = self.table();
        (table.looks(), table.lacks_nothing())
    }
}

impl<L: MirrorLedger> Mirror<L> {
    /// Keeps the table up to date.
    async fn keep(self: Arc<Self>, newcomers: Newcomers, bell: Bell) {
        let mut sight = Sight::new(self.options.app.clone(), self.options.timeout);
        loop {
            let newcomers = newcomers.take();
            if !newcomers.is_empty() {
                let addr = sight.address().await;
                for progress in newcomers {
                    self.begin(progress, addr);
                }
            }
            let now = Instant::now();
            let next = self.table().look(now);
            self.due.iter().for_each(Notify::notify_one);
            sleep(PAUSE).await;
            match next {
                Some(next) => {
                    let left = next.saturating_duration_since(Instant::now());
                    // Nothing was to be looked at before its time.
                    let _ = timeout(left, bell.rung()).await;
                }
                None => bell.rung().await,
            }
        }
    }

    fn begin(&self, progress: Arc<Progress>, addr: Option<&str>) {
        let (id, now) = (progress.id().short(), Instant::now());
        let key = (self.options.key).fill(&self.options.facts, addr, &progress);
        let why = match key.map(|key| self.table().begin(key, progress, now)) {
            Some(Begun::Taken) => return,
            Some(Begun::Foreign) => "foreign",
            Some(Begun::Full) => "full",
            None => "key",
        };
        tracing::debug!(upload = id, why, "left out of the progress cache");
        self.ledger.left_out(why);
    }

    /// Brings one cache what it lacks, for ever.
    async fn carry(self: Arc<Self>, at: usize) {
        let (mut cache, mut wait, mut away) = (None, RETRY.0, false);
        loop {
            let writes = self.table().unsent(at, BATCH);
            if writes.is_empty() {
                self.due[at].notified().await;
                continue;
            }
            match self.bring(at, &mut cache, &writes).await {
                Ok(all) => {
                    self.tell(at, &mut away, None);
                    if all {
                        wait = RETRY.0;
                        continue;
                    }
                }
                Err(trouble) => {
                    self.ledger.failed(writes.len() as u64);
                    self.table().doubt(at, Instant::now());
                    self.tell(at, &mut away, Some(trouble));
                    cache = None;
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Says whether all was taken.
    async fn bring(
        &self,
        at: usize,
        cache: &mut Option<Cache>,
        writes: &[Write],
    ) -> Result<bool, Trouble> {
        let (options, url) = (&self.options, &self.options.caches[at]);
        let password = options.password.as_ref().map(|secret| secret.0.as_str());
        let taken = timeout(options.timeout, async {
            let cache = match cache {
                Some(cache) => cache,
                None => {
                    let new = Cache::connect(url, password, options.timeout).await?;
                    // It may have been started anew: what it had before counts for nothing.
                    self.table().lost(at);
                    cache.insert(new)
                }
            };
            cache.write(writes, options.ttl).await
        });
        let taken = taken.await.map_err(|_| "it does not answer")??;
        self.table().sent(at, writes, &taken);
        let refused = taken.iter().filter(|taken| !**taken).count();
        self.ledger.written((writes.len() - refused) as u64);
        if refused > 0 {
            self.ledger.failed(refused as u64);
        }
        Ok(refused == 0)
    }

    /// Says once that a cache is away, and once that it is back.
    fn tell(&self, at: usize, away: &mut bool, trouble: Option<Trouble>) {
        let cache = &self.options.caches[at];
        match (trouble, std::mem::replace(away, false)) {
            (Some(cause), was) => {
                *away = true;
                if !was {
                    tracing::warn!(%cache, %cause, "the progress cache is away: uploads go on without it");
                }
            }
            (None, true) => tracing::info!(%cache, "the progress cache is back"),
            (None, false) => {}
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
