//! The terms on which an upload was let in, held against what comes, and against the app's last word.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Current, Received};
use crate::error::Error;
use crate::handlers::too_large;
use crate::upload::{Terms, Upload};

/// Asked once more when all bytes of an upload are there, before its files are visible: who let it in may have taken that
/// back meanwhile.
#[async_trait]
pub(crate) trait Word: Send + Sync + 'static {
    /// Says whether the upload may still be stored, with so many bytes in its files.
    async fn holds(&self, upload: &Upload, bytes: u64) -> Result<(), Error>;
}

/// The same, in the extensions of a request's head: whoever brings the last byte is asked about.
#[derive(Clone)]
pub(crate) struct LastWord(pub(crate) Arc<dyn Word>);

impl Received {
    /// Its terms, where somebody has settled any.
    pub(super) fn terms(&self) -> Option<&Terms> {
        self.upload.terms.as_deref()
    }

    /// What the terms say besides the client stands first.
    pub(super) fn hears_terms(&mut self) {
        let Some(terms) = self.upload.terms.as_deref() else {
            return;
        };
        for (name, value) in &terms.fields {
            self.tap().field(name, value);
        }
        self.fields.extend_from_slice(&terms.fields);
    }

    /// Whether its files, as far as they have come, are not more than was granted.
    ///
    /// # Errors
    /// `file_too_large`.
    pub(super) fn keeps_to_terms(&self) -> Result<(), Error> {
        let Some(most) = self.terms().and_then(|terms| terms.max_size) else {
            return Ok(());
        };
        match self.file_bytes() > most {
            true => Err(Error::Refused(too_large(most))),
            false => Ok(()),
        }
    }

    /// Bytes in its files, as far as they have come.
    pub(super) fn file_bytes(&self) -> u64 {
        let current = match &self.current {
            Current::File(facts) => facts.length,
            _ => 0,
        };
        let before: u64 = self.files.iter().map(|file| file.length).sum();
        before.saturating_add(current)
    }
}

/// Whether whoever let it in still does.
pub(super) async fn may_still(upload: &Upload, bytes: u64) -> Result<(), Error> {
    match upload.head.extensions.get::<LastWord>() {
        Some(word) => word.0.holds(upload, bytes).await,
        None => Ok(()),
    }
}
