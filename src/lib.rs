//! The upload side of any web app: takes files by form, PUT or tus, streams them to a store in memory that does not grow with
//! them, tells everyone who may know how far each has come, and keeps what it has acknowledged.
//!
//! Everything begins with [`Dumbwaiter`]: give it a store, say what differs from the defaults, and then take one of three
//! ways. They can be mixed: clones of one [`Service`] share uploads, limits and watchers.
//!
//! # Your route, your answer
//!
//! A view of your own takes a form, as views do: its fields decide where each file goes. Meanwhile the bar moves, and what
//! is not persisted goes when the [`Arrival`] is dropped.
//!
//! ```
//! use axum::extract::{Request, State};
//! use dumbwaiter::{ResponseBody, Service};
//!
//! async fn dish(
//!     State(lift): State<Service>,
//!     request: Request,
//! ) -> Result<String, http::Response<ResponseBody>> {
//!     let got = lift.receive(request).await?;
//!     let id = got.field("id").unwrap_or("new").to_owned();
//!     let stored = got.file("picture")?.persist(format!("dishes/{id}")).await?;
//!     Ok(format!("stored as {}", stored.name))
//! }
//! # let _: axum::Router<Service> = axum::Router::new().route("/dishes", axum::routing::post(dish));
//! ```
//!
//! # A service, nested
//!
//! The whole upload side under a path of your router: forms at `POST /up`, raw bodies at `PUT /up/files/NAME`, stored files,
//! polls, records and event streams, and a page to try it with. The [`Service`] is a [`tower_service::Service`] over
//! any [`http_body::Body`].
//!
//! ```no_run
//! use dumbwaiter::handlers::Digest;
//! use dumbwaiter::store::Disk;
//! use dumbwaiter::Dumbwaiter;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let lift = Dumbwaiter::new(Disk::open("uploads")?).handler(Digest::sha256).base("/up");
//! let app = axum::Router::new().nest_service("/up", lift.into_service());
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! axum::serve(listener, app).await?;
//! # Ok(()) }
//! ```
//!
//! **Say [`.base("/up")`](Dumbwaiter::base) too.** A router takes the prefix off before a service sees the path and does not
//! say so in a way that every host shares. Without it files arrive all the same, but the URLs in answers lack the prefix
//! and the page finds none of its own files.
//!
//! # Our own connections
//!
//! With the feature `server`, `lift.serve(listener).await?` runs what the binary runs, in your program: sockets and
//! threads arranged so that polls are answered at once while the disk is busy, refusals that a client can read while
//! it is still sending, and a graceful stop.
//!
//! # Which one
//!
//! | you have | take |
//! |---|---|
//! | a view that needs the form's fields to say where a file goes, or an answer of its own | [`Service::receive`] |
//! | a front end that uploads first and attaches the id later; a page that wants a bar | the nested service, with [`Dumbwaiter::allow`] for who may |
//! | a program that only takes uploads, or one that can give it a port | `Dumbwaiter::serve` |
//! | an app in another language | the binary |
//!
//! What is promised and how fast it is differs between them where it depends on whose sockets and threads they are: the
//! table is in `docs/library.md`, which is also the module `guide`.
//!
//! # Whose uploads
//!
//! A progress id means something only together with its owner, so the host says who is at the other end: put a [`Peer`] into
//! the request's extensions (`examples/axum_form.rs` does it in three lines), or name an owner in [`Dumbwaiter::allow`].
//! Without either all clients are one owner, at one address: they find each other's progress ids, and share the bounds that
//! count by address.
//!
//! # Where what is
//!
//! | module | what |
//! |---|---|
//! | [`store`] | where bytes rest: [`store::Disk`], [`store::Memory`], and the suite that a store of your own must pass |
//! | [`name`] | what a stored file may be called: templates, paths that stay inside |
//! | [`handlers`] | what bytes pass through: digests, limits, types; your own [`UploadHandler`] |
//! | [`rights`] | who asks, and what they may do |
//! | [`limits`] | every bound, with its default |
//! | [`progress`], [`watch`] | what is known of an upload under way, how long, and how it is told |
//! | [`upload`] | the nouns: an upload's names, its owner, its files; beside it [`Error`], with a code and status for each |
//! | [`threads`] | the threads on which bodies live |
//! | `server` | our own connections |
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `server` | yes | our own connections; and the binary: flags, configuration, logs. A library mostly does without: `default-features = false` |
//! | `jemalloc` | yes | the binary's allocator, with which a slow upload takes a quarter less memory; a library never sets one |
//!
//! Types of other crates in this API are those of `http`, `http-body`, `bytes` and `tower-service` alone. Beside them
//! stand `serde`'s traits, implemented for what a store of one's own has to write down: [`upload::FileFacts`],
//! [`upload::OwnerKey`], [`store::Checkpoint`], [`store::FilePoint`], [`store::FormPoint`].

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("Dumbwaiter runs on Linux on x86-64 and aarch64 only");

mod accept;
#[doc(hidden)]
pub mod admission;
#[cfg(feature = "server")]
mod app;
mod arrival;
#[cfg(feature = "server")]
mod ask;
mod error;
#[cfg(all(feature = "server", any(doc, doctest)))]
pub mod guide;
#[cfg(feature = "server")]
mod hand_off;
pub mod handlers;
mod head;
mod interim;
pub mod limits;
mod lock;
#[cfg(feature = "server")]
mod mirror;
pub mod name;
#[cfg(feature = "server")]
mod net;
mod operator;
mod outbound;
mod page;
mod problem;
pub mod progress;
#[doc(hidden)]
pub mod protocol;
mod query;
#[doc(hidden)]
pub mod receive;
pub mod rights;
#[cfg(feature = "server")]
pub mod server;
mod service;
#[cfg(feature = "server")]
mod signed;
mod sizes;
pub mod store;
mod sweep;
#[cfg(feature = "server")]
mod terminal;
pub mod threads;
mod unfinished;
pub mod upload;
pub mod watch;

pub use arrival::{Arrival, ArrivedFile, Persisted, Rejection};
pub use error::{Error, Refusal};
pub use handlers::{Stop, UploadHandler};
pub use interim::Interim;
pub use operator::Operator;
pub use outbound::ResponseBody;
pub use page::{Site, SiteError, SiteLimits};
pub use problem::RefusalCode;
pub use protocol::remove::Removed;
pub use service::{Dumbwaiter, Service};
pub use upload::{Peer, UploadId};

/// The Rust in the docs compiles: rustdoc takes these pages' blocks for examples.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/limits.md")]
    struct Limits;
}
