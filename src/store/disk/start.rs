//! What a crash has left, finished or cleared before the first upload comes.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir};
use rustix::io::Errno;

use super::Inner;
use super::commit::{fulfil, how};
use super::put::Put;
use super::reserve::Writing;
use super::root::{Root, io_error, stat};
use super::session::LOST;
use crate::error::Error;
use crate::store::records::{Kept, Listed, Promise, Record, Saved};
use crate::upload::UploadId;

/// How many rows are read at once.
const AT_ONCE: usize = 1000;

/// Keeps the promises that stand, then removes every temporary file that no checkpoint needs.
pub(super) fn clear(inner: &Arc<Inner>) -> Result<(), Error> {
    let needed = still_needed(inner)?;
    let mut promises = inner.records.promises()?;
    promises.extend(left_to_move(inner, &needed)?);
    for (id, promise, record) in promises {
        let work = roll_forward(Arc::clone(inner), id, promise, record);
        match inner.finisher.block_on(work) {
            Some(Ok(())) => {}
            Some(Err(e)) => {
                tracing::warn!(upload = id.short(), cause = %e, "an upload that a crash cut off was taken back");
            }
            None => return Err(Error::store("finishing what a crash has left has failed")),
        }
    }
    sweep(&inner.root, &needed)
}

/// The files whose records say that they are to be moved, as promises.
fn left_to_move(inner: &Inner, needed: &Needed) -> Result<Vec<(UploadId, Promise, Record)>, Error> {
    let mut left = Vec::new();
    for temp in temps(&inner.root)? {
        let temp = temp.to_string_lossy().into_owned();
        let id = temp.split('.').next().and_then(|id| id.parse().ok());
        let Some(id) = id.filter(|_| !needed.has(&temp)) else {
            continue;
        };
        let Some(record) = inner.records.record(&id)? else {
            continue;
        };
        if let (Some(promise), [kept]) = (&record.promise, &record.files[..])
            && promise.temps == [temp]
            && is_its_file(&inner.root, &promise.temps[0], kept)?
        {
            left.push((id, promise.clone(), record));
        }
    }
    Ok(left)
}

/// Whether `temp` is the file that was to be kept, and still is to be moved: an upload that was begun by the same id
/// later, when that was gone, may have left one of the same name.
fn is_its_file(root: &Root, temp: &str, kept: &Kept) -> Result<bool, Error> {
    let Some(file) = root.open_temp(temp)? else {
        return Ok(false);
    };
    let is_whole = stat(file.as_fd())?.stx_size == kept.facts.length;
    Ok(is_whole && root.open_kept(kept)?.is_none())
}

/// The temporary files that stay.
#[derive(Default)]
struct Needed {
    temps: HashSet<String>,
    /// What the names of the others begin with: of uploads whose checkpoints cannot be read.
    prefixes: HashSet<String>,
}

impl Needed {
    fn has(&self, name: &str) -> bool {
        let prefix = name.split('.').next().unwrap_or_default();
        self.temps.contains(name) || self.prefixes.contains(prefix)
    }
}

/// What the checkpoints speak of. One whose bytes are gone, as may be after a power cut with durability `close`, is
/// dropped: nobody can go on with it.
fn still_needed(inner: &Arc<Inner>) -> Result<Needed, Error> {
    let (mut needed, mut last) = (Needed::default(), None);
    loop {
        let saved = inner.records.list_saved(last.as_ref(), AT_ONCE)?;
        let Some((id, _)) = saved.last() else {
            return Ok(needed);
        };
        last = Some(*id);
        for (id, saved) in saved {
            match saved {
                Err(_) => {
                    needed.prefixes.insert(id.to_string());
                }
                Ok(saved) if settle(&inner.root, &saved)? => needed.temps.extend(saved.temps),
                Ok(saved) => lose(inner, id, saved.checkpoint.epoch)?,
            }
        }
    }
}

/// Cuts the files to what their checkpoint says; `false` when some of that is not there.
fn settle(root: &Root, saved: &Saved) -> Result<bool, Error> {
    for (point, temp) in saved.checkpoint.files.iter().zip(&saved.temps) {
        match Writing::reopen(root, temp.clone(), point.stored) {
            Ok(_) => {}
            Err(Error::NotFound) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

fn lose(inner: &Arc<Inner>, id: UploadId, epoch: u64) -> Result<(), Error> {
    tracing::warn!(upload = id.short(), "{LOST}");
    let work = {
        let inner = Arc::clone(inner);
        async move { inner.records.drop_checkpoint(id, epoch).await }
    };
    let how = inner.finisher.block_on(work);
    how.unwrap_or_else(|| Err(Error::store("clearing what a crash has left has failed")))
}

/// Counts what the records hold.
pub(super) fn count(inner: &Inner) -> Result<(), Error> {
    let mut last = None;
    loop {
        let records = inner.records.list(last.as_ref(), AT_ONCE)?;
        let Some(Listed { id, .. }) = records.last() else {
            return Ok(());
        };
        last = Some(*id);
        for Listed { record, .. } in &records {
            inner.held.add(record.owner, record.bytes());
        }
    }
}

/// Goes on with a commit where a crash has stopped it.
async fn roll_forward(
    inner: Arc<Inner>,
    id: UploadId,
    promise: Promise,
    mut record: Record,
) -> Result<(), Error> {
    let files = record.files.get(promise.from..).unwrap_or_default();
    let names: Vec<String> = files
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
    // Without a file under way every move was made: nothing is left but to say so, and what has become of the files
    // since is no longer ours.
    if !todo.is_empty() {
        for (index, kept) in files.iter().enumerate() {
            if !todo.contains(&index) && inner.root.open_kept(kept)?.is_some() {
                put.already(&promise.temps[index], &names[index])?;
            }
        }
    }
    let mut claim = inner.claims.at_start(names);
    fulfil(&inner, id, &promise, &mut record, &mut claim, put, todo).await?;
    inner.records.settle(id);
    Ok(())
}

fn exists(root: &Root, temp: &str) -> Result<bool, Error> {
    match rustix::fs::statat(root.tmp(), temp, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(io_error(e)),
    }
}

fn sweep(root: &Root, needed: &Needed) -> Result<(), Error> {
    let mut removed = 0_u64;
    for name in temps(root)? {
        if needed.has(&name.to_string_lossy()) {
            continue;
        }
        rustix::fs::unlinkat(root.tmp(), &name, AtFlags::empty()).map_err(io_error)?;
        removed += 1;
    }
    if removed > 0 {
        tracing::info!(removed, "cleared what a crash had left");
    }
    Ok(())
}

/// What is in the folder of files under way.
fn temps(root: &Root) -> Result<Vec<OsString>, Error> {
    let mut names = Vec::new();
    for entry in Dir::read_from(root.tmp()).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::super::put::How;
    use super::super::session::DiskSession;
    use super::super::{Disk, Durability};
    use super::*;
    use crate::name::OnConflict;
    use crate::store::records::Identity;
    use crate::store::{Checkpoint, FilePoint, Session, Store};
    use crate::upload::{FileFacts, FileHead};

    const NAMES: [&str; 3] = ["a", "sub/b", "c"];

    fn block_on<F: Future>(work: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(work)
    }

    fn open(dir: &Path) -> Disk {
        let mut options = Disk::options();
        options.durability = Durability::Close;
        Disk::open_with(dir, options).unwrap()
    }

    /// Leaves the folder as a crash does that comes after `moved` of three renames.
    fn crash_after(dir: &Path, on_conflict: OnConflict, moved: usize) -> UploadId {
        let (disk, id) = (open(dir), UploadId::random());
        let mut session = DiskSession::create(&disk.inner, id);
        block_on(async {
            for name in NAMES {
                session
                    .begin_file(&FileHead::default(), None)
                    .await
                    .unwrap();
                let mut frames = vec![Bytes::from_static(name.as_bytes())];
                session.write(&mut frames).await.unwrap();
            }
            let promise = Promise {
                temps: session.scratch().temps(),
                from: 0,
                on_conflict,
            };
            let record = Record {
                files: NAMES
                    .into_iter()
                    .zip(&promise.temps)
                    .map(|(name, temp)| kept(dir, name, temp))
                    .collect(),
                owner: None,
                at: None,
                promise: None,
                remembered: None,
            };
            disk.inner
                .records
                .promise(id, 0, false, Some(&promise), &record, None)
                .await
                .unwrap();
            let how = how(on_conflict, NAMES.len());
            assert_ne!(how, How::Over);
            let mut put = Put::new(Arc::clone(&disk.inner.root), how);
            for (name, temp) in NAMES.into_iter().zip(&promise.temps).take(moved) {
                put.file(temp, name).unwrap();
            }
        });
        session.scratch().all_moved();
        id
    }

    /// Leaves the folder as a crash does that comes before the rename of a file kept behind another one.
    fn crash_while_keeping_a_second(dir: &Path, on_conflict: OnConflict) -> UploadId {
        let (disk, id) = (open(dir), UploadId::random());
        let mut session = DiskSession::create(&disk.inner, id);
        block_on(async {
            for name in ["a", "c"] {
                session
                    .begin_file(&FileHead::default(), None)
                    .await
                    .unwrap();
                let mut frames = vec![Bytes::from_static(name.as_bytes())];
                session.write(&mut frames).await.unwrap();
            }
            let place = crate::name::SafePath::from_stored("a").unwrap();
            let facts = FileFacts::default();
            let file = crate::store::Placed { place, facts };
            session.keep(0, file, on_conflict).await.unwrap();
            let temps = session.scratch().temps().split_off(1);
            let mut record = disk.inner.records.record(&id).unwrap().unwrap();
            record.files.push(kept(dir, "c", &temps[0]));
            let promise = Promise {
                temps,
                from: 1,
                on_conflict,
            };
            let records = &disk.inner.records;
            records
                .promise(id, 0, false, Some(&promise), &record, None)
                .await
                .unwrap();
        });
        session.scratch().all_moved();
        id
    }

    #[test]
    fn a_file_kept_behind_another_is_there_after_a_crash_before_its_rename() {
        for on_conflict in [OnConflict::Rename, OnConflict::Replace, OnConflict::Reject] {
            let dir = tempfile::tempdir().unwrap();
            let id = crash_while_keeping_a_second(dir.path(), on_conflict);
            for _ in 0..2 {
                let [a, c, none] = contents(&open(dir.path()), &id);
                assert_eq!(
                    (a.as_deref(), c.as_deref()),
                    (Some(&b"a"[..]), Some(&b"c"[..]))
                );
                assert!(none.is_none() && is_clean(dir.path()), "{on_conflict:?}");
            }
        }
    }

    /// Leaves the folder as a crash does that comes between the record of a single file that had a checkpoint and its move.
    fn crash_before_the_move(dir: &Path, on_conflict: OnConflict) -> UploadId {
        crash_owing(dir, on_conflict, None)
    }

    /// The same; with something `due` of it, it had no checkpoint.
    fn crash_owing(dir: &Path, on_conflict: OnConflict, due: Option<Vec<u8>>) -> UploadId {
        let (disk, id) = (open(dir), UploadId::random());
        let mut session = DiskSession::create(&disk.inner, id);
        block_on(async {
            let head = FileHead::default();
            session.begin_file(&head, None).await.unwrap();
            let mut frames = vec![Bytes::from_static(b"a")];
            session.write(&mut frames).await.unwrap();
            let had = due.is_none();
            if had {
                let mut checkpoint = Checkpoint::at(1, Vec::new());
                checkpoint.files.push(FilePoint::default());
                session.checkpoint(checkpoint).await.unwrap();
            }
            let record = Record {
                files: vec![kept(dir, "a", &session.scratch().temps()[0])],
                owner: None,
                at: None,
                promise: Some(Promise {
                    temps: session.scratch().temps(),
                    from: 0,
                    on_conflict,
                }),
                remembered: None,
            };
            let records = &disk.inner.records;
            records
                .promise(id, 0, had, None, &record, due)
                .await
                .unwrap();
        });
        session.scratch().all_moved();
        id
    }

    #[test]
    fn a_file_that_had_a_checkpoint_gets_its_name_after_a_crash_between_its_record_and_its_move() {
        for on_conflict in [OnConflict::Rename, OnConflict::Replace, OnConflict::Reject] {
            let dir = tempfile::tempdir().unwrap();
            if on_conflict == OnConflict::Replace {
                std::fs::write(dir.path().join("a"), "old").unwrap();
            }
            let id = crash_before_the_move(dir.path(), on_conflict);
            for _ in 0..2 {
                let [a, ..] = contents(&open(dir.path()), &id);
                assert_eq!(a.as_deref(), Some(&b"a"[..]), "{on_conflict:?}");
                assert!(is_clean(dir.path()), "{on_conflict:?}");
            }
        }
    }

    #[test]
    fn what_is_due_of_a_file_goes_with_its_name_after_a_crash_before_its_move() {
        for taken in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let id = crash_owing(dir.path(), OnConflict::Reject, Some(b"tell".to_vec()));
            if taken {
                std::fs::write(dir.path().join("a"), "somebody else's").unwrap();
            }
            let disk = open(dir.path());
            let due = block_on(disk.hand_offs().unwrap().due(None, 2)).unwrap();
            let [a, ..] = contents(&disk, &id);
            match taken {
                // Nobody was told of it, and nobody will be.
                true => assert_eq!((due, a), (Vec::new(), None)),
                false => {
                    assert_eq!(
                        (due.len(), due[0].id, &due[0].note[..]),
                        (1, id, &b"tell"[..])
                    );
                    assert_eq!(due[0].files[0].name.as_deref(), Some("a"));
                    assert_eq!(a.as_deref(), Some(&b"a"[..]));
                }
            }
            assert!(is_clean(dir.path()), "{taken}");
        }
    }

    #[test]
    fn such_a_file_keeps_to_its_rule_where_its_name_was_taken_meanwhile() {
        for (on_conflict, name) in [
            (OnConflict::Rename, Some("a-1")),
            (OnConflict::Reject, None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let id = crash_before_the_move(dir.path(), on_conflict);
            std::fs::write(dir.path().join("a"), "somebody else's").unwrap();
            let disk = open(dir.path());
            let stored = block_on(disk.stored(&id)).unwrap();
            let stored = stored.map(|files| files[0].name.clone().unwrap());
            assert_eq!(stored.as_deref(), name);
            let theirs = std::fs::read_to_string(dir.path().join("a")).unwrap();
            assert_eq!(theirs, "somebody else's");
            assert!(is_clean(dir.path()), "{on_conflict:?}");
        }
    }

    #[test]
    fn what_was_left_over_beside_a_finished_file_never_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let id = crash_before_the_move(dir.path(), OnConflict::Replace);
        drop(open(dir.path()));
        let stray = dir.path().join(".dumbwaiter/tmp").join(format!("{id}.0.0"));
        std::fs::write(stray, "b").unwrap();
        let [a, ..] = contents(&open(dir.path()), &id);
        assert_eq!(a.as_deref(), Some(&b"a"[..]));
        assert!(is_clean(dir.path()));
    }

    #[test]
    fn what_cannot_be_kept_behind_another_after_a_crash_leaves_that_alone() {
        let dir = tempfile::tempdir().unwrap();
        let id = crash_while_keeping_a_second(dir.path(), OnConflict::Reject);
        std::fs::write(dir.path().join("c"), "somebody else's").unwrap();
        let disk = open(dir.path());
        let [a, c, _] = contents(&disk, &id);
        assert_eq!((a.as_deref(), c), (Some(&b"a"[..]), None));
        assert_eq!(block_on(disk.stored(&id)).unwrap().unwrap().len(), 1);
        assert_eq!(disk.inner.held.bytes(), 1);
        assert!(is_clean(dir.path()));
    }

    fn kept(dir: &Path, name: &str, temp: &str) -> Kept {
        let file = std::fs::File::open(dir.join(".dumbwaiter/tmp").join(temp)).unwrap();
        let stat = super::super::root::stat(std::os::fd::AsFd::as_fd(&file)).unwrap();
        Kept {
            facts: FileFacts {
                name: Some(name.into()),
                length: name.len() as u64,
                ..FileFacts::default()
            },
            identity: Identity::of(&stat),
        }
    }

    /// The three files as their upload's id gives them.
    fn contents(disk: &Disk, id: &UploadId) -> [Option<Bytes>; 3] {
        std::array::from_fn(|index| {
            block_on(async {
                let mut reader = disk.read(id, index).await.unwrap()?;
                Some(reader.read_at(0, 100).await.unwrap())
            })
        })
    }

    fn all() -> [Option<Bytes>; 3] {
        NAMES.map(|name| Some(Bytes::from_static(name.as_bytes())))
    }

    fn is_clean(dir: &Path) -> bool {
        std::fs::read_dir(dir.join(".dumbwaiter/tmp"))
            .unwrap()
            .next()
            .is_none()
    }

    #[test]
    fn a_promise_is_kept_after_a_crash_between_any_two_renames() {
        for on_conflict in [OnConflict::Rename, OnConflict::Replace, OnConflict::Reject] {
            for moved in 0..=NAMES.len() {
                let dir = tempfile::tempdir().unwrap();
                if on_conflict == OnConflict::Replace {
                    std::fs::write(dir.path().join("a"), "old").unwrap();
                    std::fs::write(dir.path().join("c"), "old").unwrap();
                }
                let id = crash_after(dir.path(), on_conflict, moved);
                // A second start finds nothing to do.
                for _ in 0..2 {
                    let disk = open(dir.path());
                    assert_eq!(contents(&disk, &id), all(), "{on_conflict:?} {moved}");
                    assert!(is_clean(dir.path()), "{on_conflict:?} {moved}");
                }
            }
        }
    }

    #[test]
    fn a_name_taken_while_we_were_down_is_left_alone_and_the_record_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let id = crash_after(dir.path(), OnConflict::Rename, 1);
        std::fs::write(dir.path().join("c"), "somebody else's").unwrap();
        let disk = open(dir.path());
        assert_eq!(contents(&disk, &id), all());
        let files = block_on(disk.stored(&id)).unwrap().unwrap();
        assert_eq!(files[2].name.as_deref(), Some("c-1"));
        let theirs = std::fs::read_to_string(dir.path().join("c")).unwrap();
        assert_eq!(theirs, "somebody else's");
    }

    #[test]
    fn with_reject_a_name_taken_while_we_were_down_takes_all_back() {
        let dir = tempfile::tempdir().unwrap();
        let id = crash_after(dir.path(), OnConflict::Reject, 2);
        std::fs::write(dir.path().join("c"), "somebody else's").unwrap();
        let disk = open(dir.path());
        assert_eq!(block_on(disk.stored(&id)).unwrap(), None);
        assert_eq!(contents(&disk, &id), [None, None, None]);
        assert!(!dir.path().join("a").exists() && !dir.path().join("sub/b").exists());
        assert!(is_clean(dir.path()));
        drop(disk);
        // Not even when the name has become free again.
        std::fs::remove_file(dir.path().join("c")).unwrap();
        assert_eq!(contents(&open(dir.path()), &id), [None, None, None]);
    }

    #[test]
    fn files_that_the_app_moved_before_the_crash_stay_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let id = crash_after(dir.path(), OnConflict::Reject, 3);
        std::fs::rename(dir.path().join("a"), dir.path().join("elsewhere")).unwrap();
        let disk = open(dir.path());
        let [a, b, c] = contents(&disk, &id);
        assert_eq!((a, b.is_some(), c.is_some()), (None, true, true));
        assert_eq!(
            std::fs::read_to_string(dir.path().join("elsewhere")).unwrap(),
            "a"
        );
    }
}
