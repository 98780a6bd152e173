//! How much a connection reads at once, so that many fast ones together stay within a bound.
//!
//! hyper's buffer for a connection grows to twice what its largest reads bring, up to some 400 KiB: that is what makes a
//! single upload fast, and what would take half a gigabyte with a thousand of them. So the fast ones share what there is.
//! A slow one never fills its first 8 KiB and takes no part.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, ReadBuf};

/// The least that is read at once: below it the calls cost more than the bytes.
const LEAST: u64 = 16 << 10;

/// The most; more at once is not faster.
const MOST: u64 = 512 << 10;

/// Who reads this much at once is fast.
const FAST: usize = 8 << 10;

/// The memory in which all connections read.
#[derive(Clone, Debug)]
pub(super) struct Portions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: u64,
    fast: AtomicU64,
}

impl Portions {
    /// Connections share `bytes`, as far as [`LEAST`] for each allows.
    pub(super) fn new(bytes: u64) -> Self {
        let fast = AtomicU64::new(0);
        Self(Arc::new(Shared { bytes, fast }))
    }

    /// A connection's part.
    pub(super) fn one(&self) -> Portion {
        Portion {
            shared: self.0.clone(),
            is_fast: false,
        }
    }
}

/// What one connection may read at once; given back when dropped.
#[derive(Debug)]
pub(super) struct Portion {
    shared: Arc<Shared>,
    is_fast: bool,
}

impl Portion {
    /// Reads from `stream` into `buf` what there is, up to the portion.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.bytes();
        if buf.remaining() <= most {
            let before = buf.filled().len();
            ready!(Pin::new(stream).poll_read(cx, buf))?;
            self.took(buf.filled().len() - before);
        } else {
            let mut portion = buf.limit(most);
            let took = ready!(tokio_util::io::poll_read_buf(
                Pin::new(stream),
                cx,
                &mut portion
            ))?;
            self.took(took);
        }
        Poll::Ready(Ok(()))
    }

    /// Half of its share, since the buffer is twice as large.
    fn bytes(&self) -> usize {
        let fast = self.shared.fast.load(Ordering::Relaxed).max(1);
        (self.shared.bytes / fast / 2).clamp(LEAST, MOST) as usize
    }

    fn took(&mut self, bytes: usize) {
        if bytes >= FAST && !self.is_fast {
            self.is_fast = true;
            self.shared.fast.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        if self.is_fast {
            self.shared.fast.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much one read brings of a stream that has `there` bytes, with room for a MiB.
    async fn read(portion: &mut Portion, there: usize) -> usize {
        let (bytes, mut room) = (vec![7; there], vec![0; 1 << 20]);
        let (mut stream, mut buf) = (&bytes[..], ReadBuf::new(&mut room));
        std::future::poll_fn(|cx| portion.poll_read(&mut stream, cx, &mut buf))
            .await
            .unwrap();
        assert!(buf.filled().iter().all(|byte| *byte == 7));
        buf.filled().len()
    }

    #[tokio::test]
    async fn the_fast_share_and_the_slow_do_not_count() {
        let portions = Portions::new(1 << 20);
        let mut slow: Vec<_> = (0..100).map(|_| portions.one()).collect();
        for portion in &mut slow {
            assert_eq!(read(portion, 2048).await, 2048);
        }
        let mut first = portions.one();
        assert_eq!(read(&mut first, 1 << 20).await, 512 << 10);
        let mut others: Vec<_> = (0..7).map(|_| portions.one()).collect();
        for portion in &mut others {
            read(portion, 1 << 20).await;
        }
        assert_eq!(read(&mut first, 1 << 20).await, 64 << 10);
        drop(others);
        assert_eq!(read(&mut first, 1 << 20).await, 512 << 10);
    }

    #[tokio::test]
    async fn nobody_reads_less_than_is_worth_a_call() {
        let portions = Portions::new(0);
        assert_eq!(read(&mut portions.one(), 1 << 20).await, 16 << 10);
        assert_eq!(read(&mut portions.one(), 100).await, 100);
    }
}
