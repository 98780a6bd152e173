//! What every [`Store`] must do, ours or yours, as plain functions that panic when it does not.
//!
//! ```
//! # fn block_on<F: Future>(f: F) -> F::Output {
//! #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f)
//! # }
//! use dumbwaiter::store::{Memory, conformance};
//!
//! block_on(conformance::all(&Memory::new()));
//! ```
//!
//! Each function makes uploads of its own in a folder of its own, so they may run in any order, at once, and again.
//! [`all`] runs them all. What only a restart shows (what is durable, what is cleared) is the store's own to test.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Checkpoint, FilePoint, Open, Placed, Session, Store};
use crate::error::Error;
use crate::name::{OnConflict, SafePath};
use crate::upload::{FileFacts, FileHead, UploadId};

/// How long an abandoned commit may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the whole suite.
///
/// # Panics
/// When the store breaks one of its promises.
pub async fn all(store: &dyn Store) {
    one_file_comes_back_as_it_was_written(store).await;
    several_files_come_back_in_order(store).await;
    frames_of_any_size_lie_end_to_end(store).await;
    a_file_may_be_empty(store).await;
    an_upload_may_have_no_files(store).await;
    a_discarded_file_leaves_its_place_to_the_next(store).await;
    what_is_not_committed_is_nowhere(store).await;
    an_unknown_id_has_nothing(store).await;
    a_taken_session_goes_on_from_its_checkpoint(store).await;
    an_older_session_is_superseded(store).await;
    the_last_checkpoint_counts(store).await;
    a_discarded_file_of_a_checkpoint_comes_back(store).await;
    an_ended_upload_cannot_be_taken(store).await;
    rename_finds_a_free_name(store).await;
    replace_takes_the_place_of_the_old_file(store).await;
    reject_is_all_or_none(store).await;
    two_files_of_one_upload_never_share_a_name(store).await;
    uploads_at_once_never_share_a_name(store).await;
    a_commit_needs_an_entry_for_each_file(store).await;
    a_commit_survives_its_caller(store).await;
}

/// Create, write, commit, read.
///
/// # Panics
/// When the store breaks the promise.
pub async fn one_file_comes_back_as_it_was_written(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    let head = FileHead {
        field: Some("picture".into()),
        name: Some("../paella.jpg".into()),
        content_type: Some("image/jpeg".into()),
    };
    session.begin_file(&head, Some(6)).await.expect("begin");
    write(&mut session, &["pae", "lla"]).await;
    assert_eq!(case.stored().await, None, "not finished, yet stored");
    let mut placed = case.place("paella.jpg");
    placed.facts = FileFacts {
        digest: Some("sha256:00".into()),
        ..head.into()
    };
    let expected = FileFacts {
        name: Some(case.name("paella.jpg")),
        length: 6,
        ..placed.facts.clone()
    };
    let files = session.commit(vec![placed], OnConflict::Rename).await;
    assert_eq!(files.expect("commit"), std::slice::from_ref(&expected));
    assert_eq!(case.stored().await, Some(vec![expected.clone()]));
    let reader = store.read(&case.id, 0).await.expect("read");
    let mut reader = reader.expect("the file is there");
    assert_eq!(*reader.facts(), expected, "facts of the reader");
    assert_eq!(read(&mut *reader, 2, 3).await, "ell");
    assert_eq!(read(&mut *reader, 6, 3).await, "", "at the end");
    assert_eq!(read(&mut *reader, 99, 3).await, "", "beyond the end");
    assert!(
        case.read(1).await.is_none(),
        "there is no file 1 in an upload of one"
    );
}

/// Several files in one upload, each with its own bytes.
///
/// # Panics
/// When the store breaks the promise.
pub async fn several_files_come_back_in_order(store: &dyn Store) {
    let case = Case::new(store);
    let names = ["c", "deep/er/a", "deep/b"];
    let mut session = case.create().await;
    for name in names {
        file(&mut session, &[name]).await;
    }
    let facts = case.commit(session, &names, OnConflict::Rename).await;
    let facts = facts.expect("commit");
    for (index, name) in names.into_iter().enumerate() {
        assert_eq!(facts[index].name, Some(case.name(name)));
        assert_eq!(case.read(index).await.as_deref(), Some(name.as_bytes()));
    }
    assert_eq!(case.stored().await, Some(facts));
}

/// Empty frames, one-byte frames, thousands at once, a big one.
///
/// # Panics
/// When the store breaks the promise.
pub async fn frames_of_any_size_lie_end_to_end(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    let sizes = [0, 1, 4095, 4096, 4097, 0, 65_537, 1_300_001, 3];
    let big = sizes.map(|size: usize| pattern(size, size));
    let many: Vec<_> = (0..3000).map(|n| pattern(n % 7, n)).collect();
    let expected: Vec<u8> = [&big[..], &many[..]].concat().concat();
    let expect = Some(expected.len() as u64);
    session
        .begin_file(&FileHead::default(), expect)
        .await
        .expect("begin");
    for frames in [big.to_vec(), Vec::new(), many] {
        let mut frames: Vec<_> = frames.into_iter().map(Bytes::from).collect();
        session.write(&mut frames).await.expect("write");
        assert!(frames.is_empty(), "write leaves the vector empty");
    }
    let facts = case.commit(session, &["frames"], OnConflict::Rename).await;
    assert_eq!(facts.expect("commit")[0].length, expected.len() as u64);
    assert!(case.read(0).await.as_deref() == Some(&expected[..]));
}

/// A file without a byte is a file.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_file_may_be_empty(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    session
        .begin_file(&FileHead::default(), Some(0))
        .await
        .expect("begin");
    let facts = case.commit(session, &["empty"], OnConflict::Rename).await;
    assert_eq!(facts.expect("commit")[0].length, 0);
    assert_eq!(case.read(0).await.as_deref(), Some(&b""[..]));
}

/// A form of fields alone is an upload too.
///
/// # Panics
/// When the store breaks the promise.
pub async fn an_upload_may_have_no_files(store: &dyn Store) {
    let case = Case::new(store);
    let session = case.create().await;
    let facts = case.commit(session, &[], OnConflict::Reject).await;
    assert_eq!(facts.expect("commit"), []);
    assert_eq!(case.stored().await, Some(Vec::new()));
    assert!(case.read(0).await.is_none());
}

/// `discard_file` forgets the last file only.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_discarded_file_leaves_its_place_to_the_next(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["first"]).await;
    file(&mut session, &["not wanted"]).await;
    session.discard_file().await.expect("discard");
    file(&mut session, &["second"]).await;
    file(&mut session, &["not wanted either"]).await;
    session.discard_file().await.expect("discard");
    let facts = case.commit(session, &["a", "b"], OnConflict::Rename).await;
    assert_eq!(facts.expect("commit").len(), 2);
    assert_eq!(case.read(0).await.as_deref(), Some(&b"first"[..]));
    assert_eq!(case.read(1).await.as_deref(), Some(&b"second"[..]));
}

/// `abandon` and drop leave nothing behind.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_not_committed_is_nowhere(store: &dyn Store) {
    for kept in [false, true] {
        let case = Case::new(store);
        let mut session = case.create().await;
        file(&mut session, &["gone"]).await;
        if kept {
            checkpoint(&mut session, 4, 1).await.expect("checkpoint");
        }
        session.abandon().await.expect("abandon");
        case.is_nowhere("after abandon").await;
    }
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["gone"]).await;
    drop(session);
    case.is_nowhere("after drop").await;
}

/// Nobody has heard of it.
///
/// # Panics
/// When the store breaks the promise.
pub async fn an_unknown_id_has_nothing(store: &dyn Store) {
    Case::new(store).is_nowhere("never begun").await;
}

/// Checkpoint, drop, take: the bytes after the checkpoint are gone, those before it are not.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_taken_session_goes_on_from_its_checkpoint(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    assert!(session.resumed().is_none(), "a new session resumes nothing");
    file(&mut session, &["whole"]).await;
    file(&mut session, &["half"]).await;
    let offset = checkpoint(&mut session, 77, 2).await;
    assert_eq!(offset.expect("checkpoint"), 77);
    write(&mut session, &["lost"]).await;
    file(&mut session, &["lost too"]).await;
    drop(session);
    assert_eq!(case.stored().await, None, "only begun, yet stored");

    let mut session = case.take().await.expect("take");
    let resumed = session.resumed().expect("a taken session has a checkpoint");
    assert_eq!((resumed.offset, &resumed.parser[..]), (77, &b"state"[..]));
    let stored: Vec<_> = resumed.files.iter().map(|file| file.stored).collect();
    assert_eq!(stored, [5, 4], "bytes kept of each file");
    assert_eq!(resumed.files[1].facts.field.as_deref(), Some("field 1"));
    write(&mut session, &[" and half"]).await;
    file(&mut session, &["new"]).await;
    let names = ["whole", "half", "new"];
    case.commit(session, &names, OnConflict::Rename)
        .await
        .expect("commit");
    for (index, expected) in ["whole", "half and half", "new"].into_iter().enumerate() {
        assert_eq!(case.read(index).await.as_deref(), Some(expected.as_bytes()));
    }
}

/// Of several sessions only the newest can do anything.
///
/// # Panics
/// When the store breaks the promise.
pub async fn an_older_session_is_superseded(store: &dyn Store) {
    let case = Case::new(store);
    let mut oldest = case.create().await;
    file(&mut oldest, &["kept"]).await;
    checkpoint(&mut oldest, 4, 1).await.expect("checkpoint");
    let mut older = case.take().await.expect("take");
    let mut newest = case.take().await.expect("take again");
    let epoch = |s: &dyn Session| s.resumed().map(|c| c.epoch);
    assert!(epoch(&*newest) > epoch(&*older), "epochs rise");

    for old in [&mut oldest, &mut older] {
        let mut frames = vec![Bytes::from_static(b"late")];
        superseded(old.write(&mut frames).await);
        superseded(old.begin_file(&FileHead::default(), None).await);
        superseded(old.discard_file().await);
        superseded(checkpoint(old, 5, 1).await);
    }
    superseded(case.commit(older, &["a"], OnConflict::Rename).await);
    superseded(oldest.abandon().await);
    write(&mut newest, &[" on"]).await;
    case.commit(newest, &["a"], OnConflict::Rename)
        .await
        .expect("commit");
    assert_eq!(case.read(0).await.as_deref(), Some(&b"kept on"[..]));
}

/// A later checkpoint takes the place of an earlier one, also across sessions.
///
/// # Panics
/// When the store breaks the promise.
pub async fn the_last_checkpoint_counts(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["1"]).await;
    checkpoint(&mut session, 1, 1).await.expect("checkpoint");
    write(&mut session, &["2"]).await;
    checkpoint(&mut session, 2, 1).await.expect("checkpoint");
    drop(session);
    let mut session = case.take().await.expect("take");
    write(&mut session, &["3"]).await;
    checkpoint(&mut session, 3, 1).await.expect("checkpoint");
    write(&mut session, &["4"]).await;
    drop(session);
    let session = case.take().await.expect("take again");
    let resumed = session.resumed().expect("a checkpoint");
    assert_eq!((resumed.offset, resumed.files[0].stored), (3, 3));
    case.commit(session, &["a"], OnConflict::Rename)
        .await
        .expect("commit");
    assert_eq!(case.read(0).await.as_deref(), Some(&b"123"[..]));
}

/// What is discarded after a checkpoint is still there for whoever goes on from it.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_discarded_file_of_a_checkpoint_comes_back(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["needed"]).await;
    checkpoint(&mut session, 6, 1).await.expect("checkpoint");
    session.discard_file().await.expect("discard");
    file(&mut session, &["another"]).await;
    drop(session);
    let session = case.take().await.expect("take");
    case.commit(session, &["a"], OnConflict::Rename)
        .await
        .expect("commit");
    assert_eq!(case.read(0).await.as_deref(), Some(&b"needed"[..]));
}

/// After commit and abandon there is no checkpoint any more.
///
/// # Panics
/// When the store breaks the promise.
pub async fn an_ended_upload_cannot_be_taken(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["done"]).await;
    checkpoint(&mut session, 4, 1).await.expect("checkpoint");
    case.commit(session, &["a"], OnConflict::Rename)
        .await
        .expect("commit");
    let taken = case.take().await.map(|_| ());
    assert!(matches!(taken, Err(Error::NotFound)), "{taken:?}");
    assert_eq!(case.read(0).await.as_deref(), Some(&b"done"[..]));
}

/// `rename`: both files stay, the later one under a name near its own.
///
/// # Panics
/// When the store breaks the promise.
pub async fn rename_finds_a_free_name(store: &dyn Store) {
    let case = Case::new(store);
    let first = case
        .upload(&[("a/b.jpg", "first")], OnConflict::Rename)
        .await;
    let first = first.expect("commit");
    for n in 1..4 {
        let again = case.again();
        let facts = again
            .upload(&[("a/b.jpg", "again")], OnConflict::Rename)
            .await;
        let name = facts.expect("commit")[0].name.clone().expect("a name");
        assert_eq!(name, case.name(&format!("a/b-{n}.jpg")));
        assert_eq!(again.read(0).await.as_deref(), Some(&b"again"[..]));
    }
    assert_eq!(first[0].name, Some(case.name("a/b.jpg")));
    assert_eq!(case.read(0).await.as_deref(), Some(&b"first"[..]));
}

/// `replace`: the new file has the name, and the old upload's id does not lead to it.
///
/// # Panics
/// When the store breaks the promise.
pub async fn replace_takes_the_place_of_the_old_file(store: &dyn Store) {
    let case = Case::new(store);
    let old = [("a", "old a"), ("b", "old b"), ("c", "old c")];
    case.upload(&old, OnConflict::Replace)
        .await
        .expect("commit");
    let again = case.again();
    let new = [
        ("b", "new b, longer"),
        ("a", "new a, longer"),
        ("d", "new d"),
    ];
    let facts = again
        .upload(&new, OnConflict::Replace)
        .await
        .expect("commit");
    for (index, (name, content)) in new.into_iter().enumerate() {
        assert_eq!(facts[index].name, Some(case.name(name)));
        assert_eq!(again.read(index).await.as_deref(), Some(content.as_bytes()));
    }
    assert_eq!(case.read(2).await.as_deref(), Some(&b"old c"[..]));
    for index in [0, 1] {
        let read = case.read(index).await;
        assert_eq!(read, None, "the old id leads to somebody else's file");
    }
}

/// `reject`: one taken name, and nothing of the upload is visible.
///
/// # Panics
/// When the store breaks the promise.
pub async fn reject_is_all_or_none(store: &dyn Store) {
    let case = Case::new(store);
    case.upload(&[("b", "first")], OnConflict::Reject)
        .await
        .expect("commit");
    let again = case.again();
    let refused = again
        .upload(&[("a", "1"), ("b", "2"), ("c", "3")], OnConflict::Reject)
        .await;
    match refused {
        Err(Error::NameTaken { name }) => assert_eq!(name, case.name("b")),
        other => panic!("a taken name was not refused: {other:?}"),
    }
    again.is_nowhere("after a refused commit").await;
    let others = case.again();
    let facts = others
        .upload(&[("a", "1"), ("c", "3")], OnConflict::Reject)
        .await;
    assert_eq!(facts.expect("the names are free").len(), 2);
    assert_eq!(case.read(0).await.as_deref(), Some(&b"first"[..]));
}

/// The same place twice in one upload: with `rename` and `replace` the later file gets a suffix, so that neither is
/// lost; with `reject` the upload fails.
///
/// # Panics
/// When the store breaks the promise.
pub async fn two_files_of_one_upload_never_share_a_name(store: &dyn Store) {
    for on_conflict in [OnConflict::Rename, OnConflict::Replace] {
        let case = Case::new(store);
        let twins = [("a.jpg", "one"), ("a.jpg", "other")];
        let facts = case.upload(&twins, on_conflict).await.expect("commit");
        assert_eq!(facts[0].name, Some(case.name("a.jpg")));
        assert_eq!(facts[1].name, Some(case.name("a-1.jpg")));
        assert_eq!(case.read(0).await.as_deref(), Some(&b"one"[..]));
        assert_eq!(case.read(1).await.as_deref(), Some(&b"other"[..]));
    }
    let case = Case::new(store);
    let twins = [("a.jpg", "one"), ("a.jpg", "other")];
    let refused = case.upload(&twins, OnConflict::Reject).await;
    assert!(
        matches!(refused, Err(Error::NameTaken { .. })),
        "{refused:?}"
    );
    case.is_nowhere("after a refused commit").await;
}

/// Commits of the same names that run at the same time.
///
/// # Panics
/// When the store breaks the promise.
pub async fn uploads_at_once_never_share_a_name(store: &dyn Store) {
    let case = Case::new(store);
    let places = ["x", "y"];
    for on_conflict in [OnConflict::Rename, OnConflict::Replace, OnConflict::Reject] {
        let mut under_way = Vec::new();
        for n in 0..8 {
            let one = case.again();
            let mut session = one.create().await;
            let content = format!("{n} {on_conflict:?}");
            for _ in places {
                file(&mut session, &[&content]).await;
            }
            let placed = places.iter().map(|name| one.place(name)).collect();
            let commit = session.commit(placed, on_conflict);
            under_way.push((one, content, Some(commit), None));
        }
        // All of them are polled in turn, so that each step of one may meet any step of another.
        while under_way.iter().any(|(_, _, commit, _)| commit.is_some()) {
            for (_, _, commit, done) in &mut under_way {
                if let Some(running) = commit
                    && let Poll::Ready(how) = poll_once(running.as_mut())
                {
                    *done = Some(how);
                    *commit = None;
                }
            }
            breathe().await;
        }
        let mut visible = 0;
        for (one, content, _, done) in &under_way {
            let whole = [one.read(0).await, one.read(1).await];
            let whole = whole.map(|file| file.as_deref() == Some(content.as_bytes()));
            assert_eq!(whole[0], whole[1], "half of an upload, {on_conflict:?}");
            visible += usize::from(whole[0]);
            let ok = matches!(done, Some(Ok(_)));
            let refused = matches!(done, Some(Err(Error::NameTaken { .. })));
            assert_eq!(ok, on_conflict != OnConflict::Reject, "{done:?}");
            assert!(ok || refused, "{done:?}");
        }
        let expected = match on_conflict {
            OnConflict::Rename => 8,
            OnConflict::Replace => 1,
            OnConflict::Reject => 0,
        };
        assert_eq!(visible, expected, "visible uploads, {on_conflict:?}");
    }
}

/// A commit with too few or too many entries fails and shows nothing.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_commit_needs_an_entry_for_each_file(store: &dyn Store) {
    for names in [&[][..], &["a", "b"]] {
        let case = Case::new(store);
        let mut session = case.create().await;
        file(&mut session, &["one"]).await;
        let how = case.commit(session, names, OnConflict::Rename).await;
        assert!(matches!(how, Err(Error::Store { .. })), "{how:?}");
        case.is_nowhere("after a commit that could not be").await;
    }
}

/// A commit whose future is dropped after its first step comes to its end all the same.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_commit_survives_its_caller(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["one"]).await;
    file(&mut session, &["two"]).await;
    let placed = vec![case.place("a"), case.place("b")];
    // The answer of the first poll is of no interest: a quick store is done already.
    let _ = poll_once(pin!(session.commit(placed, OnConflict::Reject)));
    let begun = Instant::now();
    while case.stored().await.is_none() {
        assert!(begun.elapsed() < PATIENCE, "the commit never ended");
        breathe().await;
    }
    assert_eq!(case.read(0).await.as_deref(), Some(&b"one"[..]));
    assert_eq!(case.read(1).await.as_deref(), Some(&b"two"[..]));
}

/// One upload in a folder that no other case uses.
struct Case<'s> {
    store: &'s dyn Store,
    id: UploadId,
    folder: String,
}

impl<'s> Case<'s> {
    fn new(store: &'s dyn Store) -> Self {
        Self {
            store,
            id: UploadId::random(),
            folder: UploadId::random().to_string(),
        }
    }

    /// Another upload in the same folder.
    fn again(&self) -> Self {
        Self {
            id: UploadId::random(),
            folder: self.folder.clone(),
            store: self.store,
        }
    }

    async fn create(&self) -> Box<dyn Session> {
        let session = self.store.open(&self.id, Open::Create).await;
        session.expect("a new session")
    }

    async fn take(&self) -> Result<Box<dyn Session>, Error> {
        self.store.open(&self.id, Open::Take).await
    }

    async fn upload(
        &self,
        files: &[(&str, &str)],
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        let mut session = self.create().await;
        for (_, content) in files {
            file(&mut session, &[content]).await;
        }
        let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
        self.commit(session, &names, on_conflict).await
    }

    async fn commit(
        &self,
        session: Box<dyn Session>,
        names: &[&str],
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        let placed = names.iter().map(|name| self.place(name)).collect();
        session.commit(placed, on_conflict).await
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn place(&self, name: &str) -> Placed {
        Placed {
            place: SafePath::from_stored(&self.name(name)).expect("a safe path"),
            facts: FileFacts::default(),
        }
    }

    async fn stored(&self) -> Option<Vec<FileFacts>> {
        self.store.stored(&self.id).await.expect("stored")
    }

    async fn read(&self, index: usize) -> Option<Vec<u8>> {
        let mut reader = self.store.read(&self.id, index).await.expect("read")?;
        let mut bytes = Vec::new();
        loop {
            let more = reader.read_at(bytes.len() as u64, 100_003).await;
            match more.expect("read at") {
                more if more.is_empty() => return Some(bytes),
                more => bytes.extend_from_slice(&more),
            }
        }
    }

    async fn is_nowhere(&self, when: &str) {
        assert_eq!(self.stored().await, None, "{when}");
        assert!(self.read(0).await.is_none(), "{when}");
        let taken = self.take().await.map(|_| ());
        assert!(matches!(taken, Err(Error::NotFound)), "{when}: {taken:?}");
    }
}

async fn file(session: &mut Box<dyn Session>, frames: &[&str]) {
    let begun = session.begin_file(&FileHead::default(), None).await;
    begun.expect("begin");
    write(session, frames).await;
}

async fn write(session: &mut Box<dyn Session>, frames: &[&str]) {
    let mut frames = frames
        .iter()
        .map(|frame| Bytes::copy_from_slice(frame.as_bytes()))
        .collect();
    session.write(&mut frames).await.expect("write");
}

async fn checkpoint(
    session: &mut Box<dyn Session>,
    offset: u64,
    files: usize,
) -> Result<u64, Error> {
    let mut checkpoint = Checkpoint::at(offset, b"state".to_vec());
    checkpoint.files = (0..files)
        .map(|n| FilePoint {
            facts: FileFacts {
                field: Some(format!("field {n}")),
                ..FileFacts::default()
            },
            stored: 0,
        })
        .collect();
    session.checkpoint(checkpoint).await
}

async fn read(reader: &mut dyn super::Reader, offset: u64, max: usize) -> Bytes {
    reader.read_at(offset, max).await.expect("read at")
}

fn superseded<T>(how: Result<T, Error>) {
    match how {
        Err(Error::Superseded) => {}
        Err(e) => panic!("not superseded, but {e:?}"),
        Ok(_) => panic!("not superseded"),
    }
}

/// `size` bytes that no other place in the file has.
fn pattern(size: usize, seed: usize) -> Vec<u8> {
    let byte = |n: usize| (n.wrapping_mul(31).wrapping_add(seed.wrapping_mul(17)) >> 3) as u8;
    (0..size).map(byte).collect()
}

fn poll_once<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Gives other tasks and threads a moment.
async fn breathe() {
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
