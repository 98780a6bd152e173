//! What is removed is gone, and nothing else.

use super::case::{Case, checkpoint, file};
use crate::name::OnConflict;
use crate::store::Store;

/// After `remove` the upload has nothing, and its names are free for others.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_removed_upload_is_nowhere_and_its_names_are_free(store: &dyn Store) {
    let case = Case::new(store);
    let files = [("a", "one"), ("b", "two")];
    case.upload(&files, OnConflict::Reject)
        .await
        .expect("upload");
    assert!(case.remove().await, "it was there");
    case.is_nowhere("after removal").await;
    assert!(!case.remove().await, "a second removal finds nothing");
    let next = case.again();
    next.upload(&files, OnConflict::Reject)
        .await
        .expect("the names are free");
    assert_eq!(next.read(1).await.as_deref(), Some(&b"two"[..]));
}

/// A file that has been replaced is no longer the removed upload's.
///
/// # Panics
/// When the store breaks the promise.
pub async fn removing_leaves_what_took_the_place(store: &dyn Store) {
    let (old, how) = (Case::new(store), OnConflict::Replace);
    old.upload(&[("a", "old"), ("b", "also")], how)
        .await
        .expect("upload");
    let new = old.again();
    new.upload(&[("a", "newer")], how).await.expect("replace");
    assert!(old.remove().await, "one of its files was there");
    old.is_nowhere("after removal").await;
    assert_eq!(new.read(0).await.as_deref(), Some(&b"newer"[..]));
    assert!(new.remove().await, "the newer one can be removed");
    new.is_nowhere("after removal").await;
}

/// `remove` is for finished uploads: it leaves alone what is being written, and the id of nobody.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_not_finished_cannot_be_removed(store: &dyn Store) {
    let case = Case::new(store);
    assert!(!case.remove().await, "never begun");
    let mut session = case.create().await;
    file(&mut session, &["one"]).await;
    assert!(!case.remove().await, "being written");
    checkpoint(&mut session, 3, 1).await.expect("checkpoint");
    assert!(!case.remove().await, "with a checkpoint");
    case.commit(session, &["a"], OnConflict::Rename)
        .await
        .expect("commit");
    assert_eq!(case.read(0).await.as_deref(), Some(&b"one"[..]));
    assert!(case.remove().await, "finished");
}
