//! Where an app stores what came: names that are taken, and places that lead out.

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post as route;
use dumbwaiter::Service;
use dumbwaiter::name::OnConflict;

use super::{App, Refused, picture};
use crate::support::{eventually, form, part};

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
fn where_nothing_is_given_back_a_stored_file_has_no_url() {
    let route = Router::new().route("/", route(url_of_the_first));
    for (downloads, has_url) in [(true, "true"), (false, "false")] {
        let app = App::start_with(route.clone(), |lift| lift.downloads(downloads));
        let reply = app.post("/", "", &form(&[part("f", Some("f"), b"x")]));
        assert_eq!((reply.status, reply.text()), (200, has_url));
    }
}

async fn url_of_the_first(
    State(lift): State<Service>,
    request: Request,
) -> Result<String, Refused> {
    let got = lift.receive(request).await?;
    Ok(got.file("f")?.persist("f").await?.url.is_some().to_string())
}
