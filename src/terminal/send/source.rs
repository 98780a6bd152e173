//! Bytes of a file or of standard input, as bodies.
//!
//! A file is read while it is sent, on a thread that may wait for the disk. What cannot be read twice, or has to be added
//! up before it is sent, comes in pieces that are kept in memory until the server has them.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::terminal::http::{Pulse, Sent};
use crate::terminal::notes::Shape;

/// Bytes that are read and sent at once.
const CHUNK: usize = 256 * 1024;

/// Chunks that are read ahead of the line.
const AHEAD: usize = 4;

/// Bytes of a piece that is kept in memory.
pub(super) const PIECE: u64 = 8 * 1024 * 1024;

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A file, as it was when it was opened.
    File(Arc<File>, Shape),
    /// Standard input, of which this has been read and not yet been taken.
    Pipe(Pipe),
}

/// What has been read of standard input last.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    begin: u64,
    kept: Bytes,
    has_ended: bool,
}

/// Bytes of one request.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) length: u64,
    /// Whether nothing follows.
    pub(super) is_last: bool,
    from: From,
}

#[derive(Debug)]
enum From {
    File {
        file: Arc<File>,
        shape: Shape,
        offset: u64,
    },
    Memory(Bytes),
}

impl Source {
    /// How long it is, where that is known before its end.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::File(_, shape) => Some(shape.length),
            Self::Pipe(pipe) => pipe.has_ended.then(|| pipe.begin + pipe.kept.len() as u64),
        }
    }

    /// What comes from `offset` on, `most` bytes if there are as many. `in_memory`: it is wanted to be looked at before.
    ///
    /// # Errors
    /// When it cannot be read, or not any more.
    pub(super) async fn piece(
        &mut self,
        offset: u64,
        most: Option<u64>,
        in_memory: bool,
    ) -> io::Result<Piece> {
        match self {
            Self::File(file, shape) => {
                let left = shape.length.saturating_sub(offset);
                let most = if in_memory {
                    most.unwrap_or(PIECE).min(PIECE)
                } else {
                    most.unwrap_or(left)
                };
                let length = left.min(most);
                let from = match in_memory {
                    true => From::Memory(read(Arc::clone(file), offset, length).await?),
                    false => From::File {
                        file: Arc::clone(file),
                        shape: *shape,
                        offset,
                    },
                };
                Ok(Piece {
                    length,
                    is_last: length == left,
                    from,
                })
            }
            Self::Pipe(pipe) => pipe.piece(offset, most.unwrap_or(PIECE).min(PIECE)).await,
        }
    }
}

impl Pipe {
    async fn piece(&mut self, offset: u64, most: u64) -> io::Result<Piece> {
        let end = self.begin + self.kept.len() as u64;
        if offset == end && !self.has_ended {
            (self.begin, self.kept) = (end, Bytes::new());
            let read = blocking(move || read_pipe(most)).await?;
            self.has_ended = (read.len() as u64) < most;
            self.kept = read;
        }
        let end = self.begin + self.kept.len() as u64;
        if offset < self.begin || offset > end {
            return Err(io::Error::other(
                "the server has lost bytes of standard input, which cannot be read again",
            ));
        }
        let rest = self
            .kept
            .slice(usize::try_from(offset - self.begin).unwrap_or(usize::MAX)..);
        Ok(Piece {
            length: rest.len() as u64,
            is_last: self.has_ended,
            from: From::Memory(rest),
        })
    }
}

impl Piece {
    /// Its bytes, where they are in memory.
    pub(super) fn bytes(&self) -> Option<&Bytes> {
        match &self.from {
            From::Memory(bytes) => Some(bytes),
            From::File { .. } => None,
        }
    }

    /// Whether the file is no longer what it was.
    pub(super) fn has_changed(&self) -> bool {
        match &self.from {
            From::File { file, shape, .. } => is_another(file, *shape),
            From::Memory(_) => false,
        }
    }

    /// It as a request's body. `sent` counts what the line has taken, and `pulse` beats with it.
    pub(super) fn body(&self, sent: &Arc<AtomicU64>, pulse: &Pulse) -> Sent {
        let (put, chunks) = mpsc::channel(AHEAD);
        match &self.from {
            &From::File {
                ref file,
                shape,
                offset,
            } => {
                let (file, length) = (Arc::clone(file), self.length);
                tokio::task::spawn_blocking(move || {
                    read_ahead(&file, shape, offset, length, &put);
                });
            }
            From::Memory(bytes) => {
                let mut bytes = bytes.clone();
                tokio::spawn(async move {
                    while !bytes.is_empty() {
                        let chunk = bytes.split_to(bytes.len().min(CHUNK));
                        if put.send(Ok(chunk)).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
        let body = Body {
            chunks,
            left: self.length,
            sent: Arc::clone(sent),
            pulse: pulse.clone(),
        };
        body.boxed_unsync()
    }
}

/// SHA-256 of a whole file.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn digest(file: Arc<File>, length: u64) -> io::Result<[u8; 32]> {
    blocking(move || {
        let (mut hash, mut offset, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
        while offset < length {
            let read = file.read_at(&mut chunk, offset)?;
            if read == 0 {
                return Err(shorter());
            }
            hash.update(&chunk[..read]);
            offset += read as u64;
        }
        Ok(hash.finalize().into())
    })
    .await
}

/// The last bytes are given only while the file is what it was: no upload ends that is made of two files.
fn read_ahead(
    file: &File,
    shape: Shape,
    from: u64,
    length: u64,
    put: &mpsc::Sender<io::Result<Bytes>>,
) {
    let (mut offset, end) = (from, from + length);
    while offset < end {
        let mut read = read_some(file, offset, end - offset);
        if read
            .as_ref()
            .is_ok_and(|read| offset + read.len() as u64 >= end)
            && is_another(file, shape)
        {
            read = Err(io::Error::other("the file has changed"));
        }
        let failed = read.is_err();
        offset += read.as_ref().map_or(0, |chunk| chunk.len() as u64);
        // Whoever took them may have gone.
        if put.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

/// Whether a file is no longer what it was.
pub(super) fn is_another(file: &File, shape: Shape) -> bool {
    file.metadata().is_ok_and(|now| Shape::of(&now) != shape)
}

fn read_some(file: &File, offset: u64, left: u64) -> io::Result<Bytes> {
    let mut chunk = BytesMut::zeroed(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK));
    let read = file.read_at(&mut chunk, offset)?;
    if read == 0 {
        return Err(shorter());
    }
    chunk.truncate(read);
    Ok(chunk.freeze())
}

async fn read(file: Arc<File>, offset: u64, length: u64) -> io::Result<Bytes> {
    blocking(move || {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    })
    .await
}

fn read_pipe(most: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn shorter() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file has become shorter while it was sent",
    )
}

struct Body {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    sent: Arc<AtomicU64>,
    pulse: Pulse,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        if let Some(Ok(chunk)) = &chunk {
            let bytes = chunk.len() as u64;
            self.left = self.left.saturating_sub(bytes);
            self.sent.fetch_add(bytes, Ordering::Relaxed);
            self.pulse.beat();
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(piece: &Piece) -> Result<Bytes, io::Error> {
        let body = piece.body(&Arc::default(), &Pulse::new());
        Ok(body.collect().await?.to_bytes())
    }

    fn source(path: &std::path::Path) -> Source {
        let file = File::open(path).unwrap();
        let shape = Shape::of(&file.metadata().unwrap());
        Source::File(Arc::new(file), shape)
    }

    #[tokio::test]
    async fn any_piece_of_a_file_can_be_had_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes: Vec<u8> = (0..600_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut source = source(&path);
        assert_eq!(source.length(), Some(600_000));
        for (offset, most, in_memory, length, is_last) in [
            (0, None, false, 600_000, true),
            (0, Some(500_000), true, 500_000, false),
            (500_000, Some(500_000), false, 100_000, true),
            (600_000, None, false, 0, true),
            (1, Some(1), true, 1, false),
        ] {
            let piece = source.piece(offset, most, in_memory).await.unwrap();
            assert_eq!((piece.length, piece.is_last), (length, is_last), "{offset}");
            let from = usize::try_from(offset).unwrap();
            let wanted = &bytes[from..][..usize::try_from(length).unwrap()];
            assert_eq!(all(&piece).await.unwrap(), wanted, "{offset}");
            assert!(!piece.has_changed());
        }
    }

    #[tokio::test]
    async fn a_file_that_has_changed_is_never_given_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for other in ["as long", "less", "longer than before"] {
            std::fs::write(&path, "before!").unwrap();
            let mut source = source(&path);
            // One write may follow the other within a tick of the file system's clock.
            std::fs::write(&path, other).unwrap();
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(later)
                .unwrap();
            let piece = source.piece(0, None, false).await.unwrap();
            assert!(all(&piece).await.is_err(), "{other}");
            assert!(piece.has_changed());
        }
    }
}
