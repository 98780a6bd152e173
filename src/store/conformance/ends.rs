//! What is not committed is nowhere; what is, stays.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::case::{Case, breathe, checkpoint, file, poll_once};
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::Store;

/// How long an abandoned commit may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// A list of any size at once tells every finished upload once, in the order of the ids. A store that lists nothing
/// passes.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_finished_is_listed(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["one", "two"]).await;
    assert_eq!(case.listed(1).await, None, "listed before its commit");
    case.commit(session, &["a"], OnConflict::Rename)
        .await
        .expect("commit");
    let Some(one_by_one) = case.listed(1).await else {
        return;
    };
    assert_eq!((one_by_one.bytes, one_by_one.there), (6, true));
    assert_eq!(case.listed(1000).await, Some(one_by_one));
}
