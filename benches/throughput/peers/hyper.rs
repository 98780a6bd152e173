//! hyper and nothing else: each body goes to a file as it comes, on one thread, with plain writes in place. What a
//! connection costs here it costs everybody who builds on hyper.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

/// Receives at `listen` into `folder` for ever.
pub(crate) fn run(listen: SocketAddr, folder: PathBuf) -> anyhow::Result<()> {
    let folder: &'static Path = Box::leak(folder.into_boxed_path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(listen)?;
        let listener = socket.listen(4096)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let store = service_fn(move |request| store(folder, request));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), store);
                if let Err(error) = served.await {
                    eprintln!("hyper: {error}");
                }
            });
        }
    })
}

async fn store(
    folder: &Path,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Empty<Bytes>>> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut file = File::create(folder.join(number.to_string()))?;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            file.write_all(data)?;
        }
        tokio::task::yield_now().await;
    }
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}
