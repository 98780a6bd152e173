//! What a request says besides its bytes: that they are the last ones, what the file is called, that nobody knows of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::rig::{Given, Rig, append, line, until, whole};
use crate::error::Error;
use crate::progress::{Holder, State, Why};
use crate::receive::{Body, Shape};
use crate::unfinished::{Append, ResumeOptions, Status};
use crate::upload::{FileHead, Owner, Protocol, Remembered, Upload};

fn named(name: &str) -> FileHead {
    FileHead {
        name: Some(name.into()),
        ..FileHead::default()
    }
}

/// An upload that is complete only when a request says so.
async fn create(rig: &Rig, length: Option<u64>) -> Status {
    begin(rig, length, true, Shape::File(named("dish"))).await
}

async fn begin(rig: &Rig, length: Option<u64>, awaits_word: bool, shape: Shape) -> Status {
    let mut upload = Upload::new(Protocol::Ietf, Owner::from_address([127, 0, 0, 1].into()));
    upload.length = length;
    let mut about = Remembered::of(&upload);
    about.awaits_word = awaits_word;
    rig.unfinished
        .create(Box::new(upload), about, shape)
        .await
        .unwrap()
}

fn last(word: bool, offset: u64, body: Body) -> Append {
    Append {
        last: Some(word),
        ..append(offset, body)
    }
}

/// A body whose end its head does not tell.
fn chunked(bytes: &'static str) -> Body {
    let (line, body) = line();
    line.send(bytes);
    body
}

#[tokio::test]
async fn an_upload_that_awaits_a_word_is_complete_with_it_and_not_with_its_length() {
    for parked in [0, 10] {
        let (rig, memory) = Rig::parking(parked);
        let id = create(&rig, Some(4)).await.id;
        let more = rig.unfinished.append(&id, last(false, 0, whole("abcd")));
        let status = more.await.unwrap();
        assert_eq!((status.offset, status.complete), (4, false));
        assert!(status.remembered.awaits_word);
        // Neither a look nor a sweep takes it for complete.
        assert!(!rig.unfinished.settle(&id).await.unwrap().complete);
        rig.unfinished.shared.sweep().await;
        assert!(memory.names().is_empty());
        let done = rig.unfinished.append(&id, last(true, 4, whole("")));
        assert!(done.await.unwrap().complete);
        assert_eq!(memory.bytes("dish").unwrap(), "abcd");
    }
}

#[tokio::test]
async fn the_last_request_says_the_length_whether_it_is_declared_or_not() {
    for body in [whole as fn(&'static str) -> Body, chunked] {
        let (rig, memory) = Rig::memory();
        let id = create(&rig, None).await.id;
        let more = rig.unfinished.append(&id, last(false, 0, body("ab")));
        assert_eq!(more.await.unwrap().length, None);
        let status = rig.unfinished.append(&id, last(true, 2, body("cd")));
        let status = status.await.unwrap();
        assert_eq!(
            (status.offset, status.length, status.complete),
            (4, Some(4), true)
        );
        assert_eq!(memory.bytes("dish").unwrap(), "abcd");
        let after = rig.unfinished.settle(&id).await.unwrap();
        assert_eq!(
            (after.offset, after.length, after.complete),
            (4, Some(4), true)
        );
        assert!(!after.remembered.awaits_word);
    }
}

#[tokio::test]
async fn a_last_request_that_is_cut_does_not_tell_the_length_and_the_rest_completes() {
    for parked in [0, 10] {
        let (rig, memory) = Rig::parking(parked);
        let id = create(&rig, None).await.id;
        let sending = rig.begin_with(&id, "ab", |body| last(true, 0, body)).await;
        assert_eq!(sending.cut().await.unwrap_err().code(), "client_gone");
        let left = rig.unfinished.look(&id).unwrap();
        assert_eq!((left.offset, left.length), (2, None));
        assert!(!left.complete);
        let rest = rig.unfinished.append(&id, last(true, 2, whole("cd")));
        assert!(rest.await.unwrap().complete);
        assert_eq!(memory.bytes("dish").unwrap(), "abcd");
    }
}

#[tokio::test]
async fn a_last_request_that_does_not_fit_the_length_changes_nothing_that_is_kept() {
    for (body, offset) in [(whole("cd"), 2), (chunked("cd"), 4)] {
        let (rig, _) = Rig::memory();
        let id = create(&rig, Some(9)).await.id;
        let first = rig.unfinished.append(&id, last(false, 0, whole("ab")));
        first.await.unwrap();
        let wrong = rig.unfinished.append(&id, last(true, 2, body)).await;
        let fits = matches!(
            wrong,
            Err(Error::LengthMismatch {
                length: 9,
                given: 4
            })
        );
        assert!(fits, "{wrong:?}");
        let left = rig.unfinished.look(&id).unwrap();
        assert_eq!((left.offset, left.length), (offset, Some(9)));
    }
}

#[tokio::test]
async fn what_was_said_last_counts_after_a_restart() {
    for (word, complete) in [(Some(false), false), (None, true), (Some(true), true)] {
        let (rig, memory) = Rig::parking(0);
        let id = create(&rig, Some(4)).await.id;
        let more = Append {
            last: word,
            ..append(0, chunked("ab"))
        };
        let cut = rig.unfinished.append(&id, more).await;
        assert_eq!(cut.is_err(), word == Some(true), "{cut:?}");
        let again = Rig::start(memory.clone(), Given::default());
        let status = again.unfinished.look(&id).unwrap();
        assert_eq!(status.remembered.awaits_word, !complete);
    }
}

#[tokio::test]
async fn a_file_that_is_told_of_later_begins_with_its_first_byte() {
    for parked in [0, 10] {
        let (rig, memory) = Rig::parking(parked);
        let about = FileHead {
            content_type: Some("text/plain".into()),
            ..FileHead::default()
        };
        let id = begin(&rig, Some(4), false, Shape::Later(about)).await.id;
        assert!(rig.progress(&id).record(Holder::Id, "").files.is_empty());
        let said = |offset, name, body| Append {
            said: named(name),
            ..append(offset, body)
        };
        // It brings no byte, and what it says is kept.
        let none = rig.unfinished.append(&id, said(0, "first", whole("")));
        assert_eq!(none.await.unwrap().offset, 0);
        let rig = Rig::start(memory.clone(), Given::default());
        let some = rig.unfinished.append(&id, said(0, "second", whole("ab")));
        assert_eq!(some.await.unwrap().offset, 2);
        let file = &rig.progress(&id).record(Holder::Id, "").files[0];
        assert_eq!(file.content_type.as_deref(), Some("text/plain"));
        let rest = rig.unfinished.append(&id, said(2, "third", whole("cd")));
        assert!(rest.await.unwrap().complete);
        assert_eq!(memory.bytes("first").unwrap(), "abcd");
    }
}

#[tokio::test]
async fn a_file_of_no_bytes_that_is_told_of_later_is_there_all_the_same() {
    let (rig, memory) = Rig::memory();
    let id = begin(&rig, None, true, Shape::Later(FileHead::default()))
        .await
        .id;
    let only = Append {
        said: named("empty"),
        ..last(true, 0, whole(""))
    };
    assert!(rig.unfinished.append(&id, only).await.unwrap().complete);
    assert_eq!(memory.bytes("empty").unwrap(), "");
}

#[tokio::test]
async fn an_upload_that_nobody_knows_of_leaves_nothing_when_it_breaks_off() {
    let (rig, _) = Rig::memory();
    let untold = |body| Append {
        untold: true,
        ..append(0, body)
    };
    let id = rig.create(Some(9)).await.id;
    let sending = rig.begin_with(&id, "abcd", untold).await;
    assert_eq!(sending.cut().await.unwrap_err().code(), "client_gone");
    assert_eq!(rig.state(&id), State::Error);
    let record = rig.progress(&id).record(Holder::Id, "");
    assert_eq!(record.error.unwrap().code, "client_gone");
    assert!(rig.unfinished.look(&id).is_none());
    assert!(rig.store.list_unfinished(None, 9).await.unwrap().is_empty());

    // One that has all it needs is complete as ever, and one with more to come has been told of.
    let id = rig.create(Some(4)).await.id;
    let done = rig.unfinished.append(&id, untold(whole("abcd"))).await;
    assert!(done.unwrap().complete);
    let id = rig.create(Some(9)).await.id;
    let more = rig.unfinished.append(&id, untold(whole("abcd"))).await;
    assert_eq!(more.unwrap().offset, 4);
}

#[tokio::test]
async fn an_upload_whose_refusal_tells_where_it_is_stays() {
    let (rig, _) = Rig::memory();
    let id = rig.create(Some(9)).await.id;
    let stopped = rig.begin_with(&id, "abcd", |body| Append {
        untold: true,
        ..append(0, body)
    });
    let stopped = stopped.await;
    rig.tracker.halt_all(Why::ShuttingDown);
    assert_eq!(stopped.answer().await.unwrap_err().code(), "shutting_down");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4);
}

#[tokio::test]
async fn whoever_goes_on_with_an_upload_that_nobody_was_told_of_keeps_it() {
    let (rig, _) = Rig::memory();
    let id = rig.create(Some(9)).await.id;
    let first = rig.begin_with(&id, "abcd", |body| Append {
        untold: true,
        ..append(0, body)
    });
    let first = first.await;
    assert_eq!(rig.unfinished.settle(&id).await.unwrap().offset, 4);
    assert_eq!(first.answer().await.unwrap_err().code(), "superseded");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4);
}

#[tokio::test]
async fn a_request_of_which_nothing_is_kept_unless_all_comes_is_sent_again() {
    for parked in [0, 10] {
        let (rig, memory) = Rig::memory_with(Given {
            options: ResumeOptions {
                max_parked: parked,
                checkpoint_bytes: 1,
                ..ResumeOptions::default()
            },
            ..Given::default()
        });
        let id = rig.create(Some(8)).await.id;
        let all = |offset, body| Append {
            whole: true,
            ..append(offset, body)
        };
        let first = rig.unfinished.append(&id, all(0, chunked("abcd")));
        assert_eq!(first.await.unwrap().offset, 4);
        let cut = rig.begin_with(&id, "ef", |body| all(4, body)).await;
        assert_eq!(cut.cut().await.unwrap_err().code(), "client_gone");
        assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4);
        let again = rig.unfinished.append(&id, all(4, whole("efgh")));
        assert!(again.await.unwrap().complete);
        assert_eq!(memory.bytes("dish").unwrap(), "abcdefgh");
    }
}

#[tokio::test]
async fn each_checkpoint_is_told_while_the_body_comes() {
    let (rig, _) = Rig::memory_with(Given {
        options: ResumeOptions {
            checkpoint_bytes: 2,
            checkpoint_time: Duration::from_secs(600),
            ..ResumeOptions::default()
        },
        ..Given::default()
    });
    let id = rig.create(Some(9)).await.id;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let told_of = |body| Append {
        on_kept: Some(Box::new(move |offset| tell.lock().unwrap().push(offset))),
        ..append(0, body)
    };
    let sending = rig.begin_with(&id, "ab", told_of).await;
    until(|| *told.lock().unwrap() == [2]).await;
    sending.line.send("c");
    sending.line.send("de");
    sending.cut().await.unwrap_err();
    let told = told.lock().unwrap().clone();
    assert_eq!(told.last(), Some(&5), "{told:?}");
    // The next request tells nobody.
    rig.send(&id, 5, "fgh").await.unwrap();
}
