//! Who is told of finished uploads, before they are done.
//!
//! ```text
//! complete ─► HandOff::due: a note ─► Session::due, commit ─► HandOff::stored: the tap changes hands ─► done | error
//!                                     (both or neither)                 └─► HandOff::told: for whoever answers the client
//! ```
//!
//! The note stands in the store as soon as the upload is visible, so that it is handed off even if this process ends there
//! and then. What is done with it is the affair of the module `hand_off`.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{Received, Resumable};
use crate::error::Error;
use crate::progress::Tap;
use crate::upload::{FileFacts, Owner, Remembered, UploadId};

/// Hands finished uploads off, each at least once.
#[async_trait]
pub trait HandOff: Send + Sync + std::fmt::Debug + 'static {
    /// What is to be written down with the files of an upload, of which this is `about` all that must be known.
    fn due(&self, id: &UploadId, about: Remembered) -> Vec<u8>;

    /// The upload is stored and its note with it: from now on its record is the hand-off's to end. Never waits.
    fn stored(&self, id: UploadId, tap: Tap, files: Vec<FileFacts>);

    /// What has been said of the upload, as soon as the first attempt to hand it off is over.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn told(&self, id: &UploadId) -> Result<Told, Error>;

    /// Ends an upload that is being handed off, with all its files; `false` when it is none.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn end(&self, id: &UploadId) -> Result<bool, Error>;
}

/// What has come of an upload's hand-off.
#[derive(Clone, Debug)]
pub enum Told {
    /// It is none that is handed off, or that has been forgotten.
    Nothing,
    /// Nothing yet: the app could not be asked, or still works on it.
    NotYet,
    /// The app has taken it.
    Taken(AppAnswer),
    /// The app has refused it.
    Refused(AppAnswer),
    /// The app could not be told for so long that nobody tries any more.
    GivenUp,
}

/// The app's answer to a hand-off.
#[derive(Clone, Debug)]
pub struct AppAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Those of its fields that may be given to a client.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// To whom the upload belongs, where the app said so before.
    pub owner: Option<Owner>,
    /// The upload's body bytes.
    pub length: Option<u64>,
}

impl Received {
    /// Has the store write down that the upload is to be handed off, where that is so.
    pub(super) fn note_due(&mut self) {
        let about = self.remembered();
        if let (Some(hand_off), Some(session)) = (&self.receiver.hand_off, &mut self.session) {
            session.due(hand_off.due(&self.upload.id, about));
            self.is_due = true;
        }
    }

    /// What is settled about the upload, with the fields that have come in its body.
    fn remembered(&self) -> Remembered {
        let known = self.resumable.as_deref();
        let about = known.map(|Resumable { about, .. }| about.clone());
        Remembered {
            length: Some(self.taken),
            fields: self.fields.clone(),
            ..about.unwrap_or_else(|| Remembered::of(&self.upload))
        }
    }

    /// The upload is visible: it is done, unless it is handed off first.
    pub(super) fn leave_to_app(&self, tap: Tap, files: &[FileFacts]) {
        match self.receiver.hand_off.as_ref().filter(|_| self.is_due) {
            Some(hand_off) => hand_off.stored(self.upload.id, tap, files.to_vec()),
            None => tap.done(files),
        }
    }
}
