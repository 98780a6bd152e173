//! Handlers over interruptions: saved, shown the file once more, or in the way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::rig::{Given, Rig, append, whole};
use crate::error::Error;
use crate::handlers::{Algorithm, Chain, Digest, Resume, Sniff, Stop, UploadHandler};
use crate::progress::{State, Tracker, Why};
use crate::store::Memory;
use crate::unfinished::ResumeOptions;
use crate::upload::FileFacts;

fn chain(build: impl FnOnce(&mut Chain)) -> Chain {
    let mut chain = Chain::default();
    build(&mut chain);
    chain
}

fn given(parked: usize, chain: Chain) -> Given {
    Given {
        options: ResumeOptions {
            max_parked: parked,
            ..ResumeOptions::default()
        },
        chain,
        ..Given::default()
    }
}

/// Sends `abcdefghij` in three requests; gives what is known of the file.
async fn send_in_three(rig: &Rig) -> FileFacts {
    let id = rig.create(Some(10)).await.id;
    for (offset, bytes) in [(0, "abc"), (3, "defg"), (7, "hij")] {
        rig.send(&id, offset, bytes).await.unwrap();
    }
    rig.store.stored(&id).await.unwrap().unwrap().remove(0)
}

#[tokio::test]
async fn digests_are_those_of_the_whole_however_it_came() {
    let hash = Sha256::digest(b"abcdefghij");
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let blake = blake3::hash(b"abcdefghij").to_hex();
    for parked in [0, 256] {
        for (algorithm, expected) in [
            (Algorithm::Sha256, format!("sha256:{hex}")),
            (Algorithm::Blake3, format!("blake3:{blake}")),
        ] {
            let chain = chain(|chain| chain.push(move || Digest::new(algorithm)));
            let (rig, memory) = Rig::memory_with(given(parked, chain));
            let facts = send_in_three(&rig).await;
            assert_eq!(facts.digest, Some(expected), "{parked} parked");
            assert_eq!(memory.bytes("dish").unwrap(), "abcdefghij");
        }
    }
}

/// Counts what it is shown, and keeps no state.
struct Shown(Arc<AtomicUsize>);

impl UploadHandler for Shown {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        self.0.fetch_add(chunk.len(), Ordering::SeqCst);
        Ok(chunk)
    }

    fn resume(&self) -> Resume {
        Resume::Recompute
    }
}

#[tokio::test]
async fn a_handler_without_a_state_sees_the_file_once_more_and_only_after_an_interruption() {
    // Open between the requests it sees each byte once; taken up again, those before are shown once more at the end.
    for (parked, shown) in [(256, 10), (0, 10)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&seen);
        let chain = chain(|chain| chain.push(move || Shown(Arc::clone(&counts))));
        let (rig, _) = Rig::memory_with(given(parked, chain));
        send_in_three(&rig).await;
        assert_eq!(seen.load(Ordering::SeqCst), shown, "{parked} parked");
    }
}

#[tokio::test]
async fn bytes_that_a_handler_holds_back_are_not_lost() {
    for parked in [0, 256] {
        let chain = chain(|chain| {
            chain.push(|| Sniff::allow(["text/*".parse().unwrap()]));
            chain.push(Digest::sha256);
        });
        let (rig, memory) = Rig::memory_with(given(parked, chain));
        let facts = send_in_three(&rig).await;
        assert_eq!(facts.content_type.as_deref(), Some("text/plain"));
        assert_eq!(memory.bytes("dish").unwrap(), "abcdefghij");
    }
}

/// Writes every byte twice: what is stored is longer than what came.
struct Doubles;

impl UploadHandler for Doubles {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        Ok(chunk.iter().flat_map(|byte| [*byte; 2]).collect())
    }

    fn resume(&self) -> Resume {
        Resume::Saved(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn offsets_count_what_came_also_where_a_handler_changes_it() {
    for parked in [0, 256] {
        let chain = chain(|chain| chain.push(|| Doubles));
        let (rig, memory) = Rig::memory_with(given(parked, chain));
        assert_eq!(send_in_three(&rig).await.length, 20);
        assert_eq!(memory.bytes("dish").unwrap(), "aabbccddeeffgghhiijj");
    }
}

/// What is refused, when the chain is another one after a restart.
#[tokio::test]
async fn other_handlers_than_those_it_began_with_do_not_go_on_with_an_upload_and_leave_it() {
    let sha = || chain(|chain| chain.push(Digest::sha256));
    let blake = || chain(|chain| chain.push(Digest::blake3));
    let more = || {
        chain(|chain| {
            chain.push(Digest::sha256);
            chain.push(Digest::sha256);
        })
    };
    let none = Chain::default;
    for (before, after) in [
        (sha(), none()),
        (none(), sha()),
        (sha(), more()),
        (sha(), blake()),
        (blake(), sha()),
    ] {
        let memory = Memory::new();
        let rig = Rig::start(memory.clone(), given(0, before.clone()));
        let id = rig.create(Some(4)).await.id;
        rig.send(&id, 0, "ab").await.unwrap();
        drop(rig);
        let rig = Rig::start(memory.clone(), given(0, after));
        let refused = rig.send(&id, 2, "cd").await.unwrap_err();
        assert_eq!(refused.code(), "not_resumable");
        assert_eq!(rig.unfinished.look(&id).unwrap().offset, 2);
        assert_eq!(rig.state(&id), State::Interrupted);
        drop(rig);
        let rig = Rig::start(memory.clone(), given(0, before));
        assert!(rig.send(&id, 2, "cd").await.unwrap().complete);
        assert_eq!(memory.bytes("dish").unwrap(), "abcd");
    }
}

/// Saves no state.
struct Once;

impl UploadHandler for Once {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        Ok(chunk)
    }
}

#[tokio::test]
async fn where_a_handler_cannot_go_on_nothing_is_offered_and_nothing_is_begun() {
    let (rig, memory) = Rig::memory_with(given(0, chain(|chain| chain.push(|| Once))));
    assert!(rig.unfinished.offers().is_none());
    let refused = rig.create_as(Some(4), None).await.unwrap_err();
    assert_eq!(refused.code(), "not_resumable");
    assert_eq!(rig.unfinished.held(), (0, 0));
    assert!(memory.names().is_empty());
    assert_eq!(rig.tracker.all()[0].state(), State::Error);
    let (rig, _) = Rig::memory();
    assert!(rig.unfinished.offers().is_some());
}

/// Leaves out files of which a byte is `x`.
struct Skips;

impl UploadHandler for Skips {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        match chunk.contains(&b'x') {
            true => Err(Stop::SkipFile),
            false => Ok(chunk),
        }
    }

    fn resume(&self) -> Resume {
        Resume::Saved(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn an_upload_whose_file_is_left_out_goes_on_to_its_end() {
    for parked in [0, 256] {
        let chain = chain(|chain| chain.push(|| Skips));
        let (rig, memory) = Rig::memory_with(given(parked, chain));
        let id = rig.create(Some(10)).await.id;
        for (offset, bytes) in [(0, "abc"), (3, "dxfg"), (7, "hij")] {
            rig.send(&id, offset, bytes).await.unwrap();
        }
        assert_eq!(rig.state(&id), State::Done);
        assert!(memory.names().is_empty());
        assert_eq!(rig.unfinished.held(), (0, 0));
    }
}

/// Counts what it is shown, keeps no state, and has the server stop when it is shown the file once more.
struct Stops(u64, Arc<Mutex<Option<Tracker>>>);

impl UploadHandler for Stops {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        self.0 += chunk.len() as u64;
        if let Some(tracker) = self.1.lock().unwrap().take() {
            tracker.halt_all(Why::ShuttingDown);
        }
        Ok(chunk)
    }

    fn file_complete(&mut self, facts: &mut FileFacts) -> Result<Bytes, Stop> {
        facts.digest = Some(format!("{}", self.0));
        Ok(Bytes::new())
    }

    fn resume(&self) -> Resume {
        Resume::Recompute
    }
}

#[tokio::test]
async fn a_file_that_was_shown_only_in_part_once_more_is_shown_from_its_begin() {
    let stops = Arc::new(Mutex::new(None));
    let tracker = Arc::clone(&stops);
    let chain = chain(|chain| chain.push(move || Stops(0, Arc::clone(&tracker))));
    let (rig, _) = Rig::memory_with(given(1, chain));
    let many = 600 * 1024;
    let id = rig.create(Some(many + 1)).await.id;
    let bytes = Bytes::from(vec![7; usize::try_from(many).unwrap()]);
    rig.unfinished
        .append(&id, append(0, whole(bytes)))
        .await
        .unwrap();
    // Another one takes the only place among those that stay open.
    rig.create(Some(1)).await;
    *stops.lock().unwrap() = Some(rig.tracker.clone());
    let error = rig.send(&id, many, "x").await.unwrap_err();
    assert_eq!(error.code(), "shutting_down");
    assert!(rig.unfinished.settle(&id).await.unwrap().complete);
    let facts = rig.store.stored(&id).await.unwrap().unwrap().remove(0);
    assert_eq!(facts.digest, Some(format!("{}", many + 1)));
}
