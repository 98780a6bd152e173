//! `PUT /files/NAME`: raw bodies.

use std::io::Write;

use crate::support::{Reply, Server, eventually, noise, stays_inside};

#[test]
fn a_raw_body_is_stored_with_and_without_a_length() {
    let server = Server::start(&[]);
    let content = noise(2_000_000);
    let mut plain = format!(
        "PUT /files/a%20b.jpg HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        content.len()
    )
    .into_bytes();
    plain.extend(&content);
    let mut chunked =
        b"PUT /files/chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in content.chunks(70_000) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    for (request, name) in [(plain, "a b.jpg"), (chunked, "chunked")] {
        let reply = server.send(&request);
        assert_eq!(reply.status, 201, "{reply:?}");
        let record = reply.json();
        assert_eq!(record["protocol"], "put");
        assert_eq!(record["length"], content.len());
        assert_eq!(record["files"][0]["name"], name);
        assert_eq!(reply.header("location"), record["url"].as_str());
        assert!(server.read(name) == content);
        assert!(server.get(record["url"].as_str().unwrap()).body == content);
    }
}

#[test]
fn a_name_in_the_path_never_leads_out_of_the_folder() {
    let server = Server::start(&[]);
    for hostile in [
        "../../etc/passwd",
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "a%00b",
        "%2e%2e",
        ".dumbwaiter%2Frecords.redb",
        "%ff",
        "a%0d%0ab",
    ] {
        let reply = server.send(
            format!("PUT /files/{hostile} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
                .as_bytes(),
        );
        stays_inside(&server, &reply, hostile);
    }
}

#[test]
fn an_empty_body_is_an_empty_file_and_no_name_is_the_id() {
    let server = Server::start(&[]);
    let reply = server
        .send(b"PUT /files/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .json();
    assert_eq!(server.read(reply["watch"].as_str().unwrap()), b"");
}

#[test]
fn the_length_of_a_running_chunked_upload_is_unknown() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client
        .write_all(b"PUT /files/a?X-Progress-ID=c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .unwrap();
    let record = eventually(
        || server.get("/uploads?X-Progress-ID=c").json(),
        |records| records[0]["received"] == 3,
    );
    assert!(record[0]["length"].is_null());
    assert!(
        record[0]["offset"].is_null(),
        "what cannot be resumed has no offset to resume from"
    );
    assert_eq!(
        server.get("/get_upload_progress?X-Progress-ID=c").text(),
        "{\"uploaded\": 0, \"length\": 1}"
    );
    client.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(Reply::read(&mut client).json()["length"], 3);
    assert_eq!(
        server.get("/get_upload_progress?X-Progress-ID=c").text(),
        "null"
    );
}

#[test]
fn a_part_of_a_file_is_not_taken_for_the_whole() {
    let server = Server::start(&[]);
    let reply = server.send(
        b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nabc",
    );
    assert_eq!(reply.status, 400);
    assert!(server.files().is_empty());
}

#[test]
fn an_upload_on_a_connection_that_carried_a_get_is_taken_too() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client
        .write_all(b"GET /progress?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(Reply::read(&mut client).status, 200);
    client
        .write_all(b"PUT /files/later HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nlater")
        .unwrap();
    assert_eq!(Reply::read(&mut client).status, 201);
    assert_eq!(server.read("later"), b"later");
}

#[test]
fn a_get_on_a_connection_that_carried_an_upload_closes_it() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for _ in 0..2 {
        client
            .write_all(b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            .unwrap();
        let reply = Reply::read(&mut client);
        assert_eq!(
            (reply.status, reply.header("connection")),
            (201, None),
            "uploads keep theirs"
        );
    }
    client
        .write_all(b"GET /progress?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(Reply::read(&mut client).header("connection"), Some("close"));
}

#[test]
fn an_upload_too_many_to_be_tracked_is_stored_and_answered_all_the_same() {
    let server = Server::start(&["--max-records", "1"]);
    let mut running = server.connect();
    running
        .write_all(
            b"PUT /files/running?X-Progress-ID=r HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx",
        )
        .unwrap();
    eventually(
        || server.get("/uploads?X-Progress-ID=r").json(),
        |records| records[0]["received"] == 1,
    );
    let reply = server.send(b"PUT /files/more HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(reply.status, 201, "{reply:?}");
    let url = reply.json()["url"].as_str().unwrap().to_owned();
    assert_eq!(reply.header("location"), Some(&*url));
    assert_eq!(server.get(&url).body, b"x");
}

#[test]
fn what_its_head_condemns_is_refused_without_inviting_the_body() {
    let server = Server::start(&["--max-file-size", "10"]);
    for (request, status) in [
        ("PUT /files/a", 413),
        (
            "PUT /files/a?X-Progress-ID=x HTTP/1.1\r\nContent-Range: bytes 0-9/99",
            400,
        ),
        ("POST /upload HTTP/1.1\r\nContent-Type: text/plain", 415),
        ("POST /nowhere", 404),
    ] {
        let (line, headers) = request.split_once(" HTTP/1.1").unwrap_or((request, ""));
        let head = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000{headers}\r\n\r\n"
        );
        let mut client = server.connect();
        client.write_all(head.as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut client).status, status, "{request}");
    }
    assert!(server.under_way().is_empty());
}

#[test]
fn a_coded_body_is_kept_as_it_is_coded() {
    let server = Server::start(&[]);
    let coded = b"\x1f\x8b not to be opened";
    let mut request = format!(
        "PUT /files/a.gz HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    )
    .into_bytes();
    request.extend(coded);
    assert_eq!(server.send(&request).json()["length"], coded.len());
    assert_eq!(server.read("a.gz"), coded);
}
