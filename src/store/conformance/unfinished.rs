//! What is told of uploads that have not come to their end. A store that does not resume passes.

use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use super::case::{Case, checkpoint, file, points, write};
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::{Checkpoint, Open, Session, Store};
use crate::upload::{Owner, Protocol, Remembered, Upload};

/// The last checkpoint is told as it was given, whatever was written after it, with a session under way and without.
///
/// # Panics
/// When the store breaks the promise.
pub async fn an_unfinished_upload_is_told_as_of_its_last_checkpoint(store: &dyn Store) {
    if !store.resumes() {
        return;
    }
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["four"]).await;
    assert_eq!(unfinished(&case).await, None, "before its first checkpoint");
    let given = about(&case, 4, 1);
    session.checkpoint(given.clone()).await.expect("checkpoint");
    write(&mut session, &[" and more"]).await;
    let mut told = unfinished(&case).await.expect("a checkpoint");
    assert_eq!(told.files[0].stored, 4);
    (told.files[0].stored, told.epoch) = (0, 0);
    assert_eq!(told, given);
    drop(session);
    let told = unfinished(&case).await.expect("it outlives its session");
    assert_eq!((told.offset, told.files[0].stored), (4, 4));
    let newer = case.take().await.expect("take");
    let told = unfinished(&case).await.expect("it is there while taken");
    assert_eq!(Some(&told), newer.resumed());
    newer.abandon().await.expect("abandon");
}

/// An upload may have a checkpoint before its first byte, with its file begun or not, and goes on from it.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_checkpoint_may_come_before_the_first_byte(store: &dyn Store) {
    for begun in [false, true] {
        let case = Case::new(store);
        let mut session = case.create().await;
        if begun {
            file(&mut session, &[]).await;
        }
        let files = usize::from(begun);
        let offset = session.checkpoint(about(&case, 0, files)).await;
        assert_eq!(offset.expect("checkpoint"), 0);
        drop(session);
        let mut session = case.take().await.expect("take");
        match begun {
            true => write(&mut session, &["all of it"]).await,
            false => file(&mut session, &["all of it"]).await,
        }
        let how = case.commit(session, &["a"], OnConflict::Rename).await;
        how.expect("commit");
        case.holds(0, &["all of it"]).await;
    }
}

/// A session that takes an upload and goes away again leaves it as it was, however often, and whatever it wrote.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_take_that_comes_to_nothing_changes_nothing(store: &dyn Store) {
    let case = Case::new(store);
    let mut session = case.create().await;
    file(&mut session, &["kept"]).await;
    checkpoint(&mut session, 4, 1).await.expect("checkpoint");
    drop(session);
    for _ in 0..3 {
        let mut session = case.take().await.expect("take");
        write(&mut session, &[" but not this"]).await;
        file(&mut session, &["nor this"]).await;
    }
    let mut session = case.take().await.expect("take again");
    let resumed = session.resumed().expect("a checkpoint");
    assert_eq!((resumed.offset, resumed.files.len()), (4, 1));
    // A name under way that was used before is no obstacle.
    file(&mut session, &["another"]).await;
    checkpoint(&mut session, 11, 2).await.expect("checkpoint");
    drop(session);
    let session = case.take().await.expect("take once more");
    let how = case.commit(session, &["a", "b"], OnConflict::Rename).await;
    how.expect("commit");
    case.holds(0, &["kept", "another"]).await;
}

/// A list of any size at once tells every unfinished upload once, in the order of the ids, until it comes to its end.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_unfinished_is_listed(store: &dyn Store) {
    if !store.resumes() {
        return;
    }
    let case = Case::new(store);
    let others = [case.again(), case.again(), case.again()];
    for case in others.iter().chain([&case]) {
        let mut session = case.create_with(&["x"]).await;
        session
            .checkpoint(about(case, 1, 1))
            .await
            .expect("checkpoint");
    }
    for most in [1, 2, 1000] {
        let told = listed(&case, most).await.expect("listed");
        assert_eq!(Some(told), unfinished(&case).await, "{most} at once");
    }
    for (case, commits) in others.iter().chain([&case]).zip([true, false, true, false]) {
        let session = case.take().await.expect("take");
        match commits {
            true => {
                let how = case.commit(session, &["a"], OnConflict::Rename).await;
                how.expect("commit");
            }
            false => session.abandon().await.expect("abandon"),
        }
        assert_eq!(listed(case, 1).await, None);
        assert_eq!(unfinished(case).await, None);
    }
}

/// Files of an unfinished upload are read up to the checkpoint and no further; what has been opened is read to its end
/// while the upload goes on and after it has ended.
///
/// # Panics
/// When the store breaks the promise.
pub async fn an_unfinished_upload_is_read_up_to_its_checkpoint(store: &dyn Store) {
    if !store.resumes() {
        return;
    }
    let case = Case::new(store);
    let mut session = case.create_with(&["first", "half"]).await;
    assert_eq!(case.read_unfinished(0).await, None, "no checkpoint");
    checkpoint(&mut session, 9, 2).await.expect("checkpoint");
    write(&mut session, &["way"]).await;
    for (index, content) in [(0, Some("first")), (1, Some("half")), (2, None)] {
        let read = case.read_unfinished(index).await;
        assert_eq!(read.as_deref(), content.map(str::as_bytes));
    }
    let open = store.read_unfinished(&case.id, 1).await.expect("read");
    let mut reader = open.expect("file 1");
    assert_eq!(reader.facts().length, 4);
    assert_eq!(reader.facts().field.as_deref(), Some("field 1"));
    drop(session);
    let mut session = case.take().await.expect("take");
    write(&mut session, &[" of it"]).await;
    assert_eq!(reader.read_at(0, 100).await.expect("read at"), "half");
    assert_eq!(reader.read_at(4, 100).await.expect("read at"), "");
    checkpoint(&mut session, 15, 2).await.expect("checkpoint");
    session.abandon().await.expect("abandon");
    assert_eq!(reader.read_at(2, 100).await.expect("read at"), "lf");
    assert_eq!(case.read_unfinished(1).await, None, "after its end");
}

/// What the last checkpoint said of an upload is told as long as its files are there, but for the addresses; of an
/// upload without one there is nothing to tell.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_was_settled_is_told_of_a_finished_upload(store: &dyn Store) {
    if !store.resumes() {
        return;
    }
    for (saves, takes) in [(true, false), (true, true), (false, false)] {
        let case = Case::new(store);
        let mut session = case.create_with(&["x"]).await;
        let about = about(&case, 1, 1);
        let owner = about.upload.as_ref().expect("it says so").owner.clone();
        if saves {
            session.belongs_to(owner.key());
            session.checkpoint(about.clone()).await.expect("checkpoint");
        }
        assert_eq!(remembered(&case).await, None, "not finished yet");
        if takes {
            drop(session);
            session = case.take().await.expect("take");
        }
        let how = case.commit(session, &["a"], OnConflict::Rename).await;
        how.expect("commit");
        let told = remembered(&case).await;
        let whole = about.upload.filter(|_| saves);
        let nowhere = Ipv4Addr::UNSPECIFIED.into();
        assert_eq!(
            told,
            whole.map(|about| Remembered {
                address: nowhere,
                ..about
            })
        );
        assert!(case.remove().await);
        assert_eq!(remembered(&case).await, None, "after its removal");
    }
}

/// What is settled at the very end is remembered instead of what the last checkpoint says, without addresses.
///
/// # Panics
/// When the store breaks the promise.
pub async fn what_is_settled_last_is_what_is_remembered(store: &dyn Store) {
    if !store.resumes() {
        return;
    }
    let case = Case::new(store);
    let mut session = case.create_with(&["x"]).await;
    let about = about(&case, 1, 1);
    let given = about.upload.clone().expect("it says so");
    session.checkpoint(about).await.expect("checkpoint");
    let last = Remembered {
        length: Some(77),
        ..given
    };
    session.settled(&last);
    let how = case.commit(session, &["a"], OnConflict::Rename).await;
    how.expect("commit");
    let nowhere = Remembered {
        address: Ipv4Addr::UNSPECIFIED.into(),
        ..last
    };
    assert_eq!(remembered(&case).await, Some(nowhere));
}

/// Two sessions that begin the same upload cannot both have it: whoever comes with a first checkpoint when there is one
/// already is superseded.
///
/// # Panics
/// When the store breaks the promise.
pub async fn a_new_session_never_takes_the_place_of_a_checkpoint(store: &dyn Store) {
    let case = Case::new(store);
    let mut first = case.create().await;
    let mut second = case.create().await;
    first
        .checkpoint(about(&case, 0, 0))
        .await
        .expect("checkpoint");
    let late = second.checkpoint(about(&case, 0, 0)).await;
    assert!(matches!(late, Err(Error::Superseded)), "{late:?}");
    let late = second.commit(Vec::new(), OnConflict::Rename).await;
    assert!(matches!(late, Err(Error::Superseded)), "{late:?}");
    drop(first);
    let session = case.take().await.expect("it is the first one's");
    session.abandon().await.expect("abandon");
}

/// Many uploads, each with sessions that take turns: every byte of every checkpoint is there in the end.
///
/// # Panics
/// When the store breaks the promise.
pub async fn uploads_taken_in_turns_keep_every_checkpoint(store: &dyn Store) {
    let folder = Case::new(store);
    let cases: Vec<_> = (0..8).map(|_| folder.again()).collect();
    let mut sessions: Vec<Box<dyn Session>> = Vec::new();
    for case in &cases {
        sessions.push(case.create_with(&[""]).await);
    }
    for round in 1..=4_u64 {
        for (session, case) in sessions.iter_mut().zip(&cases) {
            write(session, &["abcd"]).await;
            let about = about(case, round * 4, 1);
            let offset = session.checkpoint(about).await.expect("checkpoint");
            assert_eq!(offset, round * 4);
            write(session, &["lost"]).await;
            let newer = store.open(&case.id, Open::Take).await;
            *session = newer.expect("take from a session under way");
        }
    }
    for (session, case) in sessions.into_iter().zip(&cases) {
        let name = case.id.to_string();
        let how = case.commit(session, &[&name], OnConflict::Reject).await;
        how.expect("commit");
        case.holds(0, &["abcdabcdabcdabcd"]).await;
    }
}

/// A checkpoint that says whose upload it is.
fn about(case: &Case<'_>, offset: u64, files: usize) -> Checkpoint {
    let mut upload = Upload::new(Protocol::Tus, Owner::Named("somebody".into()));
    upload.id = case.id;
    upload.address = Ipv4Addr::new(192, 0, 2, 7).into();
    upload.length = Some(1000);
    upload.started_at = UNIX_EPOCH + Duration::new(1_800_000_000, 5_000);
    let mut about = Remembered::of(&upload);
    about.metadata = Some("filename w7E=,empty".into());
    let mut checkpoint = Checkpoint::at(offset, b"state".to_vec());
    checkpoint.handlers = vec![Vec::new(), vec![0, 255]];
    checkpoint.files = points(files);
    checkpoint.upload = Some(about);
    checkpoint.at = 1_800_000_001;
    checkpoint
}

async fn unfinished(case: &Case<'_>) -> Option<Checkpoint> {
    case.store.unfinished(&case.id).await.expect("unfinished")
}

async fn remembered(case: &Case<'_>) -> Option<Remembered> {
    case.store.remembered(&case.id).await.expect("remembered")
}

/// The upload as a list of at most `most` at once tells it; each at most once, in order.
async fn listed(case: &Case<'_>, most: usize) -> Option<Checkpoint> {
    let (mut last, mut found) = (None, None);
    loop {
        let some = case.store.list_unfinished(last.as_ref(), most).await;
        let some = some.expect("list");
        assert!(some.len() <= most, "{} at once", some.len());
        let Some((end, _)) = some.last() else {
            return found;
        };
        let ids: Vec<_> = last
            .into_iter()
            .chain(some.iter().map(|(id, _)| *id))
            .collect();
        let rises = ids.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes());
        assert!(rises, "not in the order of the ids");
        last = Some(*end);
        let ours = some.into_iter().find(|(id, _)| *id == case.id);
        found = ours.map(|(_, checkpoint)| checkpoint).or(found);
    }
}
