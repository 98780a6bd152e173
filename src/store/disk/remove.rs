//! A finished upload, taken away again: files → folders → record → answer.
//!
//! The record goes last, so that a crash on the way leaves one whose files are gone, which counts as none.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::Inner;
use super::root::{Root, io_error};
use crate::error::Error;
use crate::store::records::{Gone, Kept};
use crate::upload::UploadId;

/// Removes the upload's files, those that are still the ones it stored, and its record; `false` when there is none.
pub(super) async fn remove(inner: Arc<Inner>, id: UploadId) -> Result<bool, Error> {
    let gate = inner.gates.enter(id);
    // No further file of it may be kept meanwhile, nor after.
    let mut turn = gate.turn().await;
    let Some(record) = inner.finished(&id)? else {
        return Ok(false);
    };
    turn.removed = true;
    let names = record.files.iter().filter_map(|k| k.facts.name.clone());
    // No commit may put a new file under one of the names between the look at the old one and its removal.
    let _claim = inner.claims.those(names.collect()).await;
    let mut there = record.files.is_empty();
    for kept in &record.files {
        if let Some(folder) = unlink(&inner.root, kept)? {
            there = true;
            inner.syncs.folder(folder).await.map_err(Error::store)?;
        }
    }
    inner.forget(id, Gone::Removed { answer: there }).await?;
    Ok(there)
}

/// Removes one file and gives the folder that has lost it; `None` when it is gone or another one has its name.
fn unlink(root: &Root, kept: &Kept) -> Result<Option<Arc<OwnedFd>>, Error> {
    if root.open_kept(kept)?.is_none() {
        return Ok(None);
    }
    let place = kept.facts.name.as_deref().unwrap_or_default();
    let Some((folder, name)) = root.find(place)? else {
        return Ok(None);
    };
    match rustix::fs::unlinkat(&*folder, name, AtFlags::empty()) {
        Ok(()) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(io_error(e)),
    }
}
