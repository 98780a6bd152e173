//! What is sent while the server is traced: one request after the other, and after each answer what has been told by then.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::check::PARTS;
use super::content::{Way, content, create};
use super::told::{Open, Told};
use crate::support::pieces::{self, WAYS};
use crate::support::tus::{Tus, offset, pair};
use crate::support::{Reply, Server, eventually, form, part, post};

/// A run of requests.
pub(super) struct Script<'s> {
    pub(super) server: &'s Server,
    pub(super) told: Told,
    next: usize,
    /// What was told after no answer, after one, and so on.
    pub(super) after: Vec<Told>,
}

impl<'s> Script<'s> {
    pub(super) fn new(server: &'s Server) -> Self {
        Self {
            server,
            told: Told::default(),
            next: 0,
            after: vec![Told::default()],
        }
    }

    /// Forms and raw bodies, of several files, of one and of nothing.
    pub(super) fn one_shot(&mut self) {
        self.form([70_000, 9, 0]);
        self.put(300_000);
        self.put(0);
        self.form([1, 20_000, 5]);
    }

    /// Uploads by tus: several at a time, in one request or many, with a pause or a cut on the way, ended early.
    pub(super) fn tus(&mut self) {
        let long = self.create(400_000, true, 0);
        let late = self.create(150_000, false, 50_000);
        self.pause(&long, 300_000);
        self.append(&late, 30_000, false);
        let empty = self.create(0, true, 0);
        self.close(&empty);
        self.cut(&late, 40_000);
        let early = self.create(90_000, true, 40_000);
        self.terminate(&early);
        self.ask(&late);
        self.append(&late, 150_000, true);
        self.close(&late);
        let whole = self.create(30_000, true, 30_000);
        self.close(&whole);
    }

    /// Uploads in pieces by all other ways: in one request and many, with a cut on the way, ended early.
    pub(super) fn pieces(&mut self) {
        for way in WAYS {
            let long = self.begin_pieces(way, 60_000, 20_000);
            let early = self.begin_pieces(way, 20_000, 9_000);
            self.piece(long, 45_000);
            self.cut_piece(long, 12_000);
            self.end_pieces(early);
            while self.told.pieces[long].told < self.told.pieces[long].length() as u64 {
                self.piece(long, usize::MAX);
            }
            self.close_pieces(long);
            let whole = self.begin_pieces(way, 3_000, usize::MAX);
            if self.told.pieces[whole].told == 0 {
                self.piece(whole, usize::MAX);
            }
            while self.told.pieces[whole].told < self.told.pieces[whole].length() as u64 {
                self.piece(whole, usize::MAX);
            }
            self.close_pieces(whole);
        }
    }

    /// Two uploads by tus, and one that is put together of them.
    pub(super) fn joined(&mut self) {
        self.next += 1;
        let (first, second) = (90_000, 20_000);
        let parts = [Way::First, Way::Second]
            .map(|way| way.name(self.next, first, Some(&second.to_string())));
        for (part, length) in parts.iter().zip([first, second]) {
            self.create_as(part, "Upload-Concat: partial\r\n", Some(length), 0);
            self.append(part, length, false);
            self.close(part);
        }
        let urls: Vec<_> = self.told.parts.iter().map(|part| &*part.tus.url).collect();
        let how = format!("Upload-Concat: final;{}\r\n", urls.join(" "));
        let joined = Way::Joined.name(self.next, first, Some(&second.to_string()));
        self.create_as(&joined, &how, None, 0);
        self.close(&joined);
    }

    /// Forms of which each takes the names of the one before.
    pub(super) fn replacing(&mut self) {
        for version in 1..4 {
            let names = Self::version(version);
            let parts = names.each_ref().map(|name| {
                let (_, called) = name.split_once('.').unwrap();
                part("f", Some(called), content(name))
            });
            let reply = self.server.send(&post("/upload", "", &form(&parts)));
            self.stored(&names, &reply);
        }
    }

    /// What a form that replaces others holds; [`PARTS`] are the names.
    pub(super) fn version(version: usize) -> [String; 3] {
        PARTS.map(|part| Way::Form.name(version, 20_000 * version, Some(part)))
    }

    pub(super) fn answered(&mut self) {
        self.after.push(self.told.clone());
    }

    fn form(&mut self, lengths: [usize; 3]) {
        self.next += 1;
        let names: Vec<_> = PARTS
            .iter()
            .zip(lengths)
            .map(|(part, length)| Way::Form.name(self.next, length, Some(part)))
            .collect();
        let parts: Vec<_> = names
            .iter()
            .map(|name| part("f", Some(name), content(name)))
            .collect();
        let reply = self.server.send(&post("/upload", "", &form(&parts)));
        self.stored(&names, &reply);
    }

    fn put(&mut self, length: usize) {
        self.next += 1;
        let name = Way::Put.name(self.next, length, None);
        let head =
            format!("PUT /files/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let reply = self
            .server
            .send(&[head.as_bytes(), content(&name)].concat());
        self.stored(&[name], &reply);
    }

    fn stored(&mut self, names: &[String], reply: &Reply) {
        assert_eq!(reply.status, 201, "{reply:?}");
        let record = reply.json();
        let files = record["files"].as_array().unwrap().iter();
        let urls = files.map(|file| file["url"].as_str().unwrap().to_owned());
        self.told.store(names, urls.collect());
        self.answered();
    }

    /// Creates an upload, whose length is said now or later, with the `first` bytes.
    fn create(&mut self, length: usize, said: bool, first: usize) -> String {
        self.next += 1;
        let name = Way::Tus.name(self.next, length, None);
        let defers = if said {
            ""
        } else {
            "Upload-Defer-Length: 1\r\n"
        };
        self.create_as(&name, defers, said.then_some(length), first);
        name
    }

    /// Creates the upload of this name, with further header lines.
    fn create_as(&mut self, name: &str, headers: &str, length: Option<usize>, first: usize) {
        let length = length.map_or_else(String::new, |l| format!("Upload-Length: {l}\r\n"));
        let headers = format!("{headers}{length}");
        let first = &content(name)[..first];
        let tus = Tus::create_with(
            self.server.address,
            &headers,
            &pair("filename", name),
            first,
        );
        let open = Open::new(name.to_owned(), tus.unwrap());
        self.told.open.push(open);
        self.answered();
    }

    /// Creates an upload in pieces with the `first` bytes; its place among those open.
    fn begin_pieces(&mut self, way: pieces::Way, length: usize, first: usize) -> usize {
        self.next += 1;
        let pieces = create(self.server.address, way, (self.next, length), first);
        self.told.pieces.push(pieces.unwrap());
        self.answered();
        self.told.pieces.len() - 1
    }

    /// Goes on as far as `end`, or as the way takes at once.
    fn piece(&mut self, index: usize, end: usize) {
        let pieces = &mut self.told.pieces[index];
        let at = usize::try_from(pieces.told).unwrap();
        let end = pieces.end(at, end.min(pieces.length()));
        let reply = pieces.append(self.server.address, at, end).unwrap();
        assert!(matches!(reply.status, 200..300), "{pieces:?}: {reply:?}");
        self.answered();
    }

    /// A request whose line breaks after `some` bytes, and one that asks what came of it.
    fn cut_piece(&mut self, index: usize, some: usize) {
        let pieces = &mut self.told.pieces[index];
        let at = usize::try_from(pieces.told).unwrap();
        let end = pieces.end(at, pieces.length());
        let line = pieces.begin(self.server.address, at, end, some);
        if is_answered(line.unwrap()) {
            self.answered();
        }
        let reply = self.told.pieces[index].head(self.server.address).unwrap();
        assert!(matches!(reply.status, 200 | 204), "{reply:?}");
        self.answered();
    }

    /// The last answer said that all is there.
    fn close_pieces(&mut self, index: usize) {
        self.told.close_pieces(index);
        self.after.pop();
        self.answered();
    }

    /// From the request on, the upload may be gone.
    fn end_pieces(&mut self, index: usize) {
        let pieces = self.told.pieces.remove(index);
        self.after.pop();
        self.answered();
        let reply = pieces.terminate(self.server.address).unwrap();
        assert_eq!(reply.status, 204, "{reply:?}");
        self.told.gone.push(pieces.url);
        self.answered();
    }

    fn index(&self, name: &str) -> usize {
        let mut open = self.told.open.iter();
        open.position(|open| open.name == name).unwrap()
    }

    fn open(&mut self, name: &str) -> &mut Tus {
        let index = self.index(name);
        &mut self.told.open[index].tus
    }

    /// PATCH of at most `most` bytes.
    fn append(&mut self, name: &str, most: usize, says_length: bool) {
        let (server, content) = (self.server.address, content(name));
        let length = match says_length {
            true => format!("Upload-Length: {}\r\n", content.len()),
            false => String::new(),
        };
        let tus = self.open(name);
        let rest = &content[usize::try_from(tus.told).unwrap()..];
        let some = &rest[..most.min(rest.len())];
        let reply = tus.patch(server, tus.told, &length, some).unwrap();
        assert_eq!(reply.status, 204, "{reply:?}");
        self.answered();
    }

    /// A PATCH of all that stands still after `some` bytes until a watcher sees a checkpoint, and then goes on.
    fn pause(&mut self, name: &str, some: usize) {
        let (server, content) = (self.server, content(name));
        let tus = self.open(name).clone();
        let line = tus.begin_patch(server.address, 0, content.len(), &content[..some]);
        let mut line = line.unwrap();
        let checkpoint = || {
            let record = server.get(&format!("/uploads/{}", tus.id())).json();
            let offset = record["offset"].as_u64().unwrap_or(0);
            self.told.saw(tus.id(), offset);
            self.answered();
            offset
        };
        eventually(checkpoint, |offset| *offset > 0);
        line.write_all(&content[some..]).unwrap();
        let reply = Reply::read(&mut line);
        assert_eq!((reply.status, offset(&reply)), (204, content.len() as u64));
        self.answered();
        self.close(name);
    }

    /// A PATCH whose line breaks after `some` bytes; the answer, if there is one, says nothing that is counted on.
    fn cut(&mut self, name: &str, some: usize) {
        let server = self.server.address;
        let tus = self.open(name);
        let rest = &content(name)[usize::try_from(tus.told).unwrap()..];
        let line = tus.begin_patch(server, tus.told, rest.len(), &rest[..some]);
        if is_answered(line.unwrap()) {
            self.answered();
        }
    }

    fn ask(&mut self, name: &str) {
        let server = self.server.address;
        let reply = self.open(name).head(server).unwrap();
        assert!(matches!(reply.status, 200 | 204), "{reply:?}");
        self.answered();
    }

    /// The last answer said that all is there.
    fn close(&mut self, name: &str) {
        let index = self.index(name);
        self.told.close(index);
        self.after.pop();
        self.answered();
    }

    /// From the request on, the upload may be gone.
    fn terminate(&mut self, name: &str) {
        let Open { tus, .. } = self.told.open.swap_remove(self.index(name));
        self.after.pop();
        self.answered();
        let reply = tus.terminate(self.server.address).unwrap();
        assert_eq!(reply.status, 204, "{reply:?}");
        self.told.gone.push(tus.url);
        self.answered();
    }
}

/// Breaks a line in the middle of a request; whether anything is said to that.
fn is_answered(mut line: TcpStream) -> bool {
    line.shutdown(Shutdown::Write).unwrap();
    let mut said = Vec::new();
    line.read_to_end(&mut said).unwrap();
    !said.is_empty()
}
