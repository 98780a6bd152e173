//! The one message that goes the other way: from those who may end an upload to its pump.
//!
//! An upload that is resumed has one writer after the other, each with a number. A message is for the one who writes now;
//! an older one who has not let go, on a disk that hangs say, reads from the number that it is to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::Progress;
use crate::error::Error;

/// Why a running upload is to end, or its writer to let it go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Somebody with the right to it wants it gone: [`Error::Cancelled`].
    Cancelled,
    /// The server is about to stop: [`Error::ShuttingDown`].
    ShuttingDown,
    /// A newer request for the same upload goes on with it: [`Error::Superseded`].
    Superseded,
}

impl Why {
    fn error(self) -> Error {
        match self {
            Self::Cancelled => Error::Cancelled,
            Self::ShuttingDown => Error::ShuttingDown,
            Self::Superseded => Error::Superseded,
        }
    }
}

/// One of those who write an upload, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Writer(u64);

/// Who writes, whether that is to end, and why. The pump reads one atomic a write, and hears the bell only while it
/// waits for its client anyway.
#[derive(Default, Debug)]
pub(super) struct Halt {
    /// The writer's number, and in its lowest bits the reason.
    told: AtomicU64,
    bell: Notify,
}

const CANCELLED: u64 = 1;
const SHUTTING_DOWN: u64 = 2;
const SUPERSEDED: u64 = 3;
/// One more than the largest reason: what the writers' numbers count by.
const STEP: u64 = 4;

impl Halt {
    fn tell(&self, why: Why) {
        self.tell_writer(self.writer(), why);
    }

    /// The first reason counts; whoever has let go already hears nothing.
    fn tell_writer(&self, Writer(now): Writer, why: Why) {
        let reason = match why {
            Why::Cancelled => CANCELLED,
            Why::ShuttingDown => SHUTTING_DOWN,
            Why::Superseded => SUPERSEDED,
        };
        let _ = self
            .told
            .compare_exchange(now, now + reason, Ordering::Relaxed, Ordering::Relaxed);
        self.bell.notify_waiters();
    }

    /// Who writes now, or wrote last.
    pub(super) fn writer(&self) -> Writer {
        let told = self.told.load(Ordering::Relaxed);
        Writer(told - told % STEP)
    }

    /// Makes way for the next writer, whom nobody has told anything yet. One at a time, under the lock of what is known.
    pub(super) fn next(&self) -> Writer {
        let Writer(now) = self.writer();
        self.told.store(now + STEP, Ordering::Relaxed);
        self.bell.notify_waiters();
        Writer(now + STEP)
    }

    fn check(&self, writer: Writer) -> Result<(), Error> {
        let why = match self.told.load(Ordering::Relaxed).wrapping_sub(writer.0) {
            0 => return Ok(()),
            CANCELLED => Why::Cancelled,
            SHUTTING_DOWN => Why::ShuttingDown,
            // As told, or since another one writes.
            _ => Why::Superseded,
        };
        Err(why.error())
    }
}

impl Progress {
    /// Has the upload end in `error`, or its writer let go of it, unless all its bytes have come already and are being
    /// stored. The pump hears it at its next write, and at once while it waits for its client; where a route of the app's
    /// own has the upload in hand, it ends there. While nobody writes nobody hears it.
    pub fn halt(&self, why: Why) {
        self.halt.tell(why);
    }

    /// Whether whoever writes now is to end, and with which error.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::ShuttingDown`], [`Error::Superseded`].
    pub fn go_on(&self) -> Result<(), Error> {
        self.may_write(self.halt.writer())
    }

    /// Waits until whoever writes now is to end.
    pub async fn halted(self: Arc<Self>) -> Error {
        let writer = self.halt.writer();
        self.until_halted(writer).await
    }

    /// The same for one writer alone, and never for one who has taken the upload up since.
    pub(super) fn halt_writer(&self, writer: Writer, why: Why) {
        self.halt.tell_writer(writer, why);
    }

    /// One relaxed atomic.
    pub(super) fn may_write(&self, writer: Writer) -> Result<(), Error> {
        self.halt.check(writer)
    }

    pub(super) async fn until_halted(self: Arc<Self>, writer: Writer) -> Error {
        loop {
            // In this order: what is told after the look rings this bell.
            let rung = self.halt.bell.notified();
            if let Err(error) = self.may_write(writer) {
                return error;
            }
            rung.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::upload::{Owner, Protocol, Upload};

    fn progress() -> Arc<Progress> {
        let upload = Upload::new(Protocol::Put, Owner::from_address([127, 0, 0, 1].into()));
        Arc::new(Progress::new(&upload, Instant::now()))
    }

    #[tokio::test]
    async fn the_first_reason_counts_and_is_heard_whenever_the_pump_begins_to_wait() {
        let progress = progress();
        assert!(progress.go_on().is_ok());
        progress.halt(Why::Cancelled);
        progress.halt(Why::ShuttingDown);
        assert_eq!(progress.clone().halted().await.code(), "cancelled");
        assert_eq!(progress.go_on().unwrap_err().code(), "cancelled");
    }

    #[tokio::test]
    async fn the_next_writer_has_been_told_nothing_and_the_older_one_hears_that_it_is_over() {
        let progress = progress();
        let older = progress.halt.writer();
        let mut waits = std::pin::pin!(Arc::clone(&progress).until_halted(older));
        assert!(futures_are_pending(waits.as_mut()).await);
        progress.halt(Why::ShuttingDown);
        let newer = progress.halt.next();
        assert!(progress.may_write(newer).is_ok());
        assert_eq!(progress.may_write(older).unwrap_err().code(), "superseded");
        assert_eq!(waits.await.code(), "superseded");
        progress.halt_writer(older, Why::Superseded);
        assert!(progress.may_write(newer).is_ok(), "it was not meant");
        progress.halt(Why::Cancelled);
        assert_eq!(progress.may_write(newer).unwrap_err().code(), "cancelled");
        assert_eq!(progress.may_write(older).unwrap_err().code(), "superseded");
    }

    #[tokio::test]
    async fn a_writer_that_is_asked_to_let_go_hears_it_while_it_waits() {
        let progress = progress();
        let mut waits = std::pin::pin!(Arc::clone(&progress).halted());
        assert!(futures_are_pending(waits.as_mut()).await);
        progress.halt(Why::Superseded);
        assert_eq!(waits.await.code(), "superseded");
    }

    /// Polls once.
    async fn futures_are_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending()))
            .await
    }
}
