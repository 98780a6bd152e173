use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::progress::by_hand::{self, Hand, STALL};
use crate::progress::{
    Bell, End, Follow, Holder, Key, Ledger, Phase, TrackerOptions, Why, percent as percent_of,
};
use crate::upload::{FileFacts, Owner, ProgressId, Protocol};

fn tus(length: Option<u64>) -> Upload {
    let mut upload = Upload::new(
        Protocol::Tus,
        Owner::from_address("127.0.0.1".parse().unwrap()),
    );
    upload.progress_id = ProgressId::parse("a");
    upload.length = length;
    upload
}

fn head() -> FileHead {
    FileHead {
        field: None,
        name: Some("paella.jpg".into()),
        content_type: None,
    }
}

/// A tracker moved by hand, with what its ledger was told.
struct House {
    tracker: Tracker,
    hand: Hand,
    told: Arc<Told>,
}

#[derive(Default, Debug)]
struct Told {
    bytes: AtomicU64,
    ends: Mutex<Vec<String>>,
    interruptions: Mutex<Vec<(String, u64)>>,
}

impl Ledger for Told {
    fn received(&self, _: Protocol, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    fn ended(&self, end: &End<'_>) {
        locked(&self.ends).push(end.code().into());
    }

    fn interrupted(&self, interruption: &Interruption<'_>) {
        let (code, offset) = (interruption.why.code(), interruption.offset);
        locked(&self.interruptions).push((code.into(), offset));
    }
}

impl House {
    fn new() -> Self {
        Self::with(TrackerOptions::default())
    }

    fn with(options: TrackerOptions) -> Self {
        let told = Arc::new(Told::default());
        let (tracker, hand) = by_hand::told(options, Arc::clone(&told) as Arc<dyn Ledger>);
        Self {
            tracker,
            hand,
            told,
        }
    }

    fn record(&self, upload: &Upload) -> Value {
        let progress = self.tracker.by_id(&upload.id).expect("it is listed");
        serde_json::from_str(&progress.record(Holder::Id, "").to_json()).unwrap()
    }

    /// State, offset, received.
    fn stands(&self, upload: &Upload) -> (String, Option<u64>, u64) {
        let record = self.record(upload);
        let state = record["state"].as_str().unwrap().to_owned();
        (
            state,
            record["offset"].as_u64(),
            record["received"].as_u64().unwrap(),
        )
    }

    fn bytes(&self) -> u64 {
        self.told.bytes.load(Ordering::SeqCst)
    }

    fn is_before_the_ticker(&self, upload: &Upload) -> bool {
        let records = locked(&self.tracker.shared.records);
        records.running.contains_key(&upload.id)
    }
}

fn stands(state: &str, offset: u64, received: u64) -> (String, Option<u64>, u64) {
    (state.into(), Some(offset), received)
}

#[test]
fn an_upload_is_cut_and_goes_on_and_its_numbers_tell_the_truth_throughout() {
    let house = House::new();
    let upload = tus(Some(100));
    let tap = house.tracker.begin(&upload);
    assert_eq!(house.stands(&upload), ("starting".into(), None, 0));
    tap.begin_file(&head());
    tap.kept(0);
    tap.rest(0);
    assert_eq!(house.stands(&upload), stands("starting", 0, 0));
    assert_eq!(house.tracker.running(), 0);

    let tap = house.tracker.resume(&upload, 0);
    assert_eq!(house.tracker.running(), 1);
    tap.received(40);
    assert_eq!(house.stands(&upload), stands("uploading", 0, 40));
    tap.kept(30);
    assert_eq!(house.stands(&upload), stands("uploading", 30, 40));
    tap.interrupt(30, &Error::ClientGone);
    assert_eq!(house.stands(&upload), stands("interrupted", 30, 30));
    assert_eq!(house.tracker.running(), 0);

    let tap = house.tracker.resume(&upload, 30);
    assert_eq!(house.stands(&upload), stands("interrupted", 30, 30));
    tap.received(0);
    assert_eq!(house.stands(&upload), stands("interrupted", 30, 30));
    tap.received(1);
    assert_eq!(house.stands(&upload), stands("uploading", 30, 31));
    tap.received(69);
    tap.processing();
    tap.done(&[FileFacts::from(head())]);
    assert_eq!(house.stands(&upload), stands("done", 100, 100));
    assert_eq!(house.record(&upload)["length"], 100);
    assert_eq!(house.record(&upload)["files"].as_array().unwrap().len(), 1);
    assert_eq!(house.tracker.running(), 0);
    // Ten bytes came twice.
    assert_eq!(house.bytes(), 110);
    assert_eq!(*locked(&house.told.ends), ["done"]);
    let interruptions = [("client_gone".to_owned(), 30)];
    assert_eq!(*locked(&house.told.interruptions), interruptions);
}

#[test]
fn a_request_that_ends_well_leaves_the_upload_uploading_until_it_has_been_silent_too_long() {
    let house = House::new();
    let upload = tus(Some(100));
    let tap = house.tracker.begin(&upload);
    tap.received(40);
    tap.rest(40);
    assert_eq!(house.stands(&upload), stands("uploading", 40, 40));
    house.hand.pass(STALL - Duration::from_millis(1));
    assert_eq!(house.stands(&upload), stands("uploading", 40, 40));
    let version = house.tracker.by_id(&upload.id).unwrap().version();
    house.hand.pass(Duration::from_millis(1));
    assert_eq!(house.stands(&upload), stands("interrupted", 40, 40));
    assert!(house.tracker.by_id(&upload.id).unwrap().version() > version);
    assert_eq!(
        *locked(&house.told.interruptions),
        [("stalled".to_owned(), 40)]
    );
    assert!(!house.is_before_the_ticker(&upload));
    assert_eq!(house.record(&upload)["rate"], Value::Null);
    assert_eq!(house.record(&upload)["eta"], Value::Null);
}

#[test]
fn one_request_after_the_other_is_one_upload_under_way() {
    let house = House::new();
    let upload = tus(Some(1_000_000));
    let tap = house.tracker.begin(&upload);
    let progress = Arc::clone(tap.progress());
    tap.rest(0);
    for request in 0..40 {
        let offset = request * 1000;
        let tap = house.tracker.resume(&upload, offset);
        tap.received(1000);
        house.hand.tick();
        tap.rest(offset + 1000);
        house.hand.tick();
        assert_eq!(progress.state(), State::Uploading);
    }
    let record = house.record(&upload);
    // A thousand bytes every 200 ms.
    let rate = record["rate"].as_u64().unwrap();
    assert!((4900..5100).contains(&rate), "{rate}");
    let eta = record["eta"].as_u64().unwrap();
    assert!((188..196).contains(&eta), "{eta}");
    house.hand.pass(STALL / 2);
    assert_eq!(house.record(&upload)["eta"], Value::Null);
}

#[test]
fn what_is_to_come_again_is_taken_back_at_once_and_counts_again_in_the_rate() {
    let house = House::new();
    let upload = tus(Some(1_000_000));
    let tap = house.tracker.begin(&upload);
    for _ in 0..20 {
        tap.received(1000);
        house.hand.tick();
    }
    // A checksum did not fit, say.
    tap.rest(5000);
    assert_eq!(house.stands(&upload), stands("uploading", 5000, 5000));
    let progress = house.tracker.by_id(&upload.id).unwrap();
    let version = progress.version();
    let tap = house.tracker.resume(&upload, 5000);
    let resumed = progress.version();
    assert!(resumed > version);
    for _ in 0..20 {
        tap.received(1000);
        house.hand.tick();
    }
    assert_eq!(house.record(&upload)["rate"], 10_000);
    tap.rest(20_000);
    let version = progress.version();
    house.hand.pass(Duration::from_micros(1));
    assert_eq!(progress.version(), version);
}

#[test]
fn an_upload_that_somebody_writes_or_that_has_not_begun_is_never_turned_for_its_silence() {
    let house = House::new();
    let (held, begun) = (tus(Some(100)), tus(Some(100)));
    let tap = house.tracker.begin(&held);
    tap.received(40);
    tap.rest(40);
    let tap = house.tracker.resume(&held, 40);
    house.tracker.begin(&begun).rest(0);
    assert!(!house.is_before_the_ticker(&begun));
    house.hand.pass(STALL * 100);
    assert_eq!(house.stands(&held), stands("uploading", 40, 40));
    assert_eq!(house.stands(&begun), stands("starting", 0, 0));
    drop(tap);
}

#[test]
fn an_unfinished_upload_is_never_forgotten_for_its_age_and_its_end_is_kept_as_any_other() {
    let house = House::new();
    let upload = tus(Some(100));
    let tap = house.tracker.begin(&upload);
    tap.received(40);
    tap.interrupt(40, &Error::ClientGone);
    house.hand.pass(Duration::from_secs(24 * 60 * 60));
    assert_eq!(house.stands(&upload), stands("interrupted", 40, 40));
    house.tracker.resume(&upload, 40).fail(&Error::Expired);
    let record = house.record(&upload);
    assert_eq!(record["state"], "error");
    assert_eq!(record["error"]["code"], "expired");
    assert_eq!(*locked(&house.told.ends), ["expired"]);
    assert_eq!((house.tracker.running(), house.bytes()), (0, 40));
    house.hand.pass(TrackerOptions::default().keep);
    assert!(locked(&house.tracker.shared.records).by_id.is_empty());
}

#[test]
fn after_a_restart_it_is_found_under_every_name_and_goes_on_as_the_same() {
    let house = House::new();
    let mut upload = tus(Some(100));
    upload.started_at = SystemTime::now() - Duration::from_secs(3600);
    let fields = [("dish".to_owned(), "7".to_owned())];
    house
        .tracker
        .revive(&upload, 40, Files::open(Some(&head())), &fields);
    let record = house.record(&upload);
    for (name, value) in [
        ("state", json!("interrupted")),
        ("protocol", json!("tus")),
        ("progress_id", json!("a")),
        ("length", json!(100)),
        ("received", json!(40)),
        ("offset", json!(40)),
        ("rate", Value::Null),
        ("fields", json!({"dish": "7"})),
    ] {
        assert_eq!(record[name], value, "{name}");
    }
    assert_eq!(record["files"][0]["name"], "paella.jpg");
    assert!(house.tracker.by_watch(&upload.id.watch()).is_some());
    let id = ProgressId::parse("a").unwrap();
    assert!(house.tracker.by_progress_id(&upload.owner, &id).is_some());
    assert_eq!((house.tracker.running(), house.bytes()), (0, 0));
    assert!(!house.is_before_the_ticker(&upload));

    let tap = house.tracker.resume(&upload, 40);
    let lasted = tap
        .progress()
        .interruption(40, &Error::ClientGone, Instant::now());
    assert!(lasted.lasted >= Duration::from_secs(3600));
    tap.received(60);
    tap.done(&[]);
    assert_eq!(house.stands(&upload), stands("done", 100, 100));
    assert_eq!(house.bytes(), 60);
}

#[test]
fn one_that_is_revived_without_a_byte_is_starting_and_one_that_is_listed_stays_as_it_is() {
    let house = House::new();
    let upload = tus(None);
    house
        .tracker
        .revive(&upload, 0, Files::open(Some(&head())), &[]);
    assert_eq!(house.stands(&upload), stands("starting", 0, 0));
    let tap = house.tracker.resume(&upload, 0);
    tap.received(5);
    house
        .tracker
        .revive(&upload, 0, Files::open(Some(&head())), &[]);
    assert_eq!(house.stands(&upload), stands("uploading", 0, 5));
}

#[test]
fn a_length_that_is_said_later_is_taken_over_and_never_changed() {
    let house = House::new();
    let mut upload = tus(None);
    house.tracker.begin(&upload).rest(0);
    assert_eq!(house.record(&upload)["length"], Value::Null);
    upload.length = Some(10);
    house.tracker.resume(&upload, 0).rest(0);
    assert_eq!(house.record(&upload)["length"], 10);
    upload.length = Some(11);
    house.tracker.resume(&upload, 0).rest(0);
    assert_eq!(house.record(&upload)["length"], 10);
}

#[test]
fn a_deferred_length_that_ends_by_an_empty_request_goes_from_interrupted_to_done() {
    let house = House::new();
    let mut upload = tus(None);
    let tap = house.tracker.begin(&upload);
    tap.received(40);
    tap.interrupt(40, &Error::ClientGone);
    upload.length = Some(40);
    let tap = house.tracker.resume(&upload, 40);
    tap.processing();
    assert_eq!(house.stands(&upload), stands("processing", 40, 40));
    tap.done(&[]);
    assert_eq!(house.stands(&upload), stands("done", 40, 40));
}

#[test]
fn a_writer_that_has_not_let_go_changes_nothing_any_more() {
    let house = House::new();
    let upload = tus(Some(100));
    let older = house.tracker.begin(&upload);
    older.received(40);
    older.kept(30);
    let newer = house.tracker.resume(&upload, 30);
    assert_eq!(older.go_on().unwrap_err().code(), "superseded");
    assert!(newer.go_on().is_ok());
    older.kept(40);
    older.begin_file(&head());
    older.phase(Phase {
        name: "joining".into(),
        done: None,
        total: None,
    });
    older.interrupt(40, &Error::Superseded);
    assert_eq!(house.stands(&upload), stands("uploading", 30, 30));
    assert_eq!(house.record(&upload)["files"], json!([]));
    assert_eq!(house.tracker.running(), 1);
    assert!(house.is_before_the_ticker(&upload));

    let newest = house.tracker.resume(&upload, 30);
    newer.fail(&Error::ClientGone);
    assert_eq!(house.stands(&upload), stands("uploading", 30, 30));
    assert!(locked(&house.told.ends).is_empty());
    newest.received(70);
    newest.done(&[]);
    assert_eq!(house.stands(&upload), stands("done", 100, 100));
    assert_eq!(house.tracker.running(), 0);
    assert_eq!(house.bytes(), 110);
}

#[test]
fn whoever_resumes_is_not_told_what_his_predecessor_was() {
    let house = House::new();
    let upload = tus(Some(100));
    let tap = house.tracker.begin(&upload);
    tap.progress().halt(Why::Superseded);
    assert_eq!(tap.go_on().unwrap_err().code(), "superseded");
    tap.interrupt(0, &Error::Superseded);
    let tap = house.tracker.resume(&upload, 0);
    assert!(tap.go_on().is_ok());
    house.tracker.halt_all(Why::ShuttingDown);
    assert_eq!(tap.go_on().unwrap_err().code(), "shutting_down");
}

#[test]
fn a_writer_that_vanishes_interrupts_what_is_kept_and_ends_what_is_stored_already() {
    let house = House::new();
    let (cut, storing) = (tus(Some(100)), tus(Some(100)));
    let tap = house.tracker.begin(&cut);
    tap.kept(0);
    tap.received(40);
    tap.kept(30);
    drop(tap);
    assert_eq!(house.stands(&cut), stands("interrupted", 30, 30));
    let tap = house.tracker.begin(&storing);
    tap.kept(0);
    tap.received(100);
    tap.processing();
    drop(tap);
    assert_eq!(house.record(&storing)["error"]["code"], "client_gone");
    assert_eq!(house.tracker.running(), 0);
}

#[test]
fn a_checkpoint_is_told_by_the_tick_though_no_byte_comes() {
    let house = House::new();
    let tap = house.tracker.begin(&tus(Some(100)));
    tap.received(40);
    house.hand.tick();
    let version = tap.progress().version();
    tap.kept(40);
    assert_eq!(tap.progress().version(), version);
    house.hand.tick();
    let told = tap.progress().version();
    assert!(told > version);
    house.hand.tick();
    assert_eq!(tap.progress().version(), told);
}

#[test]
fn a_phase_is_shown_while_the_upload_is_processed_and_at_no_other_time() {
    let house = House::new();
    let upload = tus(Some(100));
    let tap = house.tracker.begin(&upload);
    let phase = |name: &str, done| Phase {
        name: name.into(),
        done: Some(done),
        total: Some(100),
    };
    tap.phase(phase("joining", 0));
    assert_eq!(house.record(&upload)["phase"], Value::Null);
    tap.received(100);
    tap.processing();
    let shown = |name: &str, done: u64| json!({"name": name, "done": done, "total": 100});
    assert_eq!(house.record(&upload)["phase"], shown("joining", 0));
    house.hand.tick();
    let version = tap.progress().version();
    tap.phase(phase("joining", 50));
    assert_eq!(tap.progress().version(), version);
    house.hand.tick();
    let told = tap.progress().version();
    assert!(told > version);
    assert_eq!(house.record(&upload)["phase"], shown("joining", 50));
    tap.phase(phase("resizing", 0));
    assert!(tap.progress().version() > told);
    assert_eq!(house.record(&upload)["phase"], shown("resizing", 0));
    tap.done(&[]);
    assert_eq!(house.record(&upload)["phase"], Value::Null);
}

#[test]
fn bytes_that_come_from_other_uploads_are_a_phase_and_do_not_come_off_the_wire_again() {
    let house = House::new();
    let upload = tus(Some(100));
    let tap = house.tracker.begin(&upload);
    tap.kept(0);
    tap.rest(0);
    let tap = house.tracker.resume(&upload, 0);
    tap.joining();
    tap.received(40);
    house.hand.tick();
    let joining = |done: u64| json!({"name": "joining", "done": done, "total": 100});
    assert_eq!(house.stands(&upload), stands("processing", 0, 40));
    assert_eq!(house.record(&upload)["phase"], joining(40));
    tap.interrupt(30, &Error::ShuttingDown);
    assert_eq!(house.stands(&upload), stands("interrupted", 30, 30));
    assert_eq!(house.record(&upload)["phase"], Value::Null);
    let tap = house.tracker.resume(&upload, 30);
    tap.joining();
    tap.received(70);
    assert_eq!(house.record(&upload)["phase"], joining(100));
    tap.processing();
    tap.done(&[]);
    assert_eq!(house.stands(&upload), stands("done", 100, 100));
    assert_eq!(house.record(&upload)["phase"], Value::Null);
    assert_eq!(house.bytes(), 0);
}

fn key(upload: &Upload) -> Key {
    Key::Progress(upload.owner.clone(), upload.progress_id.clone().unwrap())
}

#[test]
fn when_records_are_full_the_unfinished_go_after_the_ended_and_come_back_when_they_are_resumed() {
    let house = House::with(TrackerOptions {
        max_records: 3,
        ..TrackerOptions::default()
    });
    // Nothing but their own names leads to them.
    let nameless = || Upload {
        progress_id: None,
        ..tus(None)
    };
    let [first, second, ended] = [nameless(), nameless(), nameless()];
    for (rests, offset) in [(&first, 10), (&second, 20)] {
        let tap = house.tracker.begin(rests);
        tap.received(offset);
        tap.interrupt(offset, &Error::ClientGone);
    }
    house.tracker.begin(&ended).done(&[]);
    let mut follow: Follow = house
        .tracker
        .follow(Key::name(&first.id.to_string()).unwrap(), &Bell::default());
    assert!(follow.look().is_some());
    let listed = |upload: &Upload| house.tracker.by_id(&upload.id).is_some();
    let taps = [
        house.tracker.begin(&tus(None)),
        house.tracker.begin(&tus(None)),
    ];
    assert_eq!(
        [listed(&ended), listed(&first), listed(&second)],
        [false, false, true]
    );
    let again = house.tracker.resume(&first, 10);
    assert_eq!([listed(&first), listed(&second)], [true, false]);
    assert_eq!(house.stands(&first), stands("interrupted", 10, 10));
    let followed = Arc::clone(&follow.look().unwrap().progress);
    assert!(Arc::ptr_eq(&followed, again.progress()));
    let untracked = house.tracker.resume(&second, 20);
    assert!(!listed(&second));
    untracked.received(5);
    untracked.interrupt(25, &Error::ClientGone);
    assert_eq!(house.tracker.running(), 3);
    drop(taps);
}

#[test]
fn of_several_with_one_progress_id_the_one_begun_last_is_meant_in_whatever_order_they_come_back() {
    let house = House::new();
    let (mut older, mut newer) = (tus(None), tus(None));
    older.started_at = SystemTime::now() - Duration::from_secs(200);
    newer.started_at = SystemTime::now() - Duration::from_secs(100);
    house
        .tracker
        .revive(&newer, 1, Files::open(Some(&head())), &[]);
    house
        .tracker
        .revive(&older, 1, Files::open(Some(&head())), &[]);
    let meant = || house.tracker.find(&key(&older)).unwrap().progress.id();
    assert_eq!(meant(), newer.id);
    house.tracker.resume(&older, 1).fail(&Error::Expired);
    house.hand.pass(TrackerOptions::default().keep_polled);
    assert!(house.tracker.by_id(&older.id).is_none());
    assert_eq!(meant(), newer.id);
}

#[test]
fn percent_is_of_what_is_kept_where_something_can_be_resumed() {
    use State::{Done, Interrupted, Uploading};
    for (state, offset, received, percent) in [
        (Uploading, None, 50, Some(50)),
        (Uploading, Some(0), 50, Some(0)),
        (Uploading, Some(33), 50, Some(33)),
        (Interrupted, Some(100), 100, Some(99)),
        (Done, Some(100), 100, Some(100)),
    ] {
        let shown = percent_of(state, offset, received, Some(100));
        assert_eq!(shown, percent, "{state:?} {offset:?}");
    }
}
