//! Numbers, and how they are printed.

use std::fmt::Write;

/// One measured thing: what the servers reached, and how ours compares.
#[derive(Default, Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) bare: String,
    pub(crate) nginx: String,
    pub(crate) ours: String,
    /// Ours in parts of the bare receiver.
    pub(crate) of_bare: String,
    /// Ours in parts of nginx.
    pub(crate) of_nginx: String,
    /// Server's processor seconds for each GiB, in the servers' order.
    pub(crate) cpu: String,
    /// Processors that the client used: near those that it has, it and not the server was measured.
    pub(crate) client: String,
    /// Processors that other work used meanwhile, the kernel's write-back too.
    pub(crate) other: String,
}

/// The rows as a Markdown table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case | bare | nginx | dumbwaiter | of bare | of nginx | server CPU s/GiB | client busy | other work |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row {
            case,
            bare,
            nginx,
            ours,
            of_bare,
            of_nginx,
            cpu,
            client,
            other,
        } = row;
        let cells = [
            case, bare, nginx, ours, of_bare, of_nginx, cpu, client, other,
        ];
        for cell in cells {
            let shown = if cell.is_empty() { "–" } else { cell };
            write!(text, "| {shown} ").expect("a String takes all that is written");
        }
        text.push_str("|\n");
    }
    text
}

/// The value below which `share` of them lie; `None` when there are none.
pub(crate) fn at(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[(last as f64 * share).round() as usize])
}

/// The median, with three figures; nothing when there are no values.
pub(crate) fn middle(values: &[f64]) -> String {
    at(values, 0.5).map(figures).unwrap_or_default()
}

/// The median of `ours[n] / theirs[n]` with its quartiles, and what is wanted of it; nothing when there are none.
pub(crate) fn ratio(ours: &[f64], theirs: &[f64], wanted: Option<f64>) -> String {
    let ratios: Vec<_> = ours
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    let (Some(middle), Some(low), Some(high)) =
        (at(&ratios, 0.5), at(&ratios, 0.25), at(&ratios, 0.75))
    else {
        return String::new();
    };
    let wanted = wanted
        .map(|least| format!(", wanted ≥ {least}"))
        .unwrap_or_default();
    format!("**{middle:.2}** ({low:.2}–{high:.2}{wanted})")
}

/// `value` with about three figures.
pub(crate) fn figures(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
