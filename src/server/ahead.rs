//! Interim answers on HTTP/1.1, which hyper's server cannot send: ours go ahead of hyper's bytes, never between them.
//!
//! ```text
//! hyper ──► Strict ──► Patient ──► Ahead ──► socket
//!                                    ▲
//! service ──► Interim ──► Slot ──────┘ looked at when hyper flushes
//! ```
//!
//! hyper flushes at the end of each turn of a connection's task, and the flush comes here once all that it had is written:
//! its answers before this request's, and `100 Continue`. The service's future runs in that task too. So what it puts
//! into the [`Slot`] goes out when it waits, and what would go out too late, with its answer ready, is dropped.
//!
//! A client that reads none of this loses nothing by it: the slot is small and drops what does not fit, time passes for
//! hyper's own bytes alone, and a write that fails fails hyper's next one, while bytes that are on their way still come.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, Request, StatusCode, Version, header};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::interim::Interim;

#[cfg(test)]
mod tests;

/// Bytes of interim answers that wait for a flush; those of one are a few hundred.
const MOST: usize = 4096;

/// A socket on which interim answers go ahead of the answer.
#[derive(Debug)]
pub(super) struct Ahead<S> {
    stream: S,
    slot: Slot,
    /// Interim answers that have begun to go: they are written to their end before anything else.
    begun: Bytes,
    /// Why one could not be written; hyper's next write hears it.
    broken: Option<io::Error>,
}

/// Where interim answers wait for their connection.
#[derive(Clone, Default, Debug)]
pub(super) struct Slot(Arc<Shared>);

#[derive(Default, Debug)]
struct Shared {
    /// Whether there is something to send.
    waits: AtomicBool,
    now: Mutex<Now>,
}

#[derive(Default, Debug)]
struct Now {
    /// How many requests have had an [`Interim`].
    requests: u64,
    /// Whether the last of them still waits for its answer.
    is_open: bool,
    /// Interim answers, written out.
    written: Vec<u8>,
    /// Of the connection's task.
    waker: Option<Waker>,
}

/// A request that may be given interim answers, until this is dropped. To be dropped before hyper sees the answer.
#[derive(Debug)]
pub(super) struct Unanswered(Slot);

impl Slot {
    /// Lets interim answers be sent to `request`, if it brings a body and its client must understand them.
    pub(super) fn open<B: Body>(&self, request: &mut Request<B>) -> Option<Unanswered> {
        // RFC 9110, 15.2: none to an HTTP/1.0 client.
        if request.version() != Version::HTTP_11 || request.body().is_end_stream() {
            return None;
        }
        let (slot, mut now) = (self.clone(), self.lock());
        now.requests += 1;
        now.is_open = true;
        let this = now.requests;
        let interim = Interim::new(move |status, fields| slot.put(this, status, &fields));
        request.extensions_mut().insert(interim);
        Some(Unanswered(self.clone()))
    }

    /// Keeps an interim answer to the request of this number until the next flush, if it can still be sent.
    fn put(&self, request: u64, status: StatusCode, fields: &HeaderMap) {
        let Some(written) = written(status, fields) else {
            return;
        };
        let mut now = self.lock();
        if !now.is_open || now.requests != request || now.written.len() + written.len() > MOST {
            return;
        }
        now.written.extend_from_slice(&written);
        self.0.waits.store(true, Ordering::Relaxed);
        let waker = now.waker.clone();
        drop(now);
        // In the connection's own task a flush follows anyway.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self) -> Bytes {
        let mut now = self.lock();
        self.0.waits.store(false, Ordering::Relaxed);
        std::mem::take(&mut now.written).into()
    }

    fn waits(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unanswered {
    /// Has the connection's task, in which it is awaited, woken whenever there is something to send. Ready at once.
    pub(super) async fn wakes(&self) {
        poll_fn(|cx| {
            self.0.lock().waker = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let mut now = self.0.lock();
        now.is_open = false;
        now.written = Vec::new();
        now.waker = None;
        self.0.0.waits.store(false, Ordering::Relaxed);
    }
}

/// An interim answer as it goes over the wire; `None` for a status that is none, or that changes the protocol.
fn written(status: StatusCode, fields: &HeaderMap) -> Option<Vec<u8>> {
    if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let words = match status.as_u16() {
        104 => "Upload Resumption Supported",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    let mut written = format!("HTTP/1.1 {} {words}\r\n", status.as_u16()).into_bytes();
    // No value of theirs has a line's end in it: the type sees to that.
    for (name, value) in fields.iter().filter(|(name, _)| !frames(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            written.extend_from_slice(part);
        }
    }
    written.extend_from_slice(b"\r\n");
    Some(written)
}

/// What tells where a message ends, or what becomes of its connection, is no affair of a message without a body
/// (RFC 9110, 8.6; RFC 9112, 6.1).
fn frames(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ]
    .contains(name)
}

impl<S> Ahead<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            slot: Slot::default(),
            begun: Bytes::new(),
            broken: None,
        }
    }

    /// Where this connection's interim answers are to be put.
    pub(super) fn slot(&self) -> Slot {
        self.slot.clone()
    }

    /// The socket itself.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncWrite + Unpin> Ahead<S> {
    /// Writes what has begun to its end.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.begun.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.begun)) {
                Ok(bytes) if bytes > 0 => self.begun.advance(bytes),
                Ok(_) => self.breaks(io::ErrorKind::WriteZero.into()),
                Err(cause) => self.breaks(cause),
            }
        }
        Poll::Ready(())
    }

    fn breaks(&mut self, cause: io::Error) {
        self.begun = Bytes::new();
        self.broken = Some(cause);
    }

    /// Ready when hyper may write; what is in the slot stays there.
    fn poll_own_done(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_begun(cx));
        Poll::Ready(self.broken.take().map_or(Ok(()), Err))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_own_done(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_own_done(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// All that hyper had is written, so this is where a message ends.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_begun(cx));
        while self.slot.waits() && self.broken.is_none() {
            self.begun = self.slot.take();
            ready!(self.poll_begun(cx));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own_done(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
