//! The upload side of any web app: takes files by form or PUT, streams them to a store, tells everyone who may know how
//! far each has come.
//!
//! ```no_run
//! use dumbwaiter::handlers::Digest;
//! use dumbwaiter::store::Disk;
//! use dumbwaiter::Dumbwaiter;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let lift = Dumbwaiter::new(Disk::open("uploads")?).handler(Digest::sha256).base("/up");
//! let app = axum::Router::new().nest_service("/up", lift.into_service());   // POST /up/upload, PUT /up/files/NAME …
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! axum::serve(listener, app).await?;
//! # Ok(()) }
//! ```
//!
//! The [`Service`] is a [`tower_service::Service`] and takes any `http_body::Body`. It brings threads of its own for
//! whatever touches a file, and the host's bodies are pulled there. Lingering after a refusal, so that a client that
//! writes all before it reads can read it, is the binary's: a service does not own its sockets.
//!
//! # Where what is
//!
//! Modules in the order of their layers: none imports from one below it (`tests/it/layers.rs`).
//!
//! | module | what |
//! |---|---|
//! | [`upload`] | the nouns: an upload, its names, its owner, its files; beside it [`Error`] |
//! | [`name`] | what a stored file may be called: templates, cleaned paths |
//! | [`threads`] | the data threads, where writing may block |
//! | [`handlers`] | what bytes pass through: [`UploadHandler`], digests, limits, types |
//! | [`store`] | where bytes rest: [`store::Disk`], [`store::Memory`], the suite for a store of your own |
//! | [`progress`] | what is known of an upload under way |
//! | [`admission`] | whether there is room for an upload, and its place |
//! | [`receive`] | the pump, where all of these meet |
//! | [`rights`] | who asks, and what they may do |
//! | [`protocol`] | ways in and answers |
//! | [`watch`] | ways out for progress: polls, records, event streams |
//! | `server` | only what the binary needs |
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `server` | yes | the binary: flags, configuration, sockets, logs. A library does without: `default-features = false` |

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("Dumbwaiter runs on Linux on x86-64 and aarch64 only");

mod accept;
pub mod admission;
mod arrival;
mod error;
pub mod handlers;
pub mod name;
mod operator;
mod outbound;
mod page;
mod problem;
pub mod progress;
pub mod protocol;
mod query;
pub mod receive;
pub mod rights;
#[cfg(feature = "server")]
pub mod server;
mod service;
pub mod store;
mod sweep;
pub mod threads;
pub mod upload;
pub mod watch;

pub use arrival::{Arrival, ArrivedFile, Persisted, Rejection};
pub use error::{Error, Refusal};
pub use handlers::{Stop, UploadHandler};
pub use operator::Operator;
pub use outbound::ResponseBody;
pub use problem::RefusalCode;
pub use service::{Dumbwaiter, Service};
pub use upload::{Peer, UploadId};
