//! The builder, and the service that brings path and method to a protocol or a watcher.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};

use crate::admission::{Admission, AdmissionOptions};
use crate::error::Error;
use crate::handlers::{Chain, UploadHandler};
use crate::name::{OnConflict, Template};
use crate::outbound::ResponseBody;
use crate::page;
use crate::progress::{Tracker, TrackerOptions};
use crate::protocol::multipart::PartLimits;
use crate::protocol::{Asked, Inbound, answer, form, get, put};
use crate::receive::{Body, Limits, Naming, Receiver};
use crate::store::Store;
use crate::sweep;
use crate::threads::DataThreads;
use crate::upload::{Owner, Peer};
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
    watch: WatchOptions,
    data: Option<DataThreads>,
    base: String,
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
            },
            naming: Naming::default(),
            part_limits: PartLimits::default(),
            admission: AdmissionOptions::default(),
            keep: None,
            tracker: TrackerOptions::default(),
            watch: WatchOptions::default(),
            data: None,
            base: String::new(),
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
    pub fn into_service(self) -> Service {
        let tracker = Tracker::start(self.tracker);
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

#[derive(Debug)]
struct Lift {
    inbound: Inbound,
    part_limits: PartLimits,
    watch: Watch,
    base: String,
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
        Box::pin(async move { Ok(lift.answer(asked, body).await) })
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
        (
            Asked {
                head,
                owner: Owner::from_address(peer.0.ip()),
                address: peer.0.ip(),
                base: self.base.clone(),
            },
            Body::new(body),
        )
    }

    /// The path below the base.
    fn path(&self, asked: &Asked) -> String {
        let path = asked.head.uri.path();
        let below = path
            .strip_prefix(&self.base)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        below.unwrap_or(path).to_owned()
    }

    async fn answer(&self, asked: Asked, body: Body) -> Response<ResponseBody> {
        let path = self.path(&asked);
        if let Some(name) = path.strip_prefix("/files/") {
            return self.file(name, asked, body).await;
        }
        let asks = Asks::of(&asked.head.method);
        match (path.as_str(), asks) {
            ("" | "/" | "/upload", Asks::Post) => {
                form::post(&self.inbound, self.part_limits, asked, body)
                    .await
                    .map(Into::into)
            }
            ("", Asks::Get) if self.page => page::with_slash(&self.base).map(Into::into),
            ("/get_upload_progress", Asks::Get) => self
                .watch
                .article(&asked.head, &asked.owner)
                .map(Into::into),
            ("/progress", Asks::Get) => self.watch.nginx(&asked.head, &asked.owner).map(Into::into),
            (path, Asks::Get) if path == "/uploads" || path.starts_with("/uploads/") => {
                match self.watch.uploads(
                    &asked.head,
                    &asked.owner,
                    &asked.base,
                    path.strip_prefix("/uploads/"),
                ) {
                    Uploads::Now(answer) => answer.map(Into::into),
                    Uploads::Live(answer) => answer.map(Into::into),
                }
            }
            (path, asks) => match page::get(path, &asked.base).filter(|_| self.page) {
                Some(file) if matches!(asks, Asks::Get) => file.map(Into::into),
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
            Asks::Post | Asks::Other => refuse(
                &asked,
                &Error::MethodNotAllowed {
                    allow: "GET, HEAD, PUT",
                },
            ),
        }
    }
}

/// What a method asks for here.
#[derive(Clone, Copy)]
enum Asks {
    /// GET, and HEAD, whose answer loses its body on the way out.
    Get,
    Post,
    Put,
    Other,
}

impl Asks {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Get,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            _ => Self::Other,
        }
    }
}

/// What is wrong with a request that nobody takes: its method, where the path is ours, else its path.
fn misplaced(path: &str, is_page: bool) -> Error {
    let allow = match path {
        "/upload" => "POST",
        "" | "/" if is_page => "GET, HEAD, POST",
        "" | "/" => "POST",
        "/get_upload_progress" | "/progress" | "/uploads" => "GET, HEAD",
        _ if is_page || path.starts_with("/uploads/") => "GET, HEAD",
        _ => return Error::NotFound,
    };
    Error::MethodNotAllowed { allow }
}

fn refuse(asked: &Asked, error: &Error) -> Response<ResponseBody> {
    answer::refused(&asked.head.headers, &asked.base, error).map(Into::into)
}
