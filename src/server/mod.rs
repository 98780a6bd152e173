//! The binary: sockets, threads, flags and logs around the [`Service`](crate::Service), which it uses as any host would.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::store::Disk;
use crate::threads::DataThreads;

mod args;
mod assemble;
pub mod config;
mod connection;
pub mod logging;
pub mod strict;
mod secret;
mod units;

pub use config::Config;
pub use connection::ConnectionOptions;
pub use strict::HeadLimits;

use connection::Connections;

/// Runs the server until it is told to stop. The caller's thread becomes the control thread.
///
/// # Errors
/// When the configuration, the folder or the address cannot be used; the message names it and says what to do.
pub fn run() -> anyhow::Result<()> {
    let config = Config::load(std::env::args_os(), std::env::vars_os())?;
    logging::start(config.log_format, config.log)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(config))
}

async fn serve(mut config: Config) -> anyhow::Result<()> {
    let listener = listen(config.listen).await?;
    // Before anything is made on the disk.
    let tokens = config.tokens()?;
    let dir = config.dir.clone();
    let store = Disk::open_with(&dir, config.disk())
        .with_context(|| format!("cannot store uploads in {}", dir.display()))?;
    if config.secret_link {
        config.base = format!("{}/{}", config.base, secret::open(&dir)?);
    }
    let data = DataThreads::start(config.data_threads).context("cannot start the data threads")?;
    let service = config
        .dumbwaiter(store)
        .data_threads(data.clone())
        .rights(config.rights(tokens))
        .into_service();
    // Whoever reads the greeting may tell us to stop.
    let stop = stop()?;
    greet(&config, listener.local_addr()?);
    let connections = Arc::new(Connections {
        service,
        data,
        options: config.connections(),
    });
    tokio::select! {
        () = accept(&listener, &connections) => {}
        () = stop => {}
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| match address.port() {
        0 => format!("cannot listen on {address}"),
        port => format!("cannot listen on {address}: is another server on port {port}? --listen chooses another address"),
    })
}

/// Says where the server is and what is stored where. The first line is for programs too: it ends in the URL.
fn greet(config: &Config, address: SocketAddr) {
    let dir = std::path::absolute(&config.dir).unwrap_or_else(|_| config.dir.clone());
    let url = format!("http://{address}{}", config.base);
    let words = format!(
        "Dumbwaiter is at {url}/\n\
         Files go to {} as {}\n\
         A form:  curl -F picture=@paella.jpg '{url}/upload?X-Progress-ID=1'\n\
         A file:  curl -T paella.jpg {url}/files/\n",
        dir.display(),
        config.name,
    );
    let link = format!("http://{}{}/", secret::reachable(address), config.base);
    let code = config.secret_link.then(|| secret::qr(&link)).flatten();
    let words = match code {
        Some(code) => format!("{words}The secret link is {link}\n{code}\n"),
        None => words,
    };
    // Whoever does not listen wants to be served all the same.
    let _ = std::io::stdout().lock().write_all(words.as_bytes());
}

async fn accept(listener: &TcpListener, connections: &Arc<Connections>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => welcome(connections, stream, peer),
            // Out of descriptors, mostly: the connection waits in the kernel's queue until one is free.
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn welcome(connections: &Arc<Connections>, stream: TcpStream, peer: SocketAddr) {
    tokio::spawn(connections.clone().serve(stream, peer));
}

/// Waits to be told to stop; listens from the moment it is called.
fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
    })
}

/// An upload needs two descriptors and a watcher one; the usual soft limit of 1,024 is soon reached.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(cause) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%cause, "cannot raise the limit of open files");
    }
}
