//! What is to be told to an app of finished uploads, and what it said.

use async_trait::async_trait;

use crate::error::Error;
use crate::upload::{FileFacts, UploadId};

/// The notes on finished uploads that outlive a restart: of those that somebody is still to be told of, what is due, and of
/// those that he has been told of, his answer. What they say is their writer's affair.
///
/// Something becomes due with the upload's files ([`Session::due`](super::Session::due)). As long as it is, the upload is not
/// forgotten, even if all of its files are gone: an app may have moved them before it answers.
/// [`Store::remove`](super::Store::remove) takes what is due away, and with the files the answer; an answer whose files have
/// gone otherwise stays until [`HandOffs::forget`].
#[async_trait]
pub trait HandOffs: Send + Sync {
    /// What is due, in the order of the uploads' ids, at most `most` of it, from the one behind `after` on.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn due(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Due>, Error>;

    /// What is due of one upload.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn due_of(&self, id: &UploadId) -> Result<Option<Due>, Error>;

    /// Writes down at once what is due from now on, `None` for nothing more, and the answer if there is one. `false` when
    /// nothing was due: then nothing is written, so that what has been removed does not come back.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`]; nothing is written then.
    async fn settle(
        &self,
        id: &UploadId,
        due: Option<Vec<u8>>,
        answer: Option<Vec<u8>>,
    ) -> Result<bool, Error>;

    /// The answer that was written down.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn answer(&self, id: &UploadId) -> Result<Option<Vec<u8>>, Error>;

    /// Answers in the order of their uploads' ids, at most `most` of them, from the one behind `after` on.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn answers(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Vec<u8>)>, Error>;

    /// Removes an answer.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`].
    async fn forget(&self, id: &UploadId) -> Result<(), Error>;
}

/// What somebody is to be told of a finished upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// The upload.
    pub id: UploadId,
    /// What its writer has noted.
    pub note: Vec<u8>,
    /// The upload's files as they were stored, whether they are still there or not.
    pub files: Vec<FileFacts>,
}
