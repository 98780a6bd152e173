//! The database's file, synced or not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::store::sync::{SyncLedger, timed};

/// What a sync does, for every opening of the same database.
#[derive(Clone, Debug)]
pub(in crate::store) struct SyncMode {
    enabled: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
    ledger: Option<Arc<dyn SyncLedger>>,
}

impl SyncMode {
    pub(in crate::store) fn new(enabled: bool, ledger: Option<Arc<dyn SyncLedger>>) -> Self {
        Self {
            enabled: Arc::new(AtomicBool::new(enabled)),
            failed: Arc::default(),
            ledger,
        }
    }

    /// Whether a sync does anything.
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Syncs from now on, so that a database which says that it was closed well was.
    pub(super) fn enable(&self) {
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Whether a sync has ever failed; what the disk holds is unknown then, and no later sync tells.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// A plain file whose sync may do nothing, so that a commit costs writes to the page cache alone.
#[derive(Debug)]
pub(super) struct Backend {
    file: File,
    mode: SyncMode,
}

impl Backend {
    pub(super) fn open(path: &Path, mode: SyncMode) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        Ok(Self { file, mode })
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if !self.mode.is_enabled() {
            return Ok(());
        }
        let how = timed(self.mode.ledger.as_ref(), || self.file.sync_data());
        if how.is_err() {
            self.mode.failed.store(true, Ordering::Relaxed);
        }
        how
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
