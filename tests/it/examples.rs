//! The examples, run as their first lines say.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::support::Reply;

#[test]
fn a_handler_of_ones_own_sees_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    // Cargo builds examples with the tests, beside the folder where this test's own binary lies.
    let built = std::env::current_exe().unwrap();
    let example = built
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/own_handler");
    let mut command = Command::new(&example);
    command
        .arg("127.0.0.1:0")
        .current_dir(folder.path())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", example.display()));
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let address = lines.next().unwrap().replace("listening on ", "");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .write_all(
            b"PUT /files/notes.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\na\nb\nc\nd\n",
        )
        .unwrap();
    let reply = Reply::read(&mut stream);
    let said = lines.next();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(reply.status, 201);
    assert_eq!(said.as_deref(), Some("notes.txt has 4 lines"));
    assert_eq!(
        std::fs::read(folder.path().join("uploads/notes.txt")).unwrap(),
        b"a\nb\nc\nd\n"
    );
}
