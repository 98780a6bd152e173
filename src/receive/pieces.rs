//! What a body holds: files on their way through the handlers to the store, fields in memory.

use bytes::Bytes;

use super::{Current, Piece, Received};
use crate::error::Error;
use crate::handlers::{FileHandlers, Stop};
use crate::store::{Open, Session};
use crate::upload::{FileFacts, FileHead};

/// How much is read at once when a handler is shown again what is stored.
const READ: usize = 256 * 1024;

impl Received {
    pub(super) async fn take(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        for piece in pieces.drain(..) {
            match piece {
                Piece::File(head) => self.head(head).await?,
                Piece::Field(name) => self.begin_field(name)?,
                Piece::Data(bytes) => self.data(bytes).await?,
                // On the heap: it is once a file, and an upload keeps room for the largest of these as long as bytes come.
                Piece::End => Box::pin(self.end()).await?,
                Piece::Between(bytes) => self.beside(&bytes)?,
            }
        }
        self.write().await
    }

    /// A browser's form sends an empty file input as a file without name and bytes: such a one begins with its first byte.
    async fn head(&mut self, head: FileHead) -> Result<(), Error> {
        let may_be_none = may_be_none(&head);
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
        match &self.current {
            Current::Field { .. } => self.beside(&bytes)?,
            Current::File(_) => self.count_for_skeleton(bytes.len()),
            Current::Nothing | Current::Skipped | Current::Head(_) => {}
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
                    self.keeps_to_terms()
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
                if self.terms().is_some_and(|terms| terms.says(&name)) {
                    return Ok(());
                }
                let value = String::from_utf8_lossy(&value).into_owned();
                self.tap().field(&name, &value);
                self.fields.push((name, value));
                Ok(())
            }
            // Its file has no bytes, unless it is none at all.
            Current::Head(head) if !may_be_none(&head) => {
                self.current = Current::Head(head);
                self.begin_file().await?;
                match std::mem::replace(&mut self.current, Current::Nothing) {
                    Current::File(facts) => self.end_file(facts).await,
                    _ => Ok(()),
                }
            }
            Current::Nothing | Current::Skipped | Current::Head(_) => Ok(()),
        }
    }

    /// Begins the file whose head is at hand, now that it is known to be one.
    async fn begin_file(&mut self) -> Result<(), Error> {
        let Current::Head(mut head) = std::mem::replace(&mut self.current, Current::Skipped) else {
            return Ok(());
        };
        if let Some(name) = self.terms().and_then(|terms| terms.name.clone()) {
            head.name = Some(name);
        }
        self.begun += 1;
        limit("files", self.begun, self.receiver.limits.files)?;
        let (handlers, begun) = self.receiver.chain.begin(&self.upload, &head);
        self.handlers.push(handlers);
        match begun {
            Ok(()) => {}
            Err(Stop::SkipFile) => return self.may_skip(),
            Err(Stop::Refuse(refusal)) => return Err(refusal.into()),
        }
        if self.session.is_none() {
            self.open_session().await?;
        }
        let expect = self.still_to_come();
        self.session().begin_file(&head, expect).await?;
        self.tap().begin_file(&head);
        self.current = Current::File(head.into());
        Ok(())
    }

    /// How many bytes may still come; `None` when nobody knows, or they come with requests to follow.
    fn still_to_come(&self) -> Option<u64> {
        let length = self.upload.length.filter(|_| self.resumable.is_none());
        length.map(|length| length.saturating_sub(self.taken))
    }

    pub(super) async fn open_session(&mut self) -> Result<(), Error> {
        let opened = self.receiver.store.open(&self.upload.id, Open::Create);
        let mut session = opened.await?;
        session.belongs_to(self.upload.owner.key());
        self.session = Some(session);
        Ok(())
    }

    fn session(&mut self) -> &mut Box<dyn Session> {
        let session = self.session.as_mut();
        session.expect("it is opened before the first file")
    }

    async fn end_file(&mut self, mut facts: FileFacts) -> Result<(), Error> {
        if self.is_behind()
            && let Err(stop) = self.catch_up().await?
        {
            return self.stop(stop).await;
        }
        match last(&mut self.handlers).complete(&mut facts) {
            Ok(held) => {
                facts.length += held.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
                self.frames.extend(held);
                self.write().await?;
                self.file_in_skeleton(facts.length)?;
                self.tap().end_file(&facts);
                self.fields_before.push(self.fields.len());
                self.files.push(facts);
                self.keeps_to_terms()
            }
            Err(stop) => self.stop(stop).await,
        }
    }

    /// Whether a handler of the current file has not seen all of it.
    pub(super) fn is_behind(&self) -> bool {
        self.handlers.last().is_some_and(FileHandlers::is_behind)
    }

    /// Shows the current file once to handlers that keep no state, from its first byte on.
    async fn catch_up(&mut self) -> Result<Result<(), Stop>, Error> {
        self.write().await?;
        let mut offset = 0;
        loop {
            self.tap().go_on()?;
            let bytes = self.session().read_back(offset, READ).await?;
            if bytes.is_empty() {
                break;
            }
            offset += bytes.len() as u64;
            if let Err(stop) = last(&mut self.handlers).catch_up(&bytes) {
                return Ok(Err(stop));
            }
            tokio::task::yield_now().await;
        }
        last(&mut self.handlers).caught_up();
        Ok(Ok(()))
    }

    /// A handler takes no more of the current file.
    pub(super) async fn stop(&mut self, stop: Stop) -> Result<(), Error> {
        let Stop::Refuse(refusal) = stop else {
            self.may_skip()?;
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

    /// Gives the store what waits for it.
    async fn write(&mut self) -> Result<(), Error> {
        match &mut self.session {
            Some(session) if !self.frames.is_empty() => session.write(&mut self.frames).await,
            _ => Ok(()),
        }
    }
}

/// Whether it is what a browser sends of a file input that was left empty.
fn may_be_none(head: &FileHead) -> bool {
    head.name.as_deref() == Some("")
}

fn last(handlers: &mut [FileHandlers]) -> &mut FileHandlers {
    handlers
        .last_mut()
        .expect("a file's handlers are made before its first byte")
}

pub(super) fn limit(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    match count > limit {
        true => Err(Error::LimitExceeded {
            what,
            limit: limit as u64,
        }),
        false => Ok(()),
    }
}
