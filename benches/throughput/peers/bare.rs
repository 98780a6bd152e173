//! What can be had at most with plain calls: a thread for each connection that reads 1 MiB, looks for the boundary
//! and writes. No progress, no names, no limits, no protection; it runs as a process of its own.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use memchr::memmem;

/// Bytes of the one buffer that a connection has.
const BUFFER: usize = 1 << 20;

/// Receives at `listen` into `folder` for ever. With `sync` each file gets fdatasync, rename and fsync of its folder
/// before the answer.
pub(crate) fn run(listen: SocketAddr, folder: &'static Path, sync: bool) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = serve(stream, folder, sync) {
                eprintln!("bare receiver: {error}");
            }
        });
    }
    Ok(())
}

fn serve(stream: TcpStream, folder: &Path, sync: bool) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    stream.set_nodelay(true)?;
    let mut body = Body {
        stream,
        buffer: vec![0; BUFFER],
        from: 0,
        to: 0,
        left: 0,
    };
    while let Some(delimiter) = body.head()? {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (hidden, place) = (
            folder.join(format!("{number}.part")),
            folder.join(number.to_string()),
        );
        let mut file = File::create(if sync { &hidden } else { &place })?;
        match delimiter {
            Some(delimiter) => body.form(&delimiter, &mut file)?,
            None => body.raw(&mut file)?,
        }
        if sync {
            file.sync_data()?;
            fs::rename(&hidden, &place)?;
            File::open(folder)?.sync_all()?;
        }
        body.stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
    Ok(())
}

/// A connection and what has been read of it: `buffer[from..to]`, with `left` body bytes still to come.
struct Body {
    stream: TcpStream,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    left: u64,
}

impl Body {
    /// Reads a request's head. What comes back is a form's delimiter, if it is a form; nothing at the connection's end.
    fn head(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        (self.from, self.to) = (0, 0);
        let end = loop {
            if let Some(at) = memmem::find(&self.buffer[..self.to], b"\r\n\r\n") {
                break at + 4;
            }
            match self.stream.read(&mut self.buffer[self.to..])? {
                0 => return Ok(None),
                count => self.to += count,
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..end]);
        let length = after(&text, "Content-Length: ").and_then(|text| text.parse::<u64>().ok());
        let delimiter =
            after(&text, "boundary=").map(|boundary| format!("\r\n--{boundary}").into_bytes());
        let length = length.ok_or(ErrorKind::InvalidData)?;
        self.left = length - (self.to - end) as u64;
        self.from = end;
        Ok(Some(delimiter))
    }

    /// Writes the whole body.
    fn raw(&mut self, file: &mut File) -> io::Result<()> {
        loop {
            file.write_all(&self.buffer[self.from..self.to])?;
            if self.left == 0 {
                return Ok(());
            }
            (self.from, self.to) = (0, 0);
            self.fill()?;
        }
    }

    /// Writes the form's file, and reads on to the body's end.
    fn form(&mut self, delimiter: &[u8], file: &mut File) -> io::Result<()> {
        self.seek(b"filename=")?;
        self.seek(b"\r\n\r\n")?;
        let finder = memmem::Finder::new(delimiter);
        loop {
            let got = &self.buffer[self.from..self.to];
            if let Some(at) = finder.find(got) {
                file.write_all(&got[..at])?;
                break;
            }
            // The last bytes may begin a delimiter.
            let sure = got.len().saturating_sub(delimiter.len() - 1);
            file.write_all(&got[..sure])?;
            self.from += sure;
            self.fill()?;
        }
        while self.left > 0 {
            self.from = self.to;
            self.fill()?;
        }
        Ok(())
    }

    /// Goes on to behind `text`.
    fn seek(&mut self, text: &[u8]) -> io::Result<()> {
        loop {
            if let Some(at) = memmem::find(&self.buffer[self.from..self.to], text) {
                self.from += at + text.len();
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads more behind what is held, which moves to the buffer's front.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let room = (BUFFER - self.to).min(usize::try_from(self.left).unwrap_or(BUFFER));
        match self
            .stream
            .read(&mut self.buffer[self.to..self.to + room])?
        {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.to += count;
                self.left -= count as u64;
                Ok(())
            }
        }
    }
}

/// What stands in `text` between `name` and the line's end.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_once(name)?.1.split("\r\n").next()
}
