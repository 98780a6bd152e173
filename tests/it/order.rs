//! The order in which an upload becomes durable, seen in the system calls: data, sync, record, name, folder, answer.

use crate::examples::{Example, built};
use crate::support::app::App;
use crate::support::needs::needs;
use crate::support::traced::{Call, parse, stop_traced, traced};
use crate::support::tus::{Tus, pair};
use crate::support::{Server, form, noise, part, post};

const TRACED: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,renameat,renameat2";

impl Call {
    fn syncs(&self, what: &str) -> bool {
        (self.text.starts_with("fsync") || self.text.starts_with("fdatasync"))
            && self.text.contains(what)
    }

    fn writes(&self, what: &str) -> bool {
        (self.text.starts_with("pwrite") || self.text.starts_with("write"))
            && self.text.contains(what)
    }

    fn renames(&self) -> bool {
        self.text.starts_with("rename")
    }

    fn answers(&self) -> bool {
        self.text.contains("HTTP/1.1 20")
    }
}

/// Runs a server under strace, sends to it and gives back its system calls.
fn calls(durability: &str, send: fn(&Server)) -> Vec<Call> {
    calls_with(&["--durability", durability], send)
}

fn calls_with(args: &[&str], send: fn(&Server)) -> Vec<Call> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let mut strace = traced(
        &["-y", "-s", "32", "-e", TRACED],
        &log,
        env!("CARGO_BIN_EXE_dumbwaiter"),
    );
    strace.env("DUMBWAITER_APP_KEY", "k".repeat(32));
    let mut server = Server::start_by(strace, &folder.path().join("uploads"), args);
    send(&server);
    stop_traced(server.pid());
    server.wait();
    parse(&std::fs::read_to_string(&log).unwrap())
}

/// The calls of one upload from the first byte of a file on.
fn trace(durability: &str, send: fn(&Server)) -> Vec<Call> {
    since_data(calls(durability, send))
}

fn send_two_files(server: &Server) {
    let body = form(&[
        part("f", Some("one"), &noise(300_000)),
        part("f", Some("two"), &noise(9)),
    ]);
    assert_eq!(server.post("/upload", "", &body).status, 201);
}

fn put(server: &Server) {
    let head = b"PUT /files/one HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
    let reply = server.send(&[&head[..], &noise(300_000)].concat());
    assert_eq!(reply.status, 201);
}

/// An upload by tus in three requests: one creates it, two bring a half each.
fn send_by_tus(server: &Server) {
    let (content, half) = (noise(300_000), 150_000);
    let length = Some(content.len() as u64);
    let mut tus = Tus::create(server.address, length, &pair("filename", "one"), b"").unwrap();
    for part in [&content[..half], &content[half..]] {
        let reply = tus.patch(server.address, tus.told, "", part).unwrap();
        assert_eq!(reply.status, 204, "{reply:?}");
    }
}

/// The same of a file that a view persists, in the example that does so.
fn trace_persist() -> Vec<Call> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let strace = traced(
        &["-y", "-s", "32", "-e", TRACED],
        &log,
        built("axum_receive"),
    );
    let mut example = Example::start_by(strace, folder);
    let jpeg = [&b"\xff\xd8\xff\xe0"[..], &noise(300_000)].concat();
    let body = form(&[
        part("picture", Some("p"), &jpeg),
        part("id", None, b"12"),
        part("other", Some("o"), &jpeg),
    ]);
    assert_eq!(example.send(&post("/dishes", "", &body)).status, 200);
    stop_traced(example.pid());
    example.wait();
    since_data(parse(&std::fs::read_to_string(&log).unwrap()))
}

fn since_data(calls: Vec<Call>) -> Vec<Call> {
    let first = all(&calls, "write of data", |call| {
        call.writes(".dumbwaiter/tmp/")
    })[0]
        .began;
    calls
        .into_iter()
        .filter(|call| call.began >= first)
        .collect()
}

fn all(calls: &[Call], what: &str, fits: impl Fn(&Call) -> bool) -> Vec<Call> {
    let found: Vec<_> = calls.iter().filter(|call| fits(call)).cloned().collect();
    assert!(
        !found.is_empty(),
        "no {what} in the trace:\n{}",
        texts(calls)
    );
    found
}

fn texts(calls: &[Call]) -> String {
    calls
        .iter()
        .map(|call| format!("{}\n", call.text))
        .collect()
}

/// All of `first` have ended before any of `then` begins.
fn in_order(calls: &[Call], (first, a): (&str, &[Call]), (then, b): (&str, &[Call])) {
    let ended = a.iter().map(|call| call.ended).max().unwrap();
    let began = b.iter().map(|call| call.began).min().unwrap();
    assert!(
        ended < began,
        "{first} must come before {then}:\n{}",
        texts(calls)
    );
}

#[test]
fn durable_means_data_then_sync_then_record_then_name_then_folder_then_answer() {
    if !needs("strace") {
        return;
    }
    durable_in_order(&trace("sync", send_two_files), 2);
    durable_in_order(&trace("sync", put), 1);
}

#[test]
fn what_a_view_persists_is_durable_in_the_same_order_before_its_answer() {
    if !needs("strace") {
        return;
    }
    durable_in_order(&trace_persist(), 1);
}

fn durable_in_order(calls: &[Call], files: usize) {
    let names = all(calls, "rename", Call::renames);
    let named = names.iter().map(|call| call.began).min().unwrap();
    let answer = all(calls, "answer", Call::answers);
    // The record that counts is the one before the names; the mark that they are settled may come at any later time.
    let before = |call: &Call| call.began < named;
    let data = all(calls, "write of data", |call| {
        call.writes(".dumbwaiter/tmp/")
    });
    let data_sync = all(calls, "sync of data", |call| call.syncs(".dumbwaiter/tmp/"));
    let record = all(calls, "write of the record", |call| {
        before(call) && call.writes("records.redb")
    });
    let record_sync = all(calls, "sync of the record", |call| {
        before(call) && call.syncs("records.redb")
    });
    let folder = all(calls, "sync of the folder", |call| {
        call.syncs("/uploads>") || call.syncs("/dishes>")
    });
    let counts = (names.len(), data_sync.len());
    assert_eq!(counts, (files, files), "{}", texts(calls));
    for (first, then) in [
        (("data", &data[..]), ("its sync", &data_sync[..])),
        (("the sync of data", &data_sync), ("the record", &record)),
        (
            ("the record", &record),
            ("its last sync", &record_sync[record_sync.len() - 1..]),
        ),
        (
            ("the sync of the record", &record_sync),
            ("the names", &names),
        ),
        (("the names", &names), ("the sync of the folder", &folder)),
        (("the sync of the folder", &folder), ("the answer", &answer)),
    ] {
        in_order(calls, first, then);
    }
}

#[test]
fn the_app_is_told_behind_all_of_that_and_before_the_answer() {
    if !needs("strace") {
        return;
    }
    let app = App::start();
    let url = format!("{}/told", app.url());
    let args = ["--durability", "sync", "--hand-off", &url];
    let put = |server: &Server| {
        let head = b"PUT /files/one HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
        assert_eq!(
            server.send(&[&head[..], &noise(300_000)].concat()).status,
            200
        );
    };
    let calls = since_data(calls_with(&args, put));
    durable_in_order(&calls, 1);
    let folder = all(&calls, "sync of the folder", |call| call.syncs("/uploads>"));
    let told = all(&calls, "word to the app", |call| {
        call.text.contains("POST /told")
    });
    let noted = all(&calls, "note of its answer", |call| {
        call.began > told[0].ended && call.syncs("records.redb")
    });
    let answer = all(&calls, "answer", Call::answers);
    in_order(
        &calls,
        ("the sync of the folder", &folder),
        ("the app", &told),
    );
    in_order(&calls, ("the app's answer", &noted[..1]), ("ours", &answer));
}

#[test]
fn an_offset_is_told_behind_data_then_its_name_then_checkpoint_each_of_them_synced() {
    if !needs("strace") {
        return;
    }
    let calls = calls("sync", send_by_tus);
    let [created, half, whole] = by_answer(&calls).try_into().unwrap();
    let record = |calls: &[Call]| {
        let written = all(calls, "write of the record", |call| {
            call.writes("records.redb")
        });
        let synced = all(calls, "sync of the record", |call| {
            call.syncs("records.redb")
        });
        let last = synced[synced.len() - 1..].to_vec();
        in_order(calls, ("the record", &written), ("its last sync", &last));
        (written, last)
    };
    let (_, synced) = record(&created);
    in_order(
        &created,
        ("the sync of the record", &synced),
        ("the answer", &all(&created, "answer", Call::answers)),
    );

    let data = all(&half, "data", |call| call.writes(".dumbwaiter/tmp/"));
    let data_sync = all(&half, "sync of data", |call| call.syncs(".dumbwaiter/tmp/"));
    let name_sync = all(&half, "sync of the temporary name", |call| {
        call.syncs(".dumbwaiter/tmp>")
    });
    let (written, synced) = record(&half);
    let answer = all(&half, "answer", Call::answers);
    for (first, then) in [
        (("data", &data), ("its sync", &data_sync)),
        (("the sync of data", &data_sync), ("the record", &written)),
        (
            ("the sync of the name", &name_sync),
            ("the record", &written),
        ),
        (("the sync of the record", &synced), ("the answer", &answer)),
    ] {
        in_order(&half, (first.0, &first.1[..]), (then.0, &then.1[..]));
    }
    assert!(!half.iter().any(Call::renames), "{}", texts(&half));

    durable_in_order(&whole, 1);
}

/// The calls of each request from the end of the answer before it on, its own answer included.
fn by_answer(calls: &[Call]) -> Vec<Vec<Call>> {
    let answers = all(calls, "answer", Call::answers);
    let mut from = 0;
    answers
        .iter()
        .map(|answer| {
            let of_it = |call: &&Call| (from..=answer.began).contains(&call.began);
            let of_it: Vec<_> = calls.iter().filter(of_it).cloned().collect();
            from = answer.ended + 1;
            of_it
        })
        .collect()
}

#[test]
fn close_syncs_nothing_and_still_records_before_it_names() {
    if !needs("strace") {
        return;
    }
    let calls = trace("close", send_two_files);
    let answer = all(&calls, "answer", Call::answers);
    let syncs: Vec<_> = calls
        .iter()
        .filter(|call| call.began < answer[0].began && call.syncs(""))
        .collect();
    assert!(syncs.is_empty(), "{syncs:?}");
    let names = all(&calls, "rename", Call::renames);
    let record = all(&calls, "write of the record", |call| {
        call.writes("records.redb")
    });
    in_order(&calls, ("the record", &record[..1]), ("the names", &names));
    in_order(&calls, ("the names", &names), ("the answer", &answer));
}
