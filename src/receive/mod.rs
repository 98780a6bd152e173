//! The pump, on a data thread: body → tap → handlers → store, the only place where they meet.
//!
//! ```text
//! Body ──frames──► Split ──pieces──► field: kept in memory, within a bound
//!   │                        └─────► file:  handlers ──► Session::write
//!   └─► Tap (bytes off the wire)
//! ```
//!
//! [`Receiver::begin`] makes an empty [`Received`] and [`Received::take_in`] takes a body to its end: fields in memory,
//! files in the store but out of sight. [`Received::commit`] makes them visible. Whatever breaks off on the way leaves nothing in the
//! store and ends the upload's record in a state that says why.

use std::sync::Arc;

use bytes::Bytes;

use crate::admission::Place;
use crate::error::Error;
use crate::handlers::{Chain, FileHandlers, Stop};
use crate::name::{OnConflict, Template, Values};
use crate::progress::Tap;
use crate::store::{Open, Placed, Session, Store};
use crate::upload::{FileFacts, FileHead, Upload};

mod arrived;
mod body;
mod checksum;
mod pace;
mod split;

use pace::Pace;

pub(crate) use arrived::Arrived;
pub use body::Body;
pub(crate) use checksum::{ALGORITHMS, Check, Checksum};
pub use pace::PaceOptions;
pub use split::{Piece, Raw, Split};

/// How much of a form is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Files of one upload; default 1,000.
    pub files: usize,
    /// Form fields that are no files; default 1,000.
    pub fields: usize,
    /// Bytes of one field's value; default 1 MiB.
    pub field_size: usize,
    /// Bytes of all fields of one upload, names and values together, and of the names and types of its files; they are
    /// kept in memory until its end. Default 1 MiB.
    pub field_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 1000,
            fields: 1000,
            field_size: 1024 * 1024,
            field_bytes: 1024 * 1024,
        }
    }
}

/// How stored files are called.
#[derive(Clone, Default, Debug)]
pub struct Naming {
    /// What the name is made of.
    pub template: Template,
    /// What happens when it is taken.
    pub on_conflict: OnConflict,
}

/// Takes bodies in: the store, the chain of handlers and the limits that all uploads share.
#[derive(Clone)]
pub struct Receiver {
    /// Where bytes rest.
    pub store: Arc<dyn Store>,
    /// What they pass through.
    pub chain: Chain,
    /// How much of a form is taken.
    pub limits: Limits,
    /// How slowly it may come.
    pub pace: PaceOptions,
}

impl Receiver {
    /// An upload of which no byte has come. It keeps its `place` until nothing of it is under way.
    ///
    /// It lies on the heap, once: a slow upload waits in a row of futures, and each would keep room for it.
    #[must_use]
    pub fn begin(&self, upload: Box<Upload>, tap: Tap, place: Place) -> Box<Received> {
        Box::new(Received {
            receiver: self.clone(),
            upload,
            tap: Some(tap),
            place: Some(place),
            session: None,
            handlers: Vec::new(),
            files: Vec::new(),
            fields: Vec::new(),
            field_bytes: 0,
            taken: 0,
            current: Current::Nothing,
            frames: Vec::new(),
        })
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("chain", &self.chain)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What has come of an upload, not yet visible in the store. Dropping it removes it.
pub struct Received {
    receiver: Receiver,
    upload: Box<Upload>,
    /// Gone when the upload has ended.
    tap: Option<Tap>,
    place: Option<Place>,
    /// Opened with the first file.
    session: Option<Box<dyn Session>>,
    /// Those of every file, skipped ones too: all hear how the upload ends.
    handlers: Vec<FileHandlers>,
    files: Vec<FileFacts>,
    fields: Vec<(String, String)>,
    field_bytes: usize,
    /// Body bytes taken before the frames at hand.
    taken: u64,
    current: Current,
    /// Bytes of the current file that wait for the next write.
    frames: Vec<Bytes>,
}

enum Current {
    Nothing,
    /// The rest of a file that a handler skipped.
    Skipped,
    Field {
        name: String,
        value: Vec<u8>,
    },
    /// A file without a name, of which no byte has come yet.
    Head(FileHead),
    File(FileFacts),
}

impl Received {
    /// Takes `body` to its end, on a data thread.
    ///
    /// # Errors
    /// Whatever broke the upload; its record says so already, and nothing of it is left in the store.
    pub async fn take_in(&mut self, body: Body, split: Box<dyn Split>) -> Result<(), Error> {
        let pumped = self.pump(body, split).await;
        pumped.inspect_err(|error| self.broken(error))
    }

    /// The form's fields that are no files, in the order in which they came.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// Names the files and makes them visible, all or none; gives back what they are called and how long they are.
    ///
    /// # Errors
    /// [`Error::UnusableName`], [`Error::NameTaken`], or what the store says; nothing is visible then.
    pub async fn commit(mut self: Box<Self>, naming: &Naming) -> Result<Vec<FileFacts>, Error> {
        self.tap().processing();
        let stored = match self.place(naming) {
            Ok(placed) => match self.session.take() {
                Some(session) => session.commit(placed, naming.on_conflict).await,
                None => Ok(Vec::new()),
            },
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

    fn done(&mut self, files: Vec<FileFacts>) -> Vec<FileFacts> {
        for handlers in &mut self.handlers {
            handlers.end(Ok(()));
        }
        // Whoever learns of the end finds the place free.
        if let Some(mut place) = self.place.take() {
            place.keep(files.iter().map(|file| file.length).sum());
        }
        if let Some(tap) = self.tap.take() {
            tap.done(&files);
        }
        files
    }

    /// Ends the upload with `error`; what is stored of it goes.
    fn broken(&mut self, error: &Error) {
        // The bytes go first, then the place: whoever learns of the end finds nothing left over.
        drop(self.session.take());
        drop(self.place.take());
        let Some(tap) = self.tap.take() else { return };
        for handlers in &mut self.handlers {
            handlers.end(Err(error));
        }
        tap.fail(error);
    }

    fn tap(&self) -> &Tap {
        self.tap
            .as_ref()
            .expect("an upload that goes on has its tap")
    }
}

impl Drop for Received {
    /// A writer may vanish at any `.await`: that too is an end.
    fn drop(&mut self) {
        self.broken(&Error::ClientGone);
    }
}

/// The way of the bytes.
impl Received {
    async fn pump(&mut self, mut body: Body, mut split: Box<dyn Split>) -> Result<(), Error> {
        let (mut frames, mut pieces) = (Vec::new(), Vec::new());
        // Polling the body is what invites it (`100 Continue`): what is refused without it is refused first.
        split.begin(&mut pieces);
        self.take(&mut pieces).await?;
        let mut pace = Pace::new(self.receiver.pace);
        let mut halted = std::pin::pin!(Arc::clone(self.tap().progress()).halted());
        loop {
            // In this order: a halt is listened to only where the client is waited for anyway.
            let more = tokio::select! {
                biased;
                more = pace.frames(&mut body, &mut frames) => more?,
                halt = &mut halted => return Err(halt),
            };
            if !more {
                break;
            }
            self.tap().progress().go_on()?;
            let bytes = frames.iter().map(|frame: &Bytes| frame.len() as u64).sum();
            pace.took(bytes);
            self.tap().received(bytes);
            if let Some(place) = &mut self.place {
                place.take(bytes)?;
            }
            for frame in frames.drain(..) {
                split.split(frame, &mut pieces)?;
            }
            self.take(&mut pieces).await?;
            self.taken += bytes;
            // One fast client would otherwise hold the others of this thread for as long as it sends.
            tokio::task::yield_now().await;
        }
        self.check_length()?;
        split.finish(&mut pieces)?;
        self.take(&mut pieces).await
    }

    /// A host's body may end elsewhere than the head said.
    fn check_length(&self) -> Result<(), Error> {
        match self.upload.length {
            Some(length) if length > self.taken => Err(Error::ClientGone),
            Some(length) if length < self.taken => Err(Error::BadRequest {
                what: "the body is longer than declared",
            }),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        for piece in pieces.drain(..) {
            match piece {
                Piece::File(head) => self.head(head).await?,
                Piece::Field(name) => self.begin_field(name)?,
                Piece::Data(bytes) => self.data(bytes).await?,
                Piece::End => self.end().await?,
            }
        }
        self.write().await
    }

    /// A browser's form sends an empty file input as a file without name and bytes: such a one begins with its first byte.
    async fn head(&mut self, head: FileHead) -> Result<(), Error> {
        let may_be_none = head.name.as_deref() == Some("");
        // They stand in the record until it is forgotten: what a thousand files may say of themselves is bounded too.
        let texts = [&head.field, &head.name, &head.content_type];
        self.count_field_bytes(texts.into_iter().flatten().map(String::len).sum())?;
        self.current = Current::Head(head);
        match may_be_none {
            true => Ok(()),
            false => self.begin_file().await,
        }
    }

    fn begin_field(&mut self, name: String) -> Result<(), Error> {
        limit("fields", self.fields.len() + 1, self.receiver.limits.fields)?;
        self.count_field_bytes(name.len())?;
        self.current = Current::Field {
            name,
            value: Vec::new(),
        };
        Ok(())
    }

    fn count_field_bytes(&mut self, bytes: usize) -> Result<(), Error> {
        self.field_bytes += bytes;
        limit(
            "bytes in fields and in what is said of files",
            self.field_bytes,
            self.receiver.limits.field_bytes,
        )
    }

    async fn data(&mut self, bytes: Bytes) -> Result<(), Error> {
        if matches!(self.current, Current::Head(_)) {
            self.begin_file().await?;
        }
        match &mut self.current {
            Current::Field { value, .. } => {
                let most = self.receiver.limits.field_size;
                limit("bytes in one field", value.len() + bytes.len(), most)?;
                value.extend_from_slice(&bytes);
                self.count_field_bytes(bytes.len())
            }
            Current::File(facts) => match last(&mut self.handlers).chunk(bytes) {
                Ok(bytes) => {
                    facts.length += bytes.len() as u64;
                    self.frames
                        .extend(Some(bytes).filter(|bytes| !bytes.is_empty()));
                    Ok(())
                }
                Err(stop) => self.stop(stop).await,
            },
            Current::Nothing | Current::Skipped | Current::Head(_) => Ok(()),
        }
    }

    async fn end(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.current, Current::Nothing) {
            Current::File(facts) => self.end_file(facts).await,
            Current::Field { name, value } => {
                let value = String::from_utf8_lossy(&value).into_owned();
                self.tap().field(&name, &value);
                self.fields.push((name, value));
                Ok(())
            }
            Current::Nothing | Current::Skipped | Current::Head(_) => Ok(()),
        }
    }

    /// Begins the file whose head is at hand, now that it is known to be one.
    async fn begin_file(&mut self) -> Result<(), Error> {
        let Current::Head(head) = std::mem::replace(&mut self.current, Current::Skipped) else {
            return Ok(());
        };
        limit("files", self.handlers.len() + 1, self.receiver.limits.files)?;
        let (handlers, begun) = self.receiver.chain.begin(&self.upload, &head);
        self.handlers.push(handlers);
        match begun {
            Ok(()) => {}
            Err(Stop::SkipFile) => return Ok(()),
            Err(Stop::Refuse(refusal)) => return Err(refusal.into()),
        }
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                let opened = self.receiver.store.open(&self.upload.id, Open::Create);
                let session = none.insert(opened.await?);
                session.belongs_to(self.upload.owner.key());
                session
            }
        };
        session
            .begin_file(
                &head,
                self.upload
                    .length
                    .map(|length| length.saturating_sub(self.taken)),
            )
            .await?;
        self.tap().begin_file(&head);
        self.current = Current::File(head.into());
        Ok(())
    }

    async fn end_file(&mut self, mut facts: FileFacts) -> Result<(), Error> {
        match last(&mut self.handlers).complete(&mut facts) {
            Ok(held) => {
                facts.length += held.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
                self.frames.extend(held);
                self.write().await?;
                self.tap().end_file(&facts);
                self.files.push(facts);
                Ok(())
            }
            Err(stop) => self.stop(stop).await,
        }
    }

    /// A handler takes no more of the current file.
    async fn stop(&mut self, stop: Stop) -> Result<(), Error> {
        let Stop::Refuse(refusal) = stop else {
            self.frames.clear();
            self.current = Current::Skipped;
            self.tap().discard_file();
            return match &mut self.session {
                Some(session) => session.discard_file().await,
                None => Ok(()),
            };
        };
        Err(refusal.into())
    }

    async fn write(&mut self) -> Result<(), Error> {
        match &mut self.session {
            Some(session) if !self.frames.is_empty() => session.write(&mut self.frames).await,
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received")
            .field("id", &self.upload.id)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn last(handlers: &mut [FileHandlers]) -> &mut FileHandlers {
    handlers
        .last_mut()
        .expect("a file's handlers are made before its first byte")
}

fn limit(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    match count > limit {
        true => Err(Error::LimitExceeded {
            what,
            limit: limit as u64,
        }),
        false => Ok(()),
    }
}
