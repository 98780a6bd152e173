//! How uploads that can be resumed are kept.

use std::time::Duration;

/// How uploads that can be resumed are kept between their requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResumeOptions {
    /// How long an upload that nobody goes on with is kept; default 24 hours, `None` is for ever. Then it ends in
    /// [`Error::Expired`](crate::Error::Expired), and nothing of it is left. Clients are told the time.
    pub expire_after: Option<Duration>,
    /// After how many bytes those that have come are made durable, so that a client may go on behind them; default 16 MiB.
    pub checkpoint_bytes: u64,
    /// After how much time at the latest, also while the client pauses; default 1 second.
    pub checkpoint_time: Duration,
    /// How long a newer request waits for the older one to let go of the upload, before it is taken from it; default
    /// 500 ms.
    pub patience: Duration,
    /// How many uploads stay open between two of their requests, so that the next one need not take them up from the
    /// store; default 256. The one that has waited longest goes first.
    pub max_parked: usize,
}

impl Default for ResumeOptions {
    fn default() -> Self {
        Self {
            expire_after: Some(Duration::from_secs(24 * 3600)),
            checkpoint_bytes: 16 << 20,
            checkpoint_time: Duration::from_secs(1),
            patience: Duration::from_millis(500),
            max_parked: 256,
        }
    }
}
