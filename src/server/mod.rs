//! Our own connections and threads around the [`Service`](crate::Service), which they use as any host would; and the
//! binary's flags, configuration and logs around those.
//!
//! [`Dumbwaiter::serve`](crate::Dumbwaiter::serve) is the part for a program of your own. What it has and a host's server has not:
//! a connection that brings a body lives on a data thread, so that polls are answered at once while the disk is busy; a
//! head that two readers could read in two ways is refused; a refusal can be read by a client that is still sending; a
//! client that reads nothing, or sends its head too slowly, loses its connection; and at the end what runs may finish.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::hand_off::Working;
use crate::net::Net;
use crate::store::{Disk, DiskOptions};
use crate::threads::DataThreads;

mod admin;
mod adopt;
mod ahead;
mod args;
mod assemble;
mod behind;
mod beside;
mod clients;
#[doc(hidden)]
pub mod config;
mod connection;
mod drain;
#[doc(hidden)]
pub mod logging;
mod metrics;
mod mirrored;
mod patient;
mod portion;
mod public;
mod reload;
mod secret;
mod serve;
mod shown;
mod signals;
#[doc(hidden)]
pub mod strict;
mod telling;
mod tickets;
mod tunnel;
mod units;

#[doc(hidden)]
pub use config::Config;
pub use connection::ConnectionOptions;
pub use drain::DrainOptions;
pub use serve::Serve;
pub use strict::HeadLimits;

use admin::Admin;
use args::Told;
use beside::Beside;
use config::Task;
use logging::Level;
use metrics::Metrics;
use public::Public;
use reload::Reload;
use signals::{Asked, Signals};

/// Runs the server until it is told to stop. The caller's thread becomes the control thread.
///
/// # Errors
/// When the configuration, the folder or the address cannot be used; the message names it and says what to do.
#[doc(hidden)]
pub fn run() -> anyhow::Result<ExitCode> {
    let told = Told::read(std::env::args_os(), std::env::vars_os())?;
    if let Some(task) = &told.config.task {
        return do_instead(&told, task);
    }
    let level = logging::start(told.config.log_format, told.config.log)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(told, level))?;
    Ok(ExitCode::SUCCESS)
}

fn do_instead(told: &Told, task: &Task) -> anyhow::Result<ExitCode> {
    let text = match task {
        Task::Adopt { folder } => {
            logging::start(told.config.log_format, told.config.log)?;
            adopt::run(&told.config, folder)?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Send(args) => return args.run(),
        Task::Watch(args) => return args.run(),
        Task::Ticket(args) => args.sign()?.into_bytes(),
        Task::Config => told.to_toml().into_bytes(),
        Task::Completions { shell } => shown::completions(*shell),
        Task::Man => shown::man()?,
    };
    match std::io::stdout().lock().write_all(&text) {
        // Whoever has read enough goes.
        Err(gone) if gone.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => Ok(written.map(|()| ExitCode::SUCCESS)?),
    }
}

async fn serve(told: Told, level: Level) -> anyhow::Result<()> {
    let mut config = told.config.clone();
    let mut signals = Signals::listen()?;
    let listener = listen(config.listen, "listen").await?;
    // Before anything is made on the disk.
    let (senders, (operators, token)) = (config.tokens()?, beside::tokens(&config)?);
    let site = config.page()?;
    let net = Net::start().context("cannot start the thread of the network")?;
    let keys = config.keys()?;
    let rights = config.rights(senders.clone(), &net, &keys)?;
    let working = Working::new(keys.clone(), config.working());
    let front = behind::front(&config, listener.local_addr()?, &net, &keys, &working).await?;
    let mut registry = Registry::with_prefix("dumbwaiter");
    let metrics = Metrics::new(&mut registry);
    let dir = config.dir.clone();
    let options = DiskOptions {
        ledger: Some(Arc::new(metrics.clone())),
        ..config.disk()
    };
    let store = Disk::open_with(&dir, options)
        .with_context(|| format!("cannot store uploads in {}", dir.display()))?;
    if config.secret_link {
        config.base = format!("{}/{}", config.base, secret::open(&dir)?);
    }
    let telling = config.telling(&keys, &net, &working)?;
    let data = DataThreads::start(config.data_threads).context("cannot start the data threads")?;
    let service = config
        .dumbwaiter(store, site)
        .ledger(metrics.clone())
        .data_threads(data.clone())
        .before(front)
        .telling(telling)
        .working(working)
        .rights(rights)
        .into_service();
    let tracker = &service.inbound().tracker;
    let copies = mirrored::start(&config, &net, tracker, metrics.clone())?;
    let operator = service.operator();
    let address = listener.local_addr()?;
    let (options, most) = (config.connections(), config.max_connections);
    let public = Public::new(listener, service, options, most, Some(metrics.clone()));
    let admin = Arc::new(Admin {
        operator,
        registry: Arc::new(registry),
        metrics,
        open: public.open(),
        ready: AtomicBool::new(true),
        tokens: operators,
        data,
        dir,
        stall: config.stall_timeout,
    });
    let beside = Beside::listen(&config, &admin).await?;
    greet(&config, address, &beside, token.as_deref());
    let reload = Reload {
        level,
        senders,
        operators: admin.tokens.clone(),
    };
    let told = until_stopped(told, &mut signals, &public, &reload).await;
    tracing::info!("told to stop");
    admin.ready.store(false, Ordering::Release);
    let end = async {
        drain::stop(told.config.drain(), public).await;
        if let Some(copies) = &copies {
            copies.settle().await;
        }
    };
    tokio::select! {
        () = end => Ok(()),
        number = signals.next_stop() => std::process::exit(128 + number),
    }
}

/// Serves until a signal asks to stop; gives the configuration as it is then.
async fn until_stopped(
    mut told: Told,
    signals: &mut Signals,
    public: &Public,
    reload: &Reload,
) -> Told {
    loop {
        let asked = tokio::select! {
            () = public.accept() => return told,
            asked = signals.next() => asked,
        };
        match asked {
            Asked::Stop(_) => return told,
            Asked::Reload => told = reload.again(told),
        }
    }
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| match address.port() {
        0 => format!("cannot listen on {address}"),
        port => format!("cannot listen on {address}: is another server on port {port}? --{option} chooses another address"),
    })
}

/// Says where the server is and what is stored where. The first line is for programs too: it ends in the URL.
fn greet(config: &Config, address: SocketAddr, beside: &Beside, token: Option<&str>) {
    let dir = std::path::absolute(&config.dir).unwrap_or_else(|_| config.dir.clone());
    let url = format!("http://{address}{}", config.base);
    let login = config.token.as_ref().map_or("", |_| "-u :TOKEN ");
    let mut words = format!(
        "Dumbwaiter is at {url}/\n\
         Files go to {} as {}\n\
         A form:  curl {login}-F picture=@paella.jpg '{url}/upload?X-Progress-ID=1'\n\
         A file:  curl {login}-T paella.jpg {url}/files/\n",
        dir.display(),
        config.name,
    );
    if let Some(app) = &config.app {
        words.push_str(&format!(
            "What is not below {}/ goes to {app}\n",
            config.base
        ));
    }
    if config.secret_link {
        let link = format!("http://{}{}/", secret::reachable(address), config.base);
        let code = secret::qr(&link).unwrap_or_default();
        words.push_str(&format!("The secret link is {link}\n{code}\n"));
    }
    words.push_str(&beside.words(token));
    // Whoever does not listen wants to be served all the same.
    let _ = std::io::stdout().lock().write_all(words.as_bytes());
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
