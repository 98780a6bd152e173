//! The upload side of any web app.

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("Dumbwaiter runs on Linux on x86-64 and aarch64 only");

mod accept;
mod error;
pub mod handlers;
pub mod name;
mod outbound;
mod page;
mod problem;
pub mod progress;
pub mod protocol;
mod query;
pub mod receive;
#[cfg(feature = "server")]
pub mod server;
mod service;
pub mod store;
pub mod threads;
pub mod upload;
pub mod watch;

pub use error::{Error, Refusal};
pub use handlers::{Stop, UploadHandler};
pub use outbound::ResponseBody;
pub use service::{Dumbwaiter, Service};
pub use upload::{Peer, UploadId};
