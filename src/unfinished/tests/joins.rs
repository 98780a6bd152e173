//! Uploads that are put together of others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, SystemTime};

use super::faulty::Faulty;
use super::rig::{Given, Rig, left, until};
use crate::error::Error;
use crate::handlers::{Digest, Sniff};
use crate::progress::State;
use crate::store::Memory;
use crate::unfinished::Status;
use crate::upload::{Concat, UploadId};

async fn part(rig: &Rig, bytes: &'static str) -> UploadId {
    let length = Some(bytes.len() as u64);
    let id = rig
        .create_as(length, Some(Concat::Partial))
        .await
        .unwrap()
        .id;
    if !bytes.is_empty() {
        assert!(rig.send(&id, 0, bytes).await.unwrap().complete);
    }
    id
}

async fn join(rig: &Rig, parts: &[UploadId]) -> Result<Status, Error> {
    let concat = Concat::Final {
        parts: parts.to_vec(),
        given: "final;/a /b".into(),
    };
    rig.create_as(None, Some(concat)).await
}

#[tokio::test]
async fn parts_are_put_together_in_their_order_and_may_be_used_again() {
    for parked in [0, 256] {
        let (rig, memory) = Rig::parking(parked);
        let (a, b, none) = (
            part(&rig, "abc").await,
            part(&rig, "de").await,
            part(&rig, "").await,
        );
        assert_eq!(rig.state(&a), State::Done);
        assert!(
            memory.names().is_empty(),
            "a part is never visible by itself"
        );
        let joined = join(&rig, &[b, a, none, a]).await.unwrap();
        assert_eq!(
            (joined.offset, joined.length, joined.complete),
            (8, Some(8), true)
        );
        assert_eq!(memory.bytes("dish").unwrap(), "deabcabc");
        assert_eq!(rig.state(&joined.id), State::Done);
        let after = rig.unfinished.settle(&joined.id).await.unwrap();
        assert_eq!(after.remembered.concat, joined.remembered.concat);
        assert_eq!(after.offset, 8);
        assert!(join(&rig, &[a]).await.unwrap().complete);
        assert_eq!(rig.unfinished.held(), (3, 5));
    }
}

#[tokio::test]
async fn handlers_see_the_whole_and_not_the_parts() {
    let mut given = Given::default();
    given
        .chain
        .push(|| Sniff::allow(["text/plain".parse().unwrap()]));
    given.chain.push(Digest::sha256);
    let (rig, _) = Rig::memory_with(given);
    // By itself it would be no text.
    let (a, b) = (part(&rig, "abc").await, part(&rig, "\u{0}\u{1}\u{2}").await);
    let refused = join(&rig, &[b, a]).await.unwrap_err();
    assert_eq!(refused.code(), "type_not_allowed");
    let c = part(&rig, "def").await;
    let joined = join(&rig, &[a, c]).await.unwrap();
    let facts = rig.store.stored(&joined.id).await.unwrap().unwrap();
    let digest = facts[0].digest.as_deref().unwrap();
    // As `sha256sum` has it of "abcdef".
    assert_eq!(
        digest,
        "sha256:bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721"
    );
}

#[tokio::test]
async fn a_final_upload_waits_for_its_parts_and_takes_no_bytes_itself() {
    let (rig, memory) = Rig::memory();
    let a = part(&rig, "abc").await;
    let b = rig.create_as(None, Some(Concat::Partial)).await.unwrap().id;
    let joined = join(&rig, &[a, b]).await.unwrap();
    assert_eq!(
        (joined.offset, joined.length, joined.complete),
        (0, None, false)
    );
    assert_eq!(rig.state(&joined.id), State::Starting);
    let refused = rig.send(&joined.id, 0, "x").await.unwrap_err();
    assert_eq!(refused.code(), "final_upload");
    rig.send(&b, 0, "d").await.unwrap();
    assert!(!rig.unfinished.settle(&joined.id).await.unwrap().complete);
    let mut last = super::rig::append(1, super::rig::whole("e"));
    last.length = Some(2);
    assert!(rig.unfinished.append(&b, last).await.unwrap().complete);
    until(|| memory.names() == ["dish"]).await;
    assert_eq!(memory.bytes("dish").unwrap(), "abcde");
    until(|| rig.state(&joined.id) == State::Done).await;
    let refused = rig.send(&joined.id, 5, "x").await.unwrap_err();
    assert_eq!(refused.code(), "final_upload");
}

#[tokio::test]
async fn what_is_no_part_is_not_put_together() {
    let (rig, _) = Rig::memory();
    let a = part(&rig, "abc").await;
    let usual = rig.create(Some(3)).await.id;
    let finished = rig.create(Some(0)).await.id;
    for (id, code) in [
        (usual, "bad_request"),
        (finished, "not_found"),
        (UploadId::random(), "not_found"),
    ] {
        assert_eq!(join(&rig, &[a, id]).await.unwrap_err().code(), code);
    }
    assert_eq!(rig.unfinished.held().0, 2);
}

#[tokio::test]
async fn what_waited_when_the_server_stopped_is_put_together_when_it_is_back() {
    let memory = Memory::new();
    let rig = Rig::start(memory.clone(), Given::default());
    let a = part(&rig, "abc").await;
    let b = rig
        .create_as(Some(2), Some(Concat::Partial))
        .await
        .unwrap()
        .id;
    let joined = join(&rig, &[a, b]).await.unwrap().id;
    drop(rig);
    let rig = Rig::start(memory.clone(), Given::default());
    assert_eq!(
        rig.unfinished.settle(&joined).await.unwrap().length,
        Some(5)
    );
    rig.send(&b, 0, "de").await.unwrap();
    until(|| memory.names() == ["dish"]).await;
    assert_eq!(memory.bytes("dish").unwrap(), "abcde");
}

#[tokio::test]
async fn a_part_that_somebody_waits_for_outlives_its_time() {
    let (memory, now) = (Memory::new(), SystemTime::now());
    let long_ago = now - Duration::from_secs(25 * 3600);
    let part = || Some(Concat::Partial);
    let needed = left(&memory, Some(4), long_ago, part()).await;
    let last = left(&memory, Some(5), now, part()).await;
    let concat = Concat::Final {
        parts: vec![needed, last],
        given: String::new(),
    };
    left(&memory, None, now, Some(concat)).await;
    let alone = left(&memory, Some(4), long_ago, part()).await;
    let rig = Rig::start(memory.clone(), Given::default());
    until(|| rig.unfinished.held().0 == 3).await;
    assert!(rig.unfinished.look(&alone).is_none());
    assert_eq!(rig.unfinished.look(&needed).unwrap().offset, 4);
    rig.send(&last, 4, "e").await.unwrap();
    until(|| memory.names() == ["dish"]).await;
    // It had come as far as the first part before.
    assert_eq!(memory.bytes("dish").unwrap(), "abcdabcde");
}

#[tokio::test]
async fn a_final_upload_can_be_ended_while_it_waits() {
    let (rig, _) = Rig::memory();
    let b = rig
        .create_as(Some(2), Some(Concat::Partial))
        .await
        .unwrap()
        .id;
    let joined = join(&rig, &[b]).await.unwrap().id;
    assert!(rig.unfinished.end(&joined, Error::Cancelled).await.unwrap());
    assert_eq!(rig.state(&joined), State::Error);
    rig.send(&b, 0, "de").await.unwrap();
    assert!(rig.unfinished.settle(&joined).await.is_err());
    assert_eq!(rig.unfinished.held(), (1, 2));
}

#[tokio::test]
async fn what_is_put_together_comes_with_no_request_that_could_be_too_large() {
    let mut given = Given::default();
    given.admission.request_bytes = Some(3);
    let (rig, memory) = Rig::memory_with(given);
    let (a, b) = (part(&rig, "abc").await, part(&rig, "de").await);
    assert!(join(&rig, &[a, b]).await.unwrap().complete);
    assert_eq!(memory.bytes("dish").unwrap(), "abcde");
}

#[tokio::test]
async fn a_client_that_has_parts_put_together_hears_of_it_whoever_else_sees_that_they_are_there() {
    let (rig, _) = Rig::memory();
    let (a, b) = (part(&rig, "abc").await, part(&rig, "de").await);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let shared = Arc::clone(&rig.unfinished.shared);
    let others = std::thread::spawn(move || {
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            shared.join_ready();
        }
    });
    for _ in 0..500 {
        assert!(join(&rig, &[a, b]).await.unwrap().complete);
    }
    drop(stop);
    others.join().unwrap();
}

#[tokio::test]
async fn what_waits_for_a_part_ends_with_it() {
    let (rig, _) = Rig::memory();
    let (a, b) = (
        part(&rig, "abc").await,
        rig.create_as(Some(2), Some(Concat::Partial)).await.unwrap(),
    );
    let ids = [
        join(&rig, &[a, b.id]).await.unwrap().id,
        join(&rig, &[b.id, a]).await.unwrap().id,
    ];
    let other = join(&rig, &[b.id]).await.unwrap().id;
    assert!(rig.unfinished.end(&a, Error::Cancelled).await.unwrap());
    for id in ids {
        until(|| rig.state(&id) == State::Error).await;
        assert!(rig.unfinished.look(&id).is_none());
    }
    rig.send(&b.id, 0, "de").await.unwrap();
    until(|| rig.state(&other) == State::Done).await;
}

#[tokio::test]
async fn what_lacked_a_part_when_the_server_went_ends_when_it_is_back() {
    let (memory, now) = (Memory::new(), SystemTime::now());
    let there = left(&memory, Some(4), now, Some(Concat::Partial)).await;
    let concat = Concat::Final {
        parts: vec![there, UploadId::random()],
        given: String::new(),
    };
    let joined = left(&memory, None, now, Some(concat)).await;
    let rig = Rig::start(memory.clone(), Given::default());
    until(|| rig.unfinished.held().0 == 1).await;
    assert!(rig.unfinished.look(&joined).is_none());
}

#[tokio::test]
async fn a_part_that_goes_while_it_is_read_ends_what_is_put_together() {
    let faulty = Faulty::default();
    let (rig, faults) = (Rig::start(faulty.clone(), Given::default()), &faulty.faults);
    let (a, b) = (part(&rig, "abc").await, part(&rig, "de").await);
    faults.hang.store(true, Ordering::SeqCst);
    // More of them than are read ahead.
    let mut parts = vec![a; 200];
    parts.push(b);
    let joining = join(&rig, &parts);
    let meanwhile = async {
        until(|| faults.hangs.load(Ordering::SeqCst)).await;
        assert!(rig.unfinished.end(&b, Error::Cancelled).await.unwrap());
        faults.go.notify_one();
    };
    let (joined, ()) = tokio::join!(joining, meanwhile);
    assert_eq!(joined.unwrap_err().code(), "not_found");
    until(|| rig.unfinished.held() == (1, 3)).await;
}
