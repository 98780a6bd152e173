//! Finds the line that separates two parts, wherever frames cut it.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::protocol::headers::Boundary;

/// A line end, two dashes and the boundary.
///
/// A carriage return stands at its beginning only. So at any place of a body at most one delimiter can be under way,
/// and one that turns out to be data need not be looked at again: the scan is linear whatever the body holds.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    text: Bytes,
    finder: Finder<'static>,
}

/// What a scan found, in the order of the body: held bytes that are data after all, then bytes of the frame that are
/// data, then a delimiter or its beginning.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Scan {
    /// This many bytes of the delimiter had been held back and are data: all that were held, or none.
    pub(super) released: usize,
    /// This many bytes of the frame are data.
    pub(super) data: usize,
    /// What stands behind them.
    pub(super) next: Next,
}

/// What ends a scan.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// The delimiter, up to this byte of the frame.
    Delimiter { end: usize },
    /// The end of the frame; this many bytes before it are the delimiter's first.
    Held(usize),
}

impl Delimiter {
    const START: &'static [u8] = b"\r\n--";

    pub(super) fn new(boundary: &Boundary) -> Self {
        let text = [Self::START, boundary.as_str().as_bytes()].concat();
        Self {
            finder: Finder::new(&text).into_owned(),
            text: text.into(),
        }
    }

    pub(super) fn boundary(&self) -> &[u8] {
        &self.text[Self::START.len()..]
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Bytes of the delimiter that had been held back, without a copy.
    pub(super) fn slice(&self, range: Range<usize>) -> Bytes {
        self.text.slice(range)
    }

    /// Looks for the delimiter in `frame`, when the bytes before it ended with its first `held`.
    pub(super) fn scan(&self, held: usize, frame: &[u8]) -> Scan {
        if held > 0
            && let Some(next) = self.go_on(held, frame)
        {
            return Scan {
                released: 0,
                data: 0,
                next,
            };
        }
        let (data, next) = match self.finder.find(frame) {
            Some(at) => (
                at,
                Next::Delimiter {
                    end: at + self.len(),
                },
            ),
            None => {
                let held = self.begun_in(frame);
                (frame.len() - held, Next::Held(held))
            }
        };
        Scan {
            released: held,
            data,
            next,
        }
    }

    /// What has become of a delimiter that had begun; `None` when it is none.
    fn go_on(&self, held: usize, frame: &[u8]) -> Option<Next> {
        let wanted = &self.text[held..];
        if frame.starts_with(wanted) {
            return Some(Next::Delimiter { end: wanted.len() });
        }
        wanted
            .starts_with(frame)
            .then(|| Next::Held(held + frame.len()))
    }

    /// How many of the last bytes of `frame` may be the delimiter's first.
    fn begun_in(&self, frame: &[u8]) -> usize {
        let tail = &frame[frame.len() - frame.len().min(self.len() - 1)..];
        memchr::memrchr(b'\r', tail)
            .map(|at| &tail[at..])
            .filter(|begun| self.text.starts_with(begun))
            .map_or(0, <[u8]>::len)
    }
}
