//! Against hyper on real sockets, and against one that is imitated so that a line may accept any number of bytes at a time.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{advance, timeout};

use super::*;
use crate::server::patient::Patient;

const RESUMABLE: &str = "HTTP/1.1 104 Upload Resumption Supported\r\n";

fn fields(at: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("upload-offset", HeaderValue::from_str(at).unwrap());
    fields
}

fn interim(at: impl ToString + Copy) -> String {
    format!("{RESUMABLE}upload-offset: {}\r\n\r\n", at.to_string())
}

fn send(interim: &Interim, at: impl ToString + Copy) {
    interim.send(StatusCode::from_u16(104).unwrap(), fields(&at.to_string()));
}

type Asked = (Request<Incoming>, Option<Interim>);
type Answer = Response<Full<Bytes>>;

/// A client and the other end of its connection, which hyper serves by `answer`.
async fn connected<F, T>(
    answer: F,
    client: TcpSocket,
) -> (TcpStream, tokio::task::JoinHandle<hyper::Result<()>>)
where
    F: Fn(Asked) -> T + Clone + Send + 'static,
    T: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(client.connect(address), listener.accept());
    let stream = Ahead::new(accepted.unwrap().0);
    let slot = stream.slot();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let unanswered = slot.open(&mut request);
        let interim = request.extensions_mut().remove::<Interim>();
        let answer = answer.clone();
        Box::pin(async move {
            if let Some(unanswered) = &unanswered {
                unanswered.wakes().await;
            }
            let answer = answer((request, interim)).await;
            drop(unanswered);
            Ok::<_, Infallible>(answer)
        })
    });
    let mut http = http1::Builder::new();
    let served = http
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    (client.unwrap(), tokio::spawn(served))
}

async fn plain<F, T>(answer: F) -> TcpStream
where
    F: Fn(Asked) -> T + Clone + Send + 'static,
    T: Future<Output = Answer> + Send + 'static,
{
    connected(answer, TcpSocket::new_v4().unwrap()).await.0
}

fn empty(status: u16) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// What never comes fails a test in place of holding it.
async fn soon<T>(awaited: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), awaited).await.unwrap()
}

/// Reads `expected` and not a byte more.
async fn reads(client: &mut TcpStream, expected: &str) {
    let mut came = vec![0; expected.len()];
    soon(client.read_exact(&mut came)).await.unwrap();
    assert_eq!(String::from_utf8(came).unwrap(), expected);
}

/// Reads up to the end of a head.
async fn head(client: &mut TcpStream) -> String {
    let mut came = Vec::new();
    while !came.ends_with(b"\r\n\r\n") {
        came.push(soon(client.read_u8()).await.unwrap());
    }
    String::from_utf8(came).unwrap()
}

/// Says where the upload is, then how much of the body has come after each frame.
async fn follows((request, interim): Asked) -> Answer {
    let (mut came, mut body) = (0, request.into_body());
    if let Some(interim) = &interim {
        send(interim, came);
    }
    while let Some(frame) = body.frame().await {
        came += frame.unwrap().data_ref().map_or(0, Bytes::len);
        if let Some(interim) = &interim {
            send(interim, came);
        }
    }
    empty(200)
}

#[tokio::test]
async fn they_come_while_the_body_is_under_way() {
    let mut client = plain(follows).await;
    let head_of_it = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    client.write_all(head_of_it.as_bytes()).await.unwrap();
    reads(&mut client, &interim(0)).await;
    client.write_all(b"abc").await.unwrap();
    reads(&mut client, &interim(3)).await;
    // With the last bytes the answer is there: nobody needs the offset any more.
    client.write_all(b"def").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn the_go_ahead_for_a_body_stays_whole_and_is_not_replaced() {
    let mut client = plain(follows).await;
    let head_of_it =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(head_of_it.as_bytes()).await.unwrap();
    let both = [head(&mut client).await, head(&mut client).await];
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    assert!(both.contains(&go_on.to_owned()), "{both:?}");
    assert!(both.contains(&interim(0)), "{both:?}");
    client.write_all(b"abc").await.unwrap();
    reads(&mut client, &interim(3)).await;
    client.write_all(b"def").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn each_of_several_requests_in_a_row_gets_its_own() {
    let mut client = plain(follows).await;
    let one = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc";
    client.write_all(one.as_bytes()).await.unwrap();
    let mut seen = head(&mut client).await;
    if seen == interim(0) {
        seen = head(&mut client).await;
    }
    assert_eq!(seen, interim(3));
    client
        .write_all(format!("def{one}").as_bytes())
        .await
        .unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let mut seen = head(&mut client).await;
    if seen == interim(0) {
        seen = head(&mut client).await;
    }
    assert_eq!(seen, interim(3));
    client.write_all(b"def").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn one_from_another_thread_wakes_the_connection() {
    let (lent, mut borrowed) = mpsc::unbounded_channel::<Interim>();
    let answer = move |(request, interim): Asked| {
        lent.send(interim.unwrap()).unwrap();
        async move {
            request.into_body().collect().await.unwrap();
            empty(204)
        }
    };
    let mut client = plain(answer).await;
    let head_of_it = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head_of_it.as_bytes()).await.unwrap();
    let lent = borrowed.recv().await.unwrap();
    // The connection's task may sleep by now, or not; either way they come.
    for at in 1..=3 {
        let interim_of_it = lent.clone();
        std::thread::spawn(move || send(&interim_of_it, at))
            .join()
            .unwrap();
        reads(&mut client, &interim(at)).await;
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 204 "));
    // Its time has passed, also while the next request waits for its answer.
    send(&lent, 4);
    let next = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    client.write_all(next.as_bytes()).await.unwrap();
    let second = borrowed.recv().await.unwrap();
    send(&lent, 5);
    send(&second, 6);
    reads(&mut client, &interim(6)).await;
}

#[tokio::test]
async fn who_does_not_understand_them_gets_none() {
    let told =
        |(_, interim): Asked| async move { empty(if interim.is_some() { 200 } else { 204 }) };
    for (head_of_it, status) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
            200,
        ),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
            204,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            204,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 204),
    ] {
        let mut client = plain(told).await;
        client.write_all(head_of_it.as_bytes()).await.unwrap();
        let answer = head(&mut client).await;
        assert!(answer.contains(&format!(" {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_reads_none_of_them_sends_its_whole_body() {
    const FRAMES: usize = 200_000;
    let many = |(request, interim): Asked| async move {
        let (mut came, mut body) = (0, request.into_body());
        while let Some(frame) = body.frame().await {
            came += frame.unwrap().data_ref().map_or(0, Bytes::len);
            // More than any socket has room for.
            for _ in 0..200 {
                send(interim.as_ref().unwrap(), came);
            }
        }
        assert_eq!(came, FRAMES * 10);
        empty(200)
    };
    let small = TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4096).unwrap();
    let (mut client, served) = connected(many, small).await;
    let head_of_it = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        FRAMES * 10
    );
    client.write_all(head_of_it.as_bytes()).await.unwrap();
    client.write_all(&vec![7; FRAMES * 10]).await.unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    served.await.unwrap().unwrap();
    let mut messages: Vec<_> = all.split_inclusive("\r\n\r\n").collect();
    let last = messages.pop().unwrap();
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{last}");
    assert!(messages.len() > 100, "{}", messages.len());
    let mut offset = 0;
    for message in messages {
        let at = message.strip_prefix(RESUMABLE).unwrap();
        let at = at.strip_prefix("upload-offset: ").unwrap().trim_end();
        let at: usize = at.parse().unwrap();
        assert!(at >= offset);
        offset = at;
    }
}

#[tokio::test]
async fn none_comes_while_the_answer_is_under_way() {
    let (sends, mut sent) = mpsc::unbounded_channel();
    let answer = move |(request, interim): Asked| {
        let sends = sends.clone();
        async move {
            request.into_body().collect().await.unwrap();
            sends.send(interim.unwrap()).unwrap();
            Response::new(Full::from(vec![b'a'; 8 << 20]))
        }
    };
    let mut client = plain(answer).await;
    let whole = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb";
    client.write_all(whole.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    send(&sent.recv().await.unwrap(), 1);
    let mut body = vec![0; 8 << 20];
    client.read_exact(&mut body).await.unwrap();
    assert!(body.iter().all(|byte| *byte == b'a'));
    client.write_all(whole.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

/// A line that takes as many bytes as it was told to, one number a write, none at a 0 and all in the end.
#[derive(Default)]
struct Line {
    takes: Vec<usize>,
    came: Vec<u8>,
    fails: bool,
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.fails {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let takes = self.takes.pop().unwrap_or(usize::MAX).min(bytes.len());
        self.came.extend_from_slice(&bytes[..takes]);
        match takes {
            0 => Poll::Pending,
            takes => Poll::Ready(Ok(takes)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What hyper does with a connection: what it writes lies in a buffer until a flush, and it flushes what is below only
/// when that is empty.
struct Hyper {
    stream: Ahead<Line>,
    slot: Slot,
    buffer: Vec<u8>,
    request: usize,
    unanswered: Option<Unanswered>,
    /// Of this request and those before it.
    interims: Vec<Interim>,
    sent: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// An interim answer to the current request.
    Send,
    /// One to a request that has its answer.
    Late,
    Continue,
    Answer,
    Flush,
}

impl Hyper {
    fn new(takes: Vec<usize>) -> Self {
        let stream = Ahead::new(Line {
            takes,
            ..Line::default()
        });
        let slot = stream.slot();
        let mut hyper = Self {
            stream,
            slot,
            buffer: Vec::new(),
            request: 0,
            unanswered: None,
            interims: Vec::new(),
            sent: 0,
        };
        hyper.next();
        hyper
    }

    fn next(&mut self) {
        let mut request = Request::new(Full::<Bytes>::from("a body"));
        self.request += 1;
        self.unanswered = self.slot.open(&mut request);
        self.interims
            .push(request.extensions_mut().remove::<Interim>().unwrap());
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Send => {
                self.sent += 1;
                let at = format!("{}-{}", self.request, self.sent);
                send(self.interims.last().unwrap(), &at);
            }
            Step::Late => {
                if let [.., late, _] = &self.interims[..] {
                    send(late, "late");
                }
            }
            Step::Continue => self
                .buffer
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Step::Answer => {
                self.unanswered = None;
                let answer = format!("HTTP/1.1 200 OK\r\nto: {}\r\n\r\n", self.request);
                self.buffer.extend_from_slice(answer.as_bytes());
                self.next();
            }
            Step::Flush => drop(self.flush()),
        }
    }

    fn flush(&mut self) -> Poll<io::Result<()>> {
        let cx = &mut Context::from_waker(Waker::noop());
        while !self.buffer.is_empty() {
            let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.buffer))?;
            self.buffer.drain(..wrote);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Send),
        1 => Just(Step::Late),
        1 => Just(Step::Continue),
        2 => Just(Step::Answer),
        6 => Just(Step::Flush),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn messages_stay_whole_and_each_interim_answer_goes_before_its_own(
        steps in steps(),
        takes in proptest::collection::vec(0usize..90, 0..60),
    ) {
        let mut hyper = Hyper::new(takes);
        let mut written = String::new();
        for step in &steps {
            hyper.step(step);
            match step {
                Step::Continue => written.push('C'),
                Step::Answer => written.push('A'),
                _ => {}
            }
        }
        hyper.stream.stream.takes.clear();
        prop_assert!(hyper.flush().is_ready());
        let came = String::from_utf8(hyper.stream.stream.came.clone()).unwrap();
        let (mut seen, mut answered, mut last) = (String::new(), 0, 0);
        for message in came.split_inclusive("\r\n\r\n") {
            if let Some(to) = message.strip_prefix("HTTP/1.1 200 OK\r\nto: ") {
                seen.push('A');
                answered += 1;
                prop_assert_eq!(to.trim_end(), answered.to_string());
            } else if message == "HTTP/1.1 100 Continue\r\n\r\n" {
                seen.push('C');
            } else {
                let at = message.strip_prefix(RESUMABLE).and_then(|rest| rest.strip_prefix("upload-offset: "));
                prop_assert!(at.is_some(), "{}", came);
                let (to, at) = at.unwrap().trim_end().split_once('-').unwrap();
                prop_assert_eq!(to, (answered + 1).to_string());
                let at: usize = at.parse().unwrap();
                prop_assert!(at > last);
                last = at;
            }
        }
        prop_assert_eq!(seen, written);
    }
}

#[test]
fn the_slot_is_bounded() {
    let mut hyper = Hyper::new(Vec::new());
    for _ in 0..1000 {
        hyper.step(&Step::Send);
    }
    assert!(hyper.flush().is_ready());
    let came = &hyper.stream.stream.came;
    assert!(came.len() <= MOST && came.len() > MOST - 100);
    assert!(came.ends_with(b"\r\n\r\n"));
}

#[test]
fn one_that_cannot_be_written_fails_the_next_answer_and_no_flush() {
    let mut hyper = Hyper::new(Vec::new());
    hyper.stream.stream.fails = true;
    hyper.step(&Step::Send);
    assert!(matches!(hyper.flush(), Poll::Ready(Ok(()))));
    hyper.step(&Step::Send);
    assert!(matches!(hyper.flush(), Poll::Ready(Ok(()))));
    hyper.stream.stream.fails = false;
    hyper.step(&Step::Answer);
    assert!(matches!(hyper.flush(), Poll::Ready(Err(_))));
    assert!(hyper.stream.stream.came.is_empty());
}

#[tokio::test(start_paused = true)]
async fn time_passes_for_the_answer_alone() {
    let most = Duration::from_secs(60);
    let mut stream = Ahead::new(Line {
        takes: vec![0; 100],
        ..Line::default()
    });
    let slot = stream.slot();
    stream.stream.takes.push(10);
    let mut stream = Patient::new(stream, Some(most));
    let mut request = Request::new(Full::<Bytes>::from("a body"));
    let _unanswered = slot.open(&mut request);
    send(request.extensions().get::<Interim>().unwrap(), 1);
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(Pin::new(&mut stream).poll_flush(cx).is_pending());
        advance(most * 2).await;
    }
    assert!(Pin::new(&mut stream).poll_write(cx, b"answer").is_pending());
    advance(most / 2).await;
    assert!(Pin::new(&mut stream).poll_write(cx, b"answer").is_pending());
    advance(most).await;
    let late = Pin::new(&mut stream).poll_write(cx, b"answer");
    assert!(matches!(late, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut));
}

#[test]
fn fields_are_written_as_they_are_but_for_those_that_frame() {
    let mut fields = fields("3");
    fields.insert("content-length", HeaderValue::from_static("9"));
    fields.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    fields.insert("connection", HeaderValue::from_static("close"));
    fields.append("upload-limit", HeaderValue::from_static("max-size=1"));
    fields.append("upload-limit", HeaderValue::from_static("max-age=2"));
    let status = |code| StatusCode::from_u16(code).unwrap();
    let bytes = written(status(104), &fields).unwrap();
    let expected = format!(
        "{RESUMABLE}upload-offset: 3\r\nupload-limit: max-size=1\r\nupload-limit: max-age=2\r\n\r\n"
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    for (code, line) in [(103, "HTTP/1.1 103 Early Hints"), (199, "HTTP/1.1 199 ")] {
        let bytes = written(status(code), &HeaderMap::new()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{line}\r\n\r\n"));
    }
    for code in [101, 200, 404] {
        assert!(written(status(code), &fields).is_none(), "{code}");
    }
}
