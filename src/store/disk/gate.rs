//! Who may write: of several sessions of one upload only the newest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::upload::UploadId;

/// The uploads that have a session or a commit under way.
#[derive(Debug, Default)]
pub(super) struct Gates {
    open: Mutex<HashMap<UploadId, Arc<State>>>,
    count: Arc<AtomicUsize>,
}

/// How it stands with one upload.
#[derive(Debug, Default)]
struct State {
    /// The newest epoch.
    epoch: Mutex<u64>,
    /// Commits under way: one, and those that will hear that they are superseded.
    commits: AtomicUsize,
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
        }
    }

    /// How many uploads that are, kept up to date.
    pub(super) fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    /// Whether a commit of the upload is under way: its record may stand already, its files not yet.
    pub(super) fn is_committing(&self, id: &UploadId) -> bool {
        let open = lock(&self.open);
        open.get(id)
            .is_some_and(|state| state.commits.load(Ordering::Acquire) > 0)
    }
}

/// One session's way to its upload.
#[derive(Debug)]
pub(super) struct Gate {
    gates: Arc<Gates>,
    id: UploadId,
    state: Arc<State>,
    commits: bool,
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
}

impl Drop for Gate {
    fn drop(&mut self) {
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
