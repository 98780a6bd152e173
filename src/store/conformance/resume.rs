//! Checkpoints, and going on from them.

use bytes::Bytes;

use super::case::{Case, checkpoint, file, superseded, write};
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::{Session, Store};
use crate::upload::FileHead;

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

/// The file begun last is read back as it was written, before and behind a checkpoint, and nothing of another one is.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_written_is_read_back(store: &dyn Store) {
    if !store.resumes() {
        return;
    }
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["another"]).await;
    file(&mut session, &["on", "e "]).await;
    checkpoint(&mut session, 10, 2).await.expect("checkpoint");
    write(&mut session, &["by one"]).await;
    assert_eq!(read_back(&mut session, 0, 99).await, "one by one");
    assert_eq!(read_back(&mut session, 2, 4).await, "e by");
    for behind in [10, 11] {
        assert_eq!(read_back(&mut session, behind, 9).await, "");
    }
    drop(session);
    let mut session = case.take().await.expect("take");
    assert_eq!(read_back(&mut session, 0, 99).await, "one ");
    write(&mut session, &["more"]).await;
    assert_eq!(read_back(&mut session, 0, 99).await, "one more");
    session.discard_file().await.expect("discard");
    file(&mut session, &[]).await;
    assert_eq!(read_back(&mut session, 0, 99).await, "");
    write(&mut session, &["else"]).await;
    assert_eq!(read_back(&mut session, 0, 99).await, "else");
    let newer = case.take().await.expect("take again");
    let late = session.read_back(0, 9).await;
    assert!(matches!(late, Err(Error::Superseded)), "{late:?}");
    newer.abandon().await.expect("abandon");
}

/// A read may bring less than it could.
async fn read_back(session: &mut Box<dyn Session>, from: u64, most: usize) -> Bytes {
    let mut all = Vec::new();
    while all.len() < most {
        let at = from + all.len() as u64;
        let some = session.read_back(at, most - all.len()).await;
        let some = some.expect("read back");
        if some.is_empty() {
            break;
        }
        all.extend_from_slice(&some);
    }
    all.into()
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
