//! What only the binary needs: options, logs, sockets.

mod args;
pub mod config;
pub mod logging;
mod units;

pub use config::Config;
