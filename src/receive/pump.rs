//! The way of the bytes, from a body to the pieces that it holds.

use bytes::Bytes;

use super::pace::Pace;
use super::{Body, Piece, Received, Split};
use crate::error::Error;

impl Received {
    /// Takes `body` to its end, on a data thread.
    ///
    /// # Errors
    /// Whatever broke the upload; its record says so already, and nothing of it is left in the store.
    pub async fn take_in(&mut self, body: Body, split: Box<dyn Split>) -> Result<(), Error> {
        let pumped = self.pump(body, split).await;
        pumped.inspect_err(|error| self.broken(error))
    }

    async fn pump(&mut self, mut body: Body, mut split: Box<dyn Split>) -> Result<(), Error> {
        // Polling the body is what invites it (`100 Continue`): what is refused without it is refused first.
        self.begin(&mut *split).await?;
        self.flow(&mut body, &mut *split).await?;
        self.check_length()?;
        self.finish(&mut *split).await
    }

    /// Takes what is known of the body before its first byte.
    pub(super) async fn begin(&mut self, split: &mut dyn Split) -> Result<(), Error> {
        let mut pieces = Vec::new();
        split.begin(&mut pieces);
        self.take(&mut pieces).await
    }

    /// Takes what its end makes known.
    pub(super) async fn finish(&mut self, split: &mut dyn Split) -> Result<(), Error> {
        let mut pieces = Vec::new();
        split.finish(&mut pieces)?;
        self.take(&mut pieces).await
    }

    /// Takes bytes until the body ends.
    pub(super) async fn flow(
        &mut self,
        body: &mut Body,
        split: &mut dyn Split,
    ) -> Result<(), Error> {
        let (mut frames, mut pieces) = (Vec::new(), Vec::new());
        let mut pace = Pace::new(self.receiver.pace);
        let mut halted = std::pin::pin!(self.tap().halted());
        loop {
            // In this order: a halt is listened to only where the client is waited for anyway.
            let more = tokio::select! {
                biased;
                more = pace.frames(body, &mut frames) => more?,
                halt = &mut halted => return Err(halt),
                () = self.checkpoint_due() => {
                    // On the heap: no other upload is to keep room for it.
                    Box::pin(self.checkpoint(split)).await?;
                    continue;
                }
            };
            if !more {
                return Ok(());
            }
            let bytes = frames.iter().map(|frame: &Bytes| frame.len() as u64).sum();
            pace.took(bytes);
            self.let_pass(bytes, &frames)?;
            let passed = match split_all(split, &mut frames, &mut pieces) {
                Ok(()) => self.take(&mut pieces).await,
                Err(error) => Err(error),
            };
            passed.inspect_err(|error| self.tear(error))?;
            self.taken += bytes;
            if self.has_passed(bytes) {
                Box::pin(self.checkpoint(split)).await?;
            }
            // One fast client would otherwise hold the others of this thread for as long as it sends.
            tokio::task::yield_now().await;
        }
    }

    /// Whether these bytes may go on.
    fn let_pass(&mut self, bytes: u64, frames: &[Bytes]) -> Result<(), Error> {
        self.tap().go_on()?;
        self.expects(bytes)?;
        self.tap().received(bytes);
        if let Some(place) = &mut self.place {
            place.take(bytes)?;
        }
        self.add_up(frames);
        Ok(())
    }

    /// A host's body may end elsewhere than the head said.
    fn check_length(&self) -> Result<(), Error> {
        match self.upload.length {
            Some(length) if length > self.taken => Err(Error::ClientGone),
            Some(length) if length < self.taken => Err(Error::BadRequest {
                what: "the body is longer than declared",
            }),
            _ => Ok(()),
        }
    }
}

fn split_all(
    split: &mut dyn Split,
    frames: &mut Vec<Bytes>,
    pieces: &mut Vec<Piece>,
) -> Result<(), Error> {
    frames
        .drain(..)
        .try_for_each(|frame| split.split(frame, pieces))
}
