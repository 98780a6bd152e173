//! Slow uploaders, all on one thread: what they send in a step always fits into a socket's buffer.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cases::{Bench, MIB, in_turn, of, progress};
use crate::client::{Connection, Message, Shape};
use crate::kind::Kind;
use crate::load::{Load, joined};
use crate::servers::Server;
use crate::table::{Claim, Row, Wanted, middle};

/// How often each of them sends something.
const STEP: Duration = Duration::from_millis(100);

/// Length of each file: more than is ever sent, yet so little that a server may reserve room for all of them.
const LENGTH: u64 = 4 << 20;

/// Slow uploads, begun and not yet ended.
struct Slow {
    connections: Vec<Connection>,
}

impl Slow {
    /// Begins `count` forms, of progress ids s0, s1 …
    fn begin(address: SocketAddr, count: usize) -> io::Result<Self> {
        let one = |number| {
            let mut connection = Connection::open(address)?;
            let message = Message::new(Shape::Form, &format!("s{number}"), LENGTH);
            connection.send(&mut [IoSlice::new(message.before())])?;
            Ok(connection)
        };
        let connections = (0..count).map(one).collect::<io::Result<_>>()?;
        Ok(Self { connections })
    }

    /// Sends `per_second` bytes of each upload until `stop` is set; the first that cannot be sent ends it.
    fn run(&mut self, per_second: usize, block: &[u8], stop: &AtomicBool) -> io::Result<()> {
        let bytes = per_second / (Duration::from_secs(1).as_millis() / STEP.as_millis()) as usize;
        let mut due = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            for connection in &mut self.connections {
                connection.send(&mut [IoSlice::new(&block[..bytes])])?;
            }
            // What was missed is not made up for: slow uploads do not come in bursts.
            due = Instant::now().max(due + STEP);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

/// Does `work` while `count` uploads trickle into `server`, `per_second` bytes each.
pub(crate) fn while_slow<T>(
    server: &Server,
    count: usize,
    per_second: usize,
    block: &[u8],
    work: impl FnOnce() -> T,
) -> anyhow::Result<T> {
    let mut slow = Slow::begin(server.address, count)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let trickle = scope.spawn(|| slow.run(per_second, block, &stop));
        thread::sleep(3 * STEP);
        let done = work();
        stop.store(true, Ordering::Relaxed);
        joined(trickle)?;
        Ok(done)
    })
}

/// Does `work` while `count` connections send a request's head, a field a second each.
fn while_heads_come<T>(
    server: &Server,
    count: usize,
    work: impl FnOnce() -> T,
) -> anyhow::Result<T> {
    let begun = || {
        let mut connection = Connection::open(server.address)?;
        connection.send(&mut [IoSlice::new(b"GET / HTTP/1.1\r\nHost: localhost\r\n")])?;
        Ok(connection)
    };
    let mut heads = std::iter::repeat_with(begun)
        .take(count)
        .collect::<io::Result<Vec<_>>>()?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let trickle = scope.spawn(|| {
            for step in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let each_second = (Duration::from_secs(1).as_millis() / STEP.as_millis()) as usize;
                for head in heads
                    .iter_mut()
                    .skip(step % each_second)
                    .step_by(each_second)
                {
                    head.send(&mut [IoSlice::new(b"X: y\r\n")])?;
                }
                thread::sleep(STEP);
            }
            Ok::<_, io::Error>(())
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        joined(trickle)?;
        Ok(done)
    })
}

impl Bench<'_> {
    /// What part of its speed one form keeps beside 500 slow heads and 500 slow bodies.
    pub(crate) fn crowd(&self) -> anyhow::Result<Row> {
        const EACH: usize = 500;
        let load = Load {
            shape: Shape::Form,
            size: 512 * MIB,
            count: 1,
            at_once: 1,
        };
        let mut kept = self.figures(&[Kind::Nginx, Kind::Ours]);
        for round in self.rounds(self.rounds) {
            for index in in_turn(round, kept.len()) {
                let (kind, kept) = &mut kept[index];
                let server = self.start(*kind, self.plain())?;
                let seconds = || {
                    let begun = Instant::now();
                    let sent = load.run(server.address, &self.block);
                    sent.map(|()| begun.elapsed().as_secs_f64())
                };
                seconds()?;
                let alone = seconds()?;
                let beside_bodies = || while_slow(&server, EACH, 1 << 10, &self.block, seconds);
                let crowded = while_heads_come(&server, EACH, beside_bodies)???;
                kept.push(alone / crowded);
                server.clear()?;
            }
            progress("crowd", round, &kept);
        }
        let claim = Claim::of(
            "parts of its own speed",
            of(&kept, Kind::Ours),
            Wanted::AtLeast(0.9),
        );
        Ok(Row {
            case: format!("speed kept by a form beside {} slow connections", 2 * EACH),
            reached: kept
                .iter()
                .map(|(kind, kept)| (*kind, middle(kept)))
                .collect(),
            claims: claim.into_iter().collect(),
            ..Row::default()
        })
    }

    /// Resident memory for each of 1,000 slow uploads. Django is left out: a thousand of them are a thousand workers,
    /// or wait in line.
    pub(crate) fn slow(&self) -> anyhow::Result<Row> {
        const UPLOADS: usize = 1000;
        let mut grown = self.figures(&[Kind::Hyper, Kind::Axum, Kind::Nginx, Kind::Ours]);
        for round in self.rounds(self.rounds) {
            for index in in_turn(round, grown.len()) {
                let (kind, grown) = &mut grown[index];
                let server = self.start(*kind, self.plain())?;
                let bytes = self
                    .growth(&server, UPLOADS)
                    .with_context(|| server.report())?;
                // Nothing is cut: servers may still be removing what was broken off.
                grown.push(bytes / 1024.0 / UPLOADS as f64);
            }
            progress("slow, KiB each", round, &grown);
        }
        let ours = of(&grown, Kind::Ours);
        let ratios = grown.iter().filter(|(kind, _)| *kind != Kind::Ours);
        let ratios =
            ratios.map(|(kind, theirs)| Claim::ratio(*kind, ours, theirs, Wanted::Nothing));
        let claims = ratios.chain([Claim::of("KiB each", ours, Wanted::AtMost(20.0))]);
        Ok(Row {
            case: format!("resident memory of {UPLOADS} slow uploads, KiB each"),
            reached: grown
                .iter()
                .map(|(kind, grown)| (*kind, middle(grown)))
                .collect(),
            claims: claims.flatten().collect(),
            ..Row::default()
        })
    }

    /// By how many bytes the memory of `server` grows at most while `count` uploads trickle in. What it needs once, for
    /// the first upload, was there before.
    fn growth(&self, server: &Server, count: usize) -> anyhow::Result<f64> {
        const LOOK: Duration = Duration::from_millis(500);
        let looks = if self.quick { 10 } else { 30 };
        let some = Load {
            shape: Shape::Form,
            size: 64 << 10,
            count: 4,
            at_once: 1,
        };
        some.run(server.address, &self.block)?;
        let before = server.resident();
        let look = |_| {
            thread::sleep(LOOK);
            server.resident()
        };
        let look_on = || (0..looks).map(look).fold(before, f64::max);
        Ok(while_slow(server, count, 20 << 10, &self.block, look_on)? - before)
    }
}
