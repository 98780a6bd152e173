//! How a request leaves an upload that outlives it: at rest, interrupted, complete, gone.

use super::Received;
use crate::admission::Place;
use crate::error::Error;
use crate::upload::FileFacts;

impl Received {
    /// Nothing comes for a while.
    pub(crate) async fn pause(&mut self) {
        if let Some(session) = &mut self.session {
            session.rest().await;
        }
    }

    /// Ends the upload well, as these files.
    pub(crate) fn completed(&mut self, files: Vec<FileFacts>) -> Vec<FileFacts> {
        self.done(files)
    }

    /// The request has ended well, and more is to come; gives back the upload's place.
    pub(crate) fn rest(&mut self) -> Option<Place> {
        let offset = self.kept().offset();
        let place = self.leave_place(offset);
        if let Some(tap) = self.tap.take() {
            tap.rest(offset);
        }
        place
    }

    /// All bytes are there of an upload that is never visible by itself; gives back its place.
    pub(crate) fn is_a_part(&mut self) -> Option<Place> {
        let place = self.leave_place(self.taken);
        if let Some(tap) = self.tap.take() {
            tap.done(&[]);
        }
        place
    }

    /// The request has broken off, and the upload waits to be resumed; gives back its place.
    pub(crate) fn interrupt(&mut self, why: &Error) -> Option<Place> {
        let offset = self.kept().offset();
        let place = self.leave_place(offset);
        if let Some(tap) = self.tap.take() {
            tap.interrupt(offset, why);
        }
        place
    }

    fn leave_place(&mut self, offset: u64) -> Option<Place> {
        let mut place = self.place.take()?;
        place.rest(offset);
        Some(place)
    }

    /// Removes all that is stored of the upload.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn abandon(&mut self) -> Result<(), Error> {
        match self.session.take() {
            Some(session) => session.abandon().await,
            None => Ok(()),
        }
    }

    /// Ends the upload with `error`; nothing of it is stored any more.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.broken(error);
    }
}
