//! How much of the disk is free, looked at from time to time on a data thread.
//!
//! While uploads run and too little is free, those that bring more bytes are ended, one at each look: what it leaves may
//! be enough for the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::AdmissionOptions;
use super::slots::Slots;
use crate::error::Error;
use crate::store::{Space, Store};
use crate::threads::DataThreads;

/// How long a look at the disk counts.
const LOOK: Duration = Duration::from_millis(250);

/// What is known of the disk.
pub(super) struct Room {
    keep_free: u64,
    keep_free_inodes: u64,
    store: Arc<dyn Store>,
    data: DataThreads,
    seen: Mutex<Option<(Instant, Option<Space>)>>,
    /// The next upload that brings bytes is to be ended.
    low: AtomicBool,
}

impl Room {
    pub(super) fn start(
        options: &AdmissionOptions,
        store: &Arc<dyn Store>,
        data: &DataThreads,
        slots: &Arc<Slots>,
    ) -> Arc<Self> {
        let room = Arc::new(Self {
            keep_free: options.keep_free,
            keep_free_inodes: options.keep_free_inodes,
            store: Arc::clone(store),
            data: data.clone(),
            seen: Mutex::default(),
            low: AtomicBool::new(false),
        });
        if room.looks() {
            data.spawn(keep_looking(Arc::downgrade(&room), Arc::downgrade(slots)));
        }
        room
    }

    fn looks(&self) -> bool {
        self.keep_free > 0 || self.keep_free_inodes > 0
    }

    /// Whether one upload of so many bytes may begin. What others have declared does not count: they may never send it.
    pub(super) async fn check(&self, declared: u64) -> Result<(), Error> {
        if !self.looks() {
            return Ok(());
        }
        let recent = self
            .seen()
            .filter(|(at, _)| at.elapsed() < LOOK)
            .map(|(_, space)| space);
        let space = match recent {
            Some(space) => space,
            None => self.look().await,
        };
        match space {
            Some(space) if !self.is_enough(space, declared) => Err(Error::DiskFull),
            _ => Ok(()),
        }
    }

    pub(super) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Whether the asker is the one to be ended.
    pub(super) fn sheds(&self) -> bool {
        self.is_low() && self.low.swap(false, Ordering::Relaxed)
    }

    fn is_enough(&self, space: Space, coming: u64) -> bool {
        let bytes = space.free >= self.keep_free.saturating_add(coming);
        let inodes = space
            .inodes
            .is_none_or(|free| free >= self.keep_free_inodes);
        bytes && inodes
    }

    /// A look that fails is told and counts as nothing known: the disk itself says when it is full.
    async fn look(&self) -> Option<Space> {
        let store = Arc::clone(&self.store);
        let space = self.data.run(async move { store.space().await }).await;
        let space = space.unwrap_or_else(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(cause, "cannot tell how much of the disk is free");
            None
        });
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), space));
        space
    }

    fn seen(&self) -> Option<(Instant, Option<Space>)> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("seen", &self.seen())
            .field("low", &self.low)
            .finish_non_exhaustive()
    }
}

/// Looks as long as uploads run, and sleeps until one begins. It holds on to nothing while it waits.
async fn keep_looking(room: Weak<Room>, slots: Weak<Slots>) {
    while let Some((begun, is_running)) = slots.upgrade().map(|s| (s.begun(), s.running() > 0)) {
        if !is_running {
            if let Some(room) = room.upgrade() {
                room.low.store(false, Ordering::Relaxed);
            }
            begun.notified().await;
            continue;
        }
        let Some(room) = room.upgrade() else { return };
        let low = room
            .look()
            .await
            .is_some_and(|space| !room.is_enough(space, 0));
        room.low.store(low, Ordering::Relaxed);
        drop(room);
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    fn room(keep_free: u64, keep_free_inodes: u64) -> Arc<Room> {
        let options = AdmissionOptions {
            keep_free,
            keep_free_inodes,
            ..AdmissionOptions::default()
        };
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let data = DataThreads::start(1).unwrap();
        Room::start(&options, &store, &data, &Arc::new(Slots::new(&options)))
    }

    #[test]
    fn what_is_kept_free_may_be_reached_and_not_passed() {
        let room = room(10, 3);
        for (free, inodes, coming, enough) in [
            (10, Some(3), 0, true),
            (9, Some(3), 0, false),
            (10, Some(2), 0, false),
            (10, None, 0, true),
            (15, Some(3), 5, true),
            (15, Some(3), 6, false),
            (u64::MAX, Some(3), u64::MAX, true),
        ] {
            let space = Space { free, inodes };
            assert_eq!(room.is_enough(space, coming), enough, "{space:?} {coming}");
        }
    }

    #[test]
    fn one_upload_is_ended_at_each_look() {
        let room = room(0, 0);
        for _ in 0..2 {
            room.low.store(true, Ordering::Relaxed);
            assert!(room.sheds());
            assert!(!room.sheds());
        }
    }
}
