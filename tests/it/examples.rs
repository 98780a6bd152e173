//! The examples, run as their first lines say.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{Reply, eventually, form, noise, part, post};

/// An example in a folder of its own, killed when dropped.
pub(crate) struct Example {
    address: SocketAddr,
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

impl Example {
    fn start(name: &str) -> Self {
        Self::start_by(Command::new(built(name)), tempfile::tempdir().unwrap())
    }

    /// Starts an example in `folder` by way of a command whose last argument it is.
    pub(crate) fn start_by(mut command: Command, folder: TempDir) -> Self {
        command
            .arg("127.0.0.1:0")
            .current_dir(folder.path())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| {
            panic!("{command:?}: {e}; `cargo build --examples` makes examples")
        });
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = said.next().unwrap().unwrap();
        Self {
            address: line.replace("listening on ", "").parse().unwrap(),
            child,
            said,
            folder,
        }
    }

    pub(crate) fn send(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request).unwrap();
        Reply::read(&mut stream)
    }

    fn get(&self, target: &str) -> Reply {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    }

    fn put(&self, name: &str, content: &str) -> Reply {
        let length = content.len();
        let head =
            format!("PUT /files/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        self.send(format!("{head}{content}").as_bytes())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    fn says(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `cargo test` that is not told which targets builds the examples too, beside the folder where this test's own binary lies.
pub(crate) fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let beside = own.parent().unwrap().parent().unwrap();
    beside.join("examples").join(name)
}

#[test]
fn a_handler_of_ones_own_sees_every_byte() {
    let mut example = Example::start("own_handler");
    assert_eq!(example.put("notes.txt", "a\nb\nc\nd\n").status, 201);
    assert_eq!(example.says(), "notes.txt has 4 lines");
    assert_eq!(example.read("uploads/notes.txt"), b"a\nb\nc\nd\n");
}

#[test]
fn nested_in_axum_the_service_keeps_its_prefix_in_every_url() {
    let example = Example::start("axum_form");
    let page = example.get("/");
    let action = page.text().split("action=\"").nth(1).unwrap();
    let action = action.split('"').next().unwrap();
    let content = noise(200_000);
    let body = form(&[part("picture", Some("paella.jpg"), &content)]);
    let reply = example.send(&post(action, "", &body));
    assert_eq!(reply.status, 201, "{reply:?}");
    let record = reply.json();
    assert_eq!(record["progress_id"], "42");
    assert!(
        record["files"][0]["digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    let url = record["url"].as_str().unwrap();
    assert!(url.starts_with("/up/files/"), "{url}");
    assert_eq!(reply.header("location"), Some(url));
    assert!(example.get(url).body == content);
    assert!(example.read("uploads/paella.jpg") == content);
    // An address is an owner: without a peer nobody would be told from anybody.
    let polled = example.get("/up/uploads?X-Progress-ID=42").json();
    assert_eq!(polled[0]["state"], "done");
    let id = record["id"].as_str().unwrap();
    let own = example.get(&format!("/up/uploads/{id}")).json();
    assert_eq!(own["url"], url);
    assert_eq!(example.get("/up/").status, 200);
}

#[test]
fn a_view_of_ones_own_stores_a_picture_under_its_dish() {
    let example = Example::start("axum_receive");
    let dish = |id: &str, content: &[u8]| {
        let body = form(&[
            part("picture", Some("p.jpg"), content),
            part("id", None, id.as_bytes()),
        ]);
        example.send(&post("/dishes?X-Progress-ID=1", "", &body))
    };
    let jpeg = [&b"\xff\xd8\xff\xe0"[..], &noise(100_000)].concat();
    for _ in 0..2 {
        let reply = dish("12", &jpeg);
        assert_eq!(
            (reply.status, reply.text()),
            (200, "dishes/12.jpg has 100004 bytes\n")
        );
    }
    let stored = std::fs::read_dir(example.folder.path().join("uploads/dishes")).unwrap();
    assert_eq!(stored.count(), 1);
    assert!(example.read("uploads/dishes/12.jpg") == jpeg);
    let ended = || example.get("/up/uploads?X-Progress-ID=1").json()[0].clone();
    assert_eq!(
        eventually(ended, |r| r["state"] == "done")["error"],
        serde_json::Value::Null
    );
    assert_eq!(dish("12", b"no picture").json()["code"], "type_not_allowed");
    let refused = dish("../12", &jpeg);
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (422, &"refused".into())
    );
    assert_eq!(
        eventually(ended, |r| r["state"] == "error")["error"]["code"],
        "refused"
    );
}

#[test]
fn the_service_takes_hypers_own_bodies() {
    let example = Example::start("hyper_put");
    let reply = example.put("a.txt", "by hyper");
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(example.read("uploads/a.txt"), b"by hyper");
    assert_eq!(
        example.get(reply.json()["url"].as_str().unwrap()).body,
        b"by hyper"
    );
}

#[test]
fn a_store_of_ones_own_keeps_every_promise_and_its_catalogue() {
    let example = Example::start("own_store");
    assert_eq!(example.put("a.txt", "four").status, 201);
    assert_eq!(example.read("catalogue.txt"), b"4 bytes in a.txt\n");
    let folder = tempfile::tempdir().unwrap();
    let check = Command::new(built("own_store"))
        .arg("check")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&check.stdout),
        "it keeps every promise\n"
    );
}

#[cfg(feature = "server")]
#[test]
fn our_own_connections_stop_gracefully_in_a_program_of_ones_own() {
    let mut example = Example::start("serve");
    let content = noise(100_000);
    let request = post("/upload", "", &form(&[part("f", Some("f"), &content)]));
    let mut client = TcpStream::connect(example.address).unwrap();
    client.write_all(&request[..50_000]).unwrap();
    eventually(
        || {
            std::fs::read_dir(example.folder.path().join("uploads/.dumbwaiter/tmp"))
                .unwrap()
                .count()
        },
        |under_way| *under_way == 1,
    );
    let pid = Pid::from_raw(example.child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    eventually(
        || TcpStream::connect(example.address).is_err(),
        |closed| *closed,
    );
    client.write_all(&request[50_000..]).unwrap();
    assert_eq!(Reply::read(&mut client).status, 201);
    drop(client);
    assert_eq!(example.says(), "stopped");
    assert!(example.child.wait().unwrap().success());
    assert!(example.read("uploads/f") == content);
}
