//! A tus 1.0 client that blocks. It creates, appends, asks where it stands and goes on, and keeps the furthest offset that
//! an answer has told it: what no crash may take back.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Reply;

/// An upload that has been created; the server may have another address since.
#[derive(Clone, Debug)]
pub(crate) struct Tus {
    /// Its path, as `Location` told it.
    pub(crate) url: String,
    /// The furthest offset that an answer has acknowledged.
    pub(crate) told: u64,
}

impl Tus {
    /// Creates an upload of `length` bytes, or of a length to be said later, and sends `first` along unless it is empty.
    /// `metadata` as in `Upload-Metadata`.
    ///
    /// # Errors
    /// Where the line breaks.
    ///
    /// # Panics
    /// When the answer is not 201 with all that it must have.
    pub(crate) fn create(
        server: SocketAddr,
        length: Option<u64>,
        metadata: &str,
        first: &[u8],
    ) -> io::Result<Self> {
        let length = match length {
            Some(length) => format!("Upload-Length: {length}\r\n"),
            None => "Upload-Defer-Length: 1\r\n".to_owned(),
        };
        Self::create_with(server, &length, metadata, first)
    }

    /// The same, with header lines, each ending in CRLF, in the place of a length.
    ///
    /// # Errors
    /// Where the line breaks.
    ///
    /// # Panics
    /// When the answer is not 201 with all that it must have.
    pub(crate) fn create_with(
        server: SocketAddr,
        headers: &str,
        metadata: &str,
        first: &[u8],
    ) -> io::Result<Self> {
        let body = match first.is_empty() {
            true => "",
            false => "Content-Type: application/offset+octet-stream\r\n",
        };
        let headers = format!("{headers}{body}Upload-Metadata: {metadata}\r\n");
        let reply = request(server, "POST", "/files/", &headers, first)?;
        assert_eq!(reply.status, 201, "{reply:?}");
        let url = reply.header("location").expect("201 has Location");
        let mut tus = Self {
            url: url.to_owned(),
            told: 0,
        };
        tus.note(&reply);
        assert!(first.is_empty() || tus.told == first.len() as u64);
        Ok(tus)
    }

    /// The upload's id, the last component of its path.
    pub(crate) fn id(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// PATCH of `bytes` at `offset`, with further header lines, each ending in CRLF.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn patch(
        &mut self,
        server: SocketAddr,
        offset: u64,
        headers: &str,
        bytes: &[u8],
    ) -> io::Result<Reply> {
        let headers = format!("{}{headers}", Self::appends(offset));
        let reply = request(server, "PATCH", &self.url, &headers, bytes)?;
        if matches!(reply.status, 200..300) {
            self.note(&reply);
        }
        Ok(reply)
    }

    /// Begins a PATCH of `length` bytes of which only `bytes` are sent; whoever drops the line cuts it.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn begin_patch(
        &self,
        server: SocketAddr,
        offset: u64,
        length: usize,
        bytes: &[u8],
    ) -> io::Result<TcpStream> {
        let mut line = connect(server)?;
        let head = head("PATCH", &self.url, &Self::appends(offset), length);
        line.write_all(head.as_bytes())?;
        line.write_all(bytes)?;
        Ok(line)
    }

    /// HEAD: where the upload stands.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn head(&mut self, server: SocketAddr) -> io::Result<Reply> {
        let reply = request(server, "HEAD", &self.url, "", b"")?;
        if matches!(reply.status, 200..300) {
            self.note(&reply);
        }
        Ok(reply)
    }

    /// Goes on where the server stands, in one PATCH, unless all is there: `content` is the whole upload. Says its length
    /// where the server does not know it.
    ///
    /// # Errors
    /// Where the line breaks.
    ///
    /// # Panics
    /// When the server stands before what it told, does not know the upload or refuses the rest.
    pub(crate) fn finish(&mut self, server: SocketAddr, content: &[u8]) -> io::Result<()> {
        let told = self.told;
        let reply = self.head(server)?;
        assert!(matches!(reply.status, 200 | 204), "{self:?}: {reply:?}");
        let offset = offset(&reply);
        assert!(offset >= told, "{told} was told, and now {reply:?}");
        let deferred = reply.header("upload-defer-length").is_some();
        if offset < content.len() as u64 || deferred {
            let length = match deferred {
                true => format!("Upload-Length: {}\r\n", content.len()),
                false => String::new(),
            };
            let from = usize::try_from(offset).expect("an offset within the content");
            let reply = self.patch(server, offset, &length, &content[from..])?;
            assert_eq!(reply.status, 204, "{self:?}: {reply:?}");
            assert_eq!(self.told, content.len() as u64, "{self:?}: {reply:?}");
        }
        Ok(())
    }

    /// DELETE: ends the upload.
    ///
    /// # Errors
    /// Where the line breaks.
    pub(crate) fn terminate(&self, server: SocketAddr) -> io::Result<Reply> {
        request(server, "DELETE", &self.url, "", b"")
    }

    fn appends(offset: u64) -> String {
        format!("Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n")
    }

    fn note(&mut self, reply: &Reply) {
        if reply.header("upload-offset").is_some() {
            self.told = self.told.max(offset(reply));
        }
    }
}

/// `Upload-Offset` of an answer that must have it.
pub(crate) fn offset(reply: &Reply) -> u64 {
    let offset = reply.header("upload-offset").map(str::parse);
    let Some(Ok(offset)) = offset else {
        panic!("no Upload-Offset: {reply:?}");
    };
    offset
}

/// One pair of `Upload-Metadata`.
pub(crate) fn pair(key: &str, value: &str) -> String {
    format!("{key} {}", STANDARD.encode(value))
}

/// A whole request of tus, with further header lines, each ending in CRLF, and its whole answer.
///
/// # Errors
/// Where the line breaks before the answer is whole.
pub(crate) fn request(
    server: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<Reply> {
    let mut line = connect(server)?;
    line.write_all(head(method, target, headers, body.len()).as_bytes())?;
    // An answer may come before all of the body is taken: then what is sent in vain is no error yet.
    let sent = line.write_all(body);
    match method {
        "HEAD" => Reply::head(&mut line),
        _ => Reply::try_read(&mut line),
    }
    .map_err(|e| sent.err().unwrap_or(e))
}

fn head(method: &str, target: &str, headers: &str, length: usize) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let line = TcpStream::connect(server)?;
    line.set_read_timeout(Some(Duration::from_secs(60)))?;
    line.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(line)
}
