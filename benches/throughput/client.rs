//! One client: its connection, what it sends and the answers that it reads.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::tus;

/// How long a read or a write may stand still before the run counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

const BOUNDARY: &str = "----ThroughputBoundary7MA4YWxkTrZu0gW";

/// The way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// A form of two fields, the second a file.
    Form,
    /// A raw body.
    Put,
    /// By tus: a POST that creates the upload, then PATCHes of at most so many bytes each.
    Tus { piece: u64 },
}

/// A request's bytes around those of its file.
pub(crate) struct Message {
    before: Vec<u8>,
    size: u64,
    after: Vec<u8>,
}

impl Message {
    /// The first request of an upload of `size` bytes, by tus the one that creates it, else the only one. `name` is a
    /// form's progress id and its field "id", a raw body's path ends with it.
    pub(crate) fn new(shape: Shape, name: &str, size: u64) -> Self {
        match shape {
            Shape::Form => Self::form(name, size),
            Shape::Put => {
                let path = format!("/files/{name}");
                Self::raw(head("PUT", &path, "application/octet-stream", size), size)
            }
            Shape::Tus { .. } => Self::raw(tus::create(size), 0),
        }
    }

    /// `head`, then `size` bytes of the file and nothing behind them.
    pub(crate) fn raw(head: Vec<u8>, size: u64) -> Self {
        Self {
            before: head,
            size,
            after: Vec::new(),
        }
    }

    fn form(id: &str, size: u64) -> Self {
        let fields = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n{id}\r\n\
             --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"picture.bin\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let after = format!("\r\n--{BOUNDARY}--\r\n").into_bytes();
        let length = fields.len() as u64 + size + after.len() as u64;
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let path = format!("/upload?X-Progress-ID={id}");
        let mut before = head("POST", &path, &kind, length);
        before.extend_from_slice(fields.as_bytes());
        Self {
            before,
            size,
            after,
        }
    }

    /// What comes before the file's bytes.
    pub(crate) fn before(&self) -> &[u8] {
        &self.before
    }

    /// What comes behind them.
    pub(crate) fn after(&self) -> &[u8] {
        &self.after
    }
}

fn head(method: &str, path: &str, kind: &str, length: u64) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// One connection to the server under test. When an answer closes it, the next upload opens it anew.
pub(crate) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    answer: Vec<u8>,
    closed: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            stream: connected(address)?,
            address,
            answer: Vec::with_capacity(4096),
            closed: false,
        })
    }

    /// One that waits no longer than that for each piece of an answer.
    pub(crate) fn open_for(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let connection = Self::open(address)?;
        connection.stream.set_read_timeout(Some(patience))?;
        Ok(connection)
    }

    /// Sends a file of `size` bytes, made of `block` repeated, and waits for good answers.
    pub(crate) fn upload(
        &mut self,
        shape: Shape,
        name: &str,
        size: u64,
        block: &[u8],
    ) -> io::Result<()> {
        self.exchange(&Message::new(shape, name, size), block)?;
        let Shape::Tus { piece } = shape else {
            return Ok(());
        };
        let place = tus::place(&self.answer)?;
        tus::pieces(&place, size, piece).try_for_each(|patch| self.exchange(&patch, block))
    }

    /// Sends `message` and waits for a good answer.
    fn exchange(&mut self, message: &Message, block: &[u8]) -> io::Result<()> {
        if self.closed {
            self.stream = connected(self.address)?;
        }
        let (mut begin, mut left) = (&message.before[..], message.size);
        while !begin.is_empty() || left > 0 {
            let now = left.min(block.len() as u64);
            left -= now;
            let end = if left == 0 { &message.after[..] } else { &[] };
            self.send(&mut [
                IoSlice::new(begin),
                IoSlice::new(&block[..now as usize]),
                IoSlice::new(end),
            ])?;
            begin = &[];
        }
        self.answered()
    }

    /// Asks for `path` and waits for a good answer.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.send(&mut [IoSlice::new(request.as_bytes())])?;
        self.answered()
    }

    /// Sends all of `slices`.
    pub(crate) fn send(&mut self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        while slices.iter().any(|slice| !slice.is_empty()) {
            let sent = self.stream.write_vectored(slices)?;
            IoSlice::advance_slices(&mut slices, sent);
        }
        Ok(())
    }

    /// Reads one answer whole. It must be one of success.
    fn answered(&mut self) -> io::Result<()> {
        self.answer.clear();
        let end = loop {
            if let Some(end) = answer_end(&self.answer)? {
                break end;
            }
            let mut some = [0; 4096];
            match self.stream.read(&mut some)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => self.answer.extend_from_slice(&some[..count]),
            }
        };
        self.closed = end == End::Closes;
        Ok(())
    }
}

fn connected(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What follows an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The connection takes the next request.
    Stays,
    /// The server closes it.
    Closes,
}

/// Whether `bytes` are one whole answer; nothing while more must come. It must be one of success.
pub(crate) fn answer_end(bytes: &[u8]) -> io::Result<Option<End>> {
    let Some(at) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let body = &bytes[at + 4..];
    let text = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
    if !text.starts_with("http/1.1 2") {
        let words = String::from_utf8_lossy(bytes);
        return Err(io::Error::other(format!("refused: {words}")));
    }
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let length = field("content-length:").map_or(Ok(0), |text| text.trim().parse::<usize>());
    let whole = match field("transfer-encoding:") {
        Some(_) => body.ends_with(b"0\r\n\r\n"),
        None => body.len() >= length.map_err(io::Error::other)?,
    };
    if !whole {
        return Ok(None);
    }
    let closes = field("connection:").is_some_and(|value| value.trim() == "close");
    Ok(Some(if closes { End::Closes } else { End::Stays }))
}
