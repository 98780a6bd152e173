//! Uploads in pieces by all that is not tus: the draft of the IETF at its own address, by PUT and by form; FilePond;
//! Dropzone. One client for all of them, which blocks.

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::tus::offset;
use super::{Reply, form, part};

/// A way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// The draft of the IETF, at its own address.
    Ietf,
    /// The same, as an upgrade of PUT.
    Put,
    /// The same, as an upgrade of a form.
    Form,
    FilePond,
    Dropzone,
}

/// All of them.
pub(crate) const WAYS: [Way; 5] = [Way::Ietf, Way::Put, Way::Form, Way::FilePond, Way::Dropzone];

/// An upload of which the client knows the id.
#[derive(Clone)]
pub(crate) struct Pieces {
    pub(crate) way: Way,
    /// The name of its file; of a form's upload, a name for it.
    pub(crate) name: String,
    /// All bytes that it is made of.
    pub(crate) body: Arc<[u8]>,
    /// Its path below `/files/`.
    pub(crate) url: String,
    /// The furthest offset that the client was told.
    pub(crate) told: u64,
    /// The server to which a request was cut that may still be on its way.
    pub(crate) cut_at: Option<SocketAddr>,
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, told, length) = (self.way, self.told, self.length());
        write!(
            f,
            "{} by {way:?}, {told} of {length}, at {}",
            self.name, self.url
        )
    }
}

impl Pieces {
    /// Creates an upload with its first bytes, as many as the way takes; all of them complete it.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn create(
        server: SocketAddr,
        way: Way,
        name: String,
        body: Arc<[u8]>,
        first: usize,
    ) -> io::Result<Self> {
        let mut pieces = Self {
            way,
            name,
            body,
            url: String::new(),
            told: 0,
            cut_at: None,
        };
        let first = match way {
            Way::FilePond => 0,
            Way::Dropzone => pieces.chunk_end(0),
            _ => first.min(pieces.length()),
        };
        let (line, headers, sent) = pieces.begins(first);
        let reply = exchange(server, &line, &headers, &sent)?;
        assert!(matches!(reply.status, 200 | 201), "{pieces:?}: {reply:?}");
        let id = match way {
            Way::FilePond => reply.text().to_owned(),
            Way::Dropzone => reply.json()["id"].as_str().unwrap().to_owned(),
            _ => {
                let location = reply.header("location").expect("a creation has Location");
                location.rsplit('/').next().unwrap().to_owned()
            }
        };
        pieces.url = format!("/files/{id}");
        pieces.told = first as u64;
        Ok(pieces)
    }

    /// The request that creates it.
    fn begins(&self, first: usize) -> (String, String, Vec<u8>) {
        let (name, body) = (&self.name, &self.body);
        let complete = u8::from(first == body.len());
        let said = format!("Upload-Complete: ?{complete}\r\n");
        let sent = body[..first].to_vec();
        match self.way {
            Way::FilePond => (
                "POST /filepond".into(),
                format!("{FORM}Upload-Length: {}\r\n", body.len()),
                form(&[part("filepond", None, b"{}")]),
            ),
            Way::Dropzone => self.chunk(0, first),
            Way::Put => (format!("PUT /files/{name}"), said, sent),
            Way::Form => ("POST /upload".into(), format!("{FORM}{said}"), sent),
            Way::Ietf => (
                "POST /files/".into(),
                format!("{said}Content-Disposition: attachment; filename=\"{name}\"\r\n"),
                sent,
            ),
        }
    }

    /// The request that brings the bytes from `at` to `end`.
    fn appends(&self, at: usize, end: usize) -> (String, String, Vec<u8>) {
        let sent = self.body[at..end].to_vec();
        match self.way {
            Way::Dropzone => self.chunk(at, end),
            Way::FilePond => (
                format!("PATCH /filepond?patch={}", self.id()),
                format!(
                    "Content-Type: application/offset+octet-stream\r\nUpload-Offset: {at}\r\nUpload-Length: {}\r\n\
                     Upload-Name: {}\r\n",
                    self.length(),
                    self.name
                ),
                sent,
            ),
            _ => (
                format!("PATCH {}", self.url),
                format!(
                    "Content-Type: application/partial-upload\r\nUpload-Offset: {at}\r\nUpload-Complete: ?{}\r\n",
                    u8::from(end == self.length())
                ),
                sent,
            ),
        }
    }

    /// A chunk of Dropzone's.
    fn chunk(&self, at: usize, end: usize) -> (String, String, Vec<u8>) {
        let (size, total) = (self.chunk_size(), self.length());
        let field = |name: &str, value: usize| part(name, None, value.to_string().as_bytes());
        let sent = form(&[
            part("dzuuid", None, self.name.as_bytes()),
            field("dzchunkindex", at / size),
            field("dztotalfilesize", total),
            field("dzchunksize", size),
            field("dztotalchunkcount", total.div_ceil(size).max(1)),
            field("dzchunkbyteoffset", at),
            part("file", Some(&self.name), &self.body[at..end]),
        ]);
        let headers =
            format!("{FORM}X-Requested-With: XMLHttpRequest\r\nAccept: application/json\r\n");
        ("POST /upload".into(), headers, sent)
    }

    fn chunk_size(&self) -> usize {
        self.length().div_ceil(5).max(10)
    }

    /// Where the chunk ends that begins there.
    fn chunk_end(&self, at: usize) -> usize {
        (at + self.chunk_size()).min(self.length())
    }

    /// Where a request may end that begins there and would end at `end`.
    pub(crate) fn end(&self, at: usize, end: usize) -> usize {
        match self.way {
            Way::Dropzone => self.chunk_end(at),
            _ => end,
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.body.len()
    }

    /// Where its files are to be had, so many.
    pub(crate) fn urls(&self, files: usize) -> Vec<String> {
        let rest = (1..files).map(|index| format!("{}/{index}", self.url));
        [self.url.clone()].into_iter().chain(rest).collect()
    }

    pub(crate) fn id(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// HEAD: where the upload stands, and whether it is complete.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn head(&mut self, server: SocketAddr) -> io::Result<Reply> {
        let reply = exchange(server, &format!("HEAD {}", self.url), "", b"")?;
        if matches!(reply.status, 200..300) {
            self.told = self.told.max(offset(&reply));
        }
        Ok(reply)
    }

    /// Brings the bytes from `at` to `end`; the last ones end the upload.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn append(
        &mut self,
        server: SocketAddr,
        at: usize,
        end: usize,
    ) -> io::Result<Reply> {
        let (line, headers, sent) = self.appends(at, end);
        let reply = exchange(server, &line, &headers, &sent)?;
        if matches!(reply.status, 200..300) {
            self.told = self.told.max(end as u64);
        }
        Ok(reply)
    }

    /// Begins to bring them, and sends only `some`, fewer than all; whoever drops the line cuts it.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn begin(
        &self,
        server: SocketAddr,
        at: usize,
        end: usize,
        some: usize,
    ) -> io::Result<TcpStream> {
        let (line, headers, sent) = self.appends(at, end);
        let mut stream = connect(server)?;
        stream.write_all(head(&line, &headers, sent.len()).as_bytes())?;
        let some = some.min((end - at).saturating_sub(1));
        let before = match self.way {
            // The fields of a chunk's form; behind its bytes stands the form's end.
            Way::Dropzone => sent.len() - (end - at) - b"\r\n--b--\r\n".len(),
            _ => 0,
        };
        stream.write_all(&sent[..before + some])?;
        Ok(stream)
    }

    /// Goes on where the server stands until all is there.
    ///
    /// # Errors
    /// Where the line breaks.
    ///
    /// # Panics
    /// When the server stands before what it told, does not know the upload or refuses the rest.
    pub(crate) fn finish(&mut self, server: SocketAddr) -> io::Result<()> {
        let (told, length) = (self.told, self.length());
        let mut reply = self.head(server)?;
        assert!(matches!(reply.status, 200 | 204), "{self:?}: {reply:?}");
        assert!(offset(&reply) >= told, "{told} was told, and now {reply:?}");
        while !is_complete(&reply) {
            let at = usize::try_from(offset(&reply)).unwrap();
            let added = self.append(server, at, self.end(at, length))?;
            assert!(
                matches!(added.status, 200..300),
                "{self:?} at {at}: {added:?}"
            );
            reply = self.head(server)?;
        }
        assert_eq!(offset(&reply), length as u64, "{self:?}: {reply:?}");
        Ok(())
    }

    /// DELETE: ends the upload.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn terminate(&self, server: SocketAddr) -> io::Result<Reply> {
        exchange(server, &format!("DELETE {}", self.url), "", b"")
    }
}

/// The kind of a form's body.
const FORM: &str = "Content-Type: multipart/form-data; boundary=b\r\n";

/// Whether an answer to HEAD says that all is there and stored.
pub(crate) fn is_complete(reply: &Reply) -> bool {
    reply.header("upload-complete") == Some("?1")
}

/// A whole request, with further header lines, each ending in CRLF, and its whole answer.
pub(crate) fn exchange(
    server: SocketAddr,
    line: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<Reply> {
    let mut stream = connect(server)?;
    stream.write_all(head(line, headers, body.len()).as_bytes())?;
    // An answer may come before all of the body is taken: then what is sent in vain is no error yet.
    let sent = stream.write_all(body);
    match line.starts_with("HEAD") {
        true => Reply::head(&mut stream),
        false => Reply::try_read(&mut stream),
    }
    .map_err(|e| sent.err().unwrap_or(e))
}

fn head(line: &str, headers: &str, length: usize) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n")
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let line = TcpStream::connect(server)?;
    line.set_read_timeout(Some(Duration::from_secs(60)))?;
    line.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(line)
}
