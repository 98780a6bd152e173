//! Connections that wait for the next request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::answer::Sent;
use super::client::Watched;
use super::upstream::Upstream;

/// The kept connections, the one that was used last at the end.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    kept: Arc<Mutex<Vec<Kept>>>,
    /// How long one may wait.
    idle: Duration,
    /// How many may.
    most: usize,
}

#[derive(Debug)]
struct Kept {
    server: Upstream,
    since: Instant,
    sender: Sender,
}

/// By which requests go on a connection.
pub(super) type Sender = SendRequest<Watched<Sent>>;

impl Pool {
    pub(super) fn new(idle: Duration, most: usize) -> Self {
        Self {
            kept: Arc::default(),
            idle,
            most,
        }
    }

    /// The connection to `server` that was used last, so that those that are too many grow old.
    pub(super) fn take(&self, server: &Upstream) -> Option<Sender> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear(&mut kept);
        let at = kept.iter().rposition(|kept| kept.server == *server)?;
        Some(kept.remove(at).sender)
    }

    /// Keeps a connection on which nothing is under way; the oldest goes where they are too many.
    pub(super) fn put(&self, server: Upstream, sender: Sender) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear(&mut kept);
        if self.most == 0 {
            return;
        }
        if kept.len() == self.most {
            kept.remove(0);
        }
        kept.push(Kept {
            server,
            since: Instant::now(),
            sender,
        });
    }

    /// Closes those that waited too long.
    pub(super) fn clear_old(&self) {
        self.clear(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn clear(&self, kept: &mut Vec<Kept>) {
        kept.retain(|kept| kept.sender.is_ready() && kept.since.elapsed() < self.idle);
    }

    /// How long one may wait.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }
}
