//! The draft by curl, as people do it by hand: a shell, and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::needs::needs;
use crate::support::{Server, eventually, noise};

/// What every script begins with: requests as functions, and the fields of an answer.
const WORDS: &str = r#"
set -eu
say() { curl --silent --show-error --max-time 60 "$@"; }
field() { tr -d '\r' | sed -n "s/^$1: //p" | tail -n 1; }
append() { say -X PATCH -H 'Content-Type: application/partial-upload' -H "Upload-Offset: $1" -H "Upload-Complete: $2" --data-binary @- "$URL$location"; }
offset() { say -I "$URL$location" | field upload-offset; }
"#;

/// A server, a file, and a shell to send it by.
struct Kitchen {
    server: Server,
    folder: tempfile::TempDir,
    content: Vec<u8>,
}

impl Kitchen {
    fn open() -> Self {
        let kitchen = Self {
            server: Server::start(&["--digest", "sha256"]),
            folder: tempfile::tempdir().unwrap(),
            content: noise(3_000_001),
        };
        std::fs::write(kitchen.file(), &kitchen.content).unwrap();
        kitchen
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("paella.jpg")
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{WORDS}{script}"))
            .env("URL", format!("http://{}", self.server.address))
            .env("FILE", self.file());
        shell
    }

    /// Runs a script to its end; what it said.
    fn run(&self, script: &str) -> String {
        let output = self.shell(script).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}\n{errors}");
        said
    }

    /// Begins one that sends slowly, and kills it when some of what it sends is kept.
    fn cut(&self, location: &str, script: &str) {
        let script = format!("location={location}\nexec {script}");
        let mut child = self.shell(&script).stdout(Stdio::null()).spawn().unwrap();
        let record = format!("/uploads/{}", location.strip_prefix("/files/").unwrap());
        let before = self.server.get(&record).json()["received"]
            .as_u64()
            .unwrap();
        eventually(
            || {
                self.server.get(&record).json()["received"]
                    .as_u64()
                    .unwrap()
            },
            |received| *received > before,
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let record = || self.server.get(&record).json();
        eventually(record, |record| record["state"] == "interrupted");
    }

    fn is_stored(&self, name: &str, said: &str) {
        let record: serde_json::Value = serde_json::from_str(said).unwrap();
        assert_eq!(record["state"], "done", "{record}");
        assert_eq!(
            record["files"][0]["digest"],
            super::talk::digest(&self.content)
        );
        assert!(self.server.read(name) == self.content);
        assert!(self.server.under_way().is_empty());
    }
}

const SLOWLY: &str =
    "curl --silent --limit-rate 200K -X PATCH -H 'Content-Type: application/partial-upload'";

/// Created, appended to, cut, asked, gone on with, completed.
#[test]
fn curl_goes_through_the_whole_flow() {
    if !needs("curl") {
        return;
    }
    let kitchen = Kitchen::open();
    let location = kitchen.run(
        r#"say -i -X POST -H 'Upload-Complete: ?0' -H 'Content-Disposition: attachment; filename="paella.jpg"' "$URL/files/" | field location"#,
    );
    let location = location.trim();
    let at = format!("location={location}\n");
    let answer = kitchen.run(&format!(
        "{at}head -c 700000 \"$FILE\" | append 0 '?0'; offset"
    ));
    assert_eq!(answer.trim(), "700000");
    let rest = kitchen.folder.path().join("rest");
    std::fs::write(&rest, &kitchen.content[700_000..]).unwrap();
    kitchen.cut(
        location,
        &format!("{SLOWLY} -H 'Upload-Offset: 700000' -H 'Upload-Complete: ?1' --data-binary @{} \"$URL$location\"", rest.display()),
    );
    let said = kitchen.run(&format!(
        "{at}from=$(offset); test \"$from\" -gt 700000; tail -c +$((from + 1)) \"$FILE\" | append \"$from\" '?1'"
    ));
    kitchen.is_stored("paella.jpg", &said);
    let ended = kitchen.run(&format!(
        "{at}say -I \"$URL$location\" | field upload-complete"
    ));
    assert_eq!(ended.trim(), "?1");
}

/// `curl -T` and `curl -F` with one field more can be gone on with; the page's form knows nothing of it.
#[test]
fn a_put_and_a_form_of_curls_become_resumable_by_one_field() {
    if !needs("curl") {
        return;
    }
    let kitchen = Kitchen::open();
    let folder = kitchen.folder.path();
    let file = kitchen.file();
    let body = folder.join("form");
    let head =
        "--b\r\nContent-Disposition: form-data; name=\"dish\"; filename=\"soup.jpg\"\r\n\r\n";
    let form = [head.as_bytes(), &kitchen.content, b"\r\n--b--\r\n"].concat();
    std::fs::write(&body, &form).unwrap();
    for (name, sent, whole, begin) in [
        (
            "paella.jpg",
            &kitchen.content,
            &file,
            "head -c 500 \"$FILE\" | say -i -T - -H 'Content-Length: 500' -H 'Transfer-Encoding:' -H 'Upload-Complete: ?0' \"$URL/files/paella.jpg\" | field location",
        ),
        (
            "soup.jpg",
            &form,
            &body,
            "head -c 500 \"$BODY\" | say -i --data-binary @- -H 'Content-Type: multipart/form-data; boundary=b' -H 'Upload-Complete: ?0' \"$URL/upload\" | field location",
        ),
    ] {
        let said = format!("BODY={}\n{begin}", whole.display());
        let location = kitchen.run(&said);
        let location = location.trim();
        let rest = folder.join("rest");
        std::fs::write(&rest, &sent[500..]).unwrap();
        kitchen.cut(
            location,
            &format!("{SLOWLY} -H 'Upload-Offset: 500' -H 'Upload-Complete: ?1' --data-binary @{} \"$URL$location\"", rest.display()),
        );
        let said = kitchen.run(&format!(
            "location={location}\nfrom=$(offset); tail -c +$((from + 1)) {} | append \"$from\" '?1'",
            whole.display()
        ));
        kitchen.is_stored(name, &said);
    }
}

/// A client that says which draft it speaks is told where its upload is before the answer: `curl -v` shows it.
#[test]
fn curl_shows_the_interim_answer() {
    if !needs("curl") {
        return;
    }
    let kitchen = Kitchen::open();
    let shown = |version: &str| {
        let script = format!(
            "curl -v --silent --show-error --max-time 60 --limit-rate 6M -T \"$FILE\" -H 'Upload-Complete: ?1' {version} \"$URL/files/\" 2>&1 >/dev/null | tr -d '\\r'"
        );
        kitchen.run(&script)
    };
    let said = shown("-H 'Upload-Draft-Interop-Version: 9'");
    let interim = "< HTTP/1.1 104 Upload Resumption Supported";
    let (_, told) = said.split_once(interim).unwrap_or_else(|| panic!("{said}"));
    let location = |text: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("< location: "));
        line.map(str::to_owned).unwrap_or_else(|| panic!("{text}"))
    };
    assert!(told.contains("< upload-draft-interop-version: 9"), "{told}");
    let (_, answer) = told.split_once("< HTTP/1.1 201 Created").unwrap();
    assert_eq!(location(told), location(answer));
    assert!(kitchen.server.read("paella.jpg") == kitchen.content);
    let said = shown("");
    assert!(!said.contains(" 104 "), "{said}");
}

/// A digest of all of it, by what is there on any machine; another one is refused, and nothing is stored.
#[test]
fn curl_and_openssl_check_the_whole_upload() {
    if !needs("curl") || !needs("openssl") {
        return;
    }
    let kitchen = Kitchen::open();
    let script = |of: &str| {
        format!(
            r#"digest=$({of} | openssl dgst -sha256 -binary | openssl base64 -A)
            location=$(head -c 900000 "$FILE" | say -i --data-binary @- -H 'Upload-Complete: ?0' -H "Repr-Digest: sha-256=:$digest:" -H 'Content-Disposition: inline; filename=a.jpg' "$URL/files/" | field location)
            tail -c +900001 "$FILE" | append 900000 '?1'"#
        )
    };
    let refused = kitchen.run(&script("echo another"));
    assert!(refused.contains("digest_mismatch"), "{refused}");
    assert!(kitchen.server.files().is_empty());
    kitchen.is_stored("a.jpg", &kitchen.run(&script("cat \"$FILE\"")));
}

/// The limits, as a script finds them out.
#[test]
fn curl_asks_for_the_limits() {
    if !needs("curl") {
        return;
    }
    let kitchen = Kitchen::open();
    let said = kitchen.run("say -i -X OPTIONS \"$URL/files/\" | field upload-limit");
    assert_eq!(said.trim(), "min-size=0");
    let kinds = kitchen.run("say -i -X OPTIONS \"$URL/files/\" | field accept-patch");
    assert!(kinds.contains("application/partial-upload"), "{kinds}");
    assert!(Path::new(&kitchen.file()).exists());
}
