//! Django alone, and Django with Dumbwaiter before it: what that costs fast uploads, and what slow ones cost a page.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::cases::{Bench, Figures, in_turn, of, progress};
use crate::client::{Connection, Shape};
use crate::kind::{Kind, Setup};
use crate::load::Load;
use crate::servers::Server;
use crate::slow::while_slow;
use crate::table::{Claim, Row, Wanted, at, middle};

const KINDS: &[Kind] = &[Kind::Django, Kind::Before];

/// How long a page is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Django, and what stands before it.
struct Both {
    django: Server,
    before: Option<Server>,
}

impl Both {
    /// Where clients go.
    fn address(&self) -> SocketAddr {
        self.before.as_ref().unwrap_or(&self.django).address
    }

    fn report(&self) -> String {
        let before = self.before.as_ref().map(Server::report);
        format!("{} {}", self.django.report(), before.unwrap_or_default())
    }
}

impl Bench<'_> {
    fn both(&self, kind: Kind) -> anyhow::Result<Both> {
        let django = self.start(Kind::Django, self.plain())?;
        let setup = Setup {
            app: Some(django.address),
            ..self.plain()
        };
        let before = (kind == Kind::Before).then(|| self.start(kind, setup));
        Ok(Both {
            django,
            before: before.transpose()?,
        })
    }

    /// Pictures of 300 KiB, 16 at once: how many a second, and how long Django's workers are busy with a thousand.
    pub(crate) fn before(&self) -> anyhow::Result<Row> {
        let load = Load {
            shape: Shape::Form,
            size: 300 << 10,
            count: if self.quick { 200 } else { 1000 },
            at_once: 16,
        };
        let (mut speed, mut workers) = (self.figures(KINDS), self.figures(KINDS));
        for round in self.rounds(self.rounds) {
            for index in in_turn(round, speed.len()) {
                let both = self.both(speed[index].0)?;
                let sent = self.pictures(&both, load);
                let (took, used) = sent.with_context(|| both.report())?;
                speed[index].1.push(load.speed(took));
                workers[index].1.push(used * 1000.0 / load.count as f64);
            }
            progress("before", round, &speed);
        }
        Ok(told(
            "forms of 300 KiB to Django, 16 at once, 1/s (its workers' processor seconds for 1,000)".to_owned(),
            &speed,
            &workers,
            Claim::ratio(
                Kind::Django,
                of(&speed, Kind::Before),
                of(&speed, Kind::Django),
                Wanted::Nothing,
            ),
        ))
    }

    /// Seconds that it took, and processor seconds of Django's.
    fn pictures(&self, both: &Both, load: Load) -> anyhow::Result<(f64, f64)> {
        load.a_little().run(both.address(), &self.block)?;
        let (used, start) = (both.django.cpu(), Instant::now());
        load.run(both.address(), &self.block)?;
        let (took, used) = (start.elapsed().as_secs_f64(), both.django.cpu() - used);
        let (sent, stored) = (load.bytes(), both.django.clear()?);
        ensure!(stored >= sent, "only {stored} bytes of {sent} are stored");
        Ok((took, used))
    }

    /// How long a page takes while 200 forms trickle in at 20 KiB/s each. Who gets none has waited for as long as anybody
    /// here waits.
    pub(crate) fn page(&self) -> anyhow::Result<Row> {
        const UPLOADS: usize = 200;
        let (mut medians, mut tails) = (self.figures(KINDS), self.figures(KINDS));
        for round in self.rounds(self.rounds) {
            for index in in_turn(round, medians.len()) {
                let both = self.both(medians[index].0)?;
                let server = both.before.as_ref().unwrap_or(&both.django);
                asked(server.address, 20).with_context(|| both.report())?;
                let pages = if self.quick { 100 } else { 400 };
                let ask = || asked(server.address, pages);
                let took = while_slow(server, UPLOADS, 20 << 10, &self.block, ask);
                let took = took.with_context(|| both.report())??;
                medians[index].1.extend(at(&took, 0.5));
                tails[index].1.extend(at(&took, 0.99));
            }
            progress("page, p99 ms", round, &tails);
        }
        Ok(told(
            format!("a page of Django's while {UPLOADS} slow uploads run, ms, p99 (median)"),
            &tails,
            &medians,
            Claim::of("ms, p99", of(&tails, Kind::Before), Wanted::Nothing),
        ))
    }
}

/// Milliseconds that each of so many pages took, one after the other, each on a fresh connection. None is asked for when
/// three in a row have not come.
fn asked(address: SocketAddr, pages: usize) -> io::Result<Vec<f64>> {
    let (mut took, mut late) = (Vec::new(), 0);
    while took.len() < pages && late < 3 {
        let start = Instant::now();
        late = match Connection::open_for(address, PATIENCE)?.get("/page") {
            Ok(()) => 0,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                late + 1
            }
            Err(error) => return Err(error),
        };
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

fn told(case: String, first: &Figures, second: &Figures, claim: Option<Claim>) -> Row {
    let both = first.iter().zip(second);
    let reached = both.map(|((kind, first), (_, second))| {
        (*kind, format!("{} ({})", middle(first), middle(second)))
    });
    Row {
        case,
        reached: reached.collect(),
        claims: claim.into_iter().collect(),
        ..Row::default()
    }
}
