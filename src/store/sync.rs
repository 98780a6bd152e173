//! Threads that wait for the disk, so that nobody else has to.
//!
//! A sync takes as long as the device likes, yet many at once share its work: 300 KiB files synced by one thread come
//! to 1,230 a second on the machine where this was measured, by sixteen to 2,579. Folders go further: whoever asks
//! while a sync of the same folder runs shares the next one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::sync::oneshot;

/// The most jobs that wait for a sync thread; whoever brings one more blocks until there is room.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// Keeps count of syncs: what metrics are made of. Called on the threads that sync; it must be quick.
pub trait SyncLedger: Send + Sync + std::fmt::Debug + 'static {
    /// One sync has come to its end, well or not, after so long.
    fn synced(&self, took: Duration);
}

/// Runs a sync and tells the ledger how long it took.
pub(super) fn timed<T>(ledger: Option<&Arc<dyn SyncLedger>>, sync: impl FnOnce() -> T) -> T {
    let Some(ledger) = ledger else {
        return sync();
    };
    let began = Instant::now();
    let how = sync();
    ledger.synced(began.elapsed());
    how
}

/// Syncs files and folders, or does nothing at all where a close is enough.
#[derive(Debug)]
pub(super) struct Syncs {
    pool: Option<Pool>,
    folders: Arc<Folders>,
    ledger: Option<Arc<dyn SyncLedger>>,
}

impl Syncs {
    /// Starts `threads` sync threads; with none, every sync succeeds at once.
    pub(super) fn start(threads: usize, ledger: Option<Arc<dyn SyncLedger>>) -> io::Result<Self> {
        Ok(Self {
            ledger,
            pool: (threads > 0).then(|| Pool::start(threads)).transpose()?,
            folders: Arc::default(),
        })
    }

    /// Whether a sync does anything here.
    pub(super) fn any(&self) -> bool {
        self.pool.is_some()
    }

    /// Makes the data of all `files` durable, all at once.
    pub(super) async fn data(&self, files: Vec<Arc<OwnedFd>>) -> io::Result<()> {
        let Some(pool) = &self.pool else {
            return Ok(());
        };
        let jobs: Vec<_> = files
            .into_iter()
            .map(|file| {
                let ledger = self.ledger.clone();
                pool.run(move || timed(ledger.as_ref(), || rustix::fs::fdatasync(&*file)))
            })
            .collect();
        // Every answer is awaited, so that no sync is still under way when one has failed.
        let mut how = Ok(());
        for job in jobs {
            how = how.and(answer(job).await);
        }
        how
    }

    /// Makes the entries of `folder` durable, as they are now.
    pub(super) async fn folder(&self, folder: Arc<OwnedFd>) -> io::Result<()> {
        let Some(pool) = &self.pool else {
            return Ok(());
        };
        let stat = rustix::fs::fstat(&*folder)?;
        let key = (stat.st_dev, stat.st_ino);
        let (tell, told) = oneshot::channel();
        if self.folders.join(key, tell) {
            let folders = Arc::clone(&self.folders);
            let ledger = self.ledger.clone();
            pool.submit(Box::new(move || {
                folders.sync(key, &folder, ledger.as_ref());
            }));
        }
        answer(told).await
    }
}

async fn answer(told: oneshot::Receiver<Result<(), Errno>>) -> io::Result<()> {
    match told.await {
        Ok(how) => how.map_err(io::Error::from),
        Err(_) => Err(io::Error::other("the sync threads have stopped")),
    }
}

/// A fixed number of threads and a bounded queue.
#[derive(Debug)]
struct Pool {
    queue: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    fn start(threads: usize) -> io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let start = |n| {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("store-sync-{n}"))
                .spawn(move || work(&jobs))
        };
        Ok(Self {
            queue: Some(queue),
            threads: (0..threads).map(start).collect::<io::Result<_>>()?,
        })
    }

    fn run(
        &self,
        job: impl FnOnce() -> Result<(), Errno> + Send + 'static,
    ) -> oneshot::Receiver<Result<(), Errno>> {
        let (tell, told) = oneshot::channel();
        self.submit(Box::new(move || {
            // Nobody waits any more: the sync was still right to do.
            let _ = tell.send(job());
        }));
        told
    }

    fn submit(&self, job: Job) {
        let queue = self.queue.as_ref().expect("the queue lives until drop");
        queue
            .send(job)
            .expect("the threads live as long as the queue");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // A panic in a sync has been told to its waiter already.
            let _ = thread.join();
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

type FolderKey = (u64, u64);
type Waiters = Vec<oneshot::Sender<Result<(), Errno>>>;

/// The folders that are being synced, each with those who wait for its next sync.
#[derive(Debug, Default)]
struct Folders {
    waiting: Mutex<HashMap<FolderKey, Waiters>>,
}

impl Folders {
    /// Adds a waiter; true when nobody syncs this folder yet, so that the caller must see to it.
    fn join(&self, key: FolderKey, tell: oneshot::Sender<Result<(), Errno>>) -> bool {
        match self.lock().entry(key) {
            Entry::Occupied(mut waiters) => {
                waiters.get_mut().push(tell);
                false
            }
            Entry::Vacant(place) => {
                place.insert(vec![tell]);
                true
            }
        }
    }

    /// Syncs until nobody waits.
    fn sync(&self, key: FolderKey, folder: &OwnedFd, ledger: Option<&Arc<dyn SyncLedger>>) {
        while let Some(waiters) = self.next(key) {
            let how = timed(ledger, || rustix::fs::fsync(folder));
            for tell in waiters {
                let _ = tell.send(how);
            }
        }
    }

    fn next(&self, key: FolderKey) -> Option<Waiters> {
        let mut waiting = self.lock();
        let waiters = std::mem::take(waiting.get_mut(&key)?);
        if waiters.is_empty() {
            waiting.remove(&key);
            return None;
        }
        Some(waiters)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FolderKey, Waiters>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
