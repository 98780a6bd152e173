//! Checkpoints while bytes flow, of an upload that outlives its requests.
//!
//! One is taken only where splitter, handlers and store stand at the same byte: between two reads of the body. Where an
//! error strikes in between, what came since the last one is lost, and never anything before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::digests::Adding;
use super::{Current, Received, Split};
use crate::error::Error;
use crate::store::{Checkpoint, FilePoint};
use crate::upload::FileFacts;

/// The last checkpoint of an upload, for all who want to know.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    offset: AtomicU64,
    at: AtomicU64,
}

impl Kept {
    pub(crate) fn new(offset: u64, at: u64) -> Self {
        Self {
            offset: AtomicU64::new(offset),
            at: AtomicU64::new(at),
        }
    }

    /// Client's body bytes that are kept.
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    /// Whether there is one at all.
    pub(crate) fn stands(&self) -> bool {
        self.at.load(Ordering::Acquire) > 0
    }

    /// When that became so.
    pub(crate) fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.at.load(Ordering::Acquire))
    }

    pub(super) fn set(&self, offset: u64, at: u64) {
        self.at.store(at, Ordering::Release);
        self.offset.store(offset, Ordering::Release);
    }
}

/// While bytes flow. Of an upload that cannot be resumed nothing here costs more than one look at that.
impl Received {
    /// Whether the upload takes so many bytes more.
    pub(super) fn expects(&self, bytes: u64) -> Result<(), Error> {
        if self.resumable.is_none() {
            return Ok(());
        }
        let given = self.taken.saturating_add(bytes);
        match self.upload.length {
            Some(length) if given > length => Err(Error::LengthMismatch { length, given }),
            _ => Ok(()),
        }
    }

    /// Adds up bytes that are about to pass, where they are checked.
    pub(super) fn add_up(&mut self, frames: &[Bytes]) {
        let Some(resumable) = &mut self.resumable else {
            return;
        };
        if let Some(sums) = &mut resumable.sums {
            frames.iter().for_each(|frame| sums.update(frame));
        }
        if let Some(all) = &mut resumable.digest {
            frames.iter().for_each(|frame| all.update(frame));
        }
    }

    /// Bytes have passed to the store; says whether a checkpoint is due.
    pub(super) fn has_passed(&mut self, bytes: u64) -> bool {
        match &mut self.resumable {
            Some(resumable) => resumable.window.wrote(bytes) && !resumable.is_whole_or_nothing,
            None => false,
        }
    }

    /// Waits until a checkpoint is due while the client pauses.
    pub(super) async fn checkpoint_due(&mut self) {
        match &mut self.resumable {
            Some(resumable) if !resumable.is_whole_or_nothing => resumable.window.due().await,
            _ => std::future::pending().await,
        }
    }

    /// Bytes have not all passed.
    pub(super) fn tear(&mut self, error: &Error) {
        let Some(resumable) = &mut self.resumable else {
            return;
        };
        let is_raw = !resumable.is_form() && self.receiver.chain.is_empty();
        match (error, &mut self.current) {
            // A full disk took nothing of them, and no handler has seen them: the upload stands where it stood. A raw body
            // that nothing changes is its file.
            (Error::DiskFull, Current::File(facts)) if is_raw && resumable.digest.is_none() => {
                self.frames.clear();
                facts.length = self.taken;
            }
            _ => resumable.torn = true,
        }
    }

    /// Takes a checkpoint, between two reads of the body.
    pub(super) async fn checkpoint(&mut self, split: &mut dyn Split) -> Result<(), Error> {
        let checkpoint = self.snapshot(split)?;
        let at = checkpoint.at;
        let Some(session) = &mut self.session else {
            return Err(Error::store("there is nothing to take a checkpoint of"));
        };
        let kept = session.checkpoint(checkpoint).await;
        let resumable = self.resumable_mut();
        match kept {
            Ok(offset) => {
                resumable.window.clear();
                resumable.news = false;
                resumable.kept.set(offset, at);
                if let Some(told) = &resumable.on_kept {
                    told(offset);
                }
                if let Some(tap) = &self.tap {
                    tap.kept(offset);
                }
                Ok(())
            }
            Err(error) => {
                resumable.torn = true;
                Err(error)
            }
        }
    }

    fn snapshot(&self, split: &dyn Split) -> Result<Checkpoint, Error> {
        let point = |facts: &FileFacts| FilePoint {
            facts: facts.clone(),
            stored: 0,
        };
        let mut files: Vec<_> = self.files.iter().map(point).collect();
        let mut handlers = Vec::new();
        if let (Current::File(facts), Some(current)) = (&self.current, self.handlers.last()) {
            files.push(point(facts));
            handlers = current.save()?;
        }
        let now = UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut checkpoint = Checkpoint::at(self.taken, split.save());
        checkpoint.handlers = handlers;
        checkpoint.files = files;
        checkpoint.upload = Some(self.resumable().about.clone());
        checkpoint.form = self.form_point().map(Box::new);
        let sums = self.resumable().digest.as_ref();
        checkpoint.digest = sums.map(Adding::save).unwrap_or_default();
        // Whoever is told a time up to which the upload stays is not told too early a one.
        checkpoint.at = now.as_secs() + 1;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::admission::{Admission, AdmissionOptions};
    use crate::handlers::Chain;
    use crate::progress::{Tracker, TrackerOptions};
    use crate::receive::{Body, Limits, PaceOptions, Receiver, Shape, WindowOptions};
    use crate::store::{Memory, Store};
    use crate::threads::DataThreads;
    use crate::upload::{FileHead, Owner, Protocol, Remembered, Upload};

    struct Piped(UnboundedReceiver<Bytes>);

    impl http_body::Body for Piped {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            let next = self.0.poll_recv(cx);
            next.map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
        }
    }

    /// An open upload with a checkpoint due after 10 bytes or a second, and the line on which bytes come.
    async fn open() -> (Box<Received>, Body, UnboundedSender<Bytes>) {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let data = DataThreads::start(1).unwrap();
        let options = AdmissionOptions {
            keep_free: 0,
            keep_free_inodes: 0,
            ..AdmissionOptions::default()
        };
        let upload = Upload::new(Protocol::Tus, Owner::from_address([127, 0, 0, 1].into()));
        let admission = Admission::start(options, &store, &data);
        let place = admission.begin(&upload, None).await.unwrap();
        let tap = Tracker::start(TrackerOptions::default()).begin(&upload);
        let receiver = Receiver {
            hand_off: None,
            store,
            chain: Chain::default(),
            limits: Limits::default(),
            pace: PaceOptions::NONE,
            form: Arc::new(|| Box::new(crate::receive::Raw::new(FileHead::default()))),
        };
        let window = WindowOptions {
            bytes: 10,
            time: Duration::from_secs(1),
        };
        let about = Remembered::of(&upload);
        let upload = Box::new(upload);
        let mut received =
            receiver.begin_resumable(upload, about, Shape::File(FileHead::default()), window);
        received.begins(tap, place);
        received.open().await.unwrap();
        let (line, body) = unbounded_channel();
        (received, Body::new(Piped(body)), line)
    }

    fn bytes(many: usize) -> Bytes {
        vec![7; many].into()
    }

    /// Bytes wait in a channel, and the pump takes them before the next timer fires.
    async fn seconds(seconds: f64) {
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_comes_with_enough_bytes_and_no_earlier() {
        let (mut received, body, line) = open().await;
        let (kept, began) = (Arc::clone(received.kept()), Instant::now());
        let client = async move {
            for (more, expected) in [(9, 0), (1, 10), (5, 10), (4, 10), (30, 49), (9, 49)] {
                line.send(bytes(more)).unwrap();
                seconds(0.01).await;
                assert_eq!(kept.offset(), expected, "after {more} more");
            }
            assert!(began.elapsed() < Duration::from_secs(1), "not by time");
        };
        let (came, ()) = tokio::join!(received.append(body, None), client);
        came.unwrap();
        assert_eq!((received.kept().offset(), received.taken), (49, 58));
        received.keep().await.unwrap();
        assert_eq!(received.kept().offset(), 58);
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_comes_in_time_while_the_client_pauses_and_while_it_trickles() {
        let (mut received, body, line) = open().await;
        let kept = Arc::clone(received.kept());
        let client = async move {
            line.send(bytes(1)).unwrap();
            seconds(0.9).await;
            assert_eq!(kept.offset(), 0);
            seconds(0.2).await;
            assert_eq!(kept.offset(), 1, "it pauses");
            // The time counts from the first byte that no checkpoint covers.
            seconds(100.0).await;
            for passed in 1..=9 {
                line.send(bytes(1)).unwrap();
                seconds(0.11).await;
                assert_eq!(kept.offset(), 1, "{passed}");
            }
            seconds(0.02).await;
            assert_eq!(kept.offset(), 10);
        };
        let (came, ()) = tokio::join!(received.append(body, None), client);
        came.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_checkpointed_that_is_yet_to_be_checked() {
        let (mut received, body, line) = open().await;
        let kept = Arc::clone(received.kept());
        let client = async move {
            line.send(bytes(50)).unwrap();
            seconds(5.0).await;
            line.send(bytes(50)).unwrap();
            seconds(5.0).await;
            assert_eq!(kept.offset(), 0);
        };
        let checksum = super::super::Checksum::parse("crc32 AAAAAA==").unwrap();
        let check = Some(super::super::Check::Given(checksum));
        let (came, ()) = tokio::join!(received.append(body, check), client);
        assert_eq!(came.unwrap_err().code(), "checksum_mismatch");
        assert!(!received.is_sound());
    }
}
