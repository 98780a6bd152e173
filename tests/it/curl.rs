//! curl, as people use it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::needs::needs;
use crate::support::{Server, eventually, noise};

fn curl(args: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "30"])
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn picture(folder: &Path, length: usize) -> String {
    let path = folder.join("paella.jpg");
    std::fs::write(&path, noise(length)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn curl_posts_a_form_and_puts_a_file_and_another_terminal_follows() {
    if !needs("curl") {
        return;
    }
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let path = picture(folder.path(), 3_000_000);
    let url = format!("http://{}", server.address);

    let form = format!("picture=@{path}");
    let posted: Value = serde_json::from_str(&curl(&[
        "-F",
        &form,
        "-F",
        "id=12",
        &format!("{url}/upload"),
    ]))
    .unwrap();
    assert_eq!(posted["files"][0]["name"], "paella.jpg");
    assert_eq!(posted["fields"]["id"], "12");
    // curl puts the file's name behind the slash, and asks with Expect: 100-continue before it sends this much.
    let put: Value = serde_json::from_str(&curl(&["-T", &path, &format!("{url}/files/")])).unwrap();
    assert_eq!(put["files"][0]["name"], "paella-1.jpg");
    assert!(
        server.read("paella.jpg") == noise(3_000_000)
            && server.read("paella-1.jpg") == noise(3_000_000)
    );

    // Eight seconds: the other terminal finds most of them still to come, however busy the machine is.
    let slow = [
        "-T",
        &path,
        "--limit-rate",
        "375K",
        "--silent",
        "-o",
        "/dev/null",
    ];
    let slow = Command::new("curl")
        .args(slow)
        .arg(format!("{url}/files/?X-Progress-ID=42"))
        .spawn();
    let mut slow = slow.unwrap();
    let records = || -> Value {
        serde_json::from_str(&curl(&[&format!("{url}/uploads?X-Progress-ID=42")])).unwrap()
    };
    eventually(records, |records| records[0]["state"] == "uploading");
    let stream = format!("{url}/uploads?X-Progress-ID=42");
    let events = curl(&["-N", "-H", "Accept: text/event-stream", &stream]);
    assert!(slow.wait().unwrap().success());
    let records: Vec<Value> = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let received: Vec<_> = records
        .iter()
        .map(|record| record["received"].as_u64().unwrap())
        .collect();
    assert!(received.is_sorted() && received.len() > 3, "{received:?}");
    assert_eq!(
        records.last().unwrap()["state"],
        "done",
        "the stream ends by itself, with the end"
    );
    assert_eq!(received.last(), Some(&3_000_000));
}

#[test]
fn a_body_from_a_pipe_has_no_length_and_is_stored_all_the_same() {
    if !needs("curl") {
        return;
    }
    let server = Server::start(&[]);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "-T", "-"])
        .arg(format!("http://{}/files/piped", server.address));
    let mut child = curl
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &noise(500_000)).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(server.read("piped") == noise(500_000));
}

#[test]
fn a_refusal_is_read_by_a_curl_that_waits_for_100_continue() {
    if !needs("curl") {
        return;
    }
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let path = picture(folder.path(), 3_000_000);
    let answer = curl(&[
        "-H",
        "Expect: 100-continue",
        "--data-binary",
        &format!("@{path}"),
        &format!("http://{}/upload", server.address),
    ]);
    let problem: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(problem["code"], "missing_enctype");
}
