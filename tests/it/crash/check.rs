//! What must be so whenever the server has started again, whatever has ended it.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::content::{content, is_part};
use super::script::Script;
use super::told::{Open, Stored, Told};
use crate::support::pieces::{Pieces, exchange, is_complete};
use crate::support::tus::{Tus, offset};
use crate::support::{Reply, Server, eventually};

/// The files of every form.
pub(super) const PARTS: [&str; 3] = ["a", "b", "c"];
/// The first file of a form begins before this many bytes of its body.
const HEAD: u64 = 200;
/// Longer files are read back in part; on the disk they are compared whole.
const READ_BACK: usize = 1 << 20;

/// All that was told is there, what is visible is whole, and what is under way belongs to somebody.
///
/// An upload that came to its end without its client having heard of it counts as stored from now on.
pub(super) fn check(server: &Server, told: &mut Told) {
    whole(server);
    for url in &told.gone {
        assert_eq!(server.get(url).status, 404, "{url} was deleted");
        assert_eq!(asked(server, url).status, 404, "{url} was deleted");
    }
    for part in &mut told.parts {
        assert!(is_finished(server, part), "{part:?}");
    }
    for index in (0..told.open.len()).rev() {
        if is_finished(server, &mut told.open[index]) {
            told.close(index);
        }
    }
    for index in (0..told.pieces.len()).rev() {
        if has_ended(server, &mut told.pieces[index]) {
            told.close_pieces(index);
        }
    }
    for stored in &told.stored {
        is_visible(server, stored);
    }
    let known = told.open.iter().map(|open| open.tus.id());
    let known: BTreeSet<_> = known.chain(told.pieces.iter().map(Pieces::id)).collect();
    let under_way = under_way(server);
    for id in &under_way {
        if !known.contains(&**id) {
            unheard(server, id);
        }
    }
    // Of those under way that have bytes, none is without its file.
    for open in told.open.iter().filter(|open| open.tus.told > 0) {
        assert!(under_way.contains(open.tus.id()), "{open:?} has no file");
    }
    let has_bytes = |pieces: &&Pieces| pieces.told > HEAD;
    for pieces in told.pieces.iter().filter(has_bytes) {
        assert!(under_way.contains(pieces.id()), "{pieces:?} has no file");
    }
}

/// Finishes whatever is under way, known to a client or not, and deletes the parts; then nothing but finished files is
/// left.
pub(super) fn finish(server: &Server, told: &mut Told) {
    let under_way = under_way(server);
    while let Some(open) = told.open.last_mut() {
        let content = content(&open.name);
        open.tus.finish(server.address, content).unwrap();
        digest(server, open);
        told.close(told.open.len() - 1);
    }
    while let Some(pieces) = told.pieces.last_mut() {
        pieces.finish(server.address).unwrap();
        told.close_pieces(told.pieces.len() - 1);
    }
    for stored in &told.stored {
        is_visible(server, stored);
    }
    for id in &under_way {
        finish_unheard(server, id);
    }
    for part in told.parts.drain(..) {
        // One that was deleted already is no longer there.
        let reply = part.tus.terminate(server.address).unwrap();
        assert!(matches!(reply.status, 204 | 404), "{part:?}: {reply:?}");
    }
    eventually(|| server.under_way(), Vec::is_empty);
    whole(server);
}

/// Finishes an upload of which nobody but the server may know: its creation was recorded, and the answer never came.
fn finish_unheard(server: &Server, id: &str) {
    let (mut tus, reply) = head(server, id);
    if reply.status == 404 {
        return;
    }
    let Some(name) = name(&reply) else {
        assert_eq!(tus.terminate(server.address).unwrap().status, 204);
        return;
    };
    match name.as_bytes()[0] {
        b'q' | b'r' => assert_eq!(tus.terminate(server.address).unwrap().status, 204),
        // Put together by the server itself.
        b'j' => {}
        _ => tus.finish(server.address, content(&name)).unwrap(),
    }
    if !is_part(&name) {
        let files = vec![(name, tus.url)];
        is_visible(server, &Stored { files });
    }
}

/// Of forms that replace each other the one answered last is there, or the next one, and never some of both.
pub(super) fn is_one_version(server: &Server, answered: usize) {
    assert!(server.under_way().is_empty(), "{:?}", server.under_way());
    let files = server.files();
    if files.is_empty() {
        assert_eq!(answered, 0, "all versions are gone");
        return;
    }
    assert_eq!(files, PARTS);
    let is_there = |version| {
        let mut parts = PARTS.iter().zip(Script::version(version));
        parts.all(|(part, name)| server.read(part) == content(&name))
    };
    let there = (answered.max(1)..=answered + 1).find(|version| is_there(*version));
    assert!(there.is_some(), "{answered} were answered");
}

/// Every visible file is what was sent under its name, and of a form all are there; the store's own folder holds its
/// records and the files under way.
pub(super) fn whole(server: &Server) {
    let mut forms: HashMap<String, Vec<String>> = HashMap::new();
    for name in server.files() {
        assert!(server.read(&name) == content(&name), "{name} is not whole");
        if let (true, Some((form, part))) = (name.starts_with(['f', 'g']), name.split_once('.')) {
            let (number, _) = form.split_once('-').unwrap();
            let parts = forms.entry(number.to_owned()).or_default();
            parts.push(part.to_owned());
        }
    }
    for (number, mut parts) in forms {
        parts.sort();
        assert_eq!(parts, PARTS, "of form {number} a part is visible");
    }
    let state = std::fs::read_dir(server.dir.join(".dumbwaiter")).unwrap();
    for entry in state {
        let name = entry.unwrap().file_name();
        assert!(name == "records.redb" || name == "tmp", "{name:?}");
    }
}

fn is_stored(server: &Server, stored: &Stored) {
    for (name, url) in &stored.files {
        let content = content(name);
        let reply = match content.len() {
            0..READ_BACK => server.get(url),
            length => server.get_with(url, &format!("Range: bytes={}-\r\n", length - 1000)),
        };
        let expected = match reply.status {
            206 => &content[content.len() - 1000..],
            _ => content,
        };
        if name.starts_with(['t', 'j']) {
            let reply = asked(server, url);
            assert!(is_whole(&reply, content.len() as u64), "{name}: {reply:?}");
        }
        // What was begun in pieces says at its own URL that it is complete; the other files of a form have none such.
        if name.starts_with(['i', 'u', 'w', 'd']) {
            let reply = exchange(server.address, &format!("HEAD {url}"), "", b"").unwrap();
            assert!(is_complete(&reply), "{name}: {reply:?}");
        }
        assert!(
            reply.body == expected,
            "{name} was acknowledged, and {url} says {}",
            reply.head
        );
    }
}

/// What a crash has left whole is stored at the next start, beside all that comes.
fn is_visible(server: &Server, stored: &Stored) {
    for (_, url) in &stored.files {
        let is_there = |status: &u16| !matches!(status, 204 | 404);
        eventually(|| server.get(url).status, is_there);
    }
    is_stored(server, stored);
}

/// Whether an upload that its client believes to be under way is finished; what the client was told holds.
fn is_finished(server: &Server, open: &mut Open) -> bool {
    let told = open.tus.told;
    let reply = open.tus.head(server.address).unwrap();
    assert!(matches!(reply.status, 200 | 204), "{open:?}: {reply:?}");
    let offset = offset(&reply);
    assert!(offset >= told, "{open:?} was told {told}: {reply:?}");
    let length = content(&open.name).len() as u64;
    assert!(offset <= length, "{open:?}: {reply:?}");
    assert_eq!(name(&reply).as_deref(), Some(&*open.name), "{reply:?}");
    let is_whole = is_whole(&reply, length);
    if !is_whole {
        rests(server, open.tus.id(), offset);
    }
    is_whole
}

/// The same of an upload in pieces. One of which all bytes are there may still wait for the word that these are all.
fn has_ended(server: &Server, pieces: &mut Pieces) -> bool {
    let (told, length) = (pieces.told, pieces.length() as u64);
    let reply = pieces.head(server.address).unwrap();
    assert!(matches!(reply.status, 200 | 204), "{pieces:?}: {reply:?}");
    let offset = offset(&reply);
    assert!((told..=length).contains(&offset), "{pieces:?}: {reply:?}");
    let said = reply.header("upload-length").map(|said| said.parse());
    assert!(said.is_none_or(|said| said == Ok(length)), "{reply:?}");
    if is_complete(&reply) {
        assert_eq!(offset, length, "{pieces:?}: {reply:?}");
        return true;
    }
    if offset < length {
        rests(server, pieces.id(), offset);
    }
    false
}

fn is_whole(reply: &Reply, length: u64) -> bool {
    let told = reply.header("upload-length").map(|told| told.parse());
    assert!(told.is_none_or(|told| told == Ok(length)), "{reply:?}");
    reply.header("upload-length").is_some() && offset(reply) == length
}

/// An upload that nobody has heard of has a record all the same, and can be asked where it stands.
fn unheard(server: &Server, id: &str) {
    let (_, reply) = head(server, id);
    assert!(matches!(reply.status, 200 | 204), "{id}: {reply:?}");
    let Some(name) = name(&reply) else {
        return is_known(server, id, offset(&reply));
    };
    let length = content(&name).len() as u64;
    if name.starts_with('j') {
        return;
    }
    assert!(offset(&reply) <= length, "{reply:?}");
    if !is_whole(&reply, length) {
        rests(server, id, offset(&reply));
    }
}

/// Only tus gives back what was said of an upload; all have a record.
fn is_known(server: &Server, id: &str, offset: u64) {
    let record = server.get(&format!("/uploads/{id}")).json();
    assert_eq!(record["offset"], offset, "{record}");
    let protocols = ["ietf", "put", "form", "filepond", "dropzone"];
    assert!(
        protocols.contains(&record["protocol"].as_str().unwrap()),
        "{record}"
    );
}

/// The record of an upload under way says so, and how far it has come.
fn rests(server: &Server, id: &str, offset: u64) {
    let reply = server.get(&format!("/uploads/{id}"));
    assert_eq!(reply.status, 200, "{id}: {reply:?}");
    let record = reply.json();
    // One of which nothing has come yet has not begun.
    let state = ["starting", "interrupted"][usize::from(offset > 0)];
    assert_eq!(record["state"], state, "{record}");
    assert_eq!(record["offset"], offset, "{record}");
}

/// The digest that was computed over all its bytes, however many requests and servers they came through, where one is.
fn digest(server: &Server, open: &Open) {
    use sha2::Digest as _;
    let record = server.get(&format!("/uploads/{}", open.tus.id()));
    // Of what a server before has finished there is no record.
    if record.status != 200 {
        return;
    }
    let record = record.json();
    assert_eq!(record["state"], "done", "{record}");
    if let Some(told) = record["files"][0]["digest"].as_str() {
        let sum = sha2::Sha256::digest(content(&open.name));
        let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(told.ends_with(&hex), "{told} is not {hex}");
    }
}

/// The ids of which there are files under way: one for each, and of a form as many as have begun.
fn under_way(server: &Server) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for temp in server.under_way() {
        let (id, _) = temp.split_once('.').unwrap();
        if !ids.insert(id.to_owned()) {
            let record = server.get(&format!("/uploads/{id}")).json();
            assert_eq!(record["protocol"], "form", "two of one upload: {temp}");
        }
    }
    ids
}

fn head(server: &Server, id: &str) -> (Tus, Reply) {
    let url = format!("/files/{id}");
    let mut tus = Tus { url, told: 0 };
    let reply = tus.head(server.address).unwrap();
    (tus, reply)
}

fn asked(server: &Server, url: &str) -> Reply {
    let mut tus = Tus {
        url: url.to_owned(),
        told: 0,
    };
    tus.head(server.address).unwrap()
}

/// The file's name in `Upload-Metadata`.
fn name(reply: &Reply) -> Option<String> {
    let pairs = reply.header("upload-metadata")?.split(',');
    let mut name = pairs.filter_map(|pair| pair.trim().strip_prefix("filename "));
    let bytes = STANDARD.decode(name.next()?).ok()?;
    String::from_utf8(bytes).ok()
}
