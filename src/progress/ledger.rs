//! How uploads end, told once each: to the log, and to whoever keeps count.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Progress, State};
use crate::error::Error;
use crate::upload::{ProgressId, Protocol, UploadId};

/// Keeps count of uploads: what metrics are made of.
///
/// Called by the ticker and at each upload's end, never while bytes flow; it must be quick and must not block.
pub trait Ledger: Send + Sync + Debug + 'static {
    /// So many body bytes more have come by `protocol`: told with each tick while uploads run, and at their ends.
    fn received(&self, protocol: Protocol, bytes: u64);

    /// An upload has ended.
    fn ended(&self, end: &End<'_>);
}

/// An upload that has just ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct End<'a> {
    /// Its name for those who may do everything with it; logs show [`UploadId::short`].
    pub id: UploadId,
    /// The way in.
    pub protocol: Protocol,
    /// The client's own name for it.
    pub progress_id: Option<&'a ProgressId>,
    /// The client's address, where the host told it.
    pub client: Option<IpAddr>,
    /// What ended it; `None` when it is done.
    pub error: Option<&'a Error>,
    /// Body bytes taken off the wire.
    pub received: u64,
    /// Files stored, or begun where it failed.
    pub files: usize,
    /// From the head to the end.
    pub lasted: Duration,
}

impl End<'_> {
    /// `done`, or the error's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.error.map_or(State::Done.as_str(), Error::code)
    }

    /// One line for the log. Text of the client's is quoted and its controls are escaped.
    pub(super) fn log(&self) {
        let id = self.id.short();
        let (protocol, bytes, files) = (self.protocol.as_str(), self.received, self.files);
        let seconds = (self.lasted.as_secs_f64() * 1000.0).round() / 1000.0;
        let client = self.client.map(tracing::field::display);
        let progress_id = self.progress_id.map(ProgressId::as_str);
        let code = self.error.map(Error::code);
        let error = self.error.map(ToString::to_string);
        let cause = self.error.and_then(cause);
        macro_rules! line {
            ($level:ident, $words:literal) => {
                tracing::$level!(
                    id,
                    protocol,
                    code,
                    bytes,
                    seconds,
                    files,
                    client,
                    progress_id,
                    error,
                    cause,
                    $words
                )
            };
        }
        match self.error.map(Error::status) {
            None => line!(info, "upload done"),
            Some(500) => line!(error, "upload failed"),
            // No room, no place, a stop: nothing is broken, and whoever runs the server may want to know.
            Some(503 | 507) => line!(warn, "upload failed"),
            Some(_) => line!(info, "upload failed"),
        }
    }
}

/// Everything behind the error, for those who mend it; the client never sees it.
fn cause(error: &Error) -> Option<String> {
    let mut next = std::error::Error::source(error);
    let mut words = Vec::new();
    while let Some(source) = next {
        words.push(source.to_string());
        next = source.source();
    }
    (!words.is_empty()).then(|| words.join(": "))
}

impl Progress {
    /// The bytes that have come since the last time it was asked. Ticker and pump may ask at once: nothing counts twice.
    pub(super) fn uncounted(&self) -> u64 {
        let received = self.received();
        let before = self.counted.fetch_max(received, Ordering::Relaxed);
        received.saturating_sub(before)
    }
}

/// How many uploads run, those that could not be listed too.
#[derive(Default, Debug)]
pub(super) struct Running(AtomicUsize);

impl Running {
    pub(super) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
