//! Requests of our own to other servers, on a thread of their own.
//!
//! ```text
//! any thread: Client::send ──request──► [net] a connection: hyper, TCP | unix | TLS ──► the other server
//!             Answered     ◄──frames───
//! ```
//!
//! Connections live on the thread "net": a page that the app is slow to send never waits for an upload that writes to the
//! disk, and an upload never for a name that does not resolve. Whoever sends waits where it is; only the connection's own
//! reading and writing happens here.
//!
//! | file | what |
//! |---|---|
//! | `upstream.rs` | [`Upstream`]: where another server is |
//! | `client.rs` | [`Client`]: sends a request, and waits as long as [`Patience`] says |
//! | `connect.rs` | a connection, of whichever kind |
//! | `tls.rs` | whom a connection believes |
//! | `pool.rs` | those that wait for the next request |
//! | `pulse.rs` | when something last went or came |
//! | `answer.rs` | [`Answered`]: what comes back, piece by piece |
//! | `failed.rs` | [`Failed`]: why nothing does |
//!
//! **Why not a ready-made client?** hyper-util's opens a connection ahead of need while it waits for one to fall idle, and a
//! server with one request per worker, as gunicorn's plain workers are, is held up by a connection on which nothing comes.
//! And it cannot tell a request that may be sent twice from one that may not.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod answer;
mod client;
mod connect;
mod failed;
mod pool;
mod pulse;
mod tls;
mod upstream;

pub(crate) use answer::{Answered, Sent, nothing, text, whole};
pub(crate) use client::{Client, Patience};
pub(crate) use failed::Failed;
pub(crate) use tls::trusting;
pub(crate) use upstream::{Address, Upstream};

/// The thread on which sockets to other servers live; it ends when the last clone of this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Net(Arc<Thread>);

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    /// Dropped with the last clone: that ends the thread.
    _alive: oneshot::Sender<()>,
}

impl Net {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("net".to_owned())
            .spawn(move || {
                // The sender never sends: the wait ends when the last clone is dropped.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self(Arc::new(Thread {
            runtime: handle,
            _alive: alive,
        })))
    }

    /// Starts `work` there, which must not block, and lets it run to its end.
    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.runtime.spawn(work)
    }
}
