//! `dumbwaiter send`: files that arrive, also over a line that breaks and by a process that is killed.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::certificate::certificate;
use crate::support::ended::ended;
use crate::support::line::Line;
use crate::support::needs::needs;
use crate::support::nginx::Nginx;
use crate::support::terminal::{Terminal, dumbwaiter};
use crate::support::{Server, ask_for, eventually, noise, write_for_us_alone};

/// What is sent, and after how much of it the line holds or breaks.
const LENGTH: usize = 12_000_000;
const PART: u64 = 3_000_000;

/// More than sockets hold between a file and a line that holds.
const LARGE: usize = 40_000_000;

/// What requests' heads may add to the bytes of a file.
const HEADS: u64 = 100_000;

/// Somebody's machine: files, and a place for notes.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn send(&self, args: &[&str]) -> Command {
        let mut command = dumbwaiter(&[&["send"], args].concat());
        command
            .current_dir(self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env_remove("DUMBWAITER_SEND_TOKEN")
            .env_remove("DUMBWAITER_SEND_TICKET");
        command
    }

    fn notes(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("state/dumbwaiter/sends"));
        let paths = entries.into_iter().flatten().map(|e| e.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect()
    }

    /// The id of the upload that is noted.
    fn id(&self) -> String {
        let noted = || {
            let text = fs::read_to_string(self.notes().first()?).ok()?;
            let note: Value = serde_json::from_str(&text).ok()?;
            Some(note["upload"].as_str()?.rsplit('/').next()?.to_owned())
        };
        eventually(noted, Option::is_some).unwrap()
    }

    /// Begins to send a file over a line that holds, and waits until the server has kept some of it.
    fn begin(&self, server: &Server, line: &Line, args: &[&str]) -> (Running, u64) {
        line.hold_after(PART);
        let url = line.url();
        let running = Running(
            self.send(&[args, &[&url]].concat())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let id = self.id();
        // All that the line lets through, but for the heads.
        let kept = eventually(|| offset(server, &id), |offset| *offset > PART - HEADS);
        (running, kept)
    }
}

fn offset(server: &Server, id: &str) -> u64 {
    let record = server.get(&format!("/uploads/{id}")).json();
    record["offset"].as_u64().unwrap_or(0)
}

/// A process that is killed when it is dropped.
struct Running(Child);

impl Running {
    fn said(mut self) -> Output {
        let status = eventually(|| self.0.try_wait().unwrap(), Option::is_some).unwrap();
        let mut stderr = Vec::new();
        let mut pipe = self.0.stderr.take().unwrap();
        std::io::Read::read_to_end(&mut pipe, &mut stderr).unwrap();
        Output {
            status,
            stdout: Vec::new(),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that keeps what comes at once.
fn server() -> Server {
    Server::start(&["--checkpoint-time", "10ms"])
}

fn page(server: &Server) -> String {
    format!("http://{}/", server.address)
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The addresses that were printed, of a command that has ended well.
fn urls(output: &Output) -> Vec<String> {
    assert_eq!(output.status.code(), Some(0), "{}", words(output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What the server gives back at an address, whichever line leads there.
fn fetched(server: &Server, url: &str) -> Vec<u8> {
    let (_, target) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    server.get(&format!("/{target}")).body
}

#[test]
fn files_of_any_name_and_size_arrive_and_their_addresses_are_printed_in_order() {
    let home = Home::new();
    let files = [
        ("paella 料理.jpg", noise(LENGTH / 2)),
        ("empty", Vec::new()),
        ("./-dash'\"%;.txt", b"x".to_vec()),
        ("last", noise(70_000)),
    ];
    for (name, content) in &files {
        home.file(name, content);
    }
    for given in ["", "files/", "files", "upload"] {
        let server = server();
        let url = format!("{}{given}", page(&server));
        let names = files.each_ref().map(|(name, _)| *name);
        let output = ended(&mut home.send(&[
            "--at-once",
            "2",
            names[0],
            names[1],
            names[2],
            names[3],
            &url,
        ]));
        let urls = urls(&output);
        assert_eq!(urls.len(), files.len(), "{urls:?}");
        for (url, (name, content)) in urls.iter().zip(&files) {
            assert!(fetched(&server, url) == *content, "{name}");
        }
        let id = urls[0].rsplit('/').next().unwrap();
        let record = server.get(&format!("/uploads/{id}")).json();
        assert_eq!(record["protocol"], "ietf");
        assert_eq!(record["files"][0]["name"], "paella 料理.jpg");
        assert!(home.notes().is_empty());
    }
}

#[test]
fn what_a_killed_process_has_sent_is_not_sent_again() {
    let (server, home) = (server(), Home::new());
    let (line, content) = (Line::to(server.address), noise(LENGTH));
    home.file("paella.jpg", &content);
    let (running, kept) = home.begin(&server, &line, &["paella.jpg"]);
    let id = home.id();
    drop(running);
    line.cut_and_release();

    let output = ended(&mut home.send(&["paella.jpg", &line.url()]));
    let urls = urls(&output);
    assert_eq!(urls, [format!("{}files/{id}", line.url())]);
    assert!(words(&output).contains("goes on at "), "{}", words(&output));
    assert!(
        line.up() < LENGTH as u64 - kept + HEADS,
        "{} after {kept}",
        line.up()
    );
    assert!(server.read("paella.jpg") == content);
    assert_eq!(server.files(), ["paella.jpg"]);
    assert!(home.notes().is_empty());
}

#[test]
fn a_note_is_its_owners_alone_and_holds_no_token() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, home) = (server(), Home::new());
    let line = Line::to(server.address);
    home.file("paella.jpg", &noise(LENGTH));
    let token = home.file("token", b"# mine\nsecret-secret-secret\n");
    let args = ["--token-file", token.to_str().unwrap(), "paella.jpg"];
    let (_running, _) = home.begin(&server, &line, &args);
    let note = home.notes().remove(0);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&note), mode(note.parent().unwrap())), (0o600, 0o700));
    assert!(!fs::read_to_string(note).unwrap().contains("secret"));
}

#[test]
fn over_a_line_that_breaks_a_file_goes_on_where_it_was() {
    goes_on_after_a_break(&[], "ietf");
}

#[test]
fn a_server_that_speaks_tus_alone_is_sent_to_by_tus() {
    const IETF: &[(&str, &str)] = &[
        ("accept-patch", "x-hide-patch"),
        ("upload-limit", "x-hide-limit"),
    ];
    goes_on_after_a_break(IETF, "tus");
}

fn goes_on_after_a_break(hidden: &'static [(&'static str, &'static str)], protocol: &str) {
    let (server, home) = (server(), Home::new());
    let line = Line::hiding(server.address, hidden);
    let content = noise(LENGTH);
    home.file("paella 料.jpg", &content);
    for args in [&[][..], &["--checksum"]] {
        line.release();
        line.break_after(PART);
        let output = ended(&mut home.send(&[args, &["paella 料.jpg", &line.url()]].concat()));
        let urls = urls(&output);
        let said = words(&output);
        assert!(said.contains("trying again"), "{said}");
        assert!(fetched(&server, &urls[0]) == content);
        // What is checked piece by piece is kept by whole pieces.
        let twice = line.up().saturating_sub(LENGTH as u64);
        assert!(twice < PART + HEADS, "{twice}");
        if args.is_empty() {
            assert!(said.contains("goes on at "), "{said}");
            assert!(twice < 1_000_000, "{twice}");
        }
        let id = urls[0].rsplit('/').next().unwrap();
        let record = server.get(&format!("/uploads/{id}")).json();
        assert_eq!(record["protocol"], protocol);
        assert_eq!(
            record["files"][0]["name"]
                .as_str()
                .map(|n| n.starts_with("paella 料")),
            Some(true)
        );
    }
}

#[test]
fn standard_input_goes_on_over_a_break_too() {
    let (server, home) = (server(), Home::new());
    let line = Line::to(server.address);
    // More than is kept in memory of it.
    let content = noise(LENGTH);
    for args in [&["--name", "soup"][..], &["--checksum"]] {
        line.release();
        line.break_after(PART);
        let url = line.url();
        let mut command = home.send(&[args, &["--retry-for", "20s", "-", &url]].concat());
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let given = content.clone();
        let giver = std::thread::spawn(move || stdin.write_all(&given));
        let output = child.wait_with_output().unwrap();
        giver.join().unwrap().unwrap();
        let urls = urls(&output);
        assert!(
            words(&output).contains("trying again"),
            "{}",
            words(&output)
        );
        assert!(fetched(&server, &urls[0]) == content);
    }
    assert_eq!(server.read("soup").len(), LENGTH);
}

#[test]
fn a_server_that_comes_back_is_gone_on_with() {
    let (server, home) = (server(), Home::new());
    let line = Line::to(server.address);
    let content = noise(LENGTH);
    home.file("paella.jpg", &content);
    let (running, _) = home.begin(&server, &line, &["paella.jpg"]);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    let mut server = server;
    server.kill();
    fs::rename(&server.dir, &dir).unwrap();
    let again = Server::start_in(&dir, &["--checkpoint-time", "10ms"]);
    line.lead_to(again.address);
    line.release();
    let output = running.said();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("goes on at "), "{}", words(&output));
    assert!(again.read("paella.jpg") == content);
}

#[test]
fn a_file_that_has_changed_between_two_runs_begins_anew() {
    let (server, home) = (server(), Home::new());
    let line = Line::to(server.address);
    home.file("paella.jpg", &noise(LENGTH));
    let (running, _) = home.begin(&server, &line, &["paella.jpg"]);
    drop(running);
    line.cut_and_release();
    home.file("paella.jpg", b"soup");
    let output = ended(&mut home.send(&["paella.jpg", &line.url()]));
    assert_eq!(urls(&output).len(), 1);
    let said = words(&output);
    assert!(
        said.contains("paella.jpg has changed since it was begun, and begins anew"),
        "{said}"
    );
    assert_eq!(server.read("paella.jpg"), b"soup");
}

#[test]
fn a_file_that_changes_while_it_is_sent_never_arrives_as_a_mixture() {
    for args in [&["paella.jpg"][..], &["--checksum", "paella.jpg"]] {
        let (server, home) = (server(), Home::new());
        let line = Line::to(server.address);
        let path = home.file("paella.jpg", &noise(LARGE));
        let (running, _) = home.begin(&server, &line, args);
        // As long as before, and other from its middle on.
        let mut other = noise(LARGE);
        other[LARGE / 2..].fill(b'x');
        fs::write(&path, &other).unwrap();
        line.release();
        let output = running.said();
        let said = words(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.contains("has changed while it was sent, and begins anew"),
            "{said}"
        );
        assert_eq!(server.files(), ["paella.jpg"]);
        assert!(server.read("paella.jpg") == other);
    }
}

#[test]
fn an_upload_that_the_server_no_longer_has_begins_anew() {
    let (server, home) = (server(), Home::new());
    let line = Line::to(server.address);
    let content = noise(LENGTH);
    home.file("paella.jpg", &content);
    let (running, _) = home.begin(&server, &line, &["paella.jpg"]);
    drop(running);
    let gone = ask_for(
        server.address,
        "DELETE",
        &format!("/files/{}", home.id()),
        None,
    );
    assert_eq!(gone.status, 204);
    line.cut_and_release();
    let output = ended(&mut home.send(&["paella.jpg", &line.url()]));
    assert_eq!(urls(&output).len(), 1);
    let said = words(&output);
    assert!(
        said.contains("is not there any more, and begins anew"),
        "{said}"
    );
    assert!(server.read("paella.jpg") == content);
}

#[test]
fn two_processes_do_not_send_one_file_to_one_server() {
    let (server, home) = (server(), Home::new());
    let line = Line::to(server.address);
    home.file("paella.jpg", &noise(LENGTH));
    let (_running, _) = home.begin(&server, &line, &["paella.jpg"]);
    line.let_others_pass();
    let output = ended(&mut home.send(&["paella.jpg", &line.url()]));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words(&output).contains("by another process already"),
        "{}",
        words(&output)
    );
}

#[test]
fn limits_of_the_server_are_kept_to() {
    let args = ["--max-request-size", "1MB", "--max-file-size", "5MB"];
    let (server, home) = (Server::start(&args), Home::new());
    let line = Line::to(server.address);
    let content = noise(4_500_000);
    home.file("fits", &content);
    home.file("large", &noise(5_000_001));
    urls(&ended(&mut home.send(&["fits", &line.url()])));
    assert!(server.read("fits") == content);
    line.release();
    let output = ended(&mut home.send(&["large", &line.url()]));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words(&output).contains("it is larger than the 5.0 MB taken there"),
        "{}",
        words(&output)
    );
    assert!(line.up() < HEADS);
}

#[test]
fn who_has_no_right_is_told_so_and_loses_nothing() {
    let home = Home::new();
    let tokens = home.folder.path().join("tokens");
    write_for_us_alone(&tokens, "secret-secret-secret\n");
    let server = Server::start(&["--token", tokens.to_str().unwrap()]);
    home.file("x", b"x");
    let url = page(&server);
    let output = ended(&mut home.send(&["x", &url]));
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("token"), "{}", words(&output));
    let output = ended(
        home.send(&["x", &url])
            .env("DUMBWAITER_SEND_TOKEN", "wrong-wrong-wrong"),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !words(&output).contains("wrong-wrong"),
        "{}",
        words(&output)
    );
    for variable in ["DUMBWAITER_SEND_TOKEN", "DUMBWAITER_SEND_TICKET"] {
        urls(&ended(
            home.send(&["x", &url])
                .env(variable, "secret-secret-secret"),
        ));
    }
    for flag in ["--token-file", "--ticket-file"] {
        urls(&ended(&mut home.send(&[
            flag,
            tokens.to_str().unwrap(),
            "x",
            &url,
        ])));
    }
    assert_eq!(server.files().len(), 4);
}

#[test]
fn exit_codes_tell_a_refusal_from_a_server_that_is_not_there_and_from_nonsense() {
    let (server, home) = (server(), Home::new());
    home.file("x", b"x");
    let url = page(&server);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    for (args, code, said) in [
        (&["x", &url][..], 0, "x"),
        (&["nothing", &url], 1, "cannot be read"),
        (&[".", &url], 1, "it is no file"),
        (&["x", &format!("{url}nowhere/")], 1, "takes no uploads"),
        (&["--token-file", "nothing", "x", &url], 1, "nothing"),
        (&[&url], 2, "required"),
        (&[], 2, "required"),
        (&["x", "ftp://a/"], 2, "does not begin with http"),
        (&["x", "http://u:p@a/"], 2, "by others"),
        (&["--name", "y", "x", "x", &url], 2, "one file alone"),
        (&["-", "-", &url], 2, "one standard input"),
        (&["--at-once", "0", "x", &url], 2, "from 1 to 100"),
        (&["--at-once", "101", "x", &url], 2, "from 1 to 100"),
        (&["--retry-for", "0s", "x", &away], 3, "cannot reach"),
    ] {
        let output = ended(&mut home.send(args));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            words(&output)
        );
        assert!(
            words(&output).contains(said),
            "{args:?}: {}",
            words(&output)
        );
    }
    // What can be sent is, and the rest has an empty line.
    let output = ended(&mut home.send(&["--quiet", "nothing", "x", &url]));
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("\nhttp://"), "{printed:?}");
    assert_eq!(words(&ended(&mut home.send(&["--quiet", "x", &url]))), "");
}

#[test]
fn a_bar_rises_and_ctrl_c_leaves_what_the_same_command_goes_on_with() {
    let (server, home) = (server(), Home::new());
    let line = Line::to(server.address);
    let content = noise(LENGTH);
    home.file("paella.jpg", &content);
    line.hold_after(PART);
    let mut terminal = Terminal::run(&home.send(&["paella.jpg", &line.url()]), 24, 110);
    terminal.shows(|screen| screen.contains("paella.jpg") && screen.contains("━"));
    let id = home.id();
    let kept = eventually(|| offset(&server, &id), |offset| *offset > PART - HEADS);
    terminal.press(b"\x03");
    assert_eq!(terminal.ends().code(), Some(130));
    let screen = terminal.screen();
    assert!(
        screen.contains("stopped; the same command goes on"),
        "{screen}"
    );
    assert!(terminal.cursor().0);

    line.cut_and_release();
    let mut terminal = Terminal::run(&home.send(&["paella.jpg", &line.url()]), 24, 110);
    terminal.shows(|screen| screen.contains("✓ paella.jpg  12 MB"));
    assert!(terminal.ends().success());
    let screen = terminal.screen();
    assert!(
        screen.contains(&format!("{}files/{id}", line.url())),
        "{screen}"
    );
    assert!(line.up() < LENGTH as u64 - kept + HEADS);
    assert!(server.read("paella.jpg") == content);
}

#[test]
fn over_tls_a_server_is_believed_by_its_certificate_alone() {
    if !needs("nginx") || !needs("openssl") {
        return;
    }
    let (server, home) = (server(), Home::new());
    let content = noise(LENGTH);
    home.file("paella.jpg", &content);
    let (certificate, other) = (
        certificate(home.folder.path(), "ours"),
        certificate(home.folder.path(), "other"),
    );
    let pem = certificate.display();
    let key = certificate.with_extension("key");
    // It says nowhere that it stands in between.
    let nginx = Nginx::start(|_, listen| {
        format!(
            "server {{ listen {listen} ssl; ssl_certificate {pem}; ssl_certificate_key {};\n\
             client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;\n\
             location / {{ proxy_pass http://{}; proxy_set_header Host a; }} }}",
            key.display(),
            server.address
        )
    });
    let url = format!("https://{}/", nginx.address);
    let send = |trusted: &Path| {
        let mut command = home.send(&["--retry-for", "0s", "paella.jpg", &url]);
        ended(
            command
                .env("SSL_CERT_FILE", trusted)
                .env_remove("SSL_CERT_DIR"),
        )
    };
    let output = send(&other);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(
        words(&output).contains("is not who it says"),
        "{}",
        words(&output)
    );
    assert!(server.files().is_empty());
    let urls = urls(&send(&certificate));
    assert!(urls[0].starts_with(&url), "{urls:?}");
    assert!(server.read("paella.jpg") == content);
}
