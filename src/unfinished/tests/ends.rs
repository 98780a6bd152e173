//! What ends how: kept and interrupted, at rest, or gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::faulty::{Faults, Faulty};
use super::rig::{Given, Rig, Sending, append, line, until};
use crate::error::Error;
use crate::handlers::{Limit, Resume, Stop, UploadHandler};
use crate::name::{OnConflict, Template};
use crate::progress::{State, Why};
use crate::receive::{Naming, PaceOptions};
use crate::unfinished::{ResumeOptions, Status};
use crate::upload::{FileHead, Upload, UploadId};

/// What is left of an upload of which `abcd` had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    /// So many bytes are kept, and the upload goes on behind them.
    Kept(u64),
    Nothing,
}

/// How it ends: what is answered, what the record says, what is left.
async fn ends(
    name: &str,
    given: Given,
    parked: usize,
    act: impl AsyncFnOnce(&Rig, &Faults, UploadId, Sending) -> Result<Status, Error>,
    (code, state, left): (&str, State, Left),
) {
    let faulty = Faulty::default();
    let given = Given {
        options: ResumeOptions {
            max_parked: parked,
            ..given.options
        },
        ..given
    };
    let rig = Rig::start(faulty.clone(), given);
    let id = rig.create(Some(10)).await.id;
    let sending = rig.begin(&id, 0, "abcd").await;
    let answer = act(&rig, &faulty.faults, id, sending).await;
    let answered = answer.as_ref().map_or_else(Error::code, |_| "ok");
    assert_eq!((answered, rig.state(&id)), (code, state), "{name}");
    let unfinished = rig.store.unfinished(&id).await.unwrap();
    let offset = rig.unfinished.look(&id).map(|status| status.offset);
    let is_left = unfinished.map_or(Left::Nothing, |checkpoint| Left::Kept(checkpoint.offset));
    assert_eq!(is_left, left, "{name}");
    match left {
        Left::Nothing => assert_eq!(offset, None, "{name}"),
        Left::Kept(kept) => {
            assert_eq!(offset, Some(kept), "{name}");
            let rest = &"abcdefghij"[kept as usize..];
            let done = rig.send(&id, kept, rest).await.unwrap();
            assert!(done.complete, "{name}");
            assert_eq!(faulty.memory.bytes("dish").unwrap(), "abcdefghij", "{name}");
        }
    }
    assert_eq!(rig.unfinished.held(), (0, 0), "{name}");
}

/// Both as it stays open between two requests and as it is taken up from the store.
macro_rules! ends {
    ($name:literal, $given:expr, $act:expr, $end:expr) => {
        for parked in [0, 256] {
            ends($name, $given, parked, $act, $end).await;
        }
    };
}

const KEPT: (State, Left) = (State::Interrupted, Left::Kept(4));
const GONE: (State, Left) = (State::Error, Left::Nothing);

fn interrupted(code: &str) -> (&str, State, Left) {
    (code, KEPT.0, KEPT.1)
}

fn gone(code: &str) -> (&str, State, Left) {
    (code, GONE.0, GONE.1)
}

#[tokio::test]
async fn what_the_line_does_leaves_all_that_has_come() {
    ends!(
        "the request ends",
        Given::default(),
        async |_, _, _, sending: Sending| sending.end().await,
        ("ok", State::Uploading, Left::Kept(4))
    );
    ends!(
        "the line is cut",
        Given::default(),
        async |_, _, _, sending: Sending| sending.cut().await,
        interrupted("client_gone")
    );
    let given = || Given {
        pace: PaceOptions {
            stall: Some(Duration::from_millis(40)),
            ..PaceOptions::NONE
        },
        ..Given::default()
    };
    ends!(
        "nothing comes",
        given(),
        async |_, _, _, sending: Sending| sending.answer().await,
        interrupted("stalled")
    );
}

#[tokio::test]
async fn bytes_beyond_the_length_are_refused_and_what_came_before_them_stays() {
    let beyond = async |_: &Rig, _: &Faults, _, sending: Sending| {
        sending.line.send("0123456");
        sending.answer().await
    };
    ends!(
        "one too many",
        Given::default(),
        beyond,
        interrupted("length_mismatch")
    );
}

#[tokio::test]
async fn a_server_that_stops_keeps_what_has_come_and_who_cancels_leaves_nothing() {
    let halt = |why| {
        async move |rig: &Rig, _: &Faults, id, sending: Sending| {
            rig.progress(&id).halt(why);
            sending.answer().await
        }
    };
    ends!(
        "stops",
        Given::default(),
        halt(Why::ShuttingDown),
        interrupted("shutting_down")
    );
    ends!(
        "cancelled",
        Given::default(),
        halt(Why::Cancelled),
        gone("cancelled")
    );
    let end = async |rig: &Rig, _: &Faults, id, sending: Sending| {
        assert!(rig.unfinished.end(&id, Error::Cancelled).await.unwrap());
        sending.answer().await
    };
    ends!(
        "ended from outside",
        Given::default(),
        end,
        gone("cancelled")
    );
}

#[tokio::test]
async fn an_upload_at_rest_is_ended_from_outside_too() {
    for parked in [0, 256] {
        let (rig, memory) = Rig::parking(parked);
        let id = rig.create(Some(10)).await.id;
        rig.send(&id, 0, "abcd").await.unwrap();
        assert!(rig.unfinished.end(&id, Error::Cancelled).await.unwrap());
        assert_eq!(rig.state(&id), State::Error);
        assert!(!rig.unfinished.end(&id, Error::Cancelled).await.unwrap());
        assert!(rig.store.unfinished(&id).await.unwrap().is_none());
        assert_eq!(
            rig.send(&id, 4, "efghij").await.unwrap_err().code(),
            "not_found"
        );
        assert!(memory.names().is_empty());
    }
}

#[tokio::test]
async fn a_full_disk_leaves_what_was_written_before() {
    let full = async |_: &Rig, faults: &Faults, _, sending: Sending| {
        faults.full.store(true, Ordering::SeqCst);
        sending.line.send("ef");
        sending.answer().await
    };
    ends!("full", Given::default(), full, interrupted("disk_full"));
    // A handler has seen what was not written, and cannot forget it: the checkpoint before counts.
    let given = || {
        let mut given = Given::default();
        given.chain.push(|| Limit::bytes(100));
        given
    };
    ends!(
        "full, with a handler",
        given(),
        full,
        ("disk_full", State::Interrupted, Left::Kept(0))
    );
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_very_end_leaves_the_last_checkpoint() {
    let full = async |rig: &Rig, faults: &Faults, id, sending: Sending| {
        sending.end().await.unwrap();
        faults.full_commit.store(true, Ordering::SeqCst);
        rig.send(&id, 4, "efghij").await
    };
    ends!(
        "full at the end",
        Given::default(),
        full,
        interrupted("disk_full")
    );
}

#[tokio::test]
async fn a_failed_sync_ends_the_upload() {
    let no_sync = async |_: &Rig, faults: &Faults, _, sending: Sending| {
        faults.no_sync.store(true, Ordering::SeqCst);
        sending.end().await
    };
    ends!(
        "no sync at the end",
        Given::default(),
        no_sync,
        gone("store_failed")
    );
    let cut = async |_: &Rig, faults: &Faults, _, sending: Sending| {
        faults.no_sync.store(true, Ordering::SeqCst);
        sending.cut().await
    };
    ends!(
        "no sync after a cut",
        Given::default(),
        cut,
        gone("store_failed")
    );
}

#[tokio::test]
async fn what_a_handler_refuses_is_gone() {
    let given = || {
        let mut given = Given::default();
        given.chain.push(|| TooLong(Limit::bytes(6)));
        given
    };
    let refused = async |_: &Rig, _: &Faults, _, sending: Sending| {
        sending.line.send("efg");
        sending.answer().await
    };
    ends!("refused", given(), refused, gone("file_too_large"));
}

/// A limit that looks at bytes alone, not at what is declared.
struct TooLong(Limit);

impl UploadHandler for TooLong {
    fn chunk(&mut self, chunk: bytes::Bytes) -> Result<bytes::Bytes, Stop> {
        self.0.chunk(chunk)
    }

    fn resume(&self) -> Resume {
        self.0.resume()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        self.0.restore(state)
    }
}

#[tokio::test]
async fn a_name_that_is_taken_ends_the_upload() {
    let given = || Given {
        naming: Naming {
            template: Template::parse("dish").unwrap(),
            on_conflict: OnConflict::Reject,
        },
        ..Given::default()
    };
    let taken = async |rig: &Rig, _: &Faults, id, sending: Sending| {
        sending.end().await.unwrap();
        let other = rig.create(Some(1)).await.id;
        rig.send(&other, 0, "x").await.unwrap();
        rig.send(&id, 4, "efghij").await
    };
    ends!("taken", given(), taken, gone("name_taken"));
}

#[tokio::test]
async fn want_of_room_leaves_what_has_come() {
    let mut store = Given::default();
    store.admission.store_bytes = Some(5);
    let mut owner = Given::default();
    owner.admission.owner_bytes = Some(5);
    let mut request = Given::default();
    request.admission.request_bytes = Some(5);
    for (given, code) in [
        (store, "store_limit"),
        (owner, "owner_limit"),
        (request, "request_too_large"),
    ] {
        let (rig, _) = Rig::memory_with(given);
        let id = rig.create(None).await.id;
        let sending = rig.begin(&id, 0, "abcd").await;
        sending.line.send("ef");
        let error = sending.answer().await.unwrap_err();
        assert_eq!((error.code(), rig.state(&id)), (code, State::Interrupted));
        assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4, "{code}");
    }
}

/// A handler that panics at its first byte, once.
struct Panics(&'static AtomicBool);

impl UploadHandler for Panics {
    fn chunk(&mut self, chunk: bytes::Bytes) -> Result<bytes::Bytes, Stop> {
        assert!(self.0.swap(true, Ordering::SeqCst), "as the test wants it");
        Ok(chunk)
    }

    fn resume(&self) -> Resume {
        Resume::Saved(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_panics_leaves_the_upload_to_the_next_request() {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    let mut given = Given::default();
    given.chain.push(|| Panics(&PANICKED));
    let (rig, memory) = Rig::memory_with(given);
    let id = rig.create(Some(4)).await.id;
    assert_eq!(
        rig.send(&id, 0, "abcd").await.unwrap_err().code(),
        "store_failed"
    );
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 0);
    assert!(rig.send(&id, 0, "abcd").await.unwrap().complete);
    assert_eq!(memory.bytes("dish").unwrap(), "abcd");
}

/// A handler that panics before its first byte.
struct PanicsAtOnce;

impl UploadHandler for PanicsAtOnce {
    fn new_file(&mut self, _: &Upload, _: &FileHead) -> Result<(), Stop> {
        panic!("as the test wants it")
    }

    fn chunk(&mut self, chunk: bytes::Bytes) -> Result<bytes::Bytes, Stop> {
        Ok(chunk)
    }

    fn resume(&self) -> Resume {
        Resume::Recompute
    }
}

#[tokio::test]
async fn an_upload_that_a_handler_did_not_let_begin_is_none() {
    let mut given = Given::default();
    given.options.expire_after = None;
    given.chain.push(|| PanicsAtOnce);
    let (rig, _) = Rig::memory_with(given);
    let error = rig.create_as(Some(4), None).await.unwrap_err();
    assert_eq!(error.code(), "store_failed");
    assert_eq!(rig.unfinished.held(), (0, 0));
}

#[tokio::test]
async fn an_upload_at_which_a_handler_panicked_counts_on() {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    let mut given = Given::default();
    given.admission.unfinished = 1;
    given.chain.push(|| Panics(&PANICKED));
    let (rig, _) = Rig::memory_with(given);
    let id = rig.create(Some(4)).await.id;
    rig.send(&id, 0, "abcd").await.unwrap_err();
    assert_eq!(rig.state(&id), State::Interrupted);
    let refused = rig.create_as(Some(4), None).await.unwrap_err();
    assert_eq!(refused.code(), "too_many_unfinished");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_upload_to_its_end() {
    let (rig, memory) = Rig::memory();
    let id = rig.create(Some(4)).await.id;
    let (line, body) = line();
    let mut waits = Box::pin(rig.unfinished.append(&id, append(0, body)));
    let gone = tokio::time::timeout(Duration::ZERO, &mut waits).await;
    assert!(gone.is_err());
    drop(waits);
    line.send("abcd");
    drop(line);
    until(|| memory.names() == ["dish"]).await;
}
