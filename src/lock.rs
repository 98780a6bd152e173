//! One writer for each upload; the newest request wins.
//!
//! A client whose line broke comes back while the server still waits for bytes on the dead one. So whoever comes asks
//! those before to let go, and gets the upload as soon as they have, or when its patience is at an end: then the lock
//! is forced, and the store's epoch keeps the older writer out.
//!
//! ```text
//! take ─► asks who has it ─► they let go ─────────────► Lock
//!     │                   └► patience is at an end ───► Lock, forced
//!     └─ one comes who is newer still ────────────────► Error::Superseded
//! ```
//!
//! What is listed is what somebody has or waits for. Reading how far an upload has come never comes by here.

mod table;

#[cfg(test)]
mod explored;

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::upload::UploadId;
use table::Table;

pub(crate) use table::Lock;

/// What the table is made of; its tests make it of what a scheduler of their own drives.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
    pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
}

/// All uploads that somebody writes or wants to write. Clones share them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Locks {
    table: Arc<Table>,
}

impl Locks {
    /// Takes an upload: asks whoever has it to let go, and waits for that at most for `patience`.
    ///
    /// Dropping the future gives up the wait; who has been asked stays asked.
    ///
    /// # Errors
    /// [`Error::Superseded`] when somebody newer has come meanwhile.
    pub(crate) async fn take(&self, id: UploadId, patience: Duration) -> Result<Lock, Error> {
        let mut asking = self.table.ask(id);
        match tokio::time::timeout(patience, &mut asking).await {
            Ok(taken) => taken,
            Err(_) => asking.force(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const NONE: Duration = Duration::ZERO;

    fn id() -> UploadId {
        UploadId::from_bytes([1; 16])
    }

    #[tokio::test]
    async fn who_has_an_upload_is_asked_and_the_next_one_gets_it_when_it_is_let_go() {
        let locks = Locks::default();
        let first = locks.take(id(), LONG).await.unwrap();
        assert!(!first.is_asked() && !first.is_forced());
        let _other = locks.take(UploadId::random(), LONG).await.unwrap();
        assert!(!first.is_asked(), "by somebody who wants another one");
        let (second, ()) = tokio::join!(locks.take(id(), LONG), async {
            first.asked().await;
            assert!(first.is_asked());
            drop(first);
        });
        let second = second.unwrap();
        assert!(!second.is_asked() && !second.is_forced());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_let_go_is_passed_over_when_patience_is_at_an_end() {
        let locks = Locks::default();
        let dead = locks.take(id(), LONG).await.unwrap();
        let patience = Duration::from_millis(500);
        let begun = tokio::time::Instant::now();
        let second = locks.take(id(), patience).await.unwrap();
        assert!(begun.elapsed() >= patience && begun.elapsed() < 2 * patience);
        assert!(second.is_forced() && dead.is_asked() && !second.is_asked());
        // As long as the first may still write, nobody is alone with it.
        drop(second);
        assert!(locks.take(id(), NONE).await.unwrap().is_forced());
        drop(dead);
        assert!(!locks.take(id(), NONE).await.unwrap().is_forced());
    }

    #[tokio::test(start_paused = true)]
    async fn of_those_who_wait_the_newest_gets_it_and_the_others_hear_so_at_once() {
        let locks = Locks::default();
        let begun = tokio::time::Instant::now();
        let first = locks.take(id(), LONG).await.unwrap();
        let asks = |locks: Locks| async move { locks.take(id(), LONG).await };
        let older = tokio::spawn(asks(locks.clone()));
        first.asked().await;
        let newer = tokio::spawn(asks(locks.clone()));
        let error = older.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Superseded));
        drop(first);
        assert!(!newer.await.unwrap().unwrap().is_forced());
        assert_eq!(begun.elapsed(), NONE, "somebody waited for a time");
    }

    #[tokio::test]
    async fn nothing_is_listed_that_nobody_has_or_waits_for() {
        let locks = Locks::default();
        let first = locks.take(id(), LONG).await.unwrap();
        let gives_up = tokio::time::timeout(NONE, locks.take(id(), LONG));
        assert!(gives_up.await.is_err());
        assert!(first.is_asked(), "it was asked before they gave up");
        assert_eq!(locks.table.len(), 1);
        drop(first);
        assert_eq!(locks.table.len(), 0);
        assert!(!locks.take(id(), LONG).await.unwrap().is_forced());
        assert_eq!(locks.table.len(), 0);
    }
}
