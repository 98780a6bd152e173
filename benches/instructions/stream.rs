//! A connection from memory: a request in pieces, after each of which the reader must wait, as with a socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Bytes that are there at once.
const PIECE: usize = 64 * 1024;

/// One request, as it would come from a socket; answers go nowhere.
pub(crate) struct Prepared {
    /// What comes before the file.
    before: Vec<u8>,
    /// Bytes of the file that are still to come.
    left: u64,
    /// What comes behind it, if anything.
    after: Vec<u8>,
    /// What files are made of.
    block: Vec<u8>,
    waits: bool,
}

impl Prepared {
    /// A form whose file has so many bytes.
    pub(crate) fn form(size: u64) -> Self {
        const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gWx";
        let part = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n"
        );
        let after = format!("\r\n--{BOUNDARY}--\r\n").into_bytes();
        let length = part.len() as u64 + size + after.len() as u64;
        let before = format!(
            "POST /upload?X-Progress-ID=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n{part}"
        );
        Self::new(before, size, after)
    }

    /// A raw body of so many bytes, its request begun by `line` and `fields`.
    pub(crate) fn raw(line: &str, fields: &str, size: u64) -> Self {
        let before = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}Content-Length: {size}\r\n\r\n"
        );
        Self::new(before, size, Vec::new())
    }

    fn new(before: String, size: u64, after: Vec<u8>) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut step = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        Self {
            before: before.into_bytes(),
            left: size,
            after,
            block: (0..PIECE / 8).flat_map(|_| step()).collect(),
            waits: false,
        }
    }

    /// Reads all of it and does nothing else.
    pub(crate) async fn copy(mut self) -> anyhow::Result<()> {
        let mut buffer = Vec::with_capacity(PIECE);
        while !self.after.is_empty() {
            buffer.clear();
            self.read_buf(&mut buffer).await?;
        }
        Ok(())
    }
}

impl AsyncRead for Prepared {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.waits = !self.waits;
        if self.waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buf.remaining();
        let this = &mut *self;
        if !this.before.is_empty() {
            let now = room.min(this.before.len());
            buf.put_slice(&this.before[..now]);
            this.before.drain(..now);
        } else if this.left > 0 {
            let now = room
                .min(PIECE)
                .min(usize::try_from(this.left).unwrap_or(PIECE));
            buf.put_slice(&this.block[..now]);
            this.left -= now as u64;
        } else if !this.after.is_empty() {
            let now = room.min(this.after.len());
            buf.put_slice(&this.after[..now]);
            this.after.drain(..now);
        } else {
            // The client waits for its answer.
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prepared {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
