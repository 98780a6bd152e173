//! A form that is sent in several requests: where it was told it stands, and goes on to all of its files, or none is seen.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::Shutdown;

use sha2::Digest as _;

use super::check::{PARTS, whole};
use super::content::{Way, content};
use super::script::Script;
use super::told::{Open, Told};
use crate::support::tus::{Tus, offset};
use crate::support::{Reply, Server, eventually, form, part};

/// How long its files are.
const LENGTHS: [usize; 3] = [130_000, 9, 170_000];
/// Where its requests end, but for the last: within the first file, behind a field's first byte, within the last file.
const ENDS: [usize; 3] = [50_000, 130_300, 200_000];

impl Script<'_> {
    /// A form in four requests, and a fifth that is cut.
    pub(super) fn resumed_form(&mut self) {
        let body = body();
        let reply = self.server.send(
            &[
                head(
                    "POST /upload",
                    false,
                    ENDS[0],
                    "Content-Type: multipart/form-data; boundary=b",
                ),
                body[..ENDS[0]].to_vec(),
            ]
            .concat(),
        );
        assert_eq!(reply.status, 201, "{reply:?}");
        let url = reply.header("location").unwrap().to_owned();
        let told = offset(&reply);
        self.told
            .open
            .push(Open::new("form".into(), Tus { url, told }));
        self.answered();
        for end in &ENDS[1..] {
            let reply = append(self.server, &self.told.open[0].tus, *end);
            assert_eq!(reply.status, 204, "{reply:?}");
            self.told.open[0].tus.told = offset(&reply);
            self.answered();
        }
        self.cut_form(40_000);
        let tus = self.told.open[0].tus.clone();
        let reply = ask(self.server, &tus);
        self.told.open[0].tus.told = offset(&reply);
        self.answered();
        let reply = append(self.server, &self.told.open[0].tus, body.len());
        assert_eq!(reply.status, 201, "{reply:?}");
        self.told.gone.push(self.told.open.remove(0).tus.url);
        self.answered();
    }

    /// A request whose line breaks after `some` bytes.
    fn cut_form(&mut self, some: usize) {
        let body = body();
        let Tus { url, told } = &self.told.open[0].tus;
        let from = usize::try_from(*told).unwrap();
        let mut line = self.server.connect();
        let head = head(
            &format!("PATCH {url}"),
            true,
            body.len() - from,
            &appends(*told),
        );
        line.write_all(&head).unwrap();
        line.write_all(&body[from..from + some]).unwrap();
        line.shutdown(Shutdown::Write).unwrap();
        let mut said = Vec::new();
        line.read_to_end(&mut said).unwrap();
        if !said.is_empty() {
            self.answered();
        }
    }
}

/// Whatever was told of the form is so, and with the rest of its bytes all of its files are there, as they were sent.
pub(super) fn goes_on(server: &Server, told: &Told) {
    whole(server);
    let mut urls: BTreeSet<_> = told.gone.iter().cloned().collect();
    urls.extend(told.open.iter().map(|open| open.tus.url.clone()));
    // Its creation may have been recorded, and the answer never come.
    urls.extend(server.under_way().iter().map(|temp| {
        let (id, _) = temp.split_once('.').unwrap();
        format!("/files/{id}")
    }));
    assert!(urls.len() <= 1, "{urls:?}");
    for url in urls {
        let least = match told.open.first() {
            Some(open) => open.tus.told,
            None if told.gone.is_empty() => 0,
            None => body().len() as u64,
        };
        finish(server, Tus { url, told: least });
        assert_eq!(server.files().len(), PARTS.len());
    }
    eventually(|| server.under_way(), Vec::is_empty);
    whole(server);
}

fn finish(server: &Server, mut tus: Tus) {
    // What a crash has left whole is stored by whoever asks.
    let reply = ask(server, &tus);
    assert!(
        offset(&reply) >= tus.told,
        "{} was told: {reply:?}",
        tus.told
    );
    tus.told = offset(&reply);
    if reply.header("upload-complete") == Some("?1") {
        return;
    }
    let reply = append(server, &tus, body().len());
    assert_eq!(reply.status, 201, "{reply:?}");
    let record = server.get(&format!("/uploads/{}", tus.id())).json();
    assert_eq!(record["state"], "done", "{record}");
    assert_eq!(record["fields"]["note"], note(), "{record}");
    for (file, name) in record["files"].as_array().unwrap().iter().zip(names()) {
        let sum = sha2::Sha256::digest(content(&name));
        let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file["digest"], format!("sha256:{hex}"), "{record}");
    }
}

fn names() -> Vec<String> {
    let parts = PARTS.iter().zip(LENGTHS);
    parts
        .map(|(part, length)| Way::Form.name(1, length, Some(part)))
        .collect()
}

fn note() -> String {
    "for table 7, ".repeat(30)
}

fn body() -> Vec<u8> {
    let names = names();
    let file = |name: &String| part("f", Some(name), content(name));
    form(&[
        file(&names[0]),
        part("note", None, note().as_bytes()),
        file(&names[1]),
        file(&names[2]),
    ])
}

fn ask(server: &Server, tus: &Tus) -> Reply {
    let mut line = server.connect();
    let head = format!("HEAD {} HTTP/1.1\r\nHost: a\r\n\r\n", tus.url);
    line.write_all(head.as_bytes()).unwrap();
    let reply = Reply::head(&mut line).unwrap();
    assert!(matches!(reply.status, 200 | 204), "{reply:?}");
    reply
}

/// Goes on where the form stands, up to `end`; with its last byte that is all.
fn append(server: &Server, tus: &Tus, end: usize) -> Reply {
    let (body, from) = (body(), usize::try_from(tus.told).unwrap());
    let bytes = &body[from..end];
    let is_last = end == body.len();
    let head = head(
        &format!("PATCH {}", tus.url),
        is_last,
        bytes.len(),
        &appends(tus.told),
    );
    server.send(&[&head, bytes].concat())
}

fn appends(offset: u64) -> String {
    format!("Content-Type: application/partial-upload\r\nUpload-Offset: {offset}")
}

fn head(request: &str, is_last: bool, length: usize, headers: &str) -> Vec<u8> {
    let word = u8::from(is_last);
    format!(
        "{request} HTTP/1.1\r\nHost: a\r\nUpload-Complete: ?{word}\r\nContent-Length: {length}\r\n{headers}\r\n\r\n"
    )
    .into_bytes()
}
