//! An upload of which all bytes have come, and whose files are kept one by one: at a route of the app's own.

use super::Received;
use crate::error::Error;
use crate::name::{OnConflict, SafePath};
use crate::store::Placed;
use crate::upload::{FileFacts, Upload};

/// Dropping it without an end would end the upload as if its client had gone.
#[derive(Debug)]
pub(crate) struct Arrived {
    received: Box<Received>,
    /// Those kept so far, in the order of keeping.
    kept: Vec<Kept>,
    /// Which of the upload's files the app wanted kept, in vain.
    lost: Vec<usize>,
}

#[derive(Debug)]
struct Kept {
    /// Which of the upload's files.
    index: usize,
    facts: FileFacts,
}

impl Arrived {
    /// All bytes are here: from now on the upload is processed.
    pub(crate) fn new(received: Box<Received>) -> Self {
        received.tap().processing();
        Self {
            received,
            kept: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Whether a file was kept.
    pub(crate) fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// What the upload is.
    pub(crate) fn upload(&self) -> &Upload {
        &self.received.upload
    }

    /// The form's fields that are no files, in the order in which they came.
    pub(crate) fn fields(&self) -> &[(String, String)] {
        &self.received.fields
    }

    /// Its files, as their clients called them.
    pub(crate) fn files(&self) -> &[FileFacts] {
        &self.received.files
    }

    /// Makes file `index` visible at `place`; gives its number among the files kept, by which its URL goes, and what it is
    /// called. A failure may be made good by another place.
    pub(crate) async fn keep(
        &mut self,
        index: usize,
        place: Result<SafePath, Error>,
        on_conflict: OnConflict,
    ) -> Result<(usize, FileFacts), Error> {
        self.lost.retain(|lost| *lost != index);
        let kept = match place {
            Ok(place) => self.put(index, place, on_conflict).await,
            Err(error) => Err(error),
        };
        if kept.is_err() {
            self.lost.push(index);
        }
        kept
    }

    async fn put(
        &mut self,
        index: usize,
        place: SafePath,
        on_conflict: OnConflict,
    ) -> Result<(usize, FileFacts), Error> {
        let facts = self.received.files.get(index).cloned();
        let (Some(session), Some(facts)) = (&mut self.received.session, facts) else {
            return Err(Error::store("there is no such file to be kept"));
        };
        let facts = session
            .keep(index, Placed { place, facts }, on_conflict)
            .await?;
        if let Some(place) = &mut self.received.place {
            place.keep(facts.length);
        }
        let kept = Kept {
            index,
            facts: facts.clone(),
        };
        self.kept.push(kept);
        Ok((self.kept.len() - 1, facts))
    }

    /// The app has no more to keep. Unless it says that this is `well`, an upload of which no file was kept, though it has
    /// some, ends in [`Error::NotKept`], and so does one of which a file should have been and was not.
    pub(crate) fn finish(mut self, well: bool) {
        let in_vain = self.kept.is_empty() && !self.received.files.is_empty();
        let is_lost = !well && (in_vain || !self.lost.is_empty());
        // As everywhere: what goes has gone, and the place is free, before anybody is told.
        drop(self.received.session.take());
        drop(self.received.place.take());
        self.tell_handlers();
        let kept: Vec<_> = self.kept.into_iter().map(|kept| kept.facts).collect();
        match self.received.tap.take() {
            Some(tap) if is_lost => tap.fail(&Error::NotKept),
            Some(tap) => tap.done(&kept),
            None => {}
        }
    }

    /// The upload ends in `error`, and what was kept of it goes too.
    pub(crate) async fn refuse(mut self, error: &Error) {
        drop(self.received.session.take());
        if !self.kept.is_empty() {
            let (store, id) = (&self.received.receiver.store, &self.received.upload.id);
            if let Err(failed) = store.remove(id).await {
                let cause = std::error::Error::source(&failed).map(ToString::to_string);
                tracing::warn!(
                    upload = id.short(),
                    cause,
                    "what was kept could not be removed"
                );
            }
        }
        self.received.broken(error);
    }

    /// The server stops, or somebody cancels the upload, while the app has it: a server that stops leaves what was kept.
    pub(crate) async fn halt(self, why: &Error) {
        match (why, self.kept.is_empty()) {
            (Error::ShuttingDown, false) => self.finish(true),
            _ => self.refuse(why).await,
        }
    }

    fn tell_handlers(&mut self) {
        let mut index = 0;
        for handlers in &mut self.received.handlers {
            let kept = self.kept.iter().any(|kept| kept.index == index);
            match handlers.is_complete() && kept {
                true => handlers.end(Ok(())),
                false => handlers.end(Err(&Error::NotKept)),
            }
            index += usize::from(handlers.is_complete());
        }
    }
}
