//! `--hand-off URL`: the app is told of finished uploads by a request of ours.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::app::{App, Seen};
use crate::support::{Reply, Server, eventually};

mod answers;
mod ends;
mod kills;
mod later;
mod request;
mod ways;

const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Where the app is told.
const PATH: &str = "/uploaded?by=lift";

/// An app and a server that tells it.
struct Pair {
    app: App,
    server: Server,
    dir: PathBuf,
    args: Vec<String>,
    _folder: TempDir,
}

impl Pair {
    fn start(args: &[&str]) -> Self {
        Self::with(App::start(), args)
    }

    fn with(app: App, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("uploads");
        let url = format!("{}{PATH}", app.url());
        let mut args: Vec<_> = args.iter().map(ToString::to_string).collect();
        args.extend(["--hand-off".to_owned(), url]);
        Self {
            server: serve(&dir, &args),
            app,
            dir,
            args,
            _folder: folder,
        }
    }

    /// Kills the server and starts it again on the same folder.
    fn crash(&mut self) {
        self.server.kill();
        self.server = serve(&self.dir, &self.args);
    }

    fn put(&self, name: &str, content: &str) -> Reply {
        self.server.send(put(name, content).as_bytes())
    }

    fn record(&self, id: &str) -> Value {
        self.server.get(&format!("/uploads/{id}")).json()
    }

    /// Waits until the upload's record says so.
    fn until(&self, id: &str, state: &str) -> Value {
        eventually(|| self.record(id), |record| record["state"] == state)
    }

    fn answer(&self, id: &str) -> Reply {
        self.server.get(&format!("/uploads/{id}/answer"))
    }
}

fn serve(dir: &Path, args: &[String]) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command.env("DUMBWAITER_LOG", "error");
    command.env("DUMBWAITER_APP_KEY", KEY);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    Server::start_by(command, dir, &args)
}

fn put(name: &str, content: &str) -> String {
    format!(
        "PUT /files/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    )
}

/// Waits until nobody listens there any more.
fn is_free(address: SocketAddr) {
    let connects = || TcpStream::connect(address).is_ok();
    eventually(connects, |connects| !connects);
}

/// What the app was told in one request.
fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

/// The id of the upload that the app was told of.
fn told_id(seen: &Seen) -> String {
    seen.header("idempotency-key").unwrap().to_owned()
}

/// What a test adds so that it need not wait long for the next attempt.
const SOON: [&str; 4] = ["--hand-off-retry", "20ms", "--hand-off-retry-most", "50ms"];
