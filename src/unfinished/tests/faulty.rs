//! A store that fails when it is told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::error::Error;
use crate::name::OnConflict;
use crate::store::{Checkpoint, Memory, Open, Placed, Reader, Session, Store};
use crate::upload::{FileFacts, FileHead, Remembered, UploadId};

/// What is to go wrong, and what has been asked.
#[derive(Clone, Default)]
pub(crate) struct Faulty {
    pub(crate) memory: Memory,
    pub(crate) faults: Arc<Faults>,
}

#[derive(Default)]
pub(crate) struct Faults {
    /// The next write finds the disk full.
    pub(crate) full: AtomicBool,
    /// The next commit does.
    pub(crate) full_commit: AtomicBool,
    /// Every checkpoint fails as a sync does.
    pub(crate) no_sync: AtomicBool,
    /// The next write or commit hangs until it is let go.
    pub(crate) hang: AtomicBool,
    pub(crate) hangs: AtomicBool,
    /// The next who takes an upload up does.
    pub(crate) hang_open: AtomicBool,
    pub(crate) go: Notify,
    /// The next write takes its bytes and holds its thread up, until this is gone.
    pub(crate) slow: Mutex<Option<mpsc::Receiver<()>>>,
    /// How often an upload was taken up.
    pub(crate) taken: AtomicUsize,
    /// How many checkpoints were taken.
    pub(crate) checkpoints: AtomicUsize,
}

impl Faults {
    async fn hang(&self, hang: &AtomicBool) {
        if hang.swap(false, Ordering::SeqCst) {
            self.hangs.store(true, Ordering::SeqCst);
            self.go.notified().await;
        }
    }
}

impl Faults {
    fn hold_up(&self) {
        let slow = self.slow.lock().unwrap().take();
        if let Some(slow) = slow {
            self.hangs.store(true, Ordering::SeqCst);
            let _ = slow.recv();
        }
    }
}

#[async_trait]
impl Store for Faulty {
    async fn open(&self, id: &UploadId, how: Open) -> Result<Box<dyn Session>, Error> {
        if how == Open::Take {
            self.faults.hang(&self.faults.hang_open).await;
        }
        let session = self.memory.open(id, how).await?;
        self.faults
            .taken
            .fetch_add(usize::from(how == Open::Take), Ordering::SeqCst);
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(FaultySession { session, faults }))
    }

    async fn stored(&self, id: &UploadId) -> Result<Option<Vec<FileFacts>>, Error> {
        self.memory.stored(id).await
    }

    async fn read(&self, id: &UploadId, index: usize) -> Result<Option<Box<dyn Reader>>, Error> {
        self.memory.read(id, index).await
    }

    fn resumes(&self) -> bool {
        true
    }

    async fn unfinished(&self, id: &UploadId) -> Result<Option<Checkpoint>, Error> {
        self.memory.unfinished(id).await
    }

    async fn read_unfinished(
        &self,
        id: &UploadId,
        index: usize,
    ) -> Result<Option<Box<dyn Reader>>, Error> {
        self.memory.read_unfinished(id, index).await
    }

    async fn remembered(&self, id: &UploadId) -> Result<Option<Remembered>, Error> {
        self.memory.remembered(id).await
    }

    async fn remove(&self, id: &UploadId) -> Result<bool, Error> {
        self.memory.remove(id).await
    }
}

struct FaultySession {
    session: Box<dyn Session>,
    faults: Arc<Faults>,
}

fn full(is_full: &AtomicBool) -> Result<(), Error> {
    match is_full.swap(false, Ordering::SeqCst) {
        true => Err(Error::DiskFull),
        false => Ok(()),
    }
}

#[async_trait]
impl Session for FaultySession {
    fn resumed(&self) -> Option<&Checkpoint> {
        self.session.resumed()
    }

    async fn begin_file(&mut self, head: &FileHead, expect: Option<u64>) -> Result<(), Error> {
        self.session.begin_file(head, expect).await
    }

    async fn write(&mut self, frames: &mut Vec<Bytes>) -> Result<(), Error> {
        self.faults.hang(&self.faults.hang).await;
        full(&self.faults.full)?;
        let written = self.session.write(frames).await;
        self.faults.hold_up();
        written
    }

    async fn read_back(&mut self, offset: u64, max: usize) -> Result<Bytes, Error> {
        self.session.read_back(offset, max).await
    }

    async fn read_file(&mut self, index: usize, offset: u64, max: usize) -> Result<Bytes, Error> {
        self.session.read_file(index, offset, max).await
    }

    async fn discard_file(&mut self) -> Result<(), Error> {
        self.session.discard_file().await
    }

    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<u64, Error> {
        if self.faults.no_sync.load(Ordering::SeqCst) {
            return Err(Error::store("a sync has failed"));
        }
        self.faults.checkpoints.fetch_add(1, Ordering::SeqCst);
        self.session.checkpoint(checkpoint).await
    }

    fn settled(&mut self, upload: &Remembered) {
        self.session.settled(upload);
    }

    fn due(&mut self, note: Vec<u8>) {
        self.session.due(note);
    }

    async fn commit(
        self: Box<Self>,
        files: Vec<Placed>,
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        self.faults.hang(&self.faults.hang).await;
        full(&self.faults.full_commit)?;
        self.session.commit(files, on_conflict).await
    }

    async fn keep(
        &mut self,
        index: usize,
        file: Placed,
        on_conflict: OnConflict,
    ) -> Result<FileFacts, Error> {
        self.session.keep(index, file, on_conflict).await
    }

    async fn abandon(self: Box<Self>) -> Result<(), Error> {
        self.session.abandon().await
    }
}
