//! Who has which upload and who waits for it, without a clock: time is the caller's.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};
use crate::error::Error;
use crate::upload::UploadId;

/// Every upload that somebody has or waits for.
#[derive(Default, Debug)]
pub(super) struct Table {
    uploads: Mutex<Uploads>,
}

#[derive(Default, Debug)]
struct Uploads {
    /// How many have come; their numbers tell them apart.
    came: u64,
    wanted: HashMap<UploadId, Wanted>,
}

#[derive(Default, Debug)]
struct Wanted {
    /// Who has it: one, and those that were passed over and have not let go yet.
    holders: Vec<Holder>,
    /// The newest who waits; those before them have been told.
    waiter: Option<Waiter>,
}

#[derive(Debug)]
struct Holder {
    number: u64,
    bell: Arc<Bell>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    waker: Option<Waker>,
}

impl Table {
    /// Asks all who have the upload to let go; whoever else waits for it is told that it is too late.
    pub(super) fn ask(self: &Arc<Self>, id: UploadId) -> Asking {
        let mut uploads = self.lock();
        uploads.came += 1;
        let number = uploads.came;
        let wanted = uploads.wanted.entry(id).or_default();
        let waiter = Waiter {
            number,
            waker: None,
        };
        let older = wanted.waiter.replace(waiter);
        let bells: Vec<_> = wanted.holders.iter().map(|h| Arc::clone(&h.bell)).collect();
        drop(uploads);
        bells.iter().for_each(|bell| bell.ring());
        wake(older.and_then(|older| older.waker));
        Asking {
            table: Arc::clone(self),
            id,
            number,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().wanted.len()
    }

    fn lock(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uploads {
    /// The upload for which nobody newer than `number` has come.
    fn newest(&mut self, id: UploadId, number: u64) -> Option<&mut Wanted> {
        let wanted = self.wanted.get_mut(&id)?;
        let is_newest = wanted.waiter.as_ref()?.number == number;
        is_newest.then_some(wanted)
    }

    fn forget_unless_wanted(&mut self, id: UploadId) {
        let is_idle = |wanted: &Wanted| wanted.holders.is_empty() && wanted.waiter.is_none();
        if self.wanted.get(&id).is_some_and(is_idle) {
            self.wanted.remove(&id);
        }
    }
}

/// Somebody who waits for an upload. Ready when all who had it have let go, or when somebody newer has come.
#[derive(Debug)]
pub(super) struct Asking {
    table: Arc<Table>,
    id: UploadId,
    number: u64,
}

impl Asking {
    /// Takes the upload now, whoever has it.
    pub(super) fn force(self) -> Result<Lock, Error> {
        match self.table.lock().newest(self.id, self.number) {
            Some(wanted) => Ok(self.take(wanted)),
            None => Err(Error::Superseded),
        }
    }

    fn take(&self, wanted: &mut Wanted) -> Lock {
        let is_forced = !wanted.holders.is_empty();
        let bell = Arc::<Bell>::default();
        wanted.waiter = None;
        wanted.holders.push(Holder {
            number: self.number,
            bell: Arc::clone(&bell),
        });
        Lock {
            table: Arc::clone(&self.table),
            id: self.id,
            number: self.number,
            bell,
            is_forced,
        }
    }
}

impl Future for Asking {
    type Output = Result<Lock, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut uploads = self.table.lock();
        let Some(wanted) = uploads.newest(self.id, self.number) else {
            return Poll::Ready(Err(Error::Superseded));
        };
        if wanted.holders.is_empty() {
            return Poll::Ready(Ok(self.take(wanted)));
        }
        if let Some(waiter) = &mut wanted.waiter {
            waiter.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut uploads = self.table.lock();
        if let Some(wanted) = uploads.newest(self.id, self.number) {
            wanted.waiter = None;
            uploads.forget_unless_wanted(self.id);
        }
    }
}

/// The right to write an upload; dropping it lets go.
#[derive(Debug)]
pub(crate) struct Lock {
    table: Arc<Table>,
    id: UploadId,
    number: u64,
    bell: Arc<Bell>,
    is_forced: bool,
}

impl Lock {
    /// Whether somebody else had not let go when this one was taken: what they still write must be kept out by the
    /// store.
    pub(crate) fn is_forced(&self) -> bool {
        self.is_forced
    }

    /// Whether somebody newer wants the upload.
    #[cfg(test)]
    pub(super) fn is_asked(&self) -> bool {
        self.bell.has_rung()
    }

    /// Waits until somebody newer wants the upload.
    pub(crate) async fn asked(&self) {
        poll_fn(|cx| self.bell.poll(cx)).await;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut uploads = self.table.lock();
        let Some(wanted) = uploads.wanted.get_mut(&self.id) else {
            return;
        };
        wanted.holders.retain(|holder| holder.number != self.number);
        let free = wanted.holders.is_empty();
        let waker = match &mut wanted.waiter {
            Some(waiter) if free => waiter.waker.take(),
            _ => None,
        };
        uploads.forget_unless_wanted(self.id);
        drop(uploads);
        wake(waker);
    }
}

/// Rings once, and keeps on having rung.
#[derive(Default, Debug)]
struct Bell {
    rung: AtomicBool,
    listeners: Mutex<Vec<Waker>>,
}

impl Bell {
    fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    fn ring(&self) {
        // Before the listeners are taken: who comes to listen later finds it set.
        self.rung.store(true, Ordering::Relaxed);
        let listeners = std::mem::take(&mut *self.listeners());
        wake(listeners);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut listeners = self.listeners();
        if self.has_rung() {
            return Poll::Ready(());
        }
        // A task listens anew before each wait for its client.
        if !listeners.iter().any(|known| known.will_wake(cx.waker())) {
            listeners.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// With no lock held: whoever wakes may run at once.
fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
