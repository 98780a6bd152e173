//! Commands that say who may.

use super::config_says;
use super::stage::{Stage, picture};
use crate::support::app::App;
use crate::support::needs::needs;
use crate::support::{Server, ask_for, write_for_us_alone};

const KEY: &str = "a key that only this test knows anything of";
const SERVES: &str = "dumbwaiter --app-key-file app.key --tickets";

fn stage_with_a_key() -> Stage {
    let stage = Stage::new();
    write_for_us_alone(&stage.path().join("app.key"), KEY);
    stage
}

fn put(server: &Server, word: Option<&str>) -> u16 {
    ask_for(server.address, "PUT", "/files/", word).status
}

pub(super) fn makes_a_key(command: &str) {
    if !needs("openssl") {
        return;
    }
    let stage = Stage::new();
    let said = config_says(&stage, command);
    if !command.contains("app.key") {
        write_for_us_alone(&stage.path().join("app.key"), &said);
    }
    let ticket = config_says(&stage, "dumbwaiter ticket --key-file app.key");
    let server = stage.start(SERVES);
    assert_eq!(put(&server, Some(ticket.trim())), 201);
}

pub(super) fn takes_tickets(command: &str) {
    let stage = stage_with_a_key();
    let ticket = config_says(&stage, "dumbwaiter ticket --key-file app.key");
    let server = stage.start(command);
    assert_eq!(
        (put(&server, None), put(&server, Some(ticket.trim()))),
        (401, 201)
    );
}

pub(super) fn signs_a_ticket(command: &str) {
    let stage = stage_with_a_key();
    let ticket = config_says(&stage, command);
    let server = stage.start(SERVES);
    // It is for pictures: what is empty is none, and not somebody without the right to send one.
    assert_eq!(put(&server, Some(ticket.trim())), 415);
}

pub(super) fn uploads_with_a_ticket(command: &str) {
    if !needs("curl") {
        return;
    }
    let stage = stage_with_a_key();
    let server = stage.start(SERVES);
    let here = server.address.to_string();
    config_says(&stage, &command.replace("127.0.0.1:7070", &here));
    assert!(server.read("paella.jpg") == picture());
}

pub(super) fn asks_the_app(command: &str) {
    let (stage, app) = (Stage::new(), App::start());
    let command = command.replace("127.0.0.1:8000", &app.address.to_string());
    let server = stage.start(&command);
    app.answers(403, "", b"");
    assert_eq!(put(&server, None), 403);
    app.answers(204, "", b"");
    assert_eq!(put(&server, None), 201);
}

pub(super) fn asks_for_a_token(command: &str) {
    let stage = Stage::new();
    write_for_us_alone(&stage.path().join("FILE"), "a-token-of-this-test");
    let server = stage.start(command);
    let known = Some("a-token-of-this-test");
    assert_eq!((put(&server, None), put(&server, known)), (401, 201));
}
