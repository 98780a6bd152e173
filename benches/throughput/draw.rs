//! Panels with lines below one another, as one SVG: no script, text as text, colours for light and for dark.

use std::fmt::Write as _;

use crate::table::figures;

/// One panel.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) scale: Scale,
    pub(crate) lines: Vec<Line>,
}

/// How values lie on an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// Each decade as long as the next.
    Log,
}

/// One line, named at its end. Its place in the panel decides its colour.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<Point>,
}

/// A median, and the least and most beside it.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) middle: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

const WIDTH: f64 = 760.0;
/// Where the lines lie, from left to right.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 618.0;
/// Height of a panel's lines, and of what is between two panels.
const PANEL: f64 = 150.0;
const BETWEEN: f64 = 54.0;
const TOP: f64 = 84.0;
/// From the picture's edge to the line above all panels.
const MARGIN: f64 = 20.0;
/// Between the last panel and the picture's end.
const BELOW: f64 = 66.0;
/// Between two names at the lines' ends, at least.
const APART: f64 = 17.0;

const STYLE: &str = "
  .card { fill: #ffffff } text { fill: #625b51; font: 13px system-ui, sans-serif; font-variant-numeric: tabular-nums }
  .about { font-size: 12px } .title { fill: #1f1c18; font-weight: 600; font-size: 14px } .name { font-weight: 600 }
  .grid { stroke: #e9e4da } .axis { stroke: #857c6e } .tick { text-anchor: end } .below { text-anchor: middle }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round } .last .line { stroke-width: 3 } .band { opacity: .14 }
  .s0 { --hue: #2a6b45 } .s1 { --hue: #46586f } .last { --hue: #a35c0d }
  .line { stroke: var(--hue) } .band, .dot, .name { fill: var(--hue) }
  @media (prefers-color-scheme: dark) {
    .card { fill: #211e1a } text { fill: #b5ada1 } .title { fill: #f2eee7 } .grid { stroke: #3a342d } .axis { stroke: #8a8173 }
    .band { opacity: .2 } .s0 { --hue: #7fcf9e } .s1 { --hue: #a8b8ce } .last { --hue: #e3a857 }
    .name { fill: var(--hue) }
  }
";

/// The whole picture; `measured` says in one line of what.
pub(crate) fn svg(measured: &str, panels: &[Panel]) -> String {
    let height = TOP + (PANEL + BETWEEN) * panels.len() as f64 - BETWEEN + BELOW;
    let across = across(panels);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title told\">\n<title id=\"title\">Uploads at once</title>\n\
         <desc id=\"told\">{measured}. {}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"card\" width=\"{WIDTH}\" height=\"{height}\" rx=\"12\"/>\n",
        told(panels)
    );
    mark(&mut text, "about", MARGIN, 28.0, measured);
    for (number, panel) in panels.iter().enumerate() {
        let top = TOP + (PANEL + BETWEEN) * number as f64;
        draw(&mut text, panel, &across, top);
    }
    let bottom = height - BELOW;
    for x in &across.ticks {
        mark(
            &mut text,
            "below",
            across.at(*x),
            bottom + 20.0,
            &grouped(*x),
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    let words = "uploads at once, each a connection and a file (logarithmic)";
    mark(&mut text, "below", middle, bottom + 44.0, words);
    text.push_str("</svg>\n");
    text
}

/// The ends of all lines in words, for who cannot see them.
fn told(panels: &[Panel]) -> String {
    let words = panels.iter().map(|panel| {
        let ends = panel.lines.iter().filter_map(|line| {
            let end = line.points.last()?;
            let (value, x) = (figures(end.middle), grouped(end.x));
            Some(format!("{} {value} at {x}", line.name))
        });
        let ends: Vec<_> = ends.collect();
        format!("{}, {}: {}.", panel.title, panel.unit, ends.join(", "))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The axis that all panels share: every number of uploads has its tick.
fn across(panels: &[Panel]) -> Axis {
    let lines = panels.iter().flat_map(|panel| &panel.lines);
    let mut ticks: Vec<_> = lines
        .flat_map(|line| &line.points)
        .map(|point| point.x)
        .collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let (low, high) = (ticks.first().copied(), ticks.last().copied());
    Axis {
        scale: Scale::Log,
        low: low.unwrap_or(1.0),
        high: high.unwrap_or(10.0),
        from: LEFT,
        to: RIGHT,
        ticks,
    }
}

fn draw(text: &mut String, panel: &Panel, across: &Axis, top: f64) {
    let (bottom, up) = (top + PANEL, upward(panel, top));
    mark(
        text,
        "title",
        LEFT,
        top - 18.0,
        &format!("{}, {}", panel.title, panel.unit),
    );
    for tick in &up.ticks {
        let y = up.at(*tick);
        stroke(text, "grid", [LEFT, y, RIGHT, y]);
        mark(text, "tick", LEFT - 10.0, y + 4.5, &grouped(*tick));
    }
    stroke(text, "axis", [LEFT, bottom, RIGHT, bottom]);
    for x in &across.ticks {
        stroke(
            text,
            "axis",
            [across.at(*x), bottom, across.at(*x), bottom + 5.0],
        );
    }
    let names = names(panel, &up);
    for ((number, line), y) in panel.lines.iter().enumerate().zip(names) {
        let last = number + 1 == panel.lines.len();
        let class = if last {
            "last".to_owned()
        } else {
            format!("s{number}")
        };
        put(text, format_args!("<g class=\"{class}\">"));
        curve(text, line, across, &up);
        mark(text, "name", RIGHT + 12.0, y + 4.5, line.name);
        put(text, format_args!("</g>"));
    }
}

fn curve(text: &mut String, line: &Line, across: &Axis, up: &Axis) {
    let path = |of: fn(&Point) -> f64| {
        let spot =
            move |point: &Point| format!("{:.1},{:.1}", across.at(point.x), up.at(of(point)));
        line.points.iter().map(spot).collect::<Vec<_>>()
    };
    let mut around = path(|point| point.high);
    around.extend(path(|point| point.low).into_iter().rev());
    put(
        text,
        format_args!("<polygon class=\"band\" points=\"{}\"/>", around.join(" ")),
    );
    let middle = path(|point| point.middle).join(" ");
    put(
        text,
        format_args!("<polyline class=\"line\" points=\"{middle}\"/>"),
    );
    for point in &line.points {
        let (x, y) = (across.at(point.x), up.at(point.middle));
        put(
            text,
            format_args!("<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"),
        );
    }
}

/// How high each line's name stands: at the line's end, but apart from the others.
fn names(panel: &Panel, up: &Axis) -> Vec<f64> {
    let end = |line: &Line| {
        line.points
            .last()
            .map_or(up.from, |point| up.at(point.middle))
    };
    let ends: Vec<_> = panel.lines.iter().map(end).collect();
    let mut order: Vec<_> = (0..ends.len()).collect();
    order.sort_by(|a, b| ends[*a].total_cmp(&ends[*b]));
    let mut places = ends;
    // Those that are too near to one another give way downward, and then all upward from the panel's foot.
    for pair in 1..order.len() {
        places[order[pair]] = places[order[pair]].max(places[order[pair - 1]] + APART);
    }
    let mut most = up.from;
    for one in order.into_iter().rev() {
        places[one] = places[one].min(most);
        most = places[one] - APART;
    }
    places
}

/// Where values lie on an axis, in the picture's units.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let on = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        };
        let part = (on(value) - on(self.low)) / (on(self.high) - on(self.low));
        self.from + part * (self.to - self.from)
    }
}

fn upward(panel: &Panel, top: f64) -> Axis {
    let points = panel.lines.iter().flat_map(|line| &line.points);
    let (least, most) = points.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), point| {
        (least.min(point.low), most.max(point.high))
    });
    let (low, high, ticks) = match panel.scale {
        Scale::Linear => {
            let step = step(most / 4.0);
            let count = (most / step).ceil();
            let ticks = (0..=count as u32).map(|number| f64::from(number) * step);
            (0.0, count * step, ticks.collect())
        }
        Scale::Log => {
            let decades = (0..10).map(|power| 10_f64.powi(power - 1));
            let ticks = decades.flat_map(|one| [one, 3.0 * one]);
            let inside = |tick: &f64| (least * 0.7..=most * 1.3).contains(tick);
            (least * 0.7, most * 1.3, ticks.filter(inside).collect())
        }
    };
    Axis {
        scale: panel.scale,
        low,
        high,
        from: top + PANEL,
        to: top,
        ticks,
    }
}

/// The least of 1, 2, 5, 10, 20 … that is not below `value`, in its own magnitude.
fn step(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|part| part * decade);
    steps
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(value)
}

/// A number for an axis: thousands apart, and only the decimals that it has.
fn grouped(value: f64) -> String {
    let whole = value.round();
    if value < 10.0 && (value - whole).abs() > 1e-9 {
        return format!("{}", (value * 100.0).round() / 100.0);
    }
    let digits = format!("{whole}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn mark(text: &mut String, class: &str, x: f64, y: f64, words: &str) {
    put(
        text,
        format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"),
    );
}

fn stroke(text: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    put(
        text,
        format_args!("<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>"),
    );
}

fn put(text: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(text, "{element}").expect("a String takes all that is written");
}
