//! Every store keeps its promises; what only a disk can break is below.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use dumbwaiter::name::{OnConflict, SafePath};
use dumbwaiter::store::{
    Checkpoint, Disk, Durability, FilePoint, Memory, Open, Placed, Session, Store, conformance,
};
use dumbwaiter::upload::{FileFacts, FileHead};
use dumbwaiter::{Error, UploadId};

use crate::support::eventually;
use crate::support::killed::{ready, run_and_kill, say, told};
use crate::support::tmpfs::Tmpfs;

pub(crate) const BOTH: [Durability; 2] = [Durability::Close, Durability::Sync];

pub(crate) fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

fn try_open(dir: &Path, durability: Durability) -> Result<Disk, Error> {
    let mut options = Disk::options();
    options.durability = durability;
    Disk::open_with(dir, options)
}

/// Opens a folder that nobody serves.
///
/// A program that another test starts has, between fork and exec, every open file of this process, the lock of a folder
/// just closed among them.
pub(crate) fn open(dir: &Path, durability: Durability) -> Disk {
    let opened = eventually(
        || try_open(dir, durability),
        |opened| !matches!(opened, Err(e) if is_served(e)),
    );
    opened.unwrap()
}

/// As [`open`], for a folder that cannot be served.
fn fails_to_open(dir: &Path, durability: Durability) -> String {
    let refused = eventually(|| try_open(dir, durability).unwrap_err(), |e| !is_served(e));
    causes(&refused)
}

fn is_served(e: &Error) -> bool {
    causes(e).contains("another Dumbwaiter serves this folder")
}

/// The whole chain of causes, as a log shows it.
pub(crate) fn causes(e: &Error) -> String {
    let mut text = e.to_string();
    let mut next = std::error::Error::source(e);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

pub(crate) fn place(name: &str) -> Placed {
    Placed {
        place: SafePath::from_stored(name).unwrap(),
        facts: FileFacts::default(),
    }
}

pub(crate) async fn begin(disk: &dyn Store, id: &UploadId, contents: &[&str]) -> Box<dyn Session> {
    let mut session = disk.open(id, Open::Create).await.unwrap();
    for content in contents {
        let head = FileHead::default();
        session.begin_file(&head, None).await.unwrap();
        let mut frames = vec![Bytes::copy_from_slice(content.as_bytes())];
        session.write(&mut frames).await.unwrap();
    }
    session
}

async fn upload(
    disk: &dyn Store,
    id: &UploadId,
    files: &[(&str, &str)],
    on_conflict: OnConflict,
) -> Result<Vec<FileFacts>, Error> {
    let contents: Vec<_> = files.iter().map(|file| file.1).collect();
    let session = begin(disk, id, &contents).await;
    let placed = files.iter().map(|file| place(file.0)).collect();
    session.commit(placed, on_conflict).await
}

pub(crate) async fn content(disk: &dyn Store, id: &UploadId, index: usize) -> Option<String> {
    let mut reader = disk.read(id, index).await.unwrap()?;
    let bytes = reader.read_at(0, 1 << 20).await.unwrap();
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

/// The names in a folder, without the store's own.
pub(crate) fn visible(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".dumbwaiter")
        .collect();
    names.sort();
    names
}

pub(crate) fn temporary(dir: &Path) -> Vec<String> {
    visible(&dir.join(".dumbwaiter/tmp"))
}

#[test]
fn memory_keeps_every_promise() {
    block_on(conformance::all(&Memory::new()));
}

#[test]
fn disk_keeps_every_promise_at_both_durabilities() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), durability);
        block_on(conformance::all(&disk));
        assert_eq!(temporary(dir.path()), [""; 0], "{durability:?}");
    }
}

#[test]
fn a_removed_upload_stays_away_over_a_restart_and_a_strangers_file_stays_there() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), durability);
        let id = UploadId::random();
        block_on(async {
            let files = [("mine", "x"), ("theirs", "y")];
            upload(&disk, &id, &files, OnConflict::Reject)
                .await
                .unwrap();
            std::fs::remove_file(dir.path().join("theirs")).unwrap();
            std::fs::write(dir.path().join("theirs"), "put there by hand").unwrap();
            assert!(disk.remove(&id).await.unwrap());
        });
        drop(disk);
        let disk = open(dir.path(), durability);
        assert_eq!(block_on(disk.stored(&id)).unwrap(), None);
        assert!(!dir.path().join("mine").exists());
        let theirs = std::fs::read_to_string(dir.path().join("theirs")).unwrap();
        assert_eq!(theirs, "put there by hand");
    }
}

#[test]
fn finished_and_unfinished_uploads_are_there_after_a_restart() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let (done, half, lost) = (UploadId::random(), UploadId::random(), UploadId::random());
        let disk = open(dir.path(), durability);
        block_on(async {
            let files = [("a/one", "1"), ("two", "2")];
            upload(&disk, &done, &files, OnConflict::Rename)
                .await
                .unwrap();
            let mut session = begin(&disk, &half, &["half"]).await;
            let mut checkpoint = Checkpoint::at(9, vec![1, 2, 3]);
            checkpoint.files.push(FilePoint::default());
            session.checkpoint(checkpoint).await.unwrap();
            let mut more = vec![Bytes::from_static(b" and more")];
            session.write(&mut more).await.unwrap();
            drop(begin(&disk, &lost, &["lost"]).await);
        });
        drop(disk);

        let disk = open(dir.path(), durability);
        block_on(async {
            assert_eq!(content(&disk, &done, 0).await.as_deref(), Some("1"));
            assert_eq!(content(&disk, &done, 1).await.as_deref(), Some("2"));
            let names = disk.stored(&done).await.unwrap().unwrap();
            assert_eq!(names[0].name.as_deref(), Some("a/one"));
            let session = disk.open(&half, Open::Take).await.unwrap();
            let resumed = session.resumed().unwrap();
            assert_eq!((resumed.offset, &resumed.parser[..]), (9, &[1, 2, 3][..]));
            let committed = session
                .commit(vec![place("half")], OnConflict::Reject)
                .await;
            assert_eq!(committed.unwrap()[0].length, 4);
        });
        assert_eq!(visible(dir.path()), ["a", "half", "two"]);
        assert_eq!(temporary(dir.path()), [""; 0]);
    }
}

#[test]
fn a_folder_is_served_by_one_disk_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    for durability in BOTH {
        let disk = open(dir.path(), durability);
        let refused = causes(&try_open(dir.path(), durability).unwrap_err());
        assert!(
            refused.contains("another Dumbwaiter serves this folder"),
            "{refused}"
        );
        assert!(refused.contains(dir.path().to_str().unwrap()), "{refused}");
        drop(disk);
    }
    open(dir.path(), Durability::Close);
}

#[test]
fn a_link_in_the_way_is_not_followed() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = open(dir.path(), Durability::Close);
    symlink(outside.path(), dir.path().join("folder")).unwrap();
    symlink(outside.path().join("new"), dir.path().join("file")).unwrap();
    std::fs::write(dir.path().join("plain"), "plain").unwrap();
    block_on(async {
        for name in ["folder/a", "folder/b/c", "plain/a", "file/a"] {
            for how in [OnConflict::Rename, OnConflict::Replace, OnConflict::Reject] {
                let id = UploadId::random();
                let e = upload(&disk, &id, &[(name, "x")], how).await.unwrap_err();
                assert!(matches!(e, Error::UnusableName { .. }), "{name}: {e:?}");
                assert!(e.to_string().contains("in the way"), "{e}");
                assert_eq!(disk.stored(&id).await.unwrap(), None);
            }
        }
        // A link where the file is to be is a taken name, or is replaced itself.
        let id = UploadId::random();
        let renamed = upload(&disk, &id, &[("file", "x")], OnConflict::Rename).await;
        assert_eq!(renamed.unwrap()[0].name.as_deref(), Some("file-1"));
        let id = UploadId::random();
        let replaced = upload(&disk, &id, &[("file", "y")], OnConflict::Replace).await;
        assert_eq!(replaced.unwrap()[0].name.as_deref(), Some("file"));
        assert_eq!(content(&disk, &id, 0).await.as_deref(), Some("y"));
        // Nor does reading follow one.
        std::fs::remove_file(dir.path().join("file")).unwrap();
        symlink("plain", dir.path().join("file")).unwrap();
        assert_eq!(content(&disk, &id, 0).await, None);
        assert_eq!(disk.stored(&id).await.unwrap(), None);
    });
    assert_eq!(visible(outside.path()), [""; 0]);
    assert_eq!(temporary(dir.path()), [""; 0]);
}

trait AwaitIt: Future + Sized {
    fn await_it(self) -> Self::Output {
        block_on(self)
    }
}
impl<F: Future> AwaitIt for F {}

#[test]
fn a_folder_under_the_wanted_name_is_never_replaced() {
    for (names, whole) in [(&["d"][..], 1), (&["new", "d"], 2)] {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), Durability::Close);
        std::fs::create_dir(dir.path().join("d")).unwrap();
        let files: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
        assert_eq!(files.len(), whole);
        let how = upload(&disk, &UploadId::random(), &files, OnConflict::Replace).await_it();
        assert!(matches!(how, Err(Error::UnusableName { .. })), "{how:?}");
        assert_eq!(visible(dir.path()), ["d"], "the others are taken back");
        assert_eq!(temporary(dir.path()), [""; 0]);
    }
}

#[test]
fn replaced_files_come_back_when_a_later_one_fails() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    block_on(async {
        let old = UploadId::random();
        upload(&disk, &old, &[("a", "old")], OnConflict::Replace)
            .await
            .unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        let files = [("a", "new"), ("d", "new")];
        let how = upload(&disk, &UploadId::random(), &files, OnConflict::Replace).await;
        how.unwrap_err();
        assert_eq!(content(&disk, &old, 0).await.as_deref(), Some("old"));
    });
    assert_eq!(temporary(dir.path()), [""; 0]);
}

#[test]
fn an_upload_is_gone_when_its_files_are_and_lives_in_a_copy_of_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let id = UploadId::random();
    let disk = open(dir.path(), Durability::Close);
    let files = [("a", "1"), ("b", "2")];
    upload(&disk, &id, &files, OnConflict::Rename)
        .await_it()
        .unwrap();
    // The app may change a file in its place.
    std::fs::OpenOptions::new()
        .append(true)
        .open(dir.path().join("a"))
        .unwrap()
        .write_all(b" and more")
        .unwrap();
    block_on(async {
        let reader = disk.read(&id, 0).await.unwrap().unwrap();
        assert_eq!(reader.facts().length, 10);
        std::fs::remove_file(dir.path().join("a")).unwrap();
        assert!(disk.read(&id, 0).await.unwrap().is_none());
        assert!(disk.stored(&id).await.unwrap().is_some());
    });
    drop(disk);

    let copy = tempfile::tempdir().unwrap();
    let how = Command::new("cp")
        .arg("-a")
        .arg(dir.path().join("."))
        .arg(copy.path())
        .status();
    assert!(how.unwrap().success());
    let disk = open(copy.path(), Durability::Close);
    block_on(async {
        assert_eq!(content(&disk, &id, 1).await.as_deref(), Some("2"));
        std::fs::remove_file(copy.path().join("b")).unwrap();
        assert!(disk.stored(&id).await.unwrap().is_none());
        std::fs::write(copy.path().join("b"), "somebody else's").unwrap();
        assert!(disk.read(&id, 1).await.unwrap().is_none());
    });
}

#[test]
fn an_id_never_gives_the_file_that_replaced_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    block_on(async {
        // Uploads of one length follow each other faster than the clock of the file system ticks.
        for round in 0..50 {
            let (old, new) = (UploadId::random(), UploadId::random());
            for (id, content) in [(&old, "old"), (&new, "new")] {
                upload(&disk, id, &[("a", content)], OnConflict::Replace)
                    .await
                    .unwrap();
            }
            assert_eq!(content(&disk, &old, 0).await, None, "round {round}");
            assert_eq!(content(&disk, &new, 0).await.as_deref(), Some("new"));
        }
    });
}

#[test]
fn nothing_is_swept_behind_a_link() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(elsewhere.path().join("diary"), "dear").unwrap();
    std::fs::create_dir(dir.path().join(".dumbwaiter")).unwrap();
    symlink(elsewhere.path(), dir.path().join(".dumbwaiter/tmp")).unwrap();
    try_open(dir.path(), Durability::Close).unwrap_err();
    assert_eq!(visible(elsewhere.path()), ["diary"]);
}

#[test]
fn room_that_was_not_needed_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    block_on(async {
        let mut session = disk.open(&UploadId::random(), Open::Create).await.unwrap();
        let (head, expect) = (FileHead::default(), Some(8 << 20));
        session.begin_file(&head, expect).await.unwrap();
        session
            .write(&mut vec![Bytes::from(vec![1; 5000])])
            .await
            .unwrap();
        let under_way = temporary(dir.path()).remove(0);
        let under_way = dir.path().join(".dumbwaiter/tmp").join(under_way);
        let before = std::fs::metadata(under_way).unwrap();
        assert!(before.blocks() * 512 >= 8 << 20, "the room is taken first");
        assert_eq!(before.len(), 5000);
        session
            .commit(vec![place("a")], OnConflict::Rename)
            .await
            .unwrap();
    });
    let after = std::fs::metadata(dir.path().join("a")).unwrap();
    assert!(
        after.blocks() * 512 <= 64 << 10,
        "{} blocks",
        after.blocks()
    );
    assert_eq!(after.len(), 5000);
}

#[test]
fn records_that_cannot_be_read_are_set_aside_with_close_and_an_error_with_sync() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join(".dumbwaiter/records.redb");
    let id = UploadId::random();
    let disk = open(dir.path(), Durability::Close);
    upload(&disk, &id, &[("a", "1")], OnConflict::Rename)
        .await_it()
        .unwrap();
    drop(disk);
    let whole = std::fs::read(&records).unwrap();
    let mut torn = whole.clone();
    torn[..512].fill(0xaa);
    for broken in [&torn[..], b"not a database", &whole[..whole.len() / 3]] {
        std::fs::write(&records, broken).unwrap();
        let e = fails_to_open(dir.path(), Durability::Sync);
        assert!(
            e.contains("cannot be read") && e.contains("move them away"),
            "{e}"
        );
        assert!(e.contains(records.to_str().unwrap()), "{e}");

        let disk = open(dir.path(), Durability::Close);
        let aside = visible(records.parent().unwrap());
        let aside: Vec<_> = aside
            .iter()
            .filter(|name| name.contains("broken"))
            .collect();
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert!(aside[0].starts_with("records.redb.broken-"), "{aside:?}");
        let aside = records.with_file_name(aside[0]);
        assert_eq!(std::fs::read(&aside).unwrap().len(), broken.len());
        std::fs::remove_file(aside).unwrap();
        assert!(disk.stored(&id).await_it().unwrap().is_none());
        assert_eq!(visible(dir.path()), ["a"], "the files stay");
        let next = UploadId::random();
        upload(&disk, &next, &[("a", "2")], OnConflict::Replace)
            .await_it()
            .unwrap();
        assert_eq!(content(&disk, &next, 0).await_it().as_deref(), Some("2"));
    }
}

#[test]
fn records_of_a_newer_layout_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join(".dumbwaiter/records.redb");
    drop(open(dir.path(), Durability::Close));
    {
        let database = redb::Database::open(&records).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta = redb::TableDefinition::<&str, u64>::new("meta");
        transaction
            .open_table(meta)
            .unwrap()
            .insert("version", 99)
            .unwrap();
        transaction.commit().unwrap();
    }
    for durability in BOTH {
        let e = fails_to_open(dir.path(), durability);
        assert!(e.contains("newer Dumbwaiter") && e.contains("99"), "{e}");
    }
    assert_eq!(visible(records.parent().unwrap()), ["records.redb", "tmp"]);
}

#[test]
fn uploads_that_replace_the_same_files_at_once_are_never_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    let names = ["x", "y", "z"];
    for _ in 0..50 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let id = UploadId::random();
                    let content = id.to_string();
                    let files = names.map(|name| (name, content.as_str()));
                    upload(&disk, &id, &files, OnConflict::Replace)
                        .await_it()
                        .unwrap();
                });
            }
        });
        let now = names.map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap());
        assert!(now[0] == now[1] && now[1] == now[2], "mixed: {now:?}");
    }
}

#[test]
fn an_older_session_that_is_just_writing_leaves_no_trace_behind_a_take_over() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Durability::Close);
    for _ in 0..50 {
        let id = UploadId::random();
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let (disk, id) = (&disk, &id);
            let older = scope.spawn(move || {
                block_on(async {
                    let mut session = begin(disk, id, &["kept"]).await;
                    let mut checkpoint = Checkpoint::at(4, Vec::new());
                    checkpoint.files.push(FilePoint::default());
                    session.checkpoint(checkpoint).await.unwrap();
                    tell.send(()).unwrap();
                    for _ in 0..100_000 {
                        let mut frames = vec![Bytes::from_static(b"old"); 100];
                        if let Err(e) = session.write(&mut frames).await {
                            return e;
                        }
                    }
                    panic!("never superseded");
                })
            });
            told.recv().unwrap();
            block_on(async {
                let mut newer = disk.open(id, Open::Take).await.unwrap();
                newer
                    .write(&mut vec![Bytes::from_static(b" new")])
                    .await
                    .unwrap();
                let place = place(&id.to_string());
                newer.commit(vec![place], OnConflict::Reject).await.unwrap();
                let now = content(disk, id, 0).await;
                let mixed = now.as_deref() != Some("kept new");
                assert!(!mixed, "{:?} bytes", now.map(|now| now.len()));
            });
            let e = older.join().unwrap();
            assert!(matches!(e, Error::Superseded), "{e:?}");
        });
    }
    assert_eq!(temporary(dir.path()), [""; 0]);
}

// === kill -9 ===

/// Names the folder in which [`commits_until_killed`] works.
const CHILD: &str = "DUMBWAITER_TEST_CHILD";
const FILES: usize = 3;

#[test]
fn a_kill_at_any_moment_leaves_all_of_an_upload_or_nothing() {
    let mut acknowledged = 0;
    for round in 0..40_usize {
        let durability = BOTH[round % 2];
        let dir = tempfile::tempdir().unwrap();
        let test = ("store::commits_until_killed", CHILD);
        let words = run_and_kill(test, durability, dir.path());
        acknowledged += words.len();
        let disk = open(dir.path(), durability);
        let points = block_on(check_words(&disk, &words));
        check_visible(dir.path());
        let left = temporary(dir.path());
        assert!(left.len() <= points, "left over: {left:?}");
        // What was begun before goes on after: the folder is a working store.
        block_on(conformance::several_files_come_back_in_order(&disk));
    }
    assert!(
        acknowledged > 40,
        "too few to mean anything: {acknowledged}"
    );
}

/// Everything that was acknowledged is there; returns how many files checkpoints may keep.
async fn check_words(disk: &Disk, words: &[String]) -> usize {
    let mut points: HashMap<UploadId, u64> = HashMap::new();
    for word in words {
        let mut word = word.split(' ');
        let (what, id) = (word.next().unwrap(), word.next().unwrap());
        let id: UploadId = id.parse().unwrap();
        match what {
            "done" => {
                points.remove(&id);
                for index in 0..FILES {
                    let expected = format!("{id} {index}");
                    assert_eq!(content(disk, &id, index).await, Some(expected));
                }
            }
            // Another upload has the names now, or nobody.
            "replaced" => {
                let stored = disk.stored(&id).await.unwrap();
                assert!(stored.is_none_or(|files| files.len() == FILES));
            }
            _ => {
                let offset = word.next().unwrap().parse().unwrap();
                points.insert(id, offset);
            }
        }
    }
    for (id, offset) in &points {
        // Its commit may have come to its end without anybody having heard of it.
        if disk.stored(id).await.unwrap().is_some() {
            continue;
        }
        let session = disk.open(id, Open::Take).await.unwrap();
        assert!(session.resumed().unwrap().offset >= *offset);
    }
    // Besides those acknowledged, each of the child's tasks may have had one checkpoint more.
    (points.len() + TASKS) * FILES
}

/// Whoever has a file under its name has them all.
fn check_visible(dir: &Path) {
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for name in visible(dir) {
        let content = std::fs::read_to_string(dir.join(&name)).unwrap();
        let (id, _) = content.split_once(' ').expect("a whole file");
        *by_id.entry(id.to_owned()).or_default() += 1;
    }
    for (id, files) in by_id {
        assert_eq!(files, FILES, "half of upload {id} is visible");
    }
}

const TASKS: usize = 4;

/// The process that [`a_kill_at_any_moment_leaves_all_of_an_upload_or_nothing`] starts and kills; by itself it does
/// nothing.
#[test]
fn commits_until_killed() {
    let Some((durability, dir)) = told(CHILD) else {
        return;
    };
    let disk = open(&dir, durability);
    ready();
    block_on(async {
        tokio::join!(
            commit_for_ever(&disk, 0),
            commit_for_ever(&disk, 1),
            commit_for_ever(&disk, 2),
            commit_for_ever(&disk, 3),
        )
    });
}

async fn commit_for_ever(disk: &Disk, task: usize) {
    for n in task.. {
        let (id, how) = (
            UploadId::random(),
            [OnConflict::Rename, OnConflict::Replace][n % 2],
        );
        let contents: Vec<_> = (0..FILES).map(|index| format!("{id} {index}")).collect();
        let contents: Vec<_> = contents.iter().map(String::as_str).collect();
        let mut session = begin(disk, &id, &contents).await;
        if n % 4 == 0 {
            let mut checkpoint = Checkpoint::at(n as u64, Vec::new());
            checkpoint.files = vec![FilePoint::default(); FILES];
            session.checkpoint(checkpoint).await.unwrap();
            say(&format!("point {id} {n}"));
        }
        // Replacing uploads all want the same three names.
        let word = if how == OnConflict::Replace {
            "replaced"
        } else {
            "done"
        };
        let stem = if how == OnConflict::Replace {
            "same"
        } else {
            "own"
        };
        let placed = (0..FILES)
            .map(|index| place(&format!("{stem}-{index}")))
            .collect();
        session.commit(placed, how).await.unwrap();
        say(&format!("{word} {id}"));
    }
}

// === a full disk ===

#[test]
fn a_full_disk_says_so_at_the_start_or_on_the_way_and_works_again_with_room() {
    for durability in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let Some(_mounted) = Tmpfs::mount(dir.path(), "size=16m") else {
            return;
        };
        let disk = open(dir.path(), durability);
        block_on(fill_and_free(&disk, dir.path()));
        drop(disk);
    }
}

async fn fill_and_free(disk: &Disk, dir: &Path) {
    let head = FileHead::default();
    let mut session = disk.open(&UploadId::random(), Open::Create).await.unwrap();
    let told = session.begin_file(&head, Some(64 << 20)).await;
    assert!(matches!(told, Err(Error::DiskFull)), "{told:?}");
    drop(session);

    // Without a declared length the writing finds out.
    let mut session = disk.open(&UploadId::random(), Open::Create).await.unwrap();
    session.begin_file(&head, None).await.unwrap();
    for size in [1 << 20, 4 << 10] {
        let some = Bytes::from(vec![1; size]);
        let how = loop {
            if let Err(e) = session.write(&mut vec![some.clone()]).await {
                break e;
            }
        };
        assert!(matches!(how, Error::DiskFull), "{how:?}");
    }

    // Nothing is left even for the records: a commit fails, or needs no room, and is never half done.
    let mut full = 0;
    for n in 0..2000 {
        let (id, name) = (UploadId::random(), format!("full-{n}"));
        let mut empty = disk.open(&id, Open::Create).await.unwrap();
        empty.begin_file(&head, None).await.unwrap();
        let how = empty.commit(vec![place(&name)], OnConflict::Reject).await;
        assert_eq!(dir.join(&name).exists(), how.is_ok(), "{how:?}");
        match how {
            Ok(_) => {}
            Err(Error::DiskFull) => full += 1,
            Err(e) => panic!("not full, but {}", causes(&e)),
        }
        if full == 3 {
            break;
        }
    }
    assert_eq!(full, 3, "the records found room after all");
    drop(session);
    assert_eq!(temporary(dir), [""; 0]);

    wait_for_room(dir);
    let id = UploadId::random();
    let again = upload(disk, &id, &[("again", "there is room")], OnConflict::Reject).await;
    again.expect("with room it works again");
    assert_eq!(
        content(disk, &id, 0).await.as_deref(),
        Some("there is room")
    );
}

/// Other tests start processes, and between fork and exec such a child has our descriptors, and with them a removed
/// file's room.
pub(crate) fn wait_for_room(dir: &Path) {
    let begun = std::time::Instant::now();
    while rustix::fs::statvfs(dir).unwrap().f_bavail < 1000 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "no room comes back"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}
