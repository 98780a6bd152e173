//! How slowly a body may come: who holds a place and sends nothing, or next to nothing, loses it.
//!
//! Three rules, each with a name of its own in the record: no byte for a while (`stalled`), fewer bytes in a window than
//! the least rate gives (`too_slow`), too long in all (`took_too_long`). One coarse timer an upload wakes a pump that
//! waits, four times in the shortest of the times; a chunk that comes costs an addition, and no look at a clock.
//!
//! Only a client's own slowness counts. When the timer is seen much too late, a disk or a crowded thread has kept the
//! pump from listening: then what was measured is forgotten and both rules begin anew.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Body;
use crate::error::Error;

/// How slowly a body may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaceOptions {
    /// The longest time without a byte; it is noticed at most a quarter later. Default 60 s; `None` is for ever.
    pub stall: Option<Duration>,
    /// The least rate, in bytes a second. A window without any byte is a matter for `stall`, where that is set. Default 1,024.
    pub least_rate: Option<u64>,
    /// The time over which the rate is taken, one window after the other; default 30 s.
    pub window: Duration,
    /// The longest time for the whole body; `None`, the default, is for ever.
    pub total: Option<Duration>,
}

impl PaceOptions {
    /// As slowly as it may be.
    pub(crate) const NONE: Self = Self {
        stall: None,
        least_rate: None,
        window: Duration::from_secs(30),
        total: None,
    };
}

impl Default for PaceOptions {
    fn default() -> Self {
        Self {
            stall: Some(Duration::from_secs(60)),
            least_rate: Some(1024),
            window: Duration::from_secs(30),
            total: None,
        }
    }
}

/// After how many waits that were over at once the timer is looked at all the same: a client that is always faster than
/// the disk never lets the pump wait.
const TURNS: u8 = 64;

/// Keeps one body to its pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// Set with the first wait.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    wakes: Option<Waker>,
    rules: Rules,
    turns: u8,
}

impl Pace {
    /// For a body that begins now.
    pub(super) fn new(options: PaceOptions) -> Self {
        Self {
            timer: None,
            wakes: None,
            rules: Rules::new(options, Instant::now()),
            turns: 0,
        }
    }

    /// As [`Body::frames`], for as long as the rules allow.
    ///
    /// # Errors
    /// Those of [`Body::frames`]; [`Error::Stalled`], [`Error::TooSlow`], [`Error::TookTooLong`].
    pub(super) async fn frames(
        &mut self,
        body: &mut Body,
        frames: &mut Vec<Bytes>,
    ) -> Result<bool, Error> {
        std::future::poll_fn(|cx| {
            let polled = body.poll_frames(cx, frames);
            self.turns = (self.turns + 1) % TURNS;
            if polled.is_ready() && self.turns != 0 {
                return polled;
            }
            match self.poll_late(cx) {
                Poll::Ready(error) => Poll::Ready(Err(error)),
                Poll::Pending => polled,
            }
        })
        .await
    }

    /// Counts what has come.
    pub(super) fn took(&mut self, bytes: u64) {
        self.rules.taken += bytes;
    }

    /// Ready when a rule is broken.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(due) = self.rules.due else {
            return Poll::Pending;
        };
        let timer = &mut self.timer;
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // A timer that is set stays set: only one that has fired, or would wake somebody else, is looked into.
        let set = self.wakes.as_ref().is_some_and(|w| w.will_wake(cx.waker()));
        if set && !timer.is_elapsed() {
            return Poll::Pending;
        }
        self.wakes = Some(cx.waker().clone());
        loop {
            ready!(timer.as_mut().poll(cx));
            match self.rules.judge(Instant::now()) {
                Ok(due) => timer.as_mut().reset(due),
                Err(error) => return Poll::Ready(error),
            }
        }
    }
}

#[derive(Debug)]
struct Rules {
    options: PaceOptions,
    /// Between two looks.
    every: Duration,
    /// When the next look is due; never without a rule.
    due: Option<Instant>,
    /// When the body began.
    begun: Instant,
    taken: u64,
    /// The last look that found bytes.
    heard: Mark,
    /// The window's begin.
    window: Mark,
}

/// How many bytes had come at a moment.
#[derive(Clone, Copy, Debug)]
struct Mark {
    taken: u64,
    at: Instant,
}

impl Rules {
    fn new(options: PaceOptions, now: Instant) -> Self {
        let window = options.least_rate.map(|_| options.window);
        let quarter = options.stall.into_iter().chain(window).min();
        let quarter = quarter.map(|time| (time / 4).max(Duration::from_millis(1)));
        let every = quarter.into_iter().chain(options.total).min();
        let mark = Mark { taken: 0, at: now };
        Self {
            options,
            every: every.unwrap_or_default(),
            due: every.map(|every| now + every),
            begun: now,
            taken: 0,
            heard: mark,
            window: mark,
        }
    }

    /// Looks at what has come, and says when to look again.
    fn judge(&mut self, now: Instant) -> Result<Instant, Error> {
        let most = self.options.total;
        if let Some(most) = most.filter(|most| now - self.begun >= *most) {
            let seconds = seconds(most);
            return Err(Error::TookTooLong { seconds });
        }
        let mark = Mark {
            taken: self.taken,
            at: now,
        };
        if self.due.is_some_and(|due| now - due > self.every) {
            (self.heard, self.window) = (mark, mark);
        }
        self.stall(mark)?;
        self.rate(mark)?;
        let next = now + self.every;
        let next = most.map_or(next, |most| next.min(self.begun + most));
        self.due = Some(next);
        Ok(next)
    }

    fn stall(&mut self, now: Mark) -> Result<(), Error> {
        if now.taken > self.heard.taken {
            self.heard = now;
        }
        match self.options.stall {
            Some(most) if now.at - self.heard.at >= most => Err(Error::Stalled {
                seconds: seconds(most),
            }),
            _ => Ok(()),
        }
    }

    fn rate(&mut self, now: Mark) -> Result<(), Error> {
        let time = now.at - self.window.at;
        let (Some(least), true) = (self.options.least_rate, time >= self.options.window) else {
            return Ok(());
        };
        let came = now.taken - self.window.taken;
        self.window = now;
        let silent = came == 0 && self.options.stall.is_some();
        match (came as f64) < least as f64 * time.as_secs_f64() && !silent {
            true => Err(Error::TooSlow { least }),
            false => Ok(()),
        }
    }
}

/// For people: a part of a second counts as one.
fn seconds(time: Duration) -> u64 {
    time.as_secs_f64().ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    use http_body::Frame;

    const OFF: PaceOptions = PaceOptions::NONE;

    /// A body of frames that come one after the other: seconds to wait, and bytes.
    struct Slow(std::vec::IntoIter<(f64, usize)>, Option<Pin<Box<Sleep>>>);

    impl http_body::Body for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(&(wait, bytes)) = self.0.as_slice().first() else {
                return Poll::Ready(None);
            };
            let wait = Duration::from_secs_f64(wait);
            let sleep = self
                .1
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            if !wait.is_zero() {
                ready!(sleep.as_mut().poll(cx));
            }
            (self.1, _) = (None, self.0.next());
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; bytes])))))
        }
    }

    /// How many seconds it took, and how it ended; `disk` is what each write takes.
    async fn run(options: PaceOptions, frames: Vec<(f64, usize)>, disk: f64) -> (f64, String) {
        let mut body = Body::new(Slow(frames.into_iter(), None));
        let (mut pace, mut frames, start) = (Pace::new(options), Vec::new(), Instant::now());
        let end = loop {
            match pace.frames(&mut body, &mut frames).await {
                Ok(true) => pace.took(frames.drain(..).map(|frame| frame.len() as u64).sum()),
                Ok(false) => break "whole".to_owned(),
                Err(error) => break error.code().to_owned(),
            }
            tokio::time::sleep(Duration::from_secs_f64(disk)).await;
        };
        (start.elapsed().as_secs_f64(), end)
    }

    fn stall(seconds: u64) -> PaceOptions {
        PaceOptions {
            stall: Some(Duration::from_secs(seconds)),
            ..OFF
        }
    }

    fn rate(least: u64) -> PaceOptions {
        PaceOptions {
            least_rate: Some(least),
            ..OFF
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_an_upload_in_time_and_no_earlier() {
        let silent = vec![(0.0, 10), (39.9, 10), (1000.0, 10)];
        let (took, end) = run(stall(40), silent, 0.0).await;
        assert_eq!(end, "stalled");
        assert!((79.9..=90.0).contains(&took), "{took}");
        let (_, end) = run(stall(40), vec![(39.9, 1); 50], 0.0).await;
        assert_eq!(end, "whole");
        // From the first moment on.
        let (took, end) = run(stall(40), vec![(1000.0, 1)], 0.0).await;
        assert_eq!(end, "stalled");
        assert!((40.0..=50.0).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_with_its_first_slow_window() {
        for (bytes, expected) in [(1000, "too_slow"), (1100, "whole")] {
            let (took, end) = run(rate(1024), vec![(1.0, bytes); 200], 0.0).await;
            assert_eq!(end, expected, "{bytes} bytes a second");
            assert!(end == "whole" || (30.0..=38.0).contains(&took), "{took}");
        }
        // Fast at first does not count for later.
        let mut fading = vec![(0.0, 1_000_000)];
        fading.extend([(1.0, 10); 200]);
        let (took, end) = run(rate(1024), fading, 0.0).await;
        assert_eq!(end, "too_slow");
        assert!(took <= 70.0, "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_slow_where_silence_has_a_rule_of_its_own() {
        let both = PaceOptions::default();
        let paused = vec![(0.0, 100_000), (58.0, 100_000), (1.0, 1)];
        assert_eq!(run(both, paused, 0.0).await.1, "whole");
        assert_eq!(run(both, vec![(1000.0, 1)], 0.0).await.1, "stalled");
        assert_eq!(run(both, vec![(20.0, 1); 50], 0.0).await.1, "too_slow");
        assert_eq!(run(rate(1024), vec![(58.0, 1)], 0.0).await.1, "too_slow");
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_last_as_long_as_said_however_fast_it_is() {
        let total = PaceOptions {
            total: Some(Duration::from_secs(100)),
            ..OFF
        };
        let (took, end) = run(total, vec![(1.0, 1_000_000); 1000], 0.0).await;
        assert_eq!(end, "took_too_long");
        assert!((100.0..=101.0).contains(&took), "{took}");
        // A client that never lets the pump wait.
        let (took, end) = run(total, vec![(0.0, 1_000_000); 10_000], 0.1).await;
        assert_eq!(end, "took_too_long");
        assert!((100.0..=110.0).contains(&took), "{took}");
        assert_eq!(run(total, vec![(1.0, 1); 99], 0.0).await.1, "whole");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_disk_is_not_the_clients_fault() {
        // Each write takes longer than either rule allows a client.
        let both = PaceOptions::default();
        assert_eq!(run(both, vec![(1.0, 5_000); 20], 100.0).await.1, "whole");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rule_there_is_no_timer() {
        let mut body = Body::new(Slow(vec![(1e6, 1)].into_iter(), None));
        let (mut pace, mut frames) = (Pace::new(OFF), Vec::new());
        assert!(pace.frames(&mut body, &mut frames).await.unwrap());
        assert!(pace.timer.is_none());
    }
}
