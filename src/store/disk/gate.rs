//! Who may write: of several sessions of one upload only the newest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::error::Error;
use crate::store::records::Kept;
use crate::upload::UploadId;

/// The uploads that have a session or a commit under way.
#[derive(Debug, Default)]
pub(super) struct Gates {
    open: Mutex<HashMap<UploadId, Arc<State>>>,
    count: Arc<AtomicUsize>,
}

/// How it stands with one upload.
#[derive(Debug)]
struct State {
    /// The newest epoch.
    epoch: Mutex<u64>,
    /// Commits under way: one, and those that will hear that they are superseded.
    commits: AtomicUsize,
    /// How many files are in their places while another one is being kept by itself, else [`ALL`].
    in_place: AtomicUsize,
    turn: Arc<tokio::sync::Mutex<Turn>>,
}

/// Every file that the record names is in its place.
pub(super) const ALL: usize = usize::MAX;

/// What has been kept file by file. Whoever keeps one more, or removes them, has this to himself.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) kept: Vec<Kept>,
    /// Somebody has removed the upload: nothing more of it is kept.
    pub(super) removed: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            epoch: Mutex::default(),
            commits: AtomicUsize::new(0),
            in_place: AtomicUsize::new(ALL),
            turn: Arc::default(),
        }
    }
}

impl Gates {
    /// The gate of an upload; it stays for as long as anybody holds it.
    pub(super) fn enter(self: &Arc<Self>, id: UploadId) -> Gate {
        let mut open = lock(&self.open);
        let state = Arc::clone(open.entry(id).or_default());
        self.count.store(open.len(), Ordering::Relaxed);
        drop(open);
        Gate {
            gates: Arc::clone(self),
            id,
            state,
            commits: false,
            keeps: false,
        }
    }

    /// How many uploads that are, kept up to date.
    pub(super) fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    /// How many of the files that the upload's record names are in their places: none while a commit is under way, those
    /// kept before while another one is being kept, else [`ALL`].
    pub(super) fn in_place(&self, id: &UploadId) -> usize {
        match lock(&self.open).get(id) {
            Some(state) if state.commits.load(Ordering::Acquire) > 0 => 0,
            Some(state) => state.in_place.load(Ordering::Acquire),
            None => ALL,
        }
    }

    /// Whether the upload has a session or a commit under way.
    pub(super) fn is_open(&self, id: &UploadId) -> bool {
        lock(&self.open).contains_key(id)
    }
}

/// One session's way to its upload.
#[derive(Debug)]
pub(super) struct Gate {
    gates: Arc<Gates>,
    id: UploadId,
    state: Arc<State>,
    commits: bool,
    keeps: bool,
}

impl Gate {
    /// Shuts out all sessions older than `epoch`. Waits for a write of theirs that is under way.
    pub(super) fn advance(&self, epoch: u64) {
        let mut newest = lock(&self.state.epoch);
        *newest = epoch.max(*newest);
    }

    /// Lets a session of `epoch` work for as long as it keeps the guard.
    pub(super) fn pass(&self, epoch: u64) -> Result<MutexGuard<'_, u64>, Error> {
        let newest = lock(&self.state.epoch);
        match *newest == epoch {
            true => Ok(newest),
            false => Err(Error::Superseded),
        }
    }

    /// Says that this session commits, until the gate is dropped.
    pub(super) fn begin_commit(&mut self) {
        self.commits = true;
        self.state.commits.fetch_add(1, Ordering::Release);
    }

    /// Waits until nobody else keeps a file of the upload or removes it.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<Turn> {
        Arc::clone(&self.state.turn).lock_owned().await
    }

    /// Says that one more file is being kept beside those `in_place`, until the gate is dropped or
    /// [`Gate::has_kept`]. Only who has the turn says so.
    pub(super) fn begin_keep(&mut self, in_place: usize) {
        self.keeps = true;
        self.state.in_place.store(in_place, Ordering::Release);
    }

    /// Every file that the record names is in its place again.
    pub(super) fn has_kept(&mut self) {
        if std::mem::take(&mut self.keeps) {
            self.state.in_place.store(ALL, Ordering::Release);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.has_kept();
        if self.commits {
            self.state.commits.fetch_sub(1, Ordering::Release);
        }
        let mut open = lock(&self.gates.open);
        // The map's and ours: nobody else can come by a third while the map is locked.
        if Arc::strong_count(&self.state) == 2 {
            open.remove(&self.id);
            self.gates.count.store(open.len(), Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
