//! What of a form is no file's: with the files in their places it is the form again, byte for byte.

#[cfg(feature = "server")]
use bytes::Bytes;

use super::Received;
use super::pieces::limit;
use crate::error::{Error, Refusal};

/// A form without the bytes of its files, kept while it comes.
#[derive(Debug)]
pub(super) struct Growing {
    most: usize,
    bytes: Vec<u8>,
    files: Vec<Gap>,
    /// Bytes of the current file as they came.
    came: u64,
}

/// Where a file stands in a skeleton.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Gap {
    /// So many bytes of the skeleton come before it.
    at: usize,
    length: u64,
}

/// The same when all of the form has come.
#[cfg(feature = "server")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Skeleton {
    bytes: Bytes,
    files: Vec<Gap>,
}

/// A piece of a form that is put together again.
#[cfg(feature = "server")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Span {
    /// These bytes, never none.
    Bytes(Bytes),
    /// All of this file, which has that many bytes.
    File { index: usize, length: u64 },
}

impl Growing {
    /// Of a form that may have `most` bytes beside its files.
    fn new(most: usize) -> Self {
        Self {
            most,
            bytes: Vec::new(),
            files: Vec::new(),
            came: 0,
        }
    }

    /// Copies: a slice would keep all of the frame in which it came.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let many = self.bytes.len() + bytes.len();
        limit("bytes in a form beside its files", many, self.most)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn end_file(&mut self, stored: u64) -> Result<(), Error> {
        let length = std::mem::take(&mut self.came);
        if length != stored {
            return Err(changed());
        }
        let at = self.bytes.len();
        self.files.push(Gap { at, length });
        Ok(())
    }
}

/// Something else than what the client sent would go to the app.
fn changed() -> Error {
    let words = "a file of this form was left out or changed here, and the app is to get the form as it was sent";
    Refusal::new(words).into()
}

impl Received {
    /// Keeps what of the form is no file's, at most that many bytes. Of a parser that tells of it; called before the first
    /// byte.
    pub(crate) fn keep_skeleton(&mut self, most: usize) {
        self.skeleton = Some(Box::new(Growing::new(most)));
    }

    /// The form's skeleton, where it was kept and all of the form has come.
    #[cfg(feature = "server")]
    pub(super) fn take_skeleton(&mut self) -> Option<Skeleton> {
        self.skeleton.take().map(|growing| Skeleton {
            bytes: growing.bytes.into(),
            files: growing.files,
        })
    }

    /// Bytes that are no file's.
    pub(super) fn beside(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.skeleton {
            Some(skeleton) => skeleton.push(bytes),
            None => Ok(()),
        }
    }

    /// Bytes of the current file, as they came.
    pub(super) fn count_for_skeleton(&mut self, bytes: usize) {
        if let Some(skeleton) = &mut self.skeleton {
            skeleton.came += bytes as u64;
        }
    }

    /// The current file is complete, and is that long where it is stored.
    pub(super) fn file_in_skeleton(&mut self, stored: u64) -> Result<(), Error> {
        match &mut self.skeleton {
            Some(skeleton) => skeleton.end_file(stored),
            None => Ok(()),
        }
    }

    /// Whether a file may be left out of the upload.
    pub(super) fn may_skip(&self) -> Result<(), Error> {
        match self.skeleton {
            Some(_) => Err(changed()),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "server")]
impl Skeleton {
    /// How long the form is, in bytes.
    pub(crate) fn length(&self) -> u64 {
        let files = self.files.iter().map(|file| file.length);
        files.sum::<u64>() + self.bytes.len() as u64
    }

    /// The form from its first byte to its last.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let (mut spans, mut from) = (Vec::new(), 0);
        for (index, Gap { at, length }) in self.files.iter().copied().enumerate() {
            spans.push(Span::Bytes(self.bytes.slice(from..at)));
            spans.push(Span::File { index, length });
            from = at;
        }
        spans.push(Span::Bytes(self.bytes.slice(from..)));
        spans.retain(|span| span.length() > 0);
        spans
    }
}

#[cfg(feature = "server")]
impl Span {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}
