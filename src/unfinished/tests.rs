//! What becomes of unfinished uploads, whatever happens to them.

mod crowd;
mod digests;
mod ends;
pub(crate) mod faulty;
mod handlers;
mod joins;
mod model;
mod requests;
mod restarts;
pub(crate) mod rig;
mod words;
mod writers;

use rig::{Rig, append, whole};

use crate::progress::State;

#[tokio::test]
async fn an_upload_is_filled_by_several_requests_and_visible_with_its_last_byte() {
    let (rig, memory) = Rig::memory();
    let begun = rig.create(Some(9)).await;
    assert_eq!(
        (begun.offset, begun.length, begun.complete),
        (0, Some(9), false)
    );
    assert_eq!(rig.state(&begun.id), State::Starting);
    let status = rig
        .unfinished
        .append(&begun.id, append(0, whole("a fr")))
        .await
        .unwrap();
    assert_eq!((status.offset, status.complete), (4, false));
    assert_eq!(rig.state(&begun.id), State::Uploading);
    assert!(memory.names().is_empty());
    assert_eq!(rig.unfinished.held(), (1, 4));
    let status = rig
        .unfinished
        .append(&begun.id, append(4, whole("ied d")))
        .await
        .unwrap();
    assert_eq!((status.offset, status.complete), (9, true));
    assert_eq!(
        status.remembered.metadata.as_deref(),
        Some("filename ZGlzaA==")
    );
    assert_eq!(rig.state(&begun.id), State::Done);
    assert_eq!(memory.bytes("dish").unwrap(), "a fried d");
    assert_eq!(rig.unfinished.held(), (0, 0));
    assert!(rig.unfinished.look(&begun.id).is_none());
    let after = rig.unfinished.settle(&begun.id).await.unwrap();
    assert_eq!(
        (after.offset, after.length, after.complete),
        (9, Some(9), true)
    );
    assert_eq!(after.remembered.metadata, status.remembered.metadata);
}
