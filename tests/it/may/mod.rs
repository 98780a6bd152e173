//! Who may, as the app says: asked over HTTP, or in a ticket.

mod again;
mod ask;
mod terms;
mod tickets;

use crate::support::Server;
use crate::support::app::App;

/// A server that asks `app`.
fn asking(app: &App, more: &[&str]) -> Server {
    let url = format!("{}/may", app.url());
    Server::start(&[&["--ask", &url], more].concat())
}

/// A PUT of these bytes, with further header lines, each ending in CRLF.
fn put(target: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    request("PUT", target, fields, body)
}

fn request(method: &str, target: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
