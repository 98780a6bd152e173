//! Hearing of every upload: of those that begin, and of each as a stream that follows it does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::follow::Bell;
use super::tracker::Shared;
use super::{Progress, Tracker, locked};

/// Uploads that have begun and have not been looked at yet; their bell rings for whatever becomes of them.
#[derive(Debug)]
pub(crate) struct Newcomers(Arc<Mutex<VecDeque<Arc<Progress>>>>);

impl Newcomers {
    /// Those that have come since the last time.
    pub(crate) fn take(&self) -> VecDeque<Arc<Progress>> {
        std::mem::take(&mut locked(&self.0))
    }
}

/// The one who attends.
#[derive(Debug)]
pub(super) struct Attending {
    bell: Bell,
    most: usize,
    newcomers: Arc<Mutex<VecDeque<Arc<Progress>>>>,
}

impl Tracker {
    /// Has `bell` rung for every upload with a progress id that goes on, or begins from now on: when it begins and at each publication. At
    /// most `most` wait to be looked at; of those beyond nothing is heard. There is one who attends, the first.
    pub(crate) fn attend(&self, bell: &Bell, most: usize) -> Newcomers {
        let newcomers = Arc::default();
        // Whoever comes second hears nothing.
        let _ = self.shared.attending.set(Attending {
            bell: bell.clone(),
            most,
            newcomers: Arc::clone(&newcomers),
        });
        let mut there: Vec<_> = locked(&self.shared.records)
            .by_id
            .values()
            .filter(|progress| !progress.state().is_end())
            .cloned()
            .collect();
        there.sort_by_key(|progress| progress.began);
        for progress in &there {
            self.shared.tell_attending(progress);
        }
        Newcomers(newcomers)
    }
}

impl Shared {
    pub(super) fn tell_attending(&self, progress: &Arc<Progress>) {
        let Some(attending) = self.attending.get() else {
            return;
        };
        if progress.progress_id.is_none() {
            return;
        }
        let mut newcomers = locked(&attending.newcomers);
        if newcomers.len() < attending.most {
            newcomers.push_back(Arc::clone(progress));
            drop(newcomers);
            locked(&progress.bells).push(attending.bell.clone());
        }
        attending.bell.ring();
    }
}
