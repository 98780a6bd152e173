//! How an upload ends that an app has: what it does not persist goes, and who hears of it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post as route;
use bytes::Bytes;
use dumbwaiter::admission::AdmissionOptions;
use dumbwaiter::name::OnConflict;
use dumbwaiter::upload::{FileHead, Upload};
use dumbwaiter::{Error, Refusal, Service, Stop, UploadHandler};

use super::{App, Refused, one_of_two};
use crate::support::{form, noise, part, post};

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
