//! The upload side as a service: every request goes to the protocol or the watcher that its path and method name.
//!
//! | file | what |
//! |---|---|
//! | `about.rs` | what a request is about, for those who say who may |
//! | `builder.rs` | [`Dumbwaiter`]: what there is to be said before anything runs |
//! | `routes.rs` | which path and method go where |
//! | `files.rs` | the same for what lies below `/files/` |
//! | `filepond.rs` | the same for `/filepond` |
//! | `telling.rs` | who tells an app of uploads |
//! | `phase.rs` | what the app reports of uploads that it has in hand |
//! | `app.rs` | what is no path of ours: the app's behind, if there is one |

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, Request, Response, StatusCode};

use crate::arrival::{Arrival, Manner, Rejection};
use crate::error::Error;
use crate::head::{meant_method, of_its_own};
use crate::operator::Operator;
use crate::outbound::ResponseBody;
use crate::page::{Page, PageLimits};
use crate::protocol::ietf::Ietf;
use crate::protocol::multipart::PartLimits;
use crate::protocol::tus::{self, Tus};
use crate::protocol::{Asked, Inbound, answer, any};
use crate::receive::{Body, CONTENT_DIGEST};
use crate::rights::{Act, Client, No, Question, Rights, Source, is_preflight, preflight};
use crate::upload::Peer;
use crate::watch::Watch;

mod about;
#[cfg(feature = "server")]
mod app;
mod builder;
mod filepond;
mod files;
#[cfg(feature = "server")]
mod phase;
mod routes;
#[cfg(feature = "server")]
mod telling;

#[cfg(feature = "server")]
pub(crate) use app::Front;
pub use builder::Dumbwaiter;
#[cfg(feature = "server")]
pub(crate) use telling::Telling;

/// Answers every request of the upload side; a [`tower_service::Service`], cheap to clone.
///
/// The host puts a [`Peer`] into the request's extensions, so that uploads have owners.
#[derive(Clone, Debug)]
pub struct Service {
    lift: Arc<Lift>,
}

impl Service {
    /// Takes in the body of a request that came at a route of the app's own: see [`Arrival`] for what follows.
    ///
    /// It goes the way of `POST /upload`: the same rules of who may, limits, handlers and store, and the same record, which
    /// watchers see under way through this service nested elsewhere. `multipart/form-data` is a form; any other body is
    /// one file, of no field and no name. The request's method and path are the app's affair.
    ///
    /// The future may be dropped at any time, as a server does when the client goes: nothing of the upload is left then.
    ///
    /// # Errors
    /// Whatever refused or broke the upload; its record says so too, unless no upload began. The answer that tells the
    /// client is in the [`Rejection`].
    pub async fn receive<B>(&self, request: Request<B>) -> Result<Arrival, Rejection>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (asked, body) = self.lift.read(request);
        self.lift.receive(asked, body).await
    }

    /// What [`Dumbwaiter::base`] was told: the path to nest the service under, so that it is said once.
    ///
    /// ```
    /// use dumbwaiter::{Dumbwaiter, store::Memory};
    ///
    /// let lift = Dumbwaiter::new(Memory::new()).base("/up").into_service();
    /// let app = axum::Router::<()>::new().nest_service(lift.base(), lift.clone());
    /// # drop(app);
    /// ```
    #[must_use]
    pub fn base(&self) -> &str {
        &self.lift.base
    }

    /// The right to see and end all uploads, for whoever runs the server.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::new(self.lift.inbound.clone(), self.lift.watch.clone())
    }
}

#[cfg(feature = "server")]
impl Service {
    /// What ways in use.
    pub(crate) fn inbound(&self) -> &Inbound {
        &self.lift.inbound
    }

    /// Whether there is an app behind.
    pub(crate) fn has_app(&self) -> bool {
        self.lift.front.is_some()
    }

    /// The threads on which bodies live.
    pub(crate) fn data(&self) -> crate::threads::DataThreads {
        self.lift.inbound.data.clone()
    }
}

#[derive(Debug)]
struct Lift {
    inbound: Inbound,
    part_limits: PartLimits,
    /// Where uploads can be resumed: the store keeps what has come of them, and every handler can go on.
    tus: Option<Tus>,
    /// The same, by the protocol of the IETF.
    ietf: Option<Ietf>,
    watch: Watch,
    base: String,
    only_below_base: bool,
    rights: Rights,
    downloads: bool,
    page: Page,
    page_limits: PageLimits,
    #[cfg(feature = "server")]
    front: Option<Front>,
    /// The uploads that the app has in hand.
    #[cfg(feature = "server")]
    working: Option<crate::hand_off::Working>,
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let lift = self.lift.clone();
        #[cfg(feature = "server")]
        if let Some(front) = lift.front_of(&request) {
            return lift.in_front(front, request);
        }
        let (mut asked, body) = lift.read(request);
        Box::pin(async move { Ok(lift.serve(&mut asked, body).await) })
    }
}

impl Lift {
    fn read<B>(&self, request: Request<B>) -> (Asked, Body)
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut asked, body) = self.apart(request);
        let is_file = self
            .below(asked.head.uri.path())
            .is_some_and(files::is_file);
        if is_file && let Ok(Some(method)) = meant_method(&asked.head) {
            Arc::make_mut(&mut asked.head).method = method;
        }
        let body = Body::new(body).checked(&asked.head.headers, &CONTENT_DIGEST);
        (asked, body)
    }

    /// A request's head with what is found out about it, and its body.
    fn apart<B: http_body::Body>(&self, request: Request<B>) -> (Asked, B) {
        let (mut head, body) = request.into_parts();
        if !body.is_end_stream() {
            head = of_its_own(head);
        }
        let peer = head.extensions.get::<Peer>().copied().unwrap_or_default();
        let client = Client::of(&head.headers, peer.0, &self.rights.trust);
        #[cfg(feature = "server")]
        if let Some(word) = self.rights.last_word(&client) {
            head.extensions.insert(word);
        }
        let asked = Asked {
            owner: client.owner(),
            address: client.address(),
            terms: None,
            only: None,
            said: None,
            base: self.base_for(&client),
            downloads: self.downloads,
            client,
            head: Arc::new(head),
        };
        (asked, body)
    }

    /// What URLs begin with for this client. A proxy and we may have been told of the same path.
    fn base_for(&self, client: &Client) -> String {
        match client.prefix() {
            prefix if prefix == self.base => self.base.clone(),
            prefix => format!("{prefix}{}", self.base),
        }
    }

    /// What of a path is below the base.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        let below = path
            .strip_prefix(&self.base)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match below {
            None if self.only_below_base => None,
            below => Some(below.unwrap_or(path)),
        }
    }

    /// The path below the base.
    fn path(&self, asked: &Asked) -> Result<String, Error> {
        let below = self.below(asked.head.uri.path());
        #[cfg(feature = "server")]
        let below = below.or_else(|| self.stands_for(&asked.head));
        below.map(str::to_owned).ok_or(Error::NotFound)
    }

    /// The base, for whoever knows it: a refusal that is a page links to it, and it may be a secret.
    fn known_base<'a>(&self, asked: &'a Asked) -> &'a str {
        match self.below(asked.head.uri.path()) {
            Some(_) => &asked.base,
            None => "",
        }
    }

    async fn serve(&self, asked: &mut Asked, body: Body) -> Response<ResponseBody> {
        #[cfg(feature = "server")]
        if let Some(id) = self.reported(asked) {
            return self.report(&id, asked, body).await;
        }
        let source = self.rights.source(&asked.head, &asked.client);
        let mut answer = match self.screen(asked, &source) {
            Ok(_) if is_preflight(&asked.head) => preflight().map(Into::into),
            Ok(path) => self.answer(path, asked, body).await,
            Err(error) => {
                answer::refused(&asked.head.headers, self.known_base(asked), &error).map(Into::into)
            }
        };
        if let Some(said) = asked.said.take() {
            answer = said.map(Into::into);
        } else if answer.status() == StatusCode::UNAUTHORIZED {
            self.rights.challenge(answer.headers_mut());
        }
        if self.tus.is_some() && tus::is_spoken(&asked.head) {
            tus::speak(answer.headers_mut());
        }
        self.rights.share(&source, answer.headers_mut());
        answer
    }

    /// Whether the request is for us and no foreign page forged it; gives the path.
    fn screen(&self, asked: &Asked, source: &Source) -> Result<String, Error> {
        self.rights.check_host(&asked.head, &asked.client)?;
        let path = self.path(asked)?;
        self.rights.check_origin(&asked.head, source)?;
        if files::is_file(&path) {
            meant_method(&asked.head)?;
        }
        Ok(path)
    }

    async fn receive(&self, mut asked: Asked, body: Body) -> Result<Arrival, Rejection> {
        let source = self.rights.source(&asked.head, &asked.client);
        let manner = self.manner(&asked, &source);
        let inbound = &self.inbound;
        let arrived = match self.let_in(&mut asked, &source).await {
            Ok(()) => any::arrive(inbound, self.part_limits, &asked, body).await,
            Err(error) => Err(error),
        };
        match arrived {
            Ok(arrived) => {
                let (rule, data) = (inbound.naming.on_conflict, inbound.data.clone());
                Ok(Arrival::new(arrived, rule, manner, data))
            }
            Err(error) => Err(manner.reject(error)),
        }
    }

    /// Whether the request is for us, no foreign page forged it, and its sender may upload.
    async fn let_in(&self, asked: &mut Asked, source: &Source) -> Result<(), Error> {
        self.rights.check_host(&asked.head, &asked.client)?;
        self.rights.check_origin(&asked.head, source)?;
        self.ask(Act::Upload, asked).await
    }

    /// How this client wants to be told of an error.
    fn manner(&self, asked: &Asked, source: &Source) -> Manner {
        let (mut shared, mut challenge) = (HeaderMap::new(), HeaderMap::new());
        self.rights.share(source, &mut shared);
        self.rights.challenge(&mut challenge);
        let accept = asked.head.headers.get_all(ACCEPT).iter();
        Manner {
            headers: accept.map(|value| (ACCEPT, value.clone())).collect(),
            base: asked.base.clone(),
            downloads: asked.downloads,
            known_base: self.known_base(asked).to_owned(),
            shared,
            challenge,
        }
    }

    /// Asks who may, before the body; the answer can say to whom the upload belongs, and on what terms it is let in.
    async fn ask(&self, act: Act, asked: &mut Asked) -> Result<(), Error> {
        let question = Question {
            act,
            head: &asked.head,
            client: &asked.client,
            about: self.about(act, asked),
        };
        let granted = match self.rights.ask(&question).await {
            Ok(granted) => granted,
            Err(No::Error(error)) => return Err(error),
            #[cfg(feature = "server")]
            Err(No::Said(answer)) => return Err(asked.say(*answer)),
        };
        asked.terms = granted.terms();
        asked.only = granted.opened.as_ref().and_then(|opened| opened.only);
        if let Some(owner) = granted.grant.owner {
            asked.owner = owner;
        }
        self.check_used(asked).await
    }

    /// The upload of a ticket that comes again may be there already, from before a restart too.
    async fn check_used(&self, asked: &Asked) -> Result<(), Error> {
        let once = asked.terms.as_ref().and_then(|terms| terms.once.as_ref());
        if let (Some(once), Some(only)) = (once, &asked.only)
            && self.inbound.is_there(only).await?
        {
            once.take();
        }
        Ok(())
    }
}
