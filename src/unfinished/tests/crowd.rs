//! Several clients at one upload at the same time, none of which knows of the others, and a server without patience:
//! whoever comes takes the upload from whoever has it, in the middle of whatever that one does.
//!
//! All of them send the same file. So whichever of their bytes are taken, what is finished must be that file; and what
//! one of them has been told is there must be there for everybody who asks from then on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::rig::{Given, Line, Rig, append, line, whole};
use crate::error::Error;
use crate::store::{Disk, Durability, Memory};
use crate::unfinished::{ResumeOptions, Status, Unfinished};
use crate::upload::UploadId;

const LENGTH: u64 = 100;

/// What one client does: it asks where the upload stands, goes on there with these pieces, and ends so.
#[derive(Clone, Debug)]
struct Visit {
    pieces: Vec<u8>,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// As it should.
    Well,
    Cut,
    /// The line is silent from then on, and the client does something else.
    Silent,
    /// It only asks.
    Asks,
    /// It ends the upload.
    Terminates,
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let end = prop_oneof![
        8 => Just(End::Well),
        4 => Just(End::Cut),
        4 => Just(End::Silent),
        4 => Just(End::Asks),
        1 => Just(End::Terminates),
    ];
    let visit = (prop::collection::vec(0..12_u8, 0..4), end);
    prop::collection::vec(visit.prop_map(|(pieces, end)| Visit { pieces, end }), 0..8)
}

fn file(range: std::ops::Range<u64>) -> Vec<u8> {
    range.map(|at| (at * 37 % 251) as u8).collect()
}

/// What everybody knows of the upload.
struct Crowd {
    unfinished: Unfinished,
    id: UploadId,
    /// How much of it somebody has been told is there.
    told: AtomicU64,
    /// Somebody has been told that it is ended, or that it is not there.
    ended: AtomicBool,
    missed: AtomicBool,
    silent: Mutex<Vec<(Line, JoinHandle<()>)>>,
}

impl Crowd {
    /// Waits for an answer that tells where the upload stands, and holds it to what had been told when it was asked.
    async fn hear(&self, asked: impl Future<Output = Result<Status, Error>>) -> Option<Status> {
        let told = self.told.load(Ordering::SeqCst);
        let ended = self.ended.load(Ordering::SeqCst);
        let answer = asked.await;
        let offset = match &answer {
            Ok(status) => status.offset,
            Err(Error::OffsetMismatch { expected, .. }) => *expected,
            Err(error) => {
                self.excuse(error);
                return None;
            }
        };
        assert!(!ended, "{answer:?} of an upload that has been ended");
        assert!(offset >= told, "{offset}, and {told} had been told");
        self.told.fetch_max(offset, Ordering::SeqCst);
        answer.ok()
    }

    /// What the others, or its own line, may bring about for a request.
    fn excuse(&self, error: &Error) {
        match error {
            Error::Superseded | Error::ClientGone | Error::Cancelled => {}
            Error::NotFound => self.missed.store(true, Ordering::SeqCst),
            error => panic!("{error:?}"),
        }
    }

    async fn visit(self: Arc<Self>, visit: Visit) {
        if let End::Terminates = visit.end {
            return match self.unfinished.end(&self.id, Error::Cancelled).await {
                Ok(true) => self.ended.store(true, Ordering::SeqCst),
                Ok(false) => {}
                Err(error) => panic!("{error:?}"),
            };
        }
        let asked = self.unfinished.settle(&self.id);
        match self.hear(asked).await {
            Some(status) if !status.complete && !matches!(visit.end, End::Asks) => {
                self.send(status.offset, visit).await;
            }
            _ => {}
        }
    }

    async fn send(self: Arc<Self>, mut offset: u64, visit: Visit) {
        let (line, body) = line();
        let this = Arc::clone(&self);
        let answer = tokio::spawn(async move {
            let appended = this.unfinished.append(&this.id, append(offset, body));
            this.hear(appended).await;
        });
        for piece in visit.pieces {
            let end = LENGTH.min(offset + u64::from(piece));
            line.send(file(offset..end));
            offset = end;
            tokio::task::yield_now().await;
        }
        match visit.end {
            End::Silent => return self.silent.lock().unwrap().push((line, answer)),
            End::Cut => line.cut(),
            _ => drop(line),
        }
        answer.await.unwrap();
    }

    /// Everybody has gone, and one more comes and brings it to its end.
    async fn finish(&self) -> bool {
        let silent = std::mem::take(&mut *self.silent.lock().unwrap());
        for (line, answer) in silent {
            line.cut();
            answer.await.unwrap();
        }
        if self.ended.load(Ordering::SeqCst) {
            let answer = self.unfinished.settle(&self.id).await;
            assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
            return false;
        }
        assert!(!self.missed.load(Ordering::SeqCst), "it was not there");
        let status = self.hear(self.unfinished.settle(&self.id)).await.unwrap();
        if !status.complete {
            let rest = whole(file(status.offset..LENGTH));
            let appended = self
                .unfinished
                .append(&self.id, append(status.offset, rest));
            let status = self.hear(appended).await.unwrap();
            assert!(status.complete);
        }
        true
    }
}

fn given(patience: u64, max_parked: usize) -> Given {
    Given {
        options: ResumeOptions {
            checkpoint_bytes: 16,
            patience: Duration::from_millis(patience),
            max_parked,
            ..ResumeOptions::default()
        },
        ..Given::default()
    }
}

fn meet(rig: &Rig, clients: Vec<Vec<Visit>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let crowd = Arc::new(Crowd {
            unfinished: rig.unfinished.clone(),
            id: rig.create(Some(LENGTH)).await.id,
            told: AtomicU64::default(),
            ended: AtomicBool::default(),
            missed: AtomicBool::default(),
            silent: Mutex::default(),
        });
        let clients: Vec<_> = clients
            .into_iter()
            .map(|visits| {
                let crowd = Arc::clone(&crowd);
                tokio::spawn(async move {
                    for visit in visits {
                        Arc::clone(&crowd).visit(visit).await;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        let is_done = crowd.finish().await;
        let file_there = rig.store.read(&crowd.id, 0).await.unwrap();
        assert_eq!(file_there.is_some(), is_done);
        if let Some(mut reader) = file_there {
            let bytes = reader.read_at(0, 1 << 20).await.unwrap();
            assert_eq!(&bytes[..], file(0..LENGTH));
        }
        assert_eq!(rig.store.list_unfinished(None, 1).await.unwrap(), []);
        assert_eq!(rig.unfinished.held(), (0, 0));
    });
}

fn clients() -> impl Strategy<Value = Vec<Vec<Visit>>> {
    prop::collection::vec(visits(), 2..4)
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn in_memory_whoever_takes_an_upload_from_whom_it_becomes_the_file_that_all_of_them_send(
        patience in prop::sample::select(vec![0, 0, 1, 500]),
        max_parked in 0..2_usize,
        clients in clients(),
    ) {
        meet(&Rig::start(Memory::new(), given(patience, max_parked)), clients);
    }
}

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn on_disk_whoever_takes_an_upload_from_whom_it_becomes_the_file_that_all_of_them_send(
        patience in prop::sample::select(vec![0, 0, 1, 500]),
        max_parked in 0..2_usize,
        clients in clients(),
    ) {
        let dir = TempDir::new().unwrap();
        let mut options = Disk::options();
        options.durability = Durability::Close;
        let disk = Disk::open_with(dir.path(), options).unwrap();
        meet(&Rig::start(disk, given(patience, max_parked)), clients);
        let under_way = std::fs::read_dir(dir.path().join(".dumbwaiter/tmp")).unwrap();
        assert_eq!(under_way.count(), 0);
    }
}
