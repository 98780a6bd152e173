//! Slow uploaders, all on one thread: what they send in a step always fits into a socket's buffer.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cases::{Bench, MIB, of, progress};
use crate::client::{Connection, Message, Shape};
use crate::load::{Load, joined};
use crate::servers::{Kind, Server};
use crate::table::{Row, middle, ratio};

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
            due += STEP;
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
        let mut kept = self.but_bare();
        for round in 0..self.rounds {
            for (kind, kept) in &mut kept {
                let server = self.start(*kind, "close")?;
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
            }
            let latest = kept
                .iter()
                .filter_map(|(kind, kept)| Some((*kind, *kept.last()?)));
            progress("crowd", round, latest);
        }
        let (ours, nginx) = (of(&kept, Kind::Ours), of(&kept, Kind::Nginx));
        Ok(Row {
            case: format!("speed kept by a form beside {} slow connections", 2 * EACH),
            nginx: middle(nginx),
            ours: format!("{}, wanted ≥ 0.9", middle(ours)),
            of_nginx: ratio(ours, nginx, None),
            ..Row::default()
        })
    }

    /// Resident memory for each of 1,000 slow uploads.
    pub(crate) fn slow(&self) -> anyhow::Result<Row> {
        const UPLOADS: usize = 1000;
        const LOOK: Duration = Duration::from_millis(500);
        let looks = if self.quick { 10 } else { 30 };
        let mut grown = self.but_bare();
        for (kind, grown) in &mut grown {
            let server = self.start(*kind, "close")?;
            let before = server.usage().resident;
            let look = |_| {
                thread::sleep(LOOK);
                server.usage().resident
            };
            let look_on = || (0..looks).map(look).fold(before, u64::max);
            let most = while_slow(&server, UPLOADS, 20 << 10, &self.block, look_on);
            let most = most.with_context(|| server.report())?;
            grown.push((most - before) as f64 / 1024.0 / UPLOADS as f64);
        }
        let (ours, nginx) = (of(&grown, Kind::Ours), of(&grown, Kind::Nginx));
        Ok(Row {
            case: format!("memory of {UPLOADS} slow uploads, KiB each"),
            nginx: middle(nginx),
            ours: format!("{}, wanted ≤ 20", middle(ours)),
            of_nginx: ratio(ours, nginx, None),
            ..Row::default()
        })
    }
}
