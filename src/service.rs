//! The builder, and the service that brings path and method to a protocol or a watcher.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};

use crate::admission::{Admission, AdmissionOptions};
use crate::error::Error;
use crate::handlers::{Chain, UploadHandler};
use crate::name::{OnConflict, Template};
use crate::operator::Operator;
use crate::outbound::ResponseBody;
use crate::page;
use crate::progress::{Ledger, Tracker, TrackerOptions};
use crate::protocol::multipart::PartLimits;
use crate::protocol::{Asked, Inbound, answer, form, get, put, remove};
use crate::receive::{Body, Limits, Naming, PaceOptions, Receiver};
use crate::rights::{Act, Allow, Client, Cookie, Rights, Rule, Source, is_preflight, preflight};
use crate::store::Store;
use crate::sweep;
use crate::threads::DataThreads;
use crate::upload::Peer;
use crate::watch::{Uploads, Watch, WatchOptions};

/// The upload side of an app, about to be built.
///
/// ```
/// use dumbwaiter::handlers::Digest;
/// use dumbwaiter::store::Disk;
/// use dumbwaiter::Dumbwaiter;
///
/// # fn main() -> Result<(), dumbwaiter::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let uploads = folder.path();
/// let lift = Dumbwaiter::new(Disk::open(uploads)?).handler(Digest::sha256).base("/up");
/// let service = lift.into_service();
/// # drop(service); Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Dumbwaiter {
    receiver: Receiver,
    naming: Naming,
    part_limits: PartLimits,
    admission: AdmissionOptions,
    keep: Option<Duration>,
    tracker: TrackerOptions,
    ledger: Option<Arc<dyn Ledger>>,
    watch: WatchOptions,
    data: Option<DataThreads>,
    base: String,
    only_below_base: bool,
    rights: Rights,
    app: Option<Rule>,
    downloads: bool,
    page: bool,
}

impl Dumbwaiter {
    /// The upload side that keeps its bytes in `store`; everything else as the defaults say.
    pub fn new(store: impl Store) -> Self {
        Self {
            receiver: Receiver {
                store: Arc::new(store),
                chain: Chain::default(),
                limits: Limits::default(),
                pace: PaceOptions::default(),
            },
            naming: Naming::default(),
            part_limits: PartLimits::default(),
            admission: AdmissionOptions::default(),
            keep: None,
            tracker: TrackerOptions::default(),
            ledger: None,
            watch: WatchOptions::default(),
            data: None,
            base: String::new(),
            only_below_base: false,
            rights: Rights::default(),
            app: None,
            downloads: true,
            page: true,
        }
    }

    /// Adds a handler at the end of the chain; the factory makes one for each file.
    pub fn handler<H: UploadHandler + 'static>(
        mut self,
        factory: impl Fn() -> H + Send + Sync + 'static,
    ) -> Self {
        self.receiver.chain.push(factory);
        self
    }

    /// What stored files are called; `{filename|id}` unless said.
    pub fn name(mut self, template: Template) -> Self {
        self.naming.template = template;
        self
    }

    /// What happens when a name is taken; another one is found unless said.
    pub fn on_conflict(mut self, rule: OnConflict) -> Self {
        self.naming.on_conflict = rule;
        self
    }

    /// How much of a form is taken.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.receiver.limits = limits;
        self
    }

    /// How slowly a body may come, and how long in all.
    pub fn pace(mut self, pace: PaceOptions) -> Self {
        self.receiver.pace = pace;
        self
    }

    /// How large the heads of a form's parts may be.
    pub fn part_limits(mut self, limits: PartLimits) -> Self {
        self.part_limits = limits;
        self
    }

    /// How many uploads may run, how large they may be, and how much must stay free.
    pub fn admission(mut self, options: AdmissionOptions) -> Self {
        self.admission = options;
        self
    }

    /// How long finished uploads stay; for ever unless said. Then their files are removed, where they are still the
    /// ones that were stored, and forgotten.
    pub fn keep(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.keep = time.into();
        self
    }

    /// How long progress is remembered, and of how many uploads.
    pub fn progress(mut self, options: TrackerOptions) -> Self {
        self.tracker = options;
        self
    }

    /// Who keeps count of what comes and how it ends.
    pub fn ledger(mut self, ledger: impl Ledger) -> Self {
        self.ledger = Some(Arc::new(ledger));
        self
    }

    /// How progress is told, and to how many.
    pub fn watch(mut self, options: WatchOptions) -> Self {
        self.watch = options;
        self
    }

    /// The path under which the service stands, with a leading and no trailing slash. Every URL in an answer begins
    /// with it; of a request's path it is taken away if a router has not done that already.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    /// Whether a path outside the base is unknown. Unless said it is taken as one from which a router has stripped the
    /// base; a base that is a secret must not be left out.
    pub fn only_below_base(mut self, on: bool) -> Self {
        self.only_below_base = on;
        self
    }

    /// Who may upload, whose forwarding fields count, which pages may send and read. Unless said all may upload, and
    /// only our own page may send.
    pub fn rights(mut self, rights: Rights) -> Self {
        self.rights = rights;
        self
    }

    /// Asks the app before each upload, look and download, besides all other rules, and takes its word on the owner.
    ///
    /// ```
    /// use dumbwaiter::rights::{Ask, Grant};
    /// use dumbwaiter::upload::Owner;
    /// use dumbwaiter::{Dumbwaiter, Refusal, store::Memory};
    ///
    /// let lift = Dumbwaiter::new(Memory::default()).allow(async |ask: Ask| match ask.headers.get("x-user") {
    ///     Some(user) => Ok(Grant { owner: Some(Owner::Named(format!("{user:?}").into())) }),
    ///     None => Err(Refusal { status: 401, ..Refusal::new("log in first") }),
    /// });
    /// # drop(lift);
    /// ```
    pub fn allow(mut self, app: impl Allow) -> Self {
        self.app = Some(Rule::Ask(Arc::new(app)));
        self
    }

    /// The threads on which bodies live; as many as there are CPUs, at least two, unless said.
    pub fn data_threads(mut self, threads: DataThreads) -> Self {
        self.data = Some(threads);
        self
    }

    /// Whether `GET /files/ID` gives stored files back; it does unless said.
    pub fn downloads(mut self, on: bool) -> Self {
        self.downloads = on;
        self
    }

    /// Whether `GET /` is a page where a person drops a file; it is unless said.
    pub fn page(mut self, on: bool) -> Self {
        self.page = on;
        self
    }

    /// The service, ready to be nested or served.
    ///
    /// # Panics
    /// When the system gives no thread.
    #[must_use]
    pub fn into_service(mut self) -> Service {
        self.rights.rules.extend(self.app);
        let tracker = Tracker::start_with(self.tracker, self.ledger);
        let data = self.data.unwrap_or_else(|| {
            let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
            DataThreads::start(cpus.max(2)).expect("the system has a thread to give")
        });
        let (store, options) = (&self.receiver.store, self.admission);
        let limited = options.store_bytes.is_some() || options.owner_bytes.is_some();
        let admission = Admission::start(options, store, &data);
        if limited || self.keep.is_some() {
            sweep::start(self.keep, store, admission.short_of_room(), &data);
        }
        Service {
            lift: Arc::new(Lift {
                inbound: Inbound {
                    admission,
                    receiver: self.receiver,
                    naming: self.naming,
                    tracker: tracker.clone(),
                    data,
                },
                part_limits: self.part_limits,
                watch: Watch::new(tracker, self.watch),
                base: self.base,
                only_below_base: self.only_below_base,
                rights: self.rights,
                downloads: self.downloads,
                page: self.page,
            }),
        }
    }
}

/// Answers every request of the upload side; a [`tower_service::Service`], cheap to clone.
///
/// The host puts a [`Peer`] into the request's extensions, so that uploads have owners.
#[derive(Clone, Debug)]
pub struct Service {
    lift: Arc<Lift>,
}

impl Service {
    /// The right to see and end all uploads, for whoever runs the server.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::new(self.lift.inbound.clone(), self.lift.watch.clone())
    }
}

#[derive(Debug)]
struct Lift {
    inbound: Inbound,
    part_limits: PartLimits,
    watch: Watch,
    base: String,
    only_below_base: bool,
    rights: Rights,
    downloads: bool,
    page: bool,
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
        let (asked, body) = lift.read(request);
        Box::pin(async move { Ok(lift.serve(asked, body).await) })
    }
}

impl Lift {
    fn read<B>(&self, request: Request<B>) -> (Asked, Body)
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let peer = head.extensions.get::<Peer>().copied().unwrap_or_default();
        let client = Client::of(&head.headers, peer.0, &self.rights.trust);
        let asked = Asked {
            owner: client.owner(),
            address: client.address(),
            base: self.base_for(&client),
            client,
            head,
        };
        (asked, Body::new(body))
    }

    /// What URLs begin with for this client. A proxy and we may have been told of the same path.
    fn base_for(&self, client: &Client) -> String {
        match client.prefix() {
            prefix if prefix == self.base => self.base.clone(),
            prefix => format!("{prefix}{}", self.base),
        }
    }

    /// The path below the base.
    fn path(&self, asked: &Asked) -> Result<String, Error> {
        let path = asked.head.uri.path();
        let below = path
            .strip_prefix(&self.base)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match below {
            None if self.only_below_base => Err(Error::NotFound),
            below => Ok(below.unwrap_or(path).to_owned()),
        }
    }

    /// The base, for whoever knows it: a refusal that is a page links to it, and it may be a secret.
    fn known_base<'a>(&self, asked: &'a Asked) -> &'a str {
        match self.path(asked) {
            Ok(_) => &asked.base,
            Err(_) => "",
        }
    }

    async fn serve(&self, asked: Asked, body: Body) -> Response<ResponseBody> {
        let source = self.rights.source(&asked.head, &asked.client);
        let mut answer = match self.screen(&asked, &source) {
            Ok(_) if is_preflight(&asked.head) => preflight().map(Into::into),
            Ok(path) => self.answer(path, asked, body).await,
            Err(error) => answer::refused(&asked.head.headers, self.known_base(&asked), &error)
                .map(Into::into),
        };
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.rights.challenge(answer.headers_mut());
        }
        self.rights.share(&source, answer.headers_mut());
        answer
    }

    /// Whether the request is for us and no foreign page forged it; gives the path.
    fn screen(&self, asked: &Asked, source: &Source) -> Result<String, Error> {
        self.rights.check_host(&asked.head, &asked.client)?;
        let path = self.path(asked)?;
        self.rights.check_origin(&asked.head, source)?;
        Ok(path)
    }

    /// Asks who may, before the body; the answer can say to whom the upload belongs.
    async fn ask(&self, act: Act, asked: &mut Asked) -> Result<(), Error> {
        let granted = self.rights.ask(act, &asked.head, &asked.client).await?;
        if let Some(owner) = granted.owner {
            asked.owner = owner;
        }
        Ok(())
    }

    async fn answer(&self, path: String, mut asked: Asked, body: Body) -> Response<ResponseBody> {
        let asks = Asks::of(&asked.head.method);
        if let Some(act) = act(&path, asks)
            && let Err(error) = self.ask(act, &mut asked).await
        {
            return refuse(&asked, &error);
        }
        if let Some(name) = path.strip_prefix("/files/") {
            return self.file(name, asked, body).await;
        }
        match (path.as_str(), asks) {
            ("" | "/" | "/upload", Asks::Post) => {
                form::post(&self.inbound, self.part_limits, asked, body)
                    .await
                    .map(Into::into)
            }
            ("", Asks::Get) if self.page => page::with_slash(&asked.base).map(Into::into),
            (path, Asks::Delete) if path.starts_with("/uploads/") => {
                let name = path.strip_prefix("/uploads/").unwrap_or_default();
                remove::delete(&self.inbound, name, &asked)
                    .await
                    .map(Into::into)
            }
            ("/get_upload_progress", Asks::Get) => self
                .watch
                .article(&asked.head, &asked.owners())
                .map(Into::into),
            ("/progress", Asks::Get) => self
                .watch
                .nginx(&asked.head, &asked.owners())
                .map(Into::into),
            (path, Asks::Get) if path == "/uploads" || path.starts_with("/uploads/") => {
                match self.watch.uploads(
                    &asked.head,
                    &asked.owners(),
                    &asked.base,
                    path.strip_prefix("/uploads/"),
                ) {
                    Uploads::Now(answer) => answer.map(Into::into),
                    Uploads::Live(answer) => answer.map(Into::into),
                }
            }
            ("/upload", Asks::Options) => self.options("POST, OPTIONS"),
            (path, asks) => match page::get(path, &asked.base).filter(|_| self.page) {
                Some(file) if matches!(asks, Asks::Get) => {
                    with_cookie(file, path, &asked).map(Into::into)
                }
                file => refuse(&asked, &misplaced(path, file.is_some())),
            },
        }
    }

    async fn file(&self, name: &str, asked: Asked, body: Body) -> Response<ResponseBody> {
        match Asks::of(&asked.head.method) {
            Asks::Put => put::put(&self.inbound, name, asked, body)
                .await
                .map(Into::into),
            Asks::Get if self.downloads => {
                get::get(&self.inbound, name, &asked).await.map(Into::into)
            }
            Asks::Get => refuse(&asked, &Error::NotFound),
            Asks::Options => self.options("GET, HEAD, PUT, OPTIONS"),
            Asks::Post | Asks::Delete | Asks::Other => refuse(
                &asked,
                &Error::MethodNotAllowed {
                    allow: "GET, HEAD, PUT, OPTIONS",
                },
            ),
        }
    }

    /// What a path takes, and how much of it.
    fn options(&self, allow: &'static str) -> Response<ResponseBody> {
        answer::options(allow, self.inbound.admission.options()).map(Into::into)
    }
}

/// What a method asks for here.
#[derive(Clone, Copy)]
enum Asks {
    /// GET, and HEAD, whose answer loses its body on the way out.
    Get,
    Post,
    Put,
    Delete,
    Options,
    Other,
}

impl Asks {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Get,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

/// For what the rules are asked: what is not ours, and what everyone may see, is `None`.
fn act(path: &str, asks: Asks) -> Option<Act> {
    match (path, asks) {
        ("" | "/" | "/upload", Asks::Post) => Some(Act::Upload),
        (path, Asks::Put) if path.starts_with("/files/") => Some(Act::Upload),
        (path, Asks::Get) if path.starts_with("/files/") => Some(Act::Read),
        ("/", Asks::Get) => Some(Act::Page),
        ("/get_upload_progress" | "/progress" | "/uploads", Asks::Get) => Some(Act::Watch),
        (path, Asks::Get) if path.starts_with("/uploads/") => Some(Act::Watch),
        _ => None,
    }
}

/// Our page gives a browser its cookie, so that what is sent from there belongs to it.
fn with_cookie(mut file: Response<Bytes>, path: &str, asked: &Asked) -> Response<Bytes> {
    if path == "/" && asked.client.cookie().is_none() {
        let cookie = Cookie::random().set(&asked.base, asked.client.is_https());
        file.headers_mut().insert(header::SET_COOKIE, cookie);
        // Another visitor must not get it out of a cache on the way.
        let unshared = header::HeaderValue::from_static("no-store");
        file.headers_mut().insert(header::CACHE_CONTROL, unshared);
    }
    file
}

/// What is wrong with a request that nobody takes: its method, where the path is ours, else its path.
fn misplaced(path: &str, is_page: bool) -> Error {
    let allow = match path {
        "/upload" => "POST, OPTIONS",
        "" | "/" if is_page => "GET, HEAD, POST",
        "" | "/" => "POST",
        "/get_upload_progress" | "/progress" | "/uploads" => "GET, HEAD",
        _ if is_page => "GET, HEAD",
        _ if path.starts_with("/uploads/") => "GET, HEAD, DELETE",
        _ => return Error::NotFound,
    };
    Error::MethodNotAllowed { allow }
}

fn refuse(asked: &Asked, error: &Error) -> Response<ResponseBody> {
    answer::refused(&asked.head.headers, &asked.base, error).map(Into::into)
}
