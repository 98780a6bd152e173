//! One client: its connection, what it sends and the answers that it reads.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

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
}

/// An upload's bytes around those of its file.
pub(crate) struct Message {
    before: Vec<u8>,
    size: u64,
    after: Vec<u8>,
}

impl Message {
    /// An upload of `size` bytes: a form's progress id is `name`, a raw body's path ends with it.
    pub(crate) fn new(shape: Shape, name: &str, size: u64) -> Self {
        match shape {
            Shape::Form => Self::form(name, size),
            Shape::Put => Self {
                before: head(
                    "PUT",
                    &format!("/files/{name}"),
                    "application/octet-stream",
                    size,
                ),
                size,
                after: Vec::new(),
            },
        }
    }

    fn form(id: &str, size: u64) -> Self {
        let fields = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n12\r\n\
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
}

fn head(method: &str, path: &str, kind: &str, length: u64) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// One connection to the server under test.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            answer: Vec::with_capacity(4096),
        })
    }

    /// Sends `message`, its file made of `block` repeated, and waits for a good answer.
    pub(crate) fn upload(&mut self, message: &Message, block: &[u8]) -> io::Result<()> {
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
        let head = loop {
            if let Some(at) = memchr::memmem::find(&self.answer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let text = String::from_utf8_lossy(&self.answer[..head]).to_ascii_lowercase();
        if !text.starts_with("http/1.1 2") {
            return Err(io::Error::other(format!("refused: {text}")));
        }
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(Ok(0), |text| text.trim().parse::<usize>());
        let whole = head + length.map_err(io::Error::other)?;
        while self.answer.len() < whole {
            self.fill()?;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut some = [0; 4096];
        match self.stream.read(&mut some)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.answer.extend_from_slice(&some[..count]);
                Ok(())
            }
        }
    }
}
