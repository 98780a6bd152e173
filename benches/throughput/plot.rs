//! `make plot`: throughput, memory and processor time from one upload to thousands at once, drawn and as a table.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::cases::{Bench, MIB, in_turn};
use crate::client::Shape;
use crate::draw::{self, Line, Panel, Point, Scale};
use crate::kind::{Kind, Setup};
use crate::load::Load;
use crate::many;
use crate::servers::Server;
use crate::table::{at, figures, table};
use crate::usage::{calm, own_cpu};

/// Uploads at once. With a connection and a file for each, 9,000 are about what 20,000 open files allow.
pub(crate) const POINTS: [usize; 9] = [1, 3, 10, 30, 100, 300, 1000, 3000, 9000];

/// Who is drawn.
const KINDS: &[Kind] = &[Kind::Axum, Kind::Nginx, Kind::Ours];

/// Bytes of all files at a point together, if the benchmark is not to be quick …
const TOTAL: u64 = 1024 * MIB;

/// … but of each not less than this, more than nginx keeps in its buffer.
const LEAST: u64 = 192 << 10;

/// No round begins when it has taken this long.
const ENOUGH: Duration = Duration::from_secs(200);

/// What one server did with so many uploads, a figure a round.
#[derive(Default)]
struct Series {
    /// MB/s of all together.
    speed: Vec<f64>,
    /// MiB of memory at most.
    memory: Vec<f64>,
    /// Processor seconds for each GiB.
    cpu: Vec<f64>,
    /// Processors that the client used.
    client: Vec<f64>,
}

/// A server at a point.
struct Place {
    kind: Kind,
    uploads: usize,
    series: Series,
}

impl Bench<'_> {
    /// Runs all of it and draws it into `file`. `open_files` is how many a process may have.
    pub(crate) fn plot(
        &self,
        file: &Path,
        points: &[usize],
        open_files: u64,
    ) -> anyhow::Result<()> {
        let mut places = self.places(points, open_files);
        let begun = Instant::now();
        for round in 0..self.rounds {
            if round > 0 && begun.elapsed() > ENOUGH {
                break;
            }
            for at_once in places.chunk_by_mut(|a, b| a.uploads == b.uploads) {
                for index in in_turn(round, at_once.len()) {
                    self.point(&mut at_once[index])?;
                }
            }
        }
        let picture = draw::svg(&self.measured(&places), &panels(&places));
        fs::write(file, picture).with_context(|| format!("cannot write {}", file.display()))?;
        println!("\n{}", listed(&places));
        Ok(())
    }

    /// Every server at every point that the number of open files allows.
    fn places(&self, points: &[usize], open_files: u64) -> Vec<Place> {
        let fits = |uploads: &usize| *uploads as u64 * 2 + 200 <= open_files;
        let (points, beyond): (Vec<_>, Vec<_>) = points.iter().copied().partition(fits);
        if !beyond.is_empty() {
            println!("Left out: {beyond:?} uploads at once, for want of open files.");
        }
        let here = |kind: &&Kind| self.kinds.contains(kind);
        let at = |uploads| {
            KINDS.iter().filter(here).map(move |kind| Place {
                kind: *kind,
                uploads,
                series: Series::default(),
            })
        };
        points.into_iter().flat_map(at).collect()
    }

    fn point(&self, place: &mut Place) -> anyhow::Result<()> {
        let Place {
            kind,
            uploads,
            series,
        } = place;
        let setup = Setup {
            at_once: *uploads,
            ..self.plain()
        };
        let server = self.start(*kind, setup)?;
        self.uploads(&server, *uploads, series)
            .with_context(|| format!("{uploads} uploads at once: {}", server.report()))
    }

    /// Bytes of all files at a point together.
    fn total(&self) -> u64 {
        if self.quick { TOTAL / 16 } else { TOTAL }
    }

    /// What the picture shows, in one line.
    fn measured(&self, places: &[Place]) -> String {
        let of = |wanted| move |place: &&Place| shape(place.kind) == wanted;
        let shapes = match places.iter().find(of(Shape::Put)) {
            Some(put) => format!("{} gets PUT, others forms", put.kind.name()),
            None => "forms".to_owned(),
        };
        let rounds = places.iter().map(|place| place.series.speed.len()).max();
        let counted = |count: usize, what| match count {
            1 => format!("1 {what}"),
            more => format!("{more} {what}s"),
        };
        format!(
            "{shapes}; at least {} MiB a point; {}; {}: median, band least to most",
            self.total() / MIB,
            counted(self.cpus.server.len(), "server processor"),
            counted(rounds.unwrap_or_default(), "round"),
        )
    }

    fn uploads(&self, server: &Server, count: usize, to: &mut Series) -> anyhow::Result<()> {
        let size = (self.total() / count as u64).max(LEAST);
        let bytes = size * count as u64;
        let load = Load {
            shape: shape(server.kind),
            size,
            count,
            at_once: count,
        };
        let one = Load {
            size: LEAST,
            count: 1,
            ..load
        };
        many::run(server.address, one, &self.block)?;
        calm()?;
        server.warm(bytes * 5 / 4)?;
        let (used, own) = (server.cpu(), own_cpu());
        let took = many::run(server.address, load, &self.block)?.as_secs_f64();
        let (used, own) = (server.cpu() - used, own_cpu() - own);
        to.speed.push(bytes as f64 / 1e6 / took);
        to.memory.push(server.peak() / MIB as f64);
        to.cpu.push(used / (bytes as f64 / f64::from(1 << 30)));
        to.client.push(own / took);
        let stored = server.clear()?;
        ensure!(stored >= bytes, "only {stored} bytes of {bytes} are stored");
        let [speed, memory] = [&to.speed, &to.memory].map(|all| all.last().copied().map(figures));
        let words = [speed, memory].map(Option::unwrap_or_default);
        eprintln!(
            "{count} at once: {}: {} MB/s, {} MiB",
            server.kind.name(),
            words[0],
            words[1]
        );
        Ok(())
    }
}

/// Forms, but for nginx raw bodies: it does not look into a form anyhow, and to answer one it needs an app behind and
/// two more descriptors an upload, of which there are too few.
fn shape(kind: Kind) -> Shape {
    match kind {
        Kind::Nginx => Shape::Put,
        _ => Shape::Form,
    }
}

fn panels(places: &[Place]) -> [Panel; 3] {
    let panel = |title, unit, scale, of: fn(&Series) -> &Vec<f64>| Panel {
        title,
        unit,
        scale,
        lines: KINDS.iter().map(|kind| line(places, *kind, of)).collect(),
    };
    [
        panel("Throughput", "MB/s", Scale::Linear, |series| &series.speed),
        panel("Resident memory", "MiB at its peak", Scale::Log, |series| {
            &series.memory
        }),
        panel("Processor time", "s per GiB", Scale::Linear, |series| {
            &series.cpu
        }),
    ]
}

fn line(places: &[Place], kind: Kind, of: fn(&Series) -> &Vec<f64>) -> Line {
    let mine = places.iter().filter(|place| place.kind == kind);
    let point = |place: &Place| {
        let values = of(&place.series);
        Some(Point {
            x: place.uploads as f64,
            middle: at(values, 0.5)?,
            low: at(values, 0.0)?,
            high: at(values, 1.0)?,
        })
    };
    Line {
        name: kind.name(),
        points: mine.filter_map(point).collect(),
    }
}

/// The medians as a Markdown table.
fn listed(places: &[Place]) -> String {
    let heads = [
        "uploads at once",
        "server",
        "MB/s",
        "MiB at most",
        "server CPU s/GiB",
        "client busy",
    ];
    let rows = places.iter().map(|place| {
        let Series {
            speed,
            memory,
            cpu,
            client,
        } = &place.series;
        let mut cells = vec![place.uploads.to_string(), place.kind.name().to_owned()];
        cells.extend([speed, memory, cpu, client].map(|values| crate::table::middle(values)));
        cells
    });
    table(&heads.map(str::to_owned), rows)
}
