//! The pump, on a data thread: body → tap → handlers → store, the only place where they meet.

use bytes::Bytes;

use crate::error::Error;
use crate::upload::FileHead;

/// Finds files and fields in the bytes of a body.
///
/// A pure state machine: no I/O, no clock. It can be saved at any byte and restored, in at most 16 KiB (DECISIONS 1).
pub trait Split: Send {
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
}
