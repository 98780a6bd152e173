//! A client that goes away while the app works for it.
//!
//! Our own connections let a client close its side and wait for its answer; so nobody looks whether it is still there
//! before there is something to write. For the app that is too late: a page that nobody waits for is worked on to its end.

use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The client's connection, of which nothing is read here. A host puts it into a request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<OwnedFd>);

impl Line {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(Arc::new(socket))
    }

    /// Is ready when the client has closed its side. Polled on the thread where it is made.
    pub(super) fn closes(&self) -> Closes {
        let line = AsyncFd::with_interest(Arc::clone(&self.0), Interest::READABLE);
        Closes(Box::pin(async move {
            // What cannot be watched is taken to be there: a write finds out.
            let Ok(line) = line else {
                return std::future::pending().await;
            };
            while let Ok(mut ready) = line.readable().await {
                if ready.ready().is_read_closed() {
                    return;
                }
                // A further request, say.
                ready.clear_ready();
            }
            std::future::pending().await
        }))
    }
}

/// The wait for a client to go.
pub(crate) struct Closes(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for Closes {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Closes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closes").finish_non_exhaustive()
    }
}
