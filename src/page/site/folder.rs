//! Reads the folder of a [`Site`](super::Site), within its limits and without following a link.

use std::fs::{DirEntry, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;

use super::{SiteError, SiteLimits, TAKEN};

pub(super) struct Reader<'a> {
    root: &'a Path,
    limits: SiteLimits,
    entries: usize,
    bytes: u64,
    /// Still to be read, below the root.
    folders: Vec<PathBuf>,
    /// By path, with a leading slash.
    files: Vec<(String, Bytes)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Path, limits: SiteLimits) -> Self {
        Self {
            root,
            limits,
            entries: 0,
            bytes: 0,
            folders: vec![PathBuf::new()],
            files: Vec::new(),
        }
    }

    pub(super) fn read(mut self) -> Result<Vec<(String, Bytes)>, SiteError> {
        while let Some(folder) = self.folders.pop() {
            let unreadable = |source| unreadable(&folder, source);
            for entry in std::fs::read_dir(self.root.join(&folder)).map_err(unreadable)? {
                self.take(&folder, &entry.map_err(unreadable)?)?;
            }
        }
        Ok(self.files)
    }

    fn take(&mut self, folder: &Path, entry: &DirEntry) -> Result<(), SiteError> {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            return Ok(());
        }
        let path = folder.join(entry.file_name());
        self.entries += 1;
        if self.entries > self.limits.files {
            let limit = self.limits.files;
            return Err(SiteError::TooMany { limit });
        }
        let url = url(&path)?;
        let kind = entry.file_type().map_err(|e| unreadable(&path, e))?;
        match kind {
            kind if kind.is_dir() => self.folders.push(path),
            kind if kind.is_file() => {
                let bytes = self.contents(&path)?;
                self.files.push((url, bytes));
            }
            kind if kind.is_symlink() => return Err(SiteError::Link { path }),
            _ => return Err(SiteError::NotAFile { path }),
        }
        Ok(())
    }

    /// The file's bytes, of which no more are read than there is room for.
    fn contents(&mut self, path: &Path) -> Result<Bytes, SiteError> {
        let room = self.limits.bytes - self.bytes;
        let bytes = read(&self.root.join(path), room.saturating_add(1))
            .map_err(|source| unreadable(path, source))?;
        if bytes.len() as u64 > room {
            let limit = self.limits.bytes;
            return Err(SiteError::TooLarge { limit });
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.into())
    }
}

/// What became a link meanwhile is not followed, and what became a pipe is not waited for.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// The path as URLs have it, but for percent-encoding; its first part must not be the server's.
fn url(path: &Path) -> Result<String, SiteError> {
    let Some(text) = path.to_str() else {
        let path = path.to_owned();
        return Err(SiteError::NotUtf8 { path });
    };
    let first = text.split('/').next();
    match TAKEN.into_iter().find(|taken| first == Some(taken)) {
        Some(taken) => Err(SiteError::Taken {
            path: path.to_owned(),
            taken,
        }),
        None => Ok(format!("/{text}")),
    }
}

fn unreadable(path: &Path, source: io::Error) -> SiteError {
    let path = path.to_owned();
    SiteError::Unreadable { path, source }
}
