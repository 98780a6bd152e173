//! `GET /files/ID`: ranges, safe headers, and after a restart.

use crate::support::{Server, form, noise, part};

#[test]
fn a_stored_file_is_read_whole_and_by_ranges_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let content = noise(700_000);
    let mut server = Server::start_in(folder.path(), &[]);
    let record = server
        .post(
            "/upload",
            "",
            &form(&[part("f", Some("dish.jpg"), &content)]),
        )
        .json();
    let url = record["url"].as_str().unwrap();
    for _ in 0..2 {
        let whole = server.get(url);
        assert!(whole.body == content);
        assert_eq!(whole.header("content-type"), Some("image/jpeg"));
        assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            whole.header("content-security-policy"),
            Some("default-src 'none'; sandbox")
        );
        assert!(
            whole
                .header("content-disposition")
                .unwrap()
                .starts_with("inline")
        );

        let part = server.get_with(url, "Range: bytes=1000-600999\r\n");
        assert_eq!(
            (part.status, part.header("content-range")),
            (206, Some("bytes 1000-600999/700000"))
        );
        assert!(part.body == content[1000..=600_999]);
        let behind = server.get_with(url, "Range: bytes=700000-\r\n");
        assert_eq!(
            (behind.status, behind.header("content-range")),
            (416, Some("bytes */700000"))
        );
        let known = server.get_with(
            url,
            &format!("If-None-Match: {}\r\n", whole.header("etag").unwrap()),
        );
        assert_eq!((known.status, known.body.len()), (304, 0));

        server.kill();
        server = Server::start_in(folder.path(), &[]);
    }
}

#[test]
fn what_could_run_in_a_browser_is_an_attachment() {
    let server = Server::start(&[]);
    let body = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.html\"\r\nContent-Type: text/html\r\n\r\n<script>\r\n--b--\r\n";
    let record = server.post("/upload", "", body).json();
    let reply = server.get(record["url"].as_str().unwrap());
    assert!(
        reply
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    assert_eq!(
        reply.header("content-type"),
        Some("application/octet-stream")
    );
}

#[test]
fn unknown_names_and_switched_off_downloads_answer_alike() {
    let server = Server::start(&[]);
    let record = server
        .post("/upload", "", &form(&[part("f", Some("a"), b"x")]))
        .json();
    let (id, watch) = (
        record["id"].as_str().unwrap(),
        record["watch"].as_str().unwrap(),
    );
    let unknown = "0".repeat(32);
    for target in [
        format!("/files/{unknown}"),
        format!("/files/{watch}"),
        format!("/files/{id}/1"),
        "/files/a".to_owned(),
    ] {
        assert_eq!(server.get(&target).status, 404, "{target}");
    }
    let off = Server::start(&["--downloads", "off"]);
    let reply = off.post("/upload", "", &form(&[part("f", Some("a"), b"x")]));
    let record = reply.json();
    assert_eq!(reply.header("location"), None);
    assert!(record["url"].is_null() && record["files"][0]["url"].is_null());
    assert_eq!(
        off.get(&format!("/files/{}", record["id"].as_str().unwrap()))
            .status,
        404
    );
}

#[test]
fn a_file_that_is_gone_is_not_found() {
    let server = Server::start(&[]);
    let record = server
        .post("/upload", "", &form(&[part("f", Some("a"), b"x")]))
        .json();
    std::fs::remove_file(server.dir.join("a")).unwrap();
    assert_eq!(server.get(record["url"].as_str().unwrap()).status, 404);
}
