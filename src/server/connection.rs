//! One socket: which thread it lives on, and how it ends.
//!
//! What decides how fast a poll is answered while the disk is saturated is where the *connection* lives. So one
//! byte is peeked before anything is read: a connection that begins with a method which brings a body, or mostly needs
//! the disk, is moved whole to a data thread, all others stay on the control thread, which never touches a disk.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower_service::Service as _;

use crate::app::{Line, Switchable, Switched};
use crate::outbound::ResponseBody;
use crate::problem::{RefusalCode, problem};
use crate::server::ahead::Ahead;
use crate::server::drain::{Open, Seat};
use crate::server::metrics::Metrics;
use crate::server::patient::Patient;
use crate::server::portion::Portions;
use crate::server::strict::{HeadLimits, Strict, asks_to_switch};
use crate::server::tunnel;
use crate::service::Service;
use crate::threads::DataThreads;
use crate::upload::Peer;

/// How long a connection is waited for, and how it is let go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionOptions {
    /// For a request's head, from its first byte on; between two requests a connection may be silent for twice that.
    /// Default 30 s.
    pub head_timeout: Duration,
    /// How large a head may be.
    pub head: HeadLimits,
    /// The longest time in which a client reads no byte of an answer that waits for it; `None` is for ever. Default 60 s.
    pub stall: Option<Duration>,
    /// Bytes in which uploads are read, for all connections together. The more of them are fast, the less each reads at
    /// once; 16 KiB it may always. Default 64 MiB.
    pub read_memory: u64,
    /// Bytes read on after an answer that came before its request's end, so that the client can read it;
    /// default 256 MiB.
    pub linger_bytes: u64,
    /// How long they are read on; default 30 s.
    pub linger_time: Duration,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            head: HeadLimits::default(),
            stall: Some(Duration::from_secs(60)),
            read_memory: 64 * 1024 * 1024,
            linger_bytes: 256 * 1024 * 1024,
            linger_time: Duration::from_secs(30),
        }
    }
}

/// A status of tus ("Checksum"), for which HTTP has no words.
const MISMATCH: u16 = 460;

/// What all connections share.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    pub(super) service: Service,
    pub(super) data: DataThreads,
    pub(super) options: ConnectionOptions,
    pub(super) open: Open,
    /// Who counts refusals, if anybody.
    pub(super) metrics: Option<Metrics>,
    /// In what they all read.
    pub(super) portions: Portions,
    /// Where each open connection has its place.
    pub(super) places: Arc<Semaphore>,
}

/// A connection's place, given back when dropped.
pub(super) type Place = Option<OwnedSemaphorePermit>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plane {
    Control,
    Data,
}

impl Connections {
    /// Waits for a place for one more connection.
    pub(super) async fn place(&self) -> Place {
        self.places.clone().acquire_owned().await.ok()
    }

    /// Serves a connection to its end, on the thread where it belongs. Called on the control thread.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place) {
        let seat = self.open.enter();
        let mut first = [0];
        let peeked = tokio::select! {
            biased;
            peeked = timeout(self.options.head_timeout, stream.peek(&mut first)) => peeked,
            () = self.open.until_stopped() => return,
        };
        if !matches!(peeked, Ok(Ok(1))) {
            return;
        }
        if !needs_the_disk(first[0]) {
            return self.http1(stream, peer, Plane::Control, seat).await;
        }
        // A socket belongs to one runtime's event queue: it leaves this one and enters the data thread's.
        if let Ok(stream) = stream.into_std() {
            let data = self.data.clone();
            data.spawn(async move {
                let _place = place;
                if let Ok(stream) = TcpStream::from_std(stream) {
                    self.http1(stream, peer, Plane::Data, seat).await;
                }
            });
        }
    }

    async fn http1(&self, stream: TcpStream, peer: SocketAddr, plane: Plane, seat: Seat) {
        // An answer is small and complete: it must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let line = self.service.has_app().then(|| line(&stream)).flatten();
        let stream = Ahead::new(stream);
        let slot = stream.slot();
        let stream = Patient::new(stream, self.options.stall);
        let stream = Strict::new(stream, self.options.head, self.options.head_timeout);
        let stream = stream.by_portion(self.portions.one());
        let (service, refused) = (self.service.clone(), stream.refused());
        let talk = Arc::new(Talk::new(seat));
        let (talks, metrics) = (talk.clone(), self.metrics.clone());
        let answer = service_fn(move |mut request: Request<Incoming>| {
            let refused = refused.take(&request);
            request.extensions_mut().insert(Peer(peer));
            if let Some(line) = &line {
                request.extensions_mut().insert(line.clone());
            }
            if asks_to_switch(&request) {
                request.extensions_mut().insert(Switchable);
            }
            let unanswered = slot.open(&mut request);
            let last = refused.is_some() || is_last(&request, plane);
            let brings_body = !request.body().is_end_stream();
            let answer = service.clone().call(request);
            let (talk, metrics) = (talks.clone(), metrics.clone());
            talk.begin();
            Box::pin(async move {
                if let Some(unanswered) = &unanswered {
                    unanswered.wakes().await;
                }
                let mut answer = match refused {
                    Some(error) => {
                        tracing::debug!(%peer, %error, "refused a request's head");
                        problem(&error).map(Into::into)
                    }
                    None => answer.await?,
                };
                drop(unanswered);
                talk.answered(&answer, metrics.as_ref());
                if answer.status().as_u16() == MISMATCH {
                    let words = ReasonPhrase::from_static(b"Checksum Mismatch");
                    answer.extensions_mut().insert(words);
                }
                if talk.switches(&mut answer) {
                    return Ok(answer);
                }
                // What is left of a refused body is not waited for: hyper closes behind it, and this says so.
                if last || brings_body && answer.status().as_u16() >= 400 {
                    answer
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, std::convert::Infallible>(answer)
            })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // A client that has sent all may close its side and wait, or go: what came whole is taken all the same. Without
            // this hyper drops a request, bytes already read included, as soon as it sees that nothing more can come.
            .half_close(true)
            .max_headers(HeadLimits::MAX_FIELDS)
            // Heads under way are timed by `Strict`, which answers; this is for connections that are silent.
            .header_read_timeout(self.options.head_timeout * 2)
            .serve_connection(TokioIo::new(stream), answer);
        let mut stopped = Box::pin(self.open.stopped());
        let (mut listens, mut at_stop) = (false, None);
        let served = poll_fn(|cx| {
            if !std::mem::replace(&mut listens, true) {
                let _ = stopped.as_mut().poll(cx);
            }
            // First, so that a request which is there already is still answered.
            let served = connection.poll_without_shutdown(cx);
            if served.is_ready() || at_stop.is_some() || !self.open.is_stopping() {
                return served;
            }
            at_stop = Some(talk.turn());
            Pin::new(&mut connection).graceful_shutdown();
            match at_stop {
                // hyper would wait for a first request all the same.
                Some(Turn::Unasked) => Poll::Ready(Ok(())),
                _ => connection.poll_without_shutdown(cx),
            }
        });
        if let Err(cause) = served.await {
            tracing::debug!(%peer, %cause, "the connection broke off");
            drop(talk.switched());
        }
        if let Some(switched) = talk.switched() {
            return self.tunnel(connection.into_parts(), switched).await;
        }
        // Whoever has no question open waits for no answer.
        if matches!(at_stop, None | Some(Turn::Asked)) {
            talk.lingers();
            let (stream, _) = socket(connection.into_parts());
            self.linger(stream).await;
        }
    }

    /// Joins the client to the app, where the app's connections live.
    async fn tunnel<S>(&self, parts: http1::Parts<Served, S>, switched: Switched) {
        let (stream, early) = socket(parts);
        let (Ok(stream), open) = (stream.into_std(), self.open.clone()) else {
            return;
        };
        let join = move |app, idle| async move {
            if let Ok(client) = TcpStream::from_std(stream) {
                let app = TokioIo::new(app);
                tunnel::join(client, app, &early, idle, open.until_stopped()).await;
            }
        };
        switched.join(join).await;
    }

    /// Half-closes, then reads on for a bounded while: closing with unread bytes resets the connection, and the client
    /// never sees the answer that refused them (hyperium/hyper#2384).
    async fn linger(&self, mut stream: TcpStream) {
        if stream.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            let (mut left, mut unread) = (self.options.linger_bytes, vec![0; 16 * 1024]);
            while left > 0 {
                match stream.read(&mut unread).await {
                    Ok(0) | Err(_) => return,
                    Ok(bytes) => left = left.saturating_sub(bytes as u64),
                }
            }
        };
        // Whoever still sends after that does not read answers.
        let _ = timeout(self.options.linger_time, drain).await;
    }
}

/// What hyper reads of and writes to.
type Served = TokioIo<Strict<Patient<Ahead<TcpStream>>>>;

/// The socket, and what has been read of it that nobody has taken.
fn socket<S>(parts: http1::Parts<Served, S>) -> (TcpStream, Vec<u8>) {
    let (stream, held) = parts.io.into_inner().into_parts();
    let early = [&parts.read_buf[..], &held].concat();
    (stream.into_inner().into_inner(), early)
}

/// The connection, for whoever must know that its client has gone.
fn line(stream: &TcpStream) -> Option<Line> {
    let socket = stream.as_fd().try_clone_to_owned();
    socket.map(Line::new).ok()
}

/// Whether nothing more is read from the connection behind this request.
fn is_last(request: &Request<Incoming>, plane: Plane) -> bool {
    // On a data thread what needs no disk waits for other people's writes: its connection is closed, so that the client's
    // next one is peeked at again.
    let first = request.method().as_str().bytes().next();
    let misplaced = plane == Plane::Data && !first.is_some_and(needs_the_disk);
    // Behind chunks `Strict` cannot tell where the next head begins.
    let chunks = request.headers().contains_key(header::TRANSFER_ENCODING);
    // Nor does it look at what may be of another protocol.
    misplaced || chunks || asks_to_switch(request)
}

/// Whose turn it is on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// No request has come yet.
    Unasked,
    /// A request waits for its answer.
    Asked,
    /// The last request's answer is there, at least its head.
    Answered,
}

/// How far the talk on a connection has come, and its seat among the open ones.
#[derive(Debug)]
struct Talk {
    now: Mutex<(Turn, Seat)>,
    /// What the connection is joined to when HTTP is done with it.
    switched: Mutex<Option<Switched>>,
}

impl Talk {
    fn new(seat: Seat) -> Self {
        Self {
            now: Mutex::new((Turn::Unasked, seat)),
            switched: Mutex::default(),
        }
    }

    fn begin(&self) {
        let mut now = self.lock();
        now.0 = Turn::Asked;
        now.1.is_busy();
    }

    fn answered(&self, answer: &Response<ResponseBody>, metrics: Option<&Metrics>) {
        let mut now = self.lock();
        now.0 = Turn::Answered;
        if let (Some(metrics), Some(RefusalCode(code))) = (metrics, answer.extensions().get()) {
            metrics.refused(code);
        }
        let media_type = answer.headers().get(header::CONTENT_TYPE);
        if media_type.is_some_and(|value| value == "text/event-stream") {
            now.1.streams();
        }
    }

    /// Whether `answer` is the last that HTTP has to say here.
    fn switches(&self, answer: &mut Response<ResponseBody>) -> bool {
        let Some(switched) = answer.extensions_mut().remove::<Switched>() else {
            return false;
        };
        // It tells of no upload's end: nobody waits for its own.
        self.lock().1.streams();
        *self.switched.lock().unwrap_or_else(PoisonError::into_inner) = Some(switched);
        true
    }

    fn switched(&self) -> Option<Switched> {
        let mut switched = self.switched.lock().unwrap_or_else(PoisonError::into_inner);
        switched.take()
    }

    fn turn(&self) -> Turn {
        self.lock().0
    }

    fn lingers(&self) {
        self.lock().1.lingers();
    }

    fn lock(&self) -> MutexGuard<'_, (Turn, Seat)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// POST, PUT and PATCH begin with a P; DELETE needs the disk too. So does HEAD, which asks how far an upload is: the PATCH
/// that goes on with it comes on the same connection.
fn needs_the_disk(first: u8) -> bool {
    matches!(first, b'P' | b'D' | b'H')
}
