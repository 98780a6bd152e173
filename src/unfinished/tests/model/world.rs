//! A server, its uploads, and what the model knows of them.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::super::rig::{Given, Rig, append, line, until, whole};
use super::known::{End, Known, Open};
use super::steps::{At, Said, Step};
use crate::error::Error;
use crate::progress::{State, Why};
use crate::receive::{Check, Checksum};
use crate::store::{Disk, Durability, Memory};
use crate::unfinished::{Append, ResumeOptions};

/// Where the store lies that servers hand on to each other.
pub(super) enum Home {
    Memory(Memory),
    Disk(TempDir),
}

impl Home {
    pub(super) fn memory() -> Self {
        Self::Memory(Memory::new())
    }

    pub(super) fn disk() -> Self {
        Self::Disk(TempDir::new().unwrap())
    }

    fn serve(&self, max_parked: usize) -> Rig {
        let given = Given {
            options: ResumeOptions {
                // Small steps have checkpoints of their own, and no clock takes one.
                checkpoint_bytes: 16,
                checkpoint_time: Duration::from_secs(3600),
                // Everybody lets go: how far they are is known.
                patience: Duration::from_secs(60),
                max_parked,
                ..ResumeOptions::default()
            },
            ..Given::default()
        };
        match self {
            Self::Memory(memory) => Rig::start(memory.clone(), given),
            Self::Disk(dir) => {
                let mut options = Disk::options();
                options.durability = Durability::Close;
                Rig::start(Disk::open_with(dir.path(), options).unwrap(), given)
            }
        }
    }
}

pub(super) struct World {
    home: Home,
    max_parked: usize,
    rig: Rig,
    uploads: Vec<Known>,
    /// How often bytes were sent: no two times the same.
    sends: u8,
}

impl World {
    pub(super) fn start(home: Home, max_parked: usize) -> Self {
        Self {
            rig: home.serve(max_parked),
            home,
            max_parked,
            uploads: Vec::new(),
            sends: 0,
        }
    }

    pub(super) async fn take(&mut self, step: &Step) {
        match *step {
            Step::Create(length) => self.create(length.map(u64::from)).await,
            Step::Begin(upload, at, bytes) => self.begin(upload, at, bytes).await,
            Step::Send(upload, bytes) => self.send(upload, bytes).await,
            Step::End(upload) => self.end(upload).await,
            Step::Cut(upload) => self.cut(upload).await,
            Step::Append(upload, at, ref said) => self.append(upload, at, said).await,
            Step::Head(upload) => self.head(upload).await,
            Step::Terminate(upload) => self.terminate(upload, Error::Cancelled).await,
            Step::Expire(upload) => {
                // Nobody's time is over while a request brings more.
                if self
                    .uploads
                    .get(upload)
                    .is_some_and(|known| known.open.is_none())
                {
                    self.terminate(upload, Error::Expired).await;
                }
            }
            Step::Stop => self.stop().await,
            Step::Crash => self.crash().await,
        }
    }

    async fn create(&mut self, length: Option<u64>) {
        let status = self.rig.create(length).await;
        let mut known = Known {
            id: status.id,
            length,
            sent: Vec::new(),
            told: 0,
            open: None,
            end: None,
        };
        known.took(&status);
        self.uploads.push(known);
    }

    fn bytes(&mut self, count: u8) -> Vec<u8> {
        self.sends = self.sends.wrapping_add(1);
        vec![self.sends; usize::from(count)]
    }

    async fn begin(&mut self, upload: usize, at: At, count: u8) {
        let bytes = self.bytes(count);
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let offset = at.offset(known.stands());
        let refusal = known.refusal(offset, 0, None);
        let (line, body) = line();
        line.send(bytes.clone());
        let (unfinished, id) = (self.rig.unfinished.clone(), known.id);
        let answer =
            tokio::spawn(async move { unfinished.append(&id, append(offset, body)).await });
        let mut open = Open { line, answer };
        known.superseded().await;
        if let Some(code) = refusal {
            let error = open.answer.await.unwrap().unwrap_err();
            return assert_eq!(error.code(), code);
        }
        if known.end == Some(End::Done) {
            // Nothing of the body is looked at.
            return known.took(&open.answer.await.unwrap().unwrap());
        }
        if known.flows(&self.rig, &bytes, &mut open).await {
            known.open = Some(open);
        }
    }

    async fn send(&mut self, upload: usize, count: u8) {
        let bytes = self.bytes(count);
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let Some(mut open) = known.open.take() else {
            return;
        };
        open.line.send(bytes.clone());
        if known.flows(&self.rig, &bytes, &mut open).await {
            known.open = Some(open);
        }
    }

    async fn end(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        if let Some(Open { line, answer }) = known.open.take() {
            drop(line);
            known.took(&answer.await.unwrap().unwrap());
        }
    }

    async fn cut(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        if let Some(open) = known.open.take() {
            open.line.cut();
            let error = open.answer.await.unwrap().unwrap_err();
            assert_eq!(error.code(), "client_gone");
            assert_eq!(self.rig.state(&known.id), State::Interrupted);
        }
    }

    async fn append(&mut self, upload: usize, at: At, said: &Said) {
        let bytes = self.bytes(said.bytes);
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let offset = at.offset(known.stands());
        let end = offset + bytes.len() as u64;
        let length = said.ends.map(|by| end.saturating_add_signed(by));
        let is_wrong = said.check == Some(false) && known.is_open();
        let refusal = known
            .refusal(offset, bytes.len() as u64, length)
            .or(is_wrong.then_some("checksum_mismatch"));
        let append = Append {
            length,
            check: said.check.map(|right| check(&bytes, right)),
            ..append(offset, whole(bytes.clone()))
        };
        let (unfinished, id) = (self.rig.unfinished.clone(), known.id);
        let (answer, ()) = tokio::join!(unfinished.append(&id, append), known.superseded());
        match (answer, refusal) {
            (Ok(status), None) => {
                known.length = known.length.or(length);
                known.sent.extend(bytes);
                known.took(&status);
            }
            (Err(error), Some(code)) => assert_eq!(error.code(), code),
            (answer, refusal) => panic!("{answer:?}, expected {refusal:?}"),
        }
    }

    async fn head(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let (unfinished, id) = (self.rig.unfinished.clone(), known.id);
        let (answer, ()) = tokio::join!(unfinished.settle(&id), known.superseded());
        match known.end {
            Some(End::Gone) => assert_eq!(answer.unwrap_err().code(), "not_found"),
            // Whole is finished: a client would not come back for more.
            _ => known.took(&answer.unwrap()),
        }
    }

    async fn terminate(&mut self, upload: usize, why: Error) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let was_open = known.is_open();
        let ended = self.rig.unfinished.end(&known.id, why).await.unwrap();
        assert_eq!(ended, was_open);
        if let Some(open) = known.open.take() {
            let error = open.answer.await.unwrap().unwrap_err();
            assert_eq!(error.code(), "cancelled");
        }
        if ended {
            known.end = Some(End::Gone);
            assert_eq!(self.rig.state(&known.id), State::Error);
        }
    }

    /// Each request is told to come back, and what has come of it is kept.
    async fn stop(&mut self) {
        self.rig.tracker.halt_all(Why::ShuttingDown);
        for known in &mut self.uploads {
            if let Some(open) = known.open.take() {
                let error = open.answer.await.unwrap().unwrap_err();
                assert_eq!(error.code(), "shutting_down");
            }
        }
        let idle = Rig::start(Memory::new(), Given::default());
        let store = {
            let rig = std::mem::replace(&mut self.rig, idle);
            std::sync::Arc::downgrade(&rig.store)
        };
        until(|| store.strong_count() == 0).await;
        self.rig = self.home.serve(self.max_parked);
        self.ask_all().await;
    }

    /// What lies on the disk at this moment is what the next server finds.
    async fn crash(&mut self) {
        let Home::Disk(dir) = &self.home else {
            return self.stop().await;
        };
        let copy = TempDir::new().unwrap();
        copy_folder(dir.path(), copy.path());
        let home = Home::Disk(copy);
        let rig = home.serve(self.max_parked);
        let (_old_home, old) = (
            std::mem::replace(&mut self.home, home),
            std::mem::replace(&mut self.rig, rig),
        );
        for known in &mut self.uploads {
            if let Some(open) = known.open.take() {
                open.line.cut();
                let _ = open.answer.await;
            }
        }
        let store = std::sync::Arc::downgrade(&old.store);
        drop(old);
        until(|| store.strong_count() == 0).await;
        // What came behind the last checkpoints is lost.
        for known in self.uploads.iter_mut().filter(|known| known.is_open()) {
            let status = self.rig.unfinished.settle(&known.id).await.unwrap();
            known.tell(status.offset);
            known.sent.truncate(usize::try_from(status.offset).unwrap());
            known.took(&status);
        }
        self.ask_all().await;
    }

    async fn ask_all(&mut self) {
        for upload in 0..self.uploads.len() {
            self.head(upload).await;
        }
    }

    /// What holds after every step.
    pub(super) async fn check(&mut self) {
        for known in &mut self.uploads {
            match (known.end, self.rig.unfinished.look(&known.id)) {
                (None, Some(status)) => {
                    known.tell(status.offset);
                    assert_eq!(status.length, known.length);
                    let at_rest = known.open.is_none();
                    assert!(!at_rest || status.offset == known.stands());
                }
                (Some(_), None) => {}
                (end, status) => panic!("{end:?}, and {status:?}"),
            }
            known.check_record(&self.rig);
        }
        let unfinished = self.uploads.iter().filter(|known| known.is_open());
        let bytes = unfinished.clone().map(|known| known.told).sum();
        assert_eq!(self.rig.unfinished.held(), (unfinished.count(), bytes));
    }

    /// Every upload is brought to its end, and nothing but the finished files is left.
    pub(super) async fn finish(mut self) {
        for upload in 0..self.uploads.len() {
            self.head(upload).await;
            let known = &self.uploads[upload];
            if known.is_open() {
                let left = known.length.map_or(3, |length| length - known.stands());
                let said = Said {
                    bytes: u8::try_from(left).unwrap(),
                    check: Some(true),
                    ends: Some(0),
                };
                self.append(upload, At::End, &said).await;
            }
        }
        let store = &*self.rig.store;
        for known in &self.uploads {
            let file = store.read(&known.id, 0).await.unwrap();
            assert_eq!(file.is_some(), known.end == Some(End::Done));
            if let Some(mut file) = file {
                let bytes = file.read_at(0, 1 << 20).await.unwrap();
                assert_eq!(&bytes[..], known.sent);
            }
        }
        assert_eq!(store.list_unfinished(None, 1).await.unwrap(), []);
        assert_eq!(self.rig.unfinished.held(), (0, 0));
        if let Home::Disk(dir) = &self.home {
            let under_way = std::fs::read_dir(dir.path().join(".dumbwaiter/tmp")).unwrap();
            assert_eq!(under_way.count(), 0);
        }
    }
}

impl Known {
    /// An open request was asked to let go, and all that it has brought is kept.
    async fn superseded(&mut self) {
        if let Some(open) = self.open.take() {
            let error = open.answer.await.unwrap().unwrap_err();
            assert_eq!(error.code(), "superseded");
        }
    }

    /// Waits until the bytes have been taken, or until the request has been refused for what goes beyond the length.
    async fn flows(&mut self, rig: &Rig, bytes: &[u8], open: &mut Open) -> bool {
        let end = self.stands() + bytes.len() as u64;
        if self.length.is_some_and(|length| end > length) {
            let error = (&mut open.answer).await.unwrap().unwrap_err();
            assert_eq!(error.code(), "bad_request");
            return false;
        }
        let progress = rig.progress(&self.id);
        until(|| progress.received() == end || open.answer.is_finished()).await;
        assert!(!open.answer.is_finished());
        self.sent.extend(bytes);
        true
    }

    /// The record is kept for five minutes, and not over a restart.
    fn check_record(&self, rig: &Rig) {
        let Some(progress) = rig.tracker.by_id(&self.id) else {
            return assert!(!self.is_open());
        };
        let (state, numbers) = (progress.state(), progress.numbers());
        match (self.end, &self.open) {
            (None, Some(_)) => assert_eq!(state, State::Uploading),
            (None, None) => assert!(matches!(
                state,
                State::Starting | State::Uploading | State::Interrupted
            )),
            (Some(End::Done), _) => assert_eq!(state, State::Done),
            (Some(End::Gone), _) => assert_eq!(state, State::Error),
        }
        if self.end != Some(End::Gone) {
            assert_eq!(numbers.received, self.stands());
        }
    }
}

fn check(bytes: &[u8], right: bool) -> Check {
    let sum = crc32fast::hash(bytes) ^ u32::from(!right);
    let value = format!("crc32 {}", STANDARD.encode(sum.to_be_bytes()));
    Check::Given(Checksum::parse(&value).unwrap())
}

/// Finished files are the same ones, since a file in the place of a stored one is somebody else's. What is under way is
/// copied: the server that is left behind may still change it.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let is_ours = from
        .components()
        .any(|part| part.as_os_str() == ".dumbwaiter");
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = entry.map(|e| (e.path(), to.join(e.file_name()))).unwrap();
        match from.is_dir() {
            true => copy_folder(&from, &to),
            false if is_ours => drop(std::fs::copy(from, to).unwrap()),
            false => std::fs::hard_link(from, to).unwrap(),
        }
    }
}
