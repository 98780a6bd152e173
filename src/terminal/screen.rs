//! What a person sees while bytes are under way: bars where there is a terminal, a line now and then where there is none.
//!
//! Everything goes to standard error, so that standard output is left to what scripts read. Names and words come from
//! elsewhere: what a terminal would obey in them is made harmless.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::eta::Eta;
use crate::sizes::size_in_words;

/// How often a line is written for one upload where there is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// How often bars are painted: what changes more often waits for the next time, and nothing waits for ever.
const PAINTED_EVERY: Duration = Duration::from_millis(100);

/// The most characters of a name in a line.
const NAME: usize = 40;

/// The most of them in front of a bar, which are as many in each row so that the bars stand below each other.
const NAME_BY_BAR: usize = 24;

/// What is taken for a terminal's width where it does not say it.
const WIDTH: usize = 80;

/// Where rows are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    way: Way,
    /// All bars there were, those that have ended too.
    bars: Arc<Bars>,
}

type Bars = Mutex<Vec<ProgressBar>>;

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
    bar: Option<ProgressBar>,
    now: Mutex<Now>,
}

/// How far an upload is, and how fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Numbers {
    /// Bytes that are there …
    pub(crate) at: u64,
    /// … of how many.
    pub(crate) length: Option<u64>,
    /// Bytes a second.
    pub(crate) rate: Option<u64>,
    /// How long it may still take.
    pub(crate) eta: Option<Duration>,
}

/// What a row shows.
#[derive(Clone, Debug, Default)]
struct Now {
    name: String,
    numbers: Numbers,
    eta: Eta,
    words: String,
    /// When a line was written last.
    told: Option<Instant>,
    /// How the bar is laid out.
    layout: Option<Layout>,
}

/// What fits beside each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Layout {
    name: usize,
    bar: usize,
    is_narrow: bool,
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
        let bars = Arc::default();
        if let Way::Bars(_) = way {
            let painted = Arc::downgrade(&bars);
            std::thread::spawn(move || paint(&painted));
        }
        Self { way, bars }
    }

    /// A row for what is called `name`, at its start.
    pub(crate) fn row(&self, name: &str) -> Arc<Row> {
        let bar = match &self.way {
            Way::Bars(all) => Some(all.add(ProgressBar::no_length().with_style(words_alone()))),
            Way::Lines | Way::Quiet => None,
        };
        self.bars().extend(bar.clone());
        let now = Now {
            name: harmless(name),
            ..Now::default()
        };
        Arc::new(Row {
            way: self.way.clone(),
            bar,
            now: Mutex::new(now),
        })
    }

    /// Writes a result to standard output, which may be the same terminal.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(crate) fn result(&self, line: &str) -> std::io::Result<()> {
        let write = || {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}")?;
            out.flush()
        };
        match &self.way {
            Way::Bars(all) => all.suspend(write),
            Way::Lines | Way::Quiet => write(),
        }
    }

    /// Nothing more is drawn: all rows stay as they are, and what follows begins on a line of its own.
    pub(crate) fn close(&self) {
        let bars = self.bars();
        for bar in bars.iter().filter(|bar| !bar.is_finished()) {
            bar.abandon();
        }
        if !bars.is_empty() {
            let _ = writeln!(std::io::stderr().lock());
        }
    }

    fn bars(&self) -> MutexGuard<'_, Vec<ProgressBar>> {
        locked(&self.bars)
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
        let numbers = Numbers {
            at,
            length,
            rate,
            eta,
        };
        let mut now = self.now();
        now.count(numbers);
        self.draw(&mut now);
    }

    /// What is going on, behind the numbers; empty for what a bar says by itself.
    pub(crate) fn words(&self, words: &str) {
        let mut now = self.now();
        if now.say(words) {
            self.draw(&mut now);
        }
    }

    /// Both at once.
    pub(crate) fn tell(&self, numbers: Numbers, words: &str) {
        let mut now = self.now();
        now.count(numbers);
        now.say(words);
        self.draw(&mut now);
    }

    /// It is called otherwise by now.
    pub(crate) fn name(&self, name: &str) {
        self.now().name = harmless(name);
    }

    /// It has ended well; the row stays as it says then.
    pub(crate) fn done(&self, words: &str) {
        let numbers = self.now().numbers;
        self.done_with(numbers.length.unwrap_or(numbers.at), words);
    }

    /// It has ended well, with so many bytes.
    pub(crate) fn done_with(&self, bytes: u64, words: &str) {
        let name = shortened(&self.now().name, NAME);
        let words = format!("✓ {name}  {}  {}", size_in_words(bytes), harmless(words));
        match &self.bar {
            Some(bar) => finish(bar, words),
            None => say(&self.way, &words),
        }
    }

    /// It has ended otherwise.
    pub(crate) fn failed(&self, words: &str) {
        let name = shortened(&self.now().name, NAME);
        let words = format!("! {name}: {}", harmless(words));
        match &self.bar {
            Some(bar) => finish(bar, words),
            None => fail(&self.way, &words),
        }
    }

    fn draw(&self, now: &mut Now) {
        match &self.bar {
            Some(bar) => draw_bar(bar, now),
            None if now.told.is_none_or(|told| told.elapsed() >= LINES_EVERY) => {
                now.told = Some(Instant::now());
                let name = shortened(&now.name, NAME);
                say(&self.way, &format!("{name}  {}", now.in_words(false)));
            }
            None => {}
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        locked(&self.now)
    }
}

impl Now {
    fn count(&mut self, numbers: Numbers) {
        self.numbers = numbers;
        self.eta.tell(numbers.eta, Instant::now());
    }

    /// Whether that is new. What changes is told at once.
    fn say(&mut self, words: &str) -> bool {
        let words = harmless(words);
        let is_new = self.words != words;
        if is_new {
            (self.words, self.told) = (words, None);
        }
        is_new
    }

    /// `37 %  3.2 MB of 8.6 MB · 1.1 MB/s · about 10 s · Started again`
    ///
    /// Where there is little room, words are told in the place of bytes.
    fn in_words(&self, is_narrow: bool) -> String {
        let Numbers {
            at, length, rate, ..
        } = self.numbers;
        let so_far = match length {
            Some(length) if is_narrow && !self.words.is_empty() => {
                format!("{:>2} %", percent(at, length))
            }
            Some(length) => {
                let (percent, length) = (percent(at, length), size_in_words(length));
                format!("{percent:>2} %  {} of {length}", size_in_words(at))
            }
            None => size_in_words(at),
        };
        let rate = rate.filter(|rate| *rate > 0);
        let parts = [
            Some(so_far),
            rate.map(|rate| format!("{}/s", size_in_words(rate))),
            self.eta.words(),
            Some(self.words.clone()).filter(|words| !words.is_empty()),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        parts.join(" · ")
    }
}

/// Paints all bars again and again by way of any that runs, until there is no screen any more: a change that came too
/// soon behind another is not painted by itself.
fn paint(bars: &Weak<Bars>) {
    while let Some(bars) = bars.upgrade() {
        if let Some(bar) = locked(&bars).iter().find(|bar| !bar.is_finished()) {
            bar.tick();
        }
        drop(bars);
        std::thread::sleep(PAINTED_EVERY);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw_bar(bar: &ProgressBar, now: &mut Now) {
    let layout = Layout::of(width(), now.numbers.length.is_some());
    if now.layout.replace(layout) != Some(layout) {
        bar.set_style(layout.style());
    }
    bar.set_prefix(shortened(&now.name, layout.name));
    if let Some(length) = now.numbers.length {
        bar.set_length(length.max(1));
    }
    bar.set_position(now.numbers.at);
    bar.set_message(now.in_words(layout.is_narrow));
}

impl Layout {
    /// A narrow terminal has no room for bars: then the numbers say it.
    fn of(width: usize, known: bool) -> Self {
        let bar = match width {
            0..56 => 0,
            56..100 => 12,
            _ => 24,
        };
        Self {
            name: (width / 4).clamp(6, NAME_BY_BAR),
            bar: if known { bar } else { 0 },
            is_narrow: bar == 0,
        }
    }

    fn style(self) -> ProgressStyle {
        let Self { name, bar, .. } = self;
        let template = match bar {
            0 => format!("{{prefix:{name}!}}  {{wide_msg}}"),
            _ => format!("{{prefix:{name}!}}  {{bar:{bar}}}  {{wide_msg}}"),
        };
        let style = ProgressStyle::with_template(&template);
        style.map_or_else(|_| words_alone(), |style| style.progress_chars("━╸─"))
    }
}

/// The columns of the terminal, which may change at any time.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { WIDTH } else { columns }
}

/// At most 99 before the end, which only [`Row::done`] tells.
fn percent(at: u64, length: u64) -> u64 {
    let hundredfold = u128::from(at) * 100;
    let percent = hundredfold.checked_div(u128::from(length)).unwrap_or(0);
    u64::try_from(percent).map_or(99, |percent| percent.min(99))
}

fn words_alone() -> ProgressStyle {
    let style = ProgressStyle::with_template("{wide_msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The last words are not cut off: they go on in the next line.
fn finish(bar: &ProgressBar, words: String) {
    let style = ProgressStyle::with_template("{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.finish_with_message(words);
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

/// A name cut in its middle, so that its ending stays.
fn shortened(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    let tail = most / 3;
    let (head, tail) = (
        &letters[..most - 1 - tail],
        &letters[letters.len() - tail..],
    );
    head.iter().chain(&['…']).chain(tail).collect()
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
    fn a_long_name_is_shortened_by_characters_and_keeps_its_ending() {
        assert_eq!(shortened(&"料".repeat(9), 9), "料".repeat(9));
        assert_eq!(shortened("paella-valenciana.jpg", 12), "paella-….jpg");
        assert_eq!(shortened(&"料".repeat(41), 9), "料料料料料…料料料");
    }

    #[test]
    fn numbers_leave_out_what_is_not_known() {
        let mut now = Now::default();
        now.count(Numbers {
            at: 1_000,
            length: Some(4_000),
            rate: Some(2_000),
            eta: Some(Duration::from_secs(12)),
        });
        now.say("Started again");
        assert_eq!(
            now.in_words(false),
            "25 %  1.0 kB of 4.0 kB · 2.0 kB/s · about 20 s · Started again"
        );
        assert_eq!(
            now.in_words(true),
            "25 % · 2.0 kB/s · about 20 s · Started again"
        );
        now.count(Numbers {
            at: 1_000,
            ..Numbers::default()
        });
        now.say("");
        assert_eq!(now.in_words(false), "1.0 kB");
    }

    #[test]
    fn a_narrow_terminal_has_no_bars_and_short_names() {
        for (width, name, bar) in [(1, 6, 0), (40, 10, 0), (80, 20, 12), (120, 24, 24)] {
            let layout = Layout::of(width, true);
            assert_eq!((layout.name, layout.bar), (name, bar), "{width}");
            assert_eq!(Layout::of(width, false).bar, 0, "{width}");
        }
    }
}
