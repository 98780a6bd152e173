//! The app behind: requests that are not ours go on to it, and its answers come back.
//!
//! ```text
//! client ──► Service ──► head::to_app ──► net::Client ──► the app
//!        ◄── ResponseBody ◄── head::to_client ◄── its answer, piece by piece
//! ```
//!
//! Both bodies are pulled by whoever reads them: a client that reads slowly slows the app down, not our memory up, and the
//! other way about. Whoever goes away takes the other side's connection along; an answer that breaks off in its middle is
//! cut, never ended well.
//!
//! | file | what |
//! |---|---|
//! | `head.rs` | what the app is told of a request, and the client of an answer |
//! | `expect.rs` | a body that waits until the app wants it |
//! | `hangup.rs` | a client that goes away while the app works for it |
//! | `switch.rs` | WebSocket: a connection that becomes the client's and the app's own |
//! | `pattern.rs` | paths of the app's that are named in the configuration |

use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, StatusCode, Version, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;

use crate::error::Error;
use crate::net::{Answered, Client, Failed, Net, Patience, Sent, Upstream};
use crate::outbound::ResponseBody;
use crate::protocol::{Asked, answer};
use switch::Tunnels;

mod expect;
mod hangup;
pub(crate) mod head;
mod pattern;
mod switch;

pub(crate) use hangup::Line;
pub(crate) use pattern::Pattern;
pub(crate) use switch::{Switchable, Switched, TunnelOptions};

/// Where the app is, and how long it is waited for.
#[derive(Clone, Debug)]
pub(crate) struct AppOptions {
    /// Where it is.
    pub(crate) upstream: Upstream,
    /// How long it is waited for.
    pub(crate) patience: Patience,
    /// Bounds of the WebSocket connections to it.
    pub(crate) tunnels: TunnelOptions,
}

/// The app behind; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstream: Upstream,
    client: Client,
    tunnels: Tunnels,
}

impl App {
    pub(crate) fn new(net: &Net, options: AppOptions) -> Self {
        Self(Arc::new(Inner {
            client: Client::new(net, options.patience),
            upstream: options.upstream,
            tunnels: Tunnels::new(net, options.tunnels),
        }))
    }

    /// How long the app is waited for.
    pub(crate) fn patience(&self) -> Patience {
        self.0.client.patience()
    }

    /// What the app is told of a request: its fields without those that concern this connection alone, and who asks. The
    /// length of a body is for the one who sends it to say.
    pub(crate) fn head(&self, asked: &Asked) -> HeaderMap {
        head::to_app(asked)
    }

    /// The path and query that the app is asked for, for one below its own.
    pub(crate) fn target(&self, asked: &PathAndQuery) -> PathAndQuery {
        self.0.upstream.below(asked)
    }

    /// Sends a request, whose URI is the path and query below the app's own.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn send(
        &self,
        mut request: Request<Sent>,
    ) -> Result<Response<Answered>, Failed> {
        if let Some(asked) = request.uri().path_and_query() {
            *request.uri_mut() = self.0.upstream.below(asked).into();
        }
        self.0.client.send(&self.0.upstream, request).await
    }

    /// Whether it takes connections.
    ///
    /// # Errors
    /// [`Failed::Unreachable`].
    pub(crate) async fn look(&self) -> Result<(), Failed> {
        self.0.client.look(&self.0.upstream).await
    }

    /// The app's answer, as the client gets it.
    pub(crate) fn answer(&self, answer: Response<Answered>) -> Response<ResponseBody> {
        let (mut head, body) = answer.into_parts();
        head.headers = head::to_client(&head.headers);
        head.extensions.clear();
        // How the app speaks is between us and it.
        head.version = Version::HTTP_11;
        Response::from_parts(head, body.with_trailers(head::to_client).into())
    }

    /// Sends a request on as it came, and gives the app's answer as it comes.
    pub(crate) async fn pass(&self, asked: &Asked, body: Sent) -> Response<ResponseBody> {
        match self.passed(asked, body).await {
            Ok(answer) => answer,
            Err(error) => answer::refused(&asked.head.headers, "", &error).map(Into::into),
        }
    }

    async fn passed(&self, asked: &Asked, body: Sent) -> Result<Response<ResponseBody>, Error> {
        head::check_loop(&asked.head.headers)?;
        let place = self.0.tunnels.place(asked)?;
        let mut request = self.request(asked, body);
        if place.is_some() {
            switch::ask(&mut request);
        }
        match self.answered(asked, request).await? {
            answer if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                self.0.tunnels.switched(place, answer)
            }
            answer => Ok(self.answer(answer)),
        }
    }

    /// The app's answer, unless the client goes before it has come.
    async fn answered(
        &self,
        asked: &Asked,
        request: Request<Sent>,
    ) -> Result<Response<Answered>, Error> {
        let line = asked.head.extensions.get::<Line>();
        // What comes with a body may be sent by a client that closes its side behind it.
        let line = line.filter(|_| request.body().is_end_stream());
        let mut gone = line.map(Line::closes);
        let sent = self.send(request);
        let answer = match &mut gone {
            Some(gone) => tokio::select! {
                answer = sent => answer,
                () = gone => Err(Failed::Unwanted),
            },
            None => sent.await,
        };
        match answer {
            Ok(answer) => Ok(match gone {
                Some(gone) => answer.map(|body| body.until(gone)),
                None => answer,
            }),
            Err(failed) => {
                if !matches!(failed, Failed::Unwanted) {
                    let (path, cause) = (asked.head.uri.path(), failed.words());
                    tracing::warn!(path, cause, "the app did not answer");
                }
                Err(failed.into())
            }
        }
    }

    fn request(&self, asked: &Asked, body: Sent) -> Request<Sent> {
        let mut request = Request::new(with_clean_trailers(body));
        *request.method_mut() = asked.head.method.clone();
        *request.uri_mut() = asked.head.uri.clone();
        *request.headers_mut() = self.head(asked);
        if let Some(length) = asked.head.headers.get(header::CONTENT_LENGTH) {
            let length = length.clone();
            request.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        let expects = asked.head.headers.get(header::EXPECT);
        expect::pass(asked.head.version, expects, request)
    }
}

/// A body whose trailers are under the rules of its head. Only one of unknown length has any.
fn with_clean_trailers(body: Sent) -> Sent {
    if body.size_hint().exact().is_some() {
        return body;
    }
    let clean = |mut frame: Frame<Bytes>| {
        if let Some(trailers) = frame.trailers_mut() {
            *trailers = head::trailers_to_app(trailers);
        }
        frame
    };
    body.map_frame(clean).boxed_unsync()
}
