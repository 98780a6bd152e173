//! `dumbwaiter send` and `dumbwaiter watch` in front of servers that do not do as they say.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::support::ended::ended;
use crate::support::terminal::dumbwaiter;

/// What OPTIONS and POST are answered: an upload can be begun.
const OPTIONS: &str = "204 No Content\r\nAllow: POST\r\nAccept-Patch: application/partial-upload";
const CREATED: &str = "201 Created\r\nLocation: /files/1\r\nContent-Length: 0";

/// A file of so many bytes is sent.
const LENGTH: usize = 1_000;

/// Answers as it was told to, a connection for each request, until its test ends.
struct Hostile {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Hostile {
    /// `says` gives the answer to a method, its status line's HTTP version left out.
    fn that(says: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = answer(client.unwrap(), &says);
            }
        });
        Self { address, asked }
    }

    /// An upload that can be begun; all else is `said`.
    fn upload(said: &'static str) -> Self {
        Self::that(move |method| match method {
            "OPTIONS" => format!("{OPTIONS}\r\n\r\n"),
            "POST" => format!("{CREATED}\r\n\r\n"),
            _ => said.to_owned(),
        })
    }
}

/// Reads a request, its body too, and answers it.
fn answer(mut client: TcpStream, says: &impl Fn(&str) -> String) -> std::io::Result<()> {
    let (mut request, mut some) = (Vec::new(), [0; 4096]);
    let complete = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).to_ascii_lowercase();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let length = lines.find(|(name, _)| *name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        (body.len() >= length).then_some(())
    };
    while complete(&request).is_none() {
        match client.read(&mut some)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&some[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let method = text.split(' ').next().unwrap();
    client.write_all(format!("HTTP/1.1 {}", says(method)).as_bytes())?;
    client.shutdown(Shutdown::Write)
}

fn send(home: &TempDir, server: &Hostile) -> Output {
    std::fs::write(home.path().join("paella.jpg"), [7; LENGTH]).unwrap();
    let url = format!("http://{}/files/", server.address);
    let mut command = dumbwaiter(&["send", "--retry-for", "2s", "paella.jpg", &url]);
    command
        .current_dir(home.path())
        .env("XDG_STATE_HOME", home.path().join("state"));
    ended(&mut command)
}

fn notes(home: &TempDir) -> usize {
    let entries = std::fs::read_dir(home.path().join("state/dumbwaiter/sends")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .count()
}

#[test]
fn nothing_is_said_to_be_there_that_the_server_does_not_say() {
    for (said, code, words, noted) in [
        // It has fewer bytes, and says it is complete.
        (
            "204 No Content\r\nUpload-Offset: 3\r\nUpload-Complete: ?1\r\n\r\n",
            1,
            "has ended it at 3 of its 1000 bytes",
            0,
        ),
        // It has more than there are.
        (
            "204 No Content\r\nUpload-Offset: 9999\r\nUpload-Complete: ?0\r\n\r\n",
            1,
            "has 9999 bytes of it, and only 1000 were sent",
            0,
        ),
        // Another answers, who knows of no uploads: what was begun is not lost by that.
        (
            "200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
            1,
            "does not say how far",
            1,
        ),
        (
            "302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
            1,
            "302 Found",
            1,
        ),
        // It keeps nothing, again and again.
        (
            "204 No Content\r\nUpload-Offset: 0\r\nUpload-Complete: ?0\r\n\r\n",
            3,
            "keeps nothing of what it takes",
            1,
        ),
    ] {
        let (home, server) = (tempfile::tempdir().unwrap(), Hostile::upload(said));
        let output = send(&home, &server);
        let words_said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}: {words_said}");
        assert!(words_said.contains(words), "{said}: {words_said}");
        assert_eq!(output.stdout, b"\n", "{said}");
        assert_eq!(notes(&home), noted, "{said}");
        // As often as its patience allows, and no more.
        let asked = server.asked.load(Ordering::Relaxed);
        assert!(asked < 12, "{said}: {asked}");
    }
}

#[test]
fn an_address_that_a_terminal_would_obey_is_not_printed() {
    let record = "{\"url\":\"/files/\u{9b}2J\u{202e}\"}";
    let said = format!(
        "200 OK\r\nUpload-Complete: ?1\r\nContent-Length: {}\r\n\r\n{record}",
        record.len()
    );
    let (home, server) = (tempfile::tempdir().unwrap(), Hostile::upload(said.leak()));
    let output = send(&home, &server);
    let address = format!("http://{}/files/1\n", server.address);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), address);
}

#[test]
fn a_server_that_wants_to_be_asked_at_once_is_not_asked_without_end() {
    let said = "503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
    let server = Hostile::that(|_| said.to_owned());
    let url = format!("http://{}/uploads/1", server.address);
    let output = ended(&mut dumbwaiter(&["watch", "--retry-for", "2s", &url]));
    assert_eq!(output.status.code(), Some(3));
    let asked = server.asked.load(Ordering::Relaxed);
    assert!((2..=9).contains(&asked), "{asked}");
}
