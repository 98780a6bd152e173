//! A process that is killed once an app has persisted a file.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post as route;
use dumbwaiter::store::{Disk, Store as _};
use dumbwaiter::{Dumbwaiter, Service};

use super::Refused;
use crate::support::{self, eventually, form, noise, part, post};

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
            "receive::killed::persists_and_never_answers",
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
