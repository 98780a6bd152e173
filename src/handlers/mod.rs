//! What bytes pass through on their way to the store: a chain of handlers, as Django has them
//! (`FILE_UPLOAD_HANDLERS`).
//!
//! A handler is given as a factory; each file of an upload gets handlers of its own, in the order of the chain. A
//! handler may look at the bytes and pass them on, change them, skip the file (the rest of the form goes on) or refuse
//! the whole upload with a reason. It runs on a data thread, in line with the socket: what it takes, the upload takes.
//!
//! ```
//! use bytes::Bytes;
//! use dumbwaiter::{Refusal, Stop, UploadHandler};
//!
//! /// Refuses files that begin with the mark of a Windows program.
//! struct NoPrograms(bool);
//!
//! impl UploadHandler for NoPrograms {
//!     fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
//!         if std::mem::take(&mut self.0) && chunk.starts_with(b"MZ") {
//!             return Err(Refusal::new("programs are not taken here").into());
//!         }
//!         Ok(chunk)
//!     }
//! }
//! # let _ = NoPrograms(true);
//! ```

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Refusal};
use crate::upload::{FileFacts, FileHead, Upload};

mod digest;
mod limit;
mod resume;
mod sniff;

pub use digest::{Algorithm, Digest};
pub use limit::Limit;
pub(crate) use limit::too_large;
pub use sniff::{NotATypePattern, Sniff, TypePattern};

/// Sees one file of one upload pass by.
///
/// The calls come in this order: `new_file`, `chunk` any number of times, `file_complete`; then, when the upload's
/// other files have come too, `upload_complete`. Whenever that order breaks off, `upload_broken` is the last call.
pub trait UploadHandler: Send {
    /// Says which files this handler takes at all, for whoever wants to know before anything is sent: the page shows
    /// it. Asked of one handler that sees no file, when the service is built.
    fn takes(&self, files: &mut Taken) {
        let _ = files;
    }

    /// Called before the first byte, with the request's head and what the client says of the file.
    ///
    /// # Errors
    /// [`Stop::SkipFile`] leaves this file out, [`Stop::Refuse`] ends the upload.
    fn new_file(&mut self, upload: &Upload, file: &FileHead) -> Result<(), Stop> {
        let _ = (upload, file);
        Ok(())
    }

    /// Takes the next bytes, of any length, and gives back those that go on; an empty chunk passes nothing on.
    ///
    /// # Errors
    /// As [`UploadHandler::new_file`]; bytes already stored of a skipped file are removed.
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop>;

    /// Called after the last byte; may add to what is known of the file and gives back bytes held until now.
    ///
    /// # Errors
    /// As [`UploadHandler::new_file`].
    fn file_complete(&mut self, facts: &mut FileFacts) -> Result<Bytes, Stop> {
        let _ = facts;
        Ok(Bytes::new())
    }

    /// Called when every file of the upload is stored under its name; where a route of the app's own decides on each file
    /// ([`Service::receive`](crate::Service::receive)), when the upload has ended and this one was kept.
    fn upload_complete(&mut self) {}

    /// Called when the upload ended otherwise, or this file of it was not kept; nothing of the file is left.
    fn upload_broken(&mut self, why: &Error) {
        let _ = why;
    }

    /// How this handler goes on after an interruption, asked whenever a checkpoint is taken.
    fn resume(&self) -> Resume {
        Resume::No
    }

    /// Takes up the state that [`Resume::Saved`] gave, before the first chunk after an interruption.
    ///
    /// # Errors
    /// When the state is not one that this handler wrote.
    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        let _ = state;
        Err(Error::store("this handler saves no state"))
    }
}

/// Which files are taken, told before any is sent. It is an explanation and binds nobody: a handler decides when it sees
/// a file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The most bytes that one file may have; `None` is no limit.
    pub bytes: Option<u64>,
    /// The types that a file may be of; none given, any.
    pub types: Vec<TypePattern>,
}

/// Why a handler takes no more of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Leave this file out; the upload goes on.
    SkipFile,
    /// End the upload with this reason.
    Refuse(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// How a handler goes on after an interruption.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// This state brings it back to where it is now.
    Saved(Vec<u8>),
    /// It keeps no state: the file is read once more at completion, never once a request.
    Recompute,
    /// It cannot; an upload through it is not offered for resuming.
    No,
}

/// The factories of an upload's handlers, in the order in which bytes pass them.
#[derive(Clone, Default)]
#[doc(hidden)]
pub struct Chain {
    factories: Vec<Arc<dyn Fn() -> Box<dyn UploadHandler> + Send + Sync>>,
}

impl Chain {
    /// Adds a factory at the end of the chain.
    pub fn push<H: UploadHandler + 'static>(
        &mut self,
        factory: impl Fn() -> H + Send + Sync + 'static,
    ) {
        self.factories.push(Arc::new(move || Box::new(factory())));
    }

    /// Which files pass the whole chain, as far as its handlers say so.
    #[must_use]
    pub fn takes(&self) -> Taken {
        let mut files = Taken::default();
        for make in &self.factories {
            make().takes(&mut files);
        }
        files
    }

    /// Makes the handlers of one file and shows them its head.
    ///
    /// # Errors
    /// The first handler's [`Stop`]; the handlers come back too, since those of a skipped file still hear the end.
    pub fn begin(&self, upload: &Upload, file: &FileHead) -> (FileHandlers, Result<(), Stop>) {
        let made = self.factories.iter().map(|make| make());
        let mut handlers = FileHandlers {
            handlers: granted(upload).into_iter().chain(made).collect(),
            behind: Vec::new(),
            complete: false,
        };
        let begun = handlers
            .handlers
            .iter_mut()
            .try_for_each(|handler| handler.new_file(upload, file));
        (handlers, begun)
    }
}

/// What sees to it that a file is of a type for which the upload was let in. It comes before all others, so that it is
/// the client's bytes that count.
fn granted(upload: &Upload) -> Option<Box<dyn UploadHandler>> {
    let types = &upload.terms.as_ref()?.types;
    let patterns = types.iter().map(|text| text.parse::<TypePattern>());
    // A type that cannot be read lets nothing pass.
    let patterns: Vec<_> = patterns.filter_map(Result::ok).collect();
    (!types.is_empty()).then(|| Box::new(Sniff::allow(patterns)) as Box<dyn UploadHandler>)
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("handlers", &self.factories.len())
            .finish()
    }
}

/// The handlers of one file.
#[doc(hidden)]
pub struct FileHandlers {
    handlers: Vec<Box<dyn UploadHandler>>,
    /// Which of them bytes pass by, to be shown the file at its end; none unless one is.
    behind: Vec<bool>,
    complete: bool,
}

impl FileHandlers {
    /// Passes a chunk along the chain and gives back what the store is to keep.
    ///
    /// # Errors
    /// The first handler's [`Stop`].
    pub fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        match self.behind.is_empty() {
            true => pass(&mut self.handlers, chunk),
            false => pass_some(&mut self.handlers, &self.behind, chunk),
        }
    }

    /// Tells each handler, in order, that the file is complete; bytes that one held back pass those behind it.
    ///
    /// # Errors
    /// The first handler's [`Stop`].
    pub fn complete(&mut self, facts: &mut FileFacts) -> Result<Vec<Bytes>, Stop> {
        let mut held = Vec::new();
        for i in 0..self.handlers.len() {
            let (done, behind) = self.handlers.split_at_mut(i + 1);
            let last = done[i].file_complete(facts)?;
            held.push(pass(behind, last)?);
        }
        held.retain(|bytes| !bytes.is_empty());
        self.complete = true;
        Ok(held)
    }

    /// Whether the whole file has passed, rather than having been skipped.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Tells each handler how the upload ended.
    pub fn end(&mut self, how: Result<(), &Error>) {
        for handler in &mut self.handlers {
            match how {
                Ok(()) => handler.upload_complete(),
                Err(why) => handler.upload_broken(why),
            }
        }
    }

    /// How each handler would go on after an interruption, in order.
    #[must_use]
    pub fn resume(&self) -> Vec<Resume> {
        self.handlers
            .iter()
            .map(|handler| handler.resume())
            .collect()
    }
}

impl std::fmt::Debug for FileHandlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileHandlers")
            .field("handlers", &self.handlers.len())
            .finish()
    }
}

fn pass(handlers: &mut [Box<dyn UploadHandler>], chunk: Bytes) -> Result<Bytes, Stop> {
    handlers
        .iter_mut()
        .try_fold(chunk, |chunk, handler| match chunk.is_empty() {
            true => Ok(chunk),
            false => handler.chunk(chunk),
        })
}

/// Passes by those that are `behind`.
fn pass_some(
    handlers: &mut [Box<dyn UploadHandler>],
    behind: &[bool],
    mut chunk: Bytes,
) -> Result<Bytes, Stop> {
    for (handler, _) in handlers
        .iter_mut()
        .zip(behind)
        .filter(|(_, behind)| !**behind)
    {
        chunk = pass(std::slice::from_mut(handler), chunk)?;
    }
    Ok(chunk)
}
