//! `dumbwaiter adopt`: the folder of a tusd becomes ours. The folders are laid out as tusd's file store describes them; no
//! tusd is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use dumbwaiter::UploadId;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::store::{temporary, visible};
use crate::support::tmpfs::Tmpfs;
use crate::support::tus::{Tus, pair};
use crate::support::{Server, noise};

const ID: &str = "5d89b2a3c4e5f60718293a4b5c6d7e8f";
const OTHER: &str = "00000000000000000000000000000001";

/// A folder with one for tusd's uploads and one for ours.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tusd")).unwrap();
        Self { folder }
    }

    fn tusd(&self) -> PathBuf {
        self.folder.path().join("tusd")
    }

    fn ours(&self) -> PathBuf {
        self.folder.path().join("uploads")
    }

    /// An upload as tusd keeps it, `changes` made to what it says of it.
    fn lay(&self, id: &str, size: usize, bytes: &[u8], changes: &Value) {
        let mut info = json!({
            "ID": id, "Size": size, "SizeIsDeferred": false, "Offset": 0,
            "MetaData": {"filename": "paella.jpg", "filetype": "image/jpeg", "note": ""},
            "IsPartial": false, "IsFinal": false, "PartialUploads": null,
            "Storage": {"InfoPath": format!("/srv/tusd/{id}.info"), "Path": format!("/srv/tusd/{id}"), "Type": "filestore"},
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            info[key] = value.clone();
        }
        std::fs::write(self.tusd().join(id), bytes).unwrap();
        let info = serde_json::to_vec(&info).unwrap();
        std::fs::write(self.tusd().join(format!("{id}.info")), info).unwrap();
    }

    fn adopt(&self, flags: &[&str]) -> Said {
        Said::of(&self.command(flags).output().unwrap())
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
        command
            .args(["adopt", self.tusd().to_str().unwrap()])
            .args(["--dir", self.ours().to_str().unwrap(), "--log", "warn"])
            .args(flags);
        command
    }

    fn serve(&self, flags: &[&str]) -> Server {
        Server::start_in(&self.ours(), flags)
    }
}

/// What the program said, and whether it was content.
#[derive(Debug)]
struct Said {
    lines: Vec<String>,
    errors: String,
    well: bool,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        Self {
            lines: text.lines().map(str::to_owned).collect(),
            errors: String::from_utf8(output.stderr.clone()).unwrap(),
            well: output.status.success(),
        }
    }
}

fn tus(id: &str) -> Tus {
    Tus {
        url: format!("/files/{id}"),
        told: 0,
    }
}

#[test]
fn a_finished_upload_of_tusds_is_here_under_its_id_and_its_name() {
    let stage = Stage::new();
    let content = noise(700_000);
    stage.lay(ID, content.len(), &content, &json!({}));
    stage.lay(OTHER, 0, b"", &json!({"MetaData": null}));
    let said = stage.adopt(&["--digest", "sha256"]);
    assert!(said.well, "{said:?}");
    // Without a name it gets the one that may be shown to others.
    let watch = OTHER.parse::<UploadId>().unwrap().watch();
    let expected = [
        format!("adopted {OTHER} as {watch}"),
        format!("adopted {ID} as paella.jpg"),
    ];
    assert_eq!(said.lines, expected);
    assert_eq!(visible(&stage.tusd()), [""; 0], "it is there no more");
    assert_eq!(temporary(&stage.ours()), [""; 0]);

    let server = stage.serve(&[]);
    assert_eq!(server.read("paella.jpg"), content);
    assert_eq!(server.get(&format!("/files/{ID}")).body, content);
    let head = tus(ID).head(server.address).unwrap();
    let metadata = [
        pair("filename", "paella.jpg"),
        pair("filetype", "image/jpeg"),
    ];
    let metadata = format!("{},note", metadata.join(","));
    assert_eq!(head.header("upload-metadata"), Some(&*metadata));
    assert_eq!(head.header("upload-offset"), Some("700000"));
    assert_eq!(head.header("upload-length"), Some("700000"));
    assert_eq!(tus(OTHER).head(server.address).unwrap().status, 204);
}

#[test]
fn an_unfinished_upload_of_tusds_goes_on_here() {
    let stage = Stage::new();
    let content = noise(300_000);
    stage.lay(ID, content.len(), &content[..100_000], &json!({}));
    let deferred = json!({"SizeIsDeferred": true, "MetaData": {"filename": "later"}});
    stage.lay(OTHER, 0, &content[..5], &deferred);
    let said = stage.adopt(&["--durability", "close"]);
    assert!(said.well, "{said:?}");
    let expected = [
        format!("adopted {OTHER} with 5 bytes"),
        format!("adopted {ID} with 100000 of 300000 bytes"),
    ];
    assert_eq!(said.lines, expected);
    assert_eq!(visible(&stage.tusd()), [""; 0]);
    let server = stage.serve(&[]);
    assert_eq!(server.files(), [""; 0], "nothing is visible before its end");
    for (id, name) in [(ID, "paella.jpg"), (OTHER, "later")] {
        let mut tus = tus(id);
        tus.finish(server.address, &content).unwrap();
        assert_eq!(server.read(name), content);
    }
}

#[test]
fn parts_of_tusds_can_be_put_together_here_and_what_it_has_put_together_is_one_file() {
    let stage = Stage::new();
    let partial = json!({"IsPartial": true, "MetaData": {}});
    stage.lay(ID, 3, b"abc", &partial);
    stage.lay(OTHER, 3, b"def", &partial);
    let whole = "00000000000000000000000000000002";
    let is_final = json!({"IsFinal": true, "PartialUploads": [ID, OTHER]});
    stage.lay(whole, 6, b"abcdef", &is_final);
    let said = stage.adopt(&[]);
    assert!(said.well, "{said:?}");
    assert_eq!(
        said.lines[0],
        format!("adopted {OTHER} as a part of 3 bytes")
    );
    assert_eq!(said.lines[1], format!("adopted {whole} as paella.jpg"));
    let server = stage.serve(&[]);
    assert_eq!(server.files(), ["paella.jpg"], "parts are never visible");
    let head = tus(ID).head(server.address).unwrap();
    assert_eq!(head.header("upload-concat"), Some("partial"));
    let concat = format!(
        "Upload-Concat: final;/files/{OTHER} /files/{ID}\r\nUpload-Metadata: {}\r\n",
        pair("filename", "joined")
    );
    let request = crate::support::tus::request(server.address, "POST", "/files/", &concat, b"");
    assert_eq!(request.unwrap().status, 201);
    crate::support::eventually(|| server.files(), |files| files.contains(&"joined".into()));
    assert_eq!(server.read("joined"), b"defabc");
}

#[test]
fn what_cannot_be_taken_over_is_told_and_stays_as_it_is() {
    let elsewhere = json!({"Storage": {"Type": "filestore", "Path": "/srv/other"}});
    let in_s3 = json!({"Storage": {"Type": "s3store", "Key": "k"}});
    for (id, bytes, changes, why) in [
        ("not-an-id", &b"abc"[..], json!({}), "32 hex digits"),
        (ID, b"abcd", json!({}), "4 bytes, and was to have 3"),
        (ID, b"ab", json!({"IsFinal": true}), "not whole"),
        (ID, b"ab", json!({"ID": OTHER}), OTHER),
        (ID, b"ab", json!({"Size": -1}), "cannot be read"),
        (ID, b"ab", elsewhere, "elsewhere"),
        (ID, b"ab", in_s3, "s3store"),
        (ID, b"ab", json!({"MetaData": {"a b": "c"}}), "metadata"),
        (
            ID,
            b"ab",
            json!({"MetaData": {"a": "c".repeat(9000)}}),
            "metadata",
        ),
        (ID, b"ab", json!({"MetaData": {"a": 1}}), "metadata"),
    ] {
        let stage = Stage::new();
        stage.lay(id, 3, bytes, &changes);
        stage.lay("ffffffffffffffffffffffffffffffff", 1, b"x", &json!({}));
        let before = std::fs::read(stage.tusd().join(format!("{id}.info"))).unwrap();
        let said = stage.adopt(&[]);
        assert!(
            !said.well && said.errors.contains("1 of 2 uploads are left"),
            "{said:?}"
        );
        let told = said
            .lines
            .iter()
            .find(|line| line.starts_with(&format!("left {id}: ")));
        assert!(
            told.is_some_and(|told| told.contains(why)),
            "{why}: {said:?}"
        );
        assert_eq!(
            visible(&stage.tusd()),
            [id.to_owned(), format!("{id}.info")]
        );
        let after = std::fs::read(stage.tusd().join(format!("{id}.info"))).unwrap();
        assert_eq!(
            (before, std::fs::read(stage.tusd().join(id)).unwrap()),
            (after, bytes.into())
        );
        // The others come all the same.
        assert_eq!(visible(&stage.ours()), ["paella.jpg"]);
        assert_eq!(temporary(&stage.ours()), [""; 0]);
    }
}

#[test]
fn what_a_tusd_may_still_be_at_what_lies_behind_a_link_and_what_has_no_bytes_is_left() {
    let stage = Stage::new();
    stage.lay(ID, 3, b"abc", &json!({}));
    std::fs::write(stage.tusd().join(format!("{ID}.lock")), "1").unwrap();
    stage.lay(OTHER, 3, b"", &json!({}));
    std::fs::remove_file(stage.tusd().join(OTHER)).unwrap();
    let linked = "00000000000000000000000000000002";
    stage.lay(linked, 3, b"abc", &json!({}));
    let secret = stage.folder.path().join("secret");
    std::fs::rename(stage.tusd().join(linked), &secret).unwrap();
    std::os::unix::fs::symlink(&secret, stage.tusd().join(linked)).unwrap();
    let before = visible(&stage.tusd());
    let said = stage.adopt(&[]);
    for (id, why) in [
        (ID, "tusd may be at it"),
        (OTHER, "not there"),
        (linked, "cannot be read"),
    ] {
        let told = said.lines.iter().find(|line| line.contains(id));
        assert!(told.is_some_and(|told| told.contains(why)), "{said:?}");
    }
    assert_eq!(visible(&stage.tusd()), before);
    assert_eq!(visible(&stage.ours()), [""; 0]);
}

#[test]
fn the_servers_own_rules_hold_for_what_is_taken_over() {
    let rules: [(&[&str], &str); 3] = [
        (&["--max-file-size", "4"], "file"),
        (&["--allow-type", "image/png"], "image/png"),
        (&["--max-upload-size", "4"], "upload"),
    ];
    for (flags, why) in rules {
        let stage = Stage::new();
        stage.lay(ID, 10, b"0123456789", &json!({}));
        let said = stage.adopt(flags);
        assert!(!said.well && said.lines[0].contains(why), "{said:?}");
        assert_eq!(visible(&stage.tusd()).len(), 2);
        assert_eq!(visible(&stage.ours()), [""; 0]);
        // Without the rule it comes.
        assert!(stage.adopt(&[]).well);
    }
}

#[test]
fn nothing_is_taken_over_while_a_server_runs() {
    let stage = Stage::new();
    stage.lay(ID, 3, b"abc", &json!({}));
    let server = stage.serve(&[]);
    let said = stage.adopt(&[]);
    assert!(
        !said.well && said.errors.contains("another Dumbwaiter serves"),
        "{said:?}"
    );
    assert_eq!(visible(&stage.tusd()).len(), 2);
    drop(server);
}

#[test]
fn a_full_disk_stops_it_and_with_room_it_goes_on() {
    let stage = Stage::new();
    let content = noise(12 << 20);
    stage.lay(ID, content.len(), &content, &json!({}));
    std::fs::create_dir(stage.ours()).unwrap();
    let Some(_mounted) = Tmpfs::mount(&stage.ours(), "size=16m") else {
        return;
    };
    let filler = stage.ours().join("filler");
    std::fs::write(&filler, vec![1; 8 << 20]).unwrap();
    let flags = ["--keep-free", "0", "--keep-free-inodes", "0"];
    let said = stage.adopt(&flags);
    assert!(
        !said.well && said.errors.contains("disk is full"),
        "{said:?}"
    );
    assert_eq!(visible(&stage.tusd()).len(), 2);
    std::fs::remove_file(filler).unwrap();
    let said = stage.adopt(&flags);
    assert!(said.well, "{said:?}");
    assert_eq!(
        std::fs::read(stage.ours().join("paella.jpg")).unwrap(),
        content
    );
}

/// What a crash may leave between the removals, and between the end of an upload here and them.
#[test]
fn what_is_here_already_is_only_removed_there() {
    for finished in [true, false] {
        let stage = Stage::new();
        let size = if finished { 3 } else { 4 };
        for left in ["both", "the rest"] {
            stage.lay(ID, size, b"abc", &json!({}));
            assert!(stage.adopt(&[]).well);
            stage.lay(ID, size, b"abc", &json!({}));
            if left == "the rest" {
                std::fs::remove_file(stage.tusd().join(ID)).unwrap();
            }
            let said = stage.adopt(&[]);
            assert!(said.well, "{left}: {said:?}");
            assert_eq!(visible(&stage.tusd()), [""; 0], "{left}");
            let files = visible(&stage.ours());
            assert_eq!(files.len(), usize::from(finished), "{left}: {files:?}");
        }
        // Another upload of the same name and another length is not the same.
        stage.lay(ID, 2, b"ab", &json!({}));
        let said = stage.adopt(&[]);
        assert!(
            !said.well && said.lines[0].contains("3 bytes of it are here"),
            "{said:?}"
        );
    }
}

#[test]
fn killed_at_any_moment_and_run_again_it_takes_everything_over_once() {
    let stage = Stage::new();
    let content = noise(3 << 20);
    let ids: Vec<_> = (0..24).map(|n| format!("{n:032x}")).collect();
    for (n, id) in ids.iter().enumerate() {
        let bytes = &content[..content.len() >> (n % 8)];
        let size = bytes.len() + n % 2;
        let about = json!({"MetaData": {"filename": id}});
        stage.lay(id, size, bytes, &about);
    }
    let flags = ["--checkpoint-bytes", "256KiB", "--digest", "sha256"];
    let mut kills = 0;
    for round in 1..200_u64 {
        let mut child = stage.command(&flags).spawn().unwrap();
        // A little longer each time, so that it comes to an end.
        std::thread::sleep(Duration::from_millis(10 + 5 * round));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert_eq!(visible(&stage.tusd()), [""; 0], "after {kills} kills");
    assert!(kills > 1, "it was never killed");
    let server = stage.serve(&flags);
    for (n, id) in ids.iter().enumerate() {
        let bytes = &content[..content.len() >> (n % 8)];
        match n % 2 {
            0 => assert_eq!(server.read(id), bytes, "{id}"),
            _ => {
                let last = [bytes, b"!"].concat();
                tus(id).finish(server.address, &last).unwrap();
                assert_eq!(server.read(id), last, "{id}");
            }
        }
    }
    let mut files = server.files();
    files.sort();
    assert_eq!(files, ids, "each once");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let stage = Stage::new();
    std::fs::remove_dir(stage.tusd()).unwrap();
    let said = stage.adopt(&[]);
    let named = said.errors.contains(Path::new("tusd").to_str().unwrap());
    assert!(!said.well && named, "{said:?}");
    assert!(!stage.ours().exists(), "nothing is made for it");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    let said = Said::of(&command.arg("adopt").output().unwrap());
    assert!(!said.well && said.errors.contains("FOLDER"), "{said:?}");
}
