//! A file, open for reading.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::Statx;

use super::root::io_error;
use crate::error::Error;
use crate::store::Reader;
use crate::upload::FileFacts;

/// Reads at any offset, in place.
pub(super) struct DiskReader {
    file: OwnedFd,
    facts: FileFacts,
    modified: Option<SystemTime>,
    /// Behind this nothing is read.
    end: u64,
}

impl DiskReader {
    /// All of a finished file, however long it is now.
    pub(super) fn new(stat: &Statx, file: OwnedFd, facts: FileFacts) -> Self {
        let facts = FileFacts {
            length: stat.stx_size,
            ..facts
        };
        Self {
            end: u64::MAX,
            ..Self::up_to(stat, file, facts)
        }
    }

    /// The bytes of a file under way that its checkpoint speaks of, as many as its facts say.
    pub(super) fn up_to(stat: &Statx, file: OwnedFd, facts: FileFacts) -> Self {
        let since = u64::try_from(stat.stx_mtime.tv_sec).ok();
        Self {
            file,
            end: facts.length,
            facts,
            modified: since.map(|s| UNIX_EPOCH + Duration::new(s, stat.stx_mtime.tv_nsec)),
        }
    }
}

#[async_trait]
impl Reader for DiskReader {
    fn facts(&self) -> &FileFacts {
        &self.facts
    }

    fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    async fn read_at(&mut self, offset: u64, max: usize) -> Result<Bytes, Error> {
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        read_at(&self.file, offset, max.min(left))
    }
}

/// Up to `max` bytes from `offset`.
pub(super) fn read_at(file: impl AsFd, offset: u64, max: usize) -> Result<Bytes, Error> {
    if max == 0 {
        return Ok(Bytes::new());
    }
    let mut buffer = Vec::with_capacity(max);
    let get = || rustix::io::pread(&file, spare_capacity(&mut buffer), offset);
    rustix::io::retry_on_intr(get).map_err(io_error)?;
    Ok(buffer.into())
}
