//! What is measured: the cases by name, and what is the same for all of them.

use std::path::Path;

use crate::client::Shape;
use crate::load::Load;
use crate::servers::{Cpus, Kind, Server};
use crate::table::{Row, figures};
use crate::uploads::Fast;

/// Every case, in the order in which they run.
pub(crate) const NAMES: [&str; 8] = [
    "form", "put", "pictures", "synced", "polls", "answers", "slow", "crowd",
];

pub(crate) const MIB: u64 = 1 << 20;

/// Bytes of a picture.
const PICTURE: u64 = 300 << 10;

/// What is the same for all cases.
pub(crate) struct Bench<'a> {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) root: &'a Path,
    pub(crate) cpus: Cpus,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) block: Vec<u8>,
}

impl Bench<'_> {
    /// Runs the case of that name; nothing when it cannot be run here.
    pub(crate) fn case(&self, name: &str) -> anyhow::Result<Option<Row>> {
        match name {
            "form" => self.fast(&self.big(Shape::Form, Some(0.9), Some(1.4))),
            "put" => self.fast(&self.big(Shape::Put, Some(0.75), None)),
            "pictures" => self.fast(&pictures("close", None, Some(1.1))),
            "synced" => self.fast(&pictures("sync", Some(0.7), None)),
            "polls" => self.polls(),
            "answers" => return self.answers(),
            "slow" => self.slow(),
            _ => self.crowd(),
        }
        .map(Some)
    }

    fn big(&self, shape: Shape, of_bare: Option<f64>, of_nginx: Option<f64>) -> Fast {
        let size = if self.quick { 512 * MIB } else { 2048 * MIB };
        let load = Load {
            shape,
            size,
            count: 1,
            at_once: 1,
        };
        let way = if shape == Shape::Form { "form" } else { "PUT" };
        Fast {
            title: format!("one {way} of {} MiB, MB/s", size / MIB),
            load,
            durability: "close",
            of_bare,
            of_nginx,
        }
    }

    /// Starts `kind` for a case.
    pub(crate) fn start(&self, kind: Kind, durability: &str) -> anyhow::Result<Server> {
        Server::start(kind, self.root, self.cpus, durability)
    }

    /// Room for each server's numbers. The bare receiver is left out: it knows nothing but uploads.
    pub(crate) fn but_bare(&self) -> Vec<(Kind, Vec<f64>)> {
        let kinds = self.kinds.iter().filter(|kind| **kind != Kind::Bare);
        kinds.map(|kind| (*kind, Vec::new())).collect()
    }
}

fn pictures(durability: &'static str, of_bare: Option<f64>, of_nginx: Option<f64>) -> Fast {
    let load = Load {
        shape: Shape::Form,
        size: PICTURE,
        count: 2000,
        at_once: 16,
    };
    Fast {
        title: format!(
            "forms of 300 KiB, {} at once, durability {durability}, 1/s",
            load.at_once
        ),
        load,
        durability,
        of_bare,
        of_nginx,
    }
}

/// The numbers of `kind`; none when it did not run.
pub(crate) fn of(all: &[(Kind, Vec<f64>)], kind: Kind) -> &[f64] {
    let found = all.iter().find(|(of, _)| *of == kind);
    found.map_or(&[], |(_, values)| values)
}

/// Shows that something happens.
pub(crate) fn progress(case: &str, round: usize, values: impl Iterator<Item = (Kind, f64)>) {
    let shown = |(kind, value): (Kind, f64)| format!("{} {}", kind.name(), figures(value));
    let values: Vec<_> = values.map(shown).collect();
    eprintln!("{case}: round {}: {}", round + 1, values.join(", "));
}
