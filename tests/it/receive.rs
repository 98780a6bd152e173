//! Uploads at a route of the app's own, in an axum application on real sockets.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post as route;
use bytes::Bytes;
use dumbwaiter::admission::AdmissionOptions;
use dumbwaiter::name::OnConflict;
use dumbwaiter::rights::{Act, Ask, Grant, HostName, Rights};
use dumbwaiter::store::{Disk, Store as _};
use dumbwaiter::upload::{FileHead, Owner, Upload};
use dumbwaiter::{
    Dumbwaiter, Error, Refusal, ResponseBody, Service, Stop, UploadHandler, UploadId,
};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::support::{self, Reply, eventually, form, noise, part, post};

type Refused = http::Response<ResponseBody>;

/// An application in this process, with the service nested in it at `/up`.
struct App {
    address: SocketAddr,
    lift: Service,
    folder: TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl App {
    fn start(routes: Router<Service>) -> Self {
        Self::start_with(routes, |lift| lift)
    }

    fn start_with(routes: Router<Service>, say: impl FnOnce(Dumbwaiter) -> Dumbwaiter) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Disk::open(folder.path().join("uploads")).unwrap();
        let lift = say(Dumbwaiter::new(store).base("/up")).into_service();
        let app = routes
            .with_state(lift.clone())
            .nest_service("/up", lift.clone());
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    served = axum::serve(listener, app) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: told.recv().unwrap(),
            lift,
            folder,
            _stop: stop,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    fn send(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        Reply::read(&mut stream)
    }

    fn post(&self, target: &str, headers: &str, body: &[u8]) -> Reply {
        self.send(&post(target, headers, body))
    }

    fn get(&self, target: &str) -> Reply {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    }

    fn files(&self) -> Vec<String> {
        support::files(&self.folder.path().join("uploads"))
    }

    fn under_way(&self) -> Vec<String> {
        support::files(&self.folder.path().join("uploads/.dumbwaiter/tmp"))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join("uploads").join(name)).unwrap()
    }

    /// The record of the upload with this progress id, once `fits` says so.
    fn record(&self, id: &str, fits: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let target = format!("/up/uploads?X-Progress-ID={id}");
        eventually(|| self.get(&target).json()[0].clone(), fits)
    }

    /// The error's code, or the state without an error, once the upload has ended.
    fn ended(&self, id: &str) -> String {
        let record = self.record(id, |record| {
            matches!(record["state"].as_str(), Some("done" | "error"))
        });
        let code = record["error"]["code"].as_str();
        code.or(record["state"].as_str()).unwrap().to_owned()
    }
}

/// The article's view: the picture of a dish is stored under the dish's id.
async fn dish(State(lift): State<Service>, request: Request) -> Result<String, Refused> {
    let got = lift.receive(request).await?;
    let id = got.field("id").unwrap_or("none").to_owned();
    let stored = got.file("picture")?.persist(id).await?;
    Ok(format!(
        "{} {} {}",
        stored.name,
        stored.length,
        stored.url.unwrap()
    ))
}

fn dishes() -> Router<Service> {
    Router::new().route("/dishes", route(dish))
}

fn picture(content: &[u8], id: &str) -> Vec<u8> {
    form(&[
        part("picture", Some("p.jpg"), content),
        part("id", None, id.as_bytes()),
    ])
}

#[test]
fn a_form_at_the_apps_own_route_is_seen_while_it_comes_and_stored_where_the_app_says() {
    let app = App::start(dishes());
    let content = noise(3 << 20);
    let request = post("/dishes?X-Progress-ID=1", "", &picture(&content, "12"));
    let mut stream = app.connect();
    let half = request.len() / 2;
    stream.write_all(&request[..half]).unwrap();
    let record = app.record("1", |r| r["received"].as_u64() > Some(1 << 20));
    assert_eq!(record["state"], "uploading");
    let poll = app.get("/up/get_upload_progress?X-Progress-ID=1").json();
    assert!(
        poll["uploaded"].as_u64() < poll["length"].as_u64(),
        "{poll}"
    );
    stream.write_all(&request[half..]).unwrap();
    let reply = Reply::read(&mut stream);
    assert_eq!(reply.status, 200, "{reply:?}");
    let words: Vec<_> = reply.text().split(' ').collect();
    assert_eq!(words[..2], ["12", content.len().to_string().as_str()]);
    assert_eq!(app.ended("1"), "done");
    assert!(app.read("12") == content);
    assert!(words[2].starts_with("/up/files/"), "{words:?}");
    assert!(app.get(words[2]).body == content);
    assert_eq!(app.under_way(), [""; 0]);
}

async fn one_of_two(State(lift): State<Service>, request: Request) -> Result<String, Refused> {
    let got = lift.receive(request).await?;
    assert_eq!(got.files().count(), 2);
    let stored = got.file("b")?.persist("folder/kept").await?;
    Ok(stored.url.unwrap())
}

#[test]
fn of_two_files_the_one_that_is_not_persisted_goes() {
    let app = App::start(Router::new().route("/", route(one_of_two)));
    let body = form(&[
        part("a", Some("a"), b"first"),
        part("b", Some("b"), b"second"),
    ]);
    let reply = app.post("/?X-Progress-ID=1", "", &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(app.ended("1"), "done");
    assert_eq!(
        (app.files(), app.under_way()),
        (vec!["folder/kept".into()], vec![])
    );
    assert_eq!(app.get(reply.text()).body, b"second");
    // Whoever has the id may take it away again, as with every upload.
    let id = reply.text().rsplit('/').next().unwrap();
    let delete = format!("DELETE /up/uploads/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(app.send(delete.as_bytes()).status, 204);
    assert_eq!(app.files(), [""; 0]);
}

async fn forgetful(State(lift): State<Service>, request: Request) -> Result<&'static str, Refused> {
    let got = lift.receive(request).await?;
    match got.field("do") {
        Some("panic") => panic!("as it was asked to"),
        Some("wait") => std::future::pending().await,
        Some("done") => {
            got.done().await;
            Ok("done")
        }
        Some("refuse") => {
            got.files().next().unwrap().persist("x").await?;
            let refusal = Refusal {
                code: "no_such_dish",
                status: 404,
                message: "there is no such dish".into(),
            };
            Err(got.refuse(refusal).await.into())
        }
        _ => Ok("and nothing is kept"),
    }
}

#[test]
fn what_the_app_does_not_persist_goes_however_its_handler_ends() {
    let app = App::start(Router::new().route("/", route(forgetful)));
    let asked = |what: &str| {
        form(&[
            part("f", Some("f"), &noise(300_000)),
            part("do", None, what.as_bytes()),
        ])
    };
    let none = form(&[part("do", None, b"return")]);
    for (id, body, status, end) in [
        ("1", asked("return"), 200, "not_kept"),
        ("2", asked("done"), 200, "done"),
        ("3", asked("refuse"), 404, "no_such_dish"),
        ("4", none, 200, "done"),
    ] {
        let reply = app.post(&format!("/?X-Progress-ID={id}"), "", &body);
        assert_eq!(
            (reply.status, app.ended(id).as_str()),
            (status, end),
            "{id}"
        );
        assert_eq!((app.files(), app.under_way()), (vec![], vec![]), "{id}");
    }
    // A handler that panics answers nothing; one whose client has gone is dropped where it stands.
    let mut panics = app.connect();
    panics
        .write_all(&post("/?X-Progress-ID=5", "", &asked("panic")))
        .unwrap();
    assert_eq!(app.ended("5"), "not_kept");
    let mut gone = app.connect();
    gone.write_all(&post("/?X-Progress-ID=6", "", &asked("wait")))
        .unwrap();
    app.record("6", |record| record["state"] == "processing");
    drop(gone);
    assert_eq!(app.ended("6"), "not_kept");
    // And one that goes in the middle of its body never came to the app.
    let mut cut = app.connect();
    let request = post("/?X-Progress-ID=7", "", &asked("return"));
    cut.write_all(&request[..200_000]).unwrap();
    app.record("7", |record| record["received"].as_u64() > Some(0));
    drop(cut);
    assert_eq!(app.ended("7"), "client_gone");
    assert_eq!((app.files(), app.under_way()), (vec![], vec![]));
}

async fn placed(State(lift): State<Service>, request: Request) -> Result<String, Refused> {
    let got = lift.receive(request).await?;
    let rule = match got.field("rule") {
        Some("replace") => OnConflict::Replace,
        Some("reject") => OnConflict::Reject,
        _ => OnConflict::Rename,
    };
    let file = got.file("f")?.on_conflict(rule);
    let place = got.field("place").unwrap_or_default();
    match file.persist(place).await {
        Ok(stored) => Ok(stored.name),
        // A name that is taken or cannot be leaves the file to be stored elsewhere.
        Err(refused) if got.field("else").is_some() => {
            let code = refused.error().code();
            let stored = file.persist(got.field("else").unwrap()).await?;
            Ok(format!("{code} {}", stored.name))
        }
        Err(refused) => Err(refused.into()),
    }
}

#[test]
fn a_taken_name_is_handled_as_the_app_says() {
    let app = App::start(Router::new().route("/", route(placed)));
    let send = |rule: &str, content: &[u8], other: Option<&str>| {
        let mut parts = vec![
            part("f", Some("f"), content),
            part("rule", None, rule.as_bytes()),
            part("place", None, b"a/b.jpg"),
        ];
        parts.extend(other.map(|other| part("else", None, other.as_bytes())));
        let reply = app.post("/", "", &form(&parts));
        (reply.status, reply.text().to_owned())
    };
    assert_eq!(send("reject", b"1", None), (200, "a/b.jpg".into()));
    assert_eq!(send("rename", b"2", None), (200, "a/b-1.jpg".into()));
    let (status, words) = send("reject", b"3", None);
    assert_eq!(
        (status, words.contains("name_taken")),
        (409, true),
        "{words}"
    );
    let elsewhere = send("reject", b"4", Some("c"));
    assert_eq!(elsewhere, (200, "name_taken c".into()));
    assert_eq!(send("replace", b"5", None), (200, "a/b.jpg".into()));
    assert_eq!(app.files(), ["a/b-1.jpg", "a/b.jpg", "c"]);
    assert_eq!(
        (app.read("a/b.jpg"), app.read("c")),
        (b"5".to_vec(), b"4".to_vec())
    );
}

#[test]
fn a_place_made_of_the_clients_text_stays_below_the_store_or_is_refused() {
    let app = App::start(Router::new().route("/", route(placed)));
    let deep = format!("{}escape", "a/".repeat(64));
    for place in [
        &deep,
        "../escape",
        "/etc/escape",
        "a/../../escape",
        ".dumbwaiter/records.redb",
        ".dumbwaiter/tmp/escape",
        "a//escape",
        "a\\..\\escape",
        "a\0escape",
        "",
    ] {
        let body = form(&[
            part("f", Some("f"), b"x"),
            part("place", None, place.as_bytes()),
        ]);
        let reply = app.post("/", "", &body);
        assert_eq!(reply.status, 422, "{place:?}: {reply:?}");
        assert_eq!(reply.json()["code"], "unusable_name", "{place:?}");
    }
    let outside = std::fs::read_dir(app.folder.path()).unwrap();
    let outside: Vec<_> = outside.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["uploads"]);
    eventually(|| app.under_way(), Vec::is_empty);
    assert_eq!(app.files(), [""; 0]);
    assert!(!app.folder.path().join("uploads/a").exists());
    assert_eq!(
        app.post("/", "", &picture(b"x", "1")).json()["code"],
        "missing_file"
    );
}

#[test]
fn an_error_becomes_an_answer_in_the_clients_language() {
    let app = App::start_with(dishes(), |lift| {
        lift.admission(AdmissionOptions {
            upload_bytes: Some(1000),
            ..AdmissionOptions::default()
        })
    });
    let empty = form(&[part("picture", Some(""), b"")]);
    for (accept, content_type, holds) in [
        (
            "application/json",
            "application/problem+json",
            "\"code\":\"missing_file\"",
        ),
        (
            "application/xml, text/xml",
            "application/xml",
            "<code>missing_file</code>",
        ),
        (
            "text/html",
            "text/html; charset=utf-8",
            "<code>missing_file</code>",
        ),
    ] {
        let reply = app.post("/dishes", &format!("Accept: {accept}\r\n"), &empty);
        assert_eq!(reply.status, 422, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some(content_type));
        assert!(reply.text().contains(holds), "{accept}: {}", reply.text());
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let large = app.post("/dishes?X-Progress-ID=1", "", &picture(&[7; 2000], "1"));
    assert_eq!(
        (large.status, large.header("upload-limit")),
        (413, Some("max-size=1000"))
    );
    assert_eq!(app.ended("1"), "upload_too_large");
    let without_enctype = "POST /dishes HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
        Content-Length: 7\r\n\r\npicture";
    let reply = app.send(without_enctype.as_bytes());
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (415, &"missing_enctype".into())
    );
    let cut = app.post(
        "/dishes?X-Progress-ID=2",
        "",
        &part("picture", Some("p"), b"no last boundary"),
    );
    assert_eq!(
        (cut.status, &cut.json()["code"]),
        (400, &"truncated_form".into())
    );
    assert_eq!(app.ended("2"), "truncated_form");
    assert_eq!((app.files(), app.under_way()), (vec![], vec![]));
}

#[test]
fn a_refusal_at_the_apps_own_route_does_not_tell_a_secret_base() {
    let app = App::start_with(dishes(), |lift| lift.base("/secret").only_below_base(true));
    let reply = app.post("/dishes", "Accept: text/html\r\n", b"no form");
    assert_eq!(reply.status, 400, "{reply:?}");
    assert!(!reply.text().contains("secret"), "{reply:?}");
    let stored = app.post("/dishes", "", &picture(b"x", "1"));
    assert!(stored.text().contains("/secret/files/"), "{stored:?}");
}

async fn raw(State(lift): State<Service>, request: Request) -> Result<String, Refused> {
    let got = lift.receive(request).await?;
    let file = got.files().next().unwrap();
    assert_eq!(
        (file.field(), file.name(), file.clean_name()),
        (None, None, None)
    );
    let kind = file.content_type().unwrap_or("none").to_owned();
    let stored = file.persist("raw").await?;
    Ok(format!("{kind} {} {}", stored.length, got.fields().count()))
}

#[test]
fn a_body_that_is_no_form_is_one_file() {
    let app = App::start(Router::new().route("/", route(raw)));
    let request =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 5\r\n\r\nbytes";
    assert_eq!(app.send(request.as_bytes()).text(), "image/png 5 0");
    assert_eq!(app.read("raw"), b"bytes");
    let chunks = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nmor\r\n1\r\ne\r\n0\r\n\r\n";
    assert_eq!(app.send(chunks.as_bytes()).text(), "none 4 0");
    let part = "POST / HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nbytes";
    assert_eq!(app.send(part.as_bytes()).json()["code"], "bad_request");
}

async fn owned(State(lift): State<Service>, request: Request) -> Result<String, Refused> {
    let got = lift.receive(request).await?;
    got.file("picture")?.persist("p").await?;
    Ok(format!("{:?}", got.owner()))
}

#[test]
fn the_apps_rules_are_asked_before_the_body_and_say_whose_it_is() {
    let app = App::start_with(Router::new().route("/", route(owned)), |lift| {
        let rights = Rights {
            hosts: Some(vec![HostName::Name("a".into())]),
            ..Rights::default()
        };
        lift.rights(rights).allow(async |ask: Ask| {
            let user = ask.headers.get("x-user").filter(|_| ask.act == Act::Upload);
            match user {
                Some(user) => Ok(Grant {
                    owner: Some(Owner::Named(user.to_str().unwrap().into())),
                }),
                None => Err(Refusal {
                    status: 401,
                    code: "log_in",
                    ..Refusal::new("log in first")
                }),
            }
        })
    });
    let body = picture(&noise(1 << 20), "1");
    // Nothing of the body is sent: the refusal does not wait for it.
    let mut stream = app.connect();
    let request = post("/", "", &body);
    let head = request.len() - body.len();
    stream.write_all(&request[..head]).unwrap();
    let refused = Reply::read(&mut stream);
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (401, &"log_in".into())
    );
    let welcome = app.post("/", "X-User: ann\r\n", &body);
    assert_eq!((welcome.status, welcome.text()), (200, "Named(\"ann\")"));
    let foreign = app.post(
        "/",
        "X-User: ann\r\nOrigin: https://evil.example\r\n",
        &body,
    );
    assert_eq!(foreign.json()["code"], "origin_not_allowed");
    let request = String::from_utf8_lossy(&post("/", "X-User: ann\r\n", b""))
        .replace("Host: a", "Host: evil");
    assert_eq!(
        app.send(request.as_bytes()).json()["code"],
        "host_not_allowed"
    );
}

/// What a handler that was told to wait waits for.
struct Waiting {
    lift: Service,
    tell: mpsc::Sender<UploadId>,
    go_on: Arc<Notify>,
}

async fn waiting(app: Waiting, request: Request) -> Result<String, Refused> {
    let got = app.lift.receive(request).await?;
    got.file("a")?.persist("a").await?;
    app.tell.send(got.id()).unwrap();
    app.go_on.notified().await;
    Ok(got.file("b")?.persist("b").await?.name)
}

/// An upload with one of its two files persisted, and a handler that waits: what tells it to go on, and its id.
type Half = (App, TcpStream, Arc<Notify>, mpsc::Receiver<UploadId>);

fn half_persisted(id: &str) -> Half {
    let go_on = Arc::new(Notify::new());
    let (tell, told) = mpsc::channel();
    let (waits, asks) = (go_on.clone(), go_on);
    let handler = async move |State(lift): State<Service>, request: Request| {
        let (go_on, tell) = (waits.clone(), tell.clone());
        waiting(Waiting { lift, tell, go_on }, request).await
    };
    let routes = Router::new().route("/", route(handler));
    let app = App::start(routes);
    let body = form(&[part("a", Some("a"), b"one"), part("b", Some("b"), b"two")]);
    let mut client = app.connect();
    let request = post(&format!("/?X-Progress-ID={id}"), "", &body);
    client.write_all(&request).unwrap();
    eventually(|| app.files(), |files| files == &["a"]);
    (app, client, asks, told)
}

#[test]
fn an_upload_cancelled_while_the_app_has_it_is_gone_and_the_app_hears_it() {
    let (app, mut client, go_on, told) = half_persisted("1");
    assert_eq!(app.lift.operator().running(), 1);
    let id = told.recv().unwrap();
    let delete = format!("DELETE /up/uploads/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(app.send(delete.as_bytes()).status, 204);
    assert_eq!((app.files(), app.under_way()), (vec![], vec![]));
    assert_eq!(app.ended("1"), "cancelled");
    go_on.notify_one();
    let reply = Reply::read(&mut client);
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (410, &"cancelled".into())
    );
    assert_eq!(app.files(), [""; 0]);
}

#[test]
fn what_was_persisted_is_not_cleared_away_while_the_app_still_has_the_upload() {
    let slow = async |State(lift): State<Service>, request: Request| {
        let got = lift.receive(request).await?;
        got.file("a")?.persist("a").await?;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        Ok::<_, Refused>(got.file("b")?.persist("b").await?.name)
    };
    let keep = Duration::from_secs(1);
    let app = App::start_with(Router::new().route("/", route(slow)), |lift| {
        lift.keep(keep)
    });
    let body = form(&[part("a", Some("a"), b"one"), part("b", Some("b"), b"two")]);
    let reply = app.post("/", "", &body);
    assert_eq!((reply.status, reply.text()), (200, "b"), "{reply:?}");
}

/// Persists the first file as `a`, then the second as the form says, and again elsewhere if the form says where.
async fn two_places(State(lift): State<Service>, request: Request) -> Result<String, Refused> {
    let got = lift.receive(request).await?;
    got.file("a")?.persist("a").await?;
    let second = got.file("b")?.on_conflict(OnConflict::Reject);
    let stored = match second.persist(got.field("place").unwrap()).await {
        Err(_) if got.field("else").is_some() => second.persist(got.field("else").unwrap()).await,
        stored => stored,
    };
    Ok(stored?.name)
}

#[test]
fn a_file_that_could_not_be_persisted_is_an_error_in_the_record_unless_that_was_made_good() {
    let app = App::start(Router::new().route("/", route(two_places)));
    let send = |id: &str, fields: &[(&str, &str)]| {
        let mut parts = vec![part("a", Some("a"), b"one"), part("b", Some("b"), b"two")];
        parts.extend(
            fields
                .iter()
                .map(|(name, value)| part(name, None, value.as_bytes())),
        );
        app.post(
            &format!("/?X-Progress-ID={id}"),
            "Accept: text/html\r\n",
            &form(&parts),
        )
    };
    for (id, place) in [("1", "../b"), ("2", "a")] {
        let refused = send(id, &[("place", place)]);
        assert!((400..500).contains(&refused.status), "{refused:?}");
        assert!(
            refused.text().contains("The rest of it is kept."),
            "{refused:?}"
        );
        assert_eq!(app.ended(id), "not_kept");
    }
    assert_eq!(app.under_way(), [""; 0]);
    let good = send("3", &[("place", "../b"), ("else", "b")]);
    assert_eq!((good.status, good.text()), (200, "b"));
    assert_eq!(app.ended("3"), "done");
}

#[test]
fn a_host_that_stops_leaves_what_was_persisted() {
    let (app, mut client, go_on, _told) = half_persisted("1");
    app.lift.operator().end_all();
    assert_eq!(app.ended("1"), "done");
    go_on.notify_one();
    assert_eq!(Reply::read(&mut client).json()["code"], "shutting_down");
    assert_eq!((app.files(), app.under_way()), (vec!["a".into()], vec![]));
}

#[test]
fn a_handler_dropped_while_it_persists_leaves_the_file_and_a_record_that_says_so() {
    let (app, client, go_on, _told) = half_persisted("1");
    drop(client);
    assert_eq!(app.ended("1"), "done");
    drop(go_on);
    assert_eq!((app.files(), app.under_way()), (vec!["a".into()], vec![]));
    let persist = async |State(lift): State<Service>, request: Request| {
        let got = lift.receive(request).await?;
        let file = got.files().next().unwrap();
        // Polled once, so that it has begun, and then never again.
        let mut begun = Box::pin(file.persist("begun"));
        std::future::poll_fn(|cx| {
            let _ = begun.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
        drop(begun);
        Ok::<_, Refused>("begun")
    };
    let app = App::start(Router::new().route("/", route(persist)));
    assert_eq!(
        app.post("/?X-Progress-ID=1", "", &picture(b"all of it", "1"))
            .status,
        200
    );
    assert_eq!(app.ended("1"), "done");
    assert_eq!(app.read("begun"), b"all of it");
}

/// Writes down how each file ended.
struct Ends(Option<String>, Arc<Mutex<Vec<String>>>);

impl UploadHandler for Ends {
    fn new_file(&mut self, _: &Upload, file: &FileHead) -> Result<(), Stop> {
        self.0.clone_from(&file.field);
        match file.name.as_deref() {
            Some("skip") => Err(Stop::SkipFile),
            _ => Ok(()),
        }
    }

    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        Ok(chunk)
    }

    fn upload_complete(&mut self) {
        self.note("kept");
    }

    fn upload_broken(&mut self, why: &Error) {
        self.note(why.code());
    }
}

impl Ends {
    fn note(&self, how: &str) {
        let field = self.0.as_deref().unwrap_or_default();
        self.1.lock().unwrap().push(format!("{field} {how}"));
    }
}

#[test]
fn each_files_handlers_hear_whether_it_was_kept() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let noted = ends.clone();
    let app = App::start_with(Router::new().route("/", route(one_of_two)), |lift| {
        lift.handler(move || Ends(None, noted.clone()))
    });
    let body = form(&[
        part("s", Some("skip"), b"skipped"),
        part("a", Some("a"), b"first"),
        part("b", Some("b"), b"second"),
    ]);
    assert_eq!(app.post("/?X-Progress-ID=1", "", &body).status, 200);
    assert_eq!(app.ended("1"), "done");
    assert_eq!(
        *ends.lock().unwrap(),
        ["s not_kept", "a not_kept", "b kept"]
    );
}

#[test]
fn what_is_not_kept_gives_its_room_back() {
    let app = App::start_with(Router::new().route("/", route(one_of_two)), |lift| {
        lift.admission(AdmissionOptions {
            store_bytes: Some(30_000),
            owner_bytes: Some(30_000),
            ..AdmissionOptions::default()
        })
    });
    let body = form(&[
        part("a", Some("a"), &[1; 10_000]),
        part("b", Some("b"), &[2; 5_000]),
    ]);
    // Each leaves 5,000 bytes of its 15,000: three fit, the fourth has no room to come in.
    for (id, status) in [("1", 200), ("2", 200), ("3", 200), ("4", 507)] {
        let reply = app.post(&format!("/?X-Progress-ID={id}"), "", &body);
        assert_eq!(reply.status, status, "{id} {reply:?}");
        app.ended(id);
    }
    assert_eq!(app.files().len(), 3);
}

#[test]
fn a_name_that_leads_elsewhere_is_clean_enough_to_be_a_place() {
    let persist = async |State(lift): State<Service>, request: Request| {
        let got = lift.receive(request).await?;
        let file = got.file("f")?;
        let name = file.clean_name().unwrap_or_else(|| got.watch().to_string());
        Ok::<_, Refused>(file.persist(format!("in/{name}")).await?.name)
    };
    let app = App::start(Router::new().route("/", route(persist)));
    for (sent, stored) in [
        ("../../etc/passwd", "in/passwd"),
        ("C:\\x\\a:b.jpg", "in/a_b.jpg"),
    ] {
        let reply = app.post("/", "", &form(&[part("f", Some(sent), b"x")]));
        assert_eq!(reply.text(), stored);
    }
    let nameless = app.post("/", "", &form(&[part("f", Some(".."), b"x")]));
    assert_eq!(nameless.text().len(), "in/".len() + 32);
}

#[test]
fn a_nested_service_that_was_not_told_its_prefix_takes_files_and_leaves_it_out_of_urls() {
    let body = form(&[part("f", Some("f"), b"x")]);
    for (base, prefix) in [("/up", "/up/files/"), ("", "/files/")] {
        let app = App::start_with(Router::new(), |lift| lift.base(base));
        for (target, asset) in [("/up", "/dumbwaiter.css"), ("/up/upload", "/dumbwaiter.js")] {
            let reply = app.post(target, "", &body);
            assert_eq!(reply.status, 201, "{reply:?}");
            let url = reply.json()["url"].as_str().unwrap().to_owned();
            assert!(url.starts_with(prefix), "{url}");
            let found = app.get(&url).status;
            assert_eq!(found == 200, base == "/up", "{url} {found}");
            assert_eq!(app.get(&format!("/up{asset}")).status, 200);
        }
    }
}

#[test]
fn a_forgotten_prefix_is_found_at_start_where_the_service_is_nested_at_its_base() {
    let nest = |base: &str| {
        let store = dumbwaiter::store::Memory::new();
        let lift = Dumbwaiter::new(store).base(base).into_service();
        let nest = || Router::<()>::new().nest_service(lift.base(), lift.clone());
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(nest)).is_ok()
    };
    assert!(nest("/up"));
    assert!(!nest(""));
}

/// The folder that a process of ours serves until it is killed.
const SERVES: &str = "DUMBWAITER_TEST_RECEIVES_INTO";

/// No test by itself: the program that `a_kill_between_persist_and_answer_leaves_the_file` runs.
#[test]
fn persists_and_never_answers() {
    let Some(dir) = std::env::var_os(SERVES) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let lift = Dumbwaiter::new(Disk::open(dir).unwrap()).into_service();
        let persist = async |State(lift): State<Service>, request: Request| {
            let got = lift.receive(request).await?;
            got.file("picture")?.persist("kept").await?;
            println!("persisted {}", got.id());
            std::future::pending::<()>().await;
            Ok::<_, Refused>("never")
        };
        let app = Router::new().route("/", route(persist)).with_state(lift);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on {}", listener.local_addr().unwrap());
        axum::serve(listener, app).await.unwrap();
    });
}

#[test]
fn a_kill_between_persist_and_answer_leaves_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "receive::persists_and_never_answers",
            "--nocapture",
        ])
        .env(SERVES, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    // The harness writes before it on the same line.
    let mut says = |what: &str| loop {
        let line = said.next().unwrap().unwrap();
        if let Some((_, rest)) = line.split_once(what) {
            return rest.to_owned();
        }
    };
    let mut client = TcpStream::connect(says("listening on ")).unwrap();
    let content = noise(100_000);
    let two = form(&[
        part("picture", Some("p"), &content),
        part("other", Some("o"), b"not kept"),
    ]);
    client.write_all(&post("/", "", &two)).unwrap();
    let id = says("persisted ").parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(kept(folder.path(), &id) == content);
    assert_eq!(support::files(folder.path()), ["kept"]);
    assert_eq!(
        support::files(&folder.path().join(".dumbwaiter/tmp")),
        [""; 0]
    );
}

fn kept(dir: &Path, id: &dumbwaiter::UploadId) -> Vec<u8> {
    let disk = eventually(|| Disk::open(dir), Result::is_ok).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(
            disk.stored(id).await.unwrap().map(|files| files.len()),
            Some(1)
        );
        let mut reader = disk.read(id, 0).await.unwrap().unwrap();
        reader.read_at(0, 1 << 20).await.unwrap().to_vec()
    })
}
