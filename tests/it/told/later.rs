//! An app that cannot be told now is told later; one that refuses is told no more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{PATH, Pair, SOON, is_free, told_id};
use crate::support::app::{App, Gate};
use crate::support::{eventually, form, part};

#[test]
fn an_app_that_is_not_there_is_told_when_it_comes() {
    let pair = Pair::start(&SOON);
    let address = pair.app.address;
    let Pair { app, server, .. } = pair;
    app.dies();
    is_free(address);
    let reply = server.send(super::put("a", "x").as_bytes());
    assert_eq!(reply.status, 202, "{reply:?}");
    let record = reply.json();
    assert_eq!(record["state"], "processing");
    let id = record["id"].as_str().unwrap();
    let answer = format!("/uploads/{id}/answer");
    assert_eq!(server.get(&answer).status, 202);
    assert_eq!(server.files(), ["a"]);
    let app = App::start_at(address);
    app.answers(200, "", b"at last");
    let told = eventually(|| server.get(&answer), |reply| reply.status == 200);
    assert_eq!(told.text(), "at last");
    assert_eq!(
        (app.only().target(), told_id(&app.only()).as_str()),
        (PATH, id)
    );
    assert_eq!(
        server.get(&format!("/uploads/{id}")).json()["state"],
        "done"
    );
}

/// All of them by the same key, so that the app does once what it was told twice.
#[test]
fn an_app_that_fails_is_told_again_by_the_same_key() {
    let pair = Pair::start(&SOON);
    let asked = AtomicUsize::new(0);
    pair.app
        .does(move |call| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => call.answer(500, "", b"oh"),
            1 => call.answer(408, "", b""),
            2 => call.answer(429, "", b""),
            // Its head says yes, and then it dies.
            3 => call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
            4 => {}
            _ => call.answer(200, "", b"yes"),
        });
    let reply = pair.put("a", "x");
    assert_eq!(reply.status, 202, "{reply:?}");
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    pair.until(&id, "done");
    let seen = pair.app.seen();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|seen| told_id(seen) == id));
    assert_eq!(pair.answer(&id).text(), "yes");
}

#[test]
fn the_app_may_say_when_it_wants_to_be_told_again() {
    let pair = Pair::start(&SOON);
    let asked = AtomicUsize::new(0);
    pair.app
        .does(move |call| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => call.answer(503, "Retry-After: 2\r\n", b""),
            _ => call.answer(200, "", b"yes"),
        });
    let began = Instant::now();
    let reply = pair.put("a", "x");
    pair.until(reply.json()["id"].as_str().unwrap(), "done");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert_eq!(pair.app.seen().len(), 2);
}

#[test]
fn the_time_between_two_attempts_doubles_up_to_a_bound() {
    let pair = Pair::start(&[
        "--hand-off-retry",
        "100ms",
        "--hand-off-retry-most",
        "400ms",
    ]);
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&times);
    pair.app.does(move |call| {
        noted.lock().unwrap().push(Instant::now());
        call.answer(500, "", b"");
    });
    pair.put("a", "x");
    pair.app.asked(5);
    let times = times.lock().unwrap().clone();
    let waits: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
    // A random part of up to a half is left out.
    for (wait, least) in waits.iter().zip([50, 100, 200, 200]) {
        assert!(*wait >= Duration::from_millis(least), "{waits:?}");
    }
}

#[test]
fn when_nobody_tries_any_more_the_record_says_so_and_the_files_stay() {
    let pair = Pair::start(&[&SOON[..], &["--hand-off-for", "3s"]].concat());
    pair.app.answers(500, "", b"");
    // 202, or 502 where the first attempt alone took all the time.
    pair.put("a", "x");
    let id = told_id(&pair.app.seen()[0]);
    let record = pair.until(&id, "error");
    assert_eq!(record["error"]["code"], "hand_off_failed");
    let answer = pair.answer(&id);
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (502, Some("hand_off_failed"))
    );
    assert_eq!(pair.server.files(), ["a"]);
    let told = pair.app.seen().len();
    assert!(told > 1);
    pair.app.answers(200, "", b"");
    assert_eq!(pair.put("b", "x").status, 200);
    assert_eq!(pair.app.seen().len(), told + 1, "told once more");
}

#[test]
fn a_refused_upload_has_the_apps_answer_and_its_files_go_after_the_grace() {
    let mut pair = Pair::start(&["--app-grace", "2s"]);
    pair.app
        .answers(403, "Content-Type: text/plain\r\n", b"not yours");
    let reply = pair.put("a", "x");
    assert_eq!((reply.status, reply.text()), (403, "not yours"));
    let id = told_id(&pair.app.only());
    let record = pair.record(&id);
    assert_eq!(record["error"]["code"], "app_refused");
    assert_eq!(record["error"]["status"], 403);
    assert_eq!(pair.answer(&id).text(), "not yours");
    assert_eq!(pair.server.files(), ["a"]);
    // What is to go goes, whatever happens meanwhile.
    pair.crash();
    eventually(|| pair.server.files(), Vec::is_empty);
    eventually(|| pair.answer(&id).status, |status| *status == 404);
    assert_eq!(pair.app.seen().len(), 1);
}

#[test]
fn which_statuses_refuse_is_told() {
    let pair = Pair::start(
        &[
            &SOON[..],
            &["--app-refuses", "409,500-599", "--app-grace", "0s"],
        ]
        .concat(),
    );
    for (status, refused) in [(409, true), (503, true), (404, false), (429, false)] {
        pair.app.answers(status, "", b"");
        let reply = pair.put("a", "x");
        let expected = if refused { status } else { 202 };
        assert_eq!(reply.status, expected, "{status}");
    }
}

#[test]
fn an_app_that_hangs_costs_a_client_one_attempt_at_most() {
    let pair = Pair::start(&["--hand-off-timeout", "300ms", "--max-hand-offs", "1"]);
    pair.app.does(|call| {
        call.read();
        call.until_gone();
    });
    let reply = pair.put("a", "x");
    assert_eq!(reply.status, 202, "{reply:?}");
    // This one waits behind those that are tried again.
    let sent = form(&[part("photo", Some("b"), b"y")]);
    let reply = pair.server.post("/upload", "", &sent);
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.json()["state"], "processing");
}

#[test]
fn as_many_as_may_are_told_of_at_once_and_the_next_one_waits() {
    let pair = Pair::start(&["--max-hand-offs", "2"]);
    let gate = Gate::default();
    let held = gate.clone();
    pair.app.does(move |call| {
        call.read();
        held.wait();
        call.answer(200, "", b"");
    });
    let lines: Vec<_> = (0..3)
        .map(|n| {
            let mut line = pair.server.connect();
            let request = super::put(&n.to_string(), "x");
            std::io::Write::write_all(&mut line, request.as_bytes()).unwrap();
            line
        })
        .collect();
    pair.app.asked(2);
    eventually(|| pair.server.files().len(), |stored| *stored == 3);
    // What waits is one of ours; the first two hold all the places.
    assert_eq!(pair.app.seen().len(), 2);
    gate.open();
    for mut line in lines {
        assert_eq!(crate::support::Reply::read(&mut line).status, 200);
    }
    assert_eq!(pair.app.seen().len(), 3);
}

#[test]
fn files_that_the_app_is_still_to_be_told_of_are_not_cleared_away() {
    let pair = Pair::start(&[
        "--keep",
        "1s",
        "--hand-off-retry",
        "1h",
        "--hand-off-retry-most",
        "1h",
    ]);
    pair.app.answers(500, "", b"");
    assert_eq!(pair.put("due", "x").status, 202);
    pair.app.answers(200, "", b"");
    // Each round that clears one of these away has come by the older one.
    for name in ["a", "b"] {
        assert_eq!(pair.put(name, "x").status, 200);
        eventually(
            || pair.server.files(),
            |files| !files.contains(&name.to_owned()),
        );
    }
    assert_eq!(pair.server.files(), ["due"]);
}
