//! The public listener: connections taken one after the other, each with a place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::ConnectionOptions;
use super::connection::{Connections, Place};
use super::drain::Open;
use super::metrics::Metrics;
use super::portion::Portions;
use crate::operator::Operator;
use crate::service::Service;

/// Where uploads come in.
#[derive(Debug)]
pub(super) struct Public {
    listener: TcpListener,
    connections: Arc<Connections>,
    operator: Operator,
}

impl Public {
    /// Serves what comes to `listener`, at most `most` connections at once; as many as there are descriptors for unless
    /// said. Called when all that stays open is open.
    pub(super) fn new(
        listener: TcpListener,
        service: Service,
        options: ConnectionOptions,
        most: Option<usize>,
        metrics: Option<Metrics>,
    ) -> Self {
        let most = most.unwrap_or_else(|| most_connections(service.has_app()));
        let places = Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            listener,
            operator: service.operator(),
            connections: Arc::new(Connections {
                data: service.data(),
                service,
                portions: Portions::new(options.read_memory),
                options,
                open: Open::default(),
                metrics,
                places: Arc::new(places),
            }),
        }
    }

    /// The connections that are open.
    pub(super) fn open(&self) -> Open {
        self.connections.open.clone()
    }

    /// Takes connections for as long as it is polled.
    pub(super) async fn accept(&self) {
        loop {
            // Whoever finds no place waits in the kernel's queue.
            let place = self.connections.place().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => self.welcome(stream, peer, place),
                // Out of descriptors, mostly: the connection waits in the kernel's queue until one is free.
                Err(cause) => {
                    tracing::warn!(%cause, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn welcome(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        tokio::spawn(self.connections.clone().serve(stream, peer, place));
    }

    /// Takes no more; what is left is to be ended.
    pub(super) fn close(self) -> (Arc<Connections>, Operator) {
        (self.connections, self.operator)
    }
}

/// So many connections that each has descriptors for its socket and a file, and some are left for what the server opens
/// now and then. With an app behind, each has two more: for the app, and to see its client go.
fn most_connections(has_app: bool) -> usize {
    use rustix::process::{Resource, getrlimit};
    const NOW_AND_THEN: u64 = 16;
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as u64;
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let each = if has_app { 4 } else { 2 };
    let most = files.saturating_sub(open + NOW_AND_THEN) / each;
    usize::try_from(most).unwrap_or(usize::MAX)
}
