//! Uploads that have not come to their end, as their last checkpoints tell of them.

use std::os::fd::AsFd;

use super::Inner;
use super::read::DiskReader;
use super::root::stat;
use crate::error::Error;
use crate::store::{Checkpoint, Reader};
use crate::upload::{FileFacts, UploadId};

/// See [`crate::store::Store::unfinished`].
pub(super) fn unfinished(inner: &Inner, id: &UploadId) -> Result<Option<Checkpoint>, Error> {
    match inner.records.saved(id)? {
        Some(saved) => Ok(Some(saved?.checkpoint)),
        None => Ok(None),
    }
}

/// See [`crate::store::Store::list_unfinished`].
pub(super) fn list(
    inner: &Inner,
    after: Option<&UploadId>,
    most: usize,
) -> Result<Vec<(UploadId, Checkpoint)>, Error> {
    let mut readable = Vec::new();
    for (id, saved) in inner.records.list_saved(after, most)? {
        match saved {
            Ok(saved) => readable.push((id, saved.checkpoint)),
            Err(unread) => tracing::warn!(
                upload = id.short(),
                cause = unread.0,
                "an unfinished upload is left alone"
            ),
        }
    }
    Ok(readable)
}

/// See [`crate::store::Store::read_unfinished`].
pub(super) fn read(
    inner: &Inner,
    id: &UploadId,
    index: usize,
) -> Result<Option<Box<dyn Reader>>, Error> {
    let Some(saved) = inner.records.saved(id)?.transpose()? else {
        return Ok(None);
    };
    let (Some(point), Some(temp)) = (saved.checkpoint.files.get(index), saved.temps.get(index))
    else {
        return Ok(None);
    };
    // Gone when a newer checkpoint stands, or the upload has come to its end meanwhile.
    let Some(file) = inner.root.open_temp(temp)? else {
        return Ok(None);
    };
    let facts = FileFacts {
        length: point.stored,
        ..point.facts.clone()
    };
    let reader = DiskReader::up_to(&stat(file.as_fd())?, file, facts);
    Ok(Some(Box::new(reader)))
}
