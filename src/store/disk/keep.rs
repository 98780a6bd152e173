//! One file of an upload made visible by itself: data → record → name → folder → answer, as in a commit of one.
//!
//! The record of a file kept behind others comes with a promise, so that a crash before its move does not leave a name
//! without a file beside those that are there.

use std::slice;
use std::sync::Arc;

use super::Inner;
use super::claims::name_taken;
use super::commit::{fulfil, how, keep, now, sync};
use super::gate::{Gate, Turn};
use super::put::Put;
use super::scratch::Scratch;
use crate::error::Error;
use crate::name::{OnConflict, SafePath};
use crate::store::records::{self, Promise, Record};
use crate::store::{Placed, free};
use crate::upload::{FileFacts, OwnerKey, Remembered, UploadId};

/// A file on its way to its name; it owns all it needs, since its caller may vanish.
pub(super) struct Keep {
    pub(super) inner: Arc<Inner>,
    pub(super) id: UploadId,
    /// Of its own: the session may be dropped meanwhile.
    pub(super) gate: Gate,
    pub(super) epoch: u64,
    pub(super) has_checkpoint: bool,
    /// The file, and no other.
    pub(super) scratch: Scratch,
    pub(super) owner: Option<OwnerKey>,
    pub(super) remembered: Option<Remembered>,
    pub(super) file: Placed,
    pub(super) on_conflict: OnConflict,
}

/// How it went.
pub(super) struct Kept {
    /// The file again, where it has not been moved.
    pub(super) scratch: Scratch,
    pub(super) how: Result<FileFacts, Error>,
    /// Whether it was written down, at least for a while: the upload's checkpoint is gone then.
    pub(super) recorded: bool,
}

impl Keep {
    pub(super) async fn run(mut self) -> Kept {
        let mut turn = self.gate.turn().await;
        let mut recorded = false;
        let how = match turn.removed {
            true => Err(Error::Cancelled),
            false => self.put(&mut turn, &mut recorded).await,
        };
        // Still in its turn, so that nobody sees the gate of the next one opened by this.
        self.gate.has_kept();
        drop(turn);
        Kept {
            scratch: self.scratch,
            how,
            recorded,
        }
    }

    async fn put(&mut self, turn: &mut Turn, recorded: &mut bool) -> Result<FileFacts, Error> {
        let (inner, id) = (Arc::clone(&self.inner), self.id);
        if self.on_conflict == OnConflict::Replace {
            self.spare(&turn.kept)?;
        }
        let files = slice::from_ref(&self.file);
        let mut claim = inner
            .claims
            .choose(&inner.root, files, self.on_conflict)
            .await?;
        let promise = Promise {
            temps: self.scratch.temps(),
            from: turn.kept.len(),
            on_conflict: self.on_conflict,
        };
        let promised = self.has_checkpoint || promise.from > 0;
        sync(&inner, &self.scratch, promised).await?;
        let mut record = self.record(turn, &claim.names()[0])?;
        self.gate.begin_keep(promise.from);
        let had = self.has_checkpoint;
        let told = promised.then_some(&promise);
        inner
            .records
            .promise(id, self.epoch, had, told, &record, None)
            .await?;
        *recorded = true;
        // From here on the checkpoint is gone.
        self.scratch.keep_nothing();
        let put = Put::new(Arc::clone(&inner.root), how(self.on_conflict, 1));
        fulfil(&inner, id, &promise, &mut record, &mut claim, put, [0]).await?;
        if promised {
            inner.records.settle(id);
        }
        self.scratch.all_moved();
        turn.kept = record.files;
        let last = turn.kept.last().expect("the file just kept");
        Ok(last.facts.clone())
    }

    /// Finds another name where one of the `kept` has this one: two files of one upload never share a name.
    fn spare(&mut self, kept: &[records::Kept]) -> Result<(), Error> {
        let place = self.file.place.as_str();
        let is_own = |name: &str| kept.iter().any(|k| k.facts.name.as_deref() == Some(name));
        let other = free::candidates(place).find(|name| !is_own(name));
        let other = other.and_then(|name| SafePath::from_stored(&name));
        self.file.place = other.ok_or_else(|| name_taken(place))?;
        Ok(())
    }

    /// What is known of the upload with this file behind those kept before.
    fn record(&self, turn: &Turn, name: &str) -> Result<Record, Error> {
        let (facts, writing) = (self.file.facts.clone(), &self.scratch.files[0]);
        let mut files = turn.kept.clone();
        files.push(keep(&self.inner.root, facts, writing, name)?);
        Ok(Record {
            files,
            owner: self.owner,
            at: now(),
            promise: None,
            remembered: self.remembered.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use bytes::Bytes;

    use super::super::Disk;
    use super::super::session::DiskSession;
    use super::*;
    use crate::store::{Checkpoint, FilePoint, Open, Session, Store};
    use crate::upload::FileHead;

    fn block_on<F: Future>(work: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(work)
    }

    fn placed(name: &str) -> Placed {
        Placed {
            place: SafePath::from_stored(name).unwrap(),
            facts: FileFacts::default(),
        }
    }

    /// A session with two files of 3 bytes and a checkpoint.
    async fn saved(disk: &Disk, id: UploadId) -> DiskSession {
        let mut session = DiskSession::create(&disk.inner, id);
        for content in ["one", "two"] {
            session
                .begin_file(&FileHead::default(), None)
                .await
                .unwrap();
            session
                .write(&mut vec![Bytes::from(content)])
                .await
                .unwrap();
        }
        let mut checkpoint = Checkpoint::at(6, Vec::new());
        checkpoint.files = vec![FilePoint::default(); 2];
        session.checkpoint(checkpoint).await.unwrap();
        session
    }

    #[test]
    fn who_is_superseded_while_it_keeps_a_file_leaves_it_to_the_newer_session() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let id = UploadId::random();
        block_on(async {
            let mut older = saved(&disk, id).await;
            let claim = disk.inner.claims.those(vec!["a".into()]).await;
            let mut newer = {
                let mut keep = pin!(older.keep(0, placed("a"), OnConflict::Replace));
                let mut cx = Context::from_waker(Waker::noop());
                assert!(keep.as_mut().poll(&mut cx).is_pending());
                let newer = disk.open(&id, Open::Take).await.unwrap();
                drop(claim);
                assert!(matches!(keep.await, Err(Error::Superseded)));
                newer
            };
            drop(older);
            let kept = newer.keep(0, placed("a"), OnConflict::Replace).await;
            assert_eq!(kept.unwrap().length, 3);
        });
    }
}
