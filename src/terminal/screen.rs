//! What a person sees while bytes are under way: bars where there is a terminal, a line now and then where there is none.
//!
//! Everything goes to standard error, so that standard output is left to what scripts read. Names and words come from
//! elsewhere: what a terminal would obey in them is made harmless.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle,
};

/// How often a line is written for one upload where there is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// The most characters of a name that are shown.
const NAME: usize = 40;

/// Where rows are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Bars(MultiProgress),
    Lines,
    Quiet,
}

/// One upload's place on it.
#[derive(Debug)]
pub(crate) struct Row {
    way: Way,
    name: String,
    bar: Option<ProgressBar>,
    now: Mutex<Now>,
}

/// What a row shows.
#[derive(Clone, Debug)]
struct Now {
    at: u64,
    length: Option<u64>,
    rate: Option<u64>,
    eta: Option<Duration>,
    words: String,
    told: Option<Instant>,
}

impl Screen {
    /// Bars if standard error is a terminal that can draw them, nothing but failures if `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let draws = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let way = match (quiet, draws) {
            (true, _) => Way::Quiet,
            (false, true) => Way::Bars(MultiProgress::with_draw_target(
                ProgressDrawTarget::stderr_with_hz(10),
            )),
            (false, false) => Way::Lines,
        };
        Self { way }
    }

    /// A row for what is called `name`, at its start.
    pub(crate) fn row(&self, name: &str) -> Arc<Row> {
        let name = shortened(&harmless(name));
        let bar = match &self.way {
            Way::Bars(all) => {
                let bar = all.add(ProgressBar::no_length().with_style(style(false)));
                bar.set_prefix(name.clone());
                Some(bar)
            }
            Way::Lines | Way::Quiet => None,
        };
        let now = Now {
            at: 0,
            length: None,
            rate: None,
            eta: None,
            words: String::new(),
            told: None,
        };
        Arc::new(Row {
            way: self.way.clone(),
            name,
            bar,
            now: Mutex::new(now),
        })
    }

    /// A line of its own, among the rows.
    pub(crate) fn say(&self, words: &str) {
        say(&self.way, &harmless(words));
    }

    /// Something that has gone wrong, also where quiet is wanted.
    pub(crate) fn fail(&self, words: &str) {
        fail(&self.way, &harmless(words));
    }
}

impl Row {
    /// Bytes that are there, of how many, and what else is known: bytes a second, and how long it may still take.
    pub(crate) fn at(
        &self,
        at: u64,
        length: Option<u64>,
        rate: Option<u64>,
        eta: Option<Duration>,
    ) {
        let mut now = self.now();
        (now.at, now.length, now.rate, now.eta) = (at, length, rate, eta);
        self.draw(now);
    }

    /// What is going on, behind the numbers; empty for what a bar says by itself.
    pub(crate) fn words(&self, words: &str) {
        let words = harmless(words);
        let mut now = self.now();
        if now.words != words {
            now.words = words;
            // What changes is told at once.
            now.told = None;
            self.draw(now);
        }
    }

    /// It has ended well; the row stays as it says then.
    pub(crate) fn done(&self, words: &str) {
        let now = self.now();
        let length = HumanBytes(now.length.unwrap_or(now.at));
        drop(now);
        self.end(&format!("{}  {length}  {}", self.name, harmless(words)));
    }

    /// It has ended otherwise.
    pub(crate) fn failed(&self, words: &str) {
        let words = format!("{}: {}", self.name, harmless(words));
        match &self.bar {
            Some(bar) => finish(bar, &words),
            None => fail(&self.way, &words),
        }
    }

    fn end(&self, words: &str) {
        match &self.bar {
            Some(bar) => finish(bar, words),
            None => say(&self.way, words),
        }
    }

    fn draw(&self, mut now: MutexGuard<'_, Now>) {
        match &self.bar {
            Some(bar) => {
                let known = now.length.is_some();
                bar.set_style(style(known));
                if let Some(length) = now.length {
                    bar.set_length(length.max(1));
                }
                bar.set_position(now.at);
                bar.set_message(numbers(&now));
            }
            None if now.told.is_none_or(|told| told.elapsed() >= LINES_EVERY) => {
                now.told = Some(Instant::now());
                say(&self.way, &format!("{}  {}", self.name, numbers(&now)));
            }
            None => {}
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `37 %  3.2 MiB of 8.6 MiB  1.1 MiB/s  5s left  interrupted`
fn numbers(now: &Now) -> String {
    let mut parts = Vec::new();
    match now.length {
        Some(length) => {
            parts.push(format!("{} %", percent(now.at, length)));
            parts.push(format!("{} of {}", HumanBytes(now.at), HumanBytes(length)));
        }
        None => parts.push(HumanBytes(now.at).to_string()),
    }
    parts.extend(
        now.rate
            .filter(|rate| *rate > 0)
            .map(|rate| format!("{}/s", HumanBytes(rate))),
    );
    parts.extend(now.eta.map(|eta| format!("{:#} left", HumanDuration(eta))));
    parts.extend(Some(&now.words).filter(|words| !words.is_empty()).cloned());
    parts.join("  ")
}

/// At most 99 before the end, which only [`Row::done`] tells.
fn percent(at: u64, length: u64) -> u64 {
    let hundredfold = u128::from(at) * 100;
    let percent = hundredfold.checked_div(u128::from(length)).unwrap_or(0);
    u64::try_from(percent).map_or(99, |percent| percent.min(99))
}

fn style(known: bool) -> ProgressStyle {
    let template = match known {
        true => "{prefix:.bold}  {bar:20}  {wide_msg}",
        false => "{prefix:.bold}  {spinner}  {wide_msg}",
    };
    let style = ProgressStyle::with_template(template);
    style.map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("━╸─"),
    )
}

fn finish(bar: &ProgressBar, words: &str) {
    let style = ProgressStyle::with_template("{wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.finish_with_message(words.to_owned());
}

fn say(way: &Way, words: &str) {
    match way {
        // A line that cannot be written stops nothing.
        Way::Bars(all) => drop(all.println(words)),
        Way::Lines => drop(writeln!(std::io::stderr().lock(), "{words}")),
        Way::Quiet => {}
    }
}

fn fail(way: &Way, words: &str) {
    match way {
        Way::Bars(all) => drop(all.println(words)),
        Way::Lines | Way::Quiet => drop(writeln!(std::io::stderr().lock(), "{words}")),
    }
}

/// What no terminal obeys, and what does not turn the rest of its line around.
pub(crate) fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = |c: char| {
        if c.is_control() || turns(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(plain).collect()
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        None => name.to_owned(),
        Some(_) => {
            let kept: String = name.chars().take(NAME - 1).collect();
            kept + "…"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_is_hundred_only_at_the_end_which_somebody_else_tells() {
        for (at, length, percents) in [
            (0, 10, 0),
            (1, 3, 33),
            (999, 1000, 99),
            (10, 10, 99),
            (0, 0, 0),
            (u64::MAX, 1, 99),
        ] {
            assert_eq!(percent(at, length), percents, "{at} of {length}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_made_harmless() {
        for (given, shown) in [
            ("paella.jpg", "paella.jpg"),
            ("a\x1b[2Jb", "a\u{fffd}[2Jb"),
            ("a\r\nb\u{9b}c", "a\u{fffd}\u{fffd}b\u{fffd}c"),
            ("a\u{202e}gpj", "a\u{fffd}gpj"),
            ("料理", "料理"),
        ] {
            assert_eq!(harmless(given), shown);
        }
    }

    #[test]
    fn a_long_name_is_shortened_by_characters() {
        assert_eq!(shortened(&"料".repeat(40)), "料".repeat(40));
        assert_eq!(shortened(&"料".repeat(41)), "料".repeat(39) + "…");
    }

    #[test]
    fn numbers_leave_out_what_is_not_known() {
        let now = Now {
            at: 1024,
            length: Some(4096),
            rate: Some(2048),
            eta: Some(Duration::from_secs(2)),
            words: "interrupted".to_owned(),
            told: None,
        };
        assert_eq!(
            numbers(&now),
            "25 %  1.00 KiB of 4.00 KiB  2.00 KiB/s  2s left  interrupted"
        );
        let less = Now {
            length: None,
            rate: None,
            eta: None,
            words: String::new(),
            ..now
        };
        assert_eq!(numbers(&less), "1.00 KiB");
    }
}
