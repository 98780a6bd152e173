//! What all bytes of an upload add up to, whichever requests bring them.
//!
//! Where it is known before the first byte what they must add up to, they are added up as they come, and each checkpoint
//! has the sums. Where a later request says it, the file is read once more at its end: that is the body's bytes only
//! where no handler changes them.

use std::sync::Arc;

use super::digests::{Adding, Digests};
use super::{Current, Received};
use crate::error::Error;
use crate::store::Checkpoint;

/// How much is read at once of what is stored.
const READ: usize = 256 * 1024;

impl Received {
    /// Begins to add up, before the first byte.
    pub(super) fn adds_up_from_here(&mut self) {
        let digests = self.digests();
        self.resumable_mut().digest = digests.as_ref().map(Adding::towards);
    }

    /// Goes on with the sums of a checkpoint.
    ///
    /// # Errors
    /// [`Error::NotResumable`] when they cannot be read.
    pub(super) fn restore_digest(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let Some(digests) = self.digests() else {
            return Ok(());
        };
        if checkpoint.digest.is_empty() {
            if checkpoint.offset == 0 {
                self.adds_up_from_here();
            }
            return Ok(());
        }
        let adding = Adding::restore(&digests, &checkpoint.digest);
        let adding = adding.ok_or_else(|| Error::NotResumable {
            why: "the sums of what has come cannot be read".into(),
        })?;
        self.resumable_mut().digest = Some(adding);
        Ok(())
    }

    /// A request says what all of the upload must add up to.
    pub(super) fn must_add_up_to(&mut self, digest: Option<String>) {
        let taken = self.taken;
        let resumable = self.resumable_mut();
        if resumable.about.digest.is_some() || digest.is_none() {
            return;
        }
        resumable.about.digest = digest;
        resumable.news = true;
        if taken == 0 {
            self.adds_up_from_here();
        }
    }

    /// Says whether all bytes are those that the client meant.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; what keeping and reading them say.
    pub(super) async fn verify_all(&mut self) -> Result<(), Error> {
        let Some(digests) = self.digests() else {
            return Ok(());
        };
        match &self.resumable().digest {
            Some(adding) => adding.verify(&digests),
            // What a handler has left out is not there to be wrong.
            None if !matches!(self.current, Current::File(_)) => Ok(()),
            None => self.read_again(&digests).await?.verify(&digests),
        }
    }

    async fn read_again(&mut self, digests: &Digests) -> Result<Adding, Error> {
        self.keep().await?;
        let mut adding = Adding::towards(digests);
        let (store, id) = (Arc::clone(&self.receiver.store), self.upload.id);
        let reader = store.read_unfinished(&id, self.files.len()).await?;
        let mut reader = reader.ok_or_else(|| Error::store("what was kept is not there"))?;
        let mut offset = 0;
        loop {
            self.tap().go_on()?;
            let bytes = reader.read_at(offset, READ).await?;
            if bytes.is_empty() {
                return Ok(adding);
            }
            offset += bytes.len() as u64;
            adding.update(&bytes);
            tokio::task::yield_now().await;
        }
    }

    fn digests(&self) -> Option<Digests> {
        let given = self.about().digest.as_ref()?;
        Digests::read(given.as_bytes()).ok().flatten()
    }
}
