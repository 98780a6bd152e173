//! Everything that unfinished uploads live in, and lines that a test cuts where it likes.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Frame;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::admission::{Admission, AdmissionOptions};
use crate::error::Error;
use crate::handlers::Chain;
use crate::progress::{Progress, State, Tracker, TrackerOptions};
use crate::receive::{Body, Limits, Naming, PaceOptions, Raw, Receiver, Shape, Split};
use crate::store::{Checkpoint, FilePoint, Memory, Open, Store};
use crate::threads::DataThreads;
use crate::unfinished::{Append, ResumeOptions, Status, Unfinished};
use crate::upload::{Concat, FileHead, Owner, Protocol, Remembered, Upload, UploadId};

/// What a test sends.
#[derive(Clone)]
pub(crate) struct Line(UnboundedSender<Result<Frame<Bytes>, &'static str>>);

struct Piped(UnboundedReceiver<Result<Frame<Bytes>, &'static str>>);

impl Line {
    pub(crate) fn send(&self, bytes: impl Into<Bytes>) {
        let _ = self.0.send(Ok(Frame::data(bytes.into())));
    }

    pub(crate) fn cut(&self) {
        let _ = self.0.send(Err("reset"));
    }

    pub(crate) fn trailer(&self, fields: HeaderMap) {
        let _ = self.0.send(Ok(Frame::trailers(fields)));
    }
}

impl http_body::Body for Piped {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx)
    }
}

pub(crate) fn line() -> (Line, Body) {
    let (send, receive) = unbounded_channel();
    (Line(send), Body::new(Piped(receive)))
}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Body::new(http_body_util::Full::<Bytes>::new(bytes.into()))
}

pub(crate) fn append(offset: u64, body: Body) -> Append {
    let head = Arc::new(Request::new(()).into_parts().0);
    Append::new(offset, body, [127, 0, 0, 1].into(), head)
}

/// Everything that unfinished uploads live in.
pub(crate) struct Rig {
    pub(crate) unfinished: Unfinished,
    pub(crate) tracker: Tracker,
    pub(crate) store: Arc<dyn Store>,
}

pub(crate) struct Given {
    pub(crate) options: ResumeOptions,
    pub(crate) admission: AdmissionOptions,
    pub(crate) chain: Chain,
    pub(crate) pace: PaceOptions,
    pub(crate) naming: Naming,
    /// What splits forms.
    pub(crate) form: Arc<dyn Fn() -> Box<dyn Split> + Send + Sync>,
    pub(crate) limits: Limits,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            options: ResumeOptions::default(),
            admission: AdmissionOptions {
                keep_free: 0,
                keep_free_inodes: 0,
                ..AdmissionOptions::default()
            },
            chain: Chain::default(),
            pace: PaceOptions::NONE,
            naming: Naming::default(),
            form: Arc::new(|| Box::new(Raw::new(FileHead::default()))),
            limits: Limits::default(),
        }
    }
}

impl Rig {
    pub(crate) fn start(store: impl Store, given: Given) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        // One may be held up, another one sweeps.
        let data = DataThreads::start(3).unwrap();
        let tracker = Tracker::start(TrackerOptions::default());
        let receiver = Receiver {
            hand_off: None,
            store: Arc::clone(&store),
            chain: given.chain,
            limits: given.limits,
            pace: given.pace,
            form: given.form,
        };
        let admission = Admission::start(given.admission, &store, &data);
        let (options, naming, tracked) = (given.options, given.naming, tracker.clone());
        let unfinished = Unfinished::start(options, receiver, naming, admission, tracked, data);
        Self {
            unfinished,
            tracker,
            store,
        }
    }

    pub(crate) fn memory() -> (Self, Memory) {
        Self::memory_with(Given::default())
    }

    pub(crate) fn memory_with(given: Given) -> (Self, Memory) {
        let memory = Memory::new();
        (Self::start(memory.clone(), given), memory)
    }

    /// At most so many uploads stay open between two requests.
    pub(crate) fn parking(max_parked: usize) -> (Self, Memory) {
        Self::memory_with(Given {
            options: ResumeOptions {
                max_parked,
                ..ResumeOptions::default()
            },
            ..Given::default()
        })
    }

    pub(crate) async fn create(&self, length: Option<u64>) -> Status {
        self.create_as(length, None).await.unwrap()
    }

    /// One that is complete only when a request says so.
    pub(crate) async fn create_awaiting(&self, length: Option<u64>) -> Status {
        let awaits = |about: &mut Remembered| about.awaits_word = true;
        self.create_about(length, awaits).await.unwrap()
    }

    pub(crate) async fn create_as(
        &self,
        length: Option<u64>,
        concat: Option<Concat>,
    ) -> Result<Status, Error> {
        self.create_about(length, |about| about.concat = concat)
            .await
    }

    async fn create_about(
        &self,
        length: Option<u64>,
        change: impl FnOnce(&mut Remembered),
    ) -> Result<Status, Error> {
        let mut upload = Upload::new(Protocol::Tus, Owner::from_address([127, 0, 0, 1].into()));
        upload.length = length;
        let mut about = Remembered::of(&upload);
        change(&mut about);
        about.metadata = Some("filename ZGlzaA==".into());
        let head = FileHead {
            name: Some("dish".into()),
            ..FileHead::default()
        };
        match about.concat {
            Some(Concat::Final { .. }) => self.unfinished.join(Box::new(upload), about, head).await,
            _ => {
                let shape = Shape::File(head);
                self.unfinished.create(Box::new(upload), about, shape).await
            }
        }
    }

    pub(crate) fn progress(&self, id: &UploadId) -> Arc<Progress> {
        self.tracker.by_id(id).unwrap()
    }

    pub(crate) fn state(&self, id: &UploadId) -> State {
        self.progress(id).state()
    }

    /// Sends bytes that end with their request.
    pub(crate) async fn send(
        &self,
        id: &UploadId,
        offset: u64,
        bytes: &'static str,
    ) -> Result<Status, Error> {
        self.unfinished
            .append(id, append(offset, whole(bytes)))
            .await
    }

    /// Sends `bytes` on a line that stays open, and comes back when they have come.
    pub(crate) async fn begin(&self, id: &UploadId, offset: u64, bytes: &'static str) -> Sending {
        self.begin_with(id, bytes, |body| append(offset, body))
            .await
    }

    pub(crate) async fn begin_with(
        &self,
        id: &UploadId,
        bytes: &'static str,
        append: impl FnOnce(Body) -> Append,
    ) -> Sending {
        let (line, body) = line();
        let append = append(body);
        let end = append.offset + bytes.len() as u64;
        line.send(bytes);
        let (unfinished, id) = (self.unfinished.clone(), *id);
        let answer = tokio::spawn(async move { unfinished.append(&id, append).await });
        until(|| self.progress(&id).received() == end).await;
        Sending { line, answer }
    }
}

/// A request under way.
pub(crate) struct Sending {
    pub(crate) line: Line,
    answer: JoinHandle<Result<Status, Error>>,
}

impl Sending {
    pub(crate) async fn answer(self) -> Result<Status, Error> {
        self.answer.await.unwrap()
    }

    pub(crate) async fn cut(self) -> Result<Status, Error> {
        self.line.cut();
        self.answer().await
    }

    /// The body ends as it should.
    pub(crate) async fn end(self) -> Result<Status, Error> {
        drop(self.line);
        self.answer.await.unwrap()
    }
}

/// An upload as a crash, or time, has left it: `abcd` had come.
pub(crate) async fn left(
    memory: &Memory,
    length: Option<u64>,
    at: SystemTime,
    concat: Option<Concat>,
) -> UploadId {
    let mut upload = Upload::new(Protocol::Tus, Owner::from_address([127, 0, 0, 1].into()));
    upload.length = length;
    let mut about = Remembered::of(&upload);
    about.concat = concat;
    let head = FileHead {
        name: Some("dish".into()),
        ..FileHead::default()
    };
    let mut session = memory.open(&upload.id, Open::Create).await.unwrap();
    session.begin_file(&head, None).await.unwrap();
    session.write(&mut vec![Bytes::from("abcd")]).await.unwrap();
    let mut checkpoint = Checkpoint::at(4, vec![1]);
    checkpoint.files = vec![FilePoint {
        facts: head.into(),
        stored: 0,
    }];
    checkpoint.upload = Some(about);
    checkpoint.at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    session.checkpoint(checkpoint).await.unwrap();
    upload.id
}

/// Waits for a state, not for a time; a minute is for machines that do something else.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), wait).await;
    waited.expect("it has not come to that");
}
