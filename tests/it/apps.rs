//! The apps and the servers around them as `docs/apps.md` shows them: what stands there is what runs here.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::needs::{leave_out, needs};
use crate::support::{
    Reply, Server, ask, connect_from, eventually, form, noise, part, post, write_for_us_alone,
};

/// The one block of the page in a language.
pub(crate) fn block(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/apps.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("\n```").skip(1).step_by(2);
    let found = blocks.find_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    found
        .unwrap_or_else(|| panic!("no {language} there"))
        .to_owned()
}

/// An app's process, ended when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address at which nobody listens: the apps take no port 0 whose number we would learn.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Starts an app in its folder, and waits until it listens.
fn start(program: &str, args: &[&str], folder: &Path, address: SocketAddr) -> Process {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder);
    let app = command.stdout(Stdio::null()).stderr(Stdio::null());
    let app = Process(app.spawn().unwrap());
    eventually(|| TcpStream::connect(address).is_ok(), |there| *there);
    app
}

/// What takes the app its time.
const UNTIL_TOLD: &str = "const fs = await import('node:fs');
    while (!fs.existsSync('told')) await new Promise((done) => setTimeout(done, 5));";

/// A client at an address of its own.
fn connect(server: &Server) -> TcpStream {
    let client = connect_from(server.address, 9);
    let patience = Some(Duration::from_secs(20));
    client.set_read_timeout(patience).unwrap();
    client
}

fn send(server: &Server, request: &[u8]) -> Reply {
    let mut client = connect(server);
    client.write_all(request).unwrap();
    Reply::read(&mut client)
}

fn picture() -> Vec<u8> {
    let none = part("title", None, b"Paella");
    form(&[none, part("picture", Some("paella.jpg"), &noise(300_000))])
}

#[test]
fn express_gets_the_form_knows_the_client_and_reports() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("client/node_modules");
    if !needs("node") {
        return;
    }
    if !packages.join("express").is_dir() {
        return leave_out("client/node_modules/express");
    }
    let (home, address) = (tempfile::tempdir().unwrap(), free());
    symlink(packages, home.path().join("node_modules")).unwrap();
    let url = format!("http://{address}");
    let server = Server::start(&["--app", &url, "--upload-path", "/upload"]);
    let script = block("js")
        .replace("127.0.0.1:7070", &server.address.to_string())
        .replace("8000", &address.port().to_string())
        .replace("// … whatever takes its time", UNTIL_TOLD);
    std::fs::write(home.path().join("app.mjs"), script).unwrap();
    let _app = start("node", &["app.mjs"], home.path(), address);

    let mut client = connect(&server);
    let request = post("/upload?X-Progress-ID=one", "", &picture());
    client.write_all(&request).unwrap();
    let query = b"GET /_dumbwaiter/uploads?X-Progress-ID=one HTTP/1.1\r\nHost: a\r\n\r\n";
    let record = || send(&server, query).json()[0].clone();
    let reported = eventually(record, |record| !record["phase"]["total"].is_null());
    assert_eq!(reported["state"], "processing");
    assert_eq!(reported["phase"]["name"], "scanning");
    std::fs::write(home.path().join("told"), "").unwrap();
    let reply = Reply::read(&mut client);
    assert_eq!(
        (reply.status, reply.text()),
        (200, "paella.jpg, 300000 bytes, from 127.0.0.9\n")
    );
    let stored = std::fs::read_dir(home.path().join("pictures")).unwrap();
    let stored: Vec<_> = stored.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(stored.len(), 1);
    assert!(std::fs::read(&stored[0]).unwrap() == noise(300_000));
    assert_eq!(record()["state"], "done");
}

#[test]
fn php_moves_the_file_that_dumbwaiter_has_signed_for_and_no_other() {
    if !needs("php") {
        return;
    }
    let (home, address) = (tempfile::tempdir().unwrap(), free());
    let key = home.path().join("app.key");
    write_for_us_alone(&key, "0123456789abcdef0123456789abcdef\n");
    std::fs::create_dir(home.path().join("pictures")).unwrap();
    std::fs::write(home.path().join("upload.php"), block("php")).unwrap();
    let at = address.to_string();
    let _app = start("php", &["-S", &at], home.path(), address);
    let (url, key) = (format!("http://{address}"), key.to_str().unwrap());
    let target = "/upload.php?album=7";
    let paths = ["--app", &url, "--upload-path", "/upload.php"];
    let by_name = ["--give", "reference", "--app-key-file", key];
    let args = [&paths[..], &by_name, &["--app-grace", "0s"]].concat();
    let server = Server::start(&args);
    let taken = home.path().join("pictures/paella.jpg");

    let reply = send(&server, &post(target, "", &picture()));
    assert_eq!(
        (reply.status, reply.text()),
        (200, "paella.jpg, 300000 bytes, from 127.0.0.9\n")
    );
    assert!(std::fs::read(&taken).unwrap() == noise(300_000));
    assert_eq!(server.files(), [""; 0], "it was moved");

    // A field that the app has no use for.
    let other = form(&[part("other", Some("virus.exe"), b"x")]);
    assert_eq!(send(&server, &post(target, "", &other)).status, 422);
    eventually(|| server.files(), Vec::is_empty);

    // Somebody else's word: past us, and through us.
    let lie = b"eyJhbGciOiJub25lIn0.eyJpc3MiOiJkdW1id2FpdGVyIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    let lie = form(&[part("dumbwaiter.statement", None, lie)]);
    let request = String::from_utf8(post(target, "", &lie)).unwrap();
    assert_eq!(ask(address, &request).status, 403);
    let through = send(&server, request.as_bytes());
    assert_eq!((through.status, through.text()), (200, ""));
}
