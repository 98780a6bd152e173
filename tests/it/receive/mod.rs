//! Uploads at a route of the app's own, in an axum application on real sockets.

mod ends;
mod half;
mod killed;
mod nested;
mod places;
mod refusals;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post as route;
use dumbwaiter::store::Disk;
use dumbwaiter::{Dumbwaiter, ResponseBody, Service};
use tempfile::TempDir;

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
