//! What is refused at the start.

use std::net::TcpListener;
use std::process::Command;

use crate::support::Server;
use crate::support::ended::ended;

/// Starts with options that cannot be; what it said.
fn refused(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command
        .arg("--dir")
        .arg(folder.path().join("uploads"))
        .args(args);
    let output = ended(&mut command);
    assert!(!output.status.success(), "{args:?}");
    assert!(!folder.path().join("uploads").exists(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A port that was free a moment ago.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn an_app_that_is_our_own_listener_is_refused() {
    let port = port();
    for (listen, app) in [
        ("127.0.0.1", "http://127.0.0.1"),
        ("127.0.0.1", "http://localhost"),
        ("0.0.0.0", "http://127.0.0.1"),
        ("[::]", "http://localhost"),
    ] {
        let (listen, app) = (format!("{listen}:{port}"), format!("{app}:{port}"));
        let said = refused(&["--allow-anyone", "--listen", &listen, "--app", &app]);
        assert!(said.contains("leads back here"), "{said}");
    }
    let beside = format!("127.0.0.1:{port}");
    for option in ["--admin-listen", "--probe-listen"] {
        let app = format!("http://{beside}");
        let said = refused(&["--listen", "127.0.0.1:0", option, &beside, "--app", &app]);
        assert!(said.contains("leads back here"), "{said}");
    }
}

#[test]
fn what_makes_no_sense_with_an_app_or_without_one_is_refused() {
    let app = ["--listen", "127.0.0.1:0", "--app", "http://127.0.0.1:9"];
    let with = |more: &[&str]| refused(&[&app[..], more].concat());
    assert!(with(&["--base", "/"]).contains("leaves no path"));
    assert!(with(&["--upload-path", "form"]).contains("a path such as /upload"));
    assert!(refused(&["--upload-path", "/form"]).contains("--app URL"));
    assert!(refused(&["--poll-path", "/poll"]).contains("--app URL"));
    for (url, why) in [
        ("http://me:secret@127.0.0.1:9", "must not hold"),
        ("http://127.0.0.1:9/?x=1", "has a query"),
        ("ftp://127.0.0.1", "is no address"),
        ("unix:app.sock", "absolute"),
    ] {
        let said = refused(&["--listen", "127.0.0.1:0", "--app", url]);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn an_app_that_comes_later_is_waited_for_with_a_word_in_the_log() {
    let port = port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    let folder = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    command.env("DUMBWAITER_LOG", "warn").stderr(log);
    let app = format!("http://127.0.0.1:{port}");
    let dir = folder.path().join("uploads");
    let server = Server::start_by(command, &dir, &["--app", &app]);
    let said = crate::support::eventually(
        || std::fs::read_to_string(folder.path().join("log")).unwrap(),
        |said| said.contains("the app is not there yet"),
    );
    assert!(
        said.contains(&format!("127.0.0.1:{port} cannot be reached")),
        "{said}"
    );
    let app = crate::support::app::App::start_at(([127, 0, 0, 1], port).into());
    assert_eq!(server.get("/").status, 200);
    assert_eq!(app.only().target(), "/");
}
