//! What the client of the last request is told, and whoever asks once more.

use super::{Pair, told_id};
use crate::support::app::Gate;
use crate::support::{eventually, noise};

#[test]
fn the_apps_answer_goes_to_a_put_as_it_is_but_for_what_is_not_its_to_say() {
    let pair = Pair::start(&[]);
    pair.app.answers(
        202,
        "Content-Type: text/html\r\nLocation: /dishes/7\r\nSet-Cookie: a=b\r\nDumbwaiter-Own: x\r\n\
         Access-Control-Allow-Origin: *\r\n",
        b"<p>thanks",
    );
    let reply = pair.put("a", "x");
    assert_eq!((reply.status, reply.text()), (202, "<p>thanks"));
    assert_eq!(reply.header("content-type"), Some("text/html"));
    assert_eq!(reply.header("location"), Some("/dishes/7"));
    for name in [
        "set-cookie",
        "dumbwaiter-own",
        "access-control-allow-origin",
    ] {
        assert_eq!(reply.header(name), None, "{name}");
    }
    let id = told_id(&pair.app.only());
    let again = pair.answer(&id);
    assert_eq!((again.status, again.text()), (202, "<p>thanks"));
    assert_eq!(again.header("location"), Some("/dishes/7"));
    assert_eq!(again.header("cache-control"), Some("no-store"));
    assert_eq!(pair.record(&id)["state"], "done");
}

#[test]
fn a_redirect_of_the_apps_is_an_answer() {
    let pair = Pair::start(&[]);
    pair.app.answers(303, "Location: /next\r\n", b"");
    let reply = pair.put("a", "x");
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/next"))
    );
    pair.until(&told_id(&pair.app.only()), "done");
}

#[test]
fn while_the_app_thinks_the_upload_is_processed_and_the_client_waits() {
    let pair = Pair::start(&[]);
    let gate = Gate::default();
    let held = gate.clone();
    pair.app.does(move |call| {
        call.read();
        held.wait();
        call.answer(200, "", b"late");
    });
    let mut line = pair.server.connect();
    std::io::Write::write_all(&mut line, super::put("a", "hello").as_bytes()).unwrap();
    let id = told_id(&pair.app.asked(1)[0]);
    let record = pair.record(&id);
    assert_eq!(record["state"], "processing");
    assert_eq!(record["phase"]["name"], "handing off");
    assert_eq!(
        (&record["received"], &record["length"]),
        (&5.into(), &5.into())
    );
    assert_eq!(pair.server.files(), ["a"]);
    gate.open();
    let reply = crate::support::Reply::read(&mut line);
    assert_eq!((reply.status, reply.text()), (200, "late"));
    assert_eq!(pair.record(&id)["state"], "done");
}

#[test]
fn a_client_that_has_gone_finds_the_answer_later() {
    let pair = Pair::start(&[]);
    let gate = Gate::default();
    let held = gate.clone();
    pair.app.does(move |call| {
        call.read();
        held.wait();
        call.answer(201, "", b"made");
    });
    let mut line = pair.server.connect();
    std::io::Write::write_all(&mut line, super::put("a", "hello").as_bytes()).unwrap();
    let id = told_id(&pair.app.asked(1)[0]);
    drop(line);
    gate.open();
    // Whoever asks while the app is told for the first time waits for it.
    let answer = pair.answer(&id);
    assert_eq!((answer.status, answer.text()), (201, "made"));
    assert_eq!(pair.app.seen().len(), 1);
}

#[test]
fn an_answer_as_large_as_may_be_is_kept_and_one_byte_more_is_not() {
    let pair = Pair::start(&["--max-hand-off-answer", "1000"]);
    for (length, kept) in [(1000, 1000), (1001, 0)] {
        let body = noise(length);
        let sent = body.clone();
        pair.app
            .does(move |call| call.answer(200, "Content-Type: a/b\r\n", &sent));
        let reply = pair.put("a", "x");
        assert_eq!((reply.status, &reply.body[..]), (200, &body[..kept]));
        let has_type = reply.header("content-type").is_some();
        assert_eq!(has_type, kept > 0);
    }
}

#[test]
fn the_answer_is_for_who_has_the_id_alone() {
    let pair = Pair::start(&[]);
    pair.put("a", "x");
    let id = told_id(&pair.app.only());
    let watch = pair.record(&id)["watch"].as_str().unwrap().to_owned();
    assert_eq!(pair.answer(&id).status, 200);
    for name in [&watch, "0".repeat(32).as_str(), "x"] {
        assert_eq!(pair.answer(name).status, 404, "{name}");
    }
}

#[test]
fn the_answer_goes_with_the_upload() {
    let pair = Pair::start(&[]);
    pair.put("a", "x");
    let id = told_id(&pair.app.only());
    let delete = format!("DELETE /uploads/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(pair.server.send(delete.as_bytes()).status, 204);
    assert_eq!(pair.answer(&id).status, 404);
    assert!(pair.server.files().is_empty());
}

/// The app may move the file before it answers: that is why it is told.
#[test]
fn the_answer_stays_when_the_app_has_moved_the_file_away_until_it_is_old() {
    let mut pair = Pair::start(&["--hand-off-for", "2s"]);
    let dir = pair.dir.clone();
    pair.app.does(move |call| {
        call.read();
        std::fs::rename(dir.join("a"), dir.with_file_name("moved")).unwrap();
        call.answer(200, "", b"mine now");
    });
    assert_eq!(pair.put("a", "x").text(), "mine now");
    let id = told_id(&pair.app.only());
    assert_eq!(pair.answer(&id).text(), "mine now");
    pair.crash();
    assert_eq!(pair.answer(&id).text(), "mine now");
    assert_eq!(pair.app.seen().len(), 1, "told once");
    eventually(|| pair.answer(&id).status, |status| *status == 404);
}
