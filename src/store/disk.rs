//! [`Disk`]: plain files in a folder.
//!
//! ```text
//! DIR/paella.jpg                        a finished file, under its name
//! DIR/.dumbwaiter/tmp/ID.EPOCH.N        a file under way
//! DIR/.dumbwaiter/records.redb          what must survive a restart
//! ```
//!
//! With durability `sync` a commit goes: data → record → name → folder → answer, each durable before the next. The
//! record is a promise: once it stands, a start after a crash puts the remaining files in place, so that of several
//! files all become visible, or none.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::{FlockOperation, Mode, OFlags};

use self::claims::Claims;
use self::detach::Finisher;
use self::gate::{ALL, Gates};
use self::read::DiskReader;
use self::root::Root;
use self::session::DiskSession;
use super::records::{Gone, Record, Records, SyncMode};
use super::sync::{SyncLedger, Syncs};
use super::{Checkpoint, Finished, HandOffs, Held, Open, Reader, Session, Space, Store};
use crate::error::Error;
use crate::upload::{FileFacts, Remembered, UploadId};

mod claims;
mod commit;
mod detach;
mod gate;
mod hand_offs;
mod keep;
mod list;
mod put;
mod read;
mod remove;
mod reserve;
mod root;
mod scratch;
mod session;
mod start;
mod unfinished;

/// The folder below the root that is ours alone: no upload is ever placed in it.
const STATE: &str = ".dumbwaiter";

/// A store of plain files in a folder.
///
/// Dropping it waits for the last records to be written. Only one process at a time may have a folder open.
#[derive(Debug)]
pub struct Disk {
    inner: Arc<Inner>,
}

/// What the sessions of a disk share.
#[derive(Debug)]
struct Inner {
    root: Arc<Root>,
    records: Records,
    syncs: Syncs,
    gates: Arc<Gates>,
    claims: Arc<Claims>,
    finisher: Finisher,
    held: Arc<Held>,
    reserve_ahead: u64,
    /// Held as long as the disk is open. It comes last, so that it is let go after the records are closed.
    _lock: Lock,
}

/// What a finished upload has survived when its answer is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Power loss too: data, record, name and folder are synced in this order before the answer; a checkpoint likewise.
    #[default]
    Sync,
    /// The end of this process, `kill -9` included, but not of the machine: nothing is synced, the kernel writes when
    /// it likes. After a power cut files may be short or missing, and records that cannot be read are set aside as
    /// `records.redb.broken-SECONDS`; the files themselves stay.
    Close,
}

/// How a [`Disk`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiskOptions {
    /// What an answer promises; [`Durability::Sync`] unless said otherwise.
    pub durability: Durability,
    /// How many syncs may run at once; 16 unless said otherwise, at least one.
    pub sync_threads: usize,
    /// How much room is reserved ahead of what is written, in bytes for each file under way; 256 MiB unless said
    /// otherwise, 0 for none. Never more than the client has declared.
    pub reserve_ahead: u64,
    /// Who keeps count of syncs, if anybody.
    pub ledger: Option<Arc<dyn SyncLedger>>,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            sync_threads: 16,
            reserve_ahead: 256 << 20,
            ledger: None,
        }
    }
}

impl Disk {
    /// The options, to be changed and given to [`Disk::open_with`].
    #[must_use]
    pub fn options() -> DiskOptions {
        DiskOptions::default()
    }

    /// Opens the folder `dir` as a store, making it if it is not there. Blocks: what a crash has left is finished or
    /// cleared first.
    ///
    /// # Errors
    /// As [`Disk::open_with`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, DiskOptions::default())
    }

    /// Opens the folder `dir` with `options`.
    ///
    /// # Errors
    /// [`Error::Store`], saying what is wrong with which path: another process serves the folder, it cannot be made or
    /// written, its records cannot be read. [`Error::DiskFull`].
    pub fn open_with(dir: impl AsRef<Path>, options: DiskOptions) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let state = dir.join(STATE);
        make_folders(dir, 0o777)
            .and_then(|()| make_folders(&state.join("tmp"), 0o700))
            .map_err(|e| about(dir, &e))?;
        let lock = lock(dir, &state)?;
        let sync = options.durability == Durability::Sync;
        let threads = if sync { options.sync_threads.max(1) } else { 0 };
        let gates = Arc::new(Gates::default());
        let inner = Arc::new(Inner {
            root: Arc::new(Root::open(dir, &state.join("tmp")).map_err(|e| about(dir, &e))?),
            records: Records::open(
                state.join("records.redb"),
                SyncMode::new(sync, options.ledger.clone()),
                gates.count(),
            )?,
            syncs: Syncs::start(threads, options.ledger).map_err(Error::store)?,
            gates,
            claims: Arc::default(),
            finisher: Finisher::start().map_err(Error::store)?,
            held: Arc::default(),
            reserve_ahead: options.reserve_ahead,
            _lock: lock,
        });
        start::clear(&inner)?;
        start::count(&inner)?;
        if sync {
            sync_folders(&[&state, dir]).map_err(|e| about(dir, &e))?;
        }
        Ok(Self { inner })
    }
}

fn make_folders(dir: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
}

/// Makes the entries of the folders durable, and their own in the folder that holds the last of them.
fn sync_folders(folders: &[&Path]) -> std::io::Result<()> {
    for folder in folders {
        std::fs::File::open(folder)?.sync_all()?;
    }
    match folders.last().map(|folder| folder.join("..")) {
        // A parent that may not be read was not made by us.
        Some(parent) => std::fs::File::open(parent).map_or(Ok(()), |parent| parent.sync_all()),
        None => Ok(()),
    }
}

/// The folder is this process's for as long as it keeps this.
#[derive(Debug)]
struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do at once: a child that somebody has just forked has the descriptor too until it
        // executes its program.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

fn lock(dir: &Path, state: &Path) -> Result<Lock, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder =
        rustix::fs::open(state, flags, Mode::empty()).map_err(|e| about(state, &e.into()))?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(folder)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::store(format!(
            "another Dumbwaiter serves this folder: {}",
            dir.display()
        ))),
        Err(e) => Err(about(state, &e.into())),
    }
}

/// An I/O error together with the path that it is about.
fn about(path: &Path, e: &std::io::Error) -> Error {
    let mut text = OsString::from(path);
    text.push(format!(": {e}"));
    Error::store(std::io::Error::new(e.kind(), text.to_string_lossy()))
}

#[async_trait]
impl Store for Disk {
    async fn open(&self, id: &UploadId, how: Open) -> Result<Box<dyn Session>, Error> {
        Ok(Box::new(match how {
            Open::Create => DiskSession::create(&self.inner, *id),
            Open::Take => DiskSession::take(&self.inner, *id).await?,
        }))
    }

    async fn stored(&self, id: &UploadId) -> Result<Option<Vec<FileFacts>>, Error> {
        let Some(record) = self.inner.finished(id)? else {
            return Ok(None);
        };
        if !list::is_there(&self.inner, &record)? {
            if !self.inner.gates.is_open(id) {
                self.inner.forget(*id, Gone::Elsewhere).await?;
            }
            return Ok(None);
        }
        Ok(Some(
            record.files.into_iter().map(|kept| kept.facts).collect(),
        ))
    }

    async fn read(&self, id: &UploadId, index: usize) -> Result<Option<Box<dyn Reader>>, Error> {
        let record = self.inner.finished(id)?;
        let Some(kept) = record.and_then(|record| record.files.into_iter().nth(index)) else {
            return Ok(None);
        };
        let Some((file, stat)) = self.inner.root.open_kept(&kept)? else {
            // If nothing else of the upload is left either, it no longer counts as held.
            self.stored(id).await?;
            return Ok(None);
        };
        Ok(Some(Box::new(DiskReader::new(&stat, file, kept.facts))))
    }

    async fn space(&self) -> Result<Option<Space>, Error> {
        self.inner.root.space().map(Some)
    }

    fn held(&self) -> Option<Arc<Held>> {
        Some(Arc::clone(&self.inner.held))
    }

    fn hand_offs(&self) -> Option<Arc<dyn HandOffs>> {
        Some(Arc::clone(&self.inner) as Arc<dyn HandOffs>)
    }

    async fn list(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Finished>, Error> {
        list::list(&self.inner, after, most)
    }

    fn resumes(&self) -> bool {
        true
    }

    async fn unfinished(&self, id: &UploadId) -> Result<Option<Checkpoint>, Error> {
        unfinished::unfinished(&self.inner, id)
    }

    async fn list_unfinished(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Checkpoint)>, Error> {
        unfinished::list(&self.inner, after, most)
    }

    async fn read_unfinished(
        &self,
        id: &UploadId,
        index: usize,
    ) -> Result<Option<Box<dyn Reader>>, Error> {
        unfinished::read(&self.inner, id, index)
    }

    async fn remembered(&self, id: &UploadId) -> Result<Option<Remembered>, Error> {
        let record = self.inner.finished(id)?;
        Ok(record.and_then(|record| record.remembered))
    }

    async fn remove(&self, id: &UploadId) -> Result<bool, Error> {
        let removal = remove::remove(Arc::clone(&self.inner), *id);
        self.inner.finisher.detached(removal).await
    }
}

impl Inner {
    async fn forget(&self, id: UploadId, how: Gone) -> Result<(), Error> {
        if let Some(record) = self.records.forget(id, how).await? {
            self.held.sub(record.owner, record.bytes());
        }
        Ok(())
    }

    /// The record of an upload whose commit has come to its end, or of those of its files that are kept by themselves.
    fn finished(&self, id: &UploadId) -> Result<Option<Record>, Error> {
        // In this order: whoever sees a record and then no commit sees the record of one that has ended.
        let Some(mut record) = self.records.record(id)? else {
            return Ok(None);
        };
        let in_place = self.gates.in_place(id);
        record.files.truncate(in_place);
        Ok(Some(record).filter(|record| in_place == ALL || !record.files.is_empty()))
    }
}
