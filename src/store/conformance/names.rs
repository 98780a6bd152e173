//! Which file gets which name.

use std::task::Poll;

use super::case::{Case, breathe, file, poll_once};
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::Store;

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
