//! Thousands of uploads at once from one thread: each connection is a task of tokio's.
//!
//! All connections are open before the clock starts. Each then sends its head and the file's first bytes; when the
//! server has read these from every one of them, the rest follows. So all uploads are really under way together, in
//! every server alike. The clock stops at the last answer.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::client::{Message, answer_end};
use crate::load::Load;

/// Bytes of each file that come first.
const FIRST: u64 = 16 << 10;

/// Bytes that the kernel may hold of each connection on the client's side: less than a file, so that it is the server
/// that decides who goes on.
const SEND_BUFFER: u32 = 64 << 10;

/// How long it may take in all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends so many uploads of that shape and size, all at once; how long it took.
pub(crate) fn run(address: SocketAddr, load: Load, block: &[u8]) -> anyhow::Result<Duration> {
    let block: Arc<[u8]> = block.into();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let all = all_at_once(address, load, &block);
        tokio::time::timeout(PATIENCE, all).await?
    })
}

/// The number of the next upload.
static NAME: AtomicUsize = AtomicUsize::new(0);

async fn all_at_once(
    address: SocketAddr,
    load: Load,
    block: &Arc<[u8]>,
) -> anyhow::Result<Duration> {
    let Load {
        shape, size, count, ..
    } = load;
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        streams.push(connect(address).await?);
    }
    let (begun, goes_on) = (
        Arc::new(Barrier::new(count + 1)),
        Arc::new(Barrier::new(count + 1)),
    );
    let mut uploads = JoinSet::new();
    for stream in streams {
        // nginx refuses a progress id that it still remembers.
        let number = NAME.fetch_add(1, Ordering::Relaxed);
        let upload = Upload {
            stream,
            message: Message::new(shape, &format!("m{number}"), size),
            block: block.clone(),
        };
        uploads.spawn(upload.run(size, begun.clone(), goes_on.clone()));
    }
    let start = Instant::now();
    until_first(&mut uploads, begun.wait()).await?;
    let look = until_read(address).await?;
    until_first(&mut uploads, goes_on.wait()).await?;
    while let Some(done) = uploads.join_next().await {
        done??;
    }
    Ok(start.elapsed() - look)
}

/// Waits until the server has read all that was sent. What comes back is how long the last look took, which found
/// nothing: the server had nothing to do meanwhile.
async fn until_read(address: SocketAddr) -> io::Result<Duration> {
    loop {
        let begun = Instant::now();
        if !waiting_for(address)? {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for `barrier`. An upload that ends before it does has failed.
async fn until_first(
    uploads: &mut JoinSet<io::Result<()>>,
    barrier: impl Future,
) -> anyhow::Result<()> {
    tokio::select! {
        _ = barrier => Ok(()),
        Some(ended) = uploads.join_next() => Ok(ended??),
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

struct Upload {
    stream: TcpStream,
    message: Message,
    block: Arc<[u8]>,
}

impl Upload {
    async fn run(
        mut self,
        size: u64,
        begun: Arc<Barrier>,
        goes_on: Arc<Barrier>,
    ) -> io::Result<()> {
        let first = size.min(FIRST);
        self.stream.write_all(self.message.before()).await?;
        self.file(first).await?;
        begun.wait().await;
        goes_on.wait().await;
        self.file(size - first).await?;
        self.stream.write_all(self.message.after()).await?;
        self.answered().await
    }

    /// Sends `left` bytes of the file.
    async fn file(&mut self, mut left: u64) -> io::Result<()> {
        while left > 0 {
            let now = left.min(self.block.len() as u64);
            self.stream.write_all(&self.block[..now as usize]).await?;
            left -= now;
        }
        Ok(())
    }

    async fn answered(&mut self) -> io::Result<()> {
        let mut answer = Vec::new();
        while answer_end(&answer)?.is_none() {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// Whether bytes or connections lie in the kernel that the server at `address` has not taken yet.
fn waiting_for(address: SocketAddr) -> io::Result<bool> {
    let port = format!(":{:04X}", address.port());
    // sl, local address, remote address, state, tx_queue:rx_queue …
    let waits = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let here = words.next().is_some_and(|local| local.ends_with(&port));
        let queues = words.nth(2).and_then(|queues| queues.split_once(':'));
        here && queues.is_some_and(|(_, unread)| unread != "00000000")
    };
    Ok(fs::read_to_string("/proc/net/tcp")?.lines().any(waits))
}
