//! One upload being written to disk.

use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Inner;
use super::commit::Commit;
use super::gate::Gate;
use super::keep::{Keep, Kept};
use super::read;
use super::reserve::Writing;
use super::scratch::Scratch;
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::records::Saved;
use crate::store::{Checkpoint, Placed, Session};
use crate::upload::{FileFacts, FileHead, OwnerKey, Remembered, UploadId};

pub(super) use self::take::LOST;

mod take;

/// The most files that one session keeps open; earlier ones are synced and closed.
const OPEN_FILES: usize = 64;

/// See [`Session`]. All writing is done in place, on the caller's thread.
#[derive(Debug)]
pub(super) struct DiskSession {
    inner: Arc<Inner>,
    id: UploadId,
    owner: Option<OwnerKey>,
    gate: Gate,
    epoch: u64,
    /// Whether this session has recorded a checkpoint, or goes on from one.
    has_checkpoint: bool,
    resumed: Option<Checkpoint>,
    /// What the last checkpoint says of the upload, as it stays with its files.
    remembered: Option<Remembered>,
    /// What is to be written down with the upload's files.
    due: Option<Vec<u8>>,
    scratch: Scratch,
    /// Whether the last file is still being written, rather than discarded behind.
    writing: bool,
    /// How many files this session has begun, so that none of its temporary names comes twice.
    begun: u64,
    /// A sync has failed: what the disk holds is unknown from then on.
    broken: bool,
}

impl DiskSession {
    pub(super) fn create(inner: &Arc<Inner>, id: UploadId) -> Self {
        Self {
            gate: inner.gates.enter(id),
            id,
            owner: None,
            epoch: 0,
            has_checkpoint: false,
            resumed: None,
            remembered: None,
            due: None,
            scratch: Scratch::new(Arc::clone(&inner.root)),
            writing: false,
            begun: 0,
            broken: false,
            inner: Arc::clone(inner),
        }
    }

    fn remember(&mut self, checkpoint: &Checkpoint) {
        let upload = checkpoint.upload.clone();
        self.remembered = upload.map(Remembered::without_addresses);
    }

    /// Whether the records still say what they said before `saved` was to be recorded, so that it surely does not stand.
    fn is_as_before(&self, saved: &Saved) -> bool {
        match self.inner.records.saved(&self.id) {
            Ok(None) => !self.has_checkpoint,
            Ok(Some(Ok(now))) => {
                let (now, then) = (now.checkpoint, &saved.checkpoint);
                self.has_checkpoint && now.epoch == self.epoch && now != *then
            }
            Ok(Some(Err(_))) | Err(_) => false,
        }
    }

    #[cfg(test)]
    pub(super) fn scratch(&mut self) -> &mut Scratch {
        &mut self.scratch
    }

    fn check(&self) -> Result<(), Error> {
        match self.broken {
            true => Err(Error::store(
                "an earlier step of this upload has failed on the disk",
            )),
            false => Ok(()),
        }
    }

    fn check_whole(&self) -> Result<(), Error> {
        match self.scratch.has_lent() {
            true => Err(Error::store(
                "a file of this upload has been kept by itself",
            )),
            false => Ok(()),
        }
    }

    /// Makes all bytes and the names of their files durable. A failed sync is never retried: the kernel may have dropped
    /// what it could not write.
    async fn sync(&mut self) -> Result<(), Error> {
        self.broken = true;
        let (inner, scratch) = (&self.inner, &mut self.scratch);
        let data = scratch.unsynced_bytes();
        inner.syncs.data(data).await.map_err(Error::store)?;
        if scratch.unnamed_bytes() {
            let folder = inner.root.tmp_folder();
            inner.syncs.folder(folder).await.map_err(Error::store)?;
        }
        for file in scratch.files.iter_mut().filter(|file| file.written > 0) {
            file.dirty = false;
            file.named = true;
        }
        self.broken = false;
        Ok(())
    }

    /// Lets go of the file before the next one: of its spare room, and of descriptors if there are many.
    async fn close_last(&mut self) -> Result<(), Error> {
        let Some(last) = self.scratch.files.last_mut() else {
            return Ok(());
        };
        last.trim()?;
        if !self.inner.syncs.any() {
            last.file = None;
        }
        let open = self.scratch.files.iter().filter(|f| f.file.is_some());
        if open.count() >= OPEN_FILES {
            self.close_first(self.scratch.files.len()).await?;
        }
        Ok(())
    }

    /// Syncs the first `many` files and closes them: nothing more is written to them.
    async fn close_first(&mut self, many: usize) -> Result<(), Error> {
        let unsynced = self.scratch.files[..many].iter().filter(|file| file.dirty);
        let data: Vec<_> = unsynced.filter_map(|file| file.file.clone()).collect();
        if !data.is_empty() {
            self.broken = true;
            self.inner.syncs.data(data).await.map_err(Error::store)?;
            self.broken = false;
        }
        for file in &mut self.scratch.files[..many] {
            file.dirty = false;
            file.file = None;
        }
        Ok(())
    }

    /// Keeps one descriptor at most for as long as nothing comes: uploads that rest are many.
    async fn rest_open(&mut self) -> Result<(), Error> {
        drop(self.gate.pass(self.epoch)?);
        if !self.broken {
            let earlier = self.scratch.files.len().saturating_sub(1);
            self.close_first(earlier).await?;
        }
        let _pass = self.gate.pass(self.epoch)?;
        self.scratch.files.last_mut().map_or(Ok(()), Writing::rest)
    }
}

#[async_trait]
impl Session for DiskSession {
    fn resumed(&self) -> Option<&Checkpoint> {
        self.resumed.as_ref()
    }

    fn belongs_to(&mut self, owner: OwnerKey) {
        self.owner = Some(owner);
    }

    async fn begin_file(&mut self, _head: &FileHead, expect: Option<u64>) -> Result<(), Error> {
        self.check()?;
        self.close_last().await?;
        let _pass = self.gate.pass(self.epoch)?;
        let temp = format!("{}.{}.{}", self.id, self.epoch, self.begun);
        self.begun += 1;
        let file = Writing::create(&self.inner.root, temp, expect)?;
        self.writing = true;
        self.scratch.files.push(file);
        let file = self.scratch.files.last_mut().expect("just pushed");
        file.reserve(0, self.inner.reserve_ahead)
    }

    async fn write(&mut self, frames: &mut Vec<Bytes>) -> Result<(), Error> {
        self.check()?;
        let _pass = self.gate.pass(self.epoch)?;
        let Some(file) = self.scratch.files.last_mut().filter(|_| self.writing) else {
            return Err(Error::store("no file has been begun"));
        };
        let coming = frames.iter().map(|frame| frame.len() as u64).sum();
        file.reserve(coming, self.inner.reserve_ahead)?;
        match file.append(frames) {
            Ok(()) => frames.clear(),
            Err(Error::DiskFull) => return Err(Error::DiskFull),
            Err(e) => {
                self.broken = true;
                return Err(e);
            }
        }
        Ok(())
    }

    async fn read_back(&mut self, offset: u64, max: usize) -> Result<Bytes, Error> {
        self.check()?;
        let _pass = self.gate.pass(self.epoch)?;
        let last = self.scratch.files.last().filter(|_| self.writing);
        let Some((last, file)) = last.and_then(|last| last.file.as_ref().map(|file| (last, file)))
        else {
            return Err(Error::store("no file has been begun"));
        };
        let left = usize::try_from(last.written.saturating_sub(offset)).unwrap_or(usize::MAX);
        read::read_at(file, offset, max.min(left))
    }

    async fn read_file(&mut self, index: usize, offset: u64, max: usize) -> Result<Bytes, Error> {
        self.check()?;
        let _pass = self.gate.pass(self.epoch)?;
        let there = self.scratch.files.get(index).filter(|file| !file.lent);
        let file = there.ok_or_else(|| Error::store("there is no such file to be read"))?;
        let left = usize::try_from(file.written.saturating_sub(offset)).unwrap_or(usize::MAX);
        match &file.file {
            Some(open) => read::read_at(open, offset, max.min(left)),
            // Closed to save a descriptor; opened for this once.
            None => {
                let opened = self.inner.root.open_temp(&file.temp)?;
                let opened = opened.ok_or_else(|| Error::store("a temporary file is gone"))?;
                read::read_at(opened, offset, max.min(left))
            }
        }
    }

    async fn discard_file(&mut self) -> Result<(), Error> {
        self.check()?;
        let _pass = self.gate.pass(self.epoch)?;
        self.scratch.discard_last();
        self.writing = false;
        Ok(())
    }

    async fn checkpoint(&mut self, mut checkpoint: Checkpoint) -> Result<u64, Error> {
        self.check()?;
        self.check_whole()?;
        drop(self.gate.pass(self.epoch)?);
        if checkpoint.files.len() != self.scratch.files.len() {
            return Err(Error::store("a checkpoint names every file of its upload"));
        }
        self.sync().await?;
        checkpoint.epoch = self.epoch;
        for (point, file) in checkpoint.files.iter_mut().zip(&self.scratch.files) {
            point.stored = file.written;
        }
        let offset = checkpoint.offset;
        let saved = Saved::new(checkpoint, self.scratch.temps());
        let before = self.scratch.keep_also_all();
        // As long as nobody knows whether it stands, and that may be for ever, all stays kept: for whoever takes the
        // upload, or for the next start.
        self.broken = true;
        let records = &self.inner.records;
        match records.save(self.id, self.has_checkpoint, &saved).await {
            Ok(()) => {
                self.scratch.keep_all();
                self.has_checkpoint = true;
                self.remember(&saved.checkpoint);
            }
            Err(Error::Superseded) => {
                self.scratch.keep_only(before);
                self.broken = false;
                return Err(Error::Superseded);
            }
            Err(Error::DiskFull) if self.is_as_before(&saved) => {
                self.scratch.keep_only(before);
                self.broken = false;
                return Err(Error::DiskFull);
            }
            Err(e) => return Err(e),
        }
        self.broken = false;
        Ok(offset)
    }

    async fn expect(&mut self, more: u64) {
        if let Some(last) = self.scratch.files.last_mut() {
            last.expect(more);
        }
    }

    async fn rest(&mut self) {
        match self.rest_open().await {
            Ok(()) | Err(Error::Superseded) => {}
            Err(e) => {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::warn!(cause, "what is not needed now stays reserved or open");
            }
        }
    }

    fn settled(&mut self, upload: &Remembered) {
        self.remembered = Some(upload.clone().without_addresses());
    }

    fn due(&mut self, note: Vec<u8>) {
        self.due = Some(note);
    }

    async fn commit(
        mut self: Box<Self>,
        files: Vec<Placed>,
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        self.check()?;
        self.check_whole()?;
        drop(self.gate.pass(self.epoch)?);
        if files.len() != self.scratch.files.len() {
            return Err(Error::store("a commit names every file of its upload"));
        }
        if let Some(last) = self.scratch.files.last_mut() {
            last.trim()?;
        }
        let mut gate = self.inner.gates.enter(self.id);
        gate.begin_commit();
        let scratch = Scratch::new(Arc::clone(&self.inner.root));
        let commit = Commit {
            inner: Arc::clone(&self.inner),
            id: self.id,
            _gate: gate,
            epoch: self.epoch,
            has_checkpoint: self.has_checkpoint,
            scratch: mem::replace(&mut self.scratch, scratch),
            owner: self.owner,
            remembered: self.remembered.take(),
            due: self.due.take(),
            files,
            on_conflict,
        };
        let inner = Arc::clone(&self.inner);
        drop(self);
        inner.finisher.detached(commit.run()).await
    }

    async fn keep(
        &mut self,
        index: usize,
        file: Placed,
        on_conflict: OnConflict,
    ) -> Result<FileFacts, Error> {
        self.check()?;
        drop(self.gate.pass(self.epoch)?);
        let Some(mut lent) = self.scratch.lend(index) else {
            return Err(Error::store("there is no such file to be kept"));
        };
        lent.files[0].trim()?;
        let keep = Keep {
            gate: self.inner.gates.enter(self.id),
            inner: Arc::clone(&self.inner),
            id: self.id,
            epoch: self.epoch,
            has_checkpoint: self.has_checkpoint,
            scratch: lent,
            owner: self.owner,
            remembered: self.remembered.clone(),
            file,
            on_conflict,
        };
        // Whoever stops waiting leaves a session that nothing is known of.
        self.broken = true;
        let Kept {
            scratch,
            how,
            recorded,
        } = self.inner.finisher.detached(keep.run()).await;
        if recorded {
            self.scratch.keep_nothing();
            self.has_checkpoint = false;
        }
        self.broken = match &how {
            Ok(_) => false,
            Err(Error::NameTaken { .. } | Error::UnusableName { .. } | Error::Cancelled) => {
                self.scratch.take_back(index, scratch);
                false
            }
            Err(_) => true,
        };
        how
    }

    async fn abandon(self: Box<Self>) -> Result<(), Error> {
        if !self.has_checkpoint {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        let removal = async move {
            let mut session = self;
            let records = &session.inner.records;
            records.drop_checkpoint(session.id, session.epoch).await?;
            session.scratch.keep_nothing();
            Ok(())
        };
        inner.finisher.detached(removal).await
    }
}

impl Drop for DiskSession {
    /// Whoever takes the upload goes on from its checkpoint: what was written after that, and room for more, only takes
    /// the place of others.
    fn drop(&mut self) {
        // After a failed step nobody knows which checkpoint stands.
        if !self.has_checkpoint || self.broken {
            return;
        }
        if let Ok(_pass) = self.gate.pass(self.epoch) {
            self.scratch.revert();
        }
    }
}
