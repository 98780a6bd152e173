//! A pump that is not ours around parts that are: hyper's body, the form parser, a file; and, where asked for, progress.

use std::pin::Pin;

use bytes::Bytes;
use dumbwaiter::progress::{Tap, Tracker};
use dumbwaiter::protocol::headers::form_boundary;
use dumbwaiter::protocol::multipart::{Form, PartLimits};
use dumbwaiter::receive::{Body, Piece, Split as _};
use dumbwaiter::store::{Open, Store as _};
use dumbwaiter::upload::{FileFacts, FileHead, Owner, Protocol, Upload};
use dumbwaiter::{Error, UploadId};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::sink::Sink;

/// What the pump does for progress, if anything.
#[derive(Clone)]
pub(crate) enum Tracking {
    Nothing,
    /// It counts into a record.
    Counts(Tracker),
    /// It also hears when somebody wants the upload to end, as ours does.
    Hears(Tracker),
}

/// Serves one form on `stream`.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    store: Sink,
    tracking: Tracking,
) -> anyhow::Result<()> {
    let (store, tracking) = (&store, &tracking);
    let answer = service_fn(move |request: Request<Incoming>| async move {
        let limits = PartLimits::default();
        let boundary = form_boundary(request.headers(), limits.boundary_bytes)?;
        let split = Form::new(&boundary, limits);
        let body = Body::new(request.into_body());
        match tracking {
            Tracking::Nothing => pump(body, split, store, &mut Untold).await?,
            Tracking::Counts(tracker) => {
                let mut counted = Counted::begin(tracker);
                pump(body, split, store, &mut counted).await?;
                counted.0.done(&[FileFacts::default()]);
            }
            Tracking::Hears(tracker) => {
                let mut heard = Heard::begin(tracker);
                pump(body, split, store, &mut heard).await?;
                heard.counted.0.done(&[FileFacts::default()]);
            }
        }
        Ok::<_, Error>(Response::new(Full::new(Bytes::new())))
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    Ok(served.await?)
}

/// What the pump does for progress.
trait Progress {
    /// The body's next frames, unless the upload is to end.
    async fn frames(&mut self, body: &mut Body, to: &mut Vec<Bytes>) -> Result<bool, Error>;
    fn begin_file(&self, _: &FileHead) {}
    fn end_file(&self) {}
}

/// Nothing.
struct Untold;

impl Progress for Untold {
    async fn frames(&mut self, body: &mut Body, to: &mut Vec<Bytes>) -> Result<bool, Error> {
        body.frames(to).await
    }
}

/// One addition a read.
struct Counted(Tap);

impl Counted {
    fn begin(tracker: &Tracker) -> Self {
        let owner = Owner::from_address([127, 0, 0, 1].into());
        Self(tracker.begin(&Upload::new(Protocol::Form, owner)))
    }

    fn took(&self, frames: &[Bytes]) {
        self.0
            .received(frames.iter().map(|frame| frame.len() as u64).sum());
    }
}

impl Progress for Counted {
    async fn frames(&mut self, body: &mut Body, to: &mut Vec<Bytes>) -> Result<bool, Error> {
        let more = body.frames(to).await?;
        self.took(to);
        Ok(more)
    }

    fn begin_file(&self, head: &FileHead) {
        self.0.begin_file(head);
    }

    fn end_file(&self) {
        self.0.end_file(&FileFacts::default());
    }
}

/// All that ours does.
struct Heard {
    counted: Counted,
    halted: Pin<Box<dyn Future<Output = Error> + Send>>,
}

impl Heard {
    fn begin(tracker: &Tracker) -> Self {
        let counted = Counted::begin(tracker);
        let halted = Box::pin(counted.0.halted());
        Self { counted, halted }
    }
}

impl Progress for Heard {
    async fn frames(&mut self, body: &mut Body, to: &mut Vec<Bytes>) -> Result<bool, Error> {
        let more = tokio::select! {
            biased;
            more = body.frames(to) => more?,
            halt = &mut self.halted => return Err(halt),
        };
        self.counted.0.go_on()?;
        self.counted.took(to);
        Ok(more)
    }

    fn begin_file(&self, head: &FileHead) {
        self.counted.begin_file(head);
    }

    fn end_file(&self) {
        self.counted.end_file();
    }
}

async fn pump(
    mut body: Body,
    mut split: Form,
    store: &Sink,
    progress: &mut impl Progress,
) -> Result<(), Error> {
    let mut session = store.open(&UploadId::random(), Open::Create).await?;
    let (mut frames, mut pieces, mut file) = (Vec::new(), Vec::new(), false);
    let mut write = Vec::new();
    while progress.frames(&mut body, &mut frames).await? {
        for frame in frames.drain(..) {
            split.split(frame, &mut pieces)?;
        }
        for piece in pieces.drain(..) {
            match piece {
                Piece::File(head) => {
                    session.begin_file(&head, None).await?;
                    progress.begin_file(&head);
                    file = true;
                }
                Piece::Data(bytes) if file => write.push(bytes),
                Piece::End if file => progress.end_file(),
                _ => {}
            }
        }
        if !write.is_empty() {
            session.write(&mut write).await?;
        }
        tokio::task::yield_now().await;
    }
    split.finish(&mut pieces)?;
    session.abandon().await
}
