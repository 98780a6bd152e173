//! `kill -9` at random moments: what was acknowledged is there, and of every form all files are visible or none.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Reply, Server, eventually, form, noise, part, post};

const CLIENTS: usize = 4;
const FILES: [&str; 3] = ["a", "b", "c"];

/// The files' URLs of each form that was answered, by the form's number.
type Acknowledged = HashMap<usize, Vec<String>>;

#[test]
fn kill_minus_nine_leaves_all_files_of_a_form_or_none_with_sync() {
    kill_again_and_again("sync", 12);
}

#[test]
fn kill_minus_nine_leaves_all_files_of_a_form_or_none_with_close() {
    kill_again_and_again("close", 12);
}

fn kill_again_and_again(durability: &str, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (count, acknowledged) = (AtomicUsize::new(0), Mutex::new(Acknowledged::new()));
    for round in 0..rounds {
        let mut server = Server::start_in(folder.path(), &["--durability", durability]);
        check(&server, &acknowledged.lock().unwrap());
        let over = AtomicBool::new(false);
        let known = || acknowledged.lock().unwrap().len();
        let before = known();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| upload_until(&over, &server, &count, &acknowledged));
            }
            // Every other round waits for an answer, so that a busy machine has something to lose too.
            if round % 2 == 1 {
                eventually(known, |now| *now > before);
            }
            // Moments that no run chooses alike: the clock's nanoseconds decide.
            let now = std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .unwrap()
                .subsec_nanos();
            std::thread::sleep(Duration::from_micros(3_000 + u64::from(now % 120_000)));
            kill_process(
                Pid::from_raw(server.pid().try_into().unwrap()).unwrap(),
                Signal::KILL,
            )
            .unwrap();
            over.store(true, Ordering::Relaxed);
        });
        server.kill();
    }
    let server = Server::start_in(folder.path(), &["--durability", durability]);
    let acknowledged = acknowledged.into_inner().unwrap();
    check(&server, &acknowledged);
    assert!(
        acknowledged.len() >= rounds / 2,
        "only {} forms were ever answered",
        acknowledged.len()
    );
}

/// What each file holds follows from its form's number, so that it shows by itself whether it is whole.
fn content(number: usize, file: &str) -> Vec<u8> {
    let mut content = format!("{number}{file} ").into_bytes();
    content.extend(noise(1 + number * 7919 % 200_000));
    content
}

fn upload_until(
    over: &AtomicBool,
    server: &Server,
    count: &AtomicUsize,
    acknowledged: &Mutex<Acknowledged>,
) {
    while !over.load(Ordering::Relaxed) {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let parts = FILES.map(|file| {
            part(
                "f",
                Some(&format!("{number}{file}")),
                &content(number, file),
            )
        });
        if let Some(urls) = answered(server, &post("/upload", "", &form(&parts))) {
            acknowledged.lock().unwrap().insert(number, urls);
        }
    }
}

/// The files' URLs, if the whole answer came.
fn answered(server: &Server, request: &[u8]) -> Option<Vec<String>> {
    let mut stream = std::net::TcpStream::connect(server.address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream.write_all(request).ok()?;
    let reply = Reply::try_read(&mut stream).ok()?;
    assert_eq!(reply.status, 201, "{reply:?}");
    let files = reply.json()["files"].as_array().unwrap().clone();
    Some(
        files
            .iter()
            .map(|file| file["url"].as_str().unwrap().to_owned())
            .collect(),
    )
}

fn check(server: &Server, acknowledged: &Acknowledged) {
    assert!(
        server.under_way().is_empty(),
        "left over: {:?}",
        server.under_way()
    );
    let mut visible: HashMap<usize, Vec<String>> = HashMap::new();
    for name in server.files() {
        let (number, file) = name.split_at(name.len() - 1);
        let number = number
            .parse()
            .unwrap_or_else(|_| panic!("a file nobody sent: {name}"));
        assert!(
            server.read(&name) == content(number, file),
            "{name} is not what was sent"
        );
        visible.entry(number).or_default().push(file.to_owned());
    }
    for (number, files) in &visible {
        assert_eq!(files, &FILES, "of form {number} only a part is visible");
    }
    let end = Instant::now() + Duration::from_secs(60);
    for (number, urls) in acknowledged {
        assert!(
            visible.contains_key(number),
            "form {number} was acknowledged and is gone"
        );
        for (url, file) in urls.iter().zip(FILES) {
            assert!(Instant::now() < end, "reading records back takes too long");
            assert!(
                server.get(url).body == content(*number, file),
                "{url} does not lead to {number}{file}"
            );
        }
    }
}
