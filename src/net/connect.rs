//! A connection, of whichever kind.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::tls::trusting;
use super::upstream::Address;

/// Opens connections.
#[derive(Clone, Default)]
pub(super) struct Connector {
    tls: Arc<Mutex<Option<TlsConnector>>>,
}

/// A connection to another server.
pub(super) struct Stream(Box<dyn Line>);

trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Line for S {}

impl Connector {
    /// Opens one; on the thread of the network.
    ///
    /// # Errors
    /// Whatever the system says, or that the other server is not the one that it was said to be.
    pub(super) async fn connect(&self, address: Address) -> io::Result<Stream> {
        match address {
            Address::Unix(path) => Ok(Stream(Box::new(UnixStream::connect(path).await?))),
            Address::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                // A body's last piece is not to wait for the one before to be acknowledged.
                let _ = stream.set_nodelay(true);
                if !tls {
                    return Ok(Stream(Box::new(stream)));
                }
                let name = ServerName::try_from(host).map_err(io::Error::other)?;
                let stream = self.tls()?.connect(name, stream).await?;
                Ok(Stream(Box::new(stream)))
            }
        }
    }

    /// TLS by the certificates that this system trusts; read when they are first needed.
    fn tls(&self) -> io::Result<TlsConnector> {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &*tls {
            return Ok(tls.clone());
        }
        Ok(tls.insert(trusting()?).clone())
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
