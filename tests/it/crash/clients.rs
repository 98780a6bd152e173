//! Clients that send one upload after the other until the server is gone, and keep what they were told.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::check::PARTS;
use super::content::{Way, content, create, length};
use super::random::Random;
use super::told::{Open, Told};
use crate::support::pieces::{self, Pieces, WAYS, is_complete};
use crate::support::tus::{Tus, offset, pair, request};
use crate::support::{Reply, form, part, post};

/// Of longer requests no checksum is sent: it would cost more than all the rest.
const CHECKED: usize = 256 << 10;

/// The furthest offset that a watcher saw of each upload.
pub(super) type Seen = Mutex<BTreeMap<String, u64>>;

/// The server of one round, and how far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round<'r> {
    pub(super) server: SocketAddr,
    /// Set before the kill: from then on lines may break.
    pub(super) dies: &'r AtomicBool,
    pub(super) seen: &'r Seen,
    /// How often a client was told that something is kept.
    pub(super) answers: &'r AtomicUsize,
}

impl Round<'_> {
    fn is_over(&self) -> bool {
        self.dies.load(Ordering::SeqCst)
    }

    fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// One client, who lives over many rounds.
#[derive(Debug)]
pub(super) struct Client {
    way: Way,
    /// The number of the next upload; clients count in steps, so that no two have the same.
    next: usize,
    step: usize,
    random: Random,
    pub(super) told: Told,
}

impl Client {
    /// Clients of all ways; at least one of each.
    pub(super) fn some(random: &mut Random) -> Vec<Self> {
        let ways = [Way::Form, Way::Put, Way::Tus, Way::Tus];
        let ways = ways.into_iter().chain(WAYS.map(Way::Pieces));
        let ways: Vec<_> = ways.collect();
        let step = ways.len();
        let client = |(next, way)| Self {
            way,
            next,
            step,
            random: random.fork(),
            told: Told::default(),
        };
        ways.into_iter().enumerate().map(client).collect()
    }

    /// Uploads until the server dies.
    pub(super) fn work(&mut self, round: Round<'_>) {
        while !round.is_over() {
            let how = match self.way {
                Way::Form => self.form(round.server),
                Way::Put => self.put(round.server),
                Way::Pieces(way) => self.pieces(way, round),
                _ => self.tus(round),
            };
            match how {
                Ok(()) => round.answered(),
                Err(e) => assert!(round.is_over(), "the server lives, and a line breaks: {e}"),
            }
        }
    }

    fn name(&mut self, part: Option<&str>) -> String {
        // A form has three of them.
        let most = if part.is_some() { 1 << 20 } else { usize::MAX };
        let length = length(&mut self.random).min(most);
        self.way.name(self.next, length, part)
    }

    fn form(&mut self, server: SocketAddr) -> io::Result<()> {
        let names = PARTS.map(|part| self.name(Some(part)));
        self.next += self.step;
        let parts: Vec<_> = names
            .iter()
            .map(|name| part("f", Some(name), content(name)))
            .collect();
        let reply = answer(server, &post("/upload", "", &form(&parts)), b"")?;
        self.told.store(&names, stored(&reply));
        Ok(())
    }

    fn put(&mut self, server: SocketAddr) -> io::Result<()> {
        let name = self.name(None);
        self.next += self.step;
        let content = content(&name);
        let length = content.len();
        let head =
            format!("PUT /files/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let reply = answer(server, head.as_bytes(), content)?;
        self.told.store(&[name], stored(&reply));
        Ok(())
    }

    /// A new upload or one that was left, some way or to its end.
    fn tus(&mut self, round: Round<'_>) -> io::Result<()> {
        let index = match self.told.open.len() {
            0 => self.create(round)?,
            open if open < 4 && self.random.one_in(2) => self.create(round)?,
            open => self.random.index(open),
        };
        watched(self.told.open[index].tus.id(), round);
        let reply = self.told.open[index].tus.head(round.server)?;
        assert!(matches!(reply.status, 200 | 204), "{reply:?}");
        let mut deferred = reply.header("upload-defer-length").is_some();
        let mut at = offset(&reply);
        let length = content(&self.told.open[index].name).len() as u64;
        while at < length || deferred {
            if round.is_over() || self.random.one_in(8) {
                return Ok(());
            }
            at = match at < length && self.random.one_in(6) {
                true => self.cut(index, at, round)?,
                false => self.append(index, at, &mut deferred, round)?,
            };
        }
        self.told.close(index);
        Ok(())
    }

    /// Creates an upload, with some of its bytes or none, with its length or without. Its place among those open.
    fn create(&mut self, round: Round<'_>) -> io::Result<usize> {
        let name = self.name(None);
        self.next += self.step;
        let content = content(&name);
        let length = (!self.random.one_in(3)).then_some(content.len() as u64);
        let first = match self.random.one_in(2) {
            true => self.random.bytes(content.len()),
            false => 0,
        };
        let metadata = format!("{},empty", pair("filename", &name));
        let tus = Tus::create(round.server, length, &metadata, &content[..first])?;
        self.told.open.push(Open::new(name, tus));
        Ok(self.told.open.len() - 1)
    }

    /// One PATCH, of all that is missing or some of it; the last one says the length where the server does not know it.
    fn append(
        &mut self,
        index: usize,
        at: u64,
        deferred: &mut bool,
        round: Round<'_>,
    ) -> io::Result<u64> {
        let open = &mut self.told.open[index];
        let content = content(&open.name);
        let rest = &content[usize::try_from(at).unwrap()..];
        let some = match self.random.one_in(2) {
            true => rest.len(),
            false => self.random.bytes(rest.len()),
        };
        let says = *deferred && (rest.is_empty() || self.random.one_in(3));
        let mut headers = match says {
            true => format!("Upload-Length: {}\r\n", content.len()),
            false => String::new(),
        };
        if some < CHECKED && self.random.one_in(3) {
            headers += &checksum(&rest[..some]);
        }
        let reply = open.tus.patch(round.server, at, &headers, &rest[..some])?;
        if matches!(reply.status, 400 | 409) && open.cut_at == Some(round.server) {
            // What was cut before came in after all, as the newer request: it has moved the offset, or has the upload.
            return Ok(offset(&open.tus.head(round.server)?));
        }
        assert_eq!(reply.status, 204, "{open:?}: {reply:?}");
        *deferred &= !says;
        let now = offset(&reply);
        assert_eq!(now, at + some as u64, "{reply:?}");
        Ok(now)
    }

    /// A PATCH that stands still before its end, and HEAD, which makes it let go and tells how far it came.
    fn cut(&mut self, index: usize, at: u64, round: Round<'_>) -> io::Result<u64> {
        let open = &mut self.told.open[index];
        let rest = &content(&open.name)[usize::try_from(at).unwrap()..];
        let some = &rest[..self.random.bytes(rest.len().saturating_sub(1))];
        open.cut_at = Some(round.server);
        let line = open.tus.begin_patch(round.server, at, rest.len(), some)?;
        let reply = open.tus.head(round.server)?;
        drop(line);
        let now = offset(&reply);
        // An earlier one that was cut may have come in too.
        assert!((at..=at + rest.len() as u64).contains(&now), "{reply:?}");
        Ok(now)
    }

    /// A new upload in pieces or one that was left, some way or to its end.
    fn pieces(&mut self, way: pieces::Way, round: Round<'_>) -> io::Result<()> {
        let open = self.told.pieces.len();
        let index = match open == 0 || open < 3 && self.random.one_in(2) {
            true => match self.begin_pieces(way, round.server)? {
                Some(index) => index,
                None => return Ok(()),
            },
            false => self.random.index(open),
        };
        watched(self.told.pieces[index].id(), round);
        loop {
            let reply = self.told.pieces[index].head(round.server)?;
            assert!(matches!(reply.status, 200 | 204), "{reply:?}");
            if is_complete(&reply) {
                self.told.close_pieces(index);
                return Ok(());
            }
            if round.is_over() || self.random.one_in(8) {
                return Ok(());
            }
            let at = usize::try_from(offset(&reply)).unwrap();
            match self.random.one_in(6) {
                true => self.cut_piece(index, at, round)?,
                false => self.piece(index, at, round)?,
            }
        }
    }

    /// Creates one. Its place among those open, unless it was complete at once.
    fn begin_pieces(&mut self, way: pieces::Way, server: SocketAddr) -> io::Result<Option<usize>> {
        let most = match way {
            pieces::Way::Form => 1 << 20,
            _ => usize::MAX,
        };
        let length = length(&mut self.random).min(most);
        let number = self.next;
        self.next += self.step;
        let first = match self.random.index(3) {
            0 => 0,
            1 => length,
            _ => self.random.bytes(length),
        };
        let pieces = create(server, way, (number, length), first)?;
        self.told.pieces.push(pieces);
        let index = self.told.pieces.len() - 1;
        let is_all = |pieces: &Pieces| pieces.told == pieces.length() as u64;
        // FilePond's has all of nothing, and waits for a chunk all the same.
        if way != pieces::Way::FilePond && is_all(&self.told.pieces[index]) {
            self.told.close_pieces(index);
            return Ok(None);
        }
        Ok(Some(index))
    }

    /// One request that brings all that is missing or some of it.
    fn piece(&mut self, index: usize, at: usize, round: Round<'_>) -> io::Result<()> {
        let pieces = &mut self.told.pieces[index];
        let length = pieces.length();
        let end = match self.random.one_in(2) {
            true => length,
            false => at + self.random.bytes(length - at),
        };
        let end = pieces.end(at, end);
        let reply = pieces.append(round.server, at, end)?;
        // What was cut before may have come in after all, as the newer request.
        let crossed = matches!(reply.status, 400 | 409) && pieces.cut_at == Some(round.server);
        let went_well = matches!(reply.status, 200 | 201 | 204);
        assert!(went_well || crossed, "{pieces:?}: {reply:?}");
        Ok(())
    }

    /// One that stands still before its end; the next HEAD makes it let go.
    fn cut_piece(&mut self, index: usize, at: usize, round: Round<'_>) -> io::Result<()> {
        let pieces = &mut self.told.pieces[index];
        let end = pieces.end(at, pieces.length());
        let some = self.random.bytes(end - at);
        pieces.cut_at = Some(round.server);
        let line = pieces.begin(round.server, at, end, some)?;
        let reply = pieces.head(round.server)?;
        drop(line);
        let now = offset(&reply);
        assert!(
            (at as u64..=pieces.length() as u64).contains(&now),
            "{reply:?}"
        );
        Ok(())
    }
}

fn watched(id: &str, round: Round<'_>) {
    let mut seen = round.seen.lock().unwrap();
    seen.entry(id.to_owned()).or_insert(0);
}

/// Asks for the records of all uploads that can be gone on with, again and again until the server is gone, and notes their offsets.
pub(super) fn watch(round: Round<'_>) {
    while !round.is_over() {
        let ids: Vec<_> = round.seen.lock().unwrap().keys().cloned().collect();
        for id in ids {
            let Ok(reply) = request(round.server, "GET", &format!("/uploads/{id}"), "", b"") else {
                break;
            };
            // Ended uploads are forgotten in the end, so other answers are right too.
            if reply.status == 200
                && let Some(offset) = reply.json()["offset"].as_u64()
            {
                let mut seen = round.seen.lock().unwrap();
                let furthest = seen.entry(id).or_default();
                *furthest = offset.max(*furthest);
            }
        }
        // So that most of the processor is left to the uploads.
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn answer(server: SocketAddr, head: &[u8], body: &[u8]) -> io::Result<Reply> {
    let mut line = TcpStream::connect(server)?;
    line.set_read_timeout(Some(Duration::from_secs(60)))?;
    line.write_all(head)?;
    line.write_all(body)?;
    Reply::try_read(&mut line)
}

fn checksum(bytes: &[u8]) -> String {
    let sum = STANDARD.encode(sha2::Sha256::digest(bytes));
    format!("Upload-Checksum: sha256 {sum}\r\n")
}

/// The files' URLs.
fn stored(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 201, "{reply:?}");
    let record = reply.json();
    let files = record["files"].as_array().unwrap().iter();
    files
        .map(|file| file["url"].as_str().unwrap().to_owned())
        .collect()
}
