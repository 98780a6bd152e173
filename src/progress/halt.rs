//! The one message that goes the other way: from those who may end an upload to its pump.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use super::Progress;
use crate::error::Error;

/// Why a running upload is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Somebody with the right to it wants it gone: [`Error::Cancelled`].
    Cancelled,
    /// The server is about to stop: [`Error::ShuttingDown`].
    ShuttingDown,
}

impl Why {
    fn error(self) -> Error {
        match self {
            Self::Cancelled => Error::Cancelled,
            Self::ShuttingDown => Error::ShuttingDown,
        }
    }
}

/// Whether, and why. The pump reads one atomic a write, and hears the bell only while it waits for its client anyway.
#[derive(Default, Debug)]
pub(super) struct Halt {
    why: AtomicU8,
    bell: Notify,
}

const CANCELLED: u8 = 1;
const SHUTTING_DOWN: u8 = 2;

impl Halt {
    /// The first reason counts.
    fn tell(&self, why: Why) {
        let number = match why {
            Why::Cancelled => CANCELLED,
            Why::ShuttingDown => SHUTTING_DOWN,
        };
        let _ = self
            .why
            .compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
        // It keeps for a pump that does not wait yet.
        self.bell.notify_one();
    }

    fn why(&self) -> Option<Why> {
        match self.why.load(Ordering::Relaxed) {
            CANCELLED => Some(Why::Cancelled),
            SHUTTING_DOWN => Some(Why::ShuttingDown),
            _ => None,
        }
    }
}

impl Progress {
    /// Has the upload end in `error`, unless all its bytes have come already and are being stored. The pump hears it at its
    /// next write, and at once while it waits for its client; where a route of the app's own has the upload in hand, it
    /// ends there.
    pub fn halt(&self, why: Why) {
        self.halt.tell(why);
    }

    /// Whether the upload is to end, and with which error: one relaxed atomic.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::ShuttingDown`].
    pub fn go_on(&self) -> Result<(), Error> {
        match self.halt.why() {
            None => Ok(()),
            Some(why) => Err(why.error()),
        }
    }

    /// Waits until the upload is to end. One waits: its pump, then whoever watches over it while the app has it.
    pub async fn halted(self: Arc<Self>) -> Error {
        loop {
            if let Err(error) = self.go_on() {
                return error;
            }
            self.halt.bell.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::upload::{Owner, Protocol, Upload};

    #[tokio::test]
    async fn the_first_reason_counts_and_is_heard_whenever_the_pump_begins_to_wait() {
        let upload = Upload::new(Protocol::Put, Owner::from_address([127, 0, 0, 1].into()));
        let progress = Arc::new(Progress::new(&upload, Instant::now()));
        assert!(progress.go_on().is_ok());
        progress.halt(Why::Cancelled);
        progress.halt(Why::ShuttingDown);
        assert_eq!(progress.clone().halted().await.code(), "cancelled");
        assert_eq!(progress.go_on().unwrap_err().code(), "cancelled");
    }
}
