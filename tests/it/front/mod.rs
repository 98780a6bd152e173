//! In front of an app: what is not ours passes, both ways, as it came.

use crate::support::Server;
use crate::support::app::App;

mod bodies;
mod ends;
mod heads;
mod kept;
mod paths;
mod start;

/// A server in front of `app`.
fn in_front_of(app: &App, args: &[&str]) -> Server {
    Server::start(&[&["--app", &app.url()], args].concat())
}
