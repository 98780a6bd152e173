//! Our form parser: finds the files and fields of a `multipart/form-data` body in place.
//!
//! ```text
//! preamble ─► delimiter ─► head ─► body ─► delimiter ─► head ─► … ─► delimiter "--" ─► epilogue
//!             ╰ what is behind it tells whether a part follows or the form ends
//! ```
//!
//! Bytes of parts are handed on as slices of the frame in which they came. Between two frames nothing is kept but a
//! part's unfinished head and the number of bytes that may begin a delimiter: those bytes need not be stored, since they
//! are the delimiter's own. So what a parser holds does not depend on the body, and it can be saved at any byte.
//!
//! Where RFC 2046 and real clients leave room, the parser is strict: two readers of one form that understand it
//! differently are how filters are by-passed. It takes CR LF alone as a line's end, and a line that begins with the
//! boundary and goes on otherwise than with `--`, blanks or a line end is an error, not data (RFC 2046 §5.1.1 forbids
//! clients to send it). A part that is `multipart/mixed` itself is a part like any other.

mod head;
mod saved;
mod scan;

use bytes::{Buf, Bytes};

use super::headers::Boundary;
use crate::error::Error;
use crate::receive::{Piece, Split};
use scan::{Delimiter, Next};

/// Bounds on what comes before each part's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartLimits {
    /// The most bytes of a part's head, its blank line not counted; at most [`PartLimits::MAX_HEAD_BYTES`] count;
    /// default 8 KiB.
    pub head_bytes: usize,
    /// The most fields in a part's head; default 16.
    pub head_fields: usize,
    /// The most bytes of the boundary itself; at most 70 count, which is the default.
    pub boundary_bytes: usize,
}

impl PartLimits {
    /// What `head_bytes` cannot go beyond, so that a saved parser stays below 16 KiB.
    pub const MAX_HEAD_BYTES: usize = 15 * 1024;
}

impl Default for PartLimits {
    fn default() -> Self {
        Self {
            head_bytes: 8 * 1024,
            head_fields: 16,
            boundary_bytes: Boundary::MAX_BYTES,
        }
    }
}

/// The most blanks that may follow a boundary on its line ("transport padding", RFC 2046 §5.1.1).
pub const MAX_PADDING: usize = 64;

/// The parser of one form. It holds at most a part's head; see [`PartLimits`].
///
/// After an error it is of no further use.
#[derive(Clone, Debug)]
pub struct Form {
    delimiter: Delimiter,
    limits: PartLimits,
    state: State,
    /// The bytes of a head that has come in part; empty in every other state.
    head: Vec<u8>,
    /// Whether it tells of the bytes between parts too.
    tells_between: bool,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The first delimiter, `held` bytes of it seen.
    Preamble { held: usize },
    /// The rest of a delimiter's line, this many blanks seen.
    Line { padding: usize },
    /// The second dash of the last delimiter.
    Dash,
    /// The line feed behind a delimiter's carriage return.
    LineFeed,
    /// A part's head.
    Head,
    /// A part's bytes. `held` bytes of a delimiter have been seen, of which the first `lent` were the head's last line
    /// end: an empty part may end right there (RFC 2046 §5.1.1, `body-part`).
    Body { held: usize, lent: usize },
    /// Nothing that counts.
    Epilogue,
}

const CRLF: usize = b"\r\n".len();

impl Form {
    /// A parser for a form with this boundary.
    #[must_use]
    pub fn new(boundary: &Boundary, limits: PartLimits) -> Self {
        Self {
            delimiter: Delimiter::new(boundary),
            limits: PartLimits {
                head_bytes: limits.head_bytes.min(PartLimits::MAX_HEAD_BYTES),
                ..limits
            },
            // The first delimiter needs no line end before it.
            state: State::Preamble { held: CRLF },
            head: Vec::new(),
            tells_between: false,
        }
    }

    /// Tells of every byte of the body in its order: of those that are no part's too, as [`Piece::Between`]. So the form can
    /// be put together again as it was.
    #[must_use]
    pub fn with_skeleton(mut self) -> Self {
        self.tells_between = true;
        self
    }

    /// A parser for a form whose saved state, its boundary with it, is yet to be restored.
    #[must_use]
    pub fn to_restore(limits: PartLimits) -> Self {
        let boundary = Boundary::parse(b"-").expect("one character is enough for a boundary");
        Self::new(&boundary, limits)
    }

    /// Takes some of `rest` and leaves what is still to be looked at.
    fn step(&mut self, rest: &mut Bytes, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        match self.tells_between && !matches!(self.state, State::Body { .. }) {
            false => self.find(rest, pieces),
            true => self.find_between(rest, pieces),
        }
    }

    /// Where no part's bytes are: all that is taken stands before what it makes known.
    fn find_between(&mut self, rest: &mut Bytes, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        let (mut all, at) = (rest.clone(), pieces.len());
        let how = self.find(rest, pieces);
        all.truncate(all.len() - rest.len());
        pieces.insert(at, Piece::Between(all));
        how
    }

    fn find(&mut self, rest: &mut Bytes, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        self.state = match self.state {
            State::Preamble { held } => self.preamble(held, rest),
            State::Body { held, lent } => self.body(held, lent, rest, pieces),
            State::Head => self.head(rest, pieces)?,
            State::Line { padding } => behind_boundary(padding, take_byte(rest))?,
            State::Dash => match take_byte(rest) {
                b'-' => State::Epilogue,
                _ => return Err(bad_line()),
            },
            State::LineFeed => match take_byte(rest) {
                b'\n' => State::Head,
                _ => return Err(bad_line()),
            },
            State::Epilogue => {
                rest.clear();
                State::Epilogue
            }
        };
        Ok(())
    }

    fn preamble(&self, held: usize, rest: &mut Bytes) -> State {
        match self.delimiter.scan(held, rest).next {
            Next::Delimiter { end } => {
                rest.advance(end);
                State::Line { padding: 0 }
            }
            Next::Held(held) => {
                rest.clear();
                State::Preamble { held }
            }
        }
    }

    fn body(&self, held: usize, lent: usize, rest: &mut Bytes, pieces: &mut Vec<Piece>) -> State {
        let scan = self.delimiter.scan(held, rest);
        if scan.released > lent {
            pieces.push(Piece::Data(self.delimiter.slice(lent..scan.released)));
        }
        if scan.data > 0 {
            pieces.push(Piece::Data(rest.slice(..scan.data)));
        }
        match scan.next {
            Next::Delimiter { end } => {
                pieces.push(Piece::End);
                if self.tells_between {
                    // What was lent has been told as the head's.
                    let from = if scan.released == 0 { lent } else { 0 };
                    let line = self.delimiter.slice(from..self.delimiter.len());
                    pieces.push(Piece::Between(line));
                }
                rest.advance(end);
                State::Line { padding: 0 }
            }
            Next::Held(held) => {
                rest.clear();
                State::Body {
                    held,
                    lent: if scan.released == 0 { lent } else { 0 },
                }
            }
        }
    }

    fn head(&mut self, rest: &mut Bytes, pieces: &mut Vec<Piece>) -> Result<State, Error> {
        let Some(text) = head::complete(&mut self.head, rest, self.limits.head_bytes)? else {
            return Ok(State::Head);
        };
        pieces.push(head::piece(&text, self.limits.head_fields)?);
        Ok(State::Body {
            held: CRLF,
            lent: CRLF,
        })
    }
}

fn take_byte(rest: &mut Bytes) -> u8 {
    rest.get_u8()
}

fn behind_boundary(padding: usize, byte: u8) -> Result<State, Error> {
    match byte {
        b'-' if padding == 0 => Ok(State::Dash),
        b'\r' => Ok(State::LineFeed),
        b' ' | b'\t' if padding < MAX_PADDING => Ok(State::Line {
            padding: padding + 1,
        }),
        b' ' | b'\t' => Err(Error::LimitExceeded {
            what: "blanks behind a boundary",
            limit: MAX_PADDING as u64,
        }),
        _ => Err(bad_line()),
    }
}

fn bad_line() -> Error {
    Error::MalformedForm {
        what: "a boundary is followed neither by a line end (CR LF) nor by two dashes",
    }
}

impl Split for Form {
    fn split(&mut self, mut frame: Bytes, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        while !frame.is_empty() {
            self.step(&mut frame, pieces)?;
        }
        Ok(())
    }

    fn finish(&mut self, _pieces: &mut Vec<Piece>) -> Result<(), Error> {
        match self.state {
            State::Epilogue => Ok(()),
            _ => Err(Error::Truncated),
        }
    }

    fn save(&self) -> Vec<u8> {
        saved::write(self)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        let form = saved::read(state, self.limits)
            .ok_or_else(|| Error::store("the saved state is not a form parser's"))?;
        *self = Self {
            tells_between: self.tells_between,
            ..form
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
