//! `dumbwaiter watch`: others' uploads under way, on a terminal and without one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::ended::ended;
use crate::support::terminal::{Terminal, dumbwaiter};
use crate::support::tus::{Tus, pair};
use crate::support::{Server, noise};

/// What is sent: a tenth of it is kept at once.
const LENGTH: usize = 10_000_000;

/// A server that tells soon how much it has kept.
fn server() -> Server {
    Server::start(&["--checkpoint-time", "10ms"])
}

fn begin(server: &Server, name: &str) -> Tus {
    let length = Some(LENGTH as u64);
    Tus::create(server.address, length, &pair("filename", name), b"").unwrap()
}

/// The name by which others may see it.
fn watch_of(server: &Server, tus: &Tus) -> String {
    let record = server.get(&format!("/uploads/{}", tus.id())).json();
    record["watch"].as_str().unwrap().to_owned()
}

fn url(server: SocketAddr, watch: &str) -> String {
    format!("http://{server}/uploads/{watch}")
}

fn watch(args: &[&str]) -> Output {
    ended(&mut dumbwaiter(&[&["watch"], args].concat()))
}

/// How many percent a screen shows.
fn percent(screen: &str) -> Option<u64> {
    let (before, _) = screen.split_once(" %")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// The page shows the screen as it is.
fn is_in_the_docs(screen: &str) {
    let page = include_str!("../../docs/terminal.md");
    assert!(page.lines().any(|line| line == screen), "{screen}");
}

#[test]
fn a_bar_rises_stays_where_the_line_was_cut_and_ends_when_the_upload_has_arrived() {
    let server = server();
    let content = noise(LENGTH);
    let mut tus = begin(&server, "paella.jpg");
    let address = url(server.address, &watch_of(&server, &tus));
    let mut terminal = Terminal::run(&dumbwaiter(&["watch", &address]), 24, 130);
    is_in_the_docs(&terminal.shows(|screen| screen.contains("○ Waiting")));

    tus.patch(server.address, 0, "", &content[..LENGTH / 5])
        .unwrap();
    let rising = terminal.shows(|screen| percent(screen) == Some(20));
    assert!(
        rising.contains("━━") && rising.contains("2.0 MB of 10 MB"),
        "{rising}"
    );
    let (from, to) = (LENGTH / 5, LENGTH / 2);
    let line = tus
        .begin_patch(
            server.address,
            from as u64,
            LENGTH - from,
            &content[from..to],
        )
        .unwrap();
    terminal.shows(|screen| percent(screen) == Some(50));
    drop(line);
    is_in_the_docs(&terminal.shows(|screen| screen.contains("5.0 MB are kept.")));

    tus.finish(server.address, &content).unwrap();
    is_in_the_docs(&terminal.shows(|screen| screen.contains("Arrived")));
    assert!(terminal.ends().success());
    let percents: Vec<_> = terminal
        .screens()
        .iter()
        .filter_map(|s| percent(s))
        .collect();
    assert!(
        percents.is_sorted() && percents.iter().all(|percent| *percent < 100),
        "{percents:?}"
    );
    // What the shell says next stands on a line of its own.
    assert_eq!(terminal.cursor(), (true, (1, 0)));
}

#[test]
fn several_uploads_have_a_line_each_also_on_a_narrow_terminal_that_changes() {
    let server = server();
    let names = [
        "a-picture-of-a-very-long-dish.jpg",
        "料理の写真はとても長い名前です.jpg",
    ];
    let uploads = names.map(|name| begin(&server, name));
    let addresses = uploads
        .each_ref()
        .map(|tus| url(server.address, &watch_of(&server, tus)));
    let args = ["watch", &addresses[0], &addresses[1]];
    let mut terminal = Terminal::run(&dumbwaiter(&args), 10, 40);
    terminal.shows(|screen| screen.matches("0 %").count() == 2);
    assert_eq!(
        terminal.screen().lines().count(),
        2,
        "{}",
        terminal.screen()
    );

    let uploads = uploads.map(|mut tus| {
        tus.patch(server.address, 0, "", &noise(LENGTH)[..LENGTH / 5])
            .unwrap();
        drop(
            tus.begin_patch(server.address, tus.told, LENGTH / 2, b"x")
                .unwrap(),
        );
        tus
    });
    let narrow = terminal.shows(|screen| screen.matches("20 % · ❙❙ Waiting").count() == 2);
    assert_eq!(narrow.lines().count(), 2, "{narrow}");

    terminal.resize(10, 110);
    for mut tus in uploads {
        tus.head(server.address).unwrap();
        let more = LENGTH / 2 - usize::try_from(tus.told).unwrap();
        tus.patch(server.address, tus.told, "", &noise(more))
            .unwrap();
    }
    let wide = terminal.shows(|screen| screen.matches("50 %  5.0 MB of 10 MB").count() == 2);
    assert!(wide.lines().count() == 2 && wide.contains("━━"), "{wide}");
    terminal.press(b"\x03");
    assert_eq!(terminal.ends().code(), Some(130));
}

#[test]
fn ctrl_c_ends_the_watching_and_not_the_upload() {
    let server = server();
    let mut tus = begin(&server, "paella.jpg");
    let address = format!("http://{}/files/{}", server.address, tus.id());
    let mut terminal = Terminal::run(&dumbwaiter(&["watch", &address]), 24, 80);
    terminal.shows(|screen| screen.contains("○ Waiting"));
    terminal.press(b"\x03");
    assert_eq!(terminal.ends().code(), Some(130));
    let (visible, (row, column)) = terminal.cursor();
    let below = u16::try_from(terminal.screen().lines().count()).unwrap();
    assert!(visible && (row, column) == (below, 0), "{row} {column}");
    assert!(
        terminal.screen().contains("○ Waiting"),
        "what was known stays"
    );
    tus.finish(server.address, &noise(LENGTH)).unwrap();
}

#[test]
fn what_a_name_would_tell_a_terminal_to_do_is_not_done() {
    let server = server();
    let tus = begin(&server, "a\u{1b}]0;b\u{7}\u{1b}[2J\u{9b}2J\u{202e}c.jpg");
    let address = url(server.address, &watch_of(&server, &tus));
    let terminal = Terminal::run(&dumbwaiter(&["watch", &address]), 24, 110);
    terminal.shows(|screen| screen.contains("c.jpg"));
    let bytes = terminal.bytes();
    for evil in ["\u{1b}]", "\u{1b}[2J", "\u{7}", "\u{9b}", "\u{202e}"] {
        let evil = evil.as_bytes();
        assert!(
            !bytes.windows(evil.len()).any(|some| some == evil),
            "{evil:?}"
        );
    }
}

/// The lines that a process writes, as they come.
struct Lines {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Lines {
    fn of(args: &[&str], which: impl Fn(&mut Child) -> Box<dyn Read + Send>) -> Self {
        let mut command: Command = dumbwaiter(args);
        let command = command.stdin(Stdio::null());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(which(&mut child));
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = output.lines().map_while(Result::ok);
            lines.all(|line| tell.send(line).is_ok())
        });
        Self { child, lines }
    }

    fn of_errors(args: &[&str]) -> Self {
        Self::of(args, |child| Box::new(child.stderr.take().unwrap()))
    }

    fn of_results(args: &[&str]) -> Self {
        Self::of(args, |child| Box::new(child.stdout.take().unwrap()))
    }

    /// Reads on to a line that is such.
    fn until(&mut self, is_such: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            match line.expect("it says no more") {
                line if is_such(&line) => return line,
                _ => {}
            }
        }
    }

    /// Waits for its end, behind which it says nothing.
    fn ends_well(mut self) {
        let more = self.lines.recv_timeout(Duration::from_secs(60));
        assert_eq!(more, Err(RecvTimeoutError::Disconnected));
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_a_terminal_there_are_lines_and_no_codes_for_one() {
    let server = server();
    let mut tus = begin(&server, "paella.jpg");
    let address = url(server.address, &watch_of(&server, &tus));
    let mut lines = Lines::of_errors(&["watch", &address]);
    let first = lines.until(|_| true);
    assert_eq!(first, "paella.jpg   0 %  0 bytes of 10 MB · ○ Waiting");
    let content = noise(LENGTH);
    let line = tus
        .begin_patch(server.address, 0, LENGTH, &content[..LENGTH / 2])
        .unwrap();
    lines.until(|line| line.contains("paella.jpg") && !line.contains("Waiting"));
    drop(line);
    lines.until(|line| line.contains("❙❙ Waiting for the connection."));
    tus.finish(server.address, &content).unwrap();
    let last = lines.until(|line| line.starts_with('✓'));
    assert_eq!(last, "✓ paella.jpg  10 MB  Arrived");
    lines.ends_well();
}

#[test]
fn quiet_says_nothing_of_what_goes_well() {
    let server = server();
    let mut tus = begin(&server, "paella.jpg");
    tus.finish(server.address, &noise(LENGTH)).unwrap();
    let output = watch(&["--quiet", &url(server.address, tus.id())]);
    assert!(output.status.success());
    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
}

#[test]
fn each_record_is_a_line_of_json_where_that_is_asked_for() {
    let server = server();
    let mut tus = begin(&server, "paella.jpg");
    let mut lines = Lines::of_results(&["watch", "--json", &url(server.address, tus.id())]);
    let first: Value = serde_json::from_str(&lines.until(|_| true)).unwrap();
    assert_eq!(
        (&first["state"], &first["length"]),
        (&"starting".into(), &LENGTH.into())
    );
    tus.finish(server.address, &noise(LENGTH)).unwrap();
    let last = lines.until(|line| line.contains(r#""state":"done""#));
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(
        (&last["offset"], &last["id"]),
        (&LENGTH.into(), &tus.id().into())
    );
    lines.ends_well();
}

#[test]
fn how_it_ends_is_told_by_the_exit_code() {
    let server = Server::start(&["--watch-wait", "0s"]);
    let mut arrived = begin(&server, "paella.jpg");
    arrived.finish(server.address, &noise(LENGTH)).unwrap();
    let ended = begin(&server, "burnt.jpg");
    let watched = watch_of(&server, &ended);
    ended.terminate(server.address).unwrap();
    let [arrived, ended] = [arrived.id(), &watched].map(|name| url(server.address, name));
    let unknown = url(server.address, "00000000000000000000000000000000");
    // A port that was free a moment ago: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = url(nobody, "00000000000000000000000000000000");
    let page = format!("http://{}/", server.address);
    let cases: [(&[&str], i32, &str); 7] = [
        (&[&arrived], 0, "✓ paella.jpg  10 MB  Arrived\n"),
        (&[&ended], 1, "! burnt.jpg: "),
        (&[&unknown], 1, "no upload of that name is known there"),
        (&[&arrived, &unknown], 1, "✓ paella.jpg"),
        (&[&page], 2, "names no upload"),
        (&[], 2, "required"),
        (&["--retry-for", "0s", &nobody], 3, "cannot reach"),
    ];
    for (args, code, words) in cases {
        let output = watch(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn long_words_of_a_failure_are_told_whole_on_a_narrow_terminal() {
    let server = Server::start(&["--watch-wait", "0s"]);
    let arrived = {
        let mut tus = begin(&server, "paella.jpg");
        tus.finish(server.address, &noise(LENGTH)).unwrap();
        url(server.address, tus.id())
    };
    let unknown = url(server.address, "00000000000000000000000000000000");
    let burnt = begin(&server, "burnt-to-a-cinder-and-thrown-away.jpg");
    let watched = url(server.address, &watch_of(&server, &burnt));
    burnt.terminate(server.address).unwrap();
    let args = ["watch", &arrived, &unknown, &watched];
    let mut terminal = Terminal::run(&dumbwaiter(&args), 20, 40);
    assert_eq!(terminal.ends().code(), Some(1));
    let screen = terminal.screen().replace('\n', "");
    for words in [
        "✓ paella.jpg",
        "is known there",
        "thrown-away.jpg: ",
        "cancelled",
    ] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
}

/// Leads connections on to a server which may become another; what asks goes through `edit`.
struct Relay {
    address: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(server: SocketAddr, edit: fn(Vec<u8>) -> Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            to: Arc::new(Mutex::new(server)),
            open: Arc::default(),
        };
        let (to, open) = (Arc::clone(&relay.to), Arc::clone(&relay.open));
        // It ends with the process, since nobody can wake it.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let to = *to.lock().unwrap();
                lead(client.unwrap(), to, &open, edit);
            }
        });
        relay
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A request in one piece comes, an answer in many goes back.
fn lead(
    mut client: TcpStream,
    to: SocketAddr,
    open: &Mutex<Vec<TcpStream>>,
    edit: fn(Vec<u8>) -> Vec<u8>,
) {
    let Ok(mut server) = TcpStream::connect(to) else {
        return;
    };
    open.lock().unwrap().push(client.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(client.read(&mut byte), Ok(1)) {
            head.extend_from_slice(&byte);
        }
        let _ = server.write_all(&edit(head));
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_cut_line_and_a_server_that_starts_again_are_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--checkpoint-time", "10ms"];
    let server = Server::start_in(folder.path(), &args);
    let content = noise(LENGTH);
    let mut tus = begin(&server, "paella.jpg");
    let watched = watch_of(&server, &tus);
    let relay = Relay::to(server.address, |head| head);
    let mut lines = Lines::of_errors(&["watch", &url(relay.address, &watched)]);
    lines.until(|line| line.contains("○ Waiting"));
    tus.patch(server.address, 0, "", &content[..LENGTH / 2])
        .unwrap();
    drop(server);
    lines.until(|line| line.contains("No news: "));

    let server = Server::start_in(folder.path(), &args);
    *relay.to.lock().unwrap() = server.address;
    lines.until(|line| line.contains("50 %") && line.contains("5.0 MB are kept"));
    relay.cut();
    lines.until(|line| line.contains("No news: "));
    // Nothing has changed since, but the server is there.
    lines.until(|line| line.contains("5.0 MB are kept"));
    tus.finish(server.address, &content).unwrap();
    lines.until(|line| line == "✓ paella.jpg  10 MB  Arrived");
    lines.ends_well();
}

#[test]
fn where_no_stream_comes_through_it_is_asked_again_and_again() {
    let server = server();
    let mut tus = begin(&server, "paella.jpg");
    let no_streams = |head: Vec<u8>| {
        let head = String::from_utf8(head).unwrap();
        head.replace("text/event-stream", "application/json")
            .into_bytes()
    };
    let relay = Relay::to(server.address, no_streams);
    let mut lines = Lines::of_errors(&["watch", &url(relay.address, tus.id())]);
    lines.until(|line| line.contains("○ Waiting"));
    tus.finish(server.address, &noise(LENGTH)).unwrap();
    lines.until(|line| line == "✓ paella.jpg  10 MB  Arrived");
    lines.ends_well();
}

/// Whoever comes is answered so, and then in the same way without an end.
fn answers_for_ever(head: &'static str, more: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = client.read(&mut request);
        let _ = client.write_all(head.as_bytes());
        let more = more.repeat(64 * 1024 / more.len());
        while client.write_all(more.as_bytes()).is_ok() {}
    });
    address
}

#[test]
fn a_server_without_bounds_is_left() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
    for (head, more, words) in [
        (stream, "data: xxxxxxxx\n", "an event of more than"),
        (stream, "x", "an event of more than"),
        (stream, "data: {}\n\n", "is no Dumbwaiter"),
        (page, "<p>", "is no Dumbwaiter"),
    ] {
        let output = watch(&[&url(answers_for_ever(head, more), "1")]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{head}{more}: {said}");
        assert!(said.contains(words), "{head}{more}: {said}");
    }
}
