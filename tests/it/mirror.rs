//! Progress in the app's cache: real memcached and Redis, read by Django's own caches, while they come and go.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::cache::{CacheServer, DjangoCache, free_address, in_query};
use crate::support::logged::Logged;
use crate::support::{Reply, Server, ask_for, connect_from, eventually, form, noise, part, post};

/// An upload of which the test sends as much as it wants.
struct Slow {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    body: usize,
}

impl Slow {
    /// A form for `id` of which nothing is sent but its head.
    fn begin(server: &Server, id: &str) -> Self {
        Self::begin_on(server.connect(), "/upload", id)
    }

    fn begin_on(stream: TcpStream, path: &str, id: &str) -> Self {
        let body = form(&[part("picture", Some("a.jpg"), &noise(300_000))]);
        let target = format!("{path}?X-Progress-ID={}", in_query(id));
        let mut slow = Self {
            stream,
            request: post(&target, "", &body),
            sent: 0,
            body: body.len(),
        };
        slow.send(slow.request.len() - slow.body);
        slow
    }

    fn send(&mut self, bytes: usize) {
        let until = self.sent + bytes;
        self.stream
            .write_all(&self.request[self.sent..until])
            .unwrap();
        self.sent = until;
    }

    fn finish(mut self) -> Reply {
        self.send(self.request.len() - self.sent);
        Reply::read(&mut self.stream)
    }

    /// What the cache is to say once `uploaded` bytes of the body have come.
    fn value(&self, uploaded: usize) -> Value {
        json!({"length": self.body, "uploaded": uploaded})
    }
}

/// What our own poll says.
fn poll(server: &Server, id: &str) -> Value {
    let target = format!("/get_upload_progress?X-Progress-ID={}", in_query(id));
    server.get(&target).json()
}

fn cached(cache: &mut DjangoCache, key: &str, value: &Value) {
    eventually(|| cache.get(key), |found| found == value);
}

fn scrape(server: &Server, name: &str) -> f64 {
    let reply = ask_for(server.beside("/metrics"), "GET", "/metrics", None);
    let line = reply
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// However slow the machine is, no upload of these ends as too slow.
const PATIENT: [&str; 4] = ["--min-rate", "none", "--stall-timeout", "none"];

fn start(args: &[&str]) -> Server {
    Server::start(&[args, &PATIENT].concat())
}

const WITH_METRICS: [&str; 2] = ["--probe-listen", "127.0.0.1:0"];

/// The caches of Django that there are, one server each.
fn caches() -> Option<Vec<(CacheServer, DjangoCache)>> {
    let memcached = ["PyMemcacheCache", "PyLibMCCache"];
    let mut caches = Vec::new();
    for with in memcached {
        let server = CacheServer::memcached(&[])?;
        let django = server.django(with, "{}")?;
        caches.push((server, django));
    }
    let server = CacheServer::redis(&[])?;
    let django = server.django("RedisCache", "{}")?;
    caches.push((server, django));
    Some(caches)
}

fn urls<'a>(caches: impl IntoIterator<Item = &'a CacheServer>) -> String {
    let urls: Vec<_> = caches.into_iter().map(CacheServer::url).collect();
    urls.join(",")
}

#[test]
fn every_cache_of_django_reads_what_our_own_poll_says_from_the_head_to_the_end() {
    let Some(mut caches) = caches() else { return };
    let server = start(&[
        "--progress-cache",
        &urls(caches.iter().map(|(server, _)| server)),
    ]);
    for id in ["0.4711", "料理-ß", "{addr}{id}%s"] {
        let key = format!("127.0.0.1_{id}");
        let mut slow = Slow::begin(&server, id);
        for uploaded in [0, 1, 70_000, 200_000] {
            slow.send(uploaded - (slow.sent - (slow.request.len() - slow.body)));
            for (_, django) in &mut caches {
                cached(django, &key, &slow.value(uploaded));
            }
            assert_eq!(poll(&server, id), slow.value(uploaded), "{id}");
        }
        assert_eq!(slow.finish().status, 201);
        for (_, django) in &mut caches {
            cached(django, &key, &Value::Null);
        }
        assert_eq!(poll(&server, id), Value::Null);
    }
}

#[test]
fn after_a_failure_the_last_numbers_stay_until_the_cache_lets_them_go() {
    let Some(mut caches) = caches() else { return };
    let urls = urls(caches.iter().map(|(server, _)| server));
    let server = start(&["--progress-cache", &urls, "--progress-cache-time", "3s"]);
    let mut slow = Slow::begin(&server, "7");
    slow.send(1000);
    let last = slow.value(1000);
    for (_, django) in &mut caches {
        cached(django, "127.0.0.1_7", &last);
    }
    drop(slow);
    eventually(
        || poll(&server, "7")["state"].clone(),
        |state| state == "error",
    );
    // Nobody writes it again: were that so, it would stay for ever.
    for (_, django) in &mut caches {
        cached(django, "127.0.0.1_7", &Value::Null);
    }
}

#[test]
fn prefix_version_and_template_are_djangos() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let settings = r#"{"KEY_PREFIX": "shop-é", "VERSION": 3}"#;
    let Some(mut django) = cache.django("PyMemcacheCache", settings) else {
        return;
    };
    let server = start(&[
        "--progress-cache",
        &cache.url(),
        "--progress-cache-prefix",
        "shop-é",
        "--progress-cache-version",
        "3",
        "--progress-cache-key",
        "{prefix}:{version}:up-{client}-{id}",
    ]);
    let slow = Slow::begin(&server, "7");
    cached(&mut django, "up-127.0.0.1-7", &slow.value(0));
}

#[test]
fn numbers_of_every_width_are_what_python_reads() {
    let Some(mut caches) = caches() else { return };
    let urls = urls(caches.iter().map(|(server, _)| server));
    let server = start(&["--progress-cache", &urls, "--keep-free", "0"]);
    let widths = [
        255,
        256,
        65_535,
        65_536,
        2_147_483_647,
        2_147_483_648,
        5_000_000_000_u64,
    ];
    let mut streams = Vec::new();
    for length in widths {
        let mut stream = server.connect();
        let head = format!(
            "PUT /files/{length}?X-Progress-ID={length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&[7; 200]).unwrap();
        streams.push(stream);
        for (_, django) in &mut caches {
            let value = json!({"length": length, "uploaded": 200});
            cached(django, &format!("127.0.0.1_{length}"), &value);
        }
    }
}

#[test]
fn a_cache_that_is_absent_at_the_start_is_filled_when_it_comes() {
    let Some(mut cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    cache.kill();
    let logged = Logged::start(&[&["--progress-cache", &*cache.url()][..], &PATIENT].concat());
    let server = &logged.server;
    let mut slow = Slow::begin(server, "7");
    slow.send(5000);
    eventually(|| poll(server, "7"), |found| *found == slow.value(5000));
    eventually(
        || logged.log(),
        |log| log.contains("the progress cache is away"),
    );
    assert_eq!(post_whole(server, "8").status, 201);
    cache.begin();
    cached(&mut django, "127.0.0.1_7", &slow.value(5000));
    let log = eventually(
        || logged.log(),
        |log| log.contains("the progress cache is back"),
    );
    assert_eq!(
        log.matches("the progress cache is away").count(),
        1,
        "{log}"
    );
    assert_eq!(slow.finish().status, 201);
    cached(&mut django, "127.0.0.1_7", &Value::Null);
}

/// An upload in one go.
fn post_whole(server: &Server, id: &str) -> Reply {
    Slow::begin(server, id).finish()
}

#[test]
fn a_cache_that_is_killed_and_comes_back_empty_has_every_value_again() {
    for (mut cache, mut django) in caches().unwrap_or_default() {
        let server = start(&["--progress-cache", &cache.url()]);
        let (mut moving, mut still) = (
            Slow::begin(&server, "moving"),
            Slow::begin(&server, "still"),
        );
        moving.send(1000);
        still.send(2000);
        cached(&mut django, "127.0.0.1_moving", &moving.value(1000));
        cached(&mut django, "127.0.0.1_still", &still.value(2000));
        cache.kill();
        moving.send(1000);
        eventually(
            || poll(&server, "moving"),
            |found| *found == moving.value(2000),
        );
        assert_eq!(post_whole(&server, "whole").status, 201);
        cache.begin();
        cached(&mut django, "127.0.0.1_moving", &moving.value(2000));
        cached(&mut django, "127.0.0.1_still", &still.value(2000));
        assert_eq!(still.finish().status, 201);
        cached(&mut django, "127.0.0.1_still", &Value::Null);
    }
}

#[test]
fn what_a_cache_has_forgotten_it_is_told_again_though_nothing_moves() {
    for (cache, mut django) in caches().unwrap_or_default() {
        let server = start(&["--progress-cache", &cache.url()]);
        let mut slow = Slow::begin(&server, "7");
        slow.send(1000);
        cached(&mut django, "127.0.0.1_7", &slow.value(1000));
        let emptied = cache.told("flush_all\r\n") == "OK" || cache.told("FLUSHALL\r\n") == "+OK";
        assert!(emptied);
        cached(&mut django, "127.0.0.1_7", &slow.value(1000));
    }
}

#[test]
fn a_cache_that_is_stopped_is_noticed_by_no_upload_and_no_poll_and_is_right_when_it_goes_on() {
    for (cache, mut django) in caches().unwrap_or_default() {
        let server = start(&["--progress-cache", &cache.url()]);
        let mut slow = Slow::begin(&server, "7");
        slow.send(1000);
        cached(&mut django, "127.0.0.1_7", &slow.value(1000));
        let ends = Slow::begin(&server, "ends");
        cached(&mut django, "127.0.0.1_ends", &ends.value(0));
        cache.signal(Signal::STOP);
        // All of this while the cache takes every byte that is sent there and says nothing.
        slow.send(1000);
        eventually(|| poll(&server, "7"), |found| *found == slow.value(2000));
        for id in 0..20 {
            assert_eq!(post_whole(&server, &format!("whole{id}")).status, 201);
        }
        assert_eq!(ends.finish().status, 201);
        assert_eq!(poll(&server, "ends"), Value::Null);
        cache.signal(Signal::CONT);
        cached(&mut django, "127.0.0.1_7", &slow.value(2000));
        cached(&mut django, "127.0.0.1_ends", &Value::Null);
        for id in 0..20 {
            cached(&mut django, &format!("127.0.0.1_whole{id}"), &Value::Null);
        }
    }
}

#[test]
fn garbage_from_one_cache_ends_its_connections_and_the_other_one_has_what_it_should() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    let (strange, connections) = strange_server(b"\x80HTTP/1.1 418 \0\r\n\r\n");
    let (endless, _) = strange_server(&[b'x'; 100_000]);
    let caches = format!(
        "memcached://{strange},redis://{strange},memcached://{endless},{}",
        cache.url()
    );
    let server = start(&[&["--progress-cache", &*caches][..], &WITH_METRICS].concat());
    let mut slow = Slow::begin(&server, "7");
    slow.send(1000);
    cached(&mut django, "127.0.0.1_7", &slow.value(1000));
    eventually(|| connections.load(Ordering::SeqCst), |many| *many > 4);
    eventually(
        || {
            scrape(
                &server,
                r#"dumbwaiter_progress_cache_values_total{written="no"}"#,
            )
        },
        |failed| *failed > 0.0,
    );
    assert_eq!(slow.finish().status, 201);
    cached(&mut django, "127.0.0.1_7", &Value::Null);
}

/// Says the same to everybody, and how many there were.
fn strange_server(says: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, connections) = (
        listener.local_addr().unwrap(),
        Arc::new(AtomicUsize::new(0)),
    );
    let counts = Arc::clone(&connections);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            counts.fetch_add(1, Ordering::SeqCst);
            let _ = client.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = client.read(&mut [0; 1000]);
            let _ = client.write_all(says);
        }
    });
    (address, connections)
}

#[test]
fn a_cache_that_is_full_takes_no_values_and_lets_keys_go() {
    let full = ["--maxmemory", "1", "--maxmemory-policy", "noeviction"];
    let Some(cache) = CacheServer::redis(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("RedisCache", "{}") else {
        return;
    };
    let settings = ["--progress-cache", &cache.url()];
    let logged = Logged::start(&[&settings[..], &WITH_METRICS, &PATIENT].concat());
    let server = &logged.server;
    let first = Slow::begin(server, "first");
    cached(&mut django, "127.0.0.1_first", &first.value(0));
    for pair in full.chunks(2) {
        let line = format!(
            "CONFIG SET {} {}\r\n",
            pair[0].trim_start_matches('-'),
            pair[1]
        );
        assert_eq!(cache.told(&line), "+OK");
    }
    let mut second = Slow::begin(server, "second");
    second.send(10);
    eventually(
        || {
            scrape(
                server,
                r#"dumbwaiter_progress_cache_values_total{written="no"}"#,
            )
        },
        |failed| *failed > 0.0,
    );
    assert_eq!(first.finish().status, 201);
    cached(&mut django, "127.0.0.1_first", &Value::Null);
    assert_eq!(cache.told("CONFIG SET maxmemory 0\r\n"), "+OK");
    cached(&mut django, "127.0.0.1_second", &second.value(10));
    // It answers, and is not away.
    let log = logged.log();
    assert!(!log.contains("is away"), "{log}");
}

#[test]
fn what_a_small_memcached_throws_out_comes_back() {
    let Some(cache) = CacheServer::memcached(&["-m", "2", "-o", "no_modern"]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    let server = start(&["--progress-cache", &cache.url()]);
    let mut slow = Slow::begin(&server, "7");
    slow.send(1000);
    cached(&mut django, "127.0.0.1_7", &slow.value(1000));
    // Others, until it has forgotten ours.
    let mut crowd = TcpStream::connect(cache.address).unwrap();
    let key = ":1:127.0.0.1_7";
    let forgotten = (0..10).any(|round| {
        for other in 0..60_000 {
            // As large as ours, since memcached makes room by sizes.
            let (name, value) = (format!("{round:04}-{other:05}"), [b'x'; 42]);
            let head = format!("set {name} 1 300 {} noreply\r\n", value.len());
            crowd
                .write_all(&[head.as_bytes(), &value, b"\r\n"].concat())
                .unwrap();
        }
        crowd.write_all(b"version\r\n").unwrap();
        let _ = crowd.read(&mut [0; 100]).unwrap();
        cache.told(&format!("get {key}\r\n")) == "END"
    });
    assert!(forgotten);
    cached(&mut django, "127.0.0.1_7", &slow.value(1000));
}

#[test]
fn behind_us_the_app_sees_our_address_and_of_two_clients_with_one_id_the_first_is_shown() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    let app = App::start();
    // A name leads to more than one address; the app listens at one.
    let url = format!("http://localhost:{}", app.address.port());
    let settings = [
        "--app",
        &url,
        "--upload-path",
        "/upload",
        "--progress-cache",
        &cache.url(),
    ];
    let server = start(&[&settings[..], &WITH_METRICS].concat());
    let begin = |last| Slow::begin_on(connect_from(server.address, last), "/upload", "7");
    let mut first = begin(2);
    first.send(1000);
    cached(&mut django, "127.0.0.1_7", &first.value(1000));
    let mut second = begin(3);
    second.send(2000);
    let left_out = r#"dumbwaiter_progress_cache_left_out_total{why="foreign"}"#;
    eventually(|| scrape(&server, left_out), |many| *many == 1.0);
    first.send(1000);
    cached(&mut django, "127.0.0.1_7", &first.value(2000));
    assert_eq!(first.finish().status, 200);
    cached(&mut django, "127.0.0.1_7", &Value::Null);
    assert_eq!(second.finish().status, 200);
    // The key is free.
    let mut third = begin(3);
    third.send(3000);
    cached(&mut django, "127.0.0.1_7", &third.value(3000));
    assert_eq!(scrape(&server, left_out), 1.0);
}

#[test]
fn client_stands_for_the_clients_own_address_also_before_an_app() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    let app = App::start();
    let server = start(&[
        "--app",
        &app.url(),
        "--upload-path",
        "/upload",
        "--progress-cache",
        &cache.url(),
        "--progress-cache-key",
        "{prefix}:{version}:{client}_{id}",
    ]);
    for last in [2, 3] {
        let mut slow = Slow::begin_on(connect_from(server.address, last), "/upload", "7");
        slow.send(usize::from(last));
        cached(
            &mut django,
            &format!("127.0.0.{last}_7"),
            &slow.value(last.into()),
        );
    }
}

#[test]
fn an_app_on_a_unix_socket_sees_no_address() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    let settings = [
        "--app",
        "unix:/nowhere/app.sock",
        "--upload-path",
        "/upload",
    ];
    let server = start(&[&settings[..], &["--progress-cache", &cache.url()]].concat());
    let slow = Slow::begin(&server, "7");
    cached(&mut django, "_7", &slow.value(0));
}

#[test]
fn an_id_that_no_cache_takes_is_counted_and_uploads_as_ever() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let server = start(&[&["--progress-cache", &*cache.url()][..], &WITH_METRICS].concat());
    let left_out = r#"dumbwaiter_progress_cache_left_out_total{why="key"}"#;
    let before = cache.told("stats\r\n");
    for (many, id) in ["two words", "a b\u{3000}"].into_iter().enumerate() {
        let mut slow = Slow::begin(&server, id);
        slow.send(10);
        eventually(
            || scrape(&server, left_out),
            |left| *left == (many + 1) as f64,
        );
        assert_eq!(poll(&server, id), slow.value(10));
        assert_eq!(slow.finish().status, 201);
    }
    assert!(before.starts_with("STAT"), "{before}");
    assert_eq!(cache.told("get :1:127.0.0.1_two words\r\n"), "END");
}

#[test]
fn beyond_the_most_uploads_the_caches_show_as_many_and_uploads_go_on() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    let settings = [
        "--progress-cache",
        &cache.url(),
        "--max-progress-cache",
        "2",
    ];
    let server = start(&[&settings[..], &WITH_METRICS].concat());
    let mut shown = Vec::new();
    for id in ["1", "2"] {
        let slow = Slow::begin(&server, id);
        cached(&mut django, &format!("127.0.0.1_{id}"), &slow.value(0));
        shown.push(slow);
    }
    let left_out = r#"dumbwaiter_progress_cache_left_out_total{why="full"}"#;
    let third = Slow::begin(&server, "3");
    eventually(|| scrape(&server, left_out), |many| *many == 1.0);
    assert_eq!(third.finish().status, 201);
    assert_eq!(django.get("127.0.0.1_3"), Value::Null);
    for slow in shown {
        assert_eq!(slow.finish().status, 201);
    }
    let fourth = Slow::begin(&server, "4");
    cached(&mut django, "127.0.0.1_4", &fourth.value(0));
}

#[test]
fn whoever_stops_the_server_finds_no_finished_upload_in_the_cache() {
    let Some(cache) = CacheServer::memcached(&[]) else {
        return;
    };
    let Some(mut django) = cache.django("PyMemcacheCache", "{}") else {
        return;
    };
    for _ in 0..5 {
        let mut server = start(&["--progress-cache", &cache.url()]);
        let slow = Slow::begin(&server, "7");
        cached(&mut django, "127.0.0.1_7", &slow.value(0));
        server.signal(Signal::TERM);
        assert_eq!(slow.finish().status, 201);
        assert!(server.ends().success());
        assert_eq!(django.get("127.0.0.1_7"), Value::Null);
    }
}

#[test]
fn redis_may_want_a_password_and_have_several_databases() {
    let Some(cache) = CacheServer::redis(&["--requirepass", "open sesame"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let url = format!("{}/3", cache.url());
    let options = r#"{"OPTIONS": {"password": "open sesame", "db": 3}}"#;
    let Some(mut django) = cache.django("RedisCache", options) else {
        return;
    };
    let file = file.to_str().unwrap();
    let settings = [
        "--progress-cache",
        &url,
        "--progress-cache-password-file",
        file,
    ];
    let server = start(&settings);
    let slow = Slow::begin(&server, "7");
    cached(&mut django, "127.0.0.1_7", &slow.value(0));
}

#[test]
fn memcached_may_listen_on_a_unix_socket() {
    if !crate::support::needs::needs("memcached") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    let socket = path.to_str().unwrap();
    let mut memcached = std::process::Command::new("memcached")
        .args(["-s", socket, "-a", "777", "-u", "root"])
        .spawn()
        .unwrap();
    let server = start(&["--progress-cache", &format!("memcached://{socket}")]);
    let slow = Slow::begin(&server, "7");
    let found = eventually(
        || get(socket, ":1:127.0.0.1_7"),
        |found| found.starts_with("VALUE :1:127.0.0.1_7 1 "),
    );
    assert!(found.contains("length"), "{found:?}");
    drop(slow);
    memcached.kill().unwrap();
    memcached.wait().unwrap();
}

/// What memcached has at a socket; nothing while it is not there.
fn get(socket: &str, key: &str) -> String {
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(socket) else {
        return String::new();
    };
    write!(stream, "get {key}\r\nquit\r\n").unwrap();
    let mut found = Vec::new();
    stream.read_to_end(&mut found).unwrap();
    String::from_utf8_lossy(&found).into_owned()
}

#[test]
fn a_cache_or_a_key_that_cannot_be_is_refused_at_the_start() {
    let nobody = format!("memcached://{}", free_address());
    for (settings, words) in [
        (
            &["--progress-cache", "http://127.0.0.1:1"][..],
            "memcached://",
        ),
        (
            &["--progress-cache", "redis://:word@127.0.0.1"],
            "--progress-cache-password-file",
        ),
        (
            &[
                "--progress-cache",
                &nobody,
                "--progress-cache-key",
                "{addr}",
            ],
            "{id}",
        ),
        (
            &[
                "--progress-cache",
                &nobody,
                "--progress-cache-key",
                "up {id}",
            ],
            "no spaces",
        ),
        (
            &[
                "--progress-cache",
                &nobody,
                "--progress-cache-prefix",
                "my site",
            ],
            "no spaces",
        ),
        (
            &["--progress-cache", &nobody, "--progress-cache-time", "31d"],
            "30 days",
        ),
        (
            &[
                "--progress-cache",
                &nobody,
                "--progress-cache-password-file",
                "/nowhere",
            ],
            "/nowhere",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_dumbwaiter"))
            .args(["--listen", "127.0.0.1:0", "--dir"])
            .arg(folder.path())
            .args(settings)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(words),
            "{settings:?}: {said}"
        );
    }
}
