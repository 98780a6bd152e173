//! memcached's text protocol: `set` and `delete`, a reply a line.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};

use super::cache::Trouble;
use super::table::Write;

/// Django's flag for a pickled value (pymemcache, python-memcached and pylibmc agree).
const PICKLED: u8 = 1;

/// The longest reply that is read.
const LINE: u64 = 1024;

/// A connection; whatever kind it is.
pub(super) struct Memcached(BufReader<Box<dyn Stream>>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Memcached {
    pub(super) async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(Box::new(stream))))
    }

    pub(super) async fn socket(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path).await?;
        Ok(Self(BufReader::new(Box::new(stream))))
    }

    /// Writes all at once and reads a reply to each; says of each whether it was taken.
    pub(super) async fn write(
        &mut self,
        writes: &[Write],
        ttl: Duration,
    ) -> Result<Vec<bool>, Trouble> {
        let mut request = Vec::new();
        for write in writes {
            put(&mut request, write, ttl);
        }
        self.0.get_mut().write_all(&request).await?;
        let mut taken = Vec::with_capacity(writes.len());
        for write in writes {
            taken.push(self.reply(write).await?);
        }
        match self.0.buffer() {
            [] => Ok(taken),
            more => Err(strange(more)),
        }
    }

    /// Whether what was asked has been done.
    async fn reply(&mut self, write: &Write) -> Result<bool, Trouble> {
        use tokio::io::AsyncReadExt as _;
        let mut line = Vec::new();
        (&mut self.0)
            .take(LINE)
            .read_until(b'\n', &mut line)
            .await?;
        match (line.trim_ascii_end(), &write.value) {
            (b"STORED", Some(_)) | (b"DELETED" | b"NOT_FOUND", None) => Ok(true),
            // Full, say.
            (refused, _) if refused.starts_with(b"SERVER_ERROR ") => Ok(false),
            (b"", _) => Err("it closed the connection".into()),
            (other, _) => Err(strange(other)),
        }
    }
}

/// No answer of memcached's to what it was asked.
fn strange(reply: &[u8]) -> Trouble {
    let reply = &reply[..reply.len().min(80)];
    format!("it answers {:?}", String::from_utf8_lossy(reply)).into()
}

fn put(request: &mut Vec<u8>, write: &Write, ttl: Duration) {
    let key = &write.key;
    match &write.value {
        Some(value) => {
            let (seconds, bytes) = (ttl.as_secs().max(1), value.len());
            request.extend(format!("set {key} {PICKLED} {seconds} {bytes}\r\n").into_bytes());
            request.extend(value);
        }
        None => request.extend(format!("delete {key}").into_bytes()),
    }
    request.extend(b"\r\n");
}

impl std::fmt::Debug for Memcached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memcached").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str, value: Option<&[u8]>) -> Write {
        Write {
            key: key.to_owned(),
            value: value.map(<[u8]>::to_vec),
            stamp: 0,
        }
    }

    /// What is told of a server that answers so.
    async fn told(reply: &str) -> Result<Vec<bool>, String> {
        let (near, far) = tokio::io::duplex(4096);
        let mut memcached = Memcached(BufReader::new(Box::new(near)));
        let (_reader, mut writer) = tokio::io::split(far);
        writer.write_all(reply.as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
        let writes = [write("a", Some(b"1")), write("b", None)];
        let told = memcached.write(&writes, Duration::from_secs(300)).await;
        told.map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn values_go_with_the_flag_of_a_pickle_and_their_time() {
        let mut request = Vec::new();
        put(
            &mut request,
            &write(":1:a_7", Some(b"\x80.")),
            Duration::from_secs(300),
        );
        put(
            &mut request,
            &write(":1:a_7", None),
            Duration::from_secs(300),
        );
        assert_eq!(request, b"set :1:a_7 1 300 2\r\n\x80.\r\ndelete :1:a_7\r\n");
    }

    #[tokio::test]
    async fn each_reply_is_read_and_a_strange_one_ends_the_connection() {
        assert_eq!(told("STORED\r\nDELETED\r\n").await, Ok(vec![true, true]));
        assert_eq!(
            told("SERVER_ERROR out of memory\r\nNOT_FOUND\r\n").await,
            Ok(vec![false, true])
        );
        assert!(told("DELETED\r\nSTORED\r\n").await.is_err());
        assert!(told("STORED\r\nDELETED\r\nSTORED\r\n").await.is_err());
        assert!(told("STORED\r\n").await.unwrap_err().contains("closed"));
        assert!(told("ERROR\r\n").await.unwrap_err().contains("\"ERROR\""));
        let endless = "x".repeat(4000);
        assert!(told(&endless).await.is_err());
    }
}
