//! Uploads that rest and run again.

use std::net::IpAddr;

use super::*;
use crate::store::Memory;
use crate::upload::{Owner, Protocol};

/// Admission whose disk is not looked at, and the count that it changes.
fn admission(mut options: AdmissionOptions) -> (Admission, Arc<Held>) {
    (options.keep_free, options.keep_free_inodes) = (0, 0);
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let held = store.held().unwrap();
    let data = DataThreads::start(1).unwrap();
    (Admission::start(options, &store, &data), held)
}

fn upload(length: Option<u64>) -> Upload {
    let address = IpAddr::from([10, 0, 0, 1]);
    let mut upload = Upload::new(Protocol::Tus, Owner::from_address(address));
    upload.address = address;
    upload.length = length;
    upload
}

#[tokio::test]
async fn who_rests_leaves_the_running_their_place_and_is_unfinished_still() {
    let (admission, _) = admission(AdmissionOptions {
        uploads: 1,
        unfinished: 2,
        ..AdmissionOptions::default()
    });
    let upload = upload(Some(10));
    let mut one = admission.begin(&upload, None).await.unwrap();
    assert_eq!(admission.running(), 1);
    one.rest(0);
    assert_eq!(admission.running(), 0);
    let two = admission.begin(&upload, None).await.unwrap();

    let refused = admission.run(&mut one, &upload, Some(10), Some(10)).await;
    assert!(matches!(refused, Err(Error::TooManyUploads)));
    drop(two);
    admission
        .run(&mut one, &upload, Some(10), Some(10))
        .await
        .unwrap();
    // The next request of one that runs already takes no second place.
    admission
        .run(&mut one, &upload, Some(10), Some(10))
        .await
        .unwrap();
    assert_eq!(admission.running(), 1);

    one.rest(0);
    let mut three = admission.begin(&upload, None).await.unwrap();
    three.rest(0);
    let refused = admission.begin(&upload, None).await;
    assert!(matches!(
        refused,
        Err(Error::TooManyUnfinished { limit: 2 })
    ));
    assert_eq!(admission.running(), 0);
}

#[tokio::test]
async fn a_request_and_the_whole_upload_have_a_bound_each() {
    let (admission, _) = admission(AdmissionOptions {
        request_bytes: Some(10),
        upload_bytes: Some(25),
        ..AdmissionOptions::default()
    });
    let too_large = admission.begin(&upload(Some(26)), None).await;
    assert!(matches!(
        too_large,
        Err(Error::UploadTooLarge { limit: 25 })
    ));
    let too_large = admission.begin(&upload(Some(25)), Some(11)).await;
    assert!(matches!(
        too_large,
        Err(Error::RequestTooLarge { limit: 10 })
    ));

    let upload = upload(None);
    let mut place = admission.begin(&upload, None).await.unwrap();
    place.take(10).unwrap();
    assert!(matches!(
        place.take(1),
        Err(Error::RequestTooLarge { limit: 10 })
    ));
    place.rest(10);
    for (length, declared, code) in [
        (None, Some(11), "request_too_large"),
        (None, Some(16), "upload_too_large"),
        (Some(26), None, "upload_too_large"),
    ] {
        let refused = admission.run(&mut place, &upload, length, declared).await;
        assert_eq!(refused.unwrap_err().code(), code, "{length:?} {declared:?}");
    }
    admission
        .run(&mut place, &upload, None, None)
        .await
        .unwrap();
    place.take(10).unwrap();
    place.rest(20);
    admission
        .run(&mut place, &upload, None, None)
        .await
        .unwrap();
    place.take(5).unwrap();
    assert!(matches!(
        place.take(1),
        Err(Error::UploadTooLarge { limit: 25 })
    ));
}

#[tokio::test]
async fn what_came_behind_a_checkpoint_counts_no_more_and_what_is_kept_counts_on() {
    let (admission, held) = admission(AdmissionOptions {
        store_bytes: Some(100),
        owner_bytes: Some(60),
        ..AdmissionOptions::default()
    });
    let upload = upload(None);
    let owner = upload.owner.key();
    let mut place = admission.begin(&upload, None).await.unwrap();
    place.take(50).unwrap();
    assert_eq!((held.bytes(), held.bytes_of(&owner)), (50, 50));
    place.rest(30);
    assert_eq!((held.bytes(), held.bytes_of(&owner)), (30, 30));

    // A length said only now counts with the owner, if they have that much room, and with nobody else.
    let refused = admission.run(&mut place, &upload, Some(61), None).await;
    assert!(matches!(refused, Err(Error::OwnerLimit)));
    assert_eq!((admission.running(), held.bytes_of(&owner)), (0, 30));
    let refused = admission.run(&mut place, &upload, Some(101), None).await;
    assert!(matches!(refused, Err(Error::StoreLimit)));
    admission
        .run(&mut place, &upload, Some(60), Some(30))
        .await
        .unwrap();
    assert_eq!((held.bytes(), held.bytes_of(&owner)), (30, 60));
    place.take(20).unwrap();
    place.restart_at(40);
    assert_eq!((held.bytes(), held.bytes_of(&owner)), (40, 60));

    // Until its end it counts once, and then as what is stored.
    place.take(20).unwrap();
    place.keep(60);
    drop(place);
    assert_eq!((held.bytes(), held.bytes_of(&owner)), (60, 60));
}

#[tokio::test]
async fn what_was_there_before_is_let_in_whatever_the_bounds_and_counts() {
    let (admission, held) = admission(AdmissionOptions {
        uploads: 1,
        unfinished: 1,
        unfinished_in_all: 2,
        store_bytes: Some(10),
        owner_bytes: Some(10),
        upload_bytes: Some(10),
        ..AdmissionOptions::default()
    });
    let upload = upload(Some(20));
    let owner = upload.owner.key();
    let places: Vec<_> = (0..3).map(|_| admission.restore(&upload, 7)).collect();
    assert_eq!((held.bytes(), held.bytes_of(&owner)), (21, 60));
    assert_eq!((admission.running(), places[0].received()), (0, 7));
    let other = Upload::new(Protocol::Put, Owner::Named("other".into()));
    let refused = admission.admit(&other).await;
    assert!(matches!(refused, Err(Error::TooManyUploads)));
    drop(places);
    assert_eq!((held.bytes(), held.bytes_of(&owner)), (0, 0));
    admission.admit(&other).await.unwrap();
}
