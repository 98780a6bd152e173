//! The memory in which uploads are read, seen in the system calls.

use super::put;
use crate::support::needs::needs;
use crate::support::traced::{stop_traced, traced};
use crate::support::{Server, noise};

/// The most bytes that one read brought of an upload of 8 MiB.
fn largest_read(memory: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let how = ["-s", "0", "-e", "trace=read,recvfrom,recvmsg"];
    let strace = traced(&how, &log, env!("CARGO_BIN_EXE_dumbwaiter"));
    let uploads = folder.path().join("uploads");
    let mut server = Server::start_by(strace, &uploads, &["--read-memory", memory]);
    let body = noise(8 << 20);
    assert_eq!(server.send(&put("a", &body)).status, 201);
    stop_traced(server.pid());
    server.wait();
    assert_eq!(std::fs::read(uploads.join("a")).unwrap(), body);
    let log = std::fs::read_to_string(&log).unwrap();
    let brought = log.lines().filter_map(|line| line.rsplit_once(" = "));
    let bytes = brought.filter_map(|(_, bytes)| bytes.parse().ok());
    bytes.max().unwrap()
}

#[test]
fn an_upload_is_read_in_as_much_as_there_is_and_in_16_kib_when_there_is_none() {
    if !needs("strace") {
        return;
    }
    assert_eq!(largest_read("0"), 16 << 10);
    assert!(largest_read("64MiB") > 64 << 10);
}
