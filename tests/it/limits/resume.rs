//! Bounds of uploads that can be resumed: how often their bytes are made durable, how long an older request keeps a newer
//! one waiting, how many stay open.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::needs::needs;
use crate::support::traced::{kill_traced, traced};
use crate::support::tus::{Tus, offset};
use crate::support::{Server, eventually, form, part, post};

fn created(server: &Server, length: u64) -> Tus {
    Tus::create(server.address, Some(length), "", b"").unwrap()
}

/// Sends the first `bytes` of a PATCH that says to carry `length`, and leaves the line open.
fn begun(server: &Server, tus: &Tus, bytes: &[u8], length: usize) -> TcpStream {
    let line = tus.begin_patch(server.address, 0, length, bytes);
    eventually(
        || number(server, tus, "received"),
        |come| *come == bytes.len() as u64,
    );
    line.unwrap()
}

/// A number of its record.
fn number(server: &Server, tus: &Tus, name: &str) -> u64 {
    let record = server.get(&format!("/uploads/{}", tus.id())).json();
    record[name].as_u64().unwrap()
}

#[test]
fn bytes_are_kept_after_so_many_of_them_while_the_request_goes_on() {
    let often = ["--checkpoint-bytes", "1000", "--checkpoint-time", "1h"];
    let mut server = Server::start(&often);
    let (enough, too_few) = (created(&server, 5_000), created(&server, 5_000));
    let _client = begun(&server, &enough, &[b'x'; 1_000], 5_000);
    eventually(|| number(&server, &enough, "offset"), |kept| *kept == 1_000);
    let _other = begun(&server, &too_few, &[b'x'; 999], 5_000);
    assert_eq!(number(&server, &too_few, "offset"), 0);
    // What is kept is there whatever happens.
    server.kill();
    let again = Server::start_in(&server.dir, &often);
    for (mut tus, kept) in [(enough, 1_000), (too_few, 0)] {
        assert_eq!(offset(&tus.head(again.address).unwrap()), kept);
    }
}

#[test]
fn bytes_are_kept_in_time_while_the_client_pauses() {
    let server = Server::start(&["--checkpoint-bytes", "1GB", "--checkpoint-time", "50ms"]);
    let tus = created(&server, 5_000);
    let _client = begun(&server, &tus, b"x", 5_000);
    eventually(|| number(&server, &tus, "offset"), |kept| *kept == 1);
}

/// A disk that hangs: the write takes two minutes. Whoever asks meanwhile is told the last checkpoint.
#[test]
fn an_older_request_that_hangs_keeps_a_newer_one_waiting_no_longer_than_that() {
    if !needs("strace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let how = "inject=pwritev:delay_enter=120000000:when=1";
    let strace = traced(
        &["-qq", "-e", "trace=pwritev", "-e", how],
        &folder.path().join("trace"),
        env!("CARGO_BIN_EXE_dumbwaiter"),
    );
    let flags = ["--let-go-time", "100ms", "--data-threads", "4"];
    let mut server = Server::start_by(strace, &folder.path().join("uploads"), &flags);
    let mut tus = created(&server, 10);
    let hangs = begun(&server, &tus, b"01234", 10);
    let asked = Instant::now();
    let told = tus.head(server.address);
    let lasted = asked.elapsed();
    kill_traced(server.pid());
    server.wait();
    drop(hangs);
    assert_eq!(offset(&told.unwrap()), 0);
    assert!(lasted < Duration::from_secs(60), "{lasted:?}");
}

#[test]
fn so_many_uploads_stay_open_and_the_others_go_on_all_the_same() {
    let server = Server::start(&["--max-parked", "2"]);
    let mut all: Vec<_> = (0..5).map(|_| created(&server, 2)).collect();
    assert_eq!(open_files(&server), 2);
    for (at, byte) in [(0, b"x"), (1, b"y")] {
        for tus in &mut all {
            let reply = tus.patch(server.address, at, "", byte).unwrap();
            assert_eq!(reply.status, 204, "{reply:?}");
            assert!(open_files(&server) <= 2);
        }
    }
    assert_eq!(server.files().len(), 5);
    assert_eq!(open_files(&server), 0);
}

/// A form has many files, and all but the last of them are closed while it rests, whoever has the session.
#[test]
fn an_upload_that_rests_has_one_file_open() {
    const FILES: usize = 70;
    let server = Server::start(&["--max-parked", "1", "--on-conflict", "reject"]);
    let sent = |which: usize| {
        let name = |at: usize| format!("{which}.{at}");
        // Every other one is empty: those are not synced until they must be.
        let parts = (0..FILES).map(|at| part("f", Some(&name(at)), &b"x"[at % 2..]));
        form(&parts.collect::<Vec<_>>())
    };
    let begin = |which| {
        let first = &sent(which)[..sent(which).len() / 2];
        let reply = server.send(&post("/upload", "Upload-Complete: ?0\r\n", first));
        assert_eq!((reply.status, open_files(&server)), (201, 1), "{reply:?}");
        reply.header("location").unwrap().to_owned()
    };
    let both = [begin(0), begin(1)];
    let goes_on = |which: usize, from: usize, to: usize| {
        let (sent, last) = (sent(which), to == sent(which).len());
        let head = format!(
            "PATCH {} HTTP/1.1\r\nHost: a\r\nContent-Type: application/partial-upload\r\nContent-Length: {}\r\n\
             Upload-Offset: {from}\r\nUpload-Complete: ?{}\r\n\r\n",
            both[which],
            to - from,
            u8::from(last)
        );
        server
            .send(&[head.as_bytes(), &sent[from..to]].concat())
            .status
    };
    let length = sent(0).len();
    for which in [0, 1] {
        assert_eq!(goes_on(which, length / 2, length - 90), 204);
        assert_eq!(open_files(&server), 1);
    }
    for which in [0, 1] {
        assert_eq!(goes_on(which, length - 90, length), 201);
    }
    assert_eq!((server.files().len(), open_files(&server)), (2 * FILES, 0));
}

/// How many files under way the server has open.
fn open_files(server: &Server) -> usize {
    let under_way = server.dir.join(".dumbwaiter/tmp");
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let is_file = |target: &PathBuf| target.parent() == Some(&under_way);
    targets.filter(is_file).count()
}
