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
    /// What broke the body before that.
    broken: Option<Error>,
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
            Ok(boundary) => Ok(Self::of(
                Form::new(&boundary, limits),
                inbound.receiver.limits,
                inbound.receiver.pace.stall,
                body,
            )),
            Err(error) => Err((error, body)),
        }
    }

    fn of(form: Form, limits: Limits, patience: Option<Duration>, body: Body) -> Self {
        Self {
            body,
            form,
            limits,
            patience,
            pieces: Vec::new().into_iter(),
            seen: Vec::new(),
            broken: None,
        }
    }

    /// Whether its first part is the field of this name. What cannot be read, or does not come in time, is not.
    pub(super) async fn begins_with(&mut self, field: &str) -> bool {
        let first = within(self.patience, self.first()).await;
        matches!(first, Ok(Some(Piece::Field(name))) if name == field)
    }

    /// The body as it was.
    pub(super) fn give_back(mut self) -> Body {
        self.body.take_back(self.seen, self.broken);
        self.body
    }

    async fn first(&mut self) -> Result<Option<Piece>, Error> {
        let mut seen = 0;
        while self.pieces.as_slice().is_empty() && seen < MOST_AHEAD {
            let mut frames = Vec::new();
            match self.body.frames(&mut frames).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.broken = Some(error);
                    break;
                }
            }
            seen += frames.iter().map(Bytes::len).sum::<usize>();
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
            (Piece::Data(_), None) | (Piece::Between(_), _) => {}
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
            Piece::Field(_) | Piece::Between(_) => Ok(None),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::headers::Boundary;

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"first\"\r\n\r\none\r\n\
        --b\r\nContent-Disposition: form-data; name=\"second\"\r\n\r\n\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\npaella\r\n\
        --b\r\nContent-Disposition: form-data; name=\"behind\"\r\n\r\nfour\r\n--b--\r\n";

    /// A body whose frames are these, and what comes behind them.
    struct Frames(std::vec::IntoIter<Result<Bytes, Error>>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            Poll::Ready(self.0.next().map(|frame| frame.map(Frame::data)))
        }
    }

    /// A body of which nothing comes.
    struct Silent;

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            Poll::Pending
        }
    }

    fn lead(frames: Vec<Result<Bytes, Error>>) -> Lead {
        let form = Form::new(&Boundary::parse(b"b").unwrap(), PartLimits::default());
        let body = Body::new(Frames(frames.into_iter()));
        Lead::of(form, Limits::default(), Some(Duration::from_secs(60)), body)
    }

    /// The form in two frames.
    fn cut_at(at: usize) -> Vec<Result<Bytes, Error>> {
        let (before, behind) = FORM.as_bytes().split_at(at);
        let frame = |bytes: &'static [u8]| Ok(Bytes::from_static(bytes));
        vec![frame(before), frame(behind)]
    }

    async fn all(mut body: Body) -> Result<Vec<u8>, Error> {
        let mut frames = Vec::new();
        let mut bytes = Vec::new();
        while body.frames(&mut frames).await? {
            bytes.extend(frames.drain(..).flatten());
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn fields_and_file_are_found_wherever_the_form_is_cut() {
        for at in 0..FORM.len() {
            let mut lead = lead(cut_at(at));
            assert!(lead.begins_with("first").await, "{at}");
            let fields = lead.fields().await.unwrap();
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            assert_eq!(fields.pairs, [pair("first", "one"), pair("second", "")]);
            let file = fields.file.unwrap();
            assert_eq!(file.field.as_deref(), Some("file"));
            assert_eq!(file.name.as_deref(), Some("a"));
            let body = lead.into_file(6);
            assert_eq!(body.declared(), Some(6));
            assert_eq!(all(body).await.unwrap(), b"paella", "{at}");
        }
    }

    #[tokio::test]
    async fn a_file_is_as_long_as_it_is_said_to_be() {
        for length in [0, 5, 7] {
            let mut lead = lead(cut_at(9));
            lead.fields().await.unwrap();
            let error = all(lead.into_file(length)).await.unwrap_err();
            assert_eq!(error.code(), "bad_request", "{length}");
        }
    }

    /// Also behind the file: else a form that is cut there would pass for all of it.
    #[tokio::test]
    async fn a_form_that_is_cut_anywhere_breaks_its_file_off() {
        for (behind, code) in [
            (None, "truncated_form"),
            (Some(Error::ClientGone), "client_gone"),
        ] {
            for at in 0..FORM.len() - "--\r\n".len() {
                let bytes = Bytes::from_static(&FORM.as_bytes()[..at]);
                let error = behind.as_ref().map(|_| Err(Error::ClientGone));
                let mut lead = lead(std::iter::once(Ok(bytes)).chain(error).collect());
                let came = match lead.fields().await {
                    Ok(_) => all(lead.into_file(6)).await.map(drop),
                    Err(error) => Err(error),
                };
                assert_eq!(came.unwrap_err().code(), code, "{at}");
            }
        }
    }

    #[tokio::test]
    async fn what_was_looked_at_is_given_back_with_what_broke_it() {
        for at in 0..FORM.len() {
            let mut lead = lead(cut_at(at));
            assert!(!lead.begins_with("second").await);
            assert_eq!(all(lead.give_back()).await.unwrap(), FORM.as_bytes());
        }
        let mut no_form = lead(vec![Ok(vec![b'x'; 2 * MOST_AHEAD].into()), Ok("y".into())]);
        assert!(!no_form.begins_with("first").await);
        let bytes = all(no_form.give_back()).await.unwrap();
        assert_eq!(bytes.len(), 2 * MOST_AHEAD + 1);
        let mut broken = lead(vec![Ok("--b".into()), Err(Error::DigestMismatch)]);
        assert!(!broken.begins_with("first").await);
        let mut body = broken.give_back();
        assert!(body.frames(&mut Vec::new()).await.unwrap());
        let error = body.frames(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.code(), "digest_mismatch");
    }

    #[tokio::test(start_paused = true)]
    async fn fields_that_do_not_come_are_not_waited_for() {
        let mut lead = lead(Vec::new());
        lead.body = Body::new(Silent);
        assert!(!lead.begins_with("first").await);
        assert_eq!(lead.fields().await.map(drop).unwrap_err().code(), "stalled");
    }

    #[tokio::test]
    async fn fields_are_bounded_before_the_file_and_behind_it() {
        let limits = |fields, field_size, field_bytes| Limits {
            fields,
            field_size,
            field_bytes,
            ..Limits::default()
        };
        for (limits, fits) in [
            (limits(2, 3, 14), true),
            (limits(1, 3, 14), false),
            (limits(2, 2, 14), false),
            (limits(2, 3, 13), false),
        ] {
            let mut lead = lead(cut_at(50));
            lead.limits = limits;
            assert_eq!(lead.fields().await.is_ok(), fits, "{limits:?}");
        }
        let mut behind = lead(cut_at(50));
        behind.fields().await.unwrap();
        behind.limits = limits(2, 3, 3);
        let error = all(behind.into_file(6)).await.unwrap_err();
        assert_eq!(error.code(), "limit_exceeded");
    }
}
