//! Clears away finished uploads: those that have been kept for long enough, and records of files that are gone.
//!
//! It goes through the store's list a few at a time on a data thread, and lets others work in between. What the app has
//! moved or removed is forgotten on the way, so that it no longer counts as held.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::error::Error;
use crate::store::{Finished, Store};
use crate::threads::DataThreads;
use crate::upload::UploadId;

/// How many uploads are looked at before others of the thread have their turn.
const AT_ONCE: usize = 64;
/// The longest time between two rounds; a tenth of the time for which files are kept if that is shorter.
const ROUND: Duration = Duration::from_secs(600);
/// The time between two rounds where nothing depends on them but how long the list is.
const REST_OF_A_DAY: Duration = Duration::from_secs(24 * 3600);
/// The shortest time between two rounds.
const REST: Duration = Duration::from_millis(100);
/// The shortest time between two rounds that want of room asks for.
const REST_WHEN_SHORT: Duration = Duration::from_secs(5);

/// What is to be cleared away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// Uploads that have been kept for this long, and those that are gone.
    Kept(Duration),
    /// Uploads that are gone, soon: what they held is counted.
    Counted,
    /// Uploads that are gone. Nobody waits for that, but files that replace others would add to the list for ever.
    Gone,
}

impl Due {
    fn keep(self) -> Option<Duration> {
        match self {
            Self::Kept(time) => Some(time),
            Self::Counted | Self::Gone => None,
        }
    }

    fn every(self) -> Duration {
        match self {
            Self::Kept(time) => (time / 10).clamp(REST, ROUND),
            Self::Counted => ROUND,
            Self::Gone => REST_OF_A_DAY,
        }
    }
}

/// Goes on with its rounds as long as the store is there, the first one now; `short` asks for a round soon.
pub(crate) fn start(due: Due, store: &Arc<dyn Store>, short: Arc<Notify>, data: &DataThreads) {
    let store = Arc::downgrade(store);
    data.spawn(async move {
        while round(&store, due.keep()).await {
            let early = async {
                tokio::time::sleep(REST_WHEN_SHORT).await;
                short.notified().await;
            };
            tokio::select! {
                () = tokio::time::sleep(due.every()) => {}
                () = early => {}
            }
        }
    });
}

/// One way through the list; `false` when the store is gone. A failure is told, and the next round tries again.
async fn round(store: &Weak<dyn Store>, keep: Option<Duration>) -> bool {
    let (mut last, mut removed) = (None, 0_u64);
    loop {
        let Some(store) = store.upgrade() else {
            return false;
        };
        match next_few(&*store, last.as_ref(), keep, &mut removed).await {
            Ok(Some(id)) => last = Some(id),
            Ok(None) => break,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(cause, "cannot clear away finished uploads");
                break;
            }
        }
        drop(store);
        tokio::task::yield_now().await;
    }
    if removed > 0 {
        tracing::info!(removed, "cleared away uploads that were kept long enough");
    }
    true
}

/// The next few behind `last`; gives the last one of them, `None` at the end.
async fn next_few(
    store: &dyn Store,
    last: Option<&UploadId>,
    keep: Option<Duration>,
    removed: &mut u64,
) -> Result<Option<UploadId>, Error> {
    let finished = store.list(last, AT_ONCE).await?;
    for upload in &finished {
        let due = !upload.there || is_old(upload, keep);
        // What is no longer there was not removed by us.
        if due && store.remove(&upload.id).await? {
            *removed += 1;
        }
    }
    Ok(finished.last().map(|upload| upload.id))
}

fn is_old(upload: &Finished, keep: Option<Duration>) -> bool {
    // A clock that was set back makes nothing old.
    let age = SystemTime::now().duration_since(upload.at).ok();
    matches!((age, keep), (Some(age), Some(keep)) if age >= keep)
}
