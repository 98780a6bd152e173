//! A disk that is full or nearly so. These need small file systems of their own.

use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{begun, chunk, put, put_chunks, put_head, refused};
use crate::support::tmpfs::Tmpfs;
use crate::support::{Reply, Server, eventually, form, part};

/// A server on a small file system. The fields are dropped in this order.
struct Small {
    server: Server,
    root: PathBuf,
    _mounted: Tmpfs,
    _folder: TempDir,
}

fn start(options: &str, flags: &[&str]) -> Option<Small> {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Tmpfs::mount(folder.path(), options)?;
    Some(Small {
        server: Server::start_in(&folder.path().join("uploads"), flags),
        root: folder.path().to_owned(),
        _mounted: mounted,
        _folder: folder,
    })
}

/// There is room again, and a small upload finds it. Descriptors of ours may live on in a test's child for a moment.
fn works_again(server: &Server) {
    let reply = eventually(
        || server.send(&put("again", b"there is room")),
        |reply| reply.status == 201,
    );
    let url = reply.json()["url"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&url).body, b"there is room");
}

#[test]
fn a_disk_that_is_full_ends_uploads_at_their_start_or_on_the_way_and_leaves_nothing() {
    let Some(small) = start("size=16m", &["--keep-free", "0", "--keep-free-inodes", "0"]) else {
        return;
    };
    let server = &small.server;
    let large = vec![b'x'; 20 << 20];
    let by_head = put_head("large", large.len());
    let chunks = put_chunks("large", &large.chunks(1 << 20).collect::<Vec<_>>());
    let of_form = crate::support::post("/upload", "", &form(&[part("f", Some("large"), &large)]));
    for request in [&by_head, &chunks, &of_form] {
        // The head alone reserves nothing: the first byte does.
        let reply = server.send(&[&request[..], b"x"].concat());
        assert_eq!(refused(server, &reply, 507), "disk_full");
        assert_eq!(server.files(), [""; 0]);
        works_again(server);
        std::fs::remove_file(server.dir.join("again")).unwrap();
    }
}

#[test]
fn what_is_kept_free_stays_free() {
    let Some(small) = start("size=64m", &["--keep-free", "32MiB"]) else {
        return;
    };
    let server = &small.server;
    // Alone it cannot fit: told by its head.
    let reply = server.send(&put_head("large", 33 << 20));
    assert_eq!(refused(server, &reply, 507), "disk_full");
    assert_eq!(server.send(&put("fits", &[1; 1 << 20])).status, 201);

    // Somebody else uses the disk up while an upload is under way.
    let head = put_chunks("running", &[&[b'x'; 1000]]);
    let mut client = begun(server, server.connect(), &head, "running");
    let filler = small.root.join("filler");
    std::fs::write(&filler, vec![1; 36 << 20]).unwrap();
    let state = || {
        client.write_all(&chunk(b"more")).unwrap();
        let poll = server.get("/uploads?X-Progress-ID=running");
        poll.json()[0]["error"]["code"].clone()
    };
    eventually(state, |code| code == "disk_full");
    let reply = Reply::read(&mut client);
    assert_eq!(refused(server, &reply, 507), "disk_full");
    let reply = server.send(&put_head("another", 1));
    assert_eq!(refused(server, &reply, 507), "disk_full");
    assert_eq!(server.files(), ["fits"]);

    std::fs::remove_file(filler).unwrap();
    works_again(server);
}

#[test]
fn inodes_that_are_kept_free_stay_free() {
    let flags = ["--keep-free", "0", "--keep-free-inodes", "20"];
    let Some(small) = start("size=64m,nr_inodes=60", &flags) else {
        return;
    };
    let server = &small.server;
    let mut stored = Vec::new();
    let reply = loop {
        let name = format!("{}", stored.len());
        let reply = server.send(&put(&name, b"x"));
        match reply.status {
            201 => stored.push(name),
            _ => break reply,
        }
        assert!(stored.len() < 60, "more files than there are inodes");
    };
    assert_eq!(refused(server, &reply, 507), "disk_full");
    let left = rustix::fs::statvfs(&small.root).unwrap().f_favail;
    assert!(left < 60 && !stored.is_empty(), "{left} are left");
    for name in &stored {
        std::fs::remove_file(server.dir.join(name)).unwrap();
    }
    works_again(server);
}

#[test]
fn inodes_that_run_out_end_a_form_whole() {
    let flags = ["--keep-free", "0", "--keep-free-inodes", "0"];
    let Some(small) = start("size=64m,nr_inodes=60", &flags) else {
        return;
    };
    let server = &small.server;
    let files: Vec<_> = (0..60)
        .map(|n| part("f", Some(&format!("{n}")), b"x"))
        .collect();
    let reply = server.post("/upload", "", &form(&files));
    assert_eq!(refused(server, &reply, 507), "disk_full");
    assert_eq!(server.files(), [""; 0]);
    works_again(server);
}
