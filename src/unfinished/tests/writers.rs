//! Several at one upload: the newest wins, and who only looks waits for nobody long.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::faulty::Faulty;
use super::rig::{Given, Rig, append, line, until, whole};
use crate::progress::State;
use crate::unfinished::ResumeOptions;

const LONG: Duration = Duration::from_secs(3600);

fn patience(patience: Duration) -> Given {
    Given {
        options: ResumeOptions {
            patience,
            ..ResumeOptions::default()
        },
        ..Given::default()
    }
}

#[tokio::test]
async fn a_newer_request_gets_the_upload_where_the_older_one_has_left_it() {
    let (rig, memory) = Rig::memory_with(patience(LONG));
    let id = rig.create(Some(8)).await.id;
    let older = rig.begin(&id, 0, "abcd").await;
    // It knows no better; where the upload stands it is told as soon as the older one has let go.
    let error = rig.send(&id, 0, "abcdefgh").await.unwrap_err();
    assert_eq!(error.to_string(), "offset 0 is not the kept 4");
    assert_eq!(older.answer().await.unwrap_err().code(), "superseded");
    assert_eq!(rig.state(&id), State::Interrupted);
    assert!(rig.send(&id, 4, "efgh").await.unwrap().complete);
    assert_eq!(memory.bytes("dish").unwrap(), "abcdefgh");
}

#[tokio::test]
async fn a_request_that_does_not_fit_or_is_dead_disturbs_nobody() {
    let (rig, memory) = Rig::memory_with(patience(LONG));
    let id = rig.create(Some(8)).await.id;
    rig.send(&id, 0, "ab").await.unwrap();
    let writes = rig.begin(&id, 2, "cd").await;
    for (offset, bytes, code) in [
        (0, "abcdefgh", "offset_mismatch"),
        (4, "efgh", "offset_mismatch"),
        (2, "cdefghi", "length_mismatch"),
    ] {
        let error = rig.send(&id, offset, bytes).await.unwrap_err();
        assert_eq!(error.code(), code);
    }
    // Its client has gone already, whatever it has sent before.
    for bytes in ["", "cd"] {
        let (dead, body) = line();
        dead.send(bytes);
        dead.cut();
        let error = rig.unfinished.append(&id, append(2, body)).await;
        assert_eq!(error.unwrap_err().code(), "client_gone");
    }
    writes.line.send("efgh");
    assert!(writes.end().await.unwrap().complete);
    assert_eq!(memory.bytes("dish").unwrap(), "abcdefgh");
}

#[tokio::test]
async fn what_a_dead_line_has_brought_is_kept_where_nobody_else_writes() {
    let (rig, _) = Rig::memory_with(patience(LONG));
    let id = rig.create(Some(8)).await.id;
    let (dead, body) = line();
    dead.send("ab");
    dead.cut();
    let error = rig.unfinished.append(&id, append(0, body)).await;
    assert_eq!(error.unwrap_err().code(), "client_gone");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 2);
}

#[tokio::test]
async fn who_asks_how_far_it_is_has_the_older_request_let_go() {
    let (rig, _) = Rig::memory_with(patience(LONG));
    let id = rig.create(Some(8)).await.id;
    let older = rig.begin(&id, 0, "abcd").await;
    assert_eq!(rig.unfinished.settle(&id).await.unwrap().offset, 4);
    assert_eq!(older.answer().await.unwrap_err().code(), "superseded");
}

#[tokio::test]
async fn who_only_looks_changes_nothing() {
    let (rig, _) = Rig::memory_with(patience(LONG));
    let id = rig.create(Some(8)).await.id;
    let sending = rig.begin(&id, 0, "abcd").await;
    for _ in 0..100 {
        assert_eq!(rig.unfinished.look(&id).unwrap().offset, 0);
        assert_eq!(rig.state(&id), State::Uploading);
    }
    sending.line.send("efgh");
    assert!(sending.end().await.unwrap().complete);
}

#[tokio::test]
async fn a_writer_that_hangs_loses_the_upload_and_changes_nothing_when_it_wakes() {
    let faulty = Faulty::default();
    let rig = Rig::start(faulty.clone(), patience(Duration::ZERO));
    let id = rig.create(Some(8)).await.id;
    rig.send(&id, 0, "ab").await.unwrap();
    faulty.faults.hang.store(true, Ordering::SeqCst);
    let hanging = rig.begin(&id, 2, "XX").await;
    until(|| faulty.faults.hangs.load(Ordering::SeqCst)).await;
    assert_eq!(rig.unfinished.settle(&id).await.unwrap().offset, 2);
    assert_eq!(rig.send(&id, 2, "cd").await.unwrap().offset, 4);
    faulty.faults.go.notify_one();
    assert_eq!(hanging.answer().await.unwrap_err().code(), "superseded");
    assert_eq!(rig.state(&id), State::Uploading);
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4);
    assert!(rig.send(&id, 4, "efgh").await.unwrap().complete);
    assert_eq!(faulty.memory.bytes("dish").unwrap(), "abcdefgh");
    assert_eq!(rig.unfinished.held(), (0, 0));
}

#[tokio::test]
async fn a_writer_whose_disk_is_slow_does_not_send_the_newer_one_away() {
    let faulty = Faulty::default();
    let rig = Rig::start(faulty.clone(), patience(Duration::ZERO));
    let id = rig.create(Some(8)).await.id;
    let (written, slow) = std::sync::mpsc::channel();
    *faulty.faults.slow.lock().unwrap() = Some(slow);
    let older = rig.begin(&id, 0, "XXXX").await;
    until(|| faulty.faults.hangs.load(Ordering::SeqCst)).await;
    let newer = rig.begin(&id, 0, "abcde").await;
    drop(written);
    assert_eq!(older.answer().await.unwrap_err().code(), "superseded");
    newer.line.send("fgh");
    assert!(newer.end().await.unwrap().complete);
    assert_eq!(faulty.memory.bytes("dish").unwrap(), "abcdefgh");
}

#[tokio::test]
async fn an_older_writer_that_was_passed_over_stores_nothing_behind_the_newer_one() {
    let faulty = Faulty::default();
    let rig = Rig::start(faulty.clone(), patience(Duration::ZERO));
    let id = rig.create(Some(4)).await.id;
    let (written, slow) = std::sync::mpsc::channel();
    *faulty.faults.slow.lock().unwrap() = Some(slow);
    let older = rig.begin(&id, 0, "abcd").await;
    let hangs = || faulty.faults.hangs.swap(false, Ordering::SeqCst);
    until(hangs).await;
    faulty.faults.hang_open.store(true, Ordering::SeqCst);
    let unfinished = rig.unfinished.clone();
    let newer = tokio::spawn(async move { unfinished.append(&id, append(0, whole("abcd"))).await });
    until(hangs).await;
    drop(written);
    assert_eq!(older.end().await.unwrap_err().code(), "superseded");
    faulty.faults.go.notify_one();
    let error = newer.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "offset 0 is not the kept 4");
    // Nobody waits for that for longer than patience.
    assert_eq!(rig.unfinished.settle(&id).await.unwrap().offset, 4);
    until(|| rig.state(&id) == State::Done).await;
}

#[tokio::test]
async fn what_is_being_stored_is_not_taken_away() {
    let faulty = Faulty::default();
    let rig = Rig::start(faulty.clone(), patience(Duration::ZERO));
    let id = rig.create(Some(4)).await.id;
    rig.send(&id, 0, "ab").await.unwrap();
    let last = rig.begin(&id, 2, "cd").await;
    faulty.faults.hang.store(true, Ordering::SeqCst);
    let stored = tokio::spawn(last.end());
    until(|| faulty.faults.hangs.load(Ordering::SeqCst)).await;
    // Asked meanwhile, it says how far it is for sure.
    assert_eq!(rig.unfinished.settle(&id).await.unwrap().offset, 2);
    let unfinished = rig.unfinished.clone();
    let mut again = Box::pin(async move { unfinished.append(&id, append(2, whole("cd"))).await });
    let waits = tokio::time::timeout(Duration::from_millis(20), &mut again);
    assert!(waits.await.is_err(), "it waits for what becomes of it");
    faulty.faults.go.notify_one();
    assert!(stored.await.unwrap().unwrap().complete);
    assert_eq!(
        again.await.unwrap_err().to_string(),
        "offset 2 is not the kept 4"
    );
    assert_eq!(rig.state(&id), State::Done);
}

#[tokio::test]
async fn open_uploads_are_bounded_and_the_others_are_taken_up_again() {
    let faulty = Faulty::default();
    let given = Given {
        options: ResumeOptions {
            max_parked: 2,
            ..ResumeOptions::default()
        },
        ..Given::default()
    };
    let rig = Rig::start(faulty.clone(), given);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(rig.create(Some(2)).await.id);
    }
    let taken = || faulty.faults.taken.load(Ordering::SeqCst);
    for id in &ids[3..] {
        rig.send(id, 0, "a").await.unwrap();
    }
    assert_eq!(taken(), 0, "the last two were open");
    for (count, id) in ids[..3].iter().enumerate() {
        rig.send(id, 0, "ab").await.unwrap();
        assert_eq!(taken(), count + 1);
    }
    assert!(rig.send(&ids[4], 1, "b").await.unwrap().complete);
    assert_eq!(taken(), 3);
}

#[tokio::test]
async fn an_upload_that_is_begun_and_ended_by_the_next_request_needs_one_checkpoint() {
    let faulty = Faulty::default();
    let rig = Rig::start(faulty.clone(), Given::default());
    let id = rig.create(Some(4)).await.id;
    assert!(rig.send(&id, 0, "abcd").await.unwrap().complete);
    assert_eq!(faulty.faults.checkpoints.load(Ordering::SeqCst), 1);
    assert_eq!(faulty.faults.taken.load(Ordering::SeqCst), 0);
}
