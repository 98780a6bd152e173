//! The service in a plain hyper server: `cargo run --example hyper_put`, then `curl -T paella.jpg 127.0.0.1:7171/files/`.
use dumbwaiter::{Dumbwaiter, Peer, store::Disk};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tower_service::Service as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lift = Dumbwaiter::new(Disk::open("uploads")?).into_service();
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:7171");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let lift = lift.clone();
        let answer = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            // Whose the upload is.
            request.extensions_mut().insert(Peer(peer));
            lift.clone().call(request)
        });
        tokio::spawn(async move {
            // With a timer hyper lets go of clients that do not finish their head.
            let mut http = http1::Builder::new();
            let connection = http
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = connection.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}
