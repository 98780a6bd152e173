//! What is due stands and goes with its upload; of a store that keeps nothing of it nothing is asked.

use std::sync::Arc;

use super::case::{Case, file};
use crate::name::OnConflict;
use crate::store::{Due, HandOffs, Store};
use crate::upload::UploadId;

/// What is due is written down with the files, and found under the upload's id until it is settled.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_due_is_known_from_the_commit_on(store: &dyn Store) {
    let Some(notes) = store.hand_offs() else {
        return;
    };
    let case = Case::new(store);
    let mut session = case.create_with(&["one", "two"]).await;
    session.due(b"tell".to_vec());
    assert_eq!(due(&notes, &case.id).await, None, "not stored yet");
    let facts = case.commit(session, &["a", "b"], OnConflict::Rename).await;
    let facts = facts.expect("commit");
    let known = due(&notes, &case.id).await.expect("it is due");
    assert_eq!((&known.note[..], &known.files), (&b"tell"[..], &facts));
    assert_eq!(listed(&notes, &case.id).await.as_ref(), Some(&known));
    assert_eq!(answer(&notes, &case.id).await, None);

    let again = Some(b"again".to_vec());
    assert!(settle(&notes, &case.id, again, None).await);
    let known = due(&notes, &case.id).await.expect("it still is");
    assert_eq!(known.note, b"again");
    assert!(settle(&notes, &case.id, None, Some(b"yes".to_vec())).await);
    assert_eq!(due(&notes, &case.id).await, None, "settled");
    assert_eq!(listed(&notes, &case.id).await, None, "settled");
    assert_eq!(answer(&notes, &case.id).await.as_deref(), Some(&b"yes"[..]));
    let answers = all_answers(&notes).await;
    assert!(answers.contains(&(case.id, b"yes".to_vec())));
    let nothing = settle(&notes, &case.id, Some(b"x".to_vec()), Some(b"no".to_vec()));
    assert!(!nothing.await, "nothing was due");
    assert_eq!(answer(&notes, &case.id).await.as_deref(), Some(&b"yes"[..]));
    notes.forget(&case.id).await.expect("forget");
    assert_eq!(answer(&notes, &case.id).await, None);
    case.holds(0, &["one", "two"]).await;
}

/// What is not committed is not due, nor is a commit that was refused.
///
/// # Panics
/// When the store breaks the promise.
pub async fn nothing_is_due_of_what_is_not_stored(store: &dyn Store) {
    let Some(notes) = store.hand_offs() else {
        return;
    };
    let taken = Case::new(store);
    let stored = taken.upload(&[("a", "one")], OnConflict::Reject).await;
    stored.expect("upload");
    assert_eq!(due(&notes, &taken.id).await, None, "nobody said so");
    let case = taken.again();
    let mut session = case.create_with(&["two"]).await;
    session.due(b"tell".to_vec());
    let refused = case.commit(session, &["a"], OnConflict::Reject).await;
    refused.expect_err("the name is taken");
    assert_eq!(due(&notes, &case.id).await, None, "refused");
    let dropped = taken.again();
    let mut session = dropped.create().await;
    file(&mut session, &["three"]).await;
    session.due(b"tell".to_vec());
    drop(session);
    assert_eq!(due(&notes, &dropped.id).await, None, "dropped");
}

/// Removing an upload takes along what is due of it, and its answer.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_removed_is_due_no_more(store: &dyn Store) {
    let Some(notes) = store.hand_offs() else {
        return;
    };
    for settled in [false, true] {
        let case = Case::new(store);
        let mut session = case.create_with(&["one"]).await;
        session.due(b"tell".to_vec());
        let stored = case.commit(session, &["a"], OnConflict::Rename).await;
        stored.expect("commit");
        if settled {
            assert!(settle(&notes, &case.id, None, Some(b"yes".to_vec())).await);
        }
        assert!(case.remove().await);
        assert_eq!(due(&notes, &case.id).await, None);
        assert_eq!(answer(&notes, &case.id).await, None);
        assert!(!settle(&notes, &case.id, Some(b"x".to_vec()), None).await);
    }
}

/// As long as something is due, an upload is known though somebody else's file has taken its place; its answer outlives it.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_due_outlives_the_files(store: &dyn Store) {
    let Some(notes) = store.hand_offs() else {
        return;
    };
    let case = Case::new(store);
    let mut session = case.create_with(&["one"]).await;
    session.due(b"tell".to_vec());
    let stored = case.commit(session, &["a"], OnConflict::Replace).await;
    let stored = stored.expect("commit");
    let next = case.again();
    let replaced = next.upload(&[("a", "newer")], OnConflict::Replace).await;
    replaced.expect("replace");
    assert_eq!(case.stored().await, None, "its file is gone");
    let listed = case.listed(100).await;
    assert!(
        listed.is_none_or(|listed| listed.there),
        "it is not to be cleared away"
    );
    let known = due(&notes, &case.id).await.expect("it is due all the same");
    assert_eq!(known.files, stored);
    assert!(settle(&notes, &case.id, None, Some(b"yes".to_vec())).await);
    assert_eq!(case.stored().await, None);
    assert!(!case.remove().await, "nothing of it is there");
    assert_eq!(answer(&notes, &case.id).await.as_deref(), Some(&b"yes"[..]));
    notes.forget(&case.id).await.expect("forget");
}

async fn due(notes: &Arc<dyn HandOffs>, id: &UploadId) -> Option<Due> {
    notes.due_of(id).await.expect("due of")
}

async fn answer(notes: &Arc<dyn HandOffs>, id: &UploadId) -> Option<Vec<u8>> {
    notes.answer(id).await.expect("answer")
}

async fn settle(
    notes: &Arc<dyn HandOffs>,
    id: &UploadId,
    due: Option<Vec<u8>>,
    answer: Option<Vec<u8>>,
) -> bool {
    notes.settle(id, due, answer).await.expect("settle")
}

/// What is due of one upload, as a list of one at a time tells it.
async fn listed(notes: &Arc<dyn HandOffs>, id: &UploadId) -> Option<Due> {
    let (mut last, mut found): (Option<UploadId>, _) = (None, None);
    loop {
        let mut some = notes.due(last.as_ref(), 1).await.expect("due");
        assert!(some.len() <= 1, "{} at once", some.len());
        let Some(due) = some.pop() else {
            return found;
        };
        let rises = last.is_none_or(|last| last.as_bytes() < due.id.as_bytes());
        assert!(rises, "not in the order of the ids");
        last = Some(due.id);
        found = Some(due).filter(|due| due.id == *id).or(found);
    }
}

async fn all_answers(notes: &Arc<dyn HandOffs>) -> Vec<(UploadId, Vec<u8>)> {
    let mut all: Vec<(UploadId, Vec<u8>)> = Vec::new();
    loop {
        let last = all.last().map(|(id, _)| *id);
        let some = notes.answers(last.as_ref(), 2).await.expect("answers");
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}
