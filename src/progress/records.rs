//! The tables in which uploads are found, and the order in which they go.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
    /// Those that somebody writes, or did until a moment ago: what the ticker looks at.
    pub(super) running: HashMap<UploadId, Arc<Progress>>,
    /// Unfinished ones that nobody writes.
    resting: Resting,
    /// Ended uploads by when they may go; the version tells those of one moment apart.
    ended: BTreeMap<(Instant, u64), Ended>,
}

/// In the order in which they came to rest.
#[derive(Default, Debug)]
struct Resting {
    order: BTreeMap<u64, Arc<Progress>>,
    places: HashMap<UploadId, u64>,
    next: u64,
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
    /// Lists an unfinished upload; of several with one progress id the one begun last is meant by it.
    pub(super) fn insert(&mut self, progress: &Arc<Progress>, most: usize) -> Result<(), Full> {
        while self.by_id.len() >= most {
            self.make_room()?;
        }
        self.by_id.insert(progress.id, Arc::clone(progress));
        self.by_watch.insert(progress.watch, Arc::clone(progress));
        self.sort(progress);
        if let Some(key) = progress.key() {
            self.name(key, progress);
        }
        Ok(())
    }

    /// Forgets the oldest that has ended, else the one that has rested longest: whoever resumes it lists it anew.
    fn make_room(&mut self) -> Result<(), Full> {
        if let Some((_, oldest)) = self.ended.pop_first() {
            self.remove(&oldest.progress);
            return Ok(());
        }
        let oldest = self.resting.pop().ok_or(Full)?;
        self.remove(&oldest);
        // Streams that follow it are to look whether it is listed anew.
        oldest.replaced.store(true, Ordering::Release);
        Ok(())
    }

    fn name(&mut self, key: Key, progress: &Arc<Progress>) {
        match self.by_progress_id.entry(key) {
            Entry::Occupied(newest) if newest.get().began > progress.began => {
                progress.replaced.store(true, Ordering::Release);
            }
            Entry::Occupied(mut older) => {
                let older = older.insert(Arc::clone(progress));
                older.replaced.store(true, Ordering::Release);
            }
            Entry::Vacant(place) => {
                place.insert(Arc::clone(progress));
            }
        }
    }

    /// Puts an unfinished upload where it belongs by now: before the ticker's eyes or aside.
    pub(super) fn sort(&mut self, progress: &Arc<Progress>) {
        if !self.lists(progress) || progress.state().is_end() {
            return;
        }
        self.resting.remove(&progress.id);
        if progress.ticks() {
            self.running.insert(progress.id, Arc::clone(progress));
        } else {
            self.running.remove(&progress.id);
            self.resting.push(progress);
        }
    }

    fn lists(&self, progress: &Arc<Progress>) -> bool {
        let listed = self.by_id.get(&progress.id);
        listed.is_some_and(|listed| Arc::ptr_eq(listed, progress))
    }

    /// Lists a running upload as ended; one that was never listed has no record to keep.
    pub(super) fn end(&mut self, progress: &Arc<Progress>, at: Instant, due: Instant) {
        if self.lists(progress)
            && let Some(progress) = self.running.remove(&progress.id)
        {
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

impl Resting {
    fn push(&mut self, progress: &Arc<Progress>) {
        self.places.insert(progress.id, self.next);
        self.order.insert(self.next, Arc::clone(progress));
        self.next += 1;
    }

    fn pop(&mut self) -> Option<Arc<Progress>> {
        let (_, oldest) = self.order.pop_first()?;
        self.places.remove(&oldest.id);
        Some(oldest)
    }

    fn remove(&mut self, id: &UploadId) {
        if let Some(place) = self.places.remove(id) {
            self.order.remove(&place);
        }
    }
}
