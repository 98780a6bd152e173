//! A web app that stands behind a server: it keeps what it is asked, and answers as the test says, or not at all.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::{chunks, eventually};

/// The app. It is gone when dropped: nothing listens at its address any more.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// What it was asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seen {
    /// Up to its blank line.
    pub(crate) head: String,
    /// As far as it was read.
    pub(crate) body: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) whole: bool,
}

/// One request, in the hands of what the test says. The connection is closed when it is dropped unanswered.
pub(crate) struct Call {
    seen: Seen,
    nth: usize,
    shared: Arc<Shared>,
    reader: BufReader<TcpStream>,
    stays_open: bool,
}

type Does = Arc<dyn Fn(&mut Call) + Send + Sync>;

struct Shared {
    does: Mutex<Does>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    begun: usize,
    open: Vec<TcpStream>,
    closed: bool,
}

impl App {
    /// One that reads each request and answers `200` with `ok`.
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same at an address where one was before.
    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            does: Mutex::new(Arc::new(|call| call.answer(200, "", b"ok"))),
            seen: Mutex::default(),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { break };
                let mut connections = accepting.connections.lock().unwrap();
                if connections.closed {
                    break;
                }
                connections.begun += 1;
                connections.open.push(client.try_clone().unwrap());
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.talk(client));
            }
        });
        Self { address, shared }
    }

    /// What it does with each request from now on.
    pub(crate) fn does(&self, does: impl Fn(&mut Call) + Send + Sync + 'static) {
        *self.shared.does.lock().unwrap() = Arc::new(does);
    }

    /// It reads each request from now on, and answers so; `headers` are lines that each end in CRLF.
    pub(crate) fn answers(&self, status: u16, headers: &'static str, body: &'static [u8]) {
        self.does(move |call| call.answer(status, headers, body));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it has been asked so far, in the order of the heads.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until it has been asked so many times.
    pub(crate) fn asked(&self, times: usize) -> Vec<Seen> {
        eventually(|| self.seen(), |seen| seen.len() >= times)
    }

    /// The one request that it has read so far.
    pub(crate) fn only(&self) -> Seen {
        let mut seen = eventually(|| self.seen(), |seen| seen.iter().any(|one| one.whole));
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.remove(0)
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().begun
    }

    /// It dies: whatever is connected is cut, and nothing listens any more. Gives all that it was asked up to then.
    pub(crate) fn dies(self) -> Vec<Seen> {
        let shared = Arc::clone(&self.shared);
        drop(self);
        // Nobody hears an answer any more, and each was noted before it was answered.
        let seen = shared.seen.lock().unwrap();
        seen.clone()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let mut connections = self.shared.connections.lock().unwrap();
        connections.closed = true;
        for open in connections.open.drain(..) {
            let _ = open.shutdown(Shutdown::Both);
        }
        drop(connections);
        // The listener looks up.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn talk(self: Arc<Self>, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                match reader.read_line(&mut head) {
                    Ok(1..) => {}
                    _ => return,
                }
            }
            let seen = Seen {
                head,
                ..Seen::default()
            };
            let nth = {
                let mut all = self.seen.lock().unwrap();
                all.push(seen.clone());
                all.len() - 1
            };
            let does = Arc::clone(&self.does.lock().unwrap());
            let mut call = Call {
                seen,
                nth,
                shared: Arc::clone(&self),
                reader,
                stays_open: false,
            };
            does(&mut call);
            if !call.stays_open {
                // The clone that is kept for the app's death would hold it open.
                let _ = call.reader.get_ref().shutdown(Shutdown::Both);
                return;
            }
            reader = call.reader;
        }
    }
}

impl Seen {
    pub(crate) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The value of the only field of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers(name);
        assert!(all.len() <= 1, "{name}: {all:?}");
        all.first().copied()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }
}

impl Call {
    /// The request as far as it has been read.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Reads the rest of the body; what breaks off is not whole.
    pub(crate) fn read(&mut self) -> &Seen {
        if !self.seen.whole {
            let read = self.read_rest();
            self.seen.whole = read.is_ok();
            self.note();
        }
        &self.seen
    }

    fn read_rest(&mut self) -> io::Result<()> {
        if self.seen.header("transfer-encoding").is_some() {
            self.seen.body = chunks(&mut self.reader)?;
            return Ok(());
        }
        let length: usize = self
            .seen
            .header("content-length")
            .unwrap_or("0")
            .parse()
            .unwrap();
        let left = length - self.seen.body.len();
        let read = (&mut self.reader)
            .take(left as u64)
            .read_to_end(&mut self.seen.body)?;
        match read == left {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Reads so many bytes of a body of known length.
    pub(crate) fn read_some(&mut self, bytes: u64) {
        let body = &mut self.seen.body;
        let _ = (&mut self.reader).take(bytes).read_to_end(body);
        self.note();
    }

    /// What has been read can be seen.
    fn note(&self) {
        self.shared.seen.lock().unwrap()[self.nth] = self.seen.clone();
    }

    /// Reads the rest of the request and answers; the connection stays open for the next one.
    pub(crate) fn answer(&mut self, status: u16, headers: &str, body: &[u8]) {
        self.read();
        let length = match status {
            204 | 304 => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        self.say(format!("HTTP/1.1 {status} As Told\r\n{length}{headers}\r\n").as_bytes());
        self.say(body);
        self.stays_open = true;
    }

    /// Says these bytes, whether or not anybody listens any more.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// Waits until the other side has gone.
    pub(crate) fn until_gone(&mut self) {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest);
    }

    /// The connection itself, for whoever speaks something else from here on.
    pub(crate) fn stream(&self) -> TcpStream {
        self.reader.get_ref().try_clone().unwrap()
    }
}

/// What somebody waits at until the test opens it.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open; fails after a minute.
    pub(crate) fn opened(&self) {
        self.wait();
        assert!(*self.0.0.lock().unwrap(), "nobody opened it");
    }

    /// Waits; for a minute at most, so that a failed test comes to its end.
    pub(crate) fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        let most = Duration::from_secs(60);
        let waited = self.0.1.wait_timeout_while(open, most, |open| !*open);
        drop(waited.unwrap());
    }
}
