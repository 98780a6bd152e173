//! When the next checkpoint is due: after so many bytes, or so long after the first that has none yet.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// With every so many writes the clock is looked at: a client that is always faster than the disk never lets the pump wait.
const TURNS: u8 = 16;

/// How often the bytes of an upload that can be resumed are made durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WindowOptions {
    /// After how many bytes.
    pub(crate) bytes: u64,
    /// After how much time at the latest.
    pub(crate) time: Duration,
}

/// The bytes of one upload that no checkpoint covers.
#[derive(Debug)]
pub(super) struct Window {
    options: WindowOptions,
    bytes: u64,
    /// When the time is up, as soon as there are any.
    due: Option<Instant>,
    /// Set by the first wait. It may be of an earlier window, and is moved on when it fires.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    wakes: Option<Waker>,
    turns: u8,
}

impl Window {
    pub(super) fn new(options: WindowOptions) -> Self {
        Self {
            options,
            bytes: 0,
            due: None,
            timer: None,
            wakes: None,
            turns: 0,
        }
    }

    /// Counts bytes that have been written; says whether a checkpoint is due.
    pub(super) fn wrote(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        let time = self.options.time;
        let due = *self.due.get_or_insert_with(|| Instant::now() + time);
        self.turns = (self.turns + 1) % TURNS;
        self.bytes >= self.options.bytes || self.turns == 0 && Instant::now() >= due
    }

    /// A checkpoint covers all of them.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.due = None;
    }

    /// Waits until a checkpoint is due by time; for ever while there is nothing that it would cover.
    pub(super) async fn due(&mut self) {
        poll_fn(|cx| self.poll_due(cx)).await;
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // A timer that is set stays set: only one that has fired, or would wake somebody else, is looked into.
        let set = self.wakes.as_ref().is_some_and(|w| w.will_wake(cx.waker()));
        if set && !timer.is_elapsed() {
            return Poll::Pending;
        }
        self.wakes = Some(cx.waker().clone());
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}
