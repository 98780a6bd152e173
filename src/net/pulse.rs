//! When something last went or came, and how long that may be ago.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// For what a request waits, as its body and its sender both see it.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Mutex<Waiting>>);

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// Ours, or the client's: its body has nothing more yet. No clock runs.
    ForUs,
    /// The other server's, to take what there is to be sent.
    ToBeTaken(Instant),
    /// The other server's, to answer: it has all of the body.
    ForTheHead(Instant),
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Waiting::ToBeTaken(Instant::now()))))
    }

    /// A piece was handed to the connection, which comes for the next when the other server has taken it.
    pub(super) fn given(&self) {
        self.set(Waiting::ToBeTaken(Instant::now()));
    }

    /// There is nothing to be sent yet.
    pub(super) fn wanting(&self) {
        self.set(Waiting::ForUs);
    }

    /// All is sent.
    pub(super) fn sent(&self) {
        self.set(Waiting::ForTheHead(Instant::now()));
    }

    fn set(&self, waiting: Waiting) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// Ends when the other server was silent for longer than it may be, and says how long that is.
    pub(super) async fn stops(&self, silence: Duration, head: Duration) -> Duration {
        loop {
            let waiting = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let (since, time) = match waiting {
                // It is the other server's turn at `now` at the earliest.
                Waiting::ForUs => (now, silence.min(head)),
                Waiting::ToBeTaken(since) => (since, silence),
                Waiting::ForTheHead(since) => (since, head),
            };
            if since + time <= now {
                return time;
            }
            sleep_until(since + time).await;
        }
    }
}
