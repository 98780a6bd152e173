use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::error::Error;
use crate::upload::{FileFacts, FileHead};

const TICK: Duration = Duration::from_millis(100);

fn owner(text: &str) -> Owner {
    Owner::from_address(text.parse().unwrap())
}

fn form(progress_id: &str, length: Option<u64>) -> Upload {
    let mut upload = Upload::new(Protocol::Form, owner("127.0.0.1"));
    upload.progress_id = ProgressId::parse(progress_id);
    upload.length = length;
    upload
}

fn file(name: &str, length: u64) -> FileFacts {
    FileFacts {
        field: Some("picture".into()),
        name: Some(name.into()),
        content_type: Some("image/jpeg".into()),
        length,
        digest: None,
    }
}

fn head(name: &str) -> FileHead {
    FileHead {
        field: Some("picture".into()),
        name: Some(name.into()),
        content_type: Some("image/jpeg".into()),
    }
}

fn by_hand() -> (Tracker, by_hand::Hand) {
    by_hand::tracker(TrackerOptions::default())
}

fn json(progress: &Progress, holder: Holder) -> Value {
    serde_json::from_str(&progress.record(holder, "").to_json()).unwrap()
}

fn key(id: &str) -> Key {
    Key::Progress(owner("127.0.0.1"), ProgressId::parse(id).unwrap())
}

fn shown(tracker: &Tracker, id: &str) -> Option<UploadId> {
    tracker.find(&key(id)).map(|found| found.progress.id())
}

#[test]
fn states_follow_each_other_only_as_drawn() {
    use State::{Done, Error, Interrupted, Processing, Starting, Uploading};
    let all = [Starting, Uploading, Interrupted, Processing, Done, Error];
    let allowed: Vec<_> = all
        .iter()
        .flat_map(|from| all.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from.may_become(*to))
        .collect();
    let drawn = [
        (Starting, Uploading),
        (Starting, Processing),
        (Starting, Error),
        (Uploading, Interrupted),
        (Uploading, Processing),
        (Uploading, Error),
        (Interrupted, Uploading),
        (Interrupted, Processing),
        (Interrupted, Error),
        (Processing, Interrupted),
        (Processing, Done),
        (Processing, Error),
    ];
    assert_eq!(allowed, drawn);
}

#[test]
fn a_form_goes_from_starting_to_done_and_its_numbers_end_equal() {
    let (tracker, hand) = by_hand();
    let upload = form("a", None);
    let tap = tracker.begin(&upload);
    let progress = Arc::clone(tap.progress());
    let state = || json(&progress, Holder::Id)["state"].clone();
    assert_eq!(state(), "starting");
    tap.received(0);
    assert_eq!(state(), "starting");
    tap.received(100);
    assert_eq!(state(), "uploading");
    tap.begin_file(&head("paella.jpg"));
    assert_eq!(
        json(&progress, Holder::Id)["files"][0]["length"],
        Value::Null
    );
    tap.end_file(&file("paella.jpg", 80));
    assert_eq!(json(&progress, Holder::Id)["files"][0]["length"], 80);
    tap.field("id", "7");
    hand.tick();
    tap.processing();
    let record = json(&progress, Holder::Id);
    assert_eq!(record["offset"], Value::Null);
    assert_eq!(record["length"], Value::Null);
    assert_eq!(record["files"][0]["url"], Value::Null);
    tap.done(&[file("paella-1.jpg", 80)]);
    let record = json(&progress, Holder::Id);
    for (name, value) in [
        ("state", json!("done")),
        ("length", json!(100)),
        ("received", json!(100)),
        ("offset", json!(100)),
        ("rate", json!(1000)),
        ("eta", Value::Null),
        ("fields", json!({"id": "7"})),
        ("url", json!(format!("/files/{}", upload.id))),
        ("error", Value::Null),
    ] {
        assert_eq!(record[name], value, "{name}");
    }
    assert_eq!(record["files"][0]["name"], "paella-1.jpg");
}

#[test]
fn record_has_the_documented_keys_in_their_order() {
    let (tracker, _hand) = by_hand();
    let mut upload = form("0.73", Some(716_595));
    upload.id = UploadId::from_bytes([7; 16]);
    upload.started_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_356_131_123);
    let tap = tracker.begin(&upload);
    tap.begin_file(&head("paella.jpg"));
    let updated = rfc3339_of(tap.progress());
    let id = "07".repeat(16);
    let watch = upload.id.watch();
    assert_eq!(
        tap.progress().record(Holder::Id, "/up").to_json(),
        format!(
            r#"{{"id":"{id}","watch":"{watch}","progress_id":"0.73","state":"starting","protocol":"form","length":716595,"received":0,"offset":null,"rate":null,"eta":null,"started_at":"2026-11-22T14:02:11.123Z","updated_at":"{updated}","fields":{{}},"files":[{{"field":"picture","name":"paella.jpg","type":"image/jpeg","length":null,"digest":null,"url":null}}],"url":null,"phase":null,"error":null}}"#
        )
    );
}

fn rfc3339_of(progress: &Progress) -> String {
    progress.record(Holder::Id, "").updated_at.unwrap()
}

#[test]
fn a_watcher_sees_no_id_url_or_field_and_a_shared_address_no_name_either() {
    let (tracker, _hand) = by_hand();
    let upload = form("0.73", Some(10));
    let tap = tracker.begin(&upload);
    let progress = Arc::clone(tap.progress());
    tap.received(10);
    tap.field("secret", "1234");
    let mut stored = file("paella.jpg", 10);
    stored.digest = Some("sha256:00".into());
    tap.done(&[stored]);

    let watch = progress.record(Holder::Watch, "").to_json();
    let numbers = progress.record(Holder::ProgressId, "").to_json();
    for text in [&watch, &numbers] {
        for hidden in [&*upload.id.to_string(), "\"id\"", "url", "fields", "1234"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
    assert!(watch.contains("paella.jpg"));
    for hidden in ["paella", "image/jpeg", "sha256", "\"watch\""] {
        assert!(!numbers.contains(hidden), "{hidden} in {numbers}");
    }
    assert!(numbers.contains(r#""state":"done","protocol":"form","length":10,"received":10"#));
}

#[test]
fn an_error_that_names_a_file_is_told_without_its_words_under_a_shared_address() {
    let (tracker, _hand) = by_hand();
    let tap = tracker.begin(&form("a", None));
    let progress = Arc::clone(tap.progress());
    tap.fail(&Error::NameTaken {
        name: "paella.jpg".into(),
    });
    let error = |holder| json(&progress, holder)["error"].clone();
    assert_eq!(
        error(Holder::ProgressId),
        json!({"code": "name_taken", "message": null, "status": 409})
    );
    assert_eq!(
        error(Holder::Watch)["message"],
        "a file named \"paella.jpg\" is already there"
    );
}

#[test]
fn every_file_of_a_form_has_its_url_and_the_form_none() {
    let (tracker, _hand) = by_hand();
    let upload = form("a", None);
    let id = upload.id;
    let tap = tracker.begin(&upload);
    let progress = Arc::clone(tap.progress());
    tap.done(&[file("a", 1), file("b", 2)]);
    let record: Value =
        serde_json::from_str(&progress.record(Holder::Id, "/up").to_json()).unwrap();
    assert_eq!(record["files"][0]["url"], format!("/up/files/{id}"));
    assert_eq!(record["files"][1]["url"], format!("/up/files/{id}/1"));
    assert_eq!(record["url"], Value::Null);
}

#[test]
fn a_repeated_field_is_an_array_and_a_huge_one_is_null() {
    let (tracker, _hand) = by_hand();
    let tap = tracker.begin(&form("a", None));
    let most = TrackerOptions::default().max_field_bytes;
    tap.field("dish", "paella");
    tap.field("note", &"x".repeat(most));
    tap.field("dish", "tapas");
    tap.field(&"n".repeat(2 * most), "");
    assert_eq!(
        json(tap.progress(), Holder::Id)["fields"],
        json!({"dish": ["paella", "tapas"], "note": null})
    );
    for _ in 0..100_000 {
        tap.field("", "");
    }
    assert!(tap.progress().record(Holder::Id, "").to_json().len() < 3 * most);
}

#[test]
fn a_skipped_file_leaves_the_record() {
    let (tracker, _hand) = by_hand();
    let tap = tracker.begin(&form("a", None));
    tap.begin_file(&head("a"));
    tap.begin_file(&head("b"));
    tap.discard_file();
    let record = json(tap.progress(), Holder::Id);
    assert_eq!(record["files"].as_array().unwrap().len(), 1);
    assert_eq!(record["files"][0]["name"], "a");
}

#[test]
fn a_tap_that_vanishes_ends_the_upload_as_client_gone() {
    let (tracker, _hand) = by_hand();
    let tap = tracker.begin(&form("a", Some(100)));
    let progress = Arc::clone(tap.progress());
    tap.received(40);
    drop(tap);
    let numbers = progress.numbers();
    assert_eq!(numbers.state, State::Error);
    assert_eq!(numbers.error, Some(("client_gone", 499)));
    assert_eq!((numbers.received, numbers.length), (40, Some(100)));
}

#[test]
fn nothing_changes_an_upload_that_has_ended() {
    let (tracker, _hand) = by_hand();
    let tap = tracker.begin(&form("a", None));
    let progress = Arc::clone(tap.progress());
    tap.done(&[]);
    let version = progress.version();
    assert_eq!(progress.state(), State::Done);
    assert!(!locked(&progress.known).turn(State::Error));
    assert_eq!(
        (progress.state(), progress.version()),
        (State::Done, version)
    );
}

#[test]
fn same_progress_id_twice_shows_the_newest_and_both_go_on() {
    let (tracker, _hand) = by_hand();
    let (older, newer) = (form("a", Some(10)), form("a", Some(20)));
    let first = tracker.begin(&older);
    let second = tracker.begin(&newer);
    first.received(10);
    first.done(&[]);
    assert_eq!(shown(&tracker, "a"), Some(newer.id));
    assert_eq!(tracker.by_id(&older.id).unwrap().state(), State::Done);
    assert_eq!(tracker.by_id(&newer.id).unwrap().state(), State::Starting);
    drop(second);
}

#[test]
fn another_owners_same_progress_id_is_another_upload() {
    let (tracker, _hand) = by_hand();
    let mine = form("a", None);
    let mut theirs = form("a", None);
    theirs.owner = owner("192.0.2.1");
    let _taps = (tracker.begin(&mine), tracker.begin(&theirs));
    let id = ProgressId::parse("a").unwrap();
    let found = |owner: &Owner| tracker.by_progress_id(owner, &id).map(|found| found.id());
    assert_eq!(found(&mine.owner), Some(mine.id));
    assert_eq!(found(&theirs.owner), Some(theirs.id));
    assert_eq!(found(&owner("192.0.2.2")), None);
}

#[test]
fn a_name_opens_what_its_kind_opens() {
    let (tracker, _hand) = by_hand();
    let upload = form("a", None);
    let _tap = tracker.begin(&upload);
    let holder = |text: &str| {
        tracker
            .find(&Key::name(text).unwrap())
            .map(|found| found.holder)
    };
    assert_eq!(holder(&upload.id.to_string()), Some(Holder::Id));
    assert_eq!(holder(&upload.id.watch().to_string()), Some(Holder::Watch));
    assert_eq!(holder(&UploadId::random().to_string()), None);
    assert!(tracker.by_watch(&upload.id.watch()).is_some());
    assert_eq!(tracker.find(&key("a")).unwrap().holder, Holder::ProgressId);
}

#[test]
fn a_record_goes_five_minutes_after_the_end_under_every_name() {
    let (tracker, hand) = by_hand();
    let upload = form("a", None);
    tracker.begin(&upload).done(&[]);
    hand.pass(Duration::from_secs(299));
    assert_eq!(locked(&tracker.shared.records).by_id.len(), 1);
    hand.pass(Duration::from_secs(1));
    assert!(tracker.by_id(&upload.id).is_none());
    assert!(tracker.by_watch(&upload.id.watch()).is_none());
    assert_eq!(shown(&tracker, "a"), None);
}

#[test]
fn a_record_that_is_still_polled_stays_up_to_an_hour_after_the_end() {
    let (tracker, hand) = by_hand();
    tracker.begin(&form("a", None)).fail(&Error::Truncated);
    for minute in 0..60 {
        assert!(shown(&tracker, "a").is_some(), "minute {minute}");
        hand.pass(Duration::from_secs(60));
    }
    assert_eq!(shown(&tracker, "a"), None);

    tracker.begin(&form("b", None)).fail(&Error::Truncated);
    hand.pass(Duration::from_secs(4 * 60));
    assert!(shown(&tracker, "b").is_some());
    hand.pass(Duration::from_secs(5 * 60));
    assert_eq!(shown(&tracker, "b"), None);
}

#[test]
fn a_running_upload_is_never_forgotten() {
    let (tracker, hand) = by_hand();
    let _tap = tracker.begin(&form("a", None));
    hand.pass(Duration::from_secs(48 * 60 * 60));
    assert!(shown(&tracker, "a").is_some());
}

#[test]
fn an_older_upload_that_goes_leaves_the_newer_ones_progress_id() {
    let (tracker, hand) = by_hand();
    tracker.begin(&form("a", None)).done(&[]);
    let newer = form("a", None);
    let _tap = tracker.begin(&newer);
    hand.pass(Duration::from_secs(301));
    assert_eq!(shown(&tracker, "a"), Some(newer.id));
}

#[test]
fn records_are_bounded_and_the_oldest_ended_goes_first() {
    let (tracker, hand) = by_hand::tracker(TrackerOptions {
        max_records: 3,
        ..TrackerOptions::default()
    });
    let running = tracker.begin(&form("running", None));
    for id in ["a", "b"] {
        tracker.begin(&form(id, None)).done(&[]);
        hand.tick();
    }
    let more = tracker.begin(&form("c", None));
    let listed = |ids: &[&str]| {
        ids.iter()
            .filter(|id| shown(&tracker, id).is_some())
            .count()
    };
    assert_eq!(listed(&["a"]), 0);
    assert_eq!(listed(&["running", "b", "c"]), 3);

    let also = tracker.begin(&form("d", None));
    let untracked = tracker.begin(&form("e", None));
    assert_eq!(listed(&["running", "c", "d"]), 3);
    assert_eq!(listed(&["b", "e"]), 0);
    untracked.received(5);
    assert_eq!(untracked.progress().received(), 5);
    untracked.done(&[]);
    assert_eq!(listed(&["running", "c", "d"]), 3);
    drop((running, more, also));
}

#[test]
fn numbers_are_published_by_the_tick_and_states_at_once() {
    let (tracker, hand) = by_hand();
    let tap = tracker.begin(&form("a", Some(1000)));
    let progress = Arc::clone(tap.progress());
    let published = || progress.version();
    let mut last = published();
    let mut moved = |what: &str, expected: bool| {
        let now = published();
        assert_eq!(now > last, expected, "{what}");
        last = now;
    };
    tap.received(100);
    moved("first byte", true);
    tap.received(100);
    moved("more bytes", false);
    hand.tick();
    moved("tick", true);
    hand.tick();
    moved("tick without a byte", false);
    tap.begin_file(&head("a"));
    moved("file begins", true);
    tap.end_file(&file("a", 1));
    moved("file ends", true);
    tap.processing();
    moved("processing", true);
    hand.pass(Duration::from_secs(5));
    moved("tick in processing", false);
    tap.done(&[]);
    moved("done", true);
}

#[test]
fn a_stalled_upload_tells_that_its_estimate_is_gone_then_only_its_fading_rate() {
    let (tracker, hand) = by_hand();
    let tap = tracker.begin(&form("a", Some(1_000_000)));
    let progress = tap.progress();
    for _ in 0..30 {
        tap.received(1000);
        hand.tick();
    }
    let record = || progress.record(Holder::Id, "");
    assert_eq!((record().rate, record().eta), (Some(10_000), Some(97)));
    let mut publications = 0;
    for _ in 0..30 {
        let before = progress.version();
        hand.tick();
        publications += u32::from(progress.version() > before);
    }
    assert_eq!(record().eta, None);
    assert!((3..=4).contains(&publications), "{publications}");
    hand.pass(Duration::from_secs(600));
    assert_eq!(record().rate, Some(0));
    let quiet = progress.version();
    hand.pass(Duration::from_secs(600));
    assert_eq!(progress.version(), quiet);
}

#[test]
fn versions_grow_across_uploads() {
    let (tracker, _hand) = by_hand();
    let first = tracker.begin(&form("a", None));
    let second = tracker.begin(&form("b", None));
    assert!(second.progress().version() > first.progress().version());
    first.received(1);
    assert!(first.progress().version() > second.progress().version());
}

#[test]
fn percent_says_100_only_when_done() {
    use State::{Done, Processing, Uploading};
    for (state, received, length, percent) in [
        (Uploading, 0, Some(3), Some(0)),
        (Uploading, 1, Some(3), Some(33)),
        (Uploading, 3, Some(3), Some(99)),
        (Processing, 3, Some(3), Some(99)),
        (Uploading, 5, Some(3), Some(99)),
        (Uploading, u64::MAX - 1, Some(u64::MAX), Some(99)),
        (Uploading, 5, None, None),
        (Processing, 0, Some(0), None),
        (Done, 0, Some(0), Some(100)),
    ] {
        assert_eq!(
            super::percent(state, None, received, length),
            percent,
            "{state:?} {received}"
        );
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    runtime()
        .block_on(async { tokio::time::timeout(limit, future).await })
        .expect("the ticker rings in time")
}

#[test]
fn the_ticker_rings_followers_for_states_and_for_bytes_and_for_what_begins() {
    let tracker = Tracker::start(TrackerOptions::default());
    let bell = Bell::default();
    let mut follow = tracker.follow(key("a"), &bell);
    assert!(follow.look().is_none());
    let tap = tracker.begin(&form("a", Some(100)));
    soon(bell.rung());
    let seen = follow.look().unwrap().progress.version();
    tap.received(1);
    soon(bell.rung());
    let next = follow.look().unwrap().progress.version();
    assert!(next > seen);
    tap.received(1);
    soon(bell.rung());
    assert!(follow.look().unwrap().progress.version() > next);

    let newer = form("a", None);
    let _newer = tracker.begin(&newer);
    soon(bell.rung());
    assert_eq!(follow.look().unwrap().progress.id(), newer.id);
}

#[test]
fn a_state_is_rung_without_waiting_for_the_tick() {
    let tracker = Tracker::start(TrackerOptions {
        tick: Duration::from_secs(3600),
        ..TrackerOptions::default()
    });
    let tap = tracker.begin(&form("a", Some(100)));
    let bell = Bell::default();
    let mut follow = tracker.follow(key("a"), &bell);
    assert!(follow.look().is_some());
    tap.received(1);
    soon(bell.rung());
    tap.begin_file(&head("a"));
    soon(bell.rung());
    tap.done(&[]);
    soon(bell.rung());
}

#[test]
fn a_stream_that_turns_to_the_newer_upload_leaves_the_older_one() {
    let (tracker, _hand) = by_hand();
    let older = tracker.begin(&form("a", None));
    let mut follow = tracker.follow(key("a"), &Bell::default());
    assert!(follow.look().is_some() && older.progress().is_followed());
    let newer = tracker.begin(&form("a", None));
    assert!(follow.look().is_some() && newer.progress().is_followed());
    assert!(!older.progress().is_followed());
}

#[test]
fn the_ticker_forgets_without_being_asked_and_wakes_for_a_new_upload() {
    let tracker = Tracker::start(TrackerOptions {
        keep: Duration::from_millis(30),
        tick: Duration::from_millis(5),
        ..TrackerOptions::default()
    });
    tracker.begin(&form("a", None)).done(&[]);
    let until = Instant::now() + Duration::from_secs(20);
    while !locked(&tracker.shared.records).by_id.is_empty() {
        assert!(Instant::now() < until, "the record is still there");
        std::thread::sleep(TICK / 20);
    }
    let tap = tracker.begin(&form("b", Some(10)));
    tap.received(5);
    while tap.progress().record(Holder::Id, "").rate.is_none() {
        assert!(Instant::now() < until, "no tick came");
        std::thread::sleep(TICK / 20);
    }
}

#[test]
fn the_tickers_thread_ends_with_the_last_tracker_and_taps_go_on() {
    let tracker = Tracker::start(TrackerOptions::default());
    let shared = Arc::downgrade(&tracker.shared);
    let clone = tracker.clone();
    let tap = clone.begin(&form("a", None));
    drop((tracker, clone));
    tap.received(1);
    tap.done(&[]);
    let until = Instant::now() + Duration::from_secs(20);
    while shared.strong_count() > 0 {
        assert!(Instant::now() < until, "the thread is still there");
        std::thread::sleep(TICK / 20);
    }
}

#[test]
fn a_stream_that_goes_takes_its_bells_down() {
    let (tracker, _hand) = by_hand();
    let tap = tracker.begin(&form("a", None));
    let bell = Bell::default();
    let mut follows = vec![
        tracker.follow(key("a"), &bell),
        tracker.follow(key("a"), &bell),
    ];
    assert!(follows.iter_mut().all(|follow| follow.look().is_some()));
    assert_eq!(locked(&tap.progress().bells).len(), 2);
    follows.pop();
    assert_eq!(locked(&tap.progress().bells).len(), 1);
    follows.pop();
    assert!(!tap.progress().is_followed());
    assert!(tracker.shared.expected.is_empty());
}
