//! What is there again after a restart, and what time ends.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::rig::{Given, Rig, left, until};
use crate::handlers::{Resume, Stop, UploadHandler};
use crate::progress::State;
use crate::store::{Checkpoint, Disk, Memory, Open, Store};
use crate::unfinished::ResumeOptions;
use crate::upload::{Concat, FileFacts, UploadId};

fn expire_after(time: Option<Duration>) -> Given {
    Given {
        options: ResumeOptions {
            expire_after: time,
            ..ResumeOptions::default()
        },
        ..Given::default()
    }
}

#[tokio::test]
async fn uploads_stand_where_they_stood_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Disk::open(folder.path()).unwrap();
    let rig = Rig::start(open(), Given::default());
    let begun = rig.create(Some(8)).await;
    let filled = rig.create(Some(8)).await;
    let before = rig.send(&filled.id, 0, "abcd").await.unwrap();
    drop(rig);
    // The folder's lock is let go with the last of those who have it.
    let mut disk = Disk::open(folder.path());
    for _ in 0..10_000 {
        if disk.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        disk = Disk::open(folder.path());
    }
    let rig = Rig::start(disk.unwrap(), Given::default());
    assert_eq!(rig.unfinished.held(), (2, 4));
    assert_eq!(rig.unfinished.look(&begun.id).unwrap().offset, 0);
    assert_eq!(rig.state(&begun.id), State::Starting);
    let after = rig.unfinished.look(&filled.id).unwrap();
    assert_eq!((after.offset, after.length), (4, Some(8)));
    assert_eq!(after.remembered, before.remembered);
    assert_eq!(after.expires_at, before.expires_at);
    assert_eq!(rig.state(&filled.id), State::Interrupted);
    assert!(rig.send(&filled.id, 4, "efgh").await.unwrap().complete);
    assert!(rig.send(&begun.id, 0, "abcdefgh").await.unwrap().complete);
    let stored = std::fs::read(folder.path().join("dish")).unwrap();
    assert_eq!(stored, b"abcdefgh");
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn what_was_whole_when_the_server_died_is_stored_when_it_is_back() {
    let memory = Memory::new();
    let whole = left(&memory, Some(4), SystemTime::now(), None).await;
    let rest = left(&memory, Some(5), SystemTime::now(), None).await;
    let part = left(&memory, Some(4), SystemTime::now(), Some(Concat::Partial)).await;
    let rig = Rig::start(memory.clone(), Given::default());
    until(|| memory.names() == ["dish"]).await;
    until(|| rig.unfinished.look(&whole).is_none()).await;
    assert!(rig.unfinished.settle(&whole).await.unwrap().complete);
    assert!(!rig.unfinished.settle(&rest).await.unwrap().complete);
    assert!(rig.unfinished.settle(&part).await.unwrap().complete);
    assert!(rig.tracker.by_id(&part).is_none(), "its record had ended");
}

#[tokio::test]
async fn what_is_too_old_is_gone_when_the_server_is_back_and_says_so() {
    let memory = Memory::new();
    let now = SystemTime::now();
    let old = left(&memory, Some(5), now - DAY - Duration::from_secs(5), None).await;
    let young = left(&memory, Some(5), now - DAY + Duration::from_secs(600), None).await;
    let rig = Rig::start(memory.clone(), Given::default());
    // Before the first round has come by it already.
    assert!(rig.unfinished.look(&old).is_none());
    assert_eq!(
        rig.send(&old, 4, "e").await.unwrap_err().code(),
        "not_found"
    );
    until(|| rig.unfinished.held().0 == 1).await;
    until(|| rig.state(&old) == State::Error).await;
    assert_eq!(rig.progress(&old).numbers().error.unwrap().0, "expired");
    assert!(memory.unfinished(&old).await.unwrap().is_none());
    assert!(rig.send(&young, 4, "e").await.unwrap().complete);
}

#[tokio::test]
async fn without_a_time_nothing_is_too_old() {
    let memory = Memory::new();
    let id = left(&memory, Some(5), SystemTime::now() - 1000 * DAY, None).await;
    let rig = Rig::start(memory.clone(), expire_after(None));
    let status = rig.unfinished.look(&id).unwrap();
    assert_eq!((status.offset, status.expires_at), (4, None));
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_ends_in_time_and_one_under_way_does_not() {
    let time = Duration::from_secs(1);
    let (rig, _) = Rig::memory_with(expire_after(Some(time)));
    let left = rig.create(Some(8)).await;
    let under_way = rig.create(Some(8)).await;
    let told = rig.unfinished.look(&left.id).unwrap().expires_at.unwrap();
    let sending = rig.begin(&under_way.id, 0, "abcd").await;
    until(|| rig.state(&left.id) == State::Error).await;
    assert!(
        SystemTime::now() >= told,
        "not before the time that was told"
    );
    assert_eq!(rig.progress(&left.id).numbers().error.unwrap().0, "expired");
    sending.line.send("efgh");
    assert!(sending.end().await.unwrap().complete);
}

#[tokio::test]
async fn a_checkpoint_that_does_not_say_of_what_it_is_is_left_alone() {
    let memory = Memory::new();
    let id = UploadId::random();
    let mut session = memory.open(&id, Open::Create).await.unwrap();
    session
        .checkpoint(Checkpoint::at(0, vec![0]))
        .await
        .unwrap();
    drop(session);
    let rig = Rig::start(memory.clone(), Given::default());
    assert!(rig.unfinished.look(&id).is_none());
    assert!(memory.unfinished(&id).await.unwrap().is_some());
}

/// A handler that panics at the end of its file.
struct Panics;

impl UploadHandler for Panics {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        Ok(chunk)
    }

    fn file_complete(&mut self, _: &mut FileFacts) -> Result<Bytes, Stop> {
        panic!("as the test wants it")
    }

    fn resume(&self) -> Resume {
        Resume::Recompute
    }
}

#[tokio::test]
async fn a_handler_that_panics_at_what_was_left_whole_leaves_the_others_to_their_time() {
    let mut given = expire_after(Some(Duration::from_secs(1)));
    given.options.checkpoint_bytes = 4;
    given.chain.push(|| Panics);
    let (rig, _) = Rig::memory_with(given);
    let whole = rig.create(Some(4)).await.id;
    let other = rig.create(Some(8)).await.id;
    let error = rig.send(&whole, 0, "abcd").await.unwrap_err();
    assert_eq!(error.code(), "store_failed");
    assert_eq!(rig.unfinished.look(&whole).unwrap().offset, 4);
    until(|| rig.state(&other) == State::Error).await;
    until(|| rig.unfinished.held() == (0, 0)).await;
}
