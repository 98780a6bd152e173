//! How uploads end, told once each: to the log, and to whoever keeps count.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::State;
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

    /// An upload has been interrupted: it may be resumed, or end later. Unless said nobody counts that.
    fn interrupted(&self, _: &Interruption<'_>) {}
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
        let seconds = seconds(self.lasted);
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

/// An upload whose bytes have just ceased to come, and which can be resumed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Interruption<'a> {
    /// Its name for those who may do everything with it; logs show [`UploadId::short`].
    pub id: UploadId,
    /// The way in.
    pub protocol: Protocol,
    /// The client's own name for it.
    pub progress_id: Option<&'a ProgressId>,
    /// The client's address, where the host told it.
    pub client: Option<IpAddr>,
    /// What interrupted it.
    pub why: &'a Error,
    /// Body bytes taken off the wire.
    pub received: u64,
    /// How many of them are kept.
    pub offset: u64,
    /// Since the head of its first request.
    pub lasted: Duration,
}

impl Interruption<'_> {
    /// One line for the log, like an end's.
    pub(super) fn log(&self) {
        let id = self.id.short();
        let (protocol, bytes, offset) = (self.protocol.as_str(), self.received, self.offset);
        let seconds = seconds(self.lasted);
        let client = self.client.map(tracing::field::display);
        let progress_id = self.progress_id.map(ProgressId::as_str);
        let (code, error, cause) = (self.why.code(), self.why.to_string(), cause(self.why));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    id,
                    protocol,
                    code,
                    bytes,
                    offset,
                    seconds,
                    client,
                    progress_id,
                    error,
                    cause,
                    "upload interrupted"
                )
            };
        }
        match self.why.status() {
            500 => line!(error),
            507 => line!(warn),
            // A server that stops loses nothing of it.
            _ => line!(info),
        }
    }
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
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
