//! Between the socket and hyper: only heads that can be read in one way get through.
//!
//! ```text
//! socket ──► Strict ──► hyper ──► service
//!              │ follows heads and the bytes of bodies, by count
//!              └ an illegal head: hyper gets `REFUSED *` in its place, and its answer says why
//! ```
//!
//! hyper guesses where a head is odd: it takes `Transfer-Encoding` together with `Content-Length`, lone line feeds and
//! more. `Strict` looks at each head in the buffer into which it was read and lets it on when it is whole and legal;
//! bytes of a body are counted and not looked at. Only a head that comes in pieces is held, and copied once. Behind a
//! chunked request nothing is read: its answer closes the connection, so nothing can hide in odd chunks.
//!
//! hyper keeps the order: what stands in an illegal head's place is a request of its own, answered after all that came
//! before it. No client can send that one, since the rule refuses its target.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::portion::Portion;
use crate::error::Error;

mod head;

pub(crate) use head::asks_to_switch;
pub use head::{Framing, Head, HeadLimits};

/// Bytes read at once of a head that comes in pieces.
const PIECE: usize = 4096;

/// What hyper gets in an illegal head's place.
const REFUSED: &[u8] = b"REFUSED * HTTP/1.1\r\n\r\n";

/// Why the connection's last head was refused; the stream tells, the service asks.
#[derive(Clone, Default, Debug)]
pub(super) struct Refused(Arc<Mutex<Option<Error>>>);

impl Refused {
    /// What to answer to `request`, if it stands for a refused head.
    pub(super) fn take<B>(&self, request: &Request<B>) -> Option<Error> {
        if request.uri().path() != "*" || request.method() == Method::OPTIONS {
            return None;
        }
        let error = self.0.lock().expect("nobody panics over it").take();
        Some(error.unwrap_or(Error::BadRequest {
            what: "its target is malformed",
        }))
    }
}

/// A socket of which only legal heads, and the bodies that they announce, can be read.
#[derive(Debug)]
pub struct Strict<S> {
    stream: S,
    /// How much is read at once, where that is bounded.
    portion: Option<Portion>,
    limits: HeadLimits,
    head_timeout: Duration,
    expected: Expected,
    /// What has been read and not passed on: the beginning of a head, or what stands for one.
    held: Vec<u8>,
    /// How many of these may be passed on.
    ready: usize,
    /// Runs while a head is incomplete.
    timer: Option<Pin<Box<Sleep>>>,
    refused: Refused,
}

/// What comes next.
#[derive(Debug)]
enum Expected {
    Head(Head),
    /// So many bytes, at least one, of a body.
    Body(u64),
    /// Chunks, and nothing behind them.
    Chunks,
    /// What the answer decides: another protocol, or nothing. Until then nothing is read.
    Switch,
    /// Nothing that would be read.
    Nothing,
}

impl<S> Strict<S> {
    /// Around a connection at its beginning; a head must be complete within `head_timeout` from its first byte on.
    #[must_use]
    pub fn new(stream: S, limits: HeadLimits, head_timeout: Duration) -> Self {
        Self {
            stream,
            portion: None,
            limits,
            head_timeout,
            expected: Expected::Head(Head::default()),
            held: Vec::new(),
            ready: 0,
            timer: None,
            refused: Refused::default(),
        }
    }

    /// Reads `portion` at once and no more.
    pub(super) fn by_portion(self, portion: Portion) -> Self {
        Self {
            portion: Some(portion),
            ..self
        }
    }

    /// Where the reason will stand when a head is refused.
    pub(super) fn refused(&self) -> Refused {
        self.refused.clone()
    }

    /// The socket and what has been read from it and not passed on, for when hyper has done.
    pub(super) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.held)
    }

    /// How many of `bytes`, the next ones off the wire, may be passed on.
    fn legal(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            match &mut self.expected {
                Expected::Chunks => return bytes.len(),
                Expected::Nothing | Expected::Switch => return passed,
                Expected::Body(left) => {
                    let here = (rest.len() as u64).min(*left);
                    *left -= here;
                    passed += here as usize;
                    if *left == 0 {
                        self.expected = Expected::Head(Head::default());
                    }
                }
                Expected::Head(head) => match head.read(rest, self.limits) {
                    Ok(Some((length, framing))) => {
                        passed += length;
                        self.expected = Expected::after(framing);
                    }
                    Ok(None) => return passed,
                    Err(error) => {
                        self.refuse(error);
                        return passed;
                    }
                },
            }
        }
        passed
    }

    /// Has hyper answer `error` after what came before, and nothing after that.
    fn refuse(&mut self, error: Error) {
        *self.refused.0.lock().expect("nobody panics over it") = Some(error);
        self.expected = Expected::Nothing;
    }

    /// Passes on of `held` what may be and fits.
    fn pass_held(&mut self, buf: &mut ReadBuf<'_>) {
        let now = self.ready.min(buf.remaining());
        buf.put_slice(&self.held[..now]);
        self.ready -= now;
        self.held.drain(..now);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// Keeps `rest`, behind what was passed on, until it is known to be legal.
    fn hold(&mut self, rest: &[u8]) {
        match self.expected {
            Expected::Nothing => {
                self.held.extend_from_slice(REFUSED);
                self.ready = self.held.len();
            }
            _ => self.held.extend_from_slice(rest),
        }
    }

    /// Looks again at what is held, now that more of it has come or its time is up.
    fn look_again(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        self.ready = self.legal(&held);
        if matches!(self.expected, Expected::Nothing) {
            held.truncate(self.ready);
            held.extend_from_slice(REFUSED);
            self.ready = held.len();
        }
        self.held = held;
    }

    /// Ready when the head that is held has taken too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let time = self.head_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(time)));
        timer.as_mut().poll(cx)
    }
}

impl Expected {
    fn after(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Head(Head::default()),
            Framing::Length(length) => Self::Body(length),
            Framing::Chunks => Self::Chunks,
            Framing::Switch => Self::Switch,
        }
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    fn poll_read_stream(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.portion {
            Some(portion) => portion.poll_read(&mut self.stream, cx, buf),
            None => Pin::new(&mut self.stream).poll_read(cx, buf),
        }
    }

    /// Reads straight into hyper's buffer and takes back what may not be passed on.
    fn poll_read_in_place(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_read_stream(cx, buf))?;
        let legal = self.legal(&buf.filled()[before..]);
        let rest = &buf.filled()[before + legal..];
        if !rest.is_empty() {
            self.hold(rest);
            buf.set_filled(before + legal);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more of a head that comes in pieces; `false` at the end of the stream.
    fn poll_read_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        match Pin::new(&mut self.stream).poll_read(cx, &mut piece)? {
            Poll::Ready(()) if piece.filled().is_empty() => return Poll::Ready(Ok(false)),
            Poll::Ready(()) => self.held.extend_from_slice(piece.filled()),
            Poll::Pending => {
                ready!(self.poll_late(cx));
                let seconds = self.head_timeout.as_secs_f64().ceil() as u64;
                self.refuse(Error::HeadTimeout { seconds });
                self.held.clear();
            }
        }
        self.look_again();
        if self.ready > 0 {
            self.timer = None;
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining() as u64;
        let before = buf.filled().len();
        if let Expected::Body(left) = self.expected
            && left > room
            && self.ready == 0
        {
            // The usual case: nothing but the body fits.
            ready!(self.poll_read_stream(cx, buf))?;
            self.expected = Expected::Body(left - (buf.filled().len() - before) as u64);
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.ready > 0 {
                self.pass_held(buf);
                return Poll::Ready(Ok(()));
            }
            if matches!(self.expected, Expected::Nothing | Expected::Switch) {
                // hyper is about to write its last answer.
                return Poll::Pending;
            }
            if self.held.is_empty() {
                ready!(self.poll_read_in_place(cx, buf))?;
                if buf.filled().len() > before || self.held.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            } else if !ready!(self.poll_read_piece(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
