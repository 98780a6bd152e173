//! One temporary file being written, with room kept ahead of the writing.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::root::{Root, io_error};
use crate::error::Error;

/// Below this many bytes a reservation costs more than it saves. Above, it saves more than it costs, even where the disk
/// is never full: a write into room that is there already need not look for it page by page.
const RESERVE_FROM: u64 = 64 << 10;
/// Less room than this is not given back. A form reserves what follows its file too, some 50 bytes as a rule, and one
/// block is not worth another entry in the journal.
const SPARE: u64 = 4 << 10;
/// As much stays reserved for an upload that rests with its session open: enough for a picture, whose bytes come next.
const RESTING: u64 = 1 << 20;
/// What the umask leaves of this is what a stored file has.
const MODE: u32 = 0o666;
/// The kernel takes at most this many frames at once.
const IOV_MAX: usize = 1024;

/// A file under way.
#[derive(Debug)]
pub(super) struct Writing {
    /// Its name in the folder of files under way.
    pub(super) temp: String,
    /// Bytes written.
    pub(super) written: u64,
    /// Whether something was written since the last sync.
    pub(super) dirty: bool,
    /// How many of them the last checkpoint speaks of.
    pub(super) saved: u64,
    /// Whether its name in the folder of files under way is durable.
    pub(super) named: bool,
    /// `None` once it has been closed to save a descriptor.
    pub(super) file: Option<Arc<OwnedFd>>,
    /// Room is taken up to here.
    reserved: u64,
    /// Up to where room may be taken; 0 when it is not to be.
    expected: u64,
    /// It is being moved by itself, or has been: only its place among the files of its session is left.
    pub(super) lent: bool,
}

impl Writing {
    /// What stays of a file that is moved by itself.
    pub(super) fn lent(temp: String) -> Self {
        Self {
            temp,
            written: 0,
            saved: 0,
            dirty: false,
            named: false,
            file: None,
            reserved: 0,
            expected: 0,
            lent: true,
        }
    }

    /// Makes a file that was not there, for at most `expect` bytes.
    pub(super) fn create(root: &Root, temp: String, expect: Option<u64>) -> Result<Self, Error> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(MODE);
        let file = rustix::fs::openat(root.tmp(), &*temp, flags, mode).map_err(io_error)?;
        Ok(Self {
            temp,
            written: 0,
            saved: 0,
            dirty: true,
            named: false,
            file: Some(Arc::new(file)),
            reserved: 0,
            expected: expect.filter(|&bytes| bytes >= RESERVE_FROM).unwrap_or(0),
            lent: false,
        })
    }

    /// Opens a file as a checkpoint knows it: `stored` bytes long, whatever was written after. A file of none is made
    /// anew where a power cut has taken it.
    ///
    /// [`Error::NotFound`] when bytes of it are gone.
    pub(super) fn reopen(root: &Root, temp: String, stored: u64) -> Result<Self, Error> {
        let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        flags.set(OFlags::CREATE, stored == 0);
        let mode = Mode::from_raw_mode(MODE);
        let file = match rustix::fs::openat(root.tmp(), &*temp, flags, mode) {
            Err(Errno::NOENT) => return Err(Error::NotFound),
            file => file.map_err(io_error)?,
        };
        let stat = rustix::fs::fstat(&file).map_err(io_error)?;
        if stat.st_size.cast_unsigned() < stored {
            return Err(Error::NotFound);
        }
        rustix::fs::ftruncate(&file, stored).map_err(io_error)?;
        Ok(Self {
            temp,
            written: stored,
            saved: stored,
            dirty: stored == 0,
            named: stored > 0,
            file: Some(Arc::new(file)),
            reserved: 0,
            expected: 0,
            lent: false,
        })
    }

    /// At most so many bytes may still follow.
    pub(super) fn expect(&mut self, more: u64) {
        if more >= RESERVE_FROM {
            self.expected = self.written.saturating_add(more);
        }
    }

    /// Takes room for the next `ahead` bytes if less than `coming` is left of it.
    pub(super) fn reserve(&mut self, coming: u64, ahead: u64) -> Result<(), Error> {
        let from = self.reserved.max(self.written);
        let wanted = ahead.min(self.expected.saturating_sub(from));
        if self.written + coming.max(1) <= self.reserved || wanted == 0 {
            return Ok(());
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        let take = || rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, wanted);
        match rustix::io::retry_on_intr(take) {
            Ok(()) => self.reserved = from + wanted,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.expected = 0,
            Err(e) => return Err(io_error(e)),
        }
        Ok(())
    }

    /// Appends `frames` as they lie in memory, all or nothing of them.
    pub(super) fn append(&mut self, frames: &[Bytes]) -> Result<(), Error> {
        let before = self.written;
        let how = self.put(frames);
        if how.is_err() {
            // What has got in is given back, so that there may be room to say how far the upload has come.
            self.cut(before)?;
        }
        how
    }

    fn put(&mut self, frames: &[Bytes]) -> Result<(), Error> {
        let Some(file) = self.file.clone() else {
            return Err(Error::store("the file is closed already"));
        };
        let mut slices: Vec<_> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let now = &rest[..rest.len().min(IOV_MAX)];
            let put = || rustix::io::pwritev(&*file, now, self.written);
            let bytes = rustix::io::retry_on_intr(put).map_err(io_error)?;
            if bytes == 0 {
                return Err(Error::store(io::Error::from(io::ErrorKind::WriteZero)));
            }
            self.dirty = true;
            self.written += bytes as u64;
            IoSlice::advance_slices(&mut rest, bytes);
        }
        Ok(())
    }

    /// Nothing more comes: gives back the room that was not needed, but for a block.
    pub(super) fn trim(&mut self) -> Result<(), Error> {
        self.expected = 0;
        self.give_back(SPARE)
    }

    /// Nothing comes for a while: gives back the room that other uploads may need meanwhile.
    pub(super) fn rest(&mut self) -> Result<(), Error> {
        self.give_back(RESTING)
    }

    /// Goes back to its last checkpoint, with no room beyond it.
    pub(super) fn revert(&mut self) -> Result<(), Error> {
        match self.written > self.saved {
            true => self.cut(self.saved),
            false => self.give_back(SPARE),
        }
    }

    /// Gives back what is reserved, if that is more than `spare`.
    fn give_back(&mut self, spare: u64) -> Result<(), Error> {
        match self.reserved.saturating_sub(self.written) > spare {
            true => self.cut(self.written),
            false => Ok(()),
        }
    }

    /// Ends the file at `end`, where no room is left behind it.
    fn cut(&mut self, end: u64) -> Result<(), Error> {
        if let Some(file) = &self.file {
            rustix::fs::ftruncate(file.as_fd(), end).map_err(io_error)?;
            self.written = end;
            self.reserved = 0;
        }
        Ok(())
    }
}
