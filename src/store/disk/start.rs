//! What a crash has left, finished or cleared before the first upload comes.

use std::collections::HashSet;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir};
use rustix::io::Errno;

use super::Inner;
use super::commit::{fulfil, how};
use super::put::Put;
use super::root::{Root, io_error};
use crate::error::Error;
use crate::store::records::{Promise, Record};
use crate::upload::UploadId;

/// Keeps the promises that stand, then removes every temporary file that no checkpoint needs.
pub(super) fn clear(inner: &Arc<Inner>) -> Result<(), Error> {
    for (id, promise, record) in inner.records.promises()? {
        let work = roll_forward(Arc::clone(inner), id, promise, record);
        match inner.finisher.block_on(work) {
            Some(Ok(())) => {}
            Some(Err(e)) => {
                tracing::warn!(upload = id.short(), error = %e, "an upload that a crash cut off was taken back");
            }
            None => return Err(Error::store("finishing what a crash has left has failed")),
        }
    }
    sweep(
        &inner.root,
        &inner.records.saved_temps()?.into_iter().collect(),
    )
}

/// Goes on with a commit where a crash has stopped it.
async fn roll_forward(
    inner: Arc<Inner>,
    id: UploadId,
    promise: Promise,
    mut record: Record,
) -> Result<(), Error> {
    let names: Vec<String> = record
        .files
        .iter()
        .map(|kept| kept.facts.name.clone().unwrap_or_default())
        .collect();
    let mut todo = Vec::new();
    for (index, temp) in promise.temps.iter().enumerate() {
        if exists(&inner.root, temp)? {
            todo.push(index);
        }
    }
    let mut put = Put::new(
        Arc::clone(&inner.root),
        how(promise.on_conflict, promise.temps.len()),
    );
    // Without a file under way every move was made: nothing is left but to say so, and what has become of the files since
    // is no longer ours.
    if !todo.is_empty() {
        for (index, kept) in record.files.iter().enumerate() {
            if !todo.contains(&index) && inner.root.open_kept(kept)?.is_some() {
                put.already(&promise.temps[index], &names[index])?;
            }
        }
    }
    let mut claim = inner.claims.at_start(names);
    fulfil(&inner, id, &promise, &mut record, &mut claim, put, todo).await
}

fn exists(root: &Root, temp: &str) -> Result<bool, Error> {
    match rustix::fs::statat(root.tmp(), temp, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(io_error(e)),
    }
}

fn sweep(root: &Root, keep: &HashSet<String>) -> Result<(), Error> {
    let mut removed = 0_u64;
    for entry in Dir::read_from(root.tmp()).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let name = entry.file_name().to_string_lossy();
        if name == "." || name == ".." || keep.contains(&*name) {
            continue;
        }
        rustix::fs::unlinkat(root.tmp(), entry.file_name(), AtFlags::empty()).map_err(io_error)?;
        removed += 1;
    }
    if removed > 0 {
        tracing::info!(removed, "cleared what a crash had left");
    }
    Ok(())
}
