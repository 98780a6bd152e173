//! The line between a client and a server, in which a test stands: it can hold, break, lead elsewhere, and hide what a server
//! says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A listener that passes everything on.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    now: Mutex<Now>,
    changed: Condvar,
    hidden: &'static [(&'static str, &'static str)],
}

struct Now {
    server: SocketAddr,
    /// Bytes that have gone up.
    up: u64,
    /// How many may, and what happens to those behind them.
    most: u64,
    then: Then,
    /// Connections so far, and how many of them this is about: later ones are let through.
    begun: u64,
    limited: u64,
    /// How many of them are cut.
    cut: u64,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Hold,
    Break,
}

impl Line {
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self::hiding(server, &[])
    }

    /// One that writes something else, as long, over words in what the server says.
    pub(crate) fn hiding(
        server: SocketAddr,
        hidden: &'static [(&'static str, &'static str)],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let now = Now {
            server,
            up: 0,
            most: u64::MAX,
            then: Then::Hold,
            begun: 0,
            limited: u64::MAX,
            cut: 0,
            closed: false,
        };
        let shared = Arc::new(Shared {
            now: Mutex::new(now),
            changed: Condvar::new(),
            hidden,
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.now.lock().unwrap().closed {
                    break;
                }
                accepting.carry(client.unwrap());
            }
        });
        Self { address, shared }
    }

    /// The address of the server's page by this line.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// So many bytes go up from the beginning; then it holds.
    pub(crate) fn hold_after(&self, bytes: u64) {
        self.set(|now| (now.most, now.then) = (bytes, Then::Hold));
    }

    /// So many bytes go up from the beginning; then it breaks once.
    pub(crate) fn break_after(&self, bytes: u64) {
        self.set(|now| (now.most, now.then) = (bytes, Then::Break));
    }

    /// Lets everything pass, and counts anew.
    pub(crate) fn release(&self) {
        self.set(|now| (now.most, now.up) = (u64::MAX, 0));
    }

    /// The same, but all that is connected is cut, with whatever is on its way.
    pub(crate) fn cut_and_release(&self) {
        self.set(|now| (now.most, now.up, now.cut) = (u64::MAX, 0, now.begun));
    }

    /// Lets pass what connects from now on; what holds goes on to hold.
    pub(crate) fn let_others_pass(&self) {
        self.set(|now| now.limited = now.begun);
    }

    /// What connects from now on finds another server.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.set(|now| now.server = server);
    }

    /// Bytes that have gone up, since it was released last.
    pub(crate) fn up(&self) -> u64 {
        self.shared.now.lock().unwrap().up
    }

    fn set(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.shared.now.lock().unwrap());
        self.shared.changed.notify_all();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.set(|now| (now.closed, now.most) = (true, u64::MAX));
        // The listener looks up.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn carry(self: &Arc<Self>, client: TcpStream) {
        let (address, nth) = {
            let mut now = self.now.lock().unwrap();
            now.begun += 1;
            (now.server, now.begun)
        };
        let Ok(server) = TcpStream::connect(address) else {
            return;
        };
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (up, down) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || up.up(nth, from, to));
        thread::spawn(move || down.down(server, client));
    }

    fn up(&self, nth: u64, mut client: TcpStream, mut server: TcpStream) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = client.read(&mut bytes) {
            let mut rest = &bytes[..read];
            while !rest.is_empty() {
                let Some(allowed) = self.allowed(nth, rest.len()) else {
                    let _ = client.shutdown(Shutdown::Both);
                    let _ = server.shutdown(Shutdown::Both);
                    return;
                };
                if server.write_all(&rest[..allowed]).is_err() {
                    let _ = client.shutdown(Shutdown::Both);
                    return;
                }
                rest = &rest[allowed..];
            }
        }
        let _ = server.shutdown(Shutdown::Write);
    }

    /// How many of so many bytes may go; waits until some may. `None` where the line breaks.
    fn allowed(&self, nth: u64, wanted: usize) -> Option<usize> {
        let mut now = self.now.lock().unwrap();
        while nth <= now.limited && now.up >= now.most {
            if now.then == Then::Break {
                now.most = u64::MAX;
                return None;
            }
            now = self.changed.wait(now).unwrap();
        }
        if nth <= now.cut {
            return None;
        }
        let left = match nth <= now.limited {
            true => now.most - now.up,
            false => u64::MAX,
        };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let allowed = wanted.min(left);
        now.up += allowed as u64;
        Some(allowed)
    }

    fn down(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = server.read(&mut bytes) {
            let mut said = bytes[..read].to_vec();
            for (word, other) in self.hidden {
                assert_eq!(word.len(), other.len());
                hide(&mut said, word.as_bytes(), other.as_bytes());
            }
            if client.write_all(&said).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Write);
    }
}

/// A head comes in one piece: our server writes it so.
fn hide(said: &mut [u8], word: &[u8], other: &[u8]) {
    let found: Vec<_> = said
        .windows(word.len())
        .enumerate()
        .filter(|(_, window)| *window == word)
        .map(|(at, _)| at)
        .collect();
    for at in found {
        said[at..at + word.len()].copy_from_slice(other);
    }
}
