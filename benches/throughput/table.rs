//! Numbers, what is wanted of them, and how they are printed.

use crate::kind::Kind;

/// One measured thing.
#[derive(Default, Debug)]
pub(crate) struct Row {
    /// What was measured, with its unit.
    pub(crate) case: String,
    /// What each server reached, in words.
    pub(crate) reached: Vec<(Kind, String)>,
    /// Processors that the client used: near those that it has, it and not the server was measured.
    pub(crate) client: String,
    /// Processors that other work used meanwhile, the kernel's write-back too.
    pub(crate) other: String,
    /// How ours compares.
    pub(crate) claims: Vec<Claim>,
}

/// A figure of ours, beside the one that is wanted.
#[derive(Debug)]
pub(crate) struct Claim {
    /// What it is of: another server's, or a thing and its unit.
    pub(crate) of: String,
    /// The median, then the quartiles.
    pub(crate) reached: [f64; 3],
    pub(crate) wanted: Wanted,
}

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// More than the other server.
    More,
    /// Nothing: it is only told.
    Nothing,
}

impl Claim {
    /// Ours in parts of `kind`'s, round by round; nothing when one of them did not run.
    pub(crate) fn ratio(kind: Kind, ours: &[f64], theirs: &[f64], wanted: Wanted) -> Option<Self> {
        let parts = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
        let of = format!("parts of {}", kind.name());
        Self::of(&of, &parts.collect::<Vec<_>>(), wanted)
    }

    /// The figures themselves; nothing when there are none.
    pub(crate) fn of(of: &str, values: &[f64], wanted: Wanted) -> Option<Self> {
        Some(Self {
            of: of.to_owned(),
            reached: [at(values, 0.5)?, at(values, 0.25)?, at(values, 0.75)?],
            wanted,
        })
    }

    /// The row's last three cells: reached, wanted, verdict.
    fn cells(&self) -> [String; 3] {
        let [middle, low, high] = self.reached.map(figures);
        let reached = format!("**{middle}** ({low}–{high})");
        let (wanted, met) = match self.wanted {
            Wanted::AtLeast(least) => (format!("≥ {least}"), self.reached[0] >= least),
            Wanted::More => ("> 1".to_owned(), self.reached[0] > 1.0),
            Wanted::AtMost(most) => (format!("≤ {most}"), self.reached[0] <= most),
            Wanted::Nothing => return [reached, "–".to_owned(), "–".to_owned()],
        };
        [
            reached,
            wanted,
            (if met { "met" } else { "missed" }).to_owned(),
        ]
    }
}

/// What the servers reached, and how ours compares, as two Markdown tables.
pub(crate) fn tables(rows: &[Row]) -> String {
    let ran = |kind: &Kind| {
        rows.iter()
            .any(|row| row.reached.iter().any(|(of, _)| of == kind))
    };
    let kinds: Vec<_> = Kind::ALL.into_iter().filter(ran).collect();
    let mut heads = vec!["case".to_owned()];
    heads.extend(kinds.iter().map(|kind| kind.name().to_owned()));
    heads.extend(["client busy", "other work"].map(str::to_owned));
    let reached = rows.iter().map(|row| {
        let mut cells = vec![row.case.clone()];
        for kind in &kinds {
            let found = row.reached.iter().find(|(of, _)| of == kind);
            cells.push(found.map(|(_, words)| words.clone()).unwrap_or_default());
        }
        cells.extend([row.client.clone(), row.other.clone()]);
        cells
    });
    let claims = rows.iter().flat_map(|row| {
        let claim = |claim: &Claim| {
            let mut cells = vec![row.case.clone(), claim.of.clone()];
            cells.extend(claim.cells());
            cells
        };
        row.claims.iter().map(claim)
    });
    let compared = [
        "case",
        "dumbwaiter in",
        "reached (quartiles)",
        "wanted",
        "verdict",
    ];
    format!(
        "{}\n{}",
        table(&heads, reached),
        table(&compared.map(str::to_owned), claims)
    )
}

/// A Markdown table.
pub(crate) fn table(heads: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| {
        let shown = cells
            .iter()
            .map(|cell| if cell.is_empty() { "–" } else { cell });
        format!("| {} |\n", shown.collect::<Vec<_>>().join(" | "))
    };
    let rule = "|---".repeat(heads.len());
    let rows: String = rows.map(|cells| line(&cells)).collect();
    format!("{}{rule}|\n{rows}", line(heads))
}

/// The value below which `share` of them lie, between two of them in proportion; `None` when there are none.
pub(crate) fn at(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = sorted.len().checked_sub(1)? as f64 * share;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + place.fract() * (above - below))
}

/// The median, with three figures; nothing when there are no values.
pub(crate) fn middle(values: &[f64]) -> String {
    at(values, 0.5).map(figures).unwrap_or_default()
}

/// `value` with about three figures.
pub(crate) fn figures(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
