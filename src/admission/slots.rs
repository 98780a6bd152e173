//! How many uploads run, in all and for each address, and how many are unfinished, in all and for each owner.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::AdmissionOptions;
use crate::error::Error;
use crate::upload::{OwnerKey, network};

/// All places and who has them. What is listed is bounded by what runs.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    most_per_address: usize,
    most_unfinished: usize,
    most_unfinished_in_all: usize,
    taken: Mutex<Taken>,
    /// Told when an upload begins, and when nobody is left who could begin one.
    begun: Arc<Notify>,
}

#[derive(Default, Debug)]
struct Taken {
    running: usize,
    unfinished: usize,
    by_address: HashMap<IpAddr, usize>,
    by_owner: HashMap<OwnerKey, usize>,
}

impl Slots {
    pub(super) fn new(options: &AdmissionOptions) -> Self {
        Self {
            most: options.uploads,
            most_per_address: options.uploads_per_address,
            most_unfinished: options.unfinished,
            most_unfinished_in_all: options.unfinished_in_all,
            taken: Mutex::default(),
            begun: Arc::default(),
        }
    }

    pub(super) fn running(&self) -> usize {
        self.lock().running
    }

    pub(super) fn begun(&self) -> Arc<Notify> {
        Arc::clone(&self.begun)
    }

    /// Takes a place for an upload from `address`.
    pub(super) fn run(self: &Arc<Self>, address: IpAddr) -> Result<Running, Error> {
        let address = network(address);
        let mut taken = self.lock();
        if taken.running >= self.most {
            return Err(Error::TooManyUploads);
        }
        if !more(&mut taken.by_address, address, self.most_per_address) {
            return Err(Error::TooManyFromAddress);
        }
        taken.running += 1;
        drop(taken);
        self.begun.notify_one();
        Ok(Running {
            slots: Arc::clone(self),
            address,
        })
    }

    /// Counts an upload of `owner` as unfinished.
    pub(super) fn unfinished(self: &Arc<Self>, owner: OwnerKey) -> Result<Unfinished, Error> {
        let mut taken = self.lock();
        if taken.unfinished >= self.most_unfinished_in_all {
            return Err(Error::TooManyUploads);
        }
        if !more(&mut taken.by_owner, owner, self.most_unfinished) {
            return Err(Error::TooManyUnfinished {
                limit: self.most_unfinished as u64,
            });
        }
        taken.unfinished += 1;
        drop(taken);
        Ok(self.counted(owner))
    }

    /// The same for one that was there before this run, whatever the bounds are.
    pub(super) fn unfinished_as_before(self: &Arc<Self>, owner: OwnerKey) -> Unfinished {
        let mut taken = self.lock();
        more(&mut taken.by_owner, owner, usize::MAX);
        taken.unfinished += 1;
        drop(taken);
        self.counted(owner)
    }

    fn counted(self: &Arc<Self>, owner: OwnerKey) -> Unfinished {
        Unfinished {
            slots: Arc::clone(self),
            owner,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.begun.notify_one();
    }
}

/// One of the uploads that run.
#[derive(Debug)]
pub(super) struct Running {
    slots: Arc<Slots>,
    address: IpAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.running -= 1;
        less(&mut taken.by_address, &self.address);
    }
}

/// One of the uploads that their owner has not brought to an end.
#[derive(Debug)]
pub(super) struct Unfinished {
    slots: Arc<Slots>,
    owner: OwnerKey,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.unfinished -= 1;
        less(&mut taken.by_owner, &self.owner);
    }
}

/// Counts one more for `key`, unless it has `most`.
fn more<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K, most: usize) -> bool {
    let has = counts.get(&key).copied().unwrap_or(0);
    let fits = has < most;
    if fits {
        counts.insert(key, has + 1);
    }
    fits
}

/// Counts one less for `key`, and forgets it with the last.
fn less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_share_its_places_and_mapped_ones_are_ipv4() {
        let slots = Arc::new(Slots::new(&AdmissionOptions {
            uploads_per_address: 1,
            ..AdmissionOptions::default()
        }));
        let run = |address: &str| slots.run(address.parse().unwrap());
        let first = run("2001:db8::1").unwrap();
        let second = run("2001:db8::ffff:2");
        assert!(matches!(second, Err(Error::TooManyFromAddress)));
        let _other_network = run("2001:db8:0:1::1").unwrap();
        let _ipv4 = run("192.0.2.1").unwrap();
        assert!(run("::ffff:192.0.2.1").is_err());
        assert_eq!(slots.running(), 3);
        drop(first);
        assert!(run("2001:db8::2").is_ok());
        assert_eq!(slots.lock().by_address.len(), 2);
    }
}
