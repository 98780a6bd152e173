//! Sends a request and waits for its answer's head.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::answer::{Answered, Sent};
use super::connect::Connector;
use super::pool::{Pool, Sender};
use super::pulse::Pulse;
use super::upstream::Upstream;
use super::{Failed, Net};

/// How long another server is waited for, and how many connections to it are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    /// For a connection, name and TLS included.
    pub(crate) connect: Duration,
    /// For the head of an answer, once all of the request is sent.
    pub(crate) head: Duration,
    /// Between two pieces, of the answer or of the request, while the other server is the one that is waited for.
    pub(crate) silence: Duration,
    /// Between two pieces of the request, where whoever sends it is waited for; `None` is for ever.
    pub(crate) body: Option<Duration>,
    /// How long a connection is kept for the next request.
    pub(crate) idle: Duration,
    /// How many are kept.
    pub(crate) max_idle: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            body: None,
            idle: Duration::from_secs(1),
            max_idle: 32,
        }
    }
}

/// Sends requests; cheap to clone. It never follows a redirect and never asks twice for what could have been done once.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    net: Net,
    connector: Connector,
    pool: Pool,
    patience: Patience,
}

impl Client {
    pub(crate) fn new(net: &Net, patience: Patience) -> Self {
        Self {
            net: net.clone(),
            connector: Connector::default(),
            pool: Pool::new(patience.idle, patience.max_idle),
            patience,
        }
    }

    /// How long servers are waited for.
    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Sends a request, whose URI is the path and query as they are to be sent, and gives the answer with its head. `Host`
    /// is the server's own unless the request has one.
    ///
    /// Dropping the future or the answer closes the connection: the other server sees that nobody listens any more. A
    /// request that may be sent twice goes on a kept connection where there is one, and again on a new one if that has
    /// gone; every other gets a connection of its own (RFC 9110, 9.2.2: nobody can know whether the server has acted on
    /// one that broke off).
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn send(
        &self,
        server: &Upstream,
        mut request: Request<Sent>,
    ) -> Result<Response<Answered>, Failed> {
        if !request.headers().contains_key(header::HOST)
            && let Ok(host) = HeaderValue::from_str(server.authority())
        {
            request.headers_mut().insert(header::HOST, host);
        }
        if may_go_twice(&request)
            && let Some(sender) = self.pool.take(server)
        {
            let again = copy(&request);
            match self.send_on(sender, server, request).await {
                Err(Failed::Broken(_)) => request = again,
                answered => return answered,
            }
        }
        let sender = self.connect(server).await?;
        self.send_on(sender, server, request).await
    }

    async fn send_on(
        &self,
        mut sender: Sender,
        server: &Upstream,
        request: Request<Sent>,
    ) -> Result<Response<Answered>, Failed> {
        let pulse = Pulse::new();
        let may_switch = request.headers().contains_key(header::UPGRADE);
        let request = request.map(|body| Watched::new(body, pulse.clone()));
        let answer = tokio::select! {
            answer = sender.send_request(request) => answer,
            failed = pulse.stops(&self.patience) => return Err(failed),
        };
        let answer = answer.map_err(|cause| Failed::Broken(cause.into()))?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS && !may_switch {
            let unasked = "the server speaks another protocol, which nobody asked for";
            return Err(Failed::Broken(unasked.into()));
        }
        self.keep(server.clone(), sender);
        let silence = self.patience.silence;
        Ok(answer.map(|body: Incoming| Answered::new(body, silence)))
    }

    /// Keeps the connection once its answer has been read to its end.
    fn keep(&self, server: Upstream, mut sender: Sender) {
        let pool = self.pool.clone();
        if pool.idle().is_zero() {
            return;
        }
        self.net.spawn(async move {
            if sender.ready().await.is_ok() {
                pool.put(server, sender);
                tokio::time::sleep(pool.idle()).await;
                pool.clear_old();
            }
        });
    }

    /// Whether the server takes connections.
    ///
    /// # Errors
    /// [`Failed::Unreachable`].
    pub(crate) async fn look(&self, server: &Upstream) -> Result<(), Failed> {
        self.connect(server).await.map(drop)
    }

    async fn connect(&self, server: &Upstream) -> Result<Sender, Failed> {
        let unreachable = |cause| Failed::Unreachable {
            server: server.to_string(),
            cause,
        };
        let (connector, address, time) = (
            self.connector.clone(),
            server.address(),
            self.patience.connect,
        );
        let opened = self.net.spawn(async move {
            let stream = timeout(time, connector.connect(address)).await;
            let stream = stream.map_err(|_| Failed::TimedOut(time))?;
            let stream = stream.map_err(|cause| Failed::Broken(cause.into()))?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|cause| Failed::Broken(cause.into()))?;
            // Whoever reads the answer hears of how it ended.
            tokio::spawn(async move { drop(connection.with_upgrades().await) });
            Ok(sender)
        });
        match opened.await {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(Failed::Broken(cause))) => Err(unreachable(cause)),
            Ok(Err(failed)) => Err(unreachable(failed.into())),
            Err(gone) => Err(unreachable(gone.into())),
        }
    }
}

/// Whether a request may be sent once more when nobody knows what became of it: it changes nothing (RFC 9110, 9.2.1), and
/// all of it is at hand. A DELETE that was done already would be told that nothing is there.
fn may_go_twice(request: &Request<Sent>) -> bool {
    let harmless = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    harmless && request.body().is_end_stream() && !request.headers().contains_key(header::UPGRADE)
}

/// The same request; it has no body.
fn copy(request: &Request<Sent>) -> Request<Sent> {
    let mut copy = Request::new(super::nothing());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}

/// A request's body, which notes whose turn it is.
#[derive(Debug)]
pub(super) struct Watched<B> {
    body: B,
    pulse: Pulse,
}

impl<B: Body> Watched<B> {
    fn new(body: B, pulse: Pulse) -> Self {
        if body.is_end_stream() {
            pulse.sent();
        }
        Self { body, pulse }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Pending => self.pulse.wanting(),
            Poll::Ready(None | Some(Err(_))) => self.pulse.sent(),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.pulse.sent(),
            Poll::Ready(Some(Ok(_))) => self.pulse.given(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
