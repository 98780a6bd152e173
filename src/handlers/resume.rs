//! Handlers over an interruption: saved, restored, or shown the file once more.
//!
//! A checkpoint has one entry for each handler, in their order: its state behind a 1, or a lone 0 for one that keeps none.
//! Such a one is behind after an interruption: bytes pass it by, until what is stored is read to it at the end.

use bytes::Bytes;

use super::{Chain, FileHandlers, Resume, Stop, UploadHandler};
use crate::error::Error;
use crate::upload::{FileHead, Upload};

const NO_STATE: u8 = 0;
const STATE: u8 = 1;

impl Chain {
    /// Whether there are no handlers.
    pub(crate) fn is_empty(&self) -> bool {
        self.factories.is_empty()
    }

    /// Whether all handlers can go on after an interruption, as far as they can say before they see a file.
    pub(crate) fn resumes(&self) -> bool {
        let mut handlers = self.factories.iter().map(|make| make());
        handlers.all(|handler| handler.resume() != Resume::No)
    }

    /// The handlers of a file that goes on, as [`FileHandlers::save`] gave their states.
    ///
    /// # Errors
    /// [`Error::NotResumable`] when they are others than those that were saved; a handler's refusal.
    pub(crate) fn restore(
        &self,
        upload: &Upload,
        file: &FileHead,
        states: &[Vec<u8>],
    ) -> Result<FileHandlers, Error> {
        let (mut handlers, begun) = self.begin(upload, file);
        if states.len() != handlers.handlers.len() {
            return Err(changed());
        }
        match begun {
            Ok(()) => {}
            Err(Stop::SkipFile) => return Err(changed()),
            Err(Stop::Refuse(refusal)) => return Err(refusal.into()),
        }
        for (handler, state) in handlers.handlers.iter_mut().zip(states) {
            handlers.behind.push(restore(handler.as_mut(), state)?);
        }
        if !handlers.is_behind() {
            handlers.behind.clear();
        }
        Ok(handlers)
    }
}

/// Brings a handler back to where it was; says whether it is to see the file once more instead.
fn restore(handler: &mut dyn UploadHandler, state: &[u8]) -> Result<bool, Error> {
    match (handler.resume(), state) {
        (Resume::Recompute, [NO_STATE]) => Ok(true),
        (Resume::Saved(_), [STATE, state @ ..]) => match handler.restore(state) {
            Ok(()) => Ok(false),
            Err(_) => Err(changed()),
        },
        _ => Err(changed()),
    }
}

fn saved(resume: Resume) -> Result<Vec<u8>, Error> {
    match resume {
        Resume::Saved(state) => Ok([&[STATE], &state[..]].concat()),
        Resume::Recompute => Ok(vec![NO_STATE]),
        Resume::No => Err(Error::NotResumable {
            why: "a handler cannot go on after an interruption".into(),
        }),
    }
}

fn changed() -> Error {
    Error::NotResumable {
        why: "the handlers here are not those with which it was begun".into(),
    }
}

impl FileHandlers {
    /// How each handler would go on after an interruption, for a checkpoint.
    ///
    /// # Errors
    /// [`Error::NotResumable`] when one cannot.
    pub(crate) fn save(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.resume().into_iter().map(saved).collect()
    }

    /// Whether one of them is to see the file once more.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.contains(&true)
    }

    /// Shows bytes of the file to those that are behind. What they give back goes nowhere.
    ///
    /// # Errors
    /// The first handler's [`Stop`].
    pub(crate) fn catch_up(&mut self, bytes: &Bytes) -> Result<(), Stop> {
        let handlers = self.handlers.iter_mut().zip(&self.behind);
        for (handler, _) in handlers.filter(|(_, behind)| **behind) {
            handler.chunk(bytes.clone())?;
        }
        Ok(())
    }

    /// They have seen all of it.
    pub(crate) fn caught_up(&mut self) {
        self.behind.clear();
    }
}
