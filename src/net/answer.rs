//! What goes to another server, and what comes back.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use super::Failed;

/// The body of a request.
pub(crate) type Sent = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A body of no bytes.
pub(crate) fn nothing() -> Sent {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there as a whole.
pub(crate) fn text(whole: impl Into<Bytes>) -> Sent {
    let whole = Full::new(whole.into());
    whole.map_err(|never| match never {}).boxed_unsync()
}

/// The body of an answer, as it comes. Dropped before its end, it closes the connection.
#[derive(Debug)]
pub(crate) struct Answered {
    body: Incoming,
    silence: Duration,
    /// Runs while something is waited for.
    clock: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    /// What of the fields behind it is passed on.
    trailers: Option<fn(&HeaderMap) -> HeaderMap>,
    /// Ends it.
    until: Option<Until>,
}

struct Until(Pin<Box<dyn Future<Output = ()> + Send>>);

impl std::fmt::Debug for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Until").finish_non_exhaustive()
    }
}

impl Answered {
    /// `silence` is how long nothing may come.
    pub(super) fn new(body: Incoming, silence: Duration) -> Self {
        Self {
            body,
            silence,
            clock: None,
            waiting: false,
            trailers: None,
            until: None,
        }
    }

    /// Passes on of the fields behind it what `trailers` leaves.
    pub(crate) fn with_trailers(self, trailers: fn(&HeaderMap) -> HeaderMap) -> Self {
        Self {
            trailers: Some(trailers),
            ..self
        }
    }

    /// Breaks off while it waits for more, when `gone` is ready.
    pub(crate) fn until(self, gone: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            until: Some(Until(Box::pin(gone))),
            ..self
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Failed> {
        let clock = self
            .clock
            .get_or_insert_with(|| Box::pin(sleep(self.silence)));
        if !std::mem::replace(&mut self.waiting, true) {
            clock.as_mut().reset(Instant::now() + self.silence);
        }
        let silence = self.silence;
        clock.as_mut().poll(cx).map(|()| Failed::TimedOut(silence))
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let this = self.get_mut();
        if let Poll::Ready(mut frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = false;
            if let (Some(Ok(frame)), Some(left)) = (&mut frame, this.trailers)
                && let Some(trailers) = frame.trailers_mut()
            {
                *trailers = left(trailers);
            }
            let broken = |cause: hyper::Error| Failed::Broken(cause.into());
            return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
        }
        if let Some(until) = &mut this.until
            && until.0.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(Failed::Unwanted)));
        }
        this.poll_silence(cx).map(|failed| Some(Err(failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads an answer to its end.
///
/// # Errors
/// [`Failed::TooLarge`] when it has more than `most` bytes, [`Failed::TimedOut`], [`Failed::Broken`].
pub(crate) async fn whole(
    answer: Response<Answered>,
    most: usize,
) -> Result<Response<Bytes>, Failed> {
    let (head, mut body) = answer.into_parts();
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await.transpose()? {
        if let Ok(piece) = frame.into_data() {
            if piece.len() > most - read.len() {
                return Err(Failed::TooLarge(most));
            }
            read.extend_from_slice(&piece);
        }
    }
    Ok(Response::from_parts(head, read.freeze()))
}
