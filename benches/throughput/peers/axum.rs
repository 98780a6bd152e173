//! What people write by hand: axum's `Multipart`, which is multer, and a `tokio::fs::File` that every chunk is written
//! to, on tokio's usual runtime. No progress, no limits, no names that clients choose, no cleaning up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::http::StatusCode;
use axum::routing::post;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

/// Receives at `listen` into `folder` for ever.
pub(crate) fn run(listen: SocketAddr, folder: PathBuf) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let app = Router::new()
            .route("/upload", post(upload))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::from(folder));
        let socket = TcpSocket::new_v4()?;
        socket.bind(listen)?;
        Ok(axum::serve(socket.listen(4096)?, app).await?)
    })
}

async fn upload(State(folder): State<Arc<Path>>, form: Multipart) -> StatusCode {
    match store(&folder, form).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(error) => {
            eprintln!("axum: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

async fn store(folder: &Path, mut form: Multipart) -> anyhow::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    while let Some(mut field) = form.next_field().await? {
        if field.file_name().is_none() {
            field.text().await?;
            continue;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut file = File::create(folder.join(number.to_string())).await?;
        while let Some(chunk) = field.chunk().await? {
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
    }
    Ok(())
}
