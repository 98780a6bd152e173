//! A client that goes away while the app works for it.
//!
//! Our own connections let a client close its side and wait for its answer; so nobody looks whether it is still there
//! before there is something to write. For the app that is too late: a page that nobody waits for is worked on to its end.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::TcpStream;

/// The client's connection, of which nothing is read here. A host puts it into a request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<OwnedFd>);

impl Line {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(Arc::new(socket))
    }

    /// Is ready when the client has closed its side. Polled on the thread where it is made.
    pub(super) fn closes(&self) -> Closes {
        let line = self.0.try_clone().map(std::net::TcpStream::from);
        let line = line.and_then(TcpStream::from_std);
        Closes(Box::pin(async move {
            if let Ok(line) = line
                && until_closed(&line).await.is_ok()
            {
                return;
            }
            // What cannot be watched is taken to be there: a write finds out.
            std::future::pending().await
        }))
    }
}

async fn until_closed(line: &TcpStream) -> io::Result<()> {
    while !line.ready(Interest::READABLE).await?.is_read_closed() {
        // It sends something, a further request say: that is not for us to read.
        let unread = || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock));
        let _ = line.try_io(Interest::READABLE, unread);
    }
    Ok(())
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
