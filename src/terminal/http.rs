//! Requests to one server after the other: HTTP/1.1, a connection for each, over TLS where the address says so.
//!
//! Nothing here tries again: what can be gone on with, and how, is for those to say who send or watch.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::url::Url;
use crate::net::trusting;

/// What a request brings.
pub(crate) type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// The most of an answer that is read whole: those that are come from a server that says a few words.
const MOST: usize = 1024 * 1024;

/// Who asks, and how long an answer is waited for.
#[derive(Clone)]
pub(crate) struct Client {
    /// `Authorization`, which no `Debug` shows.
    right: Option<HeaderValue>,
    tls: Arc<Mutex<Option<TlsConnector>>>,
    patience: Patience,
}

/// How long is waited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    /// For a connection, name and TLS included.
    pub(crate) connect: Duration,
    /// Without a byte taken or given.
    pub(crate) silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(60),
        }
    }
}

/// Why there is no answer. The same request may get one later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// There is no connection to be had.
    #[error("cannot reach {server}: {why}")]
    Unreachable { server: String, why: String },
    /// It was there, and broke.
    #[error("the connection to {server} broke off: {why}")]
    Broken { server: String, why: String },
    /// The server cannot be believed to be the one that the address names: no later request would change that.
    #[error("{server} is not who it says: {why}")]
    Untrusted { server: String, why: String },
}

/// When something was last heard of a request.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Bytes have gone or come.
    pub(crate) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn stops(&self, after: Duration) {
        loop {
            let due = *self.0.lock().unwrap_or_else(PoisonError::into_inner) + after;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// The word by which one may: the first line of the file at `path`, without its end.
///
/// # Errors
/// When it cannot be read or sent.
pub(crate) fn word_of(path: &Path) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    let word = line.with_context(|| format!("{} holds no token", path.display()))?;
    Ok(word.to_owned())
}

impl Client {
    /// Who sends `word` with each request, as a bearer.
    ///
    /// # Errors
    /// When it has characters that no header field can have.
    pub(crate) fn new(word: Option<&str>, patience: Patience) -> anyhow::Result<Self> {
        let bearer = |word: &str| {
            ensure!(
                word.bytes().all(|byte| byte.is_ascii_graphic()),
                "the token has spaces or characters that are not ASCII"
            );
            let mut value = HeaderValue::try_from(format!("Bearer {word}"))?;
            value.set_sensitive(true);
            Ok(value)
        };
        Ok(Self {
            right: word.map(bearer).transpose()?,
            tls: Arc::default(),
            patience,
        })
    }

    /// Sends a request, whose own fields are in `request`, and waits for the head of its answer. `pulse` is to beat with
    /// each piece of the body.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn ask(
        &self,
        url: &Url,
        mut request: Request<Sent>,
        pulse: &Pulse,
    ) -> Result<Response<Incoming>, Failed> {
        let broken = |why: String| Failed::Broken {
            server: url.authority().to_owned(),
            why,
        };
        self.dress(url, &mut request)?;
        let stream = self.connect(url).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| broken(words(&cause)))?;
        let connection = tokio::spawn(async move {
            // Whoever reads the answer hears of it.
            let _ = connection.await;
        });
        let connection = Connection(connection.abort_handle());
        pulse.beat();
        let answer = tokio::select! {
            answer = sender.send_request(request) => answer.map_err(|cause| broken(words(&cause))),
            () = pulse.stops(self.patience.silence) => {
                Err(broken(format!("nothing was heard of it for {} s", self.patience.silence.as_secs())))
            }
        };
        match answer {
            Ok(mut answer) => {
                answer.extensions_mut().insert(connection);
                Ok(answer)
            }
            Err(failed) => {
                connection.0.abort();
                Err(failed)
            }
        }
    }

    /// The same for a request without a body, whose answer is read whole.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn short(
        &self,
        method: Method,
        url: &Url,
        fields: HeaderMap,
    ) -> Result<Response<Bytes>, Failed> {
        let mut request = Request::new(nothing());
        *request.method_mut() = method;
        *request.headers_mut() = fields;
        let answer = self.ask(url, request, &Pulse::new()).await?;
        self.whole(url, answer).await
    }

    /// Reads an answer to its end, or as much as a server says that means well. Nothing is sent any more then, also where the
    /// answer came before the request's end.
    ///
    /// # Errors
    /// [`Failed::Broken`].
    pub(crate) async fn whole(
        &self,
        url: &Url,
        answer: Response<Incoming>,
    ) -> Result<Response<Bytes>, Failed> {
        let broken = |why: String| Failed::Broken {
            server: url.authority().to_owned(),
            why,
        };
        let (mut head, mut body) = answer.into_parts();
        let _closed = head.extensions.remove::<Connection>().map(Closes);
        let mut read = BytesMut::new();
        while read.len() < MOST {
            let frame = timeout(self.patience.silence, body.frame()).await;
            let frame = frame.map_err(|_| broken("its answer does not end".to_owned()))?;
            match frame.transpose().map_err(|cause| broken(words(&cause)))? {
                Some(frame) => read.extend(frame.into_data().ok()),
                None => break,
            }
        }
        Ok(Response::from_parts(head, read.freeze()))
    }

    /// Says where the request goes, and who asks.
    fn dress(&self, url: &Url, request: &mut Request<Sent>) -> Result<(), Failed> {
        let unusable = |_| Failed::Unreachable {
            server: url.authority().to_owned(),
            why: "its address cannot be sent".to_owned(),
        };
        *request.uri_mut() = url.target().parse().map_err(|_| unusable(()))?;
        let host = HeaderValue::from_str(url.authority()).map_err(|_| unusable(()))?;
        let agent = concat!("dumbwaiter/", env!("CARGO_PKG_VERSION"));
        let fields = request.headers_mut();
        fields.insert(header::HOST, host);
        fields.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Some(right) = &self.right {
            fields.insert(header::AUTHORIZATION, right.clone());
        }
        Ok(())
    }

    async fn connect(&self, url: &Url) -> Result<Box<dyn Line>, Failed> {
        let unreachable = |why: String| Failed::Unreachable {
            server: url.authority().to_owned(),
            why,
        };
        let connected = timeout(self.patience.connect, self.connected(url)).await;
        let late = || {
            let seconds = self.patience.connect.as_secs();
            Err(unreachable(format!(
                "it does not answer within {seconds} s"
            )))
        };
        connected.unwrap_or_else(|_| late())
    }

    async fn connected(&self, url: &Url) -> Result<Box<dyn Line>, Failed> {
        let server = || url.authority().to_owned();
        let stream = TcpStream::connect((url.host(), url.port())).await;
        let stream = stream.map_err(|cause| Failed::Unreachable {
            server: server(),
            why: cause.to_string(),
        })?;
        // A body's last piece is not to wait for the one before to be acknowledged.
        let _ = stream.set_nodelay(true);
        if !url.is_https() {
            return Ok(Box::new(stream));
        }
        let untrusted = |why: String| Failed::Untrusted {
            server: server(),
            why,
        };
        let tls = self
            .tls()
            .map_err(|cause| untrusted(format!("{cause:#}")))?;
        let name = ServerName::try_from(url.host().to_owned());
        let name = name.map_err(|cause| untrusted(cause.to_string()))?;
        match tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                Err(untrusted(words(&cause)))
            }
            Err(cause) => Err(Failed::Broken {
                server: server(),
                why: words(&cause),
            }),
        }
    }

    /// TLS by the certificates that this system trusts; read when they are first needed.
    fn tls(&self) -> anyhow::Result<TlsConnector> {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &*tls {
            return Ok(tls.clone());
        }
        Ok(tls.insert(trusting()?).clone())
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The task that has a request's connection.
#[derive(Clone)]
struct Connection(AbortHandle);

/// Closes it in the end.
struct Closes(Connection);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.0.abort();
    }
}

/// A connection, of whichever kind.
trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Line for S {}

/// A body of no bytes.
pub(crate) fn nothing() -> Sent {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// What a refusal says: its problem's detail, else its status in words.
pub(crate) fn refusal(answer: &Response<Bytes>) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(answer.body()).ok();
    let detail = problem
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    let status = answer.status();
    match detail {
        Some(detail) => format!("{} ({})", detail, status.as_u16()),
        None => said(status),
    }
}

fn said(status: StatusCode) -> String {
    format!("the server says {status}")
}

/// An error with its causes, once each.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A body that never ends.
    struct Endless;

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; 4096])))))
        }
    }

    #[tokio::test]
    async fn nothing_more_is_sent_once_an_early_answer_has_been_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = vec![0; 64 * 1024];
            stream.read_exact(&mut some).await.unwrap();
            let busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(busy).await.unwrap();
            // It reads on, as long as anything comes.
            while stream.read(&mut some).await.is_ok_and(|read| read > 0) {}
        });
        let client = Client::new(None, Patience::default()).unwrap();
        let mut request = Request::new(Endless.boxed_unsync());
        *request.method_mut() = Method::PATCH;
        let url = url.parse().unwrap();
        let answer = client.ask(&url, request, &Pulse::new()).await.unwrap();
        let answer = client.whole(&url, answer).await.unwrap();
        assert_eq!(answer.status(), 503);
        let closed = timeout(Duration::from_secs(60), server).await;
        closed.expect("the connection is closed").unwrap();
    }
}
