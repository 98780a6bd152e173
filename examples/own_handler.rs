//! A handler of one's own counts lines: `cargo run --example own_handler`, then `curl -T notes.txt 127.0.0.1:7171/files/`.
use bytes::Bytes;
use dumbwaiter::{Dumbwaiter, Stop, UploadHandler, store::Disk, upload::FileFacts};

#[derive(Default)]
struct Lines(usize);

impl UploadHandler for Lines {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        self.0 += chunk.iter().filter(|byte| **byte == b'\n').count();
        Ok(chunk)
    }

    fn file_complete(&mut self, facts: &mut FileFacts) -> Result<Bytes, Stop> {
        println!(
            "{} has {} lines",
            facts.name.as_deref().unwrap_or("a file"),
            self.0
        );
        Ok(Bytes::new())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lift = Dumbwaiter::new(Disk::open("uploads")?)
        .handler(Lines::default)
        .into_service();
    let listener = tokio::net::TcpListener::bind(
        std::env::args()
            .nth(1)
            .as_deref()
            .unwrap_or("127.0.0.1:7171"),
    )
    .await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, axum::Router::new().fallback_service(lift)).await?)
}
