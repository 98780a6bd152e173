//! The listeners beside the public one: for whoever runs the server, and for what watches over it.
//!
//! | request | admin listener | probe listener |
//! |---|---|---|
//! | `GET /livez`, `/readyz` | free | free |
//! | `GET /metrics` | on loopback free, else with the token | free |
//! | `GET /uploads`, `/uploads/WATCH` | on loopback free, else with the token | – |
//! | `DELETE /uploads/WATCH` | with the token | – |
//!
//! The probe listener answers under any name; the admin listener under addresses and names of loopback only.
//! Uploads go by their watch names here: no screen or log of an operator carries the right to one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::drain::Open;
use super::metrics::{self, Metrics};
use super::patient::Patient;
use crate::error::Error;
use crate::operator::Operator;
use crate::outbound::ResponseBody;
use crate::rights::{HostName, Tokens};
use crate::threads::DataThreads;
use crate::upload::WatchId;
use crate::watch::{Uploads, Watch};

/// The most connections of one such listener; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 100;
/// How long a request's head may take there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What the listeners share.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) operator: Operator,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Metrics,
    pub(super) open: Open,
    /// False from the moment the server is told to stop.
    pub(super) ready: AtomicBool,
    pub(super) tokens: Tokens,
    pub(super) data: DataThreads,
    /// The folder of the files, for the room that its disk has.
    pub(super) dir: PathBuf,
    /// The longest time in which a client reads no byte of an answer; `None` is for ever.
    pub(super) stall: Option<Duration>,
}

/// How much a listener offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Offer {
    /// Probes and metrics, to anybody.
    Probes,
    /// All of it; on loopback reading is free.
    All { loopback: bool },
}

/// Serves a listener for as long as the process lives.
pub(super) async fn serve(admin: Arc<Admin>, listener: TcpListener, offer: Offer) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    connection(admin, stream, peer, offer).await;
                    drop(place);
                });
            }
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept a connection of an operator");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(admin: Arc<Admin>, stream: TcpStream, peer: SocketAddr, offer: Offer) {
    let stream = Patient::new(stream, admin.stall);
    let answer = service_fn(move |request: Request<Incoming>| {
        let admin = Arc::clone(&admin);
        async move {
            let (head, _) = request.into_parts();
            Ok::<_, Infallible>(admin.answer(&head, offer).await)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(cause) = served {
        tracing::debug!(%peer, %cause, "an operator's connection broke off");
    }
}

impl Admin {
    async fn answer(&self, head: &Parts, offer: Offer) -> Response<ResponseBody> {
        let answered = match self.route(head, offer) {
            Ok(Route::Text(text)) => Ok(text),
            Ok(Route::Metrics) => self.metrics().await,
            Ok(Route::Uploads(uploads)) => return into_response(uploads),
            Ok(Route::Remove(watch)) => match self.operator.remove(&watch).await {
                Ok(removed) => return into_response(Watch::empty(removed.into())),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        answered.map_or_else(|error| refused(&error), |text| text.map(Into::into))
    }

    fn route(&self, head: &Parts, offer: Offer) -> Result<Route, Error> {
        if offer != Offer::Probes {
            host_is_ours(head)?;
        }
        let path = head.uri.path();
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        match (path, offer) {
            ("/livez" | "/readyz" | "/metrics", _) if !reads => {
                return Err(Error::MethodNotAllowed { allow: "GET, HEAD" });
            }
            ("/livez", _) => return Ok(Route::Text(text(200, "alive\n"))),
            ("/readyz", _) => return Ok(Route::Text(self.readiness())),
            ("/metrics", Offer::Probes) => return Ok(Route::Metrics),
            (_, Offer::Probes) => return Err(Error::NotFound),
            (_, Offer::All { .. }) => {}
        }
        self.may(head, reads && offer == Offer::All { loopback: true })?;
        match (path, path.strip_prefix("/uploads/")) {
            ("/metrics", _) => Ok(Route::Metrics),
            ("/uploads", _) if reads => Ok(Route::Uploads(self.operator.uploads(head))),
            ("/uploads", _) => Err(Error::MethodNotAllowed { allow: "GET, HEAD" }),
            (_, Some(name)) => {
                let watch: WatchId = name.parse().map_err(|_| Error::NotFound)?;
                match head.method {
                    Method::DELETE => Ok(Route::Remove(watch)),
                    _ if reads => Ok(Route::Uploads(self.operator.upload(&watch))),
                    _ => Err(Error::MethodNotAllowed {
                        allow: "GET, HEAD, DELETE",
                    }),
                }
            }
            _ => Err(Error::NotFound),
        }
    }

    fn may(&self, head: &Parts, free: bool) -> Result<(), Error> {
        match free {
            true => Ok(()),
            false => self.tokens.check(&head.headers),
        }
    }

    fn readiness(&self) -> Response<Bytes> {
        match self.ready.load(Ordering::Acquire) {
            true => text(200, "ready\n"),
            false => text(503, "stopping\n"),
        }
    }

    async fn metrics(&self) -> Result<Response<Bytes>, Error> {
        let moment = self.metrics.moment();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        moment.running.set(number(self.operator.running()));
        let (unfinished, bytes) = self.operator.unfinished();
        moment.unfinished.set(number(unfinished));
        moment.unfinished_bytes.set(bytes);
        moment.watchers.set(number(self.operator.watchers()));
        moment.connections.set(number(self.open.count()));
        let dir = self.dir.clone();
        // A file system may take its time even for this.
        let free = self.data.run(async move { rustix::fs::statvfs(&dir) });
        if let Ok(free) = free.await {
            moment.free_bytes.set(free.f_bavail * free.f_frsize);
            moment.free_inodes.set(free.f_favail);
        }
        let written = metrics::text(&self.registry).map_err(Error::store)?;
        let mut answer = text(200, written);
        let media_type = HeaderValue::from_static(metrics::MEDIA_TYPE);
        answer
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        Ok(answer)
    }
}

enum Route {
    Text(Response<Bytes>),
    Metrics,
    Uploads(Uploads),
    Remove(WatchId),
}

/// A page that a browser has open elsewhere may resolve its own name to this address; only names that nobody else can
/// own are answered.
fn host_is_ours(head: &Parts) -> Result<(), Error> {
    let host = head.headers.get(header::HOST);
    let text = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    match HostName::Own.is_named_by(text) {
        true => Ok(()),
        false => Err(Error::HostNotAllowed {
            host: text.to_owned(),
        }),
    }
}

fn into_response(uploads: Uploads) -> Response<ResponseBody> {
    match uploads {
        Uploads::Now(answer) => answer.map(Into::into),
        Uploads::Live(answer) => answer.map(Into::into),
    }
}

fn refused(error: &Error) -> Response<ResponseBody> {
    let mut answer = into_response(Watch::refused(error));
    if matches!(error, Error::Unauthorized { .. }) {
        let how = HeaderValue::from_static("Bearer realm=\"dumbwaiter admin\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    }
    answer
}

fn text(status: u16, text: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(text.into());
    *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status of ours");
    let headers = answer.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, plain);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
