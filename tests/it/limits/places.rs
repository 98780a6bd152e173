//! Places for uploads: how many there are, and that each is given back however its upload ends.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use dumbwaiter::admission::AdmissionOptions;
use dumbwaiter::store::Memory;
use dumbwaiter::{Dumbwaiter, Peer, Service, Stop, UploadHandler};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower_service::Service as _;

use super::{begun, connect_from, put, put_head};
use crate::support::{Reply, Server, eventually, form, part};

/// An upload of two bytes of which one has come.
fn half(server: &Server, client: TcpStream, id: &str) -> TcpStream {
    begun(
        server,
        client,
        &[put_head(id, 2), b"x".to_vec()].concat(),
        id,
    )
}

fn send(mut client: TcpStream, request: &[u8]) -> Reply {
    client.write_all(request).unwrap();
    Reply::read(&mut client)
}

#[test]
fn every_place_in_all_can_be_taken_and_one_more_is_told_to_come_again() {
    two_places_in_all("--max-uploads");
}

#[test]
fn all_owners_together_have_so_many_unfinished_uploads_and_no_more() {
    two_places_in_all("--max-unfinished-in-all");
}

/// With room for two uploads whoever sends them: a third is told to come again, and is taken once one has ended.
fn two_places_in_all(limit: &str) {
    let server = Server::start(&[limit, "2"]);
    let mut one = half(&server, server.connect(), "one");
    let two = half(&server, connect_from(server.address, 2), "two");
    for from in [1, 2, 3] {
        let reply = send(connect_from(server.address, from), &put_head("three", 2));
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(reply.json()["code"], "too_many_uploads");
        assert_eq!(reply.header("retry-after"), Some("5"));
    }
    one.write_all(b"y").unwrap();
    assert_eq!(Reply::read(&mut one).status, 201);
    // Who has its answer has given its place back.
    assert_eq!(server.send(&put("three", b"xy")).status, 201);
    drop(two);
}

/// With room for one upload from one client: a second is told to come again, another client's is taken, and so is the
/// next once the first has ended.
fn one_place_each(limit: &str, code: &str) {
    let server = Server::start(&[limit, "1"]);
    let mut one = half(&server, server.connect(), "one");
    let reply = server.send(&put_head("two", 2));
    assert_eq!(reply.status, 429, "{reply:?}");
    assert_eq!(reply.json()["code"], code);
    assert_eq!(reply.header("retry-after"), Some("5"));
    let reply = send(connect_from(server.address, 2), &put("two", b"xy"));
    assert_eq!(reply.status, 201);
    one.write_all(b"y").unwrap();
    assert_eq!(Reply::read(&mut one).status, 201);
    assert_eq!(server.send(&put("two", b"xy")).status, 201);
}

#[test]
fn an_address_has_its_own_places_and_leaves_others_theirs() {
    one_place_each("--max-uploads-per-address", "too_many_from_address");
}

#[test]
fn an_owner_has_so_many_unfinished_uploads_and_no_more() {
    one_place_each("--max-unfinished", "too_many_unfinished");
}

#[test]
fn a_place_is_given_back_at_every_kind_of_end() {
    let server = Server::start(&[
        "--max-uploads",
        "1",
        "--max-file-size",
        "100",
        "--on-conflict",
        "reject",
    ]);
    assert_eq!(server.send(&put("taken", b"x")).status, 201);
    for (end, request, status) in [
        ("done", put("done", b"x"), 201),
        ("refused by its name", put("taken", b"y"), 409),
        ("refused by a handler", put("large", &[0; 101]), 413),
        (
            "a broken form",
            crate::support::post("/upload", "", b"--b\r\n\r\n"),
            400,
        ),
        (
            "a form that ends early",
            crate::support::post("/upload", "", &part("f", Some("a"), b"x")),
            400,
        ),
        (
            "a form without files",
            crate::support::post("/upload", "", &form(&[])),
            200,
        ),
    ] {
        let reply = server.send(&request);
        assert_eq!(reply.status, status, "{end}: {reply:?}");
    }
    // Each of them would have been answered 503 had the one before kept its place; here the client is gone.
    drop(half(&server, server.connect(), "gone"));
    let mut number = 0;
    eventually(
        || {
            number += 1;
            server.send(&put(&format!("after-{number}"), b"x")).status
        },
        |status| *status == 201,
    );
    assert_eq!(server.under_way(), [""; 0]);
}

#[test]
fn of_many_clients_at_once_none_is_lost_and_never_too_many_run() {
    let server = Arc::new(Server::start(&["--max-uploads", "3"]));
    let clients: Vec<_> = (0..12)
        .map(|n| {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                let (mut stored, mut waited) = (0, 0);
                while stored < 5 {
                    match server
                        .send(&put(&format!("{n}-{stored}"), &[7; 10_000]))
                        .status
                    {
                        201 => stored += 1,
                        503 => waited += 1,
                        other => panic!("{other}"),
                    }
                    assert!(waited < 100_000, "it never gets a place");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(server.files().len(), 60);
    // And all three are free again.
    let running: Vec<_> = (0..3)
        .map(|n| half(&server, server.connect(), &format!("half-{n}")))
        .collect();
    let reply = server.send(&put_head("more", 2));
    assert_eq!(reply.status, 503);
    drop(running);
}

/// A handler with a bug.
struct Panics;

impl UploadHandler for Panics {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        assert!(chunk != "bug", "the handler's bug");
        Ok(chunk)
    }
}

async fn send_to(service: &Service, body: &'static str) -> Option<StatusCode> {
    let mut request = Request::put("/files/a").body(Full::from(body)).unwrap();
    let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    request.extensions_mut().insert(Peer(peer));
    let mut service = service.clone();
    let answer = tokio::spawn(async move { service.call(request).await });
    answer.await.ok().map(|answer| answer.unwrap().status())
}

#[test]
fn a_place_is_given_back_when_a_handler_panics() {
    let options = AdmissionOptions {
        uploads: 1,
        unfinished: 1,
        uploads_per_address: 1,
        owner_bytes: Some(5),
        store_bytes: Some(5),
        ..AdmissionOptions::default()
    };
    let lift = Dumbwaiter::new(Memory::new())
        .handler(|| Panics)
        .admission(options);
    let service = lift.into_service();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            assert_eq!(send_to(&service, "bug").await, None, "it did not panic");
        }
        assert_eq!(send_to(&service, "five!").await, Some(StatusCode::CREATED));
        let full = StatusCode::INSUFFICIENT_STORAGE;
        assert_eq!(send_to(&service, "!").await, Some(full));
    });
}
