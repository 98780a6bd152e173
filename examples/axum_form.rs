//! The whole upload side nested in an axum application: `cargo run --example axum_form`, then open
//! <http://127.0.0.1:7171/>, or `curl -F picture=@paella.jpg 127.0.0.1:7171/up`.
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::{Router, middleware::map_request, response::Html, routing::get};
use dumbwaiter::{Dumbwaiter, Peer, handlers::Digest, store::Disk};

const PAGE: &str = r#"<!doctype html><title>Dishes</title>
<form action="/up?X-Progress-ID=42" method="post" enctype="multipart/form-data">
<input name="picture" type="file"> <button>Send</button></form>
<p>How far is it? <a href="/up/get_upload_progress?X-Progress-ID=42" target="_blank">Look</a>.</p>"#;

/// Tells the service who is at the other end: uploads belong to somebody.
async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
    request.extensions_mut().insert(Peer(peer));
    request
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What `nest_service` is told, the service must be told too: it stands in the URLs of its answers.
    let lift = Dumbwaiter::new(Disk::open("uploads")?)
        .handler(Digest::sha256)
        .base("/up");
    let app = Router::new()
        .route("/", get(Html(PAGE)))
        .nest_service("/up", lift.into_service())
        .layer(map_request(peer));
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:7171");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
