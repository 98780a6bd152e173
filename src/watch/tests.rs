use std::time::Duration;

use http::Request;
use http::request::Parts;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::progress::{Files, Tap, TrackerOptions, by_hand};
use crate::upload::{FileFacts, FileHead, ProgressId, Protocol, Upload};

fn get(uri: &str) -> Parts {
    Request::get(uri).body(()).unwrap().into_parts().0
}

fn live(uri: &str) -> Parts {
    with(uri, "accept", "text/event-stream")
}

fn with(uri: &str, name: &'static str, value: &str) -> Parts {
    let mut request = get(uri);
    request.headers.insert(name, value.parse().unwrap());
    request
}

fn again(uri: &str, last: &str) -> Parts {
    let mut request = live(uri);
    request
        .headers
        .insert("last-event-id", last.parse().unwrap());
    request
}

fn me() -> Owner {
    Owner::from_address("127.0.0.1".parse().unwrap())
}

fn form(progress_id: &str, length: u64) -> Upload {
    let mut upload = Upload::new(Protocol::Form, me());
    upload.progress_id = ProgressId::parse(progress_id);
    upload.length = Some(length);
    upload
}

/// A watch over a tracker that is moved by hand.
struct House {
    tracker: Tracker,
    hand: by_hand::Hand,
    watch: Watch,
}

impl House {
    fn new() -> Self {
        Self::with(WatchOptions::default())
    }

    fn with(options: WatchOptions) -> Self {
        let (tracker, hand) = by_hand::tracker(TrackerOptions::default());
        let watch = Watch::new(tracker.clone(), options);
        Self {
            tracker,
            hand,
            watch,
        }
    }

    fn begin(&self, progress_id: &str, length: u64) -> Tap {
        self.tracker.begin(&form(progress_id, length))
    }

    fn article(&self, uri: &str) -> (u16, String) {
        body(&self.watch.article(&get(uri), &[me()]))
    }

    fn nginx(&self, uri: &str) -> (u16, String) {
        body(&self.watch.nginx(&get(uri), &[me()]))
    }

    fn uploads(&self, request: &Parts) -> Uploads {
        let name = request
            .uri
            .path()
            .strip_prefix("/uploads/")
            .map(str::to_owned);
        self.watch.uploads(request, &[me()], "/up", name.as_deref())
    }

    fn now(&self, request: &Parts) -> Response<Bytes> {
        match self.uploads(request) {
            Uploads::Now(response) => response,
            Uploads::Live(_) => panic!("a stream"),
        }
    }

    fn records(&self, uri: &str) -> Value {
        serde_json::from_slice(self.now(&get(uri)).body()).unwrap()
    }

    fn open(&self, request: &Parts) -> Listener {
        match self.uploads(request) {
            Uploads::Live(response) => Listener(response.into_body()),
            Uploads::Now(response) => panic!("no stream but {response:?}"),
        }
    }
}

fn body(response: &Response<Bytes>) -> (u16, String) {
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), text)
}

/// What EventSource makes of an event.
#[derive(Debug)]
struct Heard {
    event: String,
    id: String,
    data: Value,
}

struct Listener(EventStream);

impl Listener {
    /// The next chunk; `None` at the end of the stream.
    /// Reads on until `most` events have come.
    async fn tell_all(&mut self, most: usize) {
        let mut told = 0;
        while told < most {
            told += self.events().await.len();
        }
        assert_eq!(told, most);
    }

    async fn chunk(&mut self) -> Option<String> {
        let frame = self.0.frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }

    /// The events of the next chunk that has some.
    async fn events(&mut self) -> Vec<Heard> {
        loop {
            let chunk = self.chunk().await.expect("the stream goes on");
            let heard: Vec<_> = chunk.split_terminator("\n\n").filter_map(hear).collect();
            if !heard.is_empty() {
                return heard;
            }
        }
    }

    async fn event(&mut self) -> Heard {
        let mut events = self.events().await;
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// Whether nothing comes for this long.
    async fn is_silent(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.chunk()).await.is_err()
    }

    async fn has_ended(&mut self) -> bool {
        self.chunk().await.is_none()
    }
}

fn hear(block: &str) -> Option<Heard> {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_owned)
    };
    Some(Heard {
        event: field("event: ").unwrap_or_else(|| "message".into()),
        id: field("id: ").unwrap_or_default(),
        data: serde_json::from_str(&field("data: ")?).unwrap(),
    })
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn article_polls_an_upload_from_its_head_to_its_end() {
    let house = House::new();
    let poll = || house.article("/get_upload_progress?X-Progress-ID=0.73").1;
    assert_eq!(poll(), "null");
    let tap = house.begin("0.73", 295);
    assert_eq!(poll(), r#"{"uploaded": 0, "length": 295}"#);
    tap.received(200);
    assert_eq!(poll(), r#"{"uploaded": 200, "length": 295}"#);
    tap.received(95);
    tap.processing();
    assert_eq!(poll(), r#"{"uploaded": 294, "length": 295}"#);
    tap.done(&[]);
    assert_eq!(poll(), "null");
}

#[test]
fn article_keeps_showing_where_a_cut_upload_stopped_while_it_is_polled() {
    let house = House::new();
    let tap = house.begin("a", 100);
    tap.received(40);
    drop(tap);
    let poll = || house.article("/?X-Progress-ID=a").1;
    for _ in 0..12 * 60 {
        assert_eq!(
            poll(),
            r#"{"uploaded": 40, "length": 100, "state": "error", "error": "client_gone"}"#
        );
        house.hand.pass(5 * SECOND);
    }
    assert_eq!(poll(), "null");
}

/// An upload that can resume, cut after 40 of 100 bytes.
fn cut(house: &House) -> Upload {
    let mut upload = form("a", 100);
    upload.protocol = Protocol::Tus;
    let tap = house.tracker.begin(&upload);
    tap.received(50);
    tap.interrupt(40, &Error::ClientGone);
    upload
}

#[test]
fn article_shows_an_interrupted_upload_where_it_stands_until_it_goes_on_or_ends() {
    let house = House::new();
    let poll = || house.article("/?X-Progress-ID=a").1;
    let upload = cut(&house);
    let interrupted = r#"{"uploaded": 40, "length": 100, "state": "interrupted"}"#;
    assert_eq!(poll(), interrupted);
    house.hand.pass(24 * 3600 * SECOND);
    let tap = house.tracker.resume(&upload, 40);
    assert_eq!(poll(), interrupted);
    tap.received(1);
    assert_eq!(poll(), r#"{"uploaded": 41, "length": 100}"#);
    tap.interrupt(41, &Error::ClientGone);
    house.tracker.resume(&upload, 41).fail(&Error::Expired);
    assert_eq!(
        poll(),
        r#"{"uploaded": 41, "length": 100, "state": "error", "error": "expired"}"#
    );
}

#[test]
fn nginx_reports_an_interrupted_upload_as_closed_by_its_client_until_it_goes_on() {
    let house = House::new();
    let poll = || house.nginx("/progress?X-Progress-ID=a").1;
    let upload = cut(&house);
    assert_eq!(poll(), "{ \"state\" : \"error\", \"status\" : 499 }\r\n");
    let tap = house.tracker.resume(&upload, 40);
    tap.received(20);
    assert_eq!(
        poll(),
        "{ \"state\" : \"uploading\", \"received\" : 60, \"size\" : 100 }\r\n"
    );
    tap.received(40);
    tap.done(&[]);
    assert_eq!(poll(), "{ \"state\" : \"done\" }\r\n");
}

#[test]
fn article_poll_is_never_cached_and_is_json() {
    let house = House::new();
    let response = house.watch.article(&get("/?X-Progress-ID=a"), &[me()]);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
}

#[test]
fn article_refuses_a_poll_without_id_and_a_post_and_takes_an_odd_id_as_unknown() {
    let house = House::new();
    let (status, body) = house.article("/get_upload_progress");
    assert_eq!(status, 400);
    assert!(body.contains(r#""code":"missing_progress_id""#), "{body}");
    for odd in ["", "%00", "%ff", &"x".repeat(201)] {
        let answer = house.article(&format!("/?X-Progress-ID={odd}"));
        assert_eq!(answer, (200, "null".into()));
    }
    let mut post = get("/?X-Progress-ID=a");
    post.method = Method::POST;
    let response = house.watch.article(&post, &[me()]);
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD");
}

#[test]
fn article_and_nginx_show_nobody_elses_upload() {
    let house = House::new();
    let tap = house.begin("a", 100);
    tap.received(40);
    let stranger = Owner::from_address("192.0.2.1".parse().unwrap());
    let request = get("/?X-Progress-ID=a");
    let nginx = house.watch.nginx(&request, std::slice::from_ref(&stranger));
    assert_eq!(
        house
            .watch
            .article(&request, std::slice::from_ref(&stranger))
            .body(),
        "null"
    );
    assert_eq!(nginx.body(), "{ \"state\" : \"starting\" }\r\n");
    let Uploads::Now(response) =
        house
            .watch
            .uploads(&request, std::slice::from_ref(&stranger), "", None)
    else {
        panic!("a stream");
    };
    assert_eq!(response.body(), "[null]");
}

#[tokio::test(start_paused = true)]
async fn article_waits_a_minute_for_an_unknown_id_where_that_is_asked_for() {
    let house = House::with(WatchOptions {
        poll_unknown: PollUnknown::Wait,
        max_awaited: 2,
        ..WatchOptions::default()
    });
    let waiting = r#"{"uploaded": 0, "length": 1}"#;
    let poll = |id: &str| house.article(&format!("/?X-Progress-ID={id}")).1;
    assert_eq!(poll("a"), waiting);
    tokio::time::advance(59 * SECOND).await;
    assert_eq!(poll("a"), waiting);
    tokio::time::advance(SECOND).await;
    assert_eq!(poll("a"), "null");

    for id in ["b", "c", "d"] {
        assert_eq!(poll(id), waiting);
    }
    let remembered = || house.watch.awaited.lock().unwrap().len();
    assert_eq!(remembered(), 2);
    let _tap = house.begin("b", 7);
    assert_eq!(poll("b"), r#"{"uploaded": 0, "length": 7}"#);
}

#[test]
fn nginx_reports_an_upload_as_the_module_does() {
    let house = House::new();
    let poll = || house.nginx("/progress?X-Progress-ID=a").1;
    assert_eq!(poll(), "{ \"state\" : \"starting\" }\r\n");
    let tap = house.begin("a", 500_000);
    assert_eq!(poll(), "{ \"state\" : \"starting\" }\r\n");
    tap.received(300_000);
    assert_eq!(
        poll(),
        "{ \"state\" : \"uploading\", \"received\" : 300000, \"size\" : 500000 }\r\n"
    );
    tap.received(200_000);
    tap.processing();
    assert_eq!(
        poll(),
        "{ \"state\" : \"uploading\", \"received\" : 500000, \"size\" : 500000 }\r\n"
    );
    tap.done(&[]);
    assert_eq!(poll(), "{ \"state\" : \"done\" }\r\n");

    house.begin("a", 10).fail(&Error::LimitExceeded {
        what: "bytes",
        limit: 1,
    });
    assert_eq!(poll(), "{ \"state\" : \"error\", \"status\" : 413 }\r\n");
    drop(house.begin("a", 10));
    assert_eq!(poll(), "{ \"state\" : \"error\", \"status\" : 499 }\r\n");
}

#[test]
fn nginx_answers_with_the_modules_own_headers_in_each_form() {
    for (format, content_type, body) in [
        (
            ProgressFormat::Json,
            "application/json",
            "{ \"state\" : \"starting\" }\r\n",
        ),
        (
            ProgressFormat::Jsonp,
            "application/javascript",
            "cb.x({ \"state\" : \"starting\" });\r\n",
        ),
        (
            ProgressFormat::Java,
            "text/javascript",
            "new Object({ 'state' : 'starting' })\r\n",
        ),
        (
            ProgressFormat::Xml,
            "text/xml",
            "<upload><state>starting</state></upload>",
        ),
    ] {
        let house = House::with(WatchOptions {
            progress_format: format,
            ..WatchOptions::default()
        });
        let response = house
            .watch
            .nginx(&get("/progress?X-Progress-ID=a&callback=cb.x"), &[me()]);
        assert_eq!(response.status(), 200);
        assert_eq!(response.body(), body);
        assert_eq!(response.headers()[CONTENT_TYPE], content_type);
        assert_eq!(
            response.headers()["expires"],
            "Thu, 01 Jan 1970 00:00:01 GMT"
        );
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
        let is_script = format == ProgressFormat::Jsonp;
        assert_eq!(
            response.headers().contains_key("x-content-type-options"),
            is_script,
            "the module sends none; what runs as a script is not guessed at"
        );
    }
}

#[test]
fn nginx_takes_the_header_before_the_query_and_needs_one_of_them() {
    let house = House::new();
    let (_here, there) = (house.begin("here", 10), house.begin("there", 10));
    there.received(5);
    let request = with("/progress?X-Progress-ID=here", "x-progress-id", "there");
    let response = house.watch.nginx(&request, &[me()]);
    assert!(body(&response).1.contains("\"received\" : 5,"));
    assert_eq!(house.nginx("/progress").0, 404);
    assert_eq!(
        house.nginx("/progress?X-Progress-ID="),
        (200, "{ \"state\" : \"starting\" }\r\n".into())
    );
    let mut put = request;
    put.method = Method::PUT;
    assert_eq!(house.watch.nginx(&put, &[me()]).status(), 405);
}

#[test]
fn a_callback_is_a_name_or_nothing_is_said() {
    let house = House::with(WatchOptions {
        progress_format: ProgressFormat::Jsonp,
        ..WatchOptions::default()
    });
    let ask = |callback: &str| house.nginx(&format!("/progress?X-Progress-ID=a{callback}"));
    assert_eq!(ask(""), (200, "({ \"state\" : \"starting\" });\r\n".into()));
    assert_eq!(ask("&callback=jQuery1_2.$f").0, 200);
    for bad in [
        "",
        "alert(1)",
        "a%3Bb",
        "%ff",
        "a-b",
        "%3Cscript%3E",
        &"x".repeat(65),
    ] {
        let (status, body) = ask(&format!("&callback={bad}"));
        assert_eq!(status, 400, "{bad}");
        assert!(bad.len() < 2 || !body.contains(bad), "{body}");
    }
}

#[test]
fn one_record_is_found_by_id_and_by_watch_name_and_else_nothing_is() {
    let house = House::new();
    let upload = form("a", 10);
    let tap = house.tracker.begin(&upload);
    tap.begin_file(&FileHead::default());
    tap.received(10);
    tap.done(&[FileFacts::default()]);
    let (id, watch) = (upload.id, upload.id.watch());
    let by_id = house.records(&format!("/uploads/{id}"));
    assert_eq!(by_id["url"], format!("/up/files/{id}"));
    let by_watch = house.records(&format!("/uploads/{watch}"));
    assert_eq!(by_watch["state"], "done");
    assert_eq!(by_watch.get("id"), None);
    for unknown in ["0".repeat(32), "x".into(), id.to_string().to_uppercase()] {
        let response = house.now(&get(&format!("/uploads/{unknown}")));
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }
    let mut delete = get(&format!("/uploads/{id}"));
    delete.method = Method::DELETE;
    assert_eq!(house.now(&delete).status(), 405);
}

#[test]
fn several_records_come_in_the_order_asked_for_with_null_for_the_unknown() {
    let house = House::new();
    let (a, b) = (form("a", 1), form("b", 2));
    let _taps = (house.tracker.begin(&a), house.tracker.begin(&b));
    let uri = format!(
        "/uploads?id={}&X-Progress-ID=a&id=nonsense&id={}",
        b.id,
        a.id.watch()
    );
    let records = house.records(&uri);
    let lengths: Vec<_> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|record| &record["length"])
        .collect();
    assert_eq!(lengths, [&json!(2), &json!(1), &Value::Null, &json!(1)]);
    assert_eq!(records[2], Value::Null);
    assert_eq!(house.now(&get("/uploads")).status(), 400);
    let many = format!("/uploads?{}", "id=x&".repeat(101));
    assert_eq!(house.now(&get(&many)).status(), 400);
    assert_eq!(
        house
            .records(&many[..many.len() - 5])
            .as_array()
            .unwrap()
            .len(),
        100
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_says_how_to_come_back_then_tells_the_record_at_once() {
    let house = House::new();
    let upload = form("a", 100);
    let _tap = house.tracker.begin(&upload);
    let Uploads::Live(response) = house.uploads(&live(&format!("/uploads/{}", upload.id))) else {
        panic!("no stream");
    };
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let progress = house.tracker.by_id(&upload.id).unwrap();
    let (version, record) = progress.versioned(crate::progress::Holder::Id, "/up");
    assert_eq!(
        Listener(response.into_body()).chunk().await.unwrap(),
        format!(
            "retry: 2000\n\nid: {version}\ndata: {}\n\n",
            record.to_json()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_states_at_once_and_numbers_at_most_every_tick_and_ends_after_the_end() {
    let house = House::new();
    let tap = house.begin("a", 100);
    let mut stream = house.open(&live("/uploads?X-Progress-ID=a"));
    assert_eq!(stream.event().await.data["state"], "starting");

    let begun = Instant::now();
    tap.received(10);
    house.hand.pass(Duration::ZERO);
    let event = stream.event().await;
    assert_eq!(
        (&event.data["state"], &event.data["received"]),
        (&json!("uploading"), &json!(10))
    );
    assert_eq!(begun.elapsed(), Duration::ZERO);

    for _ in 0..3 {
        tap.received(10);
        house.hand.tick();
    }
    assert_eq!(stream.event().await.data["received"], 40);
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
    assert!(stream.is_silent(5 * SECOND).await);

    let over = Instant::now();
    tap.received(60);
    tap.processing();
    house.hand.pass(Duration::ZERO);
    assert_eq!(stream.event().await.data["state"], "processing");
    tap.done(&[]);
    house.hand.pass(Duration::ZERO);
    assert_eq!(stream.event().await.data["state"], "done");
    assert_eq!(over.elapsed(), Duration::ZERO);
    assert!(stream.has_ended().await);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_sends_a_comment_every_fifteen_seconds() {
    let house = House::new();
    let _tap = house.begin("a", 100);
    let mut stream = house.open(&live("/uploads?X-Progress-ID=a"));
    stream.event().await;
    for _ in 0..3 {
        let silent_since = Instant::now();
        assert_eq!(stream.chunk().await.unwrap(), ":\n\n");
        assert_eq!(silent_since.elapsed(), 15 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_gets_the_newest_alone() {
    let house = House::new();
    let tap = house.begin("a", 1000);
    let mut stream = house.open(&live("/uploads?X-Progress-ID=a"));
    stream.event().await;
    for _ in 0..500 {
        tap.received(1);
        house.hand.tick();
    }
    tokio::time::advance(SECOND).await;
    assert_eq!(stream.event().await.data["received"], 500);
    assert!(stream.is_silent(SECOND).await);
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_gets_only_what_it_has_not_seen_and_at_the_end_204() {
    let house = House::new();
    let uri = "/uploads?X-Progress-ID=a&X-Progress-ID=b";
    let (a, b) = (house.begin("a", 100), house.begin("b", 200));
    let mut stream = house.open(&live(uri));
    let events = stream.events().await;
    assert_eq!(events.len(), 2);
    assert!(events[0].id.ends_with(".0"), "{events:?}");
    drop(stream);

    let mut stream = house.open(&again(uri, &events[0].id));
    let event = stream.event().await;
    assert_eq!(event.data["length"], 200);
    assert_eq!(event.id, events[1].id);
    drop(stream);

    let mut stream = house.open(&again(uri, &event.id));
    assert_eq!(stream.chunk().await.unwrap(), "retry: 2000\n\n");
    assert!(stream.is_silent(SECOND).await);
    a.done(&[]);
    house.hand.pass(Duration::ZERO);
    let event = stream.event().await;
    assert_eq!(
        (&event.data["length"], &event.data["state"]),
        (&json!(0), &json!("done"))
    );
    assert!(stream.is_silent(SECOND).await);
    b.fail(&Error::DiskFull);
    house.hand.pass(Duration::ZERO);
    let event = stream.event().await;
    assert_eq!(event.data["error"]["code"], "disk_full");
    assert!(stream.has_ended().await);

    let response = house.now(&again(uri, &event.id));
    assert_eq!(response.status(), 204);
    assert!(response.body().is_empty());

    house.hand.pass(Duration::from_secs(3600));
    assert_eq!(house.now(&again(uri, &event.id)).status(), 204);
}

#[tokio::test(start_paused = true)]
async fn a_stream_stays_open_over_an_interruption_and_tells_the_way_from_there() {
    let house = House::new();
    let upload = cut(&house);
    let mut stream = house.open(&live(&format!("/uploads/{}", upload.id)));
    let event = stream.event().await;
    let told = |event: &Heard| {
        let record = &event.data;
        (
            record["state"].as_str().unwrap().to_owned(),
            record["received"].as_u64(),
            record["offset"].as_u64(),
        )
    };
    let stands = |state: &str, received, offset| (state.to_owned(), Some(received), Some(offset));
    assert_eq!(told(&event), stands("interrupted", 40, 40));
    for _ in 0..100 {
        assert_eq!(stream.chunk().await.as_deref(), Some(":\n\n"));
    }
    let tap = house.tracker.resume(&upload, 40);
    tap.received(10);
    house.hand.tick();
    let mut last = stream.event().await;
    if last.data["state"] == "interrupted" {
        last = stream.event().await;
    }
    assert_eq!(told(&last), stands("uploading", 50, 40));
    tap.kept(50);
    house.hand.tick();
    assert_eq!(told(&stream.event().await), stands("uploading", 50, 50));
    tap.interrupt(50, &Error::ShuttingDown);
    house.hand.tick();
    assert_eq!(told(&stream.event().await), stands("interrupted", 50, 50));
    house.tracker.resume(&upload, 50).fail(&Error::Cancelled);
    house.hand.tick();
    assert_eq!(told(&stream.event().await), stands("error", 50, 50));
    assert!(stream.has_ended().await);
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_after_a_restart_finds_the_upload_where_it_was_left() {
    let before = House::new();
    let upload = cut(&before);
    let path = format!("/uploads/{}", upload.id);
    let seen = before.open(&live(&path)).event().await.id;

    let after = House::new();
    let head = FileHead {
        field: None,
        name: Some("paella.jpg".into()),
        content_type: None,
    };
    after
        .tracker
        .revive(&upload, 40, Files::open(Some(&head)), &[]);
    let mut stream = after.open(&again(&path, &seen));
    let event = stream.event().await;
    assert_eq!(event.data["state"], "interrupted");
    assert_eq!(event.data["offset"], 40);
    assert_eq!(event.data["files"][0]["name"], "paella.jpg");
    let tap = after.tracker.resume(&upload, 40);
    tap.received(60);
    tap.done(&[]);
    after.hand.tick();
    let mut last = stream.event().await;
    while last.data["state"] != "done" {
        last = stream.event().await;
    }
    assert!(stream.has_ended().await);
    assert_eq!(after.now(&again(&path, &last.id)).status(), 204);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_missed_is_told_on_reconnect() {
    let house = House::new();
    let tap = house.begin("a", 100);
    let mut stream = house.open(&live("/uploads?X-Progress-ID=a"));
    let seen = stream.event().await.id;
    drop(stream);
    tap.done(&[]);
    let mut stream = house.open(&again("/uploads?X-Progress-ID=a", &seen));
    assert_eq!(stream.event().await.data["state"], "done");
    assert!(stream.has_ended().await);
}

#[tokio::test(start_paused = true)]
async fn a_last_event_id_that_is_not_ours_counts_as_none() {
    let house = House::new();
    let _tap = house.begin("a", 100);
    let mut stream = house.open(&live("/uploads?X-Progress-ID=a"));
    let of_two = format!("{}.0", stream.event().await.id);
    for odd in [
        "",
        &of_two,
        "1.2",
        "x",
        "-1",
        "1.",
        "99999999999999999999",
        "--",
    ] {
        let mut stream = house.open(&again("/uploads?X-Progress-ID=a", odd));
        assert_eq!(stream.event().await.data["state"], "starting", "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_an_id_that_is_not_there_yet() {
    let house = House::new();
    let mut stream = house.open(&live("/uploads?X-Progress-ID=a"));
    assert_eq!(stream.chunk().await.unwrap(), "retry: 2000\n\n");
    assert!(stream.is_silent(10 * SECOND).await);
    let asked_at = Instant::now();
    let _tap = house.begin("a", 100);
    assert_eq!(stream.event().await.data["state"], "starting");
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_never_comes_is_gone_after_a_minute_and_the_reconnect_gets_204() {
    let house = House::new();
    let opened = Instant::now();
    let uri = "/uploads?X-Progress-ID=a%22";
    let mut stream = house.open(&live(uri));
    let event = stream.event().await;
    assert_eq!(opened.elapsed(), 60 * SECOND);
    assert_eq!((event.event.as_str(), event.id.as_str()), ("gone", "-"));
    assert_eq!(event.data, json!({"progress_id": "a\""}));
    assert!(stream.has_ended().await);
    assert_eq!(house.now(&again(uri, &event.id)).status(), 204);

    let _tap = house.begin("a\"", 5);
    let mut stream = house.open(&again(uri, &event.id));
    assert_eq!(stream.event().await.data["length"], 5);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_upload_can_have_is_gone_at_once() {
    let house = House::new();
    let opened = Instant::now();
    let mut stream = house.open(&live("/uploads/nonsense"));
    let event = stream.event().await;
    assert_eq!(
        (event.event.as_str(), event.data),
        ("gone", json!({"id": "nonsense"}))
    );
    assert!(stream.has_ended().await);
    assert_eq!(opened.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_gone_leave_the_stream_and_the_running_go_on() {
    let house = House::new();
    let uri = "/uploads?X-Progress-ID=never&X-Progress-ID=a";
    let tap = house.begin("a", 100);
    let mut stream = house.open(&live(uri));
    assert!(stream.event().await.id.starts_with("0."));
    tokio::time::advance(59 * SECOND + Duration::from_millis(950)).await;
    tap.received(1);
    house.hand.tick();
    assert_eq!(stream.event().await.data["received"], 1);
    let event = stream.event().await;
    assert_eq!(event.event, "gone");
    assert!(event.id.starts_with("-."));
    tap.received(1);
    house.hand.tick();
    assert_eq!(stream.event().await.data["received"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_upload_seen_before_and_forgotten_since_is_told_as_gone_beside_a_running_one() {
    let house = House::new();
    let uri = "/uploads?X-Progress-ID=old&X-Progress-ID=a";
    house.begin("old", 5).done(&[]);
    let tap = house.begin("a", 100);
    let mut stream = house.open(&live(uri));
    let seen = stream.events().await.remove(1).id;
    drop(stream);
    house.hand.pass(Duration::from_secs(3600));
    let mut stream = house.open(&again(uri, &seen));
    let event = stream.event().await;
    assert_eq!(
        (event.event.as_str(), event.data),
        ("gone", json!({"progress_id": "old"}))
    );
    tap.done(&[]);
    house.hand.pass(Duration::ZERO);
    assert_eq!(stream.event().await.data["state"], "done");
    assert!(stream.has_ended().await);
}

#[tokio::test(start_paused = true)]
async fn a_progress_id_taken_by_a_newer_upload_shows_the_newer_one() {
    let house = House::new();
    let older = house.begin("a", 100);
    let mut stream = house.open(&live("/uploads?X-Progress-ID=a"));
    assert_eq!(stream.event().await.data["length"], 100);
    let newer = house.begin("a", 200);
    assert_eq!(stream.event().await.data["length"], 200);
    older.done(&[]);
    house.hand.pass(Duration::ZERO);
    assert!(stream.is_silent(SECOND).await);
    newer.done(&[]);
    house.hand.pass(Duration::ZERO);
    assert_eq!(stream.event().await.data["state"], "done");
    assert!(stream.has_ended().await);
}

#[tokio::test(start_paused = true)]
async fn one_stream_follows_a_hundred_uploads() {
    let house = House::new();
    let taps: Vec<_> = (0..100).map(|n| house.begin(&n.to_string(), 10)).collect();
    let query: Vec<_> = (0..100).map(|n| format!("X-Progress-ID={n}")).collect();
    let mut stream = house.open(&live(&format!("/uploads?{}", query.join("&"))));
    stream.tell_all(100).await;
    taps[17].received(3);
    taps[71].received(4);
    house.hand.tick();
    let events = stream.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (&event.data["progress_id"], &event.data["received"]))
        .collect();
    assert_eq!(told, [(&json!("17"), &json!(3)), (&json!("71"), &json!(4))]);
    drop(taps);
    house.hand.pass(Duration::ZERO);
    stream.tell_all(100).await;
    assert!(stream.has_ended().await);
}

#[tokio::test(start_paused = true)]
async fn much_that_is_new_comes_in_chunks_so_that_others_of_the_thread_get_their_turn() {
    let house = House::new();
    let tap = house.begin("a", 1_000_000);
    for n in 0..300 {
        tap.begin_file(&FileHead {
            name: Some(format!("IMG_{n:04}.jpg")),
            ..FileHead::default()
        });
    }
    let asked = ["X-Progress-ID=a"; 100].join("&");
    let mut stream = house.open(&live(&format!("/uploads?{asked}")));
    let (mut events, mut longest) = (0, 0);
    while events < 100 {
        let chunk = stream.chunk().await.unwrap();
        events += chunk.matches("\ndata: ").count();
        longest = longest.max(chunk.len());
    }
    assert!(longest < 128 * 1024, "{longest}");
}

#[tokio::test(start_paused = true)]
async fn watchers_are_bounded_and_one_that_goes_frees_its_place() {
    let house = House::with(WatchOptions {
        max_watchers: 2,
        ..WatchOptions::default()
    });
    let tap = house.begin("a", 100);
    let request = live("/uploads?X-Progress-ID=a");
    let (first, mut second) = (house.open(&request), house.open(&request));
    let refused = house.now(&request);
    assert_eq!(refused.status(), 503);
    assert!(body(&refused).1.contains("too_many_watchers"));
    assert_eq!(house.now(&get("/uploads?X-Progress-ID=a")).status(), 200);
    drop(first);
    let _third = house.open(&request);
    assert_eq!(house.now(&request).status(), 503);
    second.event().await;
    tap.done(&[]);
    house.hand.pass(Duration::ZERO);
    second.event().await;
    assert!(second.has_ended().await);
    let seen = house.open(&request).event().await.id;
    for _ in 0..10 {
        assert_eq!(
            house
                .now(&again("/uploads?X-Progress-ID=a", &seen))
                .status(),
            204
        );
    }
    house.open(&request);
}

#[test]
fn a_head_request_opens_no_stream() {
    let house = House::new();
    let _tap = house.begin("a", 100);
    let mut request = live("/uploads?X-Progress-ID=a");
    request.method = Method::HEAD;
    assert_eq!(
        house.now(&request).headers()[CONTENT_TYPE],
        "application/json"
    );
}

#[tokio::test]
async fn with_the_real_ticker_a_stream_goes_from_waiting_to_its_end() {
    let tracker = Tracker::start(TrackerOptions::default());
    let watch = Watch::new(tracker.clone(), WatchOptions::default());
    let Uploads::Live(response) =
        watch.uploads(&live("/uploads?X-Progress-ID=a"), &[me()], "", None)
    else {
        panic!("no stream");
    };
    let pump = std::thread::spawn(move || {
        let tap = tracker.begin(&form("a", 1000));
        for _ in 0..100 {
            tap.received(10);
            std::thread::sleep(Duration::from_millis(3));
        }
        tap.done(&[]);
    });
    let mut stream = Listener(response.into_body());
    let opened = Instant::now();
    let mut received = Vec::new();
    loop {
        let heard = tokio::time::timeout(20 * SECOND, stream.events())
            .await
            .unwrap();
        let last = heard.last().unwrap();
        received.push(last.data["received"].as_u64().unwrap());
        if last.data["state"] == "done" {
            break;
        }
    }
    assert!(
        received.is_sorted() && received.last() == Some(&1000),
        "{received:?}"
    );
    // One for each of its states, and one a tick.
    let ticks = opened.elapsed().as_millis() / 100;
    assert!(
        (2..=ticks + 5).contains(&(received.len() as u128)),
        "{received:?}"
    );
    assert!(stream.has_ended().await);
    pump.join().unwrap();
}
