//! WebSocket: a request after which the connection is the client's and the app's own.
//!
//! The app decides, by `101 Switching Protocols`; whoever owns the client's connection then joins it to the app's. What goes
//! through is not looked at. Nothing but WebSocket is asked for on a client's behalf: HTTP/2 in clear text, say, would carry
//! requests to the app past all rules.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::head::to_client;
use crate::error::Error;
use crate::net::{Answered, Net, Sent};
use crate::outbound::ResponseBody;
use crate::protocol::Asked;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");

/// Bounds of the connections that are joined to the app's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TunnelOptions {
    /// How many at once.
    pub(crate) most: usize,
    /// How long nothing may go through one, either way.
    pub(crate) idle: Duration,
}

/// The client asks for WebSocket on a connection that can be given up. A host that can puts it into a request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switchable;

/// In an answer's extensions: the app's connection, to be joined to the client's. It holds a place until the last clone goes.
#[derive(Clone, Debug)]
pub(crate) struct Switched {
    app: OnUpgrade,
    net: Net,
    idle: Duration,
    _place: Arc<OwnedSemaphorePermit>,
}

impl Switched {
    /// Does `work` with the app's connection, on the thread where that lives, and waits for its end.
    pub(crate) async fn join<F>(self, work: impl FnOnce(Upgraded, Duration) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let net = self.net.clone();
        let joined = net.spawn(async move {
            let Self { app, idle, .. } = &self;
            match app.clone().await {
                Ok(app) => work(app, *idle).await,
                Err(cause) => tracing::debug!(%cause, "the app went before the tunnel began"),
            }
        });
        // It ends with its thread at the latest.
        let _ = joined.await;
    }
}

/// Where those that are joined have their places.
#[derive(Clone, Debug)]
pub(super) struct Tunnels {
    net: Net,
    idle: Duration,
    places: Arc<Semaphore>,
}

/// A place for the connection that a request asks for.
#[derive(Debug)]
pub(super) struct Place(OwnedSemaphorePermit);

impl Tunnels {
    pub(super) fn new(net: &Net, options: TunnelOptions) -> Self {
        Self {
            net: net.clone(),
            idle: options.idle,
            places: Arc::new(Semaphore::new(options.most.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// A place, if `asked` is for WebSocket.
    ///
    /// # Errors
    /// [`Error::TooManyTunnels`].
    pub(super) fn place(&self, asked: &Asked) -> Result<Option<Place>, Error> {
        if !is_wanted(asked) {
            return Ok(None);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        place
            .map(|place| Some(Place(place)))
            .map_err(|_| Error::TooManyTunnels)
    }

    /// The app's consent, as the client gets it.
    ///
    /// # Errors
    /// [`Error::AppUnreachable`] when the app consents to something that nobody asked for.
    pub(super) fn switched(
        &self,
        place: Option<Place>,
        mut answer: Response<Answered>,
    ) -> Result<Response<ResponseBody>, Error> {
        let agreed = answer.headers().get(header::UPGRADE);
        let agreed = agreed.filter(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let (Some(Place(place)), Some(_)) = (place, agreed) else {
            return Err(Error::AppUnreachable);
        };
        let mut head = Response::new(ResponseBody::from(Bytes::new()));
        *head.status_mut() = answer.status();
        *head.headers_mut() = to_client(answer.headers());
        tell(head.headers_mut());
        head.extensions_mut().insert(Switched {
            app: hyper::upgrade::on(&mut answer),
            net: self.net.clone(),
            idle: self.idle,
            _place: Arc::new(place),
        });
        Ok(head)
    }
}

/// Asks the app for WebSocket.
pub(super) fn ask(request: &mut Request<Sent>) {
    tell(request.headers_mut());
}

fn tell(fields: &mut HeaderMap) {
    fields.insert(header::CONNECTION, UPGRADE);
    fields.insert(header::UPGRADE, WEBSOCKET);
}

/// RFC 6455, 4.2.1: a GET whose `Connection` says that it means it.
fn is_wanted(asked: &Asked) -> bool {
    let named = asked.head.headers.get_all(header::CONNECTION).iter();
    let mut named = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    asked.head.extensions.get::<Switchable>().is_some()
        && asked.head.method == Method::GET
        && named.any(|name| name.trim().eq_ignore_ascii_case("upgrade"))
}
