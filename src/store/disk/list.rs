//! Finished uploads, one after the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Inner;
use crate::error::Error;
use crate::store::Finished;
use crate::store::records::{Listed, Record};
use crate::upload::UploadId;

/// See [`crate::store::Store::list`].
pub(super) fn list(
    inner: &Inner,
    after: Option<&UploadId>,
    most: usize,
) -> Result<Vec<Finished>, Error> {
    let finished = |Listed { id, record, is_due }: Listed| {
        // A commit under way has its record already, and its files not yet; a session may keep more, and is not finished.
        // Of what is due somebody is still to hear.
        let is_open = is_due || inner.gates.is_open(&id);
        let there = is_open || is_there(inner, &record)?;
        let at = match is_open {
            true => SystemTime::now(),
            false => finished_at(&record),
        };
        Ok(Finished {
            id,
            at,
            bytes: record.bytes(),
            there,
        })
    };
    let records = inner.records.list(after, most)?;
    records.into_iter().map(finished).collect()
}

/// Whether any file is left; an upload without files has lost none.
pub(super) fn is_there(inner: &Inner, record: &Record) -> Result<bool, Error> {
    for kept in &record.files {
        if inner.root.open_kept(kept)?.is_some() {
            return Ok(true);
        }
    }
    Ok(record.files.is_empty())
}

/// Where the record does not say it, it is when its newest file was last changed. Whole seconds are known, so it is the
/// end of that second: what is kept for a time never goes before it is over.
fn finished_at(record: &Record) -> SystemTime {
    let modified = record.files.iter().map(|kept| kept.identity.modified.0);
    let modified = modified.max().and_then(|at| u64::try_from(at).ok());
    let second = record.at.or(modified).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(second.saturating_add(1))
}
