//! Uploads as fast as they can be taken.

use std::time::Instant;

use anyhow::{Context, ensure};

use crate::cases::{Bench, Figures, MIB, in_turn, of, progress};
use crate::kind::{Kind, Setup};
use crate::load::Load;
use crate::servers::Server;
use crate::table::{Claim, Row, Wanted, at, figures, middle};
use crate::usage::{busy, calm, own_cpu};

/// The most bytes that are written to warm the memory before a run.
const WARM: u64 = 2560 * MIB;

/// A case of this sort.
pub(crate) struct Fast {
    pub(crate) title: String,
    pub(crate) load: Load,
    pub(crate) durability: &'static str,
    /// Who takes part.
    pub(crate) kinds: &'static [Kind],
    /// In parts of whom how much is wanted.
    pub(crate) wanted: &'static [(Kind, Wanted)],
}

impl Fast {
    /// Nobody yet.
    pub(crate) fn new(load: Load) -> Self {
        Self {
            title: String::new(),
            load,
            durability: "close",
            kinds: &[],
            wanted: &[],
        }
    }
}

/// What the servers did.
struct Series {
    speed: Figures,
    /// Their processor seconds for each GiB.
    cpu: Figures,
    /// Processors that the client used.
    client: Figures,
    /// Processors that all else on the machine used.
    other: Figures,
}

impl Bench<'_> {
    /// Runs the servers in turn, round after round. Each begins every round anew, in a folder of its own: a folder of
    /// ext4 that has seen more files than its block group has inodes is slow, and not by the server's fault.
    pub(crate) fn fast(&self, case: &Fast) -> anyhow::Result<Row> {
        let room = || self.figures(case.kinds);
        let mut series = Series {
            speed: room(),
            cpu: room(),
            client: room(),
            other: room(),
        };
        let (count, setup) = (
            series.speed.len(),
            Setup {
                durability: case.durability,
                ..self.plain()
            },
        );
        for round in self.rounds(self.rounds) {
            for index in in_turn(round, count) {
                let server = self.start(series.speed[index].0, setup)?;
                self.upload(&server, case, &mut series, index)
                    .with_context(|| format!("{}: {}", case.title, server.report()))?;
            }
            progress(&case.title, round, &series.speed);
        }
        Ok(row(case, &series))
    }

    fn upload(
        &self,
        server: &Server,
        case: &Fast,
        series: &mut Series,
        index: usize,
    ) -> anyhow::Result<()> {
        let load = case.load.of(server.kind);
        load.a_little().run(server.address, &self.block)?;
        calm()?;
        server.warm((load.bytes() * 5 / 4).min(WARM))?;
        let (machine, used, own) = (busy()?, server.cpu(), own_cpu());
        let start = Instant::now();
        load.run(server.address, &self.block)?;
        let took = start.elapsed().as_secs_f64();
        let (used, own) = (server.cpu() - used, own_cpu() - own);
        let other = (busy()? - machine - used - own) / took;
        series.speed[index].1.push(load.speed(took));
        let gib = load.bytes() as f64 / f64::from(1 << 30);
        series.cpu[index].1.push(used / gib);
        series.client[index].1.push(own / took);
        series.other[index].1.push(other.max(0.0));
        let (sent, stored) = (load.bytes() + load.a_little().bytes(), server.clear()?);
        ensure!(stored >= sent, "only {stored} bytes of {sent} are stored");
        Ok(())
    }
}

fn row(case: &Fast, series: &Series) -> Row {
    let reached = series.speed.iter().map(|(kind, speed)| {
        let cpu = middle(of(&series.cpu, *kind));
        (*kind, format!("{} ({cpu})", middle(speed)))
    });
    let most = |all: &Figures| {
        let middles = all.iter().filter_map(|(_, values)| at(values, 0.5));
        figures(middles.fold(0.0, f64::max))
    };
    let ours = of(&series.speed, Kind::Ours);
    let claim = |(kind, speed): &(Kind, Vec<f64>)| {
        let wanted = case.wanted.iter().find(|(of, _)| of == kind);
        let wanted = wanted.map_or(Wanted::Nothing, |(_, wanted)| *wanted);
        Claim::ratio(*kind, ours, speed, wanted)
    };
    let others = series.speed.iter().filter(|(kind, _)| *kind != Kind::Ours);
    Row {
        case: case.title.clone(),
        reached: reached.collect(),
        client: most(&series.client),
        other: most(&series.other),
        claims: others.filter_map(claim).collect(),
    }
}
