//! Our own connections and threads in a program of one's own, until Ctrl-C: `cargo run --example serve`, then
//! `curl -F picture=@paella.jpg 127.0.0.1:7171/upload`.
use std::time::Duration;

use dumbwaiter::{Dumbwaiter, handlers::Digest, server::DrainOptions, store::Disk};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lift = Dumbwaiter::new(Disk::open("uploads")?).handler(Digest::sha256);
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:7171");
    let listener = std::net::TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let drain = DrainOptions {
        grace: Duration::from_secs(10),
        ..DrainOptions::default()
    };
    lift.serve(listener)
        .drain(drain)
        .until(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    println!("stopped");
    Ok(())
}
