//! A mixed load for a while, after which the server holds no more memory and descriptors than before.
//!
//! `SOAK_SECONDS` says how long: 5 unless said, 60 in `make test`, 1,800 in `make soak`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::support::{Reply, Server, eventually, form, noise, part, post};

/// What each client does in turn.
const WAYS: [fn(&Server, usize); 7] = [
    send_form,
    put,
    put_chunks,
    cut_off,
    poll,
    watch,
    send_nonsense,
];

const CLIENTS: usize = 6;

/// Rounds of all ways before memory is first looked at: then every pool and table has its size.
const WARM_UP: usize = 100;

/// What may be added to the server's memory from then on, in KiB.
const GROWTH: usize = 16 * 1024;

#[test]
fn a_mixed_load_leaves_memory_and_descriptors_as_they_were() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(5, |text| text.parse().unwrap());
    // Ended records are kept for a time; a bound on their number is reached in the warm-up.
    let server = Server::start(&[
        "--durability",
        "close",
        "--on-conflict",
        "replace",
        "--log",
        "error",
        "--max-records",
        "200",
        "--linger-time",
        "1s",
    ]);
    let idle = descriptors(&server);
    let (count, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| load(&server, &count, &over));
        }
        let all = || {
            over.load(Ordering::Relaxed) || count.load(Ordering::Relaxed) >= WARM_UP * WAYS.len()
        };
        while !all() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        let warm = resident(&server);
        let mut most = warm;
        while Instant::now() < end && !over.load(Ordering::Relaxed) {
            std::thread::sleep(
                Duration::from_millis(200).min(end.saturating_duration_since(Instant::now())),
            );
            most = most.max(resident(&server));
            if most > warm + GROWTH {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        println!(
            "{} requests in {seconds} s; resident {warm} KiB after the warm-up, then {most} KiB at most; {} descriptors",
            count.load(Ordering::Relaxed),
            descriptors(&server),
        );
        assert!(
            most <= warm + GROWTH,
            "memory grew from {warm} to {most} KiB"
        );
    });
    eventually(|| descriptors(&server), |now| *now <= idle);
    eventually(|| server.under_way(), Vec::is_empty);
}

fn load(server: &Server, count: &AtomicUsize, over: &AtomicBool) {
    // One that fails ends the others too, and the test with them.
    let _ends = Ends(over);
    while !over.load(Ordering::Relaxed) {
        let number = count.fetch_add(1, Ordering::Relaxed);
        WAYS[number % WAYS.len()](server, number);
    }
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The first `length` bytes, at most 500,000, of what all files are made of; making them anew would be most of the load.
fn content(length: usize) -> &'static [u8] {
    static ALL: OnceLock<Vec<u8>> = OnceLock::new();
    &ALL.get_or_init(|| noise(500_000))[..length]
}

fn size(number: usize) -> usize {
    number * 7919 % 499_999
}

/// Names come again, so that the folder does not grow; its records do, until the next sweep.
fn name(number: usize) -> String {
    format!("n{}", number % 64)
}

fn send_form(server: &Server, number: usize) {
    let file = part("f", Some(&name(number)), content(size(number)));
    let body = form(&[part("id", None, b"12"), file]);
    let target = format!("/upload?X-Progress-ID=p{}", number % 50);
    assert_eq!(server.post(&target, "", &body).status, 201);
}

fn put(server: &Server, number: usize) {
    let mut client = server.connect();
    for number in number..number + 3 {
        let body = content(1 + size(number));
        let head = format!(
            "PUT /files/{} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            name(number),
            body.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(body).unwrap();
        assert_eq!(Reply::read(&mut client).status, 201);
    }
}

fn put_chunks(server: &Server, number: usize) {
    let mut request = format!(
        "PUT /files/{} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        name(number)
    )
    .into_bytes();
    for chunk in content(size(number)).chunks(10_007) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    assert_eq!(server.send(&request).status, 201);
}

/// Sends a part of a form, then closes or resets.
fn cut_off(server: &Server, number: usize) {
    let body = form(&[part("f", Some("cut"), content(200_000))]);
    let request = post("/upload", "", &body);
    let mut client = server.connect();
    client
        .write_all(&request[..1 + size(number) % (request.len() - 1)])
        .unwrap();
    if number.is_multiple_of(2) {
        set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    }
}

fn poll(server: &Server, number: usize) {
    let mut client = server.connect();
    for path in ["/get_upload_progress", "/progress", "/uploads"] {
        let request = format!(
            "GET {path}?X-Progress-ID=p{} HTTP/1.1\r\nHost: a\r\n\r\n",
            number % 50
        );
        client.write_all(request.as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut client).status, 200);
    }
}

/// Opens a stream, hears its beginning and leaves.
fn watch(server: &Server, number: usize) {
    let mut client = server.connect();
    let request = format!(
        "GET /uploads?X-Progress-ID=p{} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n",
        number % 50
    );
    client.write_all(request.as_bytes()).unwrap();
    assert!(begins_with(&mut client, b"HTTP/1.1 200"));
}

fn send_nonsense(server: &Server, number: usize) {
    let mut client = server.connect();
    let request: &[u8] = match number % 3 {
        0 => b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        1 => b"\x16\x03\x01\x02\x00",
        _ => b"GET /progress?X-Progress-ID=x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    };
    client.write_all(request).unwrap();
    assert!(begins_with(&mut client, b"HTTP/1.1 400"));
}

fn begins_with(client: &mut TcpStream, expected: &[u8]) -> bool {
    let mut begin = vec![0; expected.len()];
    client.read_exact(&mut begin).unwrap();
    begin == expected
}

/// The server's resident memory, KiB.
fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .unwrap()
        .count()
}
