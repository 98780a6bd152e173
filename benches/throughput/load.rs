//! The load generator: blocking sockets, a thread for each connection, everything prepared before the clock starts.
//!
//! A body is one block of random bytes sent again and again. It stays in the processor's cache, so that sending is
//! cheaper than receiving and the server is what is measured.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Connection, Shape};
use crate::kind::Kind;

/// Bytes of the block that bodies are made of.
const BLOCK: usize = 1 << 20;

/// Uploads of one shape and size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    /// Bytes of each file.
    pub(crate) size: u64,
    /// Uploads in all.
    pub(crate) count: usize,
    /// Connections, each kept for all its uploads.
    pub(crate) at_once: usize,
}

impl Load {
    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.size * self.count as u64
    }

    /// What of it is sent to `kind`: Django gets less, so that it ends soon enough. Speeds compare all the same.
    pub(crate) fn of(self, kind: Kind) -> Self {
        match kind {
            Kind::Django => Self {
                size: self.size.min(256 << 20),
                count: self.count.min(200),
                ..self
            },
            _ => self,
        }
    }

    /// As much as a server needs to have been through once before it is measured.
    pub(crate) fn a_little(&self) -> Self {
        Self {
            size: self.size.min(BLOCK as u64),
            count: self.at_once,
            ..*self
        }
    }

    /// What it means to send all of it in `seconds`: MB/s of one upload, uploads a second of many.
    pub(crate) fn speed(&self, seconds: f64) -> f64 {
        match self.count {
            1 => self.size as f64 / 1e6 / seconds,
            many => many as f64 / seconds,
        }
    }

    /// Sends all uploads to `address` and returns when the last one is answered.
    pub(crate) fn run(&self, address: SocketAddr, block: &[u8]) -> io::Result<()> {
        // Names differ from run to run: nginx refuses a progress id that it still remembers.
        static NAME: AtomicUsize = AtomicUsize::new(0);
        let end = NAME.load(Ordering::Relaxed) + self.count;
        let one = || {
            let mut connection = Connection::open(address)?;
            loop {
                let name = NAME.fetch_add(1, Ordering::Relaxed);
                if name >= end {
                    return Ok(());
                }
                connection.upload(self.shape, &format!("u{name}"), self.size, block)?;
            }
        };
        thread::scope(|scope| {
            let all: Vec<_> = (0..self.at_once).map(|_| scope.spawn(one)).collect();
            all.into_iter().try_for_each(joined)
        })
    }
}

/// Asks for `path` on a fresh connection every `every` until `stop` is set; how long each answer took. Time counts from when the request was due, so that a server that stands still cannot hide it.
pub(crate) fn pings(
    address: SocketAddr,
    path: &str,
    every: Duration,
    stop: &AtomicBool,
) -> io::Result<Vec<Duration>> {
    const ASKERS: usize = 32;
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let asker = || {
        let mut took = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let due = start + every * next.fetch_add(1, Ordering::Relaxed) as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            Connection::open(address)?.get(path)?;
            took.push(due.elapsed());
        }
        Ok::<_, io::Error>(took)
    };
    let all = thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS).map(|_| scope.spawn(asker)).collect();
        let all = askers.into_iter().map(joined);
        all.collect::<io::Result<Vec<_>>>()
    });
    Ok(all?.concat())
}

/// Asks for `paths` in turn on `at_once` kept connections, as fast as they are answered, for `time`; how many answers.
pub(crate) fn polls(
    address: SocketAddr,
    paths: &[String],
    at_once: usize,
    time: Duration,
) -> io::Result<u64> {
    let asker = || {
        let (mut connection, end) = (Connection::open(address)?, Instant::now() + time);
        let mut count = 0;
        for path in paths.iter().cycle() {
            connection.get(path)?;
            count += 1;
            if Instant::now() >= end {
                break;
            }
        }
        Ok(count)
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..at_once).map(|_| scope.spawn(asker)).collect();
        all.into_iter().map(joined).sum()
    })
}

/// The block of random bytes that bodies are made of.
pub(crate) fn block() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    (0..BLOCK / 8).flat_map(|_| step().to_le_bytes()).collect()
}

/// What `handle` returned; a panic goes on here.
pub(crate) fn joined<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    match handle.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
