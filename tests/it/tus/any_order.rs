//! Any order of requests, cut lines and servers that go, against a model that knows what must come of it: over sockets
//! what `src/unfinished/tests/model` tries many more orders of within one process.

use std::io::Write;
use std::net::TcpStream;

use proptest::prelude::*;
use proptest::test_runner::Config;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::tus::{Tus, offset};
use crate::support::{Reply, Server, eventually};

/// One step. Uploads are named by their numbers; a step on one that is not there does nothing.
#[derive(Clone, Debug)]
enum Step {
    /// An upload begins; `None` is of unknown length.
    Create(Option<u8>),
    /// A request begins so far from where the upload stands, brings so many bytes and announces so many more.
    Begin(usize, i64, u8, u8),
    /// The open request brings more of what it has announced.
    Send(usize, u8),
    /// The open request's line breaks.
    Cut(usize),
    /// A whole request.
    Patch(usize, i64, u8),
    Head(usize),
    Delete(usize),
    /// The server is told to stop, and another one takes its place.
    Stop,
    /// The server is killed, and another one takes its place.
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let upload = || 0..2_usize;
    let off = || prop_oneof![8 => Just(0), 1 => -5..6_i64];
    let length = prop::option::weighted(0.7, 0..60_u8);
    let step = prop_oneof![
        2 => length.prop_map(Step::Create),
        5 => (upload(), off(), 1..10_u8, 1..10_u8).prop_map(|(u, off, now, more)| Step::Begin(u, off, now, more)),
        4 => (upload(), 1..10_u8).prop_map(|(u, bytes)| Step::Send(u, bytes)),
        2 => upload().prop_map(Step::Cut),
        4 => (upload(), off(), 0..20_u8).prop_map(|(u, off, bytes)| Step::Patch(u, off, bytes)),
        3 => upload().prop_map(Step::Head),
        1 => upload().prop_map(Step::Delete),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec(step, 1..24)
}

/// What the model knows of an upload.
struct Known {
    tus: Tus,
    length: Option<u64>,
    /// What has been sent of it, as far as it stands.
    sent: Vec<u8>,
    /// A request under way, and how much of it is still to come.
    open: Option<(TcpStream, usize)>,
    is_gone: bool,
}

impl Known {
    fn stands(&self) -> u64 {
        self.sent.len() as u64
    }

    fn is_done(&self) -> bool {
        self.length == Some(self.stands()) && self.open.is_none()
    }

    /// The open request is answered so, if there is one.
    fn ends(&mut self, code: &str) {
        if let Some((mut line, _)) = self.open.take() {
            let reply = Reply::read(&mut line);
            assert_eq!(reply.json()["code"], code, "{reply:?}");
        }
    }

    /// What refuses a request by its head.
    fn refusal(&self, at: u64, declared: u64) -> Option<u16> {
        let too_long = |length| at + declared > length;
        match () {
            () if self.is_gone => Some(404),
            () if at != self.stands() => Some(409),
            () if self.length.is_some_and(too_long) => Some(400),
            () => None,
        }
    }
}

struct World {
    folder: TempDir,
    server: Server,
    uploads: Vec<Known>,
    /// How often bytes were sent: no two times the same.
    sends: u8,
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
            sends: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        self.sends = self.sends.wrapping_add(1);
        let bytes = |count: u8| vec![self.sends; usize::from(count)];
        match *step {
            Step::Create(length) => self.create(length.map(u64::from)),
            Step::Begin(upload, off, now, more) => {
                let bytes = bytes(now);
                self.begin(upload, off, &bytes, usize::from(more));
            }
            Step::Send(upload, count) => {
                let bytes = bytes(count);
                self.send(upload, &bytes);
            }
            Step::Cut(upload) => self.cut(upload),
            Step::Patch(upload, off, count) => {
                let bytes = bytes(count);
                self.patch(upload, off, &bytes);
            }
            Step::Head(upload) => self.head(upload),
            Step::Delete(upload) => self.delete(upload),
            Step::Stop => self.stop(),
            Step::Kill => self.kill(),
        }
    }

    fn create(&mut self, length: Option<u64>) {
        let tus = Tus::create(self.server.address, length, "", b"").unwrap();
        self.uploads.push(Known {
            tus,
            length,
            sent: Vec::new(),
            open: None,
            is_gone: false,
        });
    }

    fn begin(&mut self, upload: usize, off: i64, bytes: &[u8], more: usize) {
        // A client that comes back asks first.
        if self.uploads.get(upload).is_some_and(|u| u.open.is_some()) {
            self.head(upload);
        }
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let at = known.stands().saturating_add_signed(off);
        let declared = bytes.len() + more;
        let refusal = known.refusal(at, declared as u64);
        let begun = known
            .tus
            .begin_patch(self.server.address, at, declared, bytes);
        let mut line = begun.unwrap();
        match refusal {
            Some(status) => assert_refused(known, &Reply::read(&mut line), status),
            None => {
                known.sent.extend(bytes);
                known.open = Some((line, more));
                has_received(&self.server, known);
            }
        }
    }

    fn send(&mut self, upload: usize, bytes: &[u8]) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let Some((line, left)) = &mut known.open else {
            return;
        };
        let bytes = &bytes[..bytes.len().min(*left)];
        line.write_all(bytes).unwrap();
        known.sent.extend(bytes);
        *left -= bytes.len();
        if *left > 0 {
            return has_received(&self.server, known);
        }
        let reply = Reply::read(line);
        known.open = None;
        assert_eq!((reply.status, offset(&reply)), (204, known.stands()));
        known.tus.told = known.stands();
    }

    fn cut(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        if known.open.take().is_some() {
            eventually(
                || record(&self.server, known),
                |r| r["state"] == "interrupted",
            );
        }
    }

    fn patch(&mut self, upload: usize, off: i64, bytes: &[u8]) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let at = known.stands().saturating_add_signed(off);
        let refusal = known.refusal(at, bytes.len() as u64);
        let reply = known.tus.patch(self.server.address, at, "", bytes).unwrap();
        if known.open.is_some() && matches!(reply.status, 400 | 409) {
            // What does not fit what is kept so far disturbs nobody who writes; who asks does.
            return self.head(upload);
        }
        known.ends("superseded");
        match refusal {
            Some(status) => assert_refused(known, &reply, status),
            None => {
                known.sent.extend(bytes);
                assert_eq!((reply.status, offset(&reply)), (204, known.stands()));
            }
        }
    }

    fn head(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let reply = known.tus.head(self.server.address).unwrap();
        known.ends("superseded");
        if known.is_gone {
            return assert_eq!(reply.status, 404, "{reply:?}");
        }
        assert!(matches!(reply.status, 200 | 204), "{reply:?}");
        assert_eq!(offset(&reply), known.stands());
        let length = reply.header("upload-length").map(|l| l.parse().unwrap());
        assert_eq!(length, known.length, "{reply:?}");
    }

    fn delete(&mut self, upload: usize) {
        let Some(known) = self.uploads.get_mut(upload) else {
            return;
        };
        let reply = known.tus.terminate(self.server.address).unwrap();
        let status = if known.is_gone { 404 } else { 204 };
        assert_eq!(reply.status, status, "{reply:?}");
        known.ends("cancelled");
        known.is_gone = true;
    }

    /// Who sends is told to come back, and finds all that has come.
    fn stop(&mut self) {
        self.server.signal(Signal::TERM);
        for known in &mut self.uploads {
            known.ends("shutting_down");
        }
        assert!(self.server.ends().success());
        self.server = Server::start_in(self.folder.path(), &ARGS);
        for upload in 0..self.uploads.len() {
            self.head(upload);
        }
    }

    /// What has come since the last answer or checkpoint may be lost, and no more.
    fn kill(&mut self) {
        self.server.kill();
        self.server = Server::start_in(self.folder.path(), &ARGS);
        for known in self.uploads.iter_mut().filter(|known| !known.is_gone) {
            known.open = None;
            let told = known.tus.told;
            let reply = known.tus.head(self.server.address).unwrap();
            let stands = offset(&reply);
            assert!(
                (told..=known.stands()).contains(&stands),
                "{told} {reply:?}"
            );
            known.sent.truncate(usize::try_from(stands).unwrap());
        }
        for upload in 0..self.uploads.len() {
            self.head(upload);
        }
    }

    /// Every upload is brought to its end, and nothing but the finished files is left.
    fn finish(mut self) {
        for upload in 0..self.uploads.len() {
            self.head(upload);
            let known = &mut self.uploads[upload];
            if known.is_gone {
                continue;
            }
            if !known.is_done() {
                let length = known.length.unwrap_or(known.stands() + 3);
                known.sent.resize(usize::try_from(length).unwrap(), 0);
                known.tus.finish(self.server.address, &known.sent).unwrap();
            }
            let reply = self.server.get(&known.tus.url);
            assert_eq!((reply.status, &reply.body), (200, &known.sent));
        }
        assert_eq!(self.server.under_way(), [""; 0]);
    }
}

fn assert_refused(known: &mut Known, reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    if status == 409 {
        assert_eq!(offset(reply), known.stands(), "{reply:?}");
        known.tus.told = known.stands();
    }
}

fn record(server: &Server, known: &Known) -> serde_json::Value {
    server.get(&format!("/uploads/{}", known.tus.id())).json()
}

fn has_received(server: &Server, known: &Known) {
    eventually(
        || record(server, known),
        |record| record["received"] == known.stands(),
    );
}

proptest! {
    #![proptest_config(Config { cases: 12, max_shrink_iters: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_order_of_requests_cuts_and_servers_that_go_keeps_what_was_told_and_nothing_else(steps in steps()) {
        let mut world = World::start();
        for step in &steps {
            world.take(step);
        }
        world.finish();
    }
}
