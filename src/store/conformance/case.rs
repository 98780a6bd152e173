//! One upload to try things with.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::name::{OnConflict, SafePath};
use crate::store::{Checkpoint, FilePoint, Finished, Open, Placed, Reader, Session, Store};
use crate::upload::{FileFacts, FileHead, UploadId};

/// One upload in a folder that no other case uses.
pub(super) struct Case<'s> {
    pub(super) store: &'s dyn Store,
    pub(super) id: UploadId,
    folder: String,
}

impl<'s> Case<'s> {
    pub(super) fn new(store: &'s dyn Store) -> Self {
        Self {
            store,
            id: UploadId::random(),
            folder: UploadId::random().to_string(),
        }
    }

    /// Another upload in the same folder.
    pub(super) fn again(&self) -> Self {
        Self {
            id: UploadId::random(),
            folder: self.folder.clone(),
            store: self.store,
        }
    }

    pub(super) async fn create(&self) -> Box<dyn Session> {
        let session = self.store.open(&self.id, Open::Create).await;
        session.expect("a new session")
    }

    /// A session with one file of each content, none of which is kept yet.
    pub(super) async fn create_with(&self, contents: &[&str]) -> Box<dyn Session> {
        let mut session = self.create().await;
        for content in contents {
            file(&mut session, &[content]).await;
        }
        session
    }

    pub(super) async fn take(&self) -> Result<Box<dyn Session>, Error> {
        self.store.open(&self.id, Open::Take).await
    }

    pub(super) async fn upload(
        &self,
        files: &[(&str, &str)],
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        let (names, contents): (Vec<_>, Vec<_>) = files.iter().copied().unzip();
        let session = self.create_with(&contents).await;
        self.commit(session, &names, on_conflict).await
    }

    pub(super) async fn commit(
        &self,
        session: Box<dyn Session>,
        names: &[&str],
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        let placed = names.iter().map(|name| self.place(name)).collect();
        session.commit(placed, on_conflict).await
    }

    pub(super) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    pub(super) fn place(&self, name: &str) -> Placed {
        Placed {
            place: SafePath::from_stored(&self.name(name)).expect("a safe path"),
            facts: FileFacts::default(),
        }
    }

    pub(super) async fn stored(&self) -> Option<Vec<FileFacts>> {
        self.store.stored(&self.id).await.expect("stored")
    }

    /// Checks what the upload's files hold, from the one at `first` on.
    pub(super) async fn holds(&self, first: usize, contents: &[&str]) {
        for (index, content) in (first..).zip(contents) {
            assert_eq!(self.read(index).await.as_deref(), Some(content.as_bytes()));
        }
    }

    pub(super) async fn read(&self, index: usize) -> Option<Vec<u8>> {
        let reader = self.store.read(&self.id, index).await;
        Some(all_of(reader.expect("read")?).await)
    }

    pub(super) async fn read_unfinished(&self, index: usize) -> Option<Vec<u8>> {
        let reader = self.store.read_unfinished(&self.id, index).await;
        Some(all_of(reader.expect("read")?).await)
    }

    pub(super) async fn remove(&self) -> bool {
        self.store.remove(&self.id).await.expect("remove")
    }

    /// The upload as a list of at most `most` at once tells it, from the first to the last; each at most once, in
    /// order.
    pub(super) async fn listed(&self, most: usize) -> Option<Finished> {
        let (mut last, mut found): (Option<UploadId>, _) = (None, None);
        loop {
            let some = self.store.list(last.as_ref(), most).await.expect("list");
            assert!(some.len() <= most, "{} at once", some.len());
            let Some(end) = some.last() else {
                return found;
            };
            let ids = some.iter().map(|upload| upload.id);
            let ids: Vec<_> = last.into_iter().chain(ids).collect();
            let rise = |pair: &[UploadId]| pair[0].as_bytes() < pair[1].as_bytes();
            assert!(ids.windows(2).all(rise), "not in the order of the ids");
            last = Some(end.id);
            found = some
                .into_iter()
                .find(|upload| upload.id == self.id)
                .or(found);
        }
    }

    pub(super) async fn is_nowhere(&self, when: &str) {
        assert_eq!(self.stored().await, None, "{when}");
        assert!(self.read(0).await.is_none(), "{when}");
        let taken = self.take().await.map(|_| ());
        assert!(matches!(taken, Err(Error::NotFound)), "{when}: {taken:?}");
    }
}

async fn all_of(mut reader: Box<dyn Reader>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = reader.read_at(bytes.len() as u64, 100_003).await;
        match more.expect("read at") {
            more if more.is_empty() => return bytes,
            more => bytes.extend_from_slice(&more),
        }
    }
}

pub(super) async fn file(session: &mut Box<dyn Session>, frames: &[&str]) {
    let begun = session.begin_file(&FileHead::default(), None).await;
    begun.expect("begin");
    write(session, frames).await;
}

pub(super) async fn write(session: &mut Box<dyn Session>, frames: &[&str]) {
    let mut frames = frames
        .iter()
        .map(|frame| Bytes::copy_from_slice(frame.as_bytes()))
        .collect();
    session.write(&mut frames).await.expect("write");
}

pub(super) async fn checkpoint(
    session: &mut Box<dyn Session>,
    offset: u64,
    files: usize,
) -> Result<u64, Error> {
    let mut checkpoint = Checkpoint::at(offset, b"state".to_vec());
    checkpoint.files = points(files);
    session.checkpoint(checkpoint).await
}

/// So many files as a checkpoint is given them.
pub(super) fn points(files: usize) -> Vec<FilePoint> {
    let point = |n| FilePoint {
        facts: FileFacts {
            field: Some(format!("field {n}")),
            ..FileFacts::default()
        },
        stored: 0,
    };
    (0..files).map(point).collect()
}

pub(super) async fn read(reader: &mut dyn Reader, offset: u64, max: usize) -> Bytes {
    reader.read_at(offset, max).await.expect("read at")
}

pub(super) fn superseded<T>(how: Result<T, Error>) {
    match how {
        Err(Error::Superseded) => {}
        Err(e) => panic!("not superseded, but {e:?}"),
        Ok(_) => panic!("not superseded"),
    }
}

/// `size` bytes that no other place in the file has.
pub(super) fn pattern(size: usize, seed: usize) -> Vec<u8> {
    let byte = |n: usize| (n.wrapping_mul(31).wrapping_add(seed.wrapping_mul(17)) >> 3) as u8;
    (0..size).map(byte).collect()
}

pub(super) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Gives other tasks and threads a moment.
pub(super) async fn breathe() {
    std::thread::sleep(Duration::from_millis(1));
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
