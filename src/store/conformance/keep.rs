//! Files kept one by one.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::case::{Case, breathe, checkpoint, poll_once};
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::Store;

/// How long a keeping that nobody waits for may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// One file of three is kept: it is there before the session ends, and only it after.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_file_kept_by_itself_is_there_and_the_others_go(store: &dyn Store) {
    for saved in [false, true] {
        let case = Case::new(store);
        let mut session = case.create_with(&["one", "two, longer", "three"]).await;
        if saved {
            checkpoint(&mut session, 20, 3).await.expect("checkpoint");
        }
        assert_eq!(case.stored().await, None, "nothing is kept yet");
        let kept = session.keep(1, case.place("b"), OnConflict::Reject).await;
        let kept = kept.expect("keep");
        assert_eq!((kept.name, kept.length), (Some(case.name("b")), 11));
        assert_eq!(case.read(0).await.as_deref(), Some(&b"two, longer"[..]));
        drop(session);
        assert_eq!(case.stored().await.map(|files| files.len()), Some(1));
        assert_eq!(case.read(0).await.as_deref(), Some(&b"two, longer"[..]));
        assert_eq!(case.read(1).await, None);
        let taken = case.take().await.map(|_| ());
        assert!(matches!(taken, Err(Error::NotFound)), "{taken:?}");
        let next = case.again();
        let names = [("a", "free"), ("c", "free")];
        let facts = next.upload(&names, OnConflict::Reject).await;
        facts.expect("the names of the others are free");
        assert!(case.remove().await, "what was kept can be removed");
        case.is_nowhere("after removal").await;
    }
}

/// The upload's first file is the one that was kept first, and `remove` finds all of them.
///
/// # Panics
/// When the store breaks the promise.
pub async fn kept_files_are_remembered_in_the_order_of_keeping(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create_with(&["one", "two", "three"]).await;
    for (index, name) in [(2, "c"), (0, "a"), (1, "b")] {
        let kept = session
            .keep(index, case.place(name), OnConflict::Reject)
            .await;
        kept.expect("keep");
    }
    drop(session);
    let names: Option<Vec<_>> = case.stored().await.map(|files| {
        let names = files.into_iter().map(|facts| facts.name);
        names.flatten().collect()
    });
    assert_eq!(names, Some(["c", "a", "b"].map(|n| case.name(n)).to_vec()));
    case.holds(0, &["three", "one", "two"]).await;
    assert!(case.remove().await);
    case.is_nowhere("after removal").await;
}

/// `rename` and `replace`, also against files of the same upload.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_kept_file_follows_the_rule_for_taken_names(store: &dyn Store) {
    let case = Case::new(store);
    let old = case.again();
    old.upload(&[("a.jpg", "old")], OnConflict::Reject)
        .await
        .expect("upload");
    let mut session = case.create_with(&["one", "two", "three", "four"]).await;
    for (index, how, name) in [
        (0, OnConflict::Rename, "a-1.jpg"),
        (1, OnConflict::Replace, "a.jpg"),
        (2, OnConflict::Rename, "a-2.jpg"),
        // What it would replace is of the same upload.
        (3, OnConflict::Replace, "a-3.jpg"),
    ] {
        let kept = session.keep(index, case.place("a.jpg"), how).await;
        assert_eq!(kept.expect("keep").name, Some(case.name(name)));
    }
    drop(session);
    assert_eq!(old.read(0).await, None, "it was replaced");
    case.holds(1, &["two", "three", "four"]).await;
}

/// `reject` refuses a taken name and leaves the file to be kept elsewhere, and those kept before as they are.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_refused_file_can_be_kept_under_another_name(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create_with(&["one", "two"]).await;
    let how = OnConflict::Reject;
    session.keep(0, case.place("a"), how).await.expect("keep");
    match session.keep(1, case.place("a"), how).await {
        Err(Error::NameTaken { name }) => assert_eq!(name, case.name("a")),
        other => panic!("a taken name was not refused: {other:?}"),
    }
    assert_eq!(case.stored().await.map(|files| files.len()), Some(1));
    session.keep(1, case.place("b"), how).await.expect("keep");
    drop(session);
    case.holds(0, &["one", "two"]).await;
}

/// No file is kept twice, and none that is not there; a commit of the rest is refused.
///
/// # Panics
/// When the store breaks the promise.
pub async fn an_upload_kept_in_part_cannot_be_committed(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create_with(&["one", "two"]).await;
    let how = OnConflict::Rename;
    session.keep(0, case.place("a"), how).await.expect("keep");
    for index in [0, 2] {
        let again = session.keep(index, case.place("b"), how).await;
        assert!(matches!(again, Err(Error::Store { .. })), "{again:?}");
    }
    let rest = case.commit(session, &["a", "b"], how).await;
    assert!(matches!(rest, Err(Error::Store { .. })), "{rest:?}");
    assert_eq!(case.stored().await.map(|files| files.len()), Some(1));
    assert_eq!(case.read(0).await.as_deref(), Some(&b"one"[..]));
}

/// A keeping whose future is dropped after its first step, and its session with it, comes to its end all the same.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_kept_file_survives_its_caller(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create_with(&["one", "two"]).await;
    // The answer of the first poll is of no interest: a quick store is done already.
    let _ = poll_once(pin!(session.keep(1, case.place("b"), OnConflict::Reject)));
    drop(session);
    let begun = Instant::now();
    while case.stored().await.is_none() {
        assert!(begun.elapsed() < PATIENCE, "the file was never kept");
        breathe().await;
    }
    assert_eq!(case.read(0).await.as_deref(), Some(&b"two"[..]));
    assert_eq!(case.read(1).await, None);
}

/// What was removed while its session goes on does not come back with the next file.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_removed_upload_keeps_nothing_more(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create_with(&["one", "two"]).await;
    let how = OnConflict::Reject;
    session.keep(0, case.place("a"), how).await.expect("keep");
    assert!(case.remove().await, "what was kept so far");
    let kept = session.keep(1, case.place("b"), how).await;
    assert!(matches!(kept, Err(Error::Cancelled)), "{kept:?}");
    drop(session);
    case.is_nowhere("after removal").await;
    let names = [("a", "free"), ("b", "free")];
    let next = case.again().upload(&names, how).await;
    next.expect("both names are free");
}
