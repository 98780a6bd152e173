//! When the next checkpoint is due: after so many bytes, or so long after the first that has none yet.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

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
    /// Set by the first wait, and moved on by later ones.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Window {
    pub(super) fn new(options: WindowOptions) -> Self {
        Self {
            options,
            bytes: 0,
            due: None,
            timer: None,
        }
    }

    /// Counts bytes that have been written; says whether a checkpoint is due.
    pub(super) fn wrote(&mut self, bytes: u64) -> bool {
        let now = Instant::now();
        self.bytes += bytes;
        let due = *self.due.get_or_insert(now + self.options.time);
        self.bytes >= self.options.bytes || now >= due
    }

    /// A checkpoint covers all of them.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.due = None;
    }

    /// Waits until a checkpoint is due by time; for ever while there is nothing that it would cover.
    pub(super) async fn due(&mut self) {
        let Some(due) = self.due else {
            return std::future::pending().await;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().await;
    }
}
