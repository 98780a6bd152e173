//! Room in the store and for each owner.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dumbwaiter::store::{Disk, Store};

use super::{begun, chunk, connect_from, put, put_chunks, put_head, refused};
use crate::support::{Reply, Server, eventually};

const STORE: [&str; 2] = ["--max-store-size", "1000"];
const OWNER: [&str; 2] = ["--max-owner-bytes", "1000"];

/// Stores 1,000 bytes in two uploads and finds that not one more is taken, however it comes.
fn fill(server: &Server, status: u16, code: &str) {
    assert_eq!(server.send(&put("a", &[1; 600])).status, 201);
    let reply = server.send(&put_head("b", 401));
    assert_eq!(refused(server, &reply, status), code);
    let reply = server.send(&put_chunks("b", &[&[1; 400], &[1]]));
    assert_eq!(refused(server, &reply, status), code);
    assert_eq!(server.send(&put("b", &[1; 400])).status, 201);
    is_full(server, status, code);
    assert_eq!(server.files(), ["a", "b"]);
}

fn is_full(server: &Server, status: u16, code: &str) {
    let reply = server.send(&put_head("c", 1));
    assert_eq!(refused(server, &reply, status), code);
    let reply = server.send(&put_chunks("c", &[&[1]]));
    assert_eq!(refused(server, &reply, status), code);
}

fn restarts_full(flags: &[&str], status: u16, code: &str) {
    let folder = tempfile::tempdir().unwrap();
    let start = |dir: &Path| Server::start_in(dir, flags);
    let mut server = start(folder.path());
    fill(&server, status, code);
    for _ in 0..2 {
        server.kill();
        server = start(folder.path());
        is_full(&server, status, code);
    }
    // The app takes a file away: the next round through the records finds that out.
    server.kill();
    std::fs::rename(folder.path().join("a"), folder.path().join("app's")).unwrap();
    server = start(folder.path());
    eventually(
        || server.send(&put("c", &[1; 600])).status,
        |status| *status == 201,
    );
    is_full(&server, status, code);
}

#[test]
fn the_store_holds_what_it_may_and_not_a_byte_more_also_after_a_restart() {
    restarts_full(&STORE, 507, "store_limit");
}

#[test]
fn an_owner_holds_what_they_may_and_not_a_byte_more_also_after_a_restart() {
    restarts_full(&OWNER, 413, "owner_limit");
}

#[test]
fn what_the_app_takes_away_makes_room_soon_after_somebody_was_refused() {
    let server = Server::start(&STORE);
    assert_eq!(server.send(&put("a", &[1; 1000])).status, 201);
    is_full(&server, 507, "store_limit");
    std::fs::remove_file(server.dir.join("a")).unwrap();
    // A round comes at most every five seconds.
    eventually(
        || server.send(&put("b", &[1; 1000])).status,
        |status| *status == 201,
    );
}

#[test]
fn a_file_that_is_asked_for_and_gone_no_longer_counts() {
    for (flags, replaced) in [(&STORE[..], false), (&OWNER[..], false), (&STORE[..], true)] {
        let flags = [flags, &["--on-conflict", "replace"]].concat();
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_in(folder.path(), &flags);
        let stored = server.send(&put("a", &[1; 600])).json();
        let in_folder = |name: &str| folder.path().join(name);
        match replaced {
            true => assert_eq!(server.send(&put("a", &[1; 300])).status, 201),
            false => std::fs::rename(in_folder("a"), in_folder("app's")).unwrap(),
        }
        assert_ne!(server.send(&put("b", &[1; 600])).status, 201);
        assert_eq!(server.get(stored["url"].as_str().unwrap()).status, 404);
        assert_eq!(server.send(&put("b", &[1; 600])).status, 201, "{flags:?}");
    }
}

#[test]
fn declared_bytes_count_with_their_owner_and_with_nobody_else() {
    let server = Server::start(&[&STORE[..], &OWNER].concat());
    let running = begun(
        &server,
        server.connect(),
        &[put_head("one", 800), b"x".to_vec()].concat(),
        "one",
    );
    let reply = server.send(&put_head("two", 201));
    assert_eq!(reply.status, 413, "{reply:?}");
    assert_eq!(reply.json()["code"], "owner_limit");
    assert_eq!(server.send(&put("two", &[1; 200])).status, 201);
    // Of the 800 one has come: in all there is room for 799, which another owner may have.
    let other = |request: &[u8]| {
        let mut client = connect_from(server.address, 2);
        client.write_all(request).unwrap();
        Reply::read(&mut client)
    };
    let reply = other(&put_head("three", 800));
    assert_eq!(reply.json()["code"], "store_limit");
    assert_eq!(other(&put("three", &[1; 799])).status, 201);
    // What was only declared is given back when its client goes.
    drop(running);
    let reply = eventually(
        || server.send(&put("four", &[1])),
        |reply| reply.status == 201,
    );
    assert_eq!(reply.json()["length"], 1);
}

#[test]
fn an_upload_that_comes_for_nothing_gives_back_what_it_took() {
    let server = Server::start(&[&STORE[..], &OWNER].concat());
    for _ in 0..3 {
        let head = put_chunks("half", &[&[b'x'; 900]]);
        let mut client = begun(&server, server.connect(), &head, "half");
        client.write_all(&chunk(&[b'x'; 101])).unwrap();
        let reply = Reply::read(&mut client);
        assert_eq!(refused(&server, &reply, 507), "store_limit");
    }
    assert_eq!(server.send(&put("whole", &[1; 1000])).status, 201);
}

#[test]
fn clients_at_once_fill_the_store_to_its_limit_and_not_beyond() {
    for flags in [&STORE[..], &OWNER] {
        let server = Arc::new(Server::start(flags));
        let clients: Vec<_> = (0..30)
            .map(|n| {
                let server = Arc::clone(&server);
                std::thread::spawn(move || {
                    let name = format!("{n}");
                    let request = match n % 2 {
                        0 => put(&name, &[1; 100]),
                        _ => [put_chunks(&name, &[&[1; 100]]), b"0\r\n\r\n".to_vec()].concat(),
                    };
                    server.send(&request).status
                })
            })
            .collect();
        let statuses: Vec<_> = clients.into_iter().map(|c| c.join().unwrap()).collect();
        let stored = statuses.iter().filter(|status| **status == 201).count();
        assert_eq!(stored, 10, "{flags:?}: {statuses:?}");
        assert_eq!(server.files().len(), 10);
    }
}

#[test]
fn what_was_replaced_is_forgotten_with_the_next_round_also_without_any_limit() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--name", "dish", "--on-conflict", "replace"];
    let mut server = Server::start_in(folder.path(), &flags);
    for _ in 0..10 {
        assert_eq!(server.send(&put("a", b"x")).status, 201);
    }
    server.kill();
    let known = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let disk = Disk::open(folder.path()).unwrap();
        let list = runtime.unwrap().block_on(disk.list(None, 100));
        list.unwrap().len()
    };
    assert_eq!(known(), 10);
    // A round begins with the start; whoever is killed soon may not come to its end, and while he lives nobody else can
    // look.
    let mut alive = Duration::from_millis(20);
    let after_a_start = || {
        let mut server = Server::start_in(folder.path(), &flags);
        std::thread::sleep(alive);
        alive *= 2;
        server.kill();
        known()
    };
    eventually(after_a_start, |known| *known == 1);
    assert_eq!(std::fs::read(folder.path().join("dish")).unwrap(), b"x");
}
