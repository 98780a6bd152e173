//! A request brings more of an upload.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::turn::Turn;
use super::{Append, Shared, Status};
use crate::admission::Place;
use crate::error::Error;
use crate::lock::Lock;
use crate::progress::{Files, Tap};
use crate::receive::{Body, Check, Received, Words};
use crate::store::Open;
use crate::upload::{Concat, FileHead, Protocol, Remembered, Upload, UploadId};

/// How long the end of a body is waited for that can have no bytes.
const PATIENCE: Duration = Duration::from_secs(10);

impl Shared {
    pub(super) async fn append(
        self: Arc<Self>,
        id: UploadId,
        mut append: Append,
    ) -> Result<Status, Error> {
        if self.has_writer(&id) {
            self.may_disturb(&id, &mut append).await?;
        }
        let lock = match self.lock(&id).await {
            // Whoever came behind ends it, or has it stored already.
            Err(Error::Superseded) if self.look(&id).is_none() => {
                return stands_at(self.finished(id).await?, append.offset);
            }
            lock => lock?,
        };
        let status = match self.look(&id) {
            Some(status) => status,
            None => self.finished(id).await?,
        };
        let status = fits(status, &append)?;
        if status.complete {
            drop(lock);
            return nothing_more(status, append.body).await;
        }
        let given = append.offset;
        match Arc::clone(&self).go_on(id, lock, append).await {
            // An older writer may have stored all of it at the last moment.
            Err(Error::NotFound) => stands_at(self.finished(id).await?, given),
            gone_on => gone_on,
        }
    }

    /// Whether the request may ask a writer to let go: not one that does not fit what is kept, nor one whose client has
    /// gone already.
    async fn may_disturb(&self, id: &UploadId, append: &mut Append) -> Result<(), Error> {
        if let Some(status) = self.look(id) {
            fits(status, append)?;
        }
        match !waits_for_word(&append.head) && append.body.is_dead().await {
            true => Err(Error::ClientGone),
            false => Ok(()),
        }
    }

    /// Takes the upload up where its last checkpoint left it, and takes the request's bytes in.
    pub(super) async fn go_on(
        self: Arc<Self>,
        id: UploadId,
        lock: Lock,
        append: Append,
    ) -> Result<Status, Error> {
        let mut found = self.find(id, lock, &append)?;
        found.words = Words {
            said: append.said,
            last: append.last,
            whole: append.whole,
            digest: append.digest,
            on_kept: append.on_kept,
        };
        let (turn, mut received) = found.open().await?;
        let (expected, given) = (received.kept().offset(), append.offset);
        if expected != given {
            turn.leave(received).await;
            return Err(Error::OffsetMismatch { expected, given });
        }
        let came = flow(&turn, &mut received, append.body, append.check).await;
        turn.close(received, came).await
    }

    /// The upload as its new writer finds it, with what the request says of it.
    fn find(self: Arc<Self>, id: UploadId, lock: Lock, append: &Append) -> Result<Found, Error> {
        let forced = lock.is_forced();
        let mut table = self.table();
        let entry = table.get(&id).filter(|entry| !entry.is_ending());
        let entry = entry.ok_or(Error::NotFound)?;
        let mut upload = Box::new(entry.about.upload(id, Arc::clone(&append.head)));
        upload.address = append.address;
        upload.length = upload.length.or(append.length());
        let (about, head, offset) = (entry.about.clone(), entry.head.clone(), entry.kept.offset());
        let taken = table.take(&id).ok_or(Error::Superseded)?;
        drop(table);
        let place = taken.place;
        Ok(Found {
            place: place.unwrap_or_else(|| self.admission.restore(&upload, offset)),
            parked: taken.parked.filter(|_| !forced),
            turn: {
                let mut turn = Turn::new(self, id, lock, taken.writer);
                turn.untold = append.untold;
                turn
            },
            words: Words::default(),
            upload,
            about,
            head,
            offset,
            declared: append.body.declared(),
        })
    }
}

/// An upload that has rested, and its new writer's turn at it.
struct Found {
    turn: Turn,
    upload: Box<Upload>,
    about: Remembered,
    head: Option<FileHead>,
    words: Words,
    offset: u64,
    declared: Option<u64>,
    place: Place,
    parked: Option<Box<Received>>,
}

impl Found {
    /// Opens it for writing, if there is room for what is still to come.
    async fn open(mut self) -> Result<(Turn, Box<Received>), Error> {
        let shared = Arc::clone(self.turn.shared());
        let (place, upload) = (&mut self.place, &self.upload);
        let run = shared
            .admission
            .run(place, upload, upload.length, self.declared);
        if let Err(error) = run.await {
            self.turn.give_back(self.parked, Some(self.place));
            return Err(error);
        }
        let (upload, offset) = (&self.upload, self.offset);
        let fields = &self.about.fields;
        let files = Files::open(self.head.as_ref());
        shared.tracker.revive(upload, offset, files, fields);
        let tap = shared.tracker.resume(upload, offset);
        if matches!(self.about.concat, Some(Concat::Final { .. })) {
            tap.joining();
            self.place.comes_from_within();
        }
        let opened = match self.parked.take() {
            Some(open) => Ok(open),
            None => shared.open(upload.clone(), self.about).await,
        };
        match opened {
            Ok(mut received) => {
                received.go_on(self.upload, tap, self.place, self.words);
                Ok((self.turn.begin(&received), received))
            }
            Err(error) => Err(self.turn.cannot_open(error, tap, self.place, offset).await),
        }
    }
}

impl Shared {
    async fn open(&self, upload: Box<Upload>, about: Remembered) -> Result<Box<Received>, Error> {
        let receiver = self.receiver_for(&about);
        let session = receiver.store.open(&upload.id, Open::Take).await?;
        receiver.take_up(upload, about, session, self.window())
    }
}

/// Takes the body in; somebody newer who wants the upload gets it as soon as what has come is kept.
async fn flow(
    turn: &Turn,
    received: &mut Received,
    body: Body,
    check: Option<Check>,
) -> Result<(), Error> {
    let asked = std::pin::pin!(turn.lock().asked());
    // Whoever asks halts it there and then, so that nobody need look with every read; and this turn alone: on a slow disk
    // the newer one may have begun before this one hears of it.
    let let_go = Arc::new(LetGo(received.lets_go()));
    let waker = Waker::from(Arc::clone(&let_go));
    if asked.poll(&mut Context::from_waker(&waker)).is_ready() {
        let_go.wake();
    }
    received.append(body, check).await
}

/// Has a writer let go.
struct LetGo<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for LetGo<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// All bytes of the upload are there: the request may say so once more, and bring none. Chunks tell only when they come.
async fn nothing_more(status: Status, mut body: Body) -> Result<Status, Error> {
    let mut frames = Vec::new();
    let came = tokio::time::timeout(PATIENCE, body.frames(&mut frames)).await;
    let stalled = |_| Error::Stalled {
        seconds: PATIENCE.as_secs(),
    };
    if !came.map_err(stalled)?? {
        return Ok(status);
    }
    let more: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
    Err(Error::LengthMismatch {
        length: status.offset,
        given: status.offset.saturating_add(more),
    })
}

/// Whether the client waits for `100 Continue`: a look at its body would send it that.
fn waits_for_word(head: &http::request::Parts) -> bool {
    head.headers.contains_key(http::header::EXPECT)
}

/// Whether a request that brings nothing more goes on where the upload stands.
fn stands_at(status: Status, given: u64) -> Result<Status, Error> {
    let expected = status.offset;
    match expected == given {
        true => Ok(status),
        false => Err(Error::OffsetMismatch { expected, given }),
    }
}

/// Whether the request goes on where the upload stands.
fn fits(status: Status, append: &Append) -> Result<Status, Error> {
    if matches!(status.remembered.concat, Some(Concat::Final { .. })) {
        return Err(Error::FinalUpload);
    }
    let (expected, given) = (status.offset, append.offset);
    if expected != given {
        return Err(Error::OffsetMismatch { expected, given });
    }
    digest_fits(&status, append)?;
    let length = match (status.length, append.length()) {
        (Some(length), Some(given)) if length != given => {
            return Err(Error::LengthMismatch { length, given });
        }
        (None, Some(given)) if given < expected => {
            return Err(Error::BadRequest {
                what: "the upload's length is less than what has come of it",
            });
        }
        (known, said) => known.or(said),
    };
    let end = expected.saturating_add(append.body.declared().unwrap_or(0));
    let is_all = append.last == Some(true) && append.body.declared().is_some();
    match length {
        Some(length) if end > length || is_all && end < length => {
            Err(Error::LengthMismatch { length, given: end })
        }
        _ => Ok(status),
    }
}

/// Whether what the request says of all of the upload's bytes can be held against them.
fn digest_fits(status: &Status, append: &Append) -> Result<(), Error> {
    let Some(given) = &append.digest else {
        return Ok(());
    };
    let what = match &status.remembered.digest {
        Some(known) if known == given => return Ok(()),
        Some(_) => "an earlier request gave another Repr-Digest",
        // Its files can be read once more, what was around them cannot.
        None if status.remembered.protocol == Protocol::Form && status.offset > 0 => {
            "the Repr-Digest of a form comes with its first bytes"
        }
        None => return Ok(()),
    };
    Err(Error::BadRequest { what })
}

impl Turn {
    fn begin(self, received: &Received) -> Self {
        let kept = Arc::clone(received.kept());
        let progress = Some(Arc::clone(received.progress()));
        self.change(|entry| (entry.kept, entry.progress) = (kept, progress));
        self
    }

    /// The upload stands elsewhere than the request goes on.
    async fn leave(self, mut received: Box<Received>) {
        received.pause().await;
        let place = received.rest();
        self.let_go(received, place);
    }

    /// Nothing can be written: the upload waits on, unless nothing is there that could.
    async fn cannot_open(mut self, error: Error, tap: Tap, mut place: Place, offset: u64) -> Error {
        let gone = match &error {
            Error::NotFound => true,
            Error::Refused(_) => self.remove().await,
            _ => false,
        };
        if gone {
            self.forget();
            drop(place);
            tap.fail(&error);
        } else {
            place.rest(offset);
            tap.interrupt(offset, &error);
            self.give_back(None, Some(place));
        }
        error
    }
}
