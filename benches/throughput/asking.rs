//! How fast questions are answered while uploads run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::cases::{Bench, Figures, MIB, in_turn, of, progress};
use crate::client::Shape;
use crate::cpus::Cpus;
use crate::kind::{Kind, Setup};
use crate::load::{self, Load};
use crate::servers::Server;
use crate::slow::while_slow;
use crate::table::{Claim, Row, Wanted, at, middle};

/// Those that know of progress.
const KINDS: &[Kind] = &[Kind::Nginx, Kind::Ours];

impl Bench<'_> {
    /// Progress polled on 8 kept connections as fast as it is answered, while 20 slow uploads run.
    pub(crate) fn polls(&self) -> anyhow::Result<Row> {
        const UPLOADS: usize = 20;
        let time = Duration::from_secs(if self.quick { 1 } else { 3 });
        let paths: Vec<_> = (0..UPLOADS)
            .map(|number| poll(&format!("s{number}")))
            .collect();
        let mut speeds = self.figures(KINDS);
        for round in self.rounds(self.rounds) {
            for index in in_turn(round, speeds.len()) {
                let (kind, speeds) = &mut speeds[index];
                let server = self.start(*kind, self.plain())?;
                let ask = || load::polls(server.address, &paths, 8, time);
                let count = while_slow(&server, UPLOADS, 256 << 10, &self.block, ask);
                let count = count.and_then(|count| count.map_err(Into::into));
                let count = count.with_context(|| server.report())?;
                speeds.push(count as f64 / time.as_secs_f64());
            }
            progress("polls", round, &speeds);
        }
        let (ours, nginx) = (of(&speeds, Kind::Ours), of(&speeds, Kind::Nginx));
        let reached = speeds.iter().map(|(kind, speeds)| (*kind, middle(speeds)));
        Ok(Row {
            case: format!("polls while {UPLOADS} slow uploads run, 1/s"),
            reached: reached.collect(),
            claims: Claim::ratio(Kind::Nginx, ours, nginx, Wanted::AtLeast(0.7))
                .into_iter()
                .collect(),
            ..Row::default()
        })
    }

    /// A poll on a fresh connection, 200 times a second, while 8 big uploads keep the disk busy. Both sides have both
    /// processors: whoever waits for the disk must not wait for a processor as well.
    pub(crate) fn answers(&self) -> anyhow::Result<Option<Row>> {
        let size = if self.quick { 256 } else { 1536 } * MIB;
        let load = Load {
            shape: Shape::Form,
            size,
            count: 8,
            at_once: 8,
        };
        let room = rustix::fs::statvfs(self.root)?;
        let wanted = load.bytes() * 5 / 4;
        if room.f_bavail * room.f_frsize < wanted {
            println!(
                "Left out: answers, for want of {} MiB of room.",
                wanted / MIB
            );
            return Ok(None);
        }
        Cpus::SHARED.settle()?;
        let (mut medians, mut tails) = (self.figures(KINDS), self.figures(KINDS));
        for round in self.rounds(self.rounds.div_ceil(3)) {
            for index in in_turn(round, medians.len()) {
                let ((kind, medians), (_, tails)) = (&mut medians[index], &mut tails[index]);
                let server = self.start(*kind, Setup::plain(Cpus::SHARED))?;
                let took = self.while_disk_is_busy(&server, load);
                let took = took.with_context(|| server.report())?;
                medians.extend(at(&took, 0.5));
                tails.extend(at(&took, 0.99));
                server.clear()?;
            }
            progress("answers, p99 ms", round, &tails);
        }
        self.cpus.settle()?;
        Ok(Some(answered(&medians, &tails)))
    }

    /// How many milliseconds each answer took.
    fn while_disk_is_busy(&self, server: &Server, load: Load) -> anyhow::Result<Vec<f64>> {
        const EVERY: Duration = Duration::from_millis(5);
        let ended = AtomicBool::new(false);
        let took = thread::scope(|scope| {
            let uploads = scope.spawn(|| {
                let done = load.run(server.address, &self.block);
                ended.store(true, Ordering::Relaxed);
                done
            });
            let took = load::pings(server.address, &poll("nobody"), EVERY, &ended);
            load::joined(uploads).and(took)
        })?;
        Ok(took.iter().map(|took| took.as_secs_f64() * 1e3).collect())
    }
}

fn answered(medians: &Figures, tails: &Figures) -> Row {
    let reached = medians
        .iter()
        .zip(tails)
        .map(|((kind, medians), (_, tails))| {
            (*kind, format!("{} / {}", middle(medians), middle(tails)))
        });
    let claims = [
        ("ms, median", of(medians, Kind::Ours), 1.0),
        ("ms, p99", of(tails, Kind::Ours), 100.0),
    ];
    let claims = claims.map(|(of, values, most)| Claim::of(of, values, Wanted::AtMost(most)));
    Row {
        case: "answer on a fresh connection while the disk is saturated, ms, median / p99"
            .to_owned(),
        reached: reached.collect(),
        claims: claims.into_iter().flatten().collect(),
        ..Row::default()
    }
}

/// Where progress is polled, here and there.
fn poll(id: &str) -> String {
    format!("/progress?X-Progress-ID={id}")
}
