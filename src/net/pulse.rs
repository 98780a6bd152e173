//! When something last went or came, and how long that may be ago.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, sleep_until};

use super::{Failed, Patience};

/// For what a request waits, as its body and its sender both see it.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Mutex<Waiting>>);

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// Ours, or the client's: its body has nothing more yet.
    ForUs(Instant),
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
        self.set(Waiting::ForUs(Instant::now()));
    }

    /// All is sent.
    pub(super) fn sent(&self) {
        self.set(Waiting::ForTheHead(Instant::now()));
    }

    fn set(&self, waiting: Waiting) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// Ends when somebody was silent for longer than they may be.
    pub(super) async fn stops(&self, patience: &Patience) -> Failed {
        loop {
            let waiting = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (since, time) = match waiting {
                Waiting::ForUs(since) => (since, patience.body),
                Waiting::ToBeTaken(since) => (since, Some(patience.silence)),
                Waiting::ForTheHead(since) => (since, Some(patience.head)),
            };
            // Whose turn it is changes meanwhile; whoever's it is next has at least this long from now on.
            let least = patience.silence.min(patience.head);
            let least = patience.body.map_or(least, |body| least.min(body));
            let look_again = Instant::now() + least;
            let due = time.map(|time| (since + time, time));
            match (due, waiting) {
                (Some((due, time)), Waiting::ForUs(_)) if due <= Instant::now() => {
                    return Failed::Silent(time);
                }
                (Some((due, time)), _) if due <= Instant::now() => return Failed::TimedOut(time),
                (due, _) => {
                    sleep_until(due.map_or(look_again, |(due, _)| due.min(look_again))).await
                }
            }
        }
    }
}
