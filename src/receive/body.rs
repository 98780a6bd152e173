//! The body as the pump sees it, whoever brought it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use super::digests::Checked;
use crate::error::Error;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How many bytes are gathered for one write, where they are there already. HTTP/2 brings frames of 16 KiB; writes of
/// that size reach a third of the speed of large ones.
const GATHER: usize = 256 * 1024;

/// Frames of one write at most, so that the vector of slices stays small.
const GATHER_FRAMES: usize = 64;

/// A request's body: one concrete type into which other bodies are erased.
pub struct Body {
    inner: UnsyncBoxBody<Bytes, Cause>,
    end: Option<End>,
    /// What hardly any body has, on the heap.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Fields behind the body.
    trailers: Option<HeaderMap>,
    /// Frames that have been looked at and not been taken.
    ahead: Vec<Bytes>,
    /// What all of it must add up to.
    checked: Option<Checked>,
    /// Why it is not to be taken.
    refusal: Option<Error>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Complete,
    /// It breaks off.
    Broken,
    /// It breaks a rule, of chunks say: where it ends is not known.
    Malformed,
    /// It has ended, or been asked for a check, in a way that is refused; or a body of our own says what is wrong with it.
    Refused,
}

impl Body {
    /// Erases a host's body. An [`Error`] of ours is told as it is.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Cause>,
    {
        Self {
            inner: body.map_err(Into::into).boxed_unsync(),
            end: None,
            rare: None,
        }
    }

    /// Checks by the digest field of that name in the request's head, if it is there, or comes behind the body: unless its
    /// bytes add up to that, it ends in an error.
    #[must_use]
    pub(crate) fn checked(mut self, headers: &HeaderMap, field: &HeaderName) -> Self {
        let mut checked = self.rare.as_mut().and_then(|rare| rare.checked.take());
        let asked = checked.get_or_insert_default().also(headers, field);
        match asked {
            Ok(false) if self.rare.is_none() => {}
            Ok(_) => self.rare.get_or_insert_default().checked = checked,
            Err(error) => {
                self.rare.get_or_insert_default().refusal = Some(error);
                self.end = Some(End::Refused);
            }
        }
        self
    }

    /// Whether its end says that its bytes are the right ones: what comes before is not to be trusted.
    pub(super) fn is_checked(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| rare.checked.is_some())
    }

    /// The length that its head declared, in bytes; `None` when it said nothing.
    #[must_use]
    pub fn declared(&self) -> Option<u64> {
        let ahead = self.rare.iter().flat_map(|rare| &rare.ahead);
        let ahead: u64 = ahead.map(|frame| frame.len() as u64).sum();
        Some(self.inner.size_hint().exact()? + ahead)
    }

    /// Takes frames back that were its first ones, and the error that came behind them: they come again.
    pub(crate) fn take_back(&mut self, mut frames: Vec<Bytes>, error: Option<Error>) {
        if frames.is_empty() && error.is_none() {
            return;
        }
        let rare = self.rare.get_or_insert_default();
        frames.append(&mut rare.ahead);
        rare.ahead = frames;
        rare.refusal = error;
    }

    /// Waits for bytes and appends to `frames` those that are ready, up to 256 KiB and without copying. `false` at the
    /// end of the body.
    ///
    /// # Errors
    /// [`Error::ClientGone`] when the body breaks off, [`Error::BadRequest`] when its chunks are malformed, or a digest that
    /// it is to be checked by, [`Error::DigestMismatch`] when it does not add up to that.
    pub async fn frames(&mut self, frames: &mut Vec<Bytes>) -> Result<bool, Error> {
        poll_fn(|cx| self.poll_frames(cx, frames)).await
    }

    /// The fields behind the body, once that has ended; of several trailers the last one.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.rare.as_ref()?.trailers.as_ref()
    }

    /// Whether its line is known to be dead: a look at what has come, without waiting for more.
    pub(crate) async fn is_dead(&mut self) -> bool {
        // A connection may have to be woken before it says so.
        for _ in 0..2 {
            let mut ahead = std::mem::take(&mut self.rare.get_or_insert_default().ahead);
            poll_fn(|cx| {
                let _ = self.gather(cx, &mut ahead);
                Poll::Ready(())
            })
            .await;
            self.rare.get_or_insert_default().ahead = ahead;
            if self.end == Some(End::Broken) {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    pub(crate) fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut Vec<Bytes>,
    ) -> Poll<Result<bool, Error>> {
        if let Some(rare) = &mut self.rare
            && !rare.ahead.is_empty()
        {
            frames.append(&mut rare.ahead);
            return Poll::Ready(Ok(true));
        }
        ready!(self.gather(cx, frames));
        // What came before the break is still told: where an upload can resume, it is kept.
        match (frames.is_empty(), self.end) {
            (true, Some(End::Broken)) => Poll::Ready(Err(Error::ClientGone)),
            (true, Some(End::Malformed)) => Poll::Ready(Err(Error::BadRequest {
                what: "the chunks of its body are malformed",
            })),
            (true, Some(End::Refused)) => Poll::Ready(Err(self.refusal())),
            (none, _) => Poll::Ready(Ok(!none)),
        }
    }

    fn refusal(&mut self) -> Error {
        let refusal = self.rare.as_mut().and_then(|rare| rare.refusal.take());
        refusal.unwrap_or(Error::ClientGone)
    }

    /// Appends what is ready to `frames`; waits while they are empty.
    fn gather(&mut self, cx: &mut Context<'_>, frames: &mut Vec<Bytes>) -> Poll<()> {
        let mut gathered = 0;
        while self.end.is_none() && gathered < GATHER && frames.len() < GATHER_FRAMES {
            let frame = match (Pin::new(&mut self.inner).poll_frame(cx), frames.is_empty()) {
                (Poll::Pending, false) => break,
                (frame, _) => ready!(frame),
            };
            match frame.transpose() {
                Ok(None) => self.end = Some(self.verified()),
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) => {
                        gathered += data.len();
                        if let Some(rare) = &mut self.rare
                            && let Some(checked) = &mut rare.checked
                        {
                            checked.update(&data);
                        }
                        frames.extend(Some(data).filter(|data| !data.is_empty()));
                    }
                    Err(other) => {
                        self.rare.get_or_insert_default().trailers = other.into_trailers().ok();
                    }
                },
                Err(cause) => self.breaks(cause),
            }
        }
        Poll::Ready(())
    }

    /// How it ends, now that all of it is there.
    fn verified(&mut self) -> End {
        let Some(rare) = &mut self.rare else {
            return End::Complete;
        };
        let checked = rare.checked.as_ref();
        match checked.map(|checked| checked.verify(rare.trailers.as_ref())) {
            Some(Err(error)) => {
                rare.refusal = Some(error);
                End::Refused
            }
            _ => End::Complete,
        }
    }

    fn breaks(&mut self, cause: Cause) {
        match cause.downcast() {
            Ok(ours) if !matches!(*ours, Error::ClientGone) => {
                self.end = Some(End::Refused);
                self.rare.get_or_insert_default().refusal = Some(*ours);
            }
            Ok(_) => self.end = Some(End::Broken),
            Err(cause) => {
                tracing::debug!(%cause, "the body broke off");
                self.end = Some(End::by(&*cause));
            }
        }
    }
}

impl End {
    /// What an HTTP implementation's error means: hyper and h2 have an I/O error as its cause, whose kind tells.
    fn by(cause: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(cause), |cause| cause.source());
        let kinds =
            causes.filter_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind));
        match kinds.last() {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Self::Malformed,
            _ => Self::Broken,
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Frame;

    /// A body all of whose frames are ready at once.
    struct Ready<E = &'static str>(std::vec::IntoIter<Result<Bytes, E>>);

    impl<E: Unpin> http_body::Body for Ready<E> {
        type Data = Bytes;
        type Error = E;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.next().map(|frame| frame.map(Frame::data)))
        }
    }

    async fn sizes(frames: Vec<Result<Bytes, &'static str>>) -> (Vec<usize>, Result<bool, Error>) {
        let (mut body, mut frames, mut sizes) =
            (Body::new(Ready(frames.into_iter())), Vec::new(), Vec::new());
        loop {
            match body.frames(&mut frames).await {
                Ok(true) => sizes.push(frames.drain(..).map(|frame| frame.len()).sum()),
                end => return (sizes, end),
            }
        }
    }

    #[tokio::test]
    async fn small_frames_that_are_ready_come_together_up_to_the_bound() {
        let (sizes, end) = sizes(vec![Ok(Bytes::from(vec![7; 16 * 1024])); 40]).await;
        assert_eq!(sizes, [GATHER, GATHER, 128 * 1024]);
        assert!(!end.unwrap());
    }

    #[tokio::test]
    async fn a_look_at_a_line_takes_nothing_from_it() {
        for (last, dead) in [
            (Err("reset"), true),
            (Ok(Bytes::from_static(b"more")), false),
        ] {
            let frames = vec![Ok(Bytes::from_static(b"kept")), last];
            let mut body = Body::new(Ready(frames.into_iter()));
            assert_eq!(body.is_dead().await, dead);
            let mut frames = Vec::new();
            assert!(body.frames(&mut frames).await.unwrap());
            assert_eq!(frames[0], "kept");
            frames.clear();
            assert_eq!(body.frames(&mut frames).await.is_err(), dead);
        }
        assert!(
            !Body::new(http_body_util::Empty::<Bytes>::new())
                .is_dead()
                .await
        );
    }

    #[tokio::test]
    async fn what_is_taken_back_comes_again_and_counts() {
        let mut body = Body::new(http_body_util::Full::new(Bytes::from_static(b"all of it")));
        let mut frames = Vec::new();
        assert!(body.frames(&mut frames).await.unwrap());
        assert_eq!(body.declared(), Some(0));
        body.take_back(std::mem::take(&mut frames), None);
        assert_eq!(body.declared(), Some(9));
        assert!(!body.is_dead().await);
        assert_eq!(body.declared(), Some(9));
        assert!(body.frames(&mut frames).await.unwrap());
        assert_eq!(frames.concat(), b"all of it");
        assert!(!body.frames(&mut Vec::new()).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_body_of_our_own_is_told_as_it_is() {
        for (error, dead) in [(Error::ClientGone, true), (Error::Truncated, false)] {
            let code = error.code();
            let mut body = Body::new(Ready(vec![Err(error)].into_iter()));
            assert_eq!(body.is_dead().await, dead, "{code}");
            for _ in 0..2 {
                let told = body.frames(&mut Vec::new()).await.unwrap_err();
                assert_eq!(told.code(), code);
                body.take_back(Vec::new(), Some(told));
            }
        }
    }

    #[tokio::test]
    async fn what_came_before_a_break_is_told_before_the_break() {
        let (sizes, end) = sizes(vec![Ok(Bytes::from_static(b"kept")), Err("reset")]).await;
        assert_eq!(sizes, [4]);
        assert_eq!(end.unwrap_err().code(), "client_gone");
    }
}
