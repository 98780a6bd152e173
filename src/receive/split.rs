//! What turns a body into files and fields: the trait, and the splitter of a body that is one file.

use bytes::Bytes;

use crate::error::Error;
use crate::upload::FileHead;

/// Finds files and fields in the bytes of a body.
///
/// A pure state machine: no I/O, no clock. It can be saved at any byte and restored, in at most 16 KiB.
pub trait Split: Send {
    /// Says what is known of the body before its first byte, so that it can be refused before the client sends it.
    fn begin(&mut self, pieces: &mut Vec<Piece>) {
        let _ = pieces;
    }

    /// Takes the next bytes of the body and appends what they hold to `pieces`, as slices without a copy.
    ///
    /// # Errors
    /// [`Error::MalformedForm`], [`Error::LimitExceeded`].
    fn split(&mut self, frame: Bytes, pieces: &mut Vec<Piece>) -> Result<(), Error>;

    /// Says that the body has ended.
    ///
    /// # Errors
    /// [`Error::Truncated`] when something was still to come.
    fn finish(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Error>;

    /// The state between two frames.
    fn save(&self) -> Vec<u8>;

    /// Takes up a saved state.
    ///
    /// # Errors
    /// [`Error::Store`] when the state is not one that this splitter wrote.
    fn restore(&mut self, state: &[u8]) -> Result<(), Error>;
}

/// What a body holds, in the order in which it comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A file begins.
    File(FileHead),
    /// A form field that is no file begins, of this name.
    Field(String),
    /// Bytes of what began last, any number.
    Data(Bytes),
    /// What began last is complete.
    End,
    /// Bytes that belong to no part, or are a part's head: told only where they were asked for.
    Between(Bytes),
}

/// Of what the body of an upload is made that outlives its requests.
pub(crate) enum Shape {
    /// All of it is one file.
    File(FileHead),
    /// The same, and the requests that bring its bytes say more of it: it begins with its first byte.
    Later(FileHead),
    /// Files and fields, as this splitter finds them from the first byte on: of an upload by `Protocol::Form`.
    Form(Box<dyn Split>),
}

impl Shape {
    /// The head of its only file, where that has begun.
    pub(crate) fn head(&self) -> Option<&FileHead> {
        match self {
            Self::File(head) => Some(head),
            Self::Later(_) | Self::Form(_) => None,
        }
    }
}

/// Splits a raw body: all of it is one file.
#[derive(Debug)]
pub struct Raw {
    /// The file's head, until it has been told.
    head: Option<FileHead>,
}

impl Raw {
    /// A body that is the file `head` speaks of.
    #[must_use]
    pub fn new(head: FileHead) -> Self {
        Self { head: Some(head) }
    }

    /// A body that is a file of which somebody else tells.
    pub(super) fn told() -> Self {
        Self { head: None }
    }
}

impl Split for Raw {
    fn begin(&mut self, pieces: &mut Vec<Piece>) {
        pieces.extend(self.head.take().map(Piece::File));
    }

    fn split(&mut self, frame: Bytes, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        self.begin(pieces);
        pieces.push(Piece::Data(frame));
        Ok(())
    }

    fn finish(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        self.begin(pieces);
        pieces.push(Piece::End);
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        vec![u8::from(self.head.is_none())]
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        match state {
            [0] => {}
            [1] => self.head = None,
            _ => return Err(Error::store("this is not the state of a raw body")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_body_is_an_empty_file() {
        let mut pieces = Vec::new();
        Raw::new(FileHead::default()).finish(&mut pieces).unwrap();
        assert_eq!(pieces, [Piece::File(FileHead::default()), Piece::End]);
    }

    #[test]
    fn a_restored_body_does_not_begin_its_file_again() {
        let (mut raw, mut pieces) = (Raw::new(FileHead::default()), Vec::new());
        raw.split(Bytes::from_static(b"one"), &mut pieces).unwrap();
        let mut later = Raw::new(FileHead::default());
        later.restore(&raw.save()).unwrap();
        pieces.clear();
        later.finish(&mut pieces).unwrap();
        assert_eq!(pieces, [Piece::End]);
        assert!(later.restore(b"?").is_err());
    }
}
