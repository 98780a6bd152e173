//! Requests and whole uploads that are held against digests.

use base64::Engine as _;
use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest as _, Sha256, Sha512};

use super::faulty::Faulty;
use super::rig::{Given, Rig, append, whole};
use crate::error::Error;
use crate::handlers::{Chain, Digest, Resume, Stop, UploadHandler};
use crate::progress::State;
use crate::receive::{Body, CONTENT_DIGEST, Shape};
use crate::unfinished::{Append, ResumeOptions, Status};
use crate::upload::{FileHead, Owner, Protocol, Remembered, Upload, UploadId};

const DISH: &str = "a fried dish";

fn digest(of: &str) -> String {
    let coded = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let (short, long) = (coded(&Sha256::digest(of)), coded(&Sha512::digest(of)));
    format!("sha-256=:{short}:, sha-512=:{long}:")
}

async fn create(rig: &Rig, digest: Option<String>) -> UploadId {
    let owner = Owner::from_address([127, 0, 0, 1].into());
    let mut upload = Upload::new(Protocol::Ietf, owner);
    upload.length = Some(DISH.len() as u64);
    let mut about = Remembered::of(&upload);
    about.digest = digest;
    let file = FileHead {
        name: Some("dish".into()),
        ..FileHead::default()
    };
    let shape = Shape::File(file);
    let status = rig.unfinished.create(Box::new(upload), about, shape).await;
    status.unwrap().id
}

/// Sends what of the dish stands between two bytes, and says what all of it adds up to.
async fn send(
    rig: &Rig,
    id: &UploadId,
    part: std::ops::Range<usize>,
    digest: Option<String>,
) -> Result<Status, Error> {
    let append = Append {
        digest,
        ..append(part.start as u64, whole(&DISH[part]))
    };
    rig.unfinished.append(id, append).await
}

/// Stores something else than what has come.
struct Louder;

impl UploadHandler for Louder {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        Ok(chunk.to_ascii_uppercase().into())
    }

    fn resume(&self) -> Resume {
        Resume::Saved(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// None stays open between two requests: each goes on from the checkpoint.
fn closing() -> Given {
    Given {
        options: ResumeOptions {
            max_parked: 0,
            ..ResumeOptions::default()
        },
        ..Given::default()
    }
}

#[tokio::test]
async fn an_upload_in_any_two_requests_is_held_against_its_digest() {
    let end = DISH.len();
    for cut in 0..=end {
        for (said, fits) in [(DISH, true), ("a fried disk", false)] {
            let mut chain = Chain::default();
            chain.push(|| Louder);
            let (rig, memory) = Rig::memory_with(Given { chain, ..closing() });
            let id = create(&rig, Some(digest(said))).await;
            if cut > 0 && cut < end {
                assert!(!send(&rig, &id, 0..cut, None).await.unwrap().complete);
            }
            let ended = send(&rig, &id, cut % end..end, None).await;
            assert_eq!(ended.is_ok(), fits, "cut at {cut}");
            match ended {
                Ok(status) => {
                    assert!(status.complete);
                    assert_eq!(memory.bytes("dish").unwrap(), "A FRIED DISH");
                }
                Err(error) => {
                    assert_eq!(error.code(), "digest_mismatch");
                    assert!(memory.names().is_empty());
                    assert!(rig.unfinished.look(&id).is_none());
                    assert_eq!(rig.state(&id), State::Error);
                    assert_eq!(rig.unfinished.held(), (0, 0));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_digest_that_is_said_late_is_held_against_what_is_stored() {
    for (said, fits) in [(DISH, true), ("a fried disk", false)] {
        let mut chain = Chain::default();
        chain.push(Digest::blake3);
        let given = Given { chain, ..closing() };
        let (rig, memory) = Rig::memory_with(given);
        let id = create(&rig, None).await;
        send(&rig, &id, 0..4, None).await.unwrap();
        send(&rig, &id, 4..5, Some(digest(said))).await.unwrap();
        let ended = send(&rig, &id, 5..DISH.len(), None).await;
        assert_eq!(
            ended.err().map(|error| error.code()),
            (!fits).then_some("digest_mismatch")
        );
        assert_eq!(memory.names().len(), usize::from(fits));
    }
}

#[tokio::test]
async fn what_was_said_stays_said() {
    let (rig, _) = Rig::memory();
    let id = create(&rig, Some(digest(DISH))).await;
    let other = Some(digest("a fried disk"));
    let refused = send(&rig, &id, 0..4, other).await.unwrap_err();
    assert_eq!(refused.code(), "bad_request");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 0);
    let same = Some(digest(DISH));
    send(&rig, &id, 0..4, same.clone()).await.unwrap();
    assert!(send(&rig, &id, 4..DISH.len(), same).await.unwrap().complete);
}

fn content(body: Body, digest: &str) -> Body {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_DIGEST, digest.parse().unwrap());
    body.checked(&headers, &CONTENT_DIGEST)
}

#[tokio::test]
async fn a_request_that_does_not_add_up_leaves_the_upload_as_it_was() {
    let (rig, memory) = Rig::memory();
    let id = create(&rig, Some(digest(DISH))).await;
    send(&rig, &id, 0..4, None).await.unwrap();
    for wrong in [digest("fish"), "sha-256=1".into()] {
        let body = content(whole(&DISH[4..8]), &wrong);
        let refused = rig.unfinished.append(&id, append(4, body)).await;
        let code = refused.unwrap_err().code();
        assert!(["digest_mismatch", "bad_request"].contains(&code), "{code}");
        assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4);
        assert_eq!(rig.state(&id), State::Interrupted);
    }
    let body = content(whole(&DISH[4..]), &digest(&DISH[4..]));
    let ended = rig.unfinished.append(&id, append(4, body)).await.unwrap();
    assert!(ended.complete);
    assert_eq!(memory.bytes("dish").unwrap(), DISH);
}

#[tokio::test]
async fn of_a_request_that_is_checked_nothing_is_kept_before_its_end() {
    let (rig, _) = Rig::memory();
    let id = create(&rig, None).await;
    let right = digest(&DISH[..8]);
    let sending = rig
        .begin_with(&id, &DISH[..4], |body| append(0, content(body, &right)))
        .await;
    sending.line.send(&DISH[4..8]);
    let cut = sending.cut().await.unwrap_err();
    assert_eq!(cut.code(), "client_gone");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 0);
}

#[tokio::test]
async fn a_full_disk_does_not_add_up_what_it_did_not_take() {
    let store = Faulty::default();
    let rig = Rig::start(store.clone(), Given::default());
    let id = create(&rig, Some(digest(DISH))).await;
    send(&rig, &id, 0..4, None).await.unwrap();
    let full = &store.faults.full;
    full.store(true, std::sync::atomic::Ordering::SeqCst);
    let error = send(&rig, &id, 4..8, None).await.unwrap_err();
    assert_eq!(error.code(), "disk_full");
    assert_eq!(rig.unfinished.look(&id).unwrap().offset, 4);
    assert!(send(&rig, &id, 4..DISH.len(), None).await.unwrap().complete);
}
