//! `kill -9` while files are kept one by one: what was acknowledged is there, and no file is visible that nobody knows of.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use dumbwaiter::UploadId;
use dumbwaiter::name::{OnConflict, SafePath};
use dumbwaiter::store::{Disk, Durability, Open, Placed, Store as _};
use dumbwaiter::upload::{FileFacts, FileHead};

use crate::support::killed::{ready, run_and_kill, say, told};
use crate::support::{eventually, files};

/// Names the folder in which [`keeps_until_killed`] works.
const CHILD: &str = "DUMBWAITER_TEST_KEEPS";
const FILES: usize = 3;

fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

fn open(dir: &Path, durability: Durability) -> Disk {
    let open = || {
        let mut options = Disk::options();
        options.durability = durability;
        Disk::open_with(dir, options)
    };
    // A process that another test starts may have the lock's descriptor for a moment.
    eventually(open, Result::is_ok).unwrap()
}

#[test]
fn a_kill_while_files_are_kept_one_by_one_loses_none_and_leaves_none_unknown() {
    let mut acknowledged = 0;
    for round in 0..30_usize {
        let durability = [Durability::Close, Durability::Sync][round % 2];
        let dir = tempfile::tempdir().unwrap();
        let words = kept_until_killed(dir.path(), durability);
        acknowledged += words.len();
        let disk = open(dir.path(), durability);
        block_on(check(&disk, dir.path(), &words));
        let left = files(&dir.path().join(".dumbwaiter/tmp"));
        assert_eq!(left, [""; 0]);
    }
    assert!(
        acknowledged > 60,
        "too few to mean anything: {acknowledged}"
    );
}

/// What a process acknowledged that kept files for a random while.
fn kept_until_killed(dir: &Path, durability: Durability) -> Vec<(UploadId, usize)> {
    let lines = run_and_kill(("kept::keeps_until_killed", CHILD), durability, dir);
    let words = |line: &String| {
        let (id, number) = line.split_once(' ').unwrap();
        (id.parse().unwrap(), number.parse().unwrap())
    };
    lines.iter().map(words).collect()
}

async fn check(disk: &Disk, dir: &Path, words: &[(UploadId, usize)]) {
    for (id, number) in words {
        let mut reader = disk.read(id, *number).await.unwrap().unwrap();
        let content = reader.read_at(0, 1000).await.unwrap();
        assert_eq!(content, format!("{id} {number}"));
    }
    let mut by_id: HashMap<UploadId, usize> = HashMap::new();
    for name in files(dir) {
        let content = std::fs::read_to_string(dir.join(&name)).unwrap();
        let (id, _) = content.split_once(' ').expect("a whole file");
        *by_id.entry(id.parse().unwrap()).or_default() += 1;
    }
    for (id, visible) in by_id {
        let stored = disk.stored(&id).await.unwrap();
        assert_eq!(stored.map(|files| files.len()), Some(visible), "{id:?}");
    }
}

/// The process that the test above starts and kills; by itself it does nothing.
#[test]
fn keeps_until_killed() {
    let Some((durability, dir)) = told(CHILD) else {
        return;
    };
    let disk = open(&dir, durability);
    ready();
    block_on(async {
        tokio::join!(
            keep_for_ever(&disk, 0),
            keep_for_ever(&disk, 1),
            keep_for_ever(&disk, 2)
        )
    });
}

async fn keep_for_ever(disk: &Disk, task: usize) {
    for n in task.. {
        let id = UploadId::random();
        let mut session = disk.open(&id, Open::Create).await.unwrap();
        for number in 0..FILES {
            session
                .begin_file(&FileHead::default(), None)
                .await
                .unwrap();
            let content = Bytes::from(format!("{id} {number}"));
            session.write(&mut vec![content]).await.unwrap();
        }
        // One file of every other upload goes.
        for number in 0..FILES - n % 2 {
            let name = format!("{}/{number}", id.watch());
            let how = [OnConflict::Rename, OnConflict::Replace, OnConflict::Reject][n % 3];
            let file = Placed {
                place: SafePath::parse(if n % 3 == 0 { "same" } else { &name }).unwrap(),
                facts: FileFacts::default(),
            };
            session.keep(number, file, how).await.unwrap();
            say(&format!("{id} {number}"));
        }
    }
}
