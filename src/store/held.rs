//! How much is held, in all and for each owner.
//!
//! Stores count what their records say when they open and take away what goes; what is coming is added by who lets it
//! in (`admission`), so that at every moment one number says what is there and what is on its way:
//!
//! ```text
//! opened: records ──add──►┌──────┐◄──add── bytes as they come, or as declared
//! removed, found gone ────►│ Held │◄──sub── what came for nothing
//!                  sub     └──────┘
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::upload::OwnerKey;

/// Bytes of finished uploads, and of those under way where they are limited.
#[derive(Debug, Default)]
pub struct Held {
    total: Count,
    owners: Mutex<HashMap<OwnerKey, Arc<Count>>>,
}

/// A count of bytes that several threads change.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Never below zero: a file may have grown since it was counted.
    pub(crate) fn sub(&self, bytes: u64) {
        let less = |now: u64| Some(now.saturating_sub(bytes));
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Adds `bytes` unless there would be more than `most` then.
    pub(crate) fn add_within(&self, bytes: u64, most: u64) -> bool {
        let more = |now: u64| now.checked_add(bytes).filter(|&sum| sum <= most);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }
}

impl Held {
    /// Bytes of all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.total.now()
    }

    /// Bytes of one owner.
    #[must_use]
    pub fn bytes_of(&self, owner: &OwnerKey) -> u64 {
        self.lock().get(owner).map_or(0, |count| count.now())
    }

    /// Adds a finished upload; one without an owner counts in all alone.
    pub fn add(&self, owner: Option<OwnerKey>, bytes: u64) {
        self.total.add(bytes);
        if let Some(owner) = owner {
            self.lock().entry(owner).or_default().add(bytes);
        }
    }

    /// Takes away a finished upload that is no more.
    pub fn sub(&self, owner: Option<OwnerKey>, bytes: u64) {
        self.total.sub(bytes);
        let mut owners = self.lock();
        if let Some(owner) = owner
            && let Some(count) = owners.get(&owner)
        {
            count.sub(bytes);
            if is_idle(count) {
                owners.remove(&owner);
            }
        }
    }

    pub(crate) fn total(&self) -> &Count {
        &self.total
    }

    /// One owner's count, to be changed without a lock.
    pub(crate) fn share(self: &Arc<Self>, owner: OwnerKey) -> Share {
        let count = Arc::clone(self.lock().entry(owner).or_default());
        Share {
            held: Arc::clone(self),
            owner,
            count,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OwnerKey, Arc<Count>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody but the map has it, and it counts nothing.
fn is_idle(count: &Arc<Count>) -> bool {
    Arc::strong_count(count) == 1 && count.now() == 0
}

/// One owner's count while an upload of theirs is under way.
#[derive(Debug)]
pub(crate) struct Share {
    held: Arc<Held>,
    owner: OwnerKey,
    count: Arc<Count>,
}

impl Share {
    pub(crate) fn count(&self) -> &Count {
        &self.count
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut owners = self.held.lock();
        // The map's and ours: nobody else can come by a third while the map is locked.
        if Arc::strong_count(&self.count) == 2 && self.count.now() == 0 {
            owners.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::Owner;

    fn owner(last: u8) -> OwnerKey {
        Owner::from_address([10, 0, 0, last].into()).key()
    }

    #[test]
    fn what_goes_is_taken_away_and_owners_of_nothing_are_forgotten() {
        let held = Held::default();
        held.add(Some(owner(1)), 10);
        held.add(Some(owner(2)), 5);
        held.add(None, 1);
        assert_eq!((held.bytes(), held.bytes_of(&owner(1))), (16, 10));
        held.sub(Some(owner(1)), 10);
        held.sub(None, 100);
        assert_eq!((held.bytes(), held.bytes_of(&owner(1))), (0, 0));
        assert_eq!(held.lock().len(), 1);
    }

    #[test]
    fn a_share_keeps_its_owner_listed_and_the_last_one_takes_him_away() {
        let held = Arc::new(Held::default());
        let (one, two) = (held.share(owner(1)), held.share(owner(1)));
        assert!(one.count().add_within(7, 10));
        assert!(!two.count().add_within(4, 10));
        assert!(!two.count().add_within(u64::MAX, u64::MAX));
        assert_eq!(held.bytes_of(&owner(1)), 7);
        one.count().sub(7);
        drop(one);
        assert_eq!(held.lock().len(), 1);
        drop(two);
        assert!(held.lock().is_empty());
    }
}
