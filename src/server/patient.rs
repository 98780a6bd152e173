//! A socket whose other end must read what it asked for: one that never does would hold its place for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Breaks off when no byte could be written for too long. A timer is there only while a write waits.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    /// The longest that a write waits; `None` is for ever.
    most: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Around `stream`.
    pub(super) fn new(stream: S, most: Option<Duration>) -> Self {
        Self {
            stream,
            most,
            timer: None,
        }
    }

    /// The socket itself.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match (polled, self.most) {
            (Poll::Pending, Some(most)) => {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(most)));
                let late = || Err(io::Error::from(io::ErrorKind::TimedOut));
                timer.as_mut().poll(cx).map(|()| late())
            }
            (polled, _) => {
                self.timer = None;
                polled
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.in_time(cx, polled)
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
