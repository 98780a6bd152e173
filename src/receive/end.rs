//! How an upload ends: named and visible, or gone.

use super::terms::may_still;
use super::{Naming, Received, Resumable};
use crate::error::Error;
use crate::name::Values;
use crate::progress::Tap;
use crate::store::Placed;
use crate::upload::{FileFacts, Owner, Remembered};

impl Received {
    /// Names the files and makes them visible, all or none; gives back what they are called and how long they are.
    ///
    /// # Errors
    /// [`Error::UnusableName`], [`Error::NameTaken`], the app's refusal, or what the store says; nothing is visible then.
    pub async fn commit(mut self: Box<Self>, naming: &Naming) -> Result<Vec<FileFacts>, Error> {
        self.tap().processing();
        let stored = match may_still(&self.upload, self.file_bytes()).await {
            Ok(()) => self.store(naming).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(files) => Ok(self.done(files)),
            Err(error) => {
                self.broken(&error);
                Err(error)
            }
        }
    }

    /// The same, and the record does not say so yet.
    pub(super) async fn store(&mut self, naming: &Naming) -> Result<Vec<FileFacts>, Error> {
        let placed = self.place(naming)?;
        self.remember_owner();
        if self.receiver.hand_off.is_some() {
            self.note_due();
        }
        match self.session.take() {
            Some(session) => session.commit(placed, naming.on_conflict).await,
            None => Ok(Vec::new()),
        }
    }

    /// Whom the app has named stays the owner as long as the files stay.
    fn remember_owner(&mut self) {
        let is_named = matches!(self.upload.owner, Owner::Named(_)) && self.resumable.is_none();
        if let (true, Some(session)) = (is_named, &mut self.session) {
            session.settled(&Remembered::of(&self.upload));
        }
    }

    fn place(&mut self, naming: &Naming) -> Result<Vec<Placed>, Error> {
        let files = std::mem::take(&mut self.files);
        let place = |facts: FileFacts| {
            let values = Values {
                id: &self.upload.id,
                filename: facts.name.as_deref(),
                field: facts.field.as_deref(),
                form: &self.fields,
                digest: facts
                    .digest
                    .as_deref()
                    .and_then(|digest| digest.split_once(':'))
                    .map(|(_, hex)| hex),
                at: self.upload.started_at,
            };
            Ok(Placed {
                place: naming.template.render(&values)?,
                facts,
            })
        };
        files.into_iter().map(place).collect()
    }

    pub(super) fn done(&mut self, files: Vec<FileFacts>) -> Vec<FileFacts> {
        for handlers in &mut self.handlers {
            handlers.end(Ok(()));
        }
        // Whoever learns of the end finds the place free.
        if let Some(mut place) = self.place.take() {
            place.keep(files.iter().map(|file| file.length).sum());
        }
        if let Some(tap) = self.tap.take() {
            self.leave_to_app(tap, &files);
        }
        files
    }

    /// Ends the upload with `error`; what is stored of it goes.
    pub(super) fn broken(&mut self, error: &Error) {
        // The bytes go first, then the place: whoever learns of the end finds nothing left over.
        drop(self.session.take());
        drop(self.place.take());
        let Some(tap) = self.tap.take() else { return };
        for handlers in &mut self.handlers {
            handlers.end(Err(error));
        }
        tap.fail(error);
    }

    pub(super) fn tap(&self) -> &Tap {
        self.tap
            .as_ref()
            .expect("an upload that goes on has its tap")
    }
}

impl Drop for Received {
    /// A writer may vanish at any `.await`: that too is an end, unless there is a checkpoint to go on from.
    fn drop(&mut self) {
        let stays = |resumable: &Resumable| resumable.kept.stands();
        if self.tap.is_some() && self.resumable.as_deref().is_some_and(stays) {
            drop(self.session.take());
            drop(self.interrupt(&Error::ClientGone));
        } else {
            self.broken(&Error::ClientGone);
        }
    }
}
