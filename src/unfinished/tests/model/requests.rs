//! What clients do, and what they are answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::rig::{Rig, append, line, until, whole};
use super::known::{End, Known, Open};
use super::steps::{At, Said};
use super::world::World;
use crate::error::Error;
use crate::progress::State;
use crate::receive::{Check, Checksum};
use crate::unfinished::{Append, Status};

impl World {
    pub(super) async fn create(&mut self, length: Option<u64>, awaits: bool) {
        let status = match awaits {
            true => self.rig.create_awaiting(length).await,
            false => self.rig.create(length).await,
        };
        let mut known = Known {
            id: status.id,
            length,
            awaits,
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

    pub(super) async fn begin(&mut self, upload: usize, at: At, count: u8) {
        let bytes = self.bytes(count);
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let offset = at.offset(known.stands());
        let refusal = known.refusal(offset, 0, None);
        let (line, body) = line();
        line.send(bytes.clone());
        let (unfinished, id) = (self.rig.unfinished.clone(), known.id);
        let append = Append {
            // It says what was said before.
            last: known.awaits.then_some(false),
            ..append(offset, body)
        };
        let answer = tokio::spawn(async move { unfinished.append(&id, append).await });
        let mut open = Open { line, answer };
        if let Some(older) = &known.open {
            until(|| older.answer.is_finished() || open.answer.is_finished()).await;
            if open.answer.is_finished() && self.rig.unfinished.shared.has_writer(&id) {
                return disturbs_nobody(open.answer.await.unwrap());
            }
        }
        known.superseded().await;
        if let Some(code) = refusal {
            let error = open.answer.await.unwrap().unwrap_err();
            return assert_eq!(error.code(), code);
        }
        if known.end == Some(End::Done) {
            // The body ends, and must have had nothing in it.
            drop(open.line);
            let answer = open.answer.await.unwrap();
            match bytes.is_empty() {
                true => known.took(&answer.unwrap()),
                false => assert_eq!(answer.unwrap_err().code(), "length_mismatch"),
            }
            return;
        }
        if known.flows(&self.rig, &bytes, &mut open).await {
            known.open = Some(open);
        }
    }

    pub(super) async fn send(&mut self, upload: usize, count: u8) {
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

    pub(super) async fn end(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        if let Some(Open { line, answer }) = known.open.take() {
            drop(line);
            known.took(&answer.await.unwrap().unwrap());
        }
    }

    pub(super) async fn cut(&mut self, upload: usize) {
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

    pub(super) async fn append(&mut self, upload: usize, at: At, said: &Said) {
        let bytes = self.bytes(said.bytes);
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let offset = at.offset(known.stands());
        let end = offset + bytes.len() as u64;
        let says = said.ends.map(|by| end.saturating_add_signed(by));
        let is_last = said.last == Some(true);
        let length = says.or(is_last.then_some(end));
        let is_wrong = said.check == Some(false) && known.is_open();
        let refusal = known
            .refusal(offset, bytes.len() as u64, length)
            .or((is_last && length != Some(end)).then_some("length_mismatch"))
            .or(is_wrong.then_some("checksum_mismatch"));
        let append = Append {
            length: says,
            last: said.last,
            check: said.check.map(|right| check(&bytes, right)),
            ..append(offset, whole(bytes.clone()))
        };
        let (unfinished, id) = (self.rig.unfinished.clone(), known.id);
        let answer = unfinished.append(&id, append).await;
        if unfinished.shared.has_writer(&id) {
            return disturbs_nobody(answer);
        }
        known.superseded().await;
        match (answer, refusal) {
            (Ok(status), None) => {
                known.length = known.length.or(length);
                known.awaits = known.is_open() && said.last == Some(false);
                known.sent.extend(bytes);
                known.took(&status);
            }
            (Err(error), Some(code)) => assert_eq!(error.code(), code),
            (answer, refusal) => panic!("{answer:?}, expected {refusal:?}"),
        }
    }

    pub(super) async fn head(&mut self, upload: usize) {
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

    pub(super) async fn terminate(&mut self, upload: usize, why: Error) {
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
}

impl Known {
    /// An open request was asked to let go, and all that it has brought is kept.
    pub(super) async fn superseded(&mut self) {
        if let Some(open) = self.open.take() {
            let error = open.answer.await.unwrap().unwrap_err();
            assert_eq!(error.code(), "superseded");
        }
    }

    /// Waits until the bytes have been taken, or until the request has been refused for what goes beyond the length.
    pub(super) async fn flows(&mut self, rig: &Rig, bytes: &[u8], open: &mut Open) -> bool {
        let end = self.stands() + bytes.len() as u64;
        if self.length.is_some_and(|length| end > length) {
            let error = (&mut open.answer).await.unwrap().unwrap_err();
            assert_eq!(error.code(), "length_mismatch");
            return false;
        }
        let progress = rig.progress(&self.id);
        // The count is there a moment before the state that the first byte makes.
        let flows = || progress.received() == end && progress.state() == State::Uploading;
        until(|| flows() || open.answer.is_finished()).await;
        assert!(!open.answer.is_finished());
        self.sent.extend(bytes);
        true
    }
}

fn check(bytes: &[u8], right: bool) -> Check {
    let sum = crc32fast::hash(bytes) ^ u32::from(!right);
    let value = format!("crc32 {}", STANDARD.encode(sum.to_be_bytes()));
    Check::Given(Checksum::parse(&value).unwrap())
}

/// A request that does not fit what is kept leaves the upload to whoever writes.
fn disturbs_nobody(answer: Result<Status, Error>) {
    let code = answer.unwrap_err().code();
    assert!(["offset_mismatch", "length_mismatch", "bad_request"].contains(&code));
}
