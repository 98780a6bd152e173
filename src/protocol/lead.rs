//! A form whose fields are read before its file: they say what the file is a part of, and where it goes.
//!
//! ```text
//! fields … ─► file's head ─► its bytes, as a body ─► what is behind it, passed over
//! ╰ fields() ─────────────╯  ╰ into_file() ──────────────────────────────────────╯
//! ```
//!
//! What is read here has no upload yet, and so no place: it is bounded like a form's fields, and the whole of it has to
//! come within the time for which a client may be silent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::multipart::{Form, PartLimits};
use super::{Asked, Inbound, headers};
use crate::error::Error;
use crate::receive::{Body, Limits, Piece, Split};
use crate::upload::FileHead;

/// How much is looked at before the first field is known.
const MOST_AHEAD: usize = 64 * 1024;

/// A form that is being read.
pub(super) struct Lead {
    body: Body,
    form: Form,
    limits: Limits,
    patience: Option<Duration>,
    /// What has been found and not been taken.
    pieces: std::vec::IntoIter<Piece>,
    /// What has come, until it is known that nobody wants it back.
    seen: Vec<Bytes>,
}

impl Lead {
    /// A form of which nothing has been read.
    ///
    /// # Errors
    /// It and the body, where the head announces no form.
    pub(super) fn new(
        inbound: &Inbound,
        limits: PartLimits,
        asked: &Asked,
        body: Body,
    ) -> Result<Self, (Error, Body)> {
        match headers::form_boundary(&asked.head.headers, limits.boundary_bytes) {
            Ok(boundary) => Ok(Self {
                body,
                form: Form::new(&boundary, limits),
                limits: inbound.receiver.limits,
                patience: inbound.receiver.pace.stall,
                pieces: Vec::new().into_iter(),
                seen: Vec::new(),
            }),
            Err(error) => Err((error, body)),
        }
    }

    /// Whether its first part is the field of this name. What cannot be read, or does not come in time, is not.
    pub(super) async fn begins_with(&mut self, field: &str) -> bool {
        let first = within(self.patience, self.first()).await;
        matches!(first, Ok(Some(Piece::Field(name))) if name == field)
    }

    /// The body as it was.
    pub(super) fn give_back(mut self) -> Body {
        self.body.give_back(self.seen);
        self.body
    }

    async fn first(&mut self) -> Result<Option<Piece>, Error> {
        while self.pieces.as_slice().is_empty() {
            let seen: usize = self.seen.iter().map(Bytes::len).sum();
            let mut frames = Vec::new();
            if seen >= MOST_AHEAD || !self.body.frames(&mut frames).await? {
                return Ok(None);
            }
            self.seen.extend_from_slice(&frames);
            self.split(&mut frames)?;
        }
        Ok(self.pieces.as_slice().first().cloned())
    }

    /// All fields before the first file, and the head of that; `None` where the form has none.
    ///
    /// # Errors
    /// [`Error::MalformedForm`], [`Error::LimitExceeded`], [`Error::Truncated`], [`Error::Stalled`], and what breaks the
    /// body.
    pub(super) async fn fields(&mut self) -> Result<Fields, Error> {
        self.seen.clear();
        within(self.patience, self.read()).await
    }

    async fn read(&mut self) -> Result<Fields, Error> {
        let mut fields = Fields::default();
        let mut frames = Vec::new();
        loop {
            for piece in self.pieces.by_ref() {
                if fields.take(piece, &self.limits)? {
                    return Ok(fields);
                }
            }
            if !self.body.frames(&mut frames).await? {
                self.form.finish(&mut Vec::new())?;
                return Ok(fields);
            }
            self.split(&mut frames)?;
        }
    }

    fn split(&mut self, frames: &mut Vec<Bytes>) -> Result<(), Error> {
        let mut pieces = Vec::new();
        let split = |frame| self.form.split(frame, &mut pieces);
        let split = frames.drain(..).try_for_each(split);
        self.pieces = pieces.into_iter();
        split
    }

    /// The bytes of the file whose head has been read; there must be as many as `length`.
    pub(super) fn into_file(self, length: u64) -> Body {
        Body::new(Inside {
            lead: self,
            left: length,
            has_ended: false,
            behind: 0,
        })
    }
}

/// What `work` gives, if it comes in time.
async fn within<T>(
    patience: Option<Duration>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(patience) = patience else {
        return work.await;
    };
    let stalled = |_| Error::Stalled {
        seconds: patience.as_secs(),
    };
    tokio::time::timeout(patience, work)
        .await
        .map_err(stalled)?
}

/// What stands before a form's first file.
#[derive(Default)]
pub(super) struct Fields {
    /// Names and values, in their order.
    pub(super) pairs: Vec<(String, String)>,
    /// The file, where one follows.
    pub(super) file: Option<FileHead>,
    open: Option<(String, Vec<u8>)>,
    bytes: usize,
}

impl Fields {
    /// Takes a piece; says whether it is the file.
    fn take(&mut self, piece: Piece, limits: &Limits) -> Result<bool, Error> {
        match (piece, &mut self.open) {
            (Piece::File(head), _) => {
                self.file = Some(head);
                return Ok(true);
            }
            (Piece::Field(name), _) => {
                self.count(name.len(), limits)?;
                limit("fields", self.pairs.len() + 1, limits.fields)?;
                self.open = Some((name, Vec::new()));
            }
            (Piece::Data(bytes), Some((_, value))) => {
                let length = value.len() + bytes.len();
                limit("bytes in one field", length, limits.field_size)?;
                value.extend_from_slice(&bytes);
                self.count(bytes.len(), limits)?;
            }
            (Piece::End, open) => {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                let pair = open.take().map(|(name, value)| (name, text(value)));
                self.pairs.extend(pair);
            }
            (Piece::Data(_), None) => {}
        }
        Ok(false)
    }

    fn count(&mut self, bytes: usize, limits: &Limits) -> Result<(), Error> {
        self.bytes += bytes;
        let what = "bytes in fields and in what is said of files";
        limit(what, self.bytes, limits.field_bytes)
    }
}

fn limit(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    match count > limit {
        true => Err(Error::LimitExceeded {
            what,
            limit: limit as u64,
        }),
        false => Ok(()),
    }
}

/// A form's file as a body. It ends when the form does: a form that breaks off breaks its file off.
struct Inside {
    lead: Lead,
    /// Bytes that are still to come.
    left: u64,
    /// The file has; the form goes on.
    has_ended: bool,
    /// Bytes that came behind it.
    behind: usize,
}

impl Inside {
    /// Takes a piece; gives the file's bytes, where it has some.
    fn take(&mut self, piece: Piece) -> Result<Option<Bytes>, Error> {
        match piece {
            Piece::Data(bytes) if !self.has_ended => {
                let left = self.left.checked_sub(bytes.len() as u64);
                self.left = left.ok_or(NOT_AS_LONG)?;
                Ok(Some(bytes))
            }
            Piece::Data(bytes) => {
                self.behind += bytes.len();
                let most = self.lead.limits.field_bytes;
                limit("bytes behind the file of a form", self.behind, most).map(|()| None)
            }
            Piece::End => {
                self.has_ended = true;
                match self.left {
                    0 => Ok(None),
                    _ => Err(NOT_AS_LONG),
                }
            }
            Piece::Field(_) => Ok(None),
            Piece::File(_) => Err(Error::BadRequest {
                what: "its form has more files than one",
            }),
        }
    }
}

const NOT_AS_LONG: Error = Error::BadRequest {
    what: "its file is not as long as its fields say",
};

impl http_body::Body for Inside {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frames = Vec::new();
        loop {
            while let Some(piece) = self.lead.pieces.next() {
                if let Some(bytes) = self.take(piece).transpose() {
                    return Poll::Ready(Some(bytes.map(Frame::data)));
                }
            }
            let split = match ready!(self.lead.body.poll_frames(cx, &mut frames)) {
                Ok(true) => self.lead.split(&mut frames),
                Ok(false) => match self.lead.form.finish(&mut Vec::new()) {
                    Ok(()) => return Poll::Ready(None),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            if let Err(error) = split {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
