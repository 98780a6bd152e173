//! Behind proxies: whose word about client, scheme, host and prefix counts.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::needs::needs;
use crate::support::nginx::Nginx;
use crate::support::{Reply, Server, form, noise, part, post};

fn picture() -> Vec<u8> {
    form(&[part("f", Some("a.jpg"), b"12345")])
}

#[test]
fn rights_by_address_go_by_the_rightmost_hop_that_is_not_trusted() {
    let from = [
        "--allow-from",
        "203.0.113.0/24,2001:db8::/32,127.0.0.1",
        "--trusted-proxy",
        "127.0.0.1,10.0.0.0/8",
    ];
    let server = Server::start(&from);
    for (field, status) in [
        ("203.0.113.9", 201),
        ("203.0.113.9:4711", 201),
        ("[2001:db8::1]:80", 201),
        ("::ffff:203.0.113.9", 201),
        ("198.51.100.1", 403),
        ("203.0.113.9, 198.51.100.1", 403),
        ("198.51.100.1, 203.0.113.9", 201),
        ("198.51.100.1, 203.0.113.9, 10.0.0.2", 201),
        ("203.0.113.9, 198.51.100.1, 10.0.0.2", 403),
        ("nonsense, 203.0.113.9", 201),
        // Somebody stands behind the proxy, and we cannot tell who: the proxy's own address is not his.
        ("203.0.113.9, nonsense", 403),
        ("unknown", 403),
    ] {
        let reply = server.post(
            "/upload",
            &format!("X-Forwarded-For: {field}\r\n"),
            &picture(),
        );
        assert_eq!(reply.status, status, "{field}");
    }
    let lines = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.1\r\n";
    assert_eq!(server.post("/upload", lines, &picture()).status, 403);
    let other = "Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 198.51.100.1\r\n";
    assert_eq!(server.post("/upload", other, &picture()).status, 403);
}

#[test]
fn the_standard_field_is_read_where_the_proxies_write_it() {
    let trust = [
        "--trusted-proxy",
        "127.0.0.1",
        "--forwarding",
        "forwarded",
        "--allow-from",
        "203.0.113.0/24",
    ];
    let server = Server::start(&trust);
    for (lines, status) in [
        ("Forwarded: for=203.0.113.9;proto=https\r\n", 201),
        (
            "Forwarded: for=198.51.100.1, for=\"203.0.113.9:80\"\r\n",
            201,
        ),
        ("Forwarded: for=203.0.113.9, for=198.51.100.1\r\n", 403),
        (
            "Forwarded: for=203.0.113.9, x=\", for=198.51.100.1\r\n",
            403,
        ),
        ("X-Forwarded-For: 203.0.113.9\r\n", 403),
    ] {
        assert_eq!(
            server.post("/upload", lines, &picture()).status,
            status,
            "{lines}"
        );
    }
}

#[test]
fn a_stranger_cannot_say_that_he_is_somebody_else() {
    let server = Server::start(&["--trusted-proxy", "10.0.0.0/8"]);
    let lies = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Prefix: /lies\r\nX-Forwarded-Host: lies.example\r\n\
                X-Forwarded-Proto: https\r\nForwarded: for=203.0.113.9\r\n";
    let record = server
        .post("/upload?X-Progress-ID=1", lies, &picture())
        .json();
    assert!(
        record["url"].as_str().unwrap().starts_with("/files/"),
        "{record}"
    );
    // It is his own address's upload, whatever he said.
    assert_eq!(
        server.get("/uploads?X-Progress-ID=1").json()[0]["state"],
        "done"
    );
    let page = server.get_with("/", lies);
    let cookie = page.header("set-cookie").unwrap();
    assert!(
        cookie.contains("Path=/;") && !cookie.contains("Secure"),
        "{cookie}"
    );
}

#[test]
fn a_progress_id_is_the_clients_behind_the_proxy() {
    let server = Server::start(&["--trusted-proxy", "127.0.0.1"]);
    let by = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    assert_eq!(
        server
            .post(
                "/upload?X-Progress-ID=1",
                &by("::ffff:203.0.113.9"),
                &picture()
            )
            .status,
        201
    );
    let state = |address: &str| {
        server
            .get_with("/uploads?X-Progress-ID=1", &by(address))
            .json()[0]["state"]
            .clone()
    };
    assert_eq!(state("203.0.113.9"), "done");
    assert_eq!(state("203.0.113.10"), serde_json::Value::Null);
}

#[test]
fn a_prefix_that_the_proxy_took_off_stands_in_every_url() {
    for (args, prefix, base) in [
        (&[][..], "/tools/lift", "/tools/lift"),
        (&[], "/tools/lift/", "/tools/lift"),
        (&["--base", "/up"], "/tools", "/tools/up"),
        (&["--base", "/up"], "/up", "/up"),
        (&[], "//evil.example", ""),
        (&[], "/a\"b", ""),
    ] {
        let server = Server::start(&[&["--trusted-proxy", "127.0.0.1"], args].concat());
        let field = format!("X-Forwarded-Prefix: {prefix}\r\n");
        let reply = server.post("/upload", &field, &picture());
        let url = format!("{base}/files/");
        assert!(
            reply.header("location").unwrap().starts_with(&url),
            "{prefix}: {}",
            reply.head
        );
        assert!(
            reply.json()["url"].as_str().unwrap().starts_with(&url),
            "{prefix}"
        );
        let cookie = server
            .get_with("/", &field)
            .header("set-cookie")
            .unwrap()
            .to_owned();
        assert!(cookie.contains(&format!("Path={base}/;")), "{cookie}");
    }
}

#[test]
fn scheme_and_host_that_a_proxy_tells_decide_cookie_and_origin() {
    let server = Server::start(&["--trusted-proxy", "127.0.0.1", "--host", "up.example"]);
    let told = "X-Forwarded-Host: up.example\r\nX-Forwarded-Proto: https\r\n";
    let cookie = server
        .get_with("/", told)
        .header("set-cookie")
        .unwrap()
        .to_owned();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    for (host, origin, status) in [
        ("up.example", "https://up.example", 201),
        ("up.example", "https://evil.example", 403),
        ("up.example", "https://up.example:8443", 403),
        ("evil.example", "https://evil.example", 421),
    ] {
        let headers = format!("X-Forwarded-Host: {host}\r\nOrigin: {origin}\r\n");
        assert_eq!(
            server.post("/upload", &headers, &picture()).status,
            status,
            "{host} {origin}"
        );
    }
}

/// nginx in front as the docs set it up, but that it asks from an address of its own.
fn in_front_of(upstream: SocketAddr) -> Nginx {
    let page = include_str!("../../docs/operations.md");
    let (_, location) = page.split_once("```nginx\n").unwrap();
    let (location, _) = location.split_once("```").unwrap();
    assert!(location.contains("127.0.0.1:7070"), "{location}");
    let location = location.replace("127.0.0.1:7070", &upstream.to_string());
    let location = location.replacen('{', "{ proxy_bind 127.0.0.9;", 1);
    Nginx::start(|_, address| format!("server {{ listen {address};\n{location} }}"))
}

#[test]
fn behind_nginx_the_real_address_arrives_and_urls_lead_back_through_it() {
    if !needs("nginx") {
        return;
    }
    let server = Server::start(&["--trusted-proxy", "127.0.0.9", "--allow-from", "127.0.0.1"]);
    let nginx = in_front_of(server.address);
    let send = |request: &[u8]| {
        let mut stream = TcpStream::connect(nginx.address).unwrap();
        stream.write_all(request).unwrap();
        Reply::read(&mut stream)
    };
    let lie = format!(
        "X-Forwarded-For: 203.0.113.9\r\nOrigin: http://{}\r\n",
        nginx.address
    );
    let request = post("/lift/upload?X-Progress-ID=1", &lie, &picture());
    let request = String::from_utf8(request)
        .unwrap()
        .replace("Host: a", &format!("Host: {}", nginx.address));
    let reply = send(request.as_bytes());
    assert_eq!(reply.status, 201, "{}", reply.text());
    // Asked directly, from the same address as nginx was: the upload is that address's.
    assert_eq!(
        server.get("/uploads?X-Progress-ID=1").json()[0]["state"],
        "done"
    );
    let url = reply.json()["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("/lift/files/"), "{url}");
    let back = send(format!("GET {url} HTTP/1.1\r\nHost: {}\r\n\r\n", nginx.address).as_bytes());
    assert_eq!(back.body, b"12345");
}

#[test]
fn behind_nginx_a_bar_moves_and_events_come_while_the_upload_runs() {
    if !needs("nginx") {
        return;
    }
    let server = Server::start(&["--trusted-proxy", "127.0.0.9"]);
    let nginx = in_front_of(server.address);
    let at_nginx = |head: &str| head.replace("Host: a", &format!("Host: {}", nginx.address));
    // Larger than what nginx would take without its `client_max_body_size`.
    let body = form(&[part("f", Some("a.jpg"), &noise(3_000_000))]);
    let request = post("/lift/upload?X-Progress-ID=1", "", &body);
    let (head, _) = request.split_at(request.len() - body.len());
    let mut upload = TcpStream::connect(nginx.address).unwrap();
    let head = at_nginx(std::str::from_utf8(head).unwrap());
    upload.write_all(head.as_bytes()).unwrap();
    upload.write_all(&body[..1_500_000]).unwrap();

    let mut events = TcpStream::connect(nginx.address).unwrap();
    events
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let ask = "GET /lift/uploads?X-Progress-ID=1 HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n";
    events.write_all(at_nginx(ask).as_bytes()).unwrap();
    let mut lines = BufReader::new(events).lines().map(Result::unwrap);
    let half = lines.any(|line| line.contains("\"received\":1500000"));
    assert!(half, "the stream ended before the half was seen");
    upload.write_all(&body[1_500_000..]).unwrap();
    assert_eq!(Reply::read(&mut upload).status, 201);
    assert!(lines.any(|line| line.contains("\"state\":\"done\"")));
}

/// nginx takes a 104 from behind it for the answer, so nothing may come from there but the answer.
#[test]
fn through_nginx_no_interim_answer_comes() {
    if !needs("nginx") {
        return;
    }
    let server = Server::start(&["--checkpoint-bytes", "1", "--checkpoint-time", "1ms"]);
    let trusting = Server::start(&["--trusted-proxy", "127.0.0.9"]);
    // As in the docs, once with a server that does not know of its proxy; and with nothing set, which is HTTP/1.0.
    let bare = Nginx::start(|_, address| {
        let upstream = server.address;
        format!("server {{ listen {address}; location / {{ proxy_pass http://{upstream}; }} }}")
    });
    let (told, untold) = (in_front_of(trusting.address), in_front_of(server.address));
    for (nginx, base) in [(&bare, ""), (&told, "/lift"), (&untold, "/lift")] {
        let mut stream = TcpStream::connect(nginx.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        let fields =
            "Upload-Draft-Interop-Version: 9\r\nUpload-Complete: ?0\r\nContent-Length: 100000";
        let head = format!("POST {base}/files/ HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        for piece in noise(100_000).chunks(10_000) {
            stream.write_all(piece).unwrap();
        }
        let reply = Reply::read(&mut stream);
        assert_eq!(reply.status, 201, "{base} {reply:?}");
        assert_eq!(reply.header("upload-offset"), Some("100000"));
    }
}
