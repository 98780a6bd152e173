//! How a stream hears of an upload: it hangs a bell on it, and on the name under which a newer one may begin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::tracker::{Found, Shared};
use super::{Progress, locked};
use crate::upload::{Owner, ProgressId, UploadId, WatchId};

/// By what an upload is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// 32 hex digits, which may be an upload's id or its watch name.
    Name(UploadId, WatchId),
    /// The client's own name for it, with the asker as its owner. The newest upload of that name is meant.
    Progress(Owner, ProgressId),
}

impl Key {
    /// Takes `text` as an id or a watch name; `None` when it can be neither.
    #[must_use]
    pub fn name(text: &str) -> Option<Self> {
        Some(Self::Name(text.parse().ok()?, text.parse().ok()?))
    }
}

/// What wakes one stream. However often it is rung before the stream looks, it counts once: a slow watcher has no
/// queue.
#[derive(Clone, Default, Debug)]
pub struct Bell(Arc<Notify>);

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it has been rung since the last time.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// One upload as a stream follows it, present or still to come. The bell rings at each publication, and when a newer
/// upload begins under the key; dropping it takes the bell down.
#[derive(Debug)]
pub struct Follow {
    shared: Arc<Shared>,
    key: Key,
    bell: Bell,
    found: Option<Found>,
}

impl Follow {
    pub(super) fn new(shared: Arc<Shared>, key: Key, bell: Bell) -> Self {
        shared.expected.hang(&key, &bell);
        Self {
            shared,
            key,
            bell,
            found: None,
        }
    }

    /// The upload that stands under the key now, the newest of a progress id; the last one seen when it is forgotten.
    pub fn look(&mut self) -> Option<&Found> {
        let settled =
            |found: &Found| !found.progress.is_replaced() && !found.progress.state().is_end();
        if !self.found.as_ref().is_some_and(settled) {
            self.look_again();
        }
        self.found.as_ref()
    }

    fn look_again(&mut self) {
        let Some(found) = self.shared.find(&self.key) else {
            return;
        };
        if let Some(old) = &self.found {
            if Arc::ptr_eq(&old.progress, &found.progress) {
                return;
            }
            take_down(&old.progress, &self.bell);
        }
        locked(&found.progress.bells).push(self.bell.clone());
        self.found = Some(found);
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.shared.expected.take_down(&self.key, &self.bell);
        if let Some(found) = &self.found {
            take_down(&found.progress, &self.bell);
        }
    }
}

fn take_down(progress: &Progress, bell: &Bell) {
    remove(&mut locked(&progress.bells), bell);
}

fn remove(bells: &mut Vec<Bell>, bell: &Bell) {
    // The same upload may be asked for twice in one stream: one bell for each.
    if let Some(place) = bells.iter().position(|hung| Arc::ptr_eq(&hung.0, &bell.0)) {
        bells.swap_remove(place);
    }
}

/// The bells to ring when an upload begins under a key.
#[derive(Default, Debug)]
pub(super) struct Expected(Mutex<HashMap<Key, Vec<Bell>>>);

impl Expected {
    fn hang(&self, key: &Key, bell: &Bell) {
        let mut expected = locked(&self.0);
        expected.entry(key.clone()).or_default().push(bell.clone());
    }

    fn take_down(&self, key: &Key, bell: &Bell) {
        let mut expected = locked(&self.0);
        if let Some(bells) = expected.get_mut(key) {
            remove(bells, bell);
            if bells.is_empty() {
                expected.remove(key);
            }
        }
    }

    /// Wakes the streams that wait for an upload under one of this one's names.
    pub(super) fn announce(&self, progress: &Progress) {
        let bells: Vec<_> = {
            let expected = locked(&self.0);
            if expected.is_empty() {
                return;
            }
            let keys = progress.keys();
            keys.filter_map(|key| expected.get(&key))
                .flatten()
                .cloned()
                .collect()
        };
        bells.iter().for_each(Bell::ring);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        locked(&self.0).is_empty()
    }
}
