//! The server or the app dies at every stage: each upload that anybody was told of is told of to the app, at least once.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Pair, SOON, body, is_free, put, told_id};
use crate::support::app::{App, Seen};
use crate::support::{Reply, eventually};
use dumbwaiter::UploadId;

#[test]
fn an_upload_that_the_app_was_being_told_of_is_told_of_again_after_a_crash() {
    let mut pair = Pair::start(&SOON);
    pair.app.does(|call| {
        call.read();
        call.until_gone();
    });
    let mut line = pair.server.connect();
    line.write_all(put("a", "hello").as_bytes()).unwrap();
    let id = told_id(&pair.app.asked(1)[0]);
    pair.app.answers(200, "", b"yes");
    pair.crash();
    pair.until(&id, "done");
    assert_eq!(pair.answer(&id).text(), "yes");
    let seen = pair.app.asked(2);
    assert_eq!(body(&seen[0]), body(&seen[1]));
    assert_eq!(pair.server.read("a"), b"hello");
}

/// It has the file, and then dies, or we do, before it has answered: it is told again, by the same key and the same words.
#[test]
fn an_app_that_has_moved_the_file_and_not_answered_is_told_once_more() {
    for server_dies in [false, true] {
        let mut pair = Pair::start(&SOON);
        let (dir, first) = (pair.dir.clone(), AtomicBool::new(true));
        pair.app.does(move |call| {
            call.read();
            if first.swap(false, Ordering::SeqCst) {
                std::fs::rename(dir.join("a"), dir.with_file_name("moved")).unwrap();
                if server_dies {
                    call.until_gone();
                }
            } else {
                call.answer(200, "", b"I know");
            }
        });
        let mut line = pair.server.connect();
        line.write_all(put("a", "hello").as_bytes()).unwrap();
        let moved = pair.dir.with_file_name("moved");
        eventually(|| moved.exists(), |moved| *moved);
        let id = told_id(&pair.app.asked(1)[0]);
        if server_dies {
            pair.crash();
        }
        let answer = eventually(|| pair.answer(&id), |answer| answer.status == 200);
        assert_eq!(answer.text(), "I know");
        let seen = pair.app.asked(2);
        assert_eq!(body(&seen[0]), body(&seen[1]));
    }
}

#[test]
fn what_waits_for_the_app_is_processed_after_a_crash_too() {
    let mut pair = Pair::start(&SOON);
    pair.app.answers(500, "", b"");
    let id = pair.put("a", "x").json()["id"].as_str().unwrap().to_owned();
    pair.crash();
    let record = pair.record(&id);
    assert_eq!(record["state"], "processing");
    assert_eq!(record["files"][0]["name"], "a");
    assert_eq!(pair.answer(&id).status, 202);
    pair.app.answers(200, "", b"yes");
    pair.until(&id, "done");
}

/// The server is killed again and again while clients send, and the app too; at the end the app knows of every file that
/// is there, and of every upload whose client had an answer.
#[test]
fn whatever_is_killed_the_app_hears_of_all_that_is_stored() {
    let mut pair = Pair::start(&[&SOON[..], &["--name", "{id}"]].concat());
    let address = pair.app.address;
    let mut told = Vec::new();
    let mut known = BTreeSet::new();
    for round in 0..6_u64 {
        let stop = Arc::new(AtomicBool::new(false));
        let server = pair.server.address;
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || send_until(server, &stop))
            })
            .collect();
        pair.app.does(|call| {
            let told = body(call.read());
            call.answer(200, "", told["upload"].as_str().unwrap().as_bytes());
        });
        let random = u64::from(UploadId::random().as_bytes()[0]);
        std::thread::sleep(Duration::from_millis(20 + random));
        if round % 2 == 0 {
            let seen = std::mem::replace(&mut pair.app, App::start()).dies();
            known.extend(seen.iter().filter_map(told_watch));
            is_free(address);
            pair.app = App::start_at(address);
        }
        stop.store(true, Ordering::SeqCst);
        pair.crash();
        for client in clients {
            told.extend(client.join().unwrap());
        }
    }
    assert!(!told.is_empty());
    for id in &told {
        eventually(|| pair.answer(id).status, |status| *status == 200);
    }
    let watch = |id: &String| id.parse::<UploadId>().unwrap().watch().to_string();
    let all: BTreeSet<_> = pair
        .server
        .files()
        .into_iter()
        .chain(told.iter().map(watch))
        .collect();
    // What was stored at the last kill may still have to be told of.
    eventually(
        || {
            known.extend(pair.app.seen().iter().filter_map(told_watch));
            all.difference(&known).cloned().collect::<Vec<_>>()
        },
        Vec::is_empty,
    );
}

/// The upload's watch name, by which its file is called, where the app has heard of it.
fn told_watch(seen: &Seen) -> Option<String> {
    seen.whole
        .then(|| body(seen)["watch"].as_str().unwrap().to_owned())
}

/// Sends one upload after the other; gives the ids of those that were answered.
fn send_until(server: std::net::SocketAddr, stop: &AtomicBool) -> Vec<String> {
    let mut told = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut line) = std::net::TcpStream::connect(server) else {
            break;
        };
        let request =
            put("x", "hello").replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n");
        if line.write_all(request.as_bytes()).is_err() {
            break;
        }
        match Reply::try_read(&mut line) {
            Ok(reply) if reply.status == 200 => told.push(reply.text().to_owned()),
            Ok(reply) => told.push(reply.json()["id"].as_str().unwrap().to_owned()),
            Err(_) => break,
        }
    }
    told
}
