//! What is due of finished uploads, and the answers: see [`HandOffs`].

use async_trait::async_trait;

use super::Inner;
use crate::error::Error;
use crate::store::{Due, HandOffs};
use crate::upload::UploadId;

#[async_trait]
impl HandOffs for Inner {
    async fn due(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Due>, Error> {
        self.records.due(after, most)
    }

    async fn due_of(&self, id: &UploadId) -> Result<Option<Due>, Error> {
        self.records.due_of(id)
    }

    async fn settle(
        &self,
        id: &UploadId,
        due: Option<Vec<u8>>,
        answer: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        self.records.settle_due(*id, due, answer).await
    }

    async fn answer(&self, id: &UploadId) -> Result<Option<Vec<u8>>, Error> {
        self.records.answer(id)
    }

    async fn answers(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Vec<u8>)>, Error> {
        self.records.answers(after, most)
    }

    async fn forget(&self, id: &UploadId) -> Result<(), Error> {
        self.records.forget_answer(*id).await
    }
}
