//! Who may write: of several sessions of one upload only the newest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::upload::UploadId;

/// The uploads that have a session or a commit under way.
#[derive(Debug, Default)]
pub(super) struct Gates {
    open: Mutex<HashMap<UploadId, Arc<Mutex<u64>>>>,
    count: Arc<AtomicUsize>,
}

impl Gates {
    /// The gate of an upload; it stays open for as long as anybody holds it.
    pub(super) fn enter(self: &Arc<Self>, id: UploadId) -> Gate {
        let mut open = self.lock();
        let current = Arc::clone(open.entry(id).or_default());
        self.count.store(open.len(), Ordering::Relaxed);
        drop(open);
        Gate {
            gates: Arc::clone(self),
            id,
            current,
        }
    }

    /// How many uploads that are, kept up to date.
    pub(super) fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    /// Whether the upload has not come to its end yet.
    pub(super) fn is_open(&self, id: &UploadId) -> bool {
        self.lock().contains_key(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Mutex<u64>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's way to its upload.
#[derive(Debug)]
pub(super) struct Gate {
    gates: Arc<Gates>,
    id: UploadId,
    /// The newest epoch.
    current: Arc<Mutex<u64>>,
}

impl Gate {
    /// Shuts out all sessions older than `epoch`. Waits for a write of theirs that is under way.
    pub(super) fn advance(&self, epoch: u64) {
        let mut current = self.lock();
        *current = epoch.max(*current);
    }

    /// Lets a session of `epoch` work for as long as it keeps the guard.
    pub(super) fn pass(&self, epoch: u64) -> Result<MutexGuard<'_, u64>, Error> {
        let current = self.lock();
        match *current == epoch {
            true => Ok(current),
            false => Err(Error::Superseded),
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut open = self.gates.lock();
        // The map's and ours: nobody else can come by a third while the map is locked.
        if Arc::strong_count(&self.current) == 2 {
            open.remove(&self.id);
            self.gates.count.store(open.len(), Ordering::Relaxed);
        }
    }
}
