//! What all bytes of an upload add up to, whichever requests bring them.
//!
//! Where it is known before the first byte what they must add up to, they are added up as they come, and each checkpoint
//! has the sums. Where a later request says it, the file is read once more when it has ended: that is the body's bytes
//! only where no handler changes them.

use super::digests::{Adding, Digests};
use super::{Current, Received};
use crate::error::Error;
use crate::progress::Tap;
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

    /// Says whether all bytes are those that the client meant, where they were added up as they came.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`].
    pub(super) fn verify_sums(&self) -> Result<(), Error> {
        match (self.digests(), &self.resumable().digest) {
            (Some(digests), Some(adding)) => adding.verify(&digests),
            _ => Ok(()),
        }
    }

    /// Whether they were not, so that the file is to be read once more. What a handler has left out is not there to be wrong.
    pub(super) fn is_to_be_read(&self) -> bool {
        let resumable = self.resumable();
        resumable.about.digest.is_some()
            && resumable.digest.is_none()
            && matches!(self.current, Current::File(_))
    }

    /// Reads the file, which has ended: a handler may have held its last bytes back until then.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; what reading says.
    pub(super) async fn verify_file(&mut self) -> Result<(), Error> {
        // A handler may have left it out at its end.
        let (Some(digests), Some(session), false) =
            (self.digests(), &mut self.session, self.files.is_empty())
        else {
            return Ok(());
        };
        let mut adding = Adding::towards(&digests);
        let mut offset = 0;
        loop {
            self.tap.as_ref().map_or(Ok(()), Tap::go_on)?;
            let bytes = session.read_back(offset, READ).await?;
            if bytes.is_empty() {
                return adding.verify(&digests);
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
