//! An upload of which all bytes have come, and which the app behind is being given.
//!
//! ```text
//! Handed ─► read(file, offset) …        given as it came: nothing is stored for good
//!       └─► store(naming) ─► facts      given by reference: its files lie under their names before the app hears of them
//! then    ─► done                       the app has it
//!       or ─► fail                      what was not stored for good goes; what was, `Handed::remove` takes away
//! ```

use std::sync::Arc;

use bytes::Bytes;

use super::skeleton::Skeleton;
use super::terms::may_still;
use super::{Naming, Received};
use crate::error::Error;
use crate::progress::Phases;
use crate::upload::{FileFacts, Upload};

/// Dropping it without an end would end the upload as if its client had gone.
#[derive(Debug)]
pub(crate) struct Handed {
    received: Box<Received>,
    skeleton: Option<Skeleton>,
    /// What its files are called since they are visible.
    stored: Option<Vec<FileFacts>>,
}

/// A part of a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part<'a> {
    /// A field that is no file: name and value.
    Field(&'a (String, String)),
    /// A file: see [`Handed::files`].
    File(&'a FileFacts),
}

impl Handed {
    /// All bytes are here: from now on the upload is processed.
    pub(crate) fn new(mut received: Box<Received>) -> Self {
        received.tap().processing();
        Self {
            skeleton: received.take_skeleton(),
            received,
            stored: None,
        }
    }

    /// What the upload is.
    pub(crate) fn upload(&self) -> &Upload {
        &self.received.upload
    }

    /// What is known of it; it stays readable after the end.
    #[cfg(test)]
    pub(crate) fn progress(&self) -> &Arc<crate::progress::Progress> {
        self.received.tap().progress()
    }

    /// For whoever tells what is done with it.
    pub(crate) fn phases(&self) -> Phases {
        self.received.tap().phases()
    }

    /// Waits until it is not to go on: somebody cancels it, or the server stops.
    pub(crate) fn halted(&self) -> impl Future<Output = Error> + Send + 'static {
        self.received.tap().halted()
    }

    /// What the form holds, in the order in which it came.
    pub(crate) fn parts(&self) -> Vec<Part<'_>> {
        let fields = self.received.fields.iter().map(Part::Field);
        let mut parts: Vec<_> = fields.collect();
        let files = self.files().iter().zip(&self.received.fields_before);
        for (index, (facts, before)) in files.enumerate() {
            parts.insert(before + index, Part::File(facts));
        }
        parts
    }

    /// Its files: as their clients called them, and once they are stored, as they are called there.
    pub(crate) fn files(&self) -> &[FileFacts] {
        self.stored.as_deref().unwrap_or(&self.received.files)
    }

    /// The form without its files' bytes, where it is to be given as it came.
    pub(crate) fn skeleton(&self) -> Option<&Skeleton> {
        self.skeleton.as_ref()
    }

    /// Up to `max` bytes of a file that is not stored for good, from `offset`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn read(
        &mut self,
        index: usize,
        offset: u64,
        max: usize,
    ) -> Result<Bytes, Error> {
        match &mut self.received.session {
            Some(session) => session.read_file(index, offset, max).await,
            None => Err(Error::store("there is no such file to be read")),
        }
    }

    /// Asks once more whether it may be, where somebody is to be asked.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn may_still(&self) -> impl Future<Output = Result<(), Error>> + Send + '_ {
        may_still(&self.received.upload, self.received.file_bytes())
    }

    /// Makes all files visible under their names, or none.
    ///
    /// # Errors
    /// As [`Received::commit`]; nothing is visible then.
    pub(crate) async fn store(&mut self, naming: &Naming) -> Result<(), Error> {
        self.stored = Some(self.received.store(naming).await?);
        Ok(())
    }

    /// The app has its bytes, and works on them: what was not stored for good goes, and it no longer counts with what runs.
    pub(crate) fn release(&mut self) {
        drop(self.received.session.take());
        if let Some(mut place) = self.received.place.take()
            && let Some(stored) = &self.stored
        {
            place.keep(stored.iter().map(|file| file.length).sum());
        }
    }

    /// What the app has moved away counts no more with what is held.
    pub(crate) async fn count_again(&mut self) {
        self.release();
        if self.stored.is_some() {
            let (store, id) = (&self.received.receiver.store, self.received.upload.id);
            // If that cannot be told now, whoever clears away finds it.
            let _ = store.stored(&id).await;
        }
    }

    /// The app has it. What was not stored for good goes, before anybody is told.
    pub(crate) fn done(mut self) {
        self.release();
        let files = match self.stored.take() {
            Some(stored) => stored,
            None => std::mem::take(&mut self.received.files),
        };
        for handlers in &mut self.received.handlers {
            handlers.end(Ok(()));
        }
        if let Some(tap) = self.received.tap.take() {
            tap.handed(&files);
        }
    }

    /// It ends in `error`. What is stored for good stays; all else goes, before anybody is told.
    pub(crate) fn fail(mut self, error: &Error) {
        self.release();
        self.received.broken(error);
    }

    /// What takes away what is stored for good; `None` where nothing is.
    pub(crate) fn remove(
        &self,
    ) -> Option<impl Future<Output = Result<bool, Error>> + Send + use<>> {
        self.stored.as_ref().filter(|files| !files.is_empty())?;
        let (store, id) = (
            Arc::clone(&self.received.receiver.store),
            self.received.upload.id,
        );
        Some(async move { store.remove(&id).await })
    }
}
