//! What is refused at a route of the app's own, by whom, and how the client is told.

use std::io::Write;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post as route;
use dumbwaiter::admission::AdmissionOptions;
use dumbwaiter::rights::{Act, Ask, Grant, HostName, Rights};
use dumbwaiter::upload::Owner;
use dumbwaiter::{Refusal, Service};

use super::{App, Refused, dishes, picture};
use crate::support::{Reply, form, noise, part, post};

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
            "*/*",
            "application/problem+json",
            "\"code\":\"missing_file\"",
        ),
        // Whoever takes that alone.
        (
            "application/json",
            "application/json",
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
                    ..Grant::default()
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

#[test]
fn a_page_of_another_origin_that_may_upload_can_read_the_refusal() {
    let origin = "https://app.example";
    let app = App::start_with(dishes(), |lift| {
        lift.rights(Rights {
            origins: vec![origin.parse().unwrap()],
            ..Rights::default()
        })
    });
    let send = |body: &[u8]| app.post("/dishes", &format!("Origin: {origin}\r\n"), body);
    let refused = send(&form(&[]));
    assert_eq!(refused.status, 422, "{refused:?}");
    let allowed = "access-control-allow-origin";
    assert_eq!(refused.header(allowed), Some(origin));
    // What the app answers itself, it has to share itself.
    let good = send(&picture(b"x", "1"));
    assert_eq!((good.status, good.header(allowed)), (200, None));
}
