//! The builder: what there is to be said before anything runs.

use std::sync::Arc;
use std::time::Duration;

use super::{Lift, Service};
use crate::admission::{Admission, AdmissionOptions};
#[cfg(feature = "server")]
use crate::hand_off::Working;
use crate::handlers::{Chain, UploadHandler};
use crate::name::{OnConflict, Template};
use crate::page::{Page, PageLimits, Site};
use crate::progress::{Ledger, Tracker, TrackerOptions};
use crate::protocol::Inbound;
use crate::protocol::ietf::Ietf;
use crate::protocol::multipart::{Form, PartLimits};
use crate::protocol::tus::{Tus, TusOptions};
use crate::receive::{Limits, Naming, PaceOptions, Receiver, Split};
use crate::rights::{Allow, Rights, Rule};
use crate::store::Store;
use crate::sweep;
use crate::threads::DataThreads;
use crate::unfinished::{ResumeOptions, Unfinished};
use crate::watch::{Watch, WatchOptions};

/// The upload side of an app, about to be built: say what differs from the defaults, then take one of the ways that the
/// crate's first page tells: [`Dumbwaiter::into_service`], to be nested or asked to [`Service::receive`], or
/// `Dumbwaiter::serve`.
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
    resume: ResumeOptions,
    tus: TusOptions,
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
    page: Page,
    #[cfg(feature = "server")]
    front: Option<super::Front>,
    #[cfg(feature = "server")]
    telling: Option<super::Telling>,
    #[cfg(feature = "server")]
    working: Option<Working>,
}

impl Dumbwaiter {
    /// The upload side that keeps its bytes in `store`; everything else as the defaults say.
    pub fn new(store: impl Store) -> Self {
        Self {
            receiver: Receiver {
                hand_off: None,
                store: Arc::new(store),
                chain: Chain::default(),
                limits: Limits::default(),
                pace: PaceOptions::default(),
                form: splitter(PartLimits::default()),
            },
            naming: Naming::default(),
            part_limits: PartLimits::default(),
            admission: AdmissionOptions::default(),
            resume: ResumeOptions::default(),
            tus: TusOptions::default(),
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
            page: Page::Ours,
            #[cfg(feature = "server")]
            front: None,
            #[cfg(feature = "server")]
            telling: None,
            #[cfg(feature = "server")]
            working: None,
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
        self.receiver.form = splitter(limits);
        self
    }

    /// How many uploads may run, how large they may be, and how much must stay free.
    pub fn admission(mut self, options: AdmissionOptions) -> Self {
        self.admission = options;
        self
    }

    /// How uploads that can be resumed are kept.
    pub fn resume(mut self, options: ResumeOptions) -> Self {
        self.resume = options;
        self
    }

    /// How tus is spoken, where the store keeps unfinished uploads and every handler can go on with them.
    pub fn tus(mut self, options: TusOptions) -> Self {
        self.tus = options;
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

    /// The path under which the service stands, with a leading and no trailing slash: the one that a router's `nest` was
    /// given. Every URL in an answer begins with it; of a request's path it is taken away if the router has not done that
    /// already.
    ///
    /// The service cannot find it out by itself: a router hands over what is left of the path, and where it keeps the rest
    /// is its own affair. Without it a nested service takes uploads all the same, but URLs in its answers lead to the
    /// router's root, and its page comes without style and script.
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

    /// Asks the app before each upload, look, download and removal, besides all other rules, and takes its word on the
    /// owner.
    ///
    /// ```
    /// use dumbwaiter::rights::{Ask, Grant};
    /// use dumbwaiter::upload::Owner;
    /// use dumbwaiter::{Dumbwaiter, Refusal, store::Memory};
    ///
    /// let lift = Dumbwaiter::new(Memory::default()).allow(async |ask: Ask| match ask.headers.get("x-user") {
    ///     Some(user) => Ok(Grant { owner: Some(Owner::Named(format!("{user:?}").into())), ..Grant::default() }),
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

    /// Whether `GET /` is a page where a person drops a file; it is unless said. The last word on the page counts, here
    /// or in [`page_from`](Self::page_from).
    pub fn page(mut self, on: bool) -> Self {
        self.page = if on { Page::Ours } else { Page::Nothing };
        self
    }

    /// Serves a page of your own in place of ours, at `/` and below it. Its files go out as they are: what they link to
    /// must fit the base. `/dumbwaiter.js` and its languages stay, unless the site has files of these names.
    ///
    /// Each of its HTML files gives a browser the cookie by which its uploads belong to it, as our page does. They come
    /// without our page's strict `Content-Security-Policy`, since their author says what they may load, in a `<meta>`;
    /// other pages' frames cannot show them. Whom rules keep from our page they keep from all of these files.
    pub fn page_from(mut self, site: Site) -> Self {
        self.page = Page::Site(site);
        self
    }

    /// Stands before an app: what is not below the base is its.
    #[cfg(feature = "server")]
    pub(crate) fn before(mut self, front: impl Into<Option<super::Front>>) -> Self {
        self.front = front.into();
        self.only_below_base |= self.front.is_some();
        self
    }

    /// Tells an app of each upload before it is done.
    #[cfg(feature = "server")]
    pub(crate) fn telling(mut self, telling: impl Into<Option<super::Telling>>) -> Self {
        self.telling = telling.into();
        self
    }

    /// Takes the app's reports on the uploads that it has in hand.
    #[cfg(feature = "server")]
    pub(crate) fn working(mut self, working: Working) -> Self {
        self.working = Some(working);
        self
    }

    /// The service, ready to be nested or served.
    ///
    /// # Panics
    /// When the system gives no thread.
    #[must_use]
    pub fn into_service(mut self) -> Service {
        self.rights.rules.extend(self.app);
        let stall = self.receiver.pace.stall;
        let tracker = Tracker::start_with(self.tracker, stall, self.ledger);
        let data = self.data.unwrap_or_else(|| {
            let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
            DataThreads::start(cpus.max(2)).expect("the system has a thread to give")
        });
        let (store, options) = (&self.receiver.store, self.admission);
        let takes = self.receiver.chain.takes();
        let sizes = [options.upload_bytes, takes.bytes].into_iter().flatten();
        let max_size = sizes.min();
        let page_limits = PageLimits::new(takes, &options, self.receiver.limits, self.keep);
        let limited = options.store_bytes.is_some() || options.owner_bytes.is_some();
        let admission = Admission::start(options, store, &data);
        let due = match self.keep {
            Some(time) => sweep::Due::Kept(time),
            None if limited => sweep::Due::Counted,
            None => sweep::Due::Gone,
        };
        #[cfg(feature = "server")]
        if let Some(telling) = self.telling {
            let store = Arc::clone(&self.receiver.store);
            let teller = telling.start(store, tracker.clone(), data.clone());
            self.receiver.hand_off = Some(Arc::new(teller));
        }
        let unfinished = Unfinished::start(
            self.resume,
            self.receiver.clone(),
            self.naming.clone(),
            admission.clone(),
            tracker.clone(),
            data.clone(),
        );
        let tus = unfinished.offers().map(|offers| Tus {
            options: self.tus,
            offers,
            max_size,
        });
        let ietf = tus.as_ref().map(|tus| Ietf {
            absolute_location: tus.options.absolute_location,
            metadata_bytes: tus.options.metadata_bytes,
            max_size,
        });
        sweep::start(due, store, admission.short_of_room(), &data);
        Service {
            lift: Arc::new(Lift {
                inbound: Inbound {
                    admission,
                    receiver: self.receiver,
                    naming: self.naming,
                    tracker: tracker.clone(),
                    data,
                    unfinished,
                },
                part_limits: self.part_limits,
                tus,
                ietf,
                watch: Watch::new(tracker, self.watch),
                base: self.base,
                only_below_base: self.only_below_base,
                rights: self.rights,
                downloads: self.downloads,
                page: self.page,
                page_limits,
                #[cfg(feature = "server")]
                front: self.front,
                #[cfg(feature = "server")]
                working: self.working,
            }),
        }
    }
}

/// Goes on with forms.
fn splitter(limits: PartLimits) -> Arc<dyn Fn() -> Box<dyn Split> + Send + Sync> {
    Arc::new(move || Box::new(Form::to_restore(limits)))
}
