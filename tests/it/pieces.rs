//! Any order of requests, cut lines and servers that go, by every protocol that sends in pieces but tus (`tus/any_order.rs`),
//! against a model that knows what must come of it.

use std::net::TcpStream;

use proptest::prelude::*;
use proptest::test_runner::Config;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::pieces::{Pieces, WAYS, Way, is_complete};
use crate::support::tus::offset;
use crate::support::{Reply, Server, eventually, form, part};

/// One step. Uploads are named by their numbers; a step on one that is not there does nothing.
#[derive(Clone, Debug)]
enum Step {
    /// An upload of so many bytes begins with so many of them.
    Create(Way, u8, u8),
    /// A request begins that announces so many bytes, and brings so many of these.
    Begin(usize, u8, u8),
    /// The open request's line breaks.
    Cut(usize),
    /// A whole request of so many bytes, so far from where the upload stands.
    Append(usize, i8, u8),
    /// The last request that went well again, whose answer may have been lost.
    Repeat(usize),
    Head(usize),
    Delete(usize),
    /// The server is told to stop, and another one takes its place.
    Stop,
    /// The server is killed, and another one takes its place.
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let upload = || 0..2_usize;
    let off = || prop_oneof![8 => Just(0), 1 => -5..6_i8];
    let way = prop::sample::select(WAYS.to_vec());
    let step = prop_oneof![
        2 => (way, 0..60_u8, 0..60_u8).prop_map(|(way, length, first)| Step::Create(way, length, first)),
        5 => (upload(), 2..60_u8, 1..30_u8).prop_map(|(u, all, some)| Step::Begin(u, all, some)),
        2 => upload().prop_map(Step::Cut),
        4 => (upload(), off(), 0..40_u8).prop_map(|(u, off, bytes)| Step::Append(u, off, bytes)),
        2 => upload().prop_map(Step::Repeat),
        3 => upload().prop_map(Step::Head),
        1 => upload().prop_map(Step::Delete),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec(step, 1..24)
}

/// What the model knows of an upload.
struct Known {
    pieces: Pieces,
    /// Its files' contents.
    files: Vec<Vec<u8>>,
    /// How many of its bytes are kept, where no request is open.
    stands: usize,
    /// Where the last request that went well began and ended.
    last: (usize, usize),
    /// A request under way, and how many bytes it has brought.
    open: Option<(TcpStream, usize)>,
    is_gone: bool,
    is_done: bool,
    /// It was done when its server ended: nobody remembers then what its client called it.
    is_nameless: bool,
}

impl Known {
    /// Whether it goes on from any byte: the others keep nothing of a request that breaks off.
    fn keeps_pieces(&self) -> bool {
        !matches!(self.pieces.way, Way::FilePond | Way::Dropzone)
    }

    /// The open request ends, if there is one, with what it has brought so far.
    fn lets_go(&mut self) -> Option<TcpStream> {
        let (line, brought) = self.open.take()?;
        if self.keeps_pieces() {
            self.stands += brought;
        }
        Some(line)
    }

    /// It ends so.
    fn ends(&mut self, status: u16) {
        if let Some(mut line) = self.lets_go() {
            let reply = Reply::read(&mut line);
            assert_eq!(reply.status, status, "{:?}: {reply:?}", self.pieces);
        }
    }

    /// A request went well that ended there.
    fn has_come_to(&mut self, at: usize, end: usize) {
        self.last = (at, end);
        self.stands = end;
        self.is_done = end == self.pieces.length();
    }

    /// Whether a request goes on with it.
    fn is_under_way(&self) -> bool {
        !self.is_gone && !self.is_done
    }

    /// The status of a request that goes well and ends there.
    fn status(&self, end: usize) -> u16 {
        match self.pieces.way {
            Way::FilePond => 204,
            Way::Dropzone => 200,
            _ if end == self.pieces.length() => 201,
            _ => 204,
        }
    }
}

struct World {
    folder: TempDir,
    server: Server,
    uploads: Vec<Known>,
}

/// Everybody lets go in time, and who is told to stop does so at once.
const ARGS: [&str; 6] = [
    "--let-go-time",
    "30s",
    "--checkpoint-bytes",
    "16",
    "--shutdown-grace",
    "0s",
];

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            server: Server::start_in(folder.path(), &ARGS),
            folder,
            uploads: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Create(way, length, first) => self.create(way, length.into(), first.into()),
            Step::Begin(upload, all, some) => self.begin(upload, all.into(), some.into()),
            Step::Cut(upload) => self.cut(upload),
            Step::Append(upload, off, bytes) => self.append(upload, off.into(), bytes.into()),
            Step::Repeat(upload) => self.repeat(upload),
            Step::Head(upload) => self.head(upload),
            Step::Delete(upload) => self.delete(upload),
            Step::Stop => self.stop(),
            Step::Kill => self.kill(),
        }
    }

    fn create(&mut self, way: Way, length: usize, first: usize) {
        let name = format!("u{}", self.uploads.len());
        let letters = ('a'..='z').cycle().take(length);
        let content = letters.collect::<String>().into_bytes();
        let (body, files) = match way {
            Way::Form => {
                let file = |name: &str, content: &[u8]| part("dish", Some(name), content);
                let note = part("note", None, b"for table 7");
                let (one, two) = (format!("{name}.a"), format!("{name}.b"));
                let body = form(&[file(&one, &content), note, file(&two, b"bread")]);
                (body, vec![content, b"bread".to_vec()])
            }
            _ => (content.clone(), vec![content]),
        };
        let pieces = Pieces::create(self.server.address, way, name, body.into(), first).unwrap();
        let stands = usize::try_from(pieces.told).unwrap();
        // FilePond says with a chunk that there is a file, also of one of no bytes.
        let is_done = stands == pieces.length() && way != Way::FilePond;
        self.uploads.push(Known {
            pieces,
            files,
            stands,
            last: (0, stands),
            open: None,
            is_gone: false,
            is_done,
            is_nameless: false,
        });
    }

    /// A client that comes back asks first.
    fn at_rest(&mut self, upload: usize) -> Option<&mut Known> {
        if self.uploads.get(upload)?.open.is_some() {
            self.head(upload);
        }
        Some(&mut self.uploads[upload])
    }

    fn begin(&mut self, upload: usize, all: usize, some: usize) {
        let address = self.server.address;
        let Some(known) = self.at_rest(upload).filter(|known| known.is_under_way()) else {
            return;
        };
        let at = known.stands;
        let end = known.pieces.end(at, (at + all).min(known.pieces.length()));
        let some = some.min((end - at).saturating_sub(1));
        if some == 0 {
            return;
        }
        let line = known.pieces.begin(address, at, end, some).unwrap();
        known.open = Some((line, some));
        let received = at + some;
        let known = &self.uploads[upload];
        eventually(
            || self.record(known),
            |record| record["received"] == received,
        );
    }

    fn cut(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        if let Some(line) = known.lets_go() {
            drop(line);
            let known = &self.uploads[upload];
            let rests =
                |record: &Value| record["state"] != "uploading" && record["offset"] == known.stands;
            eventually(|| self.record(known), rests);
        }
    }

    fn append(&mut self, upload: usize, off: isize, bytes: usize) {
        let address = self.server.address;
        let Some(known) = self.at_rest(upload).filter(|known| known.is_under_way()) else {
            return;
        };
        let (stands, length) = (known.stands, known.pieces.length());
        let off = if known.keeps_pieces() { off } else { 0 };
        let at = stands.saturating_add_signed(off).min(length);
        let end = known.pieces.end(at, (at + bytes).min(length));
        let reply = known.pieces.append(address, at, end).unwrap();
        if at == stands {
            assert_eq!(
                reply.status,
                known.status(end),
                "{:?}: {reply:?}",
                known.pieces
            );
            known.has_come_to(at, end);
        } else if reply.status == 400 {
            // It says that it is the last one, and ends before what is kept.
            assert!(
                end == length && known.pieces.way != Way::FilePond,
                "{reply:?}"
            );
        } else {
            assert_eq!(
                (reply.status, offset(&reply)),
                (409, stands as u64),
                "{reply:?}"
            );
        }
    }

    /// It is answered again as it was, and changes nothing; where more than nothing is kept of it, the draft tells the
    /// place.
    fn repeat(&mut self, upload: usize) {
        let address = self.server.address;
        let Some(known) = self.at_rest(upload).filter(|known| !known.is_gone) else {
            return;
        };
        let (at, end) = known.last;
        let is_unknown = known.pieces.way == Way::Dropzone && known.is_nameless;
        if at == end || end > known.stands || is_unknown {
            return;
        }
        let told = known.pieces.told;
        let reply = known.pieces.append(address, at, end).unwrap();
        known.pieces.told = told;
        let again = !known.keeps_pieces() || known.is_done;
        let status = if again { known.status(end) } else { 409 };
        assert_eq!(reply.status, status, "{:?}: {reply:?}", known.pieces);
        self.head(upload);
    }

    fn head(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let reply = known.pieces.head(self.server.address).unwrap();
        known.ends(400);
        if known.is_gone {
            return assert_eq!(reply.status, 404, "{reply:?}");
        }
        assert!(matches!(reply.status, 200 | 204), "{reply:?}");
        assert_eq!(offset(&reply), known.stands as u64, "{:?}", known.pieces);
        assert_eq!(
            is_complete(&reply),
            known.is_done,
            "{:?}: {reply:?}",
            known.pieces
        );
    }

    fn delete(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let reply = known.pieces.terminate(self.server.address).unwrap();
        let status = if known.is_gone { 404 } else { 204 };
        assert_eq!(reply.status, status, "{reply:?}");
        known.ends(410);
        known.is_gone = true;
    }

    /// Who sends is told to come back, and finds all that has come.
    fn stop(&mut self) {
        self.server.signal(Signal::TERM);
        for known in &mut self.uploads {
            known.ends(503);
        }
        assert!(self.server.ends().success());
        self.server = Server::start_in(self.folder.path(), &ARGS);
        self.all_stand();
    }

    /// After a restart.
    fn all_stand(&mut self) {
        for upload in 0..self.uploads.len() {
            self.uploads[upload].is_nameless = self.uploads[upload].is_done;
            self.head(upload);
        }
    }

    /// What has come since the last answer or checkpoint may be lost, and no more.
    fn kill(&mut self) {
        self.server.kill();
        self.server = Server::start_in(self.folder.path(), &ARGS);
        for known in self.uploads.iter_mut().filter(|known| !known.is_gone) {
            known.lets_go();
            let told = known.pieces.told;
            let reply = known.pieces.head(self.server.address).unwrap();
            let stands = offset(&reply);
            let most = known.stands as u64;
            assert!((told..=most).contains(&stands), "{told} {most} {reply:?}");
            known.stands = usize::try_from(stands).unwrap();
        }
        self.all_stand();
    }

    fn record(&self, known: &Known) -> Value {
        let record = format!("/uploads/{}", known.pieces.id());
        self.server.get(&record).json()
    }

    /// Every upload is brought to its end, and nothing but the finished files is left.
    fn finish(mut self) {
        for upload in 0..self.uploads.len() {
            self.head(upload);
            let known = &mut self.uploads[upload];
            if known.is_gone {
                continue;
            }
            known.pieces.finish(self.server.address).unwrap();
            let urls = known.pieces.urls(known.files.len());
            for (url, content) in urls.iter().zip(&known.files) {
                let reply = self.server.get(url);
                assert_eq!(
                    (reply.status, &reply.body),
                    (200, content),
                    "{:?}",
                    known.pieces
                );
            }
        }
        assert_eq!(self.server.under_way(), [""; 0]);
    }
}

proptest! {
    #![proptest_config(Config { cases: 16, max_shrink_iters: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_order_of_requests_cuts_and_servers_that_go_keeps_what_was_told_by_every_protocol(steps in steps()) {
        let mut world = World::start();
        for step in &steps {
            world.take(step);
        }
        world.finish();
    }
}
