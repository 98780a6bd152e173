//! The tables in which uploads are found, and the order in which they go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::Progress;
use super::follow::Key;
use crate::upload::{UploadId, WatchId};

/// Every upload that can be found.
#[derive(Default, Debug)]
pub(super) struct Records {
    pub(super) by_id: HashMap<UploadId, Arc<Progress>>,
    pub(super) by_watch: HashMap<WatchId, Arc<Progress>>,
    pub(super) by_progress_id: HashMap<Key, Arc<Progress>>,
    pub(super) running: HashMap<UploadId, Arc<Progress>>,
    /// Ended uploads by when they may go; the version tells those of one moment apart.
    ended: BTreeMap<(Instant, u64), Ended>,
}

/// There is no room left: every record is of a running upload.
#[derive(Debug)]
pub(super) struct Full;

/// An upload that has ended, and when it did.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) progress: Arc<Progress>,
    pub(super) at: Instant,
}

impl Records {
    /// Lists a running upload and gives back the older one whose progress id it takes over.
    pub(super) fn insert(
        &mut self,
        progress: &Arc<Progress>,
        most: usize,
    ) -> Result<Option<Arc<Progress>>, Full> {
        while self.by_id.len() >= most {
            let (_, oldest) = self.ended.pop_first().ok_or(Full)?;
            self.remove(&oldest.progress);
        }
        self.by_id.insert(progress.id, Arc::clone(progress));
        self.by_watch.insert(progress.watch, Arc::clone(progress));
        self.running.insert(progress.id, Arc::clone(progress));
        let key = progress.key();
        Ok(key.and_then(|key| self.by_progress_id.insert(key, Arc::clone(progress))))
    }

    /// Lists a running upload as ended; one that was never listed has no record to keep.
    pub(super) fn end(&mut self, progress: &Arc<Progress>, at: Instant, due: Instant) {
        if let Some(progress) = self.running.remove(&progress.id) {
            let version = progress.version();
            self.ended.insert((due, version), Ended { progress, at });
        }
    }

    /// Forgets what is due, unless `kept_until` says that it stays longer.
    pub(super) fn forget(&mut self, now: Instant, kept_until: impl Fn(&Ended) -> Instant) {
        while let Some(first) = self.ended.first_entry()
            && first.key().0 <= now
        {
            let ((_, version), ended) = first.remove_entry();
            let until = kept_until(&ended);
            if until > now {
                self.ended.insert((until, version), ended);
            } else {
                self.remove(&ended.progress);
            }
        }
    }

    /// When the next ended upload is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.ended.first_key_value().map(|((due, _), _)| *due)
    }

    /// Forgets one that has ended.
    pub(super) fn forget_one(&mut self, id: &UploadId) {
        let ended = |ended: &Ended| ended.progress.id == *id;
        let place = self.ended.iter().find(|(_, entry)| ended(entry));
        if let Some(place) = place.map(|(place, _)| *place)
            && let Some(entry) = self.ended.remove(&place)
        {
            self.remove(&entry.progress);
        }
    }

    fn remove(&mut self, progress: &Arc<Progress>) {
        self.by_id.remove(&progress.id);
        self.by_watch.remove(&progress.watch);
        if let Some(key) = progress.key()
            && self
                .by_progress_id
                .get(&key)
                .is_some_and(|newest| Arc::ptr_eq(newest, progress))
        {
            self.by_progress_id.remove(&key);
        }
    }
}
