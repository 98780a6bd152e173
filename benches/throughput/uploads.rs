//! Uploads as fast as they can be taken.

use std::time::Instant;

use anyhow::{Context, ensure};

use crate::cases::{Bench, MIB, progress};
use crate::load::Load;
use crate::servers::{Kind, Server};
use crate::table::{self, Row, figures, middle, ratio};
use crate::usage::{busy, calm, own_cpu};

/// The most bytes that are written to warm the memory before a run.
const WARM: u64 = 2560 * MIB;

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
    /// Runs the servers in turn, round after round.
    pub(crate) fn fast(&self, case: &Fast) -> anyhow::Result<Row> {
        let syncs = case.durability == "sync";
        let kinds = self.kinds.iter().copied();
        let kinds = kinds.filter(|kind| !syncs || *kind != Kind::Nginx);
        let start = |kind| Ok((self.start(kind, case.durability)?, Series::default()));
        let mut all = kinds.map(start).collect::<anyhow::Result<Vec<_>>>()?;
        let count = all.len();
        for round in 0..self.rounds {
            // Another one is first each time, since the first may have it better or worse.
            for turn in round..round + count {
                let (server, series) = &mut all[turn % count];
                self.upload(server, case, series)
                    .with_context(|| format!("{}: {}", case.title, server.report()))?;
            }
            let speeds = all
                .iter()
                .map(|(server, series)| (server.kind, series.speed[round]));
            progress(&case.title, round, speeds);
        }
        let all: Vec<_> = all
            .into_iter()
            .map(|(server, series)| (server.kind, series))
            .collect();
        Ok(row(case, &all))
    }

    fn upload(&self, server: &Server, case: &Fast, series: &mut Series) -> anyhow::Result<()> {
        let (load, bytes) = (&case.load, case.load.bytes() as f64);
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
        let stored = server.clear()?;
        ensure!(stored >= load.bytes(), "only {stored} bytes are stored");
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
