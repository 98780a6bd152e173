//! Slow uploaders, all on one thread: what they send in a step always fits into a socket's buffer.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cases::{Bench, of};
use crate::client::{Connection, Message, Shape};
use crate::load::joined;
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

impl Bench<'_> {
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
