//! The upload side of any web app.

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("Dumbwaiter runs on Linux on x86-64 and aarch64 only");

mod error;
pub mod handlers;
pub mod name;
pub mod protocol;
pub mod progress;
pub mod receive;
#[cfg(feature = "server")]
pub mod server;
pub mod store;
pub mod upload;

pub use error::{Error, Refusal};
pub use handlers::{Stop, UploadHandler};
pub use upload::{Peer, UploadId};
