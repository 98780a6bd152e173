//! An upload taken over from its last checkpoint.

use std::sync::Arc;

use super::super::Inner;
use super::super::reserve::Writing;
use super::{DiskSession, OPEN_FILES};
use crate::error::Error;
use crate::store::Checkpoint;
use crate::store::records::Saved;
use crate::upload::UploadId;

/// What is logged of an upload that nobody can go on with.
pub(in crate::store::disk) const LOST: &str =
    "the bytes of an unfinished upload are gone, and so is it";

impl DiskSession {
    pub(in crate::store::disk) async fn take(
        inner: &Arc<Inner>,
        id: UploadId,
    ) -> Result<Self, Error> {
        let Some(saved) = inner.records.take(id).await? else {
            return Err(Error::NotFound);
        };
        let Saved {
            checkpoint, temps, ..
        } = saved;
        let mut session = Self::create(inner, id);
        session.epoch = checkpoint.epoch;
        session.has_checkpoint = true;
        session.gate.advance(checkpoint.epoch);
        if let Err(e) = session.reopen(&checkpoint, temps) {
            return Err(session.lost(e).await);
        }
        session.remember(&checkpoint);
        session.owner = checkpoint.upload.as_ref().map(|upload| upload.owner.key());
        session.resumed = Some(checkpoint);
        Ok(session)
    }

    /// Its files could not be opened. Where bytes of them are gone nobody can ever go on with it: its checkpoint goes too.
    async fn lost(mut self, e: Error) -> Error {
        if !matches!(e, Error::NotFound) {
            return e;
        }
        tracing::warn!(upload = self.id.short(), "{LOST}");
        let records = &self.inner.records;
        if let Err(e) = records.drop_checkpoint(self.id, self.epoch).await {
            return e;
        }
        self.scratch.keep_nothing();
        e
    }

    /// Cuts every file to its checkpoint. An even newer session may be about to do the same, hence the gate.
    fn reopen(&mut self, checkpoint: &Checkpoint, temps: Vec<String>) -> Result<(), Error> {
        let _pass = self.gate.pass(self.epoch)?;
        self.scratch.keep_only(temps.clone());
        for (point, temp) in checkpoint.files.iter().zip(temps) {
            let mut file = Writing::reopen(&self.inner.root, temp, point.stored)?;
            // Nothing more is written to those before the last one; few of them wait for a sync.
            let behind = checkpoint.files.len() - self.scratch.files.len();
            if behind > OPEN_FILES || behind > 1 && !file.dirty {
                file.file = None;
            }
            self.scratch.files.push(file);
        }
        self.writing = !self.scratch.files.is_empty();
        Ok(())
    }
}
