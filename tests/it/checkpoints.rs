//! What only a disk can break of checkpoints: room, restarts, rows of other versions, syncs.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dumbwaiter::name::OnConflict;
use dumbwaiter::store::{
    Checkpoint, Disk, Durability, FilePoint, Open, Session, Store, SyncLedger, conformance,
};
use dumbwaiter::upload::{FileHead, Owner, Protocol, Remembered, Upload};
use dumbwaiter::{Error, UploadId};

use crate::store::{BOTH, block_on, content, open, place, temporary, wait_for_room};
use crate::support::tmpfs::Tmpfs;

const MEGABYTE: usize = 1 << 20;

/// A checkpoint of an upload with one file that is all of it.
fn at(offset: usize, length: Option<u64>) -> Checkpoint {
    let mut upload = Upload::new(Protocol::Tus, Owner::Named("somebody".into()));
    upload.length = length;
    let mut checkpoint = Checkpoint::at(offset as u64, Vec::new());
    checkpoint.files.push(FilePoint::default());
    checkpoint.upload = Some(Remembered::of(&upload));
    checkpoint
}

async fn begin(disk: &Disk, id: &UploadId, expect: Option<u64>) -> Box<dyn Session> {
    let mut session = disk.open(id, Open::Create).await.unwrap();
    let head = FileHead::default();
    session.begin_file(&head, expect).await.unwrap();
    session
}

async fn write(session: &mut Box<dyn Session>, bytes: usize) -> Result<(), Error> {
    let mut frames = vec![Bytes::from(vec![b'x'; bytes])];
    let how = session.write(&mut frames).await;
    let left: usize = frames.iter().map(Bytes::len).sum();
    assert_eq!(left, if how.is_ok() { 0 } else { bytes }, "{how:?}");
    how
}

async fn commit(session: Box<dyn Session>, name: &str) -> u64 {
    let files = vec![place(name)];
    session.commit(files, OnConflict::Reject).await.unwrap()[0].length
}

/// The only file under way.
fn under_way(dir: &Path) -> PathBuf {
    let [name] = &temporary(dir)[..] else {
        panic!("{:?}", temporary(dir));
    };
    dir.join(".dumbwaiter/tmp").join(name)
}

fn room(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().blocks() * 512
}

#[test]
fn a_disk_that_fills_up_on_the_way_keeps_what_came_before_and_lets_it_be_checkpointed() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let Some(_mounted) = Tmpfs::mount(dir.path(), "size=16m") else {
            return;
        };
        let disk = open(dir.path(), durability);
        let id = UploadId::random();
        block_on(async {
            let mut session = begin(&disk, &id, None).await;
            session.checkpoint(at(0, None)).await.unwrap();
            let mut written = 0;
            let how = loop {
                match write(&mut session, MEGABYTE).await {
                    Ok(()) => written += MEGABYTE,
                    Err(e) => break e,
                }
            };
            assert!(matches!(how, Error::DiskFull), "{how:?}");
            let length = std::fs::metadata(under_way(dir.path())).unwrap().len();
            assert_eq!(length, written as u64, "half a write is in the file");
            let offset = session.checkpoint(at(written, None)).await.unwrap();
            assert_eq!(offset, written as u64);
            // The same again: it is still full, and still works.
            let how = write(&mut session, MEGABYTE).await;
            assert!(matches!(how, Err(Error::DiskFull)), "{how:?}");
            drop(session);
            let session = disk.open(&id, Open::Take).await.unwrap();
            assert_eq!(session.resumed().unwrap().files[0].stored, written as u64);
            assert_eq!(commit(session, "whole").await, written as u64);
        });
    }
}

#[test]
fn a_checkpoint_that_finds_no_room_leaves_the_one_before_and_works_again_with_room() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let Some(_mounted) = Tmpfs::mount(dir.path(), "size=16m") else {
            return;
        };
        let disk = open(dir.path(), durability);
        let id = UploadId::random();
        block_on(async {
            let mut session = begin(&disk, &id, None).await;
            write(&mut session, 1000).await.unwrap();
            session.checkpoint(at(1000, None)).await.unwrap();
            write(&mut session, 1000).await.unwrap();
            let filler = dir.path().join("filler");
            fill(&filler);
            // A large state needs more room than the records may have left over.
            let mut large = at(2000, None);
            large.parser = vec![7; MEGABYTE / 2];
            let how = session.checkpoint(large.clone()).await;
            assert!(matches!(how, Err(Error::DiskFull)), "{how:?}");
            let stands = disk.unfinished(&id).await.unwrap().unwrap();
            assert_eq!((stands.offset, stands.files[0].stored), (1000, 1000));

            std::fs::remove_file(filler).unwrap();
            wait_for_room(dir.path());
            assert_eq!(session.checkpoint(large).await.unwrap(), 2000);
            drop(session);
            let session = disk.open(&id, Open::Take).await.unwrap();
            assert_eq!(commit(session, "whole").await, 2000);
        });
    }
}

#[test]
fn a_first_checkpoint_that_finds_no_room_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mounted) = Tmpfs::mount(dir.path(), "size=16m") else {
        return;
    };
    let disk = open(dir.path(), Durability::Sync);
    let id = UploadId::random();
    block_on(async {
        let mut session = begin(&disk, &id, None).await;
        fill(&dir.path().join("filler"));
        let mut large = at(0, None);
        large.parser = vec![7; MEGABYTE / 2];
        let how = session.checkpoint(large).await;
        assert!(matches!(how, Err(Error::DiskFull)), "{how:?}");
    });
    assert_eq!(temporary(dir.path()), [""; 0]);
    assert_eq!(block_on(disk.unfinished(&id)).unwrap(), None);
}

/// Uses up all room there is.
fn fill(filler: &Path) {
    let mut file = std::fs::File::create(filler).unwrap();
    for size in [MEGABYTE, 4096] {
        for _ in 0..10_000 {
            if std::io::Write::write_all(&mut file, &vec![1; size]).is_err() {
                break;
            }
        }
    }
}

#[test]
fn room_kept_ahead_is_given_back_while_an_upload_rests_and_when_its_session_goes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    let (id, length) = (UploadId::random(), 8 << 20);
    block_on(async {
        let mut session = begin(&disk, &id, Some(length)).await;
        write(&mut session, 5000).await.unwrap();
        session.checkpoint(at(5000, Some(length))).await.unwrap();
        let file = under_way(dir.path());
        assert!(room(&file) >= length, "the room is taken first");
        session.rest().await;
        assert!(
            room(&file) < 1 << 20,
            "{} bytes while it rests",
            room(&file)
        );
        write(&mut session, 5000).await.unwrap();
        assert!(room(&file) >= length, "it is taken again");
        drop(session);
        let after = std::fs::metadata(&file).unwrap();
        assert_eq!(after.len(), 5000, "what came after the checkpoint goes too");
        assert!(room(&file) < 64 << 10, "{} bytes after it", room(&file));

        let mut session = disk.open(&id, Open::Take).await.unwrap();
        session.expect(length - 5000).await;
        write(&mut session, 5000).await.unwrap();
        assert!(room(&file) >= length, "whoever goes on takes it again");
        assert_eq!(commit(session, "a").await, 10_000);
    });
}

#[test]
fn room_is_kept_ahead_for_what_a_request_brings_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    let (id, brings) = (UploadId::random(), 1 << 20);
    block_on(async {
        let mut session = begin(&disk, &id, None).await;
        let file = under_way(dir.path());
        for requests in 1..=2 {
            session.expect(brings).await;
            write(&mut session, 5000).await.unwrap();
            let taken = room(&file);
            let so_far = requests * brings;
            assert!((so_far..so_far + (64 << 10)).contains(&taken), "{taken}");
            write(&mut session, usize::try_from(brings).unwrap() - 5000)
                .await
                .unwrap();
            assert_eq!(room(&file), taken);
            session.rest().await;
            assert_eq!(room(&file), taken, "nothing is left to be given back");
        }
    });
}

#[test]
fn a_picture_that_rests_before_its_bytes_keeps_its_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    let (id, length) = (UploadId::random(), 300 << 10);
    block_on(async {
        let mut session = begin(&disk, &id, Some(length)).await;
        session.checkpoint(at(0, Some(length))).await.unwrap();
        session.rest().await;
        assert!(room(&under_way(dir.path())) >= length);
    });
}

#[test]
fn an_older_session_that_goes_away_cuts_nothing_of_the_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    let id = UploadId::random();
    block_on(async {
        let mut older = begin(&disk, &id, None).await;
        write(&mut older, 10).await.unwrap();
        older.checkpoint(at(10, None)).await.unwrap();
        write(&mut older, 10).await.unwrap();
        let mut newer = disk.open(&id, Open::Take).await.unwrap();
        write(&mut newer, 20).await.unwrap();
        drop(older);
        let length = std::fs::metadata(under_way(dir.path())).unwrap().len();
        assert_eq!(length, 30);
        assert_eq!(commit(newer, "a").await, 30);
    });
}

/// Leaves an upload with a checkpoint at 4 bytes, and more bytes behind it, as a crash does.
fn crash_behind_a_checkpoint(dir: &Path) -> UploadId {
    let (disk, id) = (open(dir, Durability::Close), UploadId::random());
    block_on(async {
        let mut session = begin(&disk, &id, None).await;
        write(&mut session, 4).await.unwrap();
        session.checkpoint(at(4, Some(9))).await.unwrap();
    });
    drop(disk);
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.append(true).open(under_way(dir)).unwrap();
    std::io::Write::write_all(&mut file, &[b'y'; MEGABYTE]).unwrap();
    id
}

#[test]
fn a_start_cuts_what_a_crash_has_left_behind_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let id = crash_behind_a_checkpoint(dir.path());
    let disk = open(dir.path(), Durability::Close);
    let file = under_way(dir.path());
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 4);
    assert!(room(&file) <= 64 << 10);
    let session = block_on(disk.open(&id, Open::Take)).unwrap();
    assert_eq!(block_on(commit(session, "a")), 4);
}

#[test]
fn an_unfinished_upload_whose_bytes_are_gone_is_dropped_at_start_and_one_without_bytes_is_not() {
    for (keep, there) in [(None, false), (Some(3), false), (Some(4), true)] {
        let dir = tempfile::tempdir().unwrap();
        let id = crash_behind_a_checkpoint(dir.path());
        let file = under_way(dir.path());
        match keep {
            None => std::fs::remove_file(&file).unwrap(),
            Some(bytes) => std::fs::write(&file, vec![b'x'; bytes]).unwrap(),
        }
        let disk = open(dir.path(), Durability::Close);
        let told = block_on(disk.unfinished(&id)).unwrap();
        assert_eq!(told.is_some(), there, "{keep:?}");
        let listed = block_on(disk.list_unfinished(None, 10)).unwrap();
        assert_eq!(listed.len(), usize::from(there));
        assert_eq!(temporary(dir.path()).len(), usize::from(there));
    }
    let dir = tempfile::tempdir().unwrap();
    let (disk, id) = (open(dir.path(), Durability::Close), UploadId::random());
    block_on(async {
        let mut session = begin(&disk, &id, None).await;
        session.checkpoint(at(0, None)).await.unwrap();
    });
    drop(disk);
    std::fs::remove_file(under_way(dir.path())).unwrap();
    let disk = open(dir.path(), Durability::Close);
    block_on(async {
        let mut session = disk.open(&id, Open::Take).await.unwrap();
        write(&mut session, 7).await.unwrap();
        assert_eq!(commit(session, "a").await, 7);
    });
}

#[test]
fn a_commit_that_finds_no_room_for_a_folder_leaves_the_checkpoint_and_what_it_speaks_of() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let Some(_mounted) = Tmpfs::mount(dir.path(), "size=16m,nr_inodes=64") else {
            return;
        };
        let (disk, id) = (open(dir.path(), durability), UploadId::random());
        block_on(async {
            let mut session = begin(&disk, &id, None).await;
            write(&mut session, 7).await.unwrap();
            session.checkpoint(at(7, Some(7))).await.unwrap();
            let fillers = || (0..64).map(|n| dir.path().join(format!("filler {n}")));
            let made = fillers().filter(|path| std::fs::File::create(path).is_ok());
            assert!(made.count() < 64, "there were files left to be made");
            let files = vec![place("dishes/paella")];
            let how = session.commit(files, OnConflict::Rename).await;
            assert!(matches!(how, Err(Error::DiskFull)), "{how:?}");
            assert_eq!(disk.unfinished(&id).await.unwrap().unwrap().offset, 7);
            assert!(disk.stored(&id).await.unwrap().is_none());

            fillers().for_each(|path| drop(std::fs::remove_file(path)));
            let session = disk.open(&id, Open::Take).await.unwrap();
            assert_eq!(commit(session, "dishes/paella").await, 7);
        });
    }
}

#[test]
fn an_upload_whose_bytes_went_while_we_ran_is_not_there_for_whoever_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let id = crash_behind_a_checkpoint(dir.path());
    let disk = open(dir.path(), Durability::Close);
    std::fs::remove_file(under_way(dir.path())).unwrap();
    let taken = block_on(disk.open(&id, Open::Take)).map(|_| ());
    assert!(matches!(taken, Err(Error::NotFound)), "{taken:?}");
    assert_eq!(block_on(disk.unfinished(&id)).unwrap(), None);
}

/// Changes the only checkpoint's row by hand.
fn edit(dir: &Path, edit: impl FnOnce(&str) -> String) {
    let database = redb::Database::open(dir.join(".dumbwaiter/records.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let rows = redb::TableDefinition::<[u8; 16], &[u8]>::new("checkpoints");
    {
        let mut rows = transaction.open_table(rows).unwrap();
        let (key, row) = redb::ReadableTable::first(&rows)
            .unwrap()
            .map(|(key, row)| (key.value(), row.value().to_vec()))
            .unwrap();
        let row = edit(std::str::from_utf8(&row).unwrap());
        rows.insert(key, row.as_bytes()).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn a_checkpoint_of_a_layout_not_known_here_is_refused_and_stays_with_its_bytes() {
    let newer = |row: &str| row.replace("\"version\":1", "\"version\":3");
    let other = |_: &str| "{\"version\":3,\"all\":\"other\"}".to_owned();
    let torn = |row: &str| row[..row.len() / 2].to_owned();
    let unknown = |row: &str| row.replace("\"tus\"", "\"pigeon\"");
    for change in [newer, other, torn, unknown] as [fn(&str) -> String; 4] {
        let dir = tempfile::tempdir().unwrap();
        let id = crash_behind_a_checkpoint(dir.path());
        edit(dir.path(), |row| {
            assert_ne!(change(row), row);
            change(row)
        });
        // A sweep at start takes what nobody needs, and nothing of it.
        std::fs::write(dir.path().join(".dumbwaiter/tmp/stray"), "x").unwrap();
        for _ in 0..2 {
            let disk = open(dir.path(), Durability::Sync);
            let left = std::fs::metadata(under_way(dir.path())).unwrap();
            assert_eq!(left.len(), 4 + MEGABYTE as u64, "it is not even cut");
            block_on(refused(&disk, &id));
        }
    }
}

/// In every way in which somebody may want it; others are not harmed.
async fn refused(disk: &Disk, id: &UploadId) {
    let told = disk.unfinished(id).await;
    assert!(matches!(told, Err(Error::NotResumable { .. })), "{told:?}");
    let read = disk.read_unfinished(id, 0).await.map(|_| ());
    assert!(matches!(read, Err(Error::NotResumable { .. })), "{read:?}");
    let taken = disk.open(id, Open::Take).await.map(|_| ());
    assert!(
        matches!(taken, Err(Error::NotResumable { .. })),
        "{taken:?}"
    );
    let mut same = disk.open(id, Open::Create).await.unwrap();
    let saved = same.checkpoint(Checkpoint::at(0, Vec::new())).await;
    assert!(matches!(saved, Err(Error::Superseded)), "{saved:?}");
    assert_eq!(disk.list_unfinished(None, 1).await.unwrap(), []);
    conformance::what_is_unfinished_is_listed(disk).await;
}

#[test]
fn a_checkpoint_from_before_layouts_had_numbers_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let id = crash_behind_a_checkpoint(dir.path());
    edit(dir.path(), |row| {
        let old = row.replace("\"version\":1,", "");
        assert_ne!(old, row);
        old
    });
    let disk = open(dir.path(), Durability::Close);
    let session = block_on(disk.open(&id, Open::Take)).unwrap();
    assert_eq!(block_on(commit(session, "a")), 4);
    assert_eq!(block_on(content(&disk, &id, 0)).as_deref(), Some("xxxx"));
}

/// Counts syncs.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl SyncLedger for Counted {
    fn synced(&self, _: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counted {
    /// Since it was asked last.
    fn syncs(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn what_each_step_of_a_resumable_upload_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let counted = Arc::new(Counted::default());
    let mut options = Disk::options();
    options.ledger = Some(Arc::clone(&counted) as Arc<dyn SyncLedger>);
    let disk = Disk::open_with(dir.path(), options).unwrap();
    let id = UploadId::random();
    counted.syncs();
    block_on(async {
        let mut session = begin(&disk, &id, None).await;
        session.checkpoint(at(0, None)).await.unwrap();
        assert_eq!(counted.syncs(), 1, "the first checkpoint: records");
        write(&mut session, 10).await.unwrap();
        session.checkpoint(at(10, None)).await.unwrap();
        assert_eq!(counted.syncs(), 3, "with bytes: data, name, records");
        write(&mut session, 10).await.unwrap();
        session.checkpoint(at(20, None)).await.unwrap();
        assert_eq!(counted.syncs(), 2, "each further one: data, records");
        session.checkpoint(at(20, None)).await.unwrap();
        assert_eq!(counted.syncs(), 1, "without new bytes: records");
        drop(session);
        assert_eq!(counted.syncs(), 0, "to let go of it: nothing");
        let mut session = disk.open(&id, Open::Take).await.unwrap();
        assert_eq!(counted.syncs(), 1, "to take it: records");
        write(&mut session, 10).await.unwrap();
        commit(session, "a").await;
        assert_eq!(counted.syncs(), 3, "the end: data, record, folder");
    });
}
