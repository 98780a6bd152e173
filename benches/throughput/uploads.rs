//! Uploads as fast as they can be taken.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::cases::{Bench, MIB, progress};
use crate::load::Load;
use crate::servers::{Kind, Server};
use crate::table::{self, Row, figures, middle, ratio};
use crate::usage::{busy, calm, own_cpu};

/// The most bytes that are written to warm the memory before a run.
const WARM: u64 = 2560 * MIB;

/// No round begins when a case has taken this long.
const ENOUGH: Duration = Duration::from_secs(150);

/// A case of this sort.
pub(crate) struct Fast {
    pub(crate) title: String,
    pub(crate) load: Load,
    /// Ours, and the bare receiver's; nginx never syncs and is left out of `sync`.
    pub(crate) durability: &'static str,
    /// At least what part of the bare receiver is wanted.
    pub(crate) of_bare: Option<f64>,
    /// At least how many times nginx is wanted.
    pub(crate) of_nginx: Option<f64>,
}

/// What one server did, a value a round.
#[derive(Default)]
struct Series {
    speed: Vec<f64>,
    /// Its processor seconds for each GiB.
    cpu: Vec<f64>,
    /// Processors that the client used.
    client: Vec<f64>,
    /// Processors that all else on the machine used.
    other: Vec<f64>,
}

impl Bench<'_> {
    /// Runs the servers in turn, round after round. Each begins every round anew, in a folder of its own: a folder of
    /// ext4 that has seen more files than its block group has inodes is slow, and not by the server's fault.
    pub(crate) fn fast(&self, case: &Fast) -> anyhow::Result<Row> {
        let syncs = case.durability == "sync";
        let kinds = self.kinds.iter().copied();
        let kinds = kinds.filter(|kind| !syncs || *kind != Kind::Nginx);
        let mut all: Vec<_> = kinds.map(|kind| (kind, Series::default())).collect();
        let (count, begun) = (all.len(), Instant::now());
        for round in (0..self.rounds).take_while(|_| begun.elapsed() < ENOUGH) {
            // Another one is first each time, since the first may have it better or worse.
            for turn in round..round + count {
                let (kind, series) = &mut all[turn % count];
                let server = self.start(*kind, case.durability)?;
                self.upload(&server, case, series)
                    .with_context(|| format!("{}: {}", case.title, server.report()))?;
            }
            let speeds = all
                .iter()
                .map(|(kind, series)| (*kind, series.speed[round]));
            progress(&case.title, round, speeds);
        }
        Ok(row(case, &all))
    }

    fn upload(&self, server: &Server, case: &Fast, series: &mut Series) -> anyhow::Result<()> {
        let (load, bytes) = (&case.load, case.load.bytes() as f64);
        load.a_little().run(server.address, &self.block)?;
        calm()?;
        server.warm((load.bytes() * 5 / 4).min(WARM))?;
        let (machine, used, own) = (busy()?, server.usage().cpu, own_cpu());
        let start = Instant::now();
        load.run(server.address, &self.block)?;
        let took = start.elapsed().as_secs_f64();
        let used = (server.usage().cpu - used).as_secs_f64();
        let own = own_cpu() - own;
        series.speed.push(load.speed(took));
        series.cpu.push(used / (bytes / f64::from(1 << 30)));
        series.client.push(own / took);
        let other = (busy()? - machine - used - own) / took;
        series.other.push(other.max(0.0));
        let (sent, stored) = (load.bytes() + load.a_little().bytes(), server.clear()?);
        ensure!(stored >= sent, "only {stored} bytes of {sent} are stored");
        Ok(())
    }
}

fn row(case: &Fast, all: &[(Kind, Series)]) -> Row {
    let speed = |kind| {
        let found = all.iter().find(|(of, _)| *of == kind);
        found.map_or(&[][..], |(_, series)| &series.speed)
    };
    let (bare, nginx, ours) = (speed(Kind::Bare), speed(Kind::Nginx), speed(Kind::Ours));
    let cpu: Vec<_> = all.iter().map(|(_, series)| middle(&series.cpu)).collect();
    let most = |of: fn(&Series) -> &Vec<f64>| {
        let middles = all
            .iter()
            .filter_map(|(_, series)| table::at(of(series), 0.5));
        figures(middles.fold(0.0, f64::max))
    };
    Row {
        case: case.title.clone(),
        bare: middle(bare),
        nginx: middle(nginx),
        ours: middle(ours),
        of_bare: ratio(ours, bare, case.of_bare),
        of_nginx: ratio(ours, nginx, case.of_nginx),
        cpu: cpu.join(" · "),
        client: most(|series| &series.client),
        other: most(|series| &series.other),
    }
}
