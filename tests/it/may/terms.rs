//! What a yes says of the upload binds it, whichever way it comes in.

use bytes::Bytes;
use dumbwaiter::Dumbwaiter;
use dumbwaiter::rights::{Ask, Grant};
use dumbwaiter::store::Memory;
use http::Request;
use http_body_util::Full;

use super::{asking, put, request};
use crate::support::app::App;
use crate::support::{Reply, Server, form, part};

const JSON: &str = "Content-Type: application/json\r\n";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const TUS: &str = "Tus-Resumable: 1.0.0\r\n";

/// An upload of one file by each way in; what comes last.
fn send(server: &Server, way: &str, content: &[u8]) -> Reply {
    let length = content.len();
    let file = part("picture", Some("mine.bin"), content);
    match way {
        "put" => server.send(&put("/files/mine.bin", "", content)),
        "form" => server.post("/upload", "", &form(&[part("dish", None, b"soup"), file])),
        "filepond" => server.post(
            "/filepond",
            "",
            &form(&[part("filepond", Some("mine.bin"), content)]),
        ),
        "ietf" => server.send(&request(
            "POST",
            "/files/",
            "Upload-Complete: ?1\r\nContent-Disposition: attachment; filename=\"mine.bin\"\r\n",
            content,
        )),
        "ietf form" => server.post(
            "/upload",
            "Upload-Complete: ?1\r\n",
            &form(&[part("dish", None, b"soup"), file]),
        ),
        "tus" => {
            let fields = format!(
                "{TUS}Content-Type: application/offset+octet-stream\r\nUpload-Length: {length}\r\nUpload-Metadata: filename bWluZS5iaW4=,dish c291cA==\r\n"
            );
            server.send(&request("POST", "/files/", &fields, content))
        }
        "tus later" => {
            let fields = format!(
                "{TUS}Upload-Defer-Length: 1\r\nUpload-Metadata: filename bWluZS5iaW4=\r\n"
            );
            let begun = server.send(&request("POST", "/files/", &fields, b""));
            let Some(url) = begun.header("location") else {
                return begun;
            };
            let fields = format!(
                "{TUS}Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nUpload-Length: {length}\r\n"
            );
            server.send(&request("PATCH", url, &fields, content))
        }
        "chunked" => {
            let head =
                "PUT /files/mine.bin HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = format!("{length:x}\r\n");
            server.send(&[head.as_bytes(), chunk.as_bytes(), content, b"\r\n0\r\n\r\n"].concat())
        }
        "dropzone" => {
            let said = [
                ("dzuuid", "u"),
                ("dzchunkindex", "0"),
                ("dztotalfilesize", &*length.to_string()),
                ("dzchunksize", "1000"),
                ("dztotalchunkcount", "1"),
                ("dzchunkbyteoffset", "0"),
                ("dish", "soup"),
            ];
            let parts = said
                .iter()
                .map(|(name, value)| part(name, None, value.as_bytes()));
            let parts: Vec<_> = parts.chain([file]).collect();
            server.post(
                "/upload",
                "Accept: application/json\r\nX-Requested-With: XMLHttpRequest\r\n",
                &form(&parts),
            )
        }
        other => panic!("{other}"),
    }
}

const WAYS: [&str; 9] = [
    "put",
    "form",
    "filepond",
    "ietf",
    "ietf form",
    "tus",
    "chunked",
    "dropzone",
    "tus later",
];

#[test]
fn the_limit_on_bytes_binds_on_every_way_in() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.answers(200, JSON, b"{\"max_size\": 20}");
    for way in WAYS {
        let reply = send(&server, way, &[b'x'; 21]);
        assert_eq!(reply.status, 413, "{way}: {} {}", reply.head, reply.text());
        assert!(server.files().is_empty(), "{way}");
        // One that had begun waits on with nothing in it: another request may say another length.
        assert!(server.under_way().is_empty() || way == "tus later", "{way}");
        let reply = send(&server, way, &[b'x'; 20]);
        assert!(
            (200..300).contains(&reply.status),
            "{way}: {}",
            reply.text()
        );
        let [stored] = &server.files()[..] else {
            panic!("{way}: {:?}", server.files())
        };
        std::fs::remove_file(server.dir.join(stored)).unwrap();
    }
    let two = form(&[
        part("a", Some("a"), &[b'x'; 11]),
        part("b", Some("b"), &[b'x'; 11]),
    ]);
    assert_eq!(
        server.post("/upload", "", &two).status,
        413,
        "all files together"
    );
}

#[test]
fn a_declared_length_beyond_the_limit_is_refused_before_the_body() {
    use std::io::Write as _;
    let app = App::start();
    let server = asking(&app, &[]);
    app.answers(200, "Dumbwaiter-Max-Size: 20\r\n", b"");
    let head =
        "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\nExpect: 100-continue\r\n\r\n";
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let reply = Reply::read(&mut stream);
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (413, Some("file_too_large"))
    );
    let begin = request(
        "POST",
        "/files/",
        &format!("{TUS}Upload-Length: 21\r\n"),
        b"",
    );
    assert_eq!(server.send(&begin).status, 413);
}

#[test]
fn the_types_bind_on_every_way_in() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.answers(200, JSON, b"{\"types\": [\"image/*\"]}");
    for way in WAYS {
        assert_eq!(send(&server, way, b"<html>").status, 415, "{way}");
        assert!(server.files().is_empty(), "{way}");
        let reply = send(&server, way, PNG);
        assert!(
            (200..300).contains(&reply.status),
            "{way}: {}",
            reply.text()
        );
        let [stored] = &server.files()[..] else {
            panic!("{way}: {:?}", server.files())
        };
        std::fs::remove_file(server.dir.join(stored)).unwrap();
    }
}

#[test]
fn name_and_fields_of_the_apps_stand_in_place_of_the_clients() {
    let app = App::start();
    let server = asking(&app, &["--name", "{form.dish}/{filename}"]);
    app.answers(
        200,
        JSON,
        br#"{"name": "hers.bin", "fields": {"dish": "paella", "user": "7"}}"#,
    );
    for way in WAYS {
        let reply = send(&server, way, b"x");
        assert!(
            (200..300).contains(&reply.status),
            "{way}: {}",
            reply.text()
        );
        assert_eq!(server.files(), ["paella/hers.bin"], "{way}");
        std::fs::remove_file(server.dir.join("paella/hers.bin")).unwrap();
    }
    let reply = send(&server, "form", b"x");
    let fields = &reply.json()["fields"];
    assert_eq!(
        (&fields["dish"], &fields["user"]),
        (&"paella".into(), &"7".into()),
        "{}",
        reply.text()
    );
}

#[test]
fn what_bound_an_upload_binds_it_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start();
    let url = app.url();
    let args = ["--ask", &*url];
    app.answers(
        200,
        JSON,
        br#"{"max_size": 20, "types": ["image/*"], "name": "hers.png"}"#,
    );
    let mut server = Server::start_in(folder.path(), &args);
    let begin = request(
        "POST",
        "/files/",
        &format!("{TUS}Upload-Defer-Length: 1\r\n"),
        b"",
    );
    let urls: Vec<_> = (0..3)
        .map(|_| server.send(&begin).header("location").unwrap().to_owned())
        .collect();
    server.kill();
    app.answers(204, "", b"");
    let server = Server::start_in(folder.path(), &args);
    let bytes = |length: usize| {
        format!(
            "{TUS}Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nUpload-Length: {length}\r\n"
        )
    };
    let patch = |url: &str, content: &[u8]| {
        server
            .send(&request("PATCH", url, &bytes(content.len()), content))
            .status
    };
    assert_eq!(patch(&urls[0], &[PNG, &[0; 20]].concat()), 413);
    assert_eq!(patch(&urls[1], b"<html>"), 415);
    assert_eq!(patch(&urls[2], PNG), 204);
    assert_eq!(server.files(), ["hers.png"]);
}

#[tokio::test]
async fn they_bind_at_a_route_of_the_apps_own() {
    let service = Dumbwaiter::new(Memory::default())
        .allow(async |_: Ask| {
            Ok(Grant {
                max_size: Some(3),
                name: Some("hers".into()),
                fields: vec![("user".into(), "7".into())],
                ..Grant::default()
            })
        })
        .into_service();
    let send = |content: &'static [u8]| {
        let request = Request::put("/own")
            .body(Full::new(Bytes::from_static(content)))
            .unwrap();
        let service = service.clone();
        async move { service.receive(request).await }
    };
    assert_eq!(
        send(b"four").await.err().unwrap().error().code(),
        "file_too_large"
    );
    let arrival = send(b"abc").await.unwrap();
    assert_eq!(arrival.files().next().unwrap().name(), Some("hers"));
    assert_eq!(arrival.fields().collect::<Vec<_>>(), [("user", "7")]);
}
