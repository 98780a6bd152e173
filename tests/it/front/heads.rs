//! What the app is told of a request, and the client of an answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use super::in_front_of;
use crate::support::app::App;
use crate::support::certificate::certificate;
use crate::support::needs::needs;
use crate::support::nginx::Nginx;
use crate::support::{Reply, Server, connect_from};

#[test]
fn what_is_not_ours_goes_to_the_app_and_its_answer_comes_as_it_is() {
    let app = App::start();
    let headers = "Content-Type: text/x-own\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Odd: ä\r\n\
        Access-Control-Allow-Origin: https://other.example\r\n";
    app.answers(418, headers, b"short and stout");
    let server = in_front_of(&app, &[]);
    let lines = "Cookie: s=1\r\nAuthorization: Basic eDp5\r\nX-Progress-ID: 77\r\nOrigin: https://evil.example\r\n\
        X-Twice: 1\r\nX-Twice: 2\r\nAccept: text/*\r\n";
    let reply = server.get_with("/a%20b//c?d=%2F&e", lines);
    assert_eq!((reply.status, reply.text()), (418, "short and stout"));
    assert_eq!(reply.header("content-type"), Some("text/x-own"));
    assert_eq!(
        reply.head.matches("set-cookie: ").count(),
        2,
        "{}",
        reply.head
    );
    assert_eq!(reply.head.matches("access-control").count(), 1);
    assert!(!reply.head.contains("connection: close"), "{}", reply.head);
    let seen = app.only();
    assert_eq!((seen.method(), seen.target()), ("GET", "/a%20b//c?d=%2F&e"));
    for (name, value) in [
        ("host", "a"),
        ("cookie", "s=1"),
        ("authorization", "Basic eDp5"),
        ("x-progress-id", "77"),
        ("origin", "https://evil.example"),
        ("accept", "text/*"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{}", seen.head);
    }
    assert_eq!(seen.headers("x-twice"), ["1", "2"]);
    assert_eq!(
        seen.headers("content-length").len() + seen.headers("transfer-encoding").len(),
        0
    );
}

#[test]
fn fields_of_one_connection_stay_there() {
    let app = App::start();
    let headers = "Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Stays: 1\r\n\
        Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nDumbwaiter-Processing: ?1\r\n";
    app.answers(200, headers, b"ok");
    let server = in_front_of(&app, &[]);
    let lines = "Connection: x-hop , Keep-Alive\r\nX-Hop: 1\r\nKeep-Alive: 300\r\nTE: trailers\r\nProxy-Connection: x\r\n\
        Proxy-Authorization: Basic eDp5\r\nX-Stays: 1\r\n";
    let reply = server.get_with("/", lines);
    let seen = app.only();
    for name in [
        "connection",
        "keep-alive",
        "x-hop",
        "te",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "upgrade",
        "dumbwaiter-processing",
    ] {
        assert_eq!(seen.header(name), None, "{}", seen.head);
        assert_eq!(reply.header(name), None, "{}", reply.head);
    }
    assert_eq!(
        (seen.header("x-stays"), reply.header("x-stays")),
        (Some("1"), Some("1"))
    );
}

#[test]
fn what_says_who_asks_is_ours_to_say() {
    let app = App::start();
    let server = in_front_of(&app, &[]);
    let mut stream = connect_from(server.address, 9);
    let forged = "GET / HTTP/1.1\r\nHost: shop.example:8080\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n\
        X-Real-IP: 6.6.6.6\r\nDumbwaiter-Upload: forged\r\nDumbwaiter_Statement: forged\r\nDUMBWAITER-TOKEN: x\r\n\
        Proxy: evil\r\nX-Forwarded-Prefix: /evil\r\nSCRIPT_NAME: /evil\r\npath_info: /evil\r\nRemote_User: evil\r\n\r\n";
    stream.write_all(forged.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut stream).status, 200);
    let seen = app.only();
    for (name, value) in [
        ("host", "shop.example:8080"),
        ("x-forwarded-for", "127.0.0.9"),
        ("x-real-ip", "127.0.0.9"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.example:8080"),
        ("x-forwarded-port", "8080"),
        (
            "forwarded",
            "for=127.0.0.9;proto=http;host=\"shop.example:8080\"",
        ),
    ] {
        assert_eq!(seen.header(name), Some(value), "{}", seen.head);
    }
    let lower = seen.head.to_lowercase();
    for word in [
        "6.6.6.6",
        "evil",
        "forged",
        "x_forwarded",
        "ssl",
        "dumbwaiter-token",
        "script_name",
        "path_info",
    ] {
        assert!(!lower.contains(word), "{word}: {}", seen.head);
    }
    assert_eq!(seen.headers("dumbwaiter-through").len(), 1);
}

/// Lines up to the blank one behind the last chunk.
fn behind_the_chunks(stream: &TcpStream) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let behind = lines.skip_while(|line| line != "0").skip(1);
    behind.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn what_stands_behind_a_body_says_no_more_than_what_may_stand_before_it() {
    let app = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", app.local_addr().unwrap());
    let server = Server::start(&["--app", &url]);
    let chunks = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n";
    let answered = std::thread::spawn(move || {
        loop {
            let (mut call, _) = app.accept().unwrap();
            let behind = behind_the_chunks(&call);
            // The server looks whether the app is there.
            if !behind.is_empty() {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nTrailer: X-Own, Dumbwaiter-X\r\n{chunks}Dumbwaiter-X: a\r\nX-Own: b\r\n\r\n"
                );
                call.write_all(answer.as_bytes()).unwrap();
                return behind;
            }
        }
    });
    let mut stream = server.connect();
    let asked = format!(
        "POST /any HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Forwarded-For, Dumbwaiter-Token, X-Real-IP, X-Own\r\n\
         {chunks}X-Forwarded-For: 6.6.6.6\r\nDumbwaiter-Token: a\r\nX-Real-IP: 6.6.6.6\r\nX-Own: c\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).unwrap();
    assert_eq!(behind_the_chunks(&stream), ["x-own: b"]);
    assert_eq!(answered.join().unwrap(), ["x-own: c"]);
}

#[test]
fn what_trusted_proxies_said_goes_on_and_no_further_word() {
    let app = App::start();
    let server = in_front_of(&app, &["--trusted-proxy", "127.0.0.1,10.0.0.0/8"]);
    let lines = "X-Forwarded-For: 6.6.6.6, 2001:db8::7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: shop.example\r\nX-Forwarded-Prefix: /shop\r\n";
    server.get_with("/", lines);
    let seen = app.only();
    for (name, value) in [
        ("x-forwarded-for", "2001:db8::7, 10.0.0.2, 127.0.0.1"),
        ("x-real-ip", "2001:db8::7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-host", "shop.example"),
        ("host", "shop.example"),
        ("x-forwarded-prefix", "/shop"),
        (
            "forwarded",
            "for=\"[2001:db8::7]\";proto=https;host=\"shop.example\", for=10.0.0.2, for=127.0.0.1",
        ),
    ] {
        assert_eq!(seen.header(name), Some(value), "{}", seen.head);
    }
}

#[test]
fn a_whole_address_as_target_is_the_host_that_was_asked_for() {
    let app = App::start();
    let server = in_front_of(&app, &[]);
    let reply = server.send(b"GET http://shop.example/x?y HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(reply.status, 200);
    let seen = app.only();
    assert_eq!(
        (seen.target(), seen.header("host")),
        ("/x?y", Some("shop.example"))
    );
}

#[test]
fn answers_without_a_body_keep_their_length() {
    let app = App::start();
    let server = in_front_of(&app, &[]);
    app.does(|call| {
        call.read();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"e\"\r\n\r\n";
        call.say(answer.as_bytes());
    });
    let mut stream = server.connect();
    stream
        .write_all(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let reply = Reply::read_head(&mut stream);
    assert_eq!(
        (reply.status, reply.header("content-length")),
        (200, Some("12345"))
    );
    app.answers(204, "X-Own: 1\r\n", b"");
    let reply = server.get("/x");
    assert_eq!(
        (reply.status, reply.header("x-own"), reply.body.len()),
        (204, Some("1"), 0)
    );
    assert_eq!(
        (
            reply.header("content-length"),
            reply.header("transfer-encoding")
        ),
        (None, None)
    );
    app.answers(304, "ETag: \"e\"\r\n", b"");
    let reply = server.get_with("/x", "If-None-Match: \"e\"\r\n");
    assert_eq!((reply.status, reply.header("etag")), (304, Some("\"e\"")));
    assert_eq!(reply.header("transfer-encoding"), None);
}

#[test]
fn an_old_client_and_an_old_app_understand_each_other() {
    let app = App::start();
    let server = in_front_of(&app, &[]);
    app.does(|call| {
        call.read();
        call.say(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end");
    });
    // A new client learns where it ends by chunks.
    let reply = server.get("/");
    assert_eq!(
        (reply.text(), reply.header("transfer-encoding")),
        ("to the end", Some("chunked"))
    );
    assert!(reply.head.starts_with("HTTP/1.1"), "{}", reply.head);
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert!(
        all.ends_with("\r\n\r\nto the end") && !all.contains("chunked"),
        "{all}"
    );
    let seen = app.asked(2);
    assert!(
        seen[1].head.starts_with("GET / HTTP/1.1\r\n"),
        "{}",
        seen[1].head
    );
    // Without a name of the client's it is the app's own.
    assert_eq!(seen[1].header("host"), Some(&*app.address.to_string()));
}

#[test]
fn an_app_at_a_path_of_its_own_or_at_a_unix_socket_is_found() {
    let app = App::start();
    let server = Server::start(&["--app", &format!("{}/below/", app.url())]);
    assert_eq!(server.get("/x?y").status, 200);
    assert_eq!(app.only().target(), "/below/x?y");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let asked = thread::spawn(move || {
        // The first to come looks whether it is there.
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            if !head.is_empty() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix";
                stream.get_mut().write_all(answer).unwrap();
                return head;
            }
        }
        String::new()
    });
    let server = Server::start(&["--app", &format!("unix:{}", path.display())]);
    assert_eq!(server.get("/x").text(), "unix");
    let head = asked.join().unwrap();
    assert!(
        head.starts_with("GET /x HTTP/1.1\r\n") && head.contains("host: a\r\n"),
        "{head}"
    );
}

#[test]
fn an_app_behind_tls_is_believed_by_its_certificate_alone() {
    if !needs("nginx") || !needs("openssl") {
        return;
    }
    let (app, folder) = (App::start(), tempfile::tempdir().unwrap());
    let [ours, other] = ["ours", "other"].map(|name| certificate(folder.path(), name));
    let (pem, key) = (ours.display(), ours.with_extension("key"));
    let nginx = Nginx::start(|_, listen| {
        format!(
            "server {{ listen {listen} ssl; ssl_certificate {pem}; ssl_certificate_key {};\n\
             location / {{ proxy_pass http://{}; }} }}",
            key.display(),
            app.address
        )
    });
    let url = format!("https://{}", nginx.address);
    for (trusted, status) in [(&other, 502), (&ours, 200)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
        command
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR")
            .env("DUMBWAITER_LOG", "off");
        let dir = folder.path().join(format!("uploads-{status}"));
        let server = Server::start_by(command, &dir, &["--app", &url]);
        assert_eq!(server.get("/x").status, status);
    }
    assert_eq!(app.only().target(), "/x");
}

#[test]
fn a_request_that_comes_round_again_is_a_loop() {
    let app = App::start();
    let server = in_front_of(&app, &["--upload-path", "/form"]);
    let address = server.address;
    // It sends on what it is asked, to the one who asked.
    app.does(move |call| {
        let seen = call.read().clone();
        let mut again = std::net::TcpStream::connect(address).unwrap();
        again.write_all(seen.head.as_bytes()).unwrap();
        again.write_all(&seen.body).unwrap();
        let reply = Reply::read(&mut again);
        call.answer(reply.status, "", &reply.body);
    });
    let reply = server.get("/x");
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (508, Some("loop"))
    );
    let body = crate::support::form(&[crate::support::part("f", Some("a.jpg"), b"12345")]);
    let reply = server.post("/form", "", &body);
    assert_eq!(reply.status, 508, "{}", reply.text());
    assert_eq!(app.seen().len(), 2);
}
