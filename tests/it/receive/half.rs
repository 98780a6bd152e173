//! What happens to an upload while an app still has it, with one of its files persisted.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post as route;
use dumbwaiter::{Service, UploadId};
use tokio::sync::Notify;

use super::{App, Refused, picture};
use crate::support::{Reply, eventually, form, part, post};

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
