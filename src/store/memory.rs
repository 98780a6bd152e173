//! [`Memory`]: a store without a disk, for tests and examples.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Checkpoint, Due, Finished, HandOffs, Held, Open, Placed, Reader, Session, Store, free,
};
use crate::error::Error;
use crate::name::OnConflict;
use crate::upload::{FileFacts, FileHead, OwnerKey, Remembered, UploadId};

/// Keeps everything in memory, without a bound, for as long as it lives. Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    held: Arc<Held>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Finished files by name.
    files: HashMap<String, Arc<File>>,
    /// Finished uploads. A file that has been replaced is not the one under its name any more.
    uploads: HashMap<UploadId, Upload>,
    /// In the order of their ids' bytes.
    checkpoints: BTreeMap<[u8; 16], (Checkpoint, Vec<Vec<u8>>)>,
    /// What is due, and answers: both in the order of their uploads' ids.
    due: BTreeMap<[u8; 16], Vec<u8>>,
    answers: BTreeMap<[u8; 16], Vec<u8>>,
}

#[derive(Debug)]
struct Upload {
    files: Vec<Arc<File>>,
    owner: Option<OwnerKey>,
    at: SystemTime,
    remembered: Option<Remembered>,
}

impl Upload {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.facts.length).sum()
    }
}

#[derive(Debug)]
struct File {
    facts: FileFacts,
    bytes: Bytes,
    modified: SystemTime,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The names of all finished files, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.lock().files.keys().cloned().collect();
        names.sort();
        names
    }

    /// The bytes of the finished file of that name.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Bytes> {
        Some(self.lock().files.get(name)?.bytes.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    async fn open(&self, id: &UploadId, how: Open) -> Result<Box<dyn Session>, Error> {
        let mut session = MemorySession {
            memory: self.clone(),
            id: *id,
            owner: None,
            epoch: 0,
            has_checkpoint: false,
            resumed: None,
            remembered: None,
            due: None,
            files: Vec::new(),
            kept: Vec::new(),
            writing: false,
        };
        if how == Open::Take {
            let mut kept = self.lock();
            let found = kept.checkpoints.get_mut(id.as_bytes());
            let (checkpoint, files) = found.ok_or(Error::NotFound)?;
            checkpoint.epoch += 1;
            session.remember(checkpoint);
            session.owner = checkpoint.upload.as_ref().map(|upload| upload.owner.key());
            session.epoch = checkpoint.epoch;
            session.has_checkpoint = true;
            session.resumed = Some(checkpoint.clone());
            session.files.clone_from(files);
            session.writing = !files.is_empty();
        }
        Ok(Box::new(session))
    }

    async fn stored(&self, id: &UploadId) -> Result<Option<Vec<FileFacts>>, Error> {
        let kept = self.lock();
        let upload = kept.uploads.get(id).filter(|upload| kept.is_there(upload));
        Ok(upload.map(|upload| upload.files.iter().map(|file| file.facts.clone()).collect()))
    }

    async fn read(&self, id: &UploadId, index: usize) -> Result<Option<Box<dyn Reader>>, Error> {
        let kept = self.lock();
        let file = kept
            .uploads
            .get(id)
            .and_then(|upload| upload.files.get(index));
        let file = file.filter(|file| kept.has(file)).map(Arc::clone);
        Ok(file.map(|file| Box::new(MemoryReader { file }) as Box<dyn Reader>))
    }

    fn held(&self) -> Option<Arc<Held>> {
        Some(Arc::clone(&self.held))
    }

    fn hand_offs(&self) -> Option<Arc<dyn HandOffs>> {
        Some(Arc::new(self.clone()))
    }

    async fn list(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Finished>, Error> {
        let kept = self.lock();
        let behind = |id: &&UploadId| after.is_none_or(|after| id.as_bytes() > after.as_bytes());
        let mut ids: Vec<_> = kept.uploads.keys().filter(behind).copied().collect();
        ids.sort_by_key(|id| *id.as_bytes());
        ids.truncate(most);
        // Of what is due somebody is still to hear.
        let is_due = |id: &UploadId| kept.due.contains_key(id.as_bytes());
        let finished = |id| {
            let upload = &kept.uploads[&id];
            Finished {
                id,
                at: match is_due(&id) {
                    true => SystemTime::now(),
                    false => upload.at,
                },
                bytes: upload.bytes(),
                there: is_due(&id) || kept.is_there(upload),
            }
        };
        Ok(ids.into_iter().map(finished).collect())
    }

    fn resumes(&self) -> bool {
        true
    }

    async fn unfinished(&self, id: &UploadId) -> Result<Option<Checkpoint>, Error> {
        let kept = self.lock();
        let found = kept.checkpoints.get(id.as_bytes());
        Ok(found.map(|(checkpoint, _)| checkpoint.clone()))
    }

    async fn list_unfinished(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Checkpoint)>, Error> {
        let kept = self.lock();
        let found = kept.checkpoints.range((behind(after), Bound::Unbounded));
        let unfinished = found
            .map(|(id, (checkpoint, _))| (UploadId::from_bytes(*id), checkpoint.clone()))
            .take(most);
        Ok(unfinished.collect())
    }

    async fn read_unfinished(
        &self,
        id: &UploadId,
        index: usize,
    ) -> Result<Option<Box<dyn Reader>>, Error> {
        let kept = self.lock();
        let Some((checkpoint, files)) = kept.checkpoints.get(id.as_bytes()) else {
            return Ok(None);
        };
        let point = checkpoint.files.get(index).cloned();
        Ok(point.zip(files.get(index)).map(|(point, bytes)| {
            let file = Arc::new(File {
                facts: FileFacts {
                    length: point.stored,
                    ..point.facts
                },
                bytes: bytes.clone().into(),
                modified: UNIX_EPOCH + Duration::from_secs(checkpoint.at),
            });
            Box::new(MemoryReader { file }) as Box<dyn Reader>
        }))
    }

    async fn remembered(&self, id: &UploadId) -> Result<Option<Remembered>, Error> {
        let kept = self.lock();
        let upload = kept.uploads.get(id);
        Ok(upload.and_then(|upload| upload.remembered.clone()))
    }

    async fn remove(&self, id: &UploadId) -> Result<bool, Error> {
        let mut kept = self.lock();
        let Some(upload) = kept.uploads.remove(id) else {
            return Ok(false);
        };
        kept.due.remove(id.as_bytes());
        let mut there = upload.files.is_empty();
        for file in &upload.files {
            if kept.has(file) {
                there = true;
                let name = file.facts.name.clone().unwrap_or_default();
                kept.files.remove(&name);
            }
        }
        if there {
            kept.answers.remove(id.as_bytes());
        }
        drop(kept);
        self.held.sub(upload.owner, upload.bytes());
        Ok(there)
    }
}

#[async_trait]
impl HandOffs for Memory {
    async fn due(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Due>, Error> {
        let kept = self.lock();
        let due = kept.due.range((behind(after), Bound::Unbounded)).take(most);
        Ok(due.map(|(id, note)| kept.due_of(*id, note)).collect())
    }

    async fn due_of(&self, id: &UploadId) -> Result<Option<Due>, Error> {
        let kept = self.lock();
        let note = kept.due.get(id.as_bytes());
        Ok(note.map(|note| kept.due_of(*id.as_bytes(), note)))
    }

    async fn settle(
        &self,
        id: &UploadId,
        due: Option<Vec<u8>>,
        answer: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        let (mut kept, key) = (self.lock(), *id.as_bytes());
        if kept.due.remove(&key).is_none() {
            return Ok(false);
        }
        kept.due.extend(due.map(|note| (key, note)));
        kept.answers.extend(answer.map(|answer| (key, answer)));
        Ok(true)
    }

    async fn answer(&self, id: &UploadId) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.lock().answers.get(id.as_bytes()).cloned())
    }

    async fn answers(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Vec<u8>)>, Error> {
        let kept = self.lock();
        let answers = kept.answers.range((behind(after), Bound::Unbounded));
        let answers = answers.map(|(id, answer)| (UploadId::from_bytes(*id), answer.clone()));
        Ok(answers.take(most).collect())
    }

    async fn forget(&self, id: &UploadId) -> Result<(), Error> {
        self.lock().answers.remove(id.as_bytes());
        Ok(())
    }
}

fn behind(after: Option<&UploadId>) -> Bound<[u8; 16]> {
    after.map_or(Bound::Unbounded, |id| Bound::Excluded(*id.as_bytes()))
}

impl Kept {
    fn due_of(&self, id: [u8; 16], note: &[u8]) -> Due {
        let id = UploadId::from_bytes(id);
        let upload = self.uploads.get(&id);
        let files = upload.map_or(&[][..], |upload| &upload.files);
        Due {
            id,
            note: note.to_vec(),
            files: files.iter().map(|file| file.facts.clone()).collect(),
        }
    }

    fn has(&self, file: &Arc<File>) -> bool {
        let name = file.facts.name.as_deref().unwrap_or_default();
        self.files
            .get(name)
            .is_some_and(|now| Arc::ptr_eq(now, file))
    }

    fn is_there(&self, upload: &Upload) -> bool {
        upload.files.is_empty() || upload.files.iter().any(|file| self.has(file))
    }

    /// Fails unless a session of `epoch` may go on.
    fn pass(&self, id: &UploadId, epoch: u64, has_checkpoint: bool) -> Result<(), Error> {
        let current = match self.checkpoints.get(id.as_bytes()) {
            Some((checkpoint, _)) => has_checkpoint && checkpoint.epoch == epoch,
            None => !has_checkpoint,
        };
        match current {
            true => Ok(()),
            false => Err(Error::Superseded),
        }
    }

    /// None of the upload's `own` names is given again.
    fn names_for(
        &self,
        files: &[Placed],
        how: OnConflict,
        own: &[Arc<File>],
    ) -> Result<Vec<String>, Error> {
        let is_own = |name: &str| own.iter().any(|f| f.facts.name.as_deref() == Some(name));
        let mut names: Vec<String> = Vec::with_capacity(files.len());
        for file in files {
            let place = file.place.as_str();
            let is_free = |name: &String| {
                let taken = how != OnConflict::Replace && self.files.contains_key(name);
                !taken && !is_own(name) && !names.contains(name)
            };
            let tries = match how {
                OnConflict::Reject => 1,
                OnConflict::Rename | OnConflict::Replace => usize::MAX,
            };
            let name = free::candidates(place).take(tries).find(is_free);
            names.push(name.ok_or_else(|| Error::NameTaken { name: place.into() })?);
        }
        Ok(names)
    }
}

struct MemorySession {
    memory: Memory,
    id: UploadId,
    owner: Option<OwnerKey>,
    epoch: u64,
    has_checkpoint: bool,
    resumed: Option<Checkpoint>,
    /// What the last checkpoint says of the upload, as it stays with its files.
    remembered: Option<Remembered>,
    /// What is to be written down with the upload's files.
    due: Option<Vec<u8>>,
    files: Vec<Vec<u8>>,
    /// Which of them have been kept by themselves.
    kept: Vec<usize>,
    /// Whether the last file is still being written, rather than discarded behind.
    writing: bool,
}

impl MemorySession {
    fn pass(&self) -> Result<MutexGuard<'_, Kept>, Error> {
        let kept = self.memory.lock();
        kept.pass(&self.id, self.epoch, self.has_checkpoint)?;
        Ok(kept)
    }

    fn remember(&mut self, checkpoint: &Checkpoint) {
        let upload = checkpoint.upload.clone();
        self.remembered = upload.map(Remembered::without_addresses);
    }

    fn check_whole(&self) -> Result<(), Error> {
        match self.kept.is_empty() {
            true => Ok(()),
            false => Err(Error::store(
                "a file of this upload has been kept by itself",
            )),
        }
    }

    /// The upload as it stands with what was kept before: made with the first file, gone when somebody has removed it.
    fn upload<'k>(&self, kept: &'k mut Kept) -> Result<&'k mut Upload, Error> {
        if !self.kept.is_empty() {
            return kept.uploads.get_mut(&self.id).ok_or(Error::Cancelled);
        }
        Ok(kept.uploads.entry(self.id).or_insert(Upload {
            files: Vec::new(),
            owner: self.owner,
            at: SystemTime::now(),
            remembered: self.remembered.clone(),
        }))
    }
}

#[async_trait]
impl Session for MemorySession {
    fn resumed(&self) -> Option<&Checkpoint> {
        self.resumed.as_ref()
    }

    fn belongs_to(&mut self, owner: OwnerKey) {
        self.owner = Some(owner);
    }

    async fn begin_file(&mut self, _head: &FileHead, _expect: Option<u64>) -> Result<(), Error> {
        drop(self.pass()?);
        self.files.push(Vec::new());
        self.writing = true;
        Ok(())
    }

    async fn write(&mut self, frames: &mut Vec<Bytes>) -> Result<(), Error> {
        drop(self.pass()?);
        let Some(file) = self.files.last_mut().filter(|_| self.writing) else {
            return Err(Error::store("no file has been begun"));
        };
        for frame in frames.drain(..) {
            file.extend_from_slice(&frame);
        }
        Ok(())
    }

    async fn read_back(&mut self, offset: u64, max: usize) -> Result<Bytes, Error> {
        drop(self.pass()?);
        let Some(file) = self.files.last().filter(|_| self.writing) else {
            return Err(Error::store("no file has been begun"));
        };
        Ok(copy(file, offset, max))
    }

    async fn read_file(&mut self, index: usize, offset: u64, max: usize) -> Result<Bytes, Error> {
        drop(self.pass()?);
        let there = self.files.get(index);
        match there.filter(|_| !self.kept.contains(&index)) {
            Some(file) => Ok(copy(file, offset, max)),
            None => Err(Error::store("there is no such file to be read")),
        }
    }

    async fn discard_file(&mut self) -> Result<(), Error> {
        drop(self.pass()?);
        self.files.pop();
        self.writing = false;
        Ok(())
    }

    async fn checkpoint(&mut self, mut checkpoint: Checkpoint) -> Result<u64, Error> {
        if checkpoint.files.len() != self.files.len() {
            return Err(Error::store("a checkpoint names every file of its upload"));
        }
        self.check_whole()?;
        let mut kept = self.pass()?;
        checkpoint.epoch = self.epoch;
        for (point, file) in checkpoint.files.iter_mut().zip(&self.files) {
            point.stored = file.len() as u64;
        }
        let saved = (checkpoint.clone(), self.files.clone());
        kept.checkpoints.insert(*self.id.as_bytes(), saved);
        drop(kept);
        self.has_checkpoint = true;
        self.remember(&checkpoint);
        Ok(checkpoint.offset)
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
        if files.len() != self.files.len() {
            return Err(Error::store("a commit names every file of its upload"));
        }
        self.check_whole()?;
        let all_bytes = std::mem::take(&mut self.files);
        let due = self.due.take();
        let mut kept = self.pass()?;
        let names = kept.names_for(&files, on_conflict, &[])?;
        let modified = SystemTime::now();
        let placed = files.into_iter().zip(names).zip(all_bytes);
        let files: Vec<_> = placed
            .map(|((file, name), bytes)| {
                let facts = FileFacts {
                    name: Some(name),
                    length: bytes.len() as u64,
                    ..file.facts
                };
                Arc::new(File {
                    facts,
                    bytes: bytes.into(),
                    modified,
                })
            })
            .collect();
        for file in &files {
            let name = file.facts.name.clone().unwrap_or_default();
            kept.files.insert(name, Arc::clone(file));
        }
        let facts = files.iter().map(|file| file.facts.clone()).collect();
        kept.checkpoints.remove(self.id.as_bytes());
        let upload = Upload {
            files,
            owner: self.owner,
            at: modified,
            remembered: self.remembered.clone(),
        };
        kept.uploads.insert(self.id, upload);
        kept.due.extend(due.map(|note| (*self.id.as_bytes(), note)));
        Ok(facts)
    }

    async fn keep(
        &mut self,
        index: usize,
        file: Placed,
        on_conflict: OnConflict,
    ) -> Result<FileFacts, Error> {
        if index >= self.files.len() || self.kept.contains(&index) {
            return Err(Error::store("there is no such file to be kept"));
        }
        let mut kept = self.pass()?;
        let own = kept.uploads.get(&self.id);
        let own = own.map_or(&[][..], |upload| &upload.files);
        let name = kept.names_for(std::slice::from_ref(&file), on_conflict, own)?;
        let bytes = &self.files[index];
        let facts = FileFacts {
            name: name.into_iter().next(),
            length: bytes.len() as u64,
            ..file.facts
        };
        let file = Arc::new(File {
            facts: facts.clone(),
            bytes: bytes.clone().into(),
            modified: SystemTime::now(),
        });
        self.upload(&mut kept)?.files.push(Arc::clone(&file));
        kept.checkpoints.remove(self.id.as_bytes());
        kept.files
            .insert(facts.name.clone().unwrap_or_default(), file);
        drop(kept);
        self.has_checkpoint = false;
        self.files[index] = Vec::new();
        self.kept.push(index);
        Ok(facts)
    }

    async fn abandon(self: Box<Self>) -> Result<(), Error> {
        self.pass()?.checkpoints.remove(self.id.as_bytes());
        Ok(())
    }
}

/// Up to `max` bytes from `offset`.
fn copy(file: &[u8], offset: u64, max: usize) -> Bytes {
    let from = usize::try_from(offset).map_or(file.len(), |from| from.min(file.len()));
    let to = file.len().min(from.saturating_add(max));
    Bytes::copy_from_slice(&file[from..to])
}

struct MemoryReader {
    file: Arc<File>,
}

#[async_trait]
impl Reader for MemoryReader {
    fn facts(&self) -> &FileFacts {
        &self.file.facts
    }

    fn modified(&self) -> Option<SystemTime> {
        Some(self.file.modified)
    }

    async fn read_at(&mut self, offset: u64, max: usize) -> Result<Bytes, Error> {
        let all = &self.file.bytes;
        let from = usize::try_from(offset).map_or(all.len(), |at| at.min(all.len()));
        Ok(all.slice(from..all.len().min(from.saturating_add(max))))
    }
}
