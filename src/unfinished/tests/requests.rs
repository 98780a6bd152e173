//! What a request may say, and what it is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use super::rig::{Given, Rig, append, line, whole};
use crate::error::Error;
use crate::progress::State;
use crate::receive::{Body, Check, Checksum};
use crate::unfinished::{Append, ResumeOptions};

fn length_said(offset: u64, length: u64, body: Body) -> Append {
    Append {
        length: Some(length),
        ..append(offset, body)
    }
}

#[tokio::test]
async fn a_request_that_does_not_fit_changes_nothing() {
    let (rig, _) = Rig::memory();
    let id = rig.create(Some(10)).await.id;
    let open = rig.create(None).await.id;
    for id in [&id, &open] {
        rig.send(id, 0, "abcd").await.unwrap();
    }
    let unknown = crate::upload::UploadId::random();
    for (id, append, code) in [
        (&id, append(0, whole("abcd")), "offset_mismatch"),
        (&id, append(5, whole("f")), "offset_mismatch"),
        (&id, append(u64::MAX, whole("f")), "offset_mismatch"),
        (&id, append(4, whole("efghijk")), "length_mismatch"),
        (&id, length_said(4, 11, whole("efg")), "length_mismatch"),
        (&open, length_said(4, 3, whole("")), "bad_request"),
        (&open, length_said(4, 5, whole("ef")), "length_mismatch"),
        (&unknown, append(0, whole("abcd")), "not_found"),
    ] {
        let error = rig.unfinished.append(id, append).await.unwrap_err();
        assert_eq!(error.code(), code);
    }
    for (id, length) in [(&id, Some(10)), (&open, None)] {
        let status = rig.unfinished.look(id).unwrap();
        assert_eq!((status.offset, status.length), (4, length));
        assert_eq!(rig.state(id), State::Uploading);
    }
}

#[tokio::test]
async fn what_is_complete_takes_nothing_more() {
    let (rig, _) = Rig::memory();
    let id = rig.create(Some(4)).await.id;
    rig.send(&id, 0, "abcd").await.unwrap();
    assert!(rig.send(&id, 4, "").await.unwrap().complete);
    for (append, code) in [
        (append(0, whole("abcd")), "offset_mismatch"),
        (append(4, whole("e")), "length_mismatch"),
        (length_said(4, 5, whole("e")), "length_mismatch"),
    ] {
        let error = rig.unfinished.append(&id, append).await.unwrap_err();
        assert_eq!(error.code(), code);
    }
    let status = rig.unfinished.settle(&id).await.unwrap();
    assert_eq!((status.offset, status.complete), (4, true));
}

#[tokio::test]
async fn an_upload_of_no_bytes_is_complete_at_once() {
    let (rig, memory) = Rig::memory();
    let status = rig.create(Some(0)).await;
    assert_eq!((status.offset, status.complete), (0, true));
    assert_eq!(rig.state(&status.id), State::Done);
    assert_eq!(memory.bytes("dish").unwrap(), "");
}

#[tokio::test]
async fn a_length_may_be_said_with_any_request_and_an_empty_one_may_be_the_last() {
    for parked in [0, 256] {
        let (rig, memory) = Rig::parking(parked);
        let id = rig.create(None).await.id;
        assert_eq!(rig.unfinished.look(&id).unwrap().length, None);
        rig.send(&id, 0, "ab").await.unwrap();
        let said = rig.unfinished.append(&id, length_said(2, 4, whole("c")));
        assert_eq!(said.await.unwrap().length, Some(4));
        let status = rig.unfinished.look(&id).unwrap();
        assert_eq!((status.offset, status.length), (3, Some(4)));
        assert!(rig.send(&id, 3, "d").await.unwrap().complete);
        assert_eq!(memory.bytes("dish").unwrap(), "abcd");

        let id = rig.create(None).await.id;
        rig.send(&id, 0, "ab").await.unwrap();
        let said = rig.unfinished.append(&id, length_said(2, 4, whole("cd")));
        let status = said.await.unwrap();
        assert_eq!(
            (status.offset, status.length, status.complete),
            (4, Some(4), true)
        );
        assert_eq!(status.remembered.length, Some(4));

        let id = rig.create(None).await.id;
        rig.send(&id, 0, "abcd").await.unwrap();
        let said = rig.unfinished.append(&id, length_said(4, 4, whole("")));
        assert!(said.await.unwrap().complete);
        assert_eq!(rig.state(&id), State::Done);
    }
}

#[tokio::test]
async fn a_length_that_was_said_is_kept_also_when_nothing_came_with_it() {
    let (rig, memory) = Rig::memory();
    let id = rig.create(None).await.id;
    let said = rig.unfinished.append(&id, length_said(0, 4, whole("")));
    assert_eq!(said.await.unwrap().length, Some(4));
    drop(rig);
    let rig = Rig::start(memory, Given::default());
    assert_eq!(rig.unfinished.look(&id).unwrap().length, Some(4));
}

const ALGORITHMS: [&str; 4] = ["sha1", "md5", "sha256", "crc32"];

fn sum(algorithm: &str, bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let sum = match algorithm {
        "sha1" => sha1::Sha1::digest(bytes).to_vec(),
        "md5" => md5::Md5::digest(bytes).to_vec(),
        "sha256" => sha2::Sha256::digest(bytes).to_vec(),
        _ => crc32fast::hash(bytes).to_be_bytes().to_vec(),
    };
    format!("{algorithm} {}", STANDARD.encode(sum))
}

fn given(value: &str) -> Option<Check> {
    Some(Check::Given(Checksum::parse(value).unwrap()))
}

fn trailer() -> HeaderName {
    HeaderName::from_static("upload-checksum")
}

#[tokio::test]
async fn bytes_with_the_right_checksum_are_kept_and_others_are_not() {
    for parked in [0, 256] {
        for algorithm in ALGORITHMS {
            let (rig, memory) = Rig::parking(parked);
            let id = rig.create(Some(8)).await.id;
            let first = Append {
                check: given(&sum(algorithm, b"abcd")),
                ..append(0, whole("abcd"))
            };
            assert_eq!(rig.unfinished.append(&id, first).await.unwrap().offset, 4);
            let wrong = Append {
                check: given(&sum(algorithm, b"efgX")),
                ..append(4, whole("efgh"))
            };
            let error = rig.unfinished.append(&id, wrong).await.unwrap_err();
            assert_eq!(error.code(), "checksum_mismatch");
            assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4);
            assert_eq!(rig.state(&id), State::Interrupted);
            let right = Append {
                check: given(&sum(algorithm, b"efgh")),
                ..append(4, whole("efgh"))
            };
            assert!(rig.unfinished.append(&id, right).await.unwrap().complete);
            assert_eq!(memory.bytes("dish").unwrap(), "abcdefgh");
        }
    }
}

#[tokio::test]
async fn what_was_cut_off_before_it_could_be_checked_is_not_kept() {
    let (rig, memory) = Rig::memory_with(Given {
        options: ResumeOptions {
            // A checkpoint would be due at every byte.
            checkpoint_bytes: 1,
            ..ResumeOptions::default()
        },
        ..Given::default()
    });
    let id = rig.create(Some(8)).await.id;
    let checked = |body| Append {
        check: given(&sum("sha1", b"abcdefgh")),
        ..append(0, body)
    };
    let cut = rig.begin_with(&id, "abcd", checked).await;
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 0);
    assert_eq!(cut.cut().await.unwrap_err().code(), "client_gone");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 0);
    assert!(rig.send(&id, 0, "abcdefgh").await.unwrap().complete);
    assert_eq!(memory.bytes("dish").unwrap(), "abcdefgh");
}

#[tokio::test]
async fn a_checksum_may_come_behind_the_body() {
    for algorithm in ALGORITHMS {
        let (rig, _) = Rig::memory();
        let id = rig.create(Some(8)).await.id;
        for (value, code) in [
            (Some(sum(algorithm, b"abcX")), "checksum_mismatch"),
            (Some("sha1 ???".into()), "bad_request"),
            (Some("sha512 AAAA".into()), "bad_request"),
            (None, "bad_request"),
            (Some(sum(algorithm, b"abcd")), "ok"),
        ] {
            let (line, body) = line();
            line.send("abcd");
            if let Some(value) = value {
                let mut fields = HeaderMap::new();
                fields.insert(trailer(), value.parse().unwrap());
                line.trailer(fields);
            }
            drop(line);
            let append = Append {
                check: Some(Check::InTrailer(trailer())),
                ..append(0, body)
            };
            let answer = rig.unfinished.append(&id, append).await;
            let answered = answer.as_ref().map_or_else(Error::code, |_| "ok");
            assert_eq!(answered, code);
            let kept = if code == "ok" { 4 } else { 0 };
            assert_eq!(rig.unfinished.look(&id).unwrap().offset, kept);
        }
    }
}
