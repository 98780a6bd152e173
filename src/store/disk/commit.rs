//! The end of an upload: data → record → names → folders → answer.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{AtFlags, StatxFlags};

use super::Inner;
use super::claims::{Claim, name_taken};
use super::gate::Gate;
use super::put::{How, NotPut, Put};
use super::reserve::Writing;
use super::root::{Root, io_error};
use super::scratch::Scratch;
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::Placed;
use crate::store::records::{Identity, Kept, Promise, Record};
use crate::upload::{FileFacts, OwnerKey, Remembered, UploadId};

/// A commit under way; it owns all it needs, since its caller may vanish.
pub(super) struct Commit {
    pub(super) inner: Arc<Inner>,
    pub(super) id: UploadId,
    /// Held to the end: until then the upload is not finished for anybody who asks.
    pub(super) _gate: Gate,
    pub(super) epoch: u64,
    pub(super) has_checkpoint: bool,
    pub(super) scratch: Scratch,
    pub(super) owner: Option<OwnerKey>,
    pub(super) remembered: Option<Remembered>,
    pub(super) due: Option<Vec<u8>>,
    pub(super) files: Vec<Placed>,
    pub(super) on_conflict: OnConflict,
}

impl Commit {
    pub(super) async fn run(mut self) -> Result<Vec<FileFacts>, Error> {
        let inner = Arc::clone(&self.inner);
        let mut claim = inner
            .claims
            .choose(&inner.root, &self.files, self.on_conflict)
            .await?;
        let promise = Promise {
            temps: self.scratch.temps(),
            from: 0,
            on_conflict: self.on_conflict,
        };
        // A single file moves at once or not at all, and a crash before its move takes nothing that anybody was told
        // of, unless there was a checkpoint, or somebody is to be told at the next start; then its record says what to do.
        // So most uploads make one entry in the records instead of three.
        let promised = promise.temps.len() > 1;
        let due = self.due.take();
        let is_owed = self.has_checkpoint || due.is_some();
        let mut put = Put::new(
            Arc::clone(&inner.root),
            how(self.on_conflict, promise.temps.len()),
        );
        if self.has_checkpoint {
            // As long as that stands: want of room for a folder must not take what was acknowledged.
            put.make_folders(claim.names())?;
        }
        sync(&inner, &self.scratch, promised || is_owed).await?;
        let mut record = self.record(&claim)?;
        let in_record = is_owed && !promised;
        record.promise = in_record.then(|| promise.clone());
        let (id, epoch, had) = (self.id, self.epoch, self.has_checkpoint);
        inner
            .records
            .promise(id, epoch, had, promised.then_some(&promise), &record, due)
            .await?;
        // From here on the checkpoint is gone, and with it the reason to keep anything.
        self.scratch.keep_nothing();

        let todo = 0..promise.temps.len();
        fulfil(&inner, id, &promise, &mut record, &mut claim, put, todo).await?;
        if promised {
            inner.records.settle(id);
        }
        self.scratch.all_moved();
        Ok(record.files.into_iter().map(|kept| kept.facts).collect())
    }

    fn record(&mut self, claim: &Claim) -> Result<Record, Error> {
        let files = std::mem::take(&mut self.files);
        let root = &self.inner.root;
        let kept = files
            .into_iter()
            .zip(&self.scratch.files)
            .zip(claim.names());
        Ok(Record {
            files: kept
                .map(|((file, writing), name)| keep(root, file.facts, writing, name))
                .collect::<Result<_, _>>()?,
            owner: self.owner,
            at: now(),
            promise: None,
            remembered: self.remembered.take(),
        })
    }
}

/// Makes the files' data durable and, where they are `promised`, the names that they have now: after a power cut the
/// promise is kept for all of them or for none.
pub(super) async fn sync(inner: &Inner, scratch: &Scratch, promised: bool) -> Result<(), Error> {
    let data = inner.syncs.data(scratch.unsynced());
    if !promised || scratch.are_named() {
        return data.await.map_err(Error::store);
    }
    let names = inner.syncs.folder(inner.root.tmp_folder());
    let (data, names) = tokio::join!(data, names);
    data.and(names).map_err(Error::store)
}

/// The moment as records have it.
pub(super) fn now() -> Option<u64> {
    UNIX_EPOCH.elapsed().ok().map(|since| since.as_secs())
}

/// What is kept of a file that is about to move to `name`.
pub(super) fn keep(
    root: &Root,
    facts: FileFacts,
    writing: &Writing,
    name: &str,
) -> Result<Kept, Error> {
    let what = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let stat = rustix::fs::statx(root.tmp(), &*writing.temp, flags, what).map_err(io_error)?;
    Ok(Kept {
        facts: FileFacts {
            name: Some(name.to_owned()),
            length: writing.written,
            ..facts
        },
        identity: Identity::of(&stat),
    })
}

/// How the files of an upload are to be moved when there are `files` of them.
pub(super) fn how(on_conflict: OnConflict, files: usize) -> How {
    match on_conflict {
        OnConflict::Rename | OnConflict::Reject => How::Beside,
        OnConflict::Replace if files > 1 => How::OverAll,
        OnConflict::Replace => How::Over,
    }
}

/// Does what a recorded promise says for the files `todo`, or takes all of it back.
pub(super) async fn fulfil(
    inner: &Inner,
    id: UploadId,
    promise: &Promise,
    record: &mut Record,
    claim: &mut Claim,
    mut put: Put,
    todo: impl IntoIterator<Item = usize>,
) -> Result<(), Error> {
    let done = async {
        for index in todo {
            put_one(inner, id, promise, record, claim, &mut put, index).await?;
        }
        for folder in put.changed_folders() {
            inner.syncs.folder(folder).await.map_err(Error::store)?;
        }
        Ok(())
    };
    match done.await {
        Ok(()) => {
            put.finish();
            Ok(())
        }
        Err(e) => {
            put.undo();
            record.files.truncate(promise.from);
            let before = Some(&*record).filter(|before| !before.files.is_empty());
            inner.records.cancel(id, before).await?;
            Err(e)
        }
    }
}

async fn put_one(
    inner: &Inner,
    id: UploadId,
    promise: &Promise,
    record: &mut Record,
    claim: &mut Claim,
    put: &mut Put,
    index: usize,
) -> Result<(), Error> {
    loop {
        match put.file(&promise.temps[index], &claim.names()[index]) {
            Ok(()) => return Ok(()),
            Err(NotPut::Failed(e)) => return Err(e),
            Err(NotPut::Taken) if promise.on_conflict == OnConflict::Rename => {
                // Somebody else came between the look and the move. The record must say what is really used, before it
                // is used.
                let name = claim.another(&inner.root, index)?.to_owned();
                record.files[promise.from + index].facts.name = Some(name);
                inner
                    .records
                    .promise(id, 0, false, None, record, None)
                    .await?;
            }
            Err(NotPut::Taken) => return Err(name_taken(&claim.names()[index])),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Disk;
    use super::super::session::DiskSession;
    use super::*;
    use crate::name::SafePath;
    use crate::store::Session;
    use crate::upload::FileHead;

    /// A crash between record and move leaves a file that somebody is to be told of: its record says what to do then.
    #[test]
    fn a_file_that_something_is_due_of_is_promised_and_any_other_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap();
        for due in [None, Some(b"tell".to_vec())] {
            let id = UploadId::random();
            let mut session = Box::new(DiskSession::create(&disk.inner, id));
            let is_due = due.is_some();
            if let Some(note) = due {
                session.due(note);
            }
            let place = SafePath::from_stored("a").unwrap();
            let facts = FileFacts::default();
            runtime
                .block_on(async {
                    session.begin_file(&FileHead::default(), None).await?;
                    session.write(&mut vec![Bytes::from_static(b"a")]).await?;
                    let files = vec![Placed { place, facts }];
                    session.commit(files, OnConflict::Rename).await
                })
                .unwrap();
            let record = disk.inner.records.record(&id).unwrap().unwrap();
            assert_eq!(record.promise.is_some(), is_due);
        }
    }
}
