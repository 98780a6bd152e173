//! What an upload has that outlives its requests: checkpoints while bytes come, and a way to go on from one.
//!
//! ```text
//! open ─► checkpoint 0 ─► append ─► checkpoint … checkpoint ─┬─► keep ─► rest, interrupt ─┬─► go_on ─► append …
//!                                                            │                            └─► dropped ─► take_up ─► go_on …
//!                                                            └─► complete
//! ```
//!
//! Checkpoints are in `checkpoint.rs`, and how a request leaves the upload in `leave.rs`.

use std::sync::Arc;

use super::checkpoint::Kept;
use super::checksum::Sums;
use super::digests::Adding;
use super::terms::may_still;
use super::window::Window;
use super::{Body, Check, Current, Naming, Raw, Received, Receiver, Shape, Split, WindowOptions};
use crate::admission::Place;
use crate::error::Error;
use crate::progress::{Progress, Tap};
use crate::store::Session;
use crate::upload::{FileFacts, FileHead, Protocol, Remembered, Upload};

/// What only an upload has that can be resumed.
pub(super) struct Resumable {
    pub(super) about: Remembered,
    /// Not here while a body flows.
    split: Option<Box<dyn Split>>,
    pub(super) window: Window,
    pub(super) kept: Arc<Kept>,
    /// Whether its body is one file that began with the upload.
    pub(super) is_plain: bool,
    /// What is said of the upload has changed since.
    pub(super) news: bool,
    /// Of the request at hand.
    pub(super) sums: Option<Sums>,
    /// Of all bytes so far, if it was known from the first one on that they are to be checked.
    pub(super) digest: Option<Adding>,
    /// What came since the last checkpoint cannot be kept: the parts stand at different bytes, or it was not checked.
    pub(super) torn: bool,
    /// Of the request at hand nothing is kept unless all of it comes.
    pub(super) is_whole_or_nothing: bool,
    /// Whether its end is the upload's end.
    is_last: bool,
    pub(super) on_kept: Option<OnKept>,
}

/// What is called with the offset of each checkpoint that is taken while a request's body comes.
pub(crate) type OnKept = Box<dyn Fn(u64) + Send + Sync>;

/// What one request says of an upload with which it goes on, besides its bytes.
#[derive(Default)]
pub(crate) struct Words {
    /// What is said of its file only now.
    pub(crate) said: FileHead,
    /// Whether the request's end is the upload's end; `None` where all of the length says so.
    pub(crate) last: Option<bool>,
    /// Nothing of the request is kept unless all of it comes.
    pub(crate) whole: bool,
    /// What all of the upload must add up to, as [`Remembered::digest`] has it.
    pub(crate) digest: Option<String>,
    /// Who is told of each checkpoint.
    pub(crate) on_kept: Option<OnKept>,
}

impl Resumable {
    fn new(
        about: Remembered,
        split: Box<dyn Split>,
        window: WindowOptions,
        kept: Arc<Kept>,
    ) -> Self {
        Self {
            about,
            split: Some(split),
            window: Window::new(window),
            kept,
            is_plain: true,
            news: false,
            sums: None,
            digest: None,
            torn: false,
            is_whole_or_nothing: false,
            is_last: false,
            on_kept: None,
        }
    }
}

impl Resumable {
    /// Whether its body holds files and fields.
    pub(super) fn is_form(&self) -> bool {
        self.about.protocol == Protocol::Form
    }
}

impl Receiver {
    /// An upload that outlives its requests, of which no byte has come.
    pub(crate) fn begin_resumable(
        &self,
        upload: Box<Upload>,
        about: Remembered,
        shape: Shape,
        window: WindowOptions,
    ) -> Box<Received> {
        let mut received = self.empty(upload);
        received.fields.clone_from(&about.fields);
        let is_plain = matches!(shape, Shape::File(_));
        let split: Box<dyn Split> = match shape {
            Shape::File(head) => Box::new(Raw::new(head)),
            Shape::Later(head) => {
                received.current = Current::Head(head);
                Box::new(Raw::told())
            }
            Shape::Form(form) => form,
        };
        let resumable = Resumable::new(about, split, window, Arc::default());
        received.resumable = Some(Box::new(Resumable {
            is_plain,
            ..resumable
        }));
        received.adds_up_from_here();
        received
    }

    /// An upload as of the checkpoint from which `session` goes on.
    ///
    /// # Errors
    /// [`Error::NotResumable`] when the handlers are not those of the checkpoint any more, or do not read its states.
    pub(crate) fn take_up(
        &self,
        upload: Box<Upload>,
        about: Remembered,
        mut session: Box<dyn Session>,
        window: WindowOptions,
    ) -> Result<Box<Received>, Error> {
        session.belongs_to(upload.owner.key());
        let mut received = self.empty(upload);
        received.fields.clone_from(&about.fields);
        let checkpoint = session.resumed().cloned().unwrap_or_default();
        // The only ones begun as a form.
        let mut split: Box<dyn Split> = match about.protocol {
            Protocol::Form => (self.form)(),
            _ => Box::new(Raw::new(FileHead::default())),
        };
        split.restore(&checkpoint.parser).map_err(unreadable)?;
        let kept = Arc::new(Kept::new(checkpoint.offset, checkpoint.at));
        let resumable = Resumable::new(about, split, window, kept);
        received.resumable = Some(Box::new(Resumable {
            is_plain: checkpoint.form.is_none(),
            ..resumable
        }));
        received.taken = checkpoint.offset;
        received.restore_digest(&checkpoint)?;
        received.restore(checkpoint)?;
        received.session = Some(session);
        Ok(received)
    }
}

fn unreadable(error: Error) -> Error {
    match error {
        Error::Store { source } => Error::NotResumable {
            why: source.to_string(),
        },
        other => other,
    }
}

/// Between two requests.
impl Received {
    /// Begins the upload's file and takes its first checkpoint.
    ///
    /// # Errors
    /// [`Error::NotResumable`] when a handler says so; what handlers and store say.
    pub(crate) async fn open(&mut self) -> Result<(), Error> {
        let mut split = self.lend_split()?;
        self.begin(&mut *split).await?;
        // A file that is left out leaves an upload without any, which goes on like others.
        if self.session.is_none() {
            self.open_session().await?;
        }
        self.checkpoint(&mut *split).await?;
        self.resumable_mut().split = Some(split);
        Ok(())
    }

    /// The upload begins.
    pub(crate) fn begins(&mut self, tap: Tap, place: Place) {
        self.tap = Some(tap);
        self.place = Some(place);
    }

    /// What is known of it while a request goes on with it.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        self.tap().progress()
    }

    /// What has the request at hand let go of it.
    pub(crate) fn lets_go(&self) -> impl Fn() + Send + Sync + use<> {
        self.tap().lets_go()
    }

    /// A request has come that goes on with the upload.
    pub(crate) fn go_on(&mut self, upload: Box<Upload>, tap: Tap, place: Place, words: Words) {
        let resumable = self.resumable_mut();
        let awaits_word = words.last == Some(false);
        resumable.news |= resumable.about.length != upload.length;
        resumable.news |= resumable.about.awaits_word != awaits_word;
        resumable.about.length = upload.length;
        resumable.about.awaits_word = awaits_word;
        resumable.is_whole_or_nothing = words.whole;
        resumable.is_last = words.last == Some(true);
        resumable.on_kept = words.on_kept;
        self.hear(words.said);
        self.must_add_up_to(words.digest);
        self.upload = upload;
        self.tap = Some(tap);
        self.place = Some(place);
    }

    /// Fills in what is not known of a file that has not begun.
    fn hear(&mut self, said: FileHead) {
        let Current::Head(head) = &mut self.current else {
            return;
        };
        let before = head.clone();
        head.name = head.name.take().or(said.name);
        head.field = head.field.take().or(said.field);
        head.content_type = head.content_type.take().or(said.content_type);
        let has_changed = *head != before;
        self.resumable_mut().news |= has_changed;
    }

    /// Takes what one request brings, to the end of its body. After an error what came before it may be kept.
    ///
    /// # Errors
    /// Whatever broke the body or the upload; [`Error::ChecksumMismatch`], [`Error::DigestMismatch`].
    pub(crate) async fn append(
        &mut self,
        mut body: Body,
        check: Option<Check>,
    ) -> Result<(), Error> {
        let mut split = self.lend_split()?;
        let resumable = self.resumable_mut();
        resumable.sums = check.map(Sums::new);
        resumable.is_whole_or_nothing |= resumable.sums.is_some() || body.is_checked();
        resumable.torn = resumable.is_whole_or_nothing;
        let declared = body.declared();
        let end = declared.map(|bytes| self.taken.saturating_add(bytes));
        self.expect(declared).await;
        let flowed = self.flow(&mut body, &mut *split).await;
        let taken = self.taken;
        let resumable = self.resumable_mut();
        resumable.split = Some(split);
        flowed?;
        if end.is_some_and(|end| end > taken) {
            return Err(Error::ClientGone);
        }
        if let Some(sums) = resumable.sums.take() {
            sums.verify(body.trailers())?;
        }
        resumable.torn = false;
        match self.resumable().is_last {
            true => self.ends_here(),
            false => Ok(()),
        }
    }

    /// The request has brought the upload's last byte.
    fn ends_here(&mut self) -> Result<(), Error> {
        let taken = self.taken;
        let length = *self.upload.length.get_or_insert(taken);
        if length != taken {
            return Err(Error::LengthMismatch {
                length,
                given: taken,
            });
        }
        let resumable = self.resumable_mut();
        resumable.news |= resumable.about.length.is_none();
        resumable.about.length = Some(length);
        Ok(())
    }

    /// Tells the store what the request brings, so that no room is left over behind it.
    async fn expect(&mut self, declared: Option<u64>) {
        let left = self
            .upload
            .length
            .map(|length| length.saturating_sub(self.taken));
        if let (Some(session), Some(more)) = (&mut self.session, declared.or(left)) {
            session.expect(more).await;
        }
    }

    /// Makes all that has come durable; what a client may be told from now on is in [`Received::kept`].
    ///
    /// # Errors
    /// [`Error::Superseded`], [`Error::DiskFull`], [`Error::Store`].
    pub(crate) async fn keep(&mut self) -> Result<(), Error> {
        if self.kept().offset() == self.taken && !self.resumable_mut().news {
            return Ok(());
        }
        let mut split = self.lend_split()?;
        let kept = self.checkpoint(&mut *split).await;
        self.resumable_mut().split = Some(split);
        kept
    }

    /// Whether what came since the last checkpoint can be kept.
    pub(crate) fn is_sound(&self) -> bool {
        self.session.is_some()
            && self
                .resumable
                .as_ref()
                .is_some_and(|resumable| !resumable.torn)
    }

    /// Whether it is open for writing.
    pub(crate) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Whether all bytes of the upload are there, and no word that they are.
    pub(crate) fn is_whole(&self) -> bool {
        self.upload.length == Some(self.taken) && !self.about().awaits_word
    }

    /// The last checkpoint.
    pub(crate) fn kept(&self) -> &Arc<Kept> {
        &self.resumable().kept
    }

    /// What is settled about the upload.
    pub(crate) fn about(&self) -> &Remembered {
        &self.resumable().about
    }

    /// Names the file and makes it visible: all its bytes are there.
    ///
    /// # Errors
    /// As [`Received::commit`], and [`Error::DigestMismatch`] when its bytes are not those that its client meant; the record
    /// does not say so.
    pub(crate) async fn complete(&mut self, naming: &Naming) -> Result<Vec<FileFacts>, Error> {
        self.tap().processing();
        self.verify_sums()?;
        let reads = self.is_to_be_read();
        if reads || self.is_behind() {
            self.keep().await?;
        }
        // Before anything that cannot be done again: the app may be asked once more.
        may_still(&self.upload, self.file_bytes()).await?;
        let mut split = self.lend_split()?;
        // Handlers that have seen an end, or only some of what they are shown once more, cannot stay.
        self.resumable_mut().torn = true;
        self.finish(&mut *split).await?;
        if reads {
            self.verify_file().await?;
        }
        self.settle();
        self.store(naming).await
    }

    /// What no checkpoint says is to be remembered all the same.
    fn settle(&mut self) {
        let news = self.resumable().news;
        if let (true, Some(session), Some(resumable)) = (news, &mut self.session, &self.resumable) {
            session.settled(&resumable.about);
        }
    }

    fn lend_split(&mut self) -> Result<Box<dyn Split>, Error> {
        let split = self.resumable_mut().split.take();
        split.ok_or_else(|| {
            Error::store("an earlier request of this upload has not come to its end")
        })
    }

    pub(super) fn resumable(&self) -> &Resumable {
        let resumable = self.resumable.as_deref();
        resumable.expect("only what was begun to be resumed is resumed")
    }

    pub(super) fn resumable_mut(&mut self) -> &mut Resumable {
        let resumable = self.resumable.as_deref_mut();
        resumable.expect("only what was begun to be resumed is resumed")
    }
}
