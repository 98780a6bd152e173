//! The server in a program of one's own.

use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::net::TcpListener;
use std::pin::Pin;

use super::public::Public;
use super::{ConnectionOptions, DrainOptions, drain};
use crate::service::{Dumbwaiter, Service};

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Dumbwaiter {
    /// Serves `listener` with our own connections and threads, as the binary does: await what comes back, in a tokio
    /// runtime with its timers and sockets on.
    ///
    /// ```no_run
    /// use dumbwaiter::Dumbwaiter;
    /// use dumbwaiter::store::Disk;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lift = Dumbwaiter::new(Disk::open("uploads")?);
    /// lift.serve(std::net::TcpListener::bind("127.0.0.1:7070")?).await?;
    /// # Ok(()) }
    /// ```
    pub fn serve(self, listener: TcpListener) -> Serve {
        Serve {
            service: self.into_service(),
            listener,
            options: ConnectionOptions::default(),
            most: None,
            drain: DrainOptions::default(),
            stop: Box::pin(pending()),
        }
    }
}

/// A server about to run: it does when it is awaited.
///
/// Requests without a body are answered on the runtime that awaits it, uploads on the data threads: whatever else that
/// runtime does must not block, else polls wait for it. Dropping the future closes the listener, and
/// connections that are open go on to their end; [`Serve::until`] is the way to wait for them.
#[must_use = "nothing is served until it is awaited"]
pub struct Serve {
    service: Service,
    listener: TcpListener,
    options: ConnectionOptions,
    most: Option<usize>,
    drain: DrainOptions,
    stop: Stop,
}

impl Serve {
    /// How long connections are waited for, and how they are let go.
    pub fn connections(mut self, options: ConnectionOptions) -> Self {
        self.options = options;
        self
    }

    /// The most connections at once; further ones wait in the kernel's queue. Unless said, as many as there are file
    /// descriptors for when it begins, two for each.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// How it comes to its end.
    pub fn drain(mut self, options: DrainOptions) -> Self {
        self.drain = options;
        self
    }

    /// Runs until `stop` is ready, then lets what runs come to its end. Unless said it runs for ever.
    pub fn until(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Box::pin(stop);
        self
    }

    /// The service that it serves: its [`Operator`](crate::Operator), say.
    #[must_use]
    pub fn service(&self) -> Service {
        self.service.clone()
    }

    async fn run(self) -> io::Result<()> {
        self.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let public = Public::new(listener, self.service, self.options, self.most, None);
        tokio::select! {
            () = public.accept() => {}
            () = self.stop => {}
        }
        drain::stop(self.drain, public).await;
        Ok(())
    }
}

impl IntoFuture for Serve {
    /// An error is the listener's: that it cannot be waited on.
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
