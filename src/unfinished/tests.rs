use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request};
use http_body::Frame;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::admission::AdmissionOptions;
use crate::error::Refusal;
use crate::handlers::{Algorithm, Chain, Digest, Resume, Stop, UploadHandler};
use crate::progress::{State, TrackerOptions, Why};
use crate::receive::{Checksum, Limits, PaceOptions};
use crate::store::{Disk, Memory, Store};
use crate::upload::{Owner, Protocol};

/// What a test sends.
#[derive(Clone)]
struct Line(UnboundedSender<Result<Frame<Bytes>, &'static str>>);

struct Piped(
    UnboundedReceiver<Result<Frame<Bytes>, &'static str>>,
    Option<u64>,
);

impl Line {
    fn send(&self, bytes: impl Into<Bytes>) {
        let _ = self.0.send(Ok(Frame::data(bytes.into())));
    }

    fn cut(&self) {
        let _ = self.0.send(Err("reset"));
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

    fn size_hint(&self) -> http_body::SizeHint {
        self.1
            .map_or_else(Default::default, http_body::SizeHint::with_exact)
    }
}

fn line() -> (Line, Body) {
    let (send, receive) = unbounded_channel();
    (Line(send), Body::new(Piped(receive, None)))
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Body::new(http_body_util::Full::<Bytes>::new(bytes.into()))
}

fn append(offset: u64, body: Body) -> Append {
    Append {
        offset,
        length: None,
        body,
        check: None,
        address: [127, 0, 0, 1].into(),
        head: Arc::new(Request::new(()).into_parts().0),
    }
}

/// Everything that unfinished uploads live in.
struct Rig {
    unfinished: Unfinished,
    tracker: Tracker,
    store: Arc<dyn Store>,
}

struct Given {
    options: ResumeOptions,
    admission: AdmissionOptions,
    chain: Chain,
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
        }
    }
}

impl Rig {
    fn start(store: impl Store, given: Given) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        let data = DataThreads::start(2).unwrap();
        let tracker = Tracker::start(TrackerOptions::default());
        let receiver = Receiver {
            store: Arc::clone(&store),
            chain: given.chain,
            limits: Limits::default(),
            pace: PaceOptions::default(),
        };
        let admission = Admission::start(given.admission, &store, &data);
        let naming = Naming::default();
        let tracked = tracker.clone();
        let unfinished =
            Unfinished::start(given.options, receiver, naming, admission, tracked, data);
        Self {
            unfinished,
            tracker,
            store,
        }
    }

    fn memory() -> (Self, Memory) {
        let memory = Memory::new();
        (Self::start(memory.clone(), Given::default()), memory)
    }

    async fn create(&self, length: Option<u64>) -> Status {
        self.create_as(length, None).await.unwrap()
    }

    async fn create_as(
        &self,
        length: Option<u64>,
        concat: Option<Concat>,
    ) -> Result<Status, Error> {
        let mut upload = Upload::new(Protocol::Tus, Owner::from_address([127, 0, 0, 1].into()));
        upload.length = length;
        let mut about = Remembered::of(&upload);
        about.concat = concat.clone();
        about.metadata = Some("filename ZGlzaA==".into());
        let head = FileHead {
            name: Some("dish".into()),
            ..FileHead::default()
        };
        match concat {
            Some(Concat::Final { .. }) => self.unfinished.join(Box::new(upload), about, head).await,
            _ => self.unfinished.create(Box::new(upload), about, head).await,
        }
    }

    fn state(&self, id: &UploadId) -> State {
        self.tracker.by_id(id).unwrap().state()
    }
}

#[tokio::test]
async fn an_upload_is_filled_by_several_requests_and_visible_with_its_last_byte() {
    let (rig, memory) = Rig::memory();
    let begun = rig.create(Some(9)).await;
    assert_eq!(
        (begun.offset, begun.length, begun.complete),
        (0, Some(9), false)
    );
    assert_eq!(rig.state(&begun.id), State::Starting);
    let status = rig
        .unfinished
        .append(&begun.id, append(0, whole("a fr")))
        .await
        .unwrap();
    assert_eq!((status.offset, status.complete), (4, false));
    assert_eq!(rig.state(&begun.id), State::Uploading);
    assert!(memory.names().is_empty());
    assert_eq!(rig.unfinished.held(), (1, 4));
    let status = rig
        .unfinished
        .append(&begun.id, append(4, whole("ied d")))
        .await
        .unwrap();
    assert_eq!((status.offset, status.complete), (9, true));
    assert_eq!(
        status.remembered.metadata.as_deref(),
        Some("filename ZGlzaA==")
    );
    assert_eq!(rig.state(&begun.id), State::Done);
    assert_eq!(memory.bytes("dish").unwrap(), "a fried d");
    assert_eq!(rig.unfinished.held(), (0, 0));
    assert!(rig.unfinished.look(&begun.id).is_none());
    let after = rig.unfinished.settle(&begun.id).await.unwrap();
    assert_eq!(
        (after.offset, after.length, after.complete),
        (9, Some(9), true)
    );
    assert_eq!(after.remembered.metadata, status.remembered.metadata);
}
