//! What is written comes back.

use bytes::Bytes;

use super::case::{Case, file, pattern, read, write};
use crate::name::OnConflict;
use crate::store::Store;
use crate::upload::{FileFacts, FileHead};

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
    let stray = session.write(&mut vec![Bytes::from_static(b"stray")]).await;
    assert!(stray.is_err(), "written to no file");
    file(&mut session, &["second"]).await;
    file(&mut session, &["not wanted either"]).await;
    session.discard_file().await.expect("discard");
    let facts = case.commit(session, &["a", "b"], OnConflict::Rename).await;
    assert_eq!(facts.expect("commit").len(), 2);
    assert_eq!(case.read(0).await.as_deref(), Some(&b"first"[..]));
    assert_eq!(case.read(1).await.as_deref(), Some(&b"second"[..]));
}

/// What a session has written it can give back, file by file, until it is dropped.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_session_reads_its_files_back_by_number(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create_with(&["one", "", "not wanted"]).await;
    session.discard_file().await.expect("discard");
    // More than a store may keep open.
    let many: Vec<_> = (2..100).map(|n| format!("file {n}")).collect();
    for content in &many {
        file(&mut session, &[content]).await;
    }
    let contents = ["one", ""]
        .into_iter()
        .chain(many.iter().map(String::as_str));
    for (index, content) in contents.enumerate() {
        for (offset, max) in [(0, 4), (2, 100), (3, 0), (9, 9)] {
            let from = content.len().min(offset);
            let expected = &content[from..content.len().min(from + max)];
            let got = session.read_file(index, offset as u64, max).await;
            assert_eq!(got.expect("read file"), expected, "file {index}");
        }
    }
    assert!(session.read_file(100, 0, 1).await.is_err());
    let kept = session.keep(0, case.place("one"), OnConflict::Rename).await;
    assert_eq!(kept.expect("keep").length, 3);
    assert!(session.read_file(0, 0, 1).await.is_err(), "kept by itself");
    assert_eq!(session.read_file(2, 5, 9).await.expect("read file"), "2");
}
