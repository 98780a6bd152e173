//! Yeses that count for a while.
//!
//! One counts for the same act on the same uploads, by a request of the same path and query that says the same of its
//! sender: all of its fields but those of which it is known that they change from one request of an upload, or one look
//! at it, to the next.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::request::word;
use crate::rights::{Ask, Grant};

/// What says nothing of who asks.
const PASSING: [&str; 20] = [
    "accept",
    "cache-control",
    "content-digest",
    "content-length",
    "content-type",
    "date",
    "expect",
    "if-modified-since",
    "if-none-match",
    "last-event-id",
    "pragma",
    "range",
    "repr-digest",
    "traceparent",
    "upload-checksum",
    "upload-complete",
    "upload-incomplete",
    "upload-length",
    "upload-offset",
    "x-request-id",
];

/// By which a question is known again: 256 bits of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(ask: &Ask) -> Self {
        let mut hash = Sha256::new();
        let mut add = |text: &[u8]| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        add(word(ask.act).as_bytes());
        add(ask.upload.as_deref().unwrap_or_default().as_bytes());
        add(&(ask.progress_ids.len() as u64).to_be_bytes());
        ask.progress_ids.iter().for_each(|id| add(id.as_bytes()));
        // With its query: the app is told of it, and its answer may hang on a signature there.
        add(ask.uri.to_string().as_bytes());
        add(ask.address.to_string().as_bytes());
        sender(&ask.headers, &mut add);
        Self(hash.finalize().into())
    }
}

/// The fields in the order in which they came: another order is another sender, which is only asked once more.
fn sender(headers: &HeaderMap, mut add: impl FnMut(&[u8])) {
    let lasting = headers
        .iter()
        .filter(|(name, _)| !PASSING.contains(&name.as_str()));
    for (name, value) in lasting {
        add(name.as_str().as_bytes());
        add(value.as_bytes());
    }
}

/// The yeses, oldest first.
#[derive(Debug)]
pub(super) struct Kept {
    keep: Duration,
    most: usize,
    yeses: HashMap<Key, Yes>,
    order: VecDeque<(Instant, Key)>,
}

#[derive(Debug)]
struct Yes {
    at: Instant,
    upload: Option<String>,
    grant: Grant,
}

impl Kept {
    pub(super) fn new(keep: Duration, most: usize) -> Self {
        Self {
            keep,
            most,
            yeses: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Grant> {
        let yes = self.yeses.get(key)?;
        (yes.at.elapsed() < self.keep).then(|| yes.grant.clone())
    }

    /// Keeps a yes; the oldest goes where there is no room for it.
    pub(super) fn put(&mut self, key: Key, ask: &Ask, grant: Grant) {
        if self.keep.is_zero() || self.most == 0 {
            return;
        }
        let at = Instant::now();
        while let Some(&(old, _)) = self.order.front()
            && (self.order.len() >= self.most || old.elapsed() >= self.keep)
        {
            self.drop_oldest();
        }
        let upload = ask.upload.clone();
        self.yeses.insert(key, Yes { at, upload, grant });
        self.order.push_back((at, key));
    }

    /// Forgets all that was said of the upload.
    pub(super) fn forget(&mut self, upload: Option<&str>) {
        self.yeses.retain(|_, yes| yes.upload.as_deref() != upload);
    }

    fn drop_oldest(&mut self) {
        let Some((at, key)) = self.order.pop_front() else {
            return;
        };
        // The same question may have been asked again since.
        if self.yeses.get(&key).is_some_and(|yes| yes.at == at) {
            self.yeses.remove(&key);
        }
    }
}
