//! What is measured: the cases by name, and what is the same for all of them.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Shape;
use crate::cpus::Cpus;
use crate::kind::{Kind, Setup};
use crate::load::Load;
use crate::servers::Server;
use crate::table::{Row, Wanted, figures};
use crate::uploads::Fast;

/// Every case, in the order in which they run.
pub(crate) const NAMES: [&str; 13] = [
    "form",
    "put",
    "tus",
    "tus-pieces",
    "pictures",
    "tus-pictures",
    "synced",
    "polls",
    "answers",
    "slow",
    "crowd",
    "before",
    "page",
];

pub(crate) const MIB: u64 = 1 << 20;

/// Bytes of a picture.
const PICTURE: u64 = 300 << 10;

/// No round begins when a case has taken this long.
const ENOUGH: Duration = Duration::from_secs(150);

/// Those that take forms.
const FORMS: &[Kind] = &[
    Kind::Bare,
    Kind::Axum,
    Kind::Nginx,
    Kind::Django,
    Kind::Ours,
];

/// Those that take tus.
const TUS: &[Kind] = &[Kind::TusNode, Kind::Rustus, Kind::Ours];

/// All bytes in one PATCH, as clients do unless they are told otherwise.
const WHOLE: Shape = Shape::Tus { piece: u64::MAX };

/// In many, as behind a proxy that bounds bodies. rustus takes each whole into memory, so this is what suits it.
const PIECES: Shape = Shape::Tus { piece: 8 * MIB };

/// Figures of each server, one a round.
pub(crate) type Figures = Vec<(Kind, Vec<f64>)>;

/// What is the same for all cases.
pub(crate) struct Bench<'a> {
    /// The servers that are here.
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
            "form" => self.fast(&Fast {
                kinds: FORMS,
                wanted: &[
                    (Kind::Bare, Wanted::AtLeast(0.9)),
                    (Kind::Axum, Wanted::More),
                    (Kind::Nginx, Wanted::AtLeast(1.4)),
                    (Kind::Django, Wanted::More),
                ],
                ..self.big(Shape::Form)
            }),
            "put" => self.fast(&Fast {
                kinds: &[Kind::Bare, Kind::Nginx, Kind::Ours],
                wanted: &[(Kind::Bare, Wanted::AtLeast(0.75))],
                ..self.big(Shape::Put)
            }),
            "tus" => self.fast(&self.big_by_tus(WHOLE)),
            "tus-pieces" => self.fast(&self.big_by_tus(PIECES)),
            "pictures" => self.fast(&Fast {
                kinds: FORMS,
                wanted: &[
                    (Kind::Axum, Wanted::More),
                    (Kind::Nginx, Wanted::AtLeast(1.1)),
                    (Kind::Django, Wanted::More),
                ],
                ..pictures(Shape::Form, "close")
            }),
            "tus-pictures" => self.fast(&Fast {
                kinds: TUS,
                wanted: &[
                    (Kind::TusNode, Wanted::AtLeast(2.0)),
                    (Kind::Rustus, Wanted::AtLeast(2.0)),
                ],
                ..pictures(WHOLE, "close")
            }),
            // nginx, Django and what is written by hand never sync.
            "synced" => self.fast(&Fast {
                kinds: &[Kind::Bare, Kind::Ours],
                wanted: &[(Kind::Bare, Wanted::AtLeast(0.7))],
                ..pictures(Shape::Form, "sync")
            }),
            "polls" => self.polls(),
            "answers" => return self.answers(),
            "slow" => self.slow(),
            "before" => self.before(),
            "page" => self.page(),
            _ => self.crowd(),
        }
        .map(Some)
    }

    fn big(&self, shape: Shape) -> Fast {
        let size = if self.quick { 512 * MIB } else { 2048 * MIB };
        let load = Load {
            shape,
            size,
            count: 1,
            at_once: 1,
        };
        let (way, how) = match shape {
            Shape::Form => ("form", ""),
            Shape::Put => ("PUT", ""),
            PIECES => ("upload by tus", ", PATCHes of 8 MiB"),
            Shape::Tus { .. } => ("upload by tus", ", one PATCH"),
        };
        Fast {
            title: format!("one {way} of {} MiB{how}, MB/s", size / MIB),
            ..Fast::new(load)
        }
    }

    fn big_by_tus(&self, shape: Shape) -> Fast {
        Fast {
            kinds: TUS,
            wanted: &[
                (Kind::TusNode, Wanted::AtLeast(3.0)),
                (Kind::Rustus, Wanted::AtLeast(3.0)),
            ],
            ..self.big(shape)
        }
    }

    /// Starts `kind` for a case.
    pub(crate) fn start(&self, kind: Kind, setup: Setup<'_>) -> anyhow::Result<Server> {
        Server::start(kind, self.root, setup)
    }

    /// How a server is set up for a case that says nothing about it.
    pub(crate) fn plain(&self) -> Setup<'static> {
        Setup::plain(self.cpus)
    }

    /// Room for the figures of those of `kinds` that are here.
    pub(crate) fn figures(&self, kinds: &[Kind]) -> Figures {
        let here = kinds.iter().filter(|kind| self.kinds.contains(kind));
        here.map(|kind| (*kind, Vec::new())).collect()
    }

    /// `most` rounds, or as many as begin in bounded time; at least one.
    pub(crate) fn rounds(&self, most: usize) -> impl Iterator<Item = usize> + use<> {
        let begun = Instant::now();
        (0..most).take_while(move |round| *round == 0 || begun.elapsed() < ENOUGH)
    }
}

fn pictures(shape: Shape, durability: &'static str) -> Fast {
    let way = match shape {
        Shape::Tus { .. } => "uploads by tus",
        _ => "forms",
    };
    let load = Load {
        shape,
        size: PICTURE,
        count: 2000,
        at_once: 16,
    };
    Fast {
        title: format!(
            "{way} of 300 KiB, {} at once, durability {durability}, 1/s",
            load.at_once
        ),
        durability,
        ..Fast::new(load)
    }
}

/// The servers' places in a round. Another one is first each time, since the first may have it better or worse.
pub(crate) fn in_turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (round..round + count).map(move |turn| turn % count)
}

/// The figures of `kind`; none when it did not run.
pub(crate) fn of(all: &Figures, kind: Kind) -> &[f64] {
    let found = all.iter().find(|(of, _)| *of == kind);
    found.map_or(&[], |(_, values)| values)
}

/// Shows that something happens.
pub(crate) fn progress(case: &str, round: usize, all: &Figures) {
    let shown = |(kind, values): &(Kind, Vec<f64>)| {
        let value = values.last().copied().map(figures).unwrap_or_default();
        format!("{} {value}", kind.name())
    };
    let values: Vec<_> = all.iter().map(shown).collect();
    eprintln!("{case}: round {}: {}", round + 1, values.join(", "));
}
