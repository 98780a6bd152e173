//! How fast bytes come, and when the last one may.

use std::time::{Duration, Instant};

/// After this time a byte counts half in the rate.
const HALF_LIFE: Duration = Duration::from_secs(5);
/// A body that lets wait longer than this does so for another reason than speed, and its time counts from its first byte.
const PAUSE: Duration = Duration::from_secs(1);
/// So long after the beginning an estimate is a guess, and none is given.
const SETTLING: Duration = Duration::from_secs(2);
/// So long after the last byte an estimate is no longer true.
const STALLED: Duration = Duration::from_secs(3);

/// An exponential average of bytes a second over wall time.
///
/// A young average is divided by the weight it has gathered, so that it neither begins at zero nor trusts its first
/// moment for ever: for the first seconds it is nearly the plain average.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    average: f64,
    weight: f64,
    bytes: u64,
    began: Instant,
    measured: Instant,
    last_byte: Instant,
}

impl Rate {
    /// An average that begins at `now`, with the request's head or behind a break, when `bytes` have come already.
    pub(crate) fn begin(bytes: u64, now: Instant) -> Self {
        Self {
            average: 0.0,
            weight: 0.0,
            bytes,
            began: now,
            measured: now,
            last_byte: now,
        }
    }

    /// Says that the first byte comes at `now`.
    pub(crate) fn first_byte(&mut self, now: Instant) {
        if now.saturating_duration_since(self.began) > PAUSE {
            *self = Self::begin(self.bytes, now);
        }
    }

    /// Says that what follows comes after `bytes`: what had come beyond them is to come again.
    pub(crate) fn set_back(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// Takes in that `bytes` have come in all by `now`.
    pub(crate) fn advance(&mut self, bytes: u64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.measured).as_secs_f64();
        if elapsed <= 0.0 {
            return;
        }
        let more = bytes.saturating_sub(self.bytes);
        let fresh = 1.0 - 0.5_f64.powf(elapsed / HALF_LIFE.as_secs_f64());
        self.average += fresh * (as_f64(more) / elapsed - self.average);
        self.weight += fresh * (1.0 - self.weight);
        self.measured = now;
        if more > 0 {
            self.bytes = bytes;
            self.last_byte = now;
        }
    }

    /// Whole bytes a second; `None` before anything is measured.
    pub(crate) fn per_second(&self) -> Option<u64> {
        (self.weight > 0.0).then(|| as_u64((self.average / self.weight).round()))
    }

    /// Whole seconds until `length` bytes have come, rounded up; `None` where that would be a guess: in the first two
    /// seconds, after three without a byte, at rate zero.
    pub(crate) fn eta(&self, length: u64, now: Instant) -> Option<u64> {
        let settled = now.saturating_duration_since(self.began) >= SETTLING;
        let flowing = now.saturating_duration_since(self.last_byte) < STALLED;
        let rate = self.per_second().filter(|rate| *rate > 0)?;
        (settled && flowing).then(|| length.saturating_sub(self.bytes).div_ceil(rate))
    }
}

/// An average of bytes a second needs no 53rd bit.
fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

/// The cast saturates, and an average of counts is not negative.
fn as_u64(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    /// `bytes` every 100 ms for `time`.
    fn flow(rate: &mut Rate, bytes: u64, time: Duration) -> Instant {
        for _ in 0..time.as_millis() / TICK.as_millis() {
            rate.advance(rate.bytes + bytes, rate.measured + TICK);
        }
        rate.measured
    }

    #[test]
    fn a_steady_flow_has_its_rate_from_the_first_tick_on() {
        let mut rate = Rate::begin(0, Instant::now());
        assert_eq!(rate.per_second(), None);
        for seconds in [0.1, 1.0, 30.0] {
            flow(&mut rate, 1000, Duration::from_secs_f64(seconds));
            assert_eq!(rate.per_second(), Some(10_000));
        }
    }

    #[test]
    fn five_seconds_of_silence_halve_an_old_rate_however_often_one_looks() {
        let mut coarse = Rate::begin(0, Instant::now());
        flow(&mut coarse, 1000, Duration::from_secs(120));
        let mut fine = coarse.clone();
        coarse.advance(coarse.bytes, coarse.measured + HALF_LIFE);
        flow(&mut fine, 0, HALF_LIFE);
        assert_eq!(coarse.per_second(), Some(5000));
        assert_eq!(fine.per_second(), Some(5000));
    }

    #[test]
    fn estimate_is_absent_for_two_seconds_and_after_three_without_a_byte() {
        let mut rate = Rate::begin(0, Instant::now());
        let now = flow(&mut rate, 1000, Duration::from_millis(1900));
        assert_eq!(rate.eta(100_000, now), None);
        let now = flow(&mut rate, 1000, Duration::from_millis(100));
        assert_eq!(rate.eta(100_000, now), Some(8));
        let now = flow(&mut rate, 0, Duration::from_millis(2900));
        assert!(rate.eta(100_000, now).is_some());
        let now = flow(&mut rate, 0, Duration::from_millis(100));
        assert_eq!(rate.eta(100_000, now), None);
    }

    #[test]
    fn estimate_is_rounded_up_and_survives_absurd_lengths() {
        let mut rate = Rate::begin(0, Instant::now());
        let now = flow(&mut rate, 1000, Duration::from_secs(3));
        assert_eq!(rate.eta(30_001, now), Some(1));
        assert_eq!(rate.eta(29_000, now), Some(0));
        assert_eq!(
            rate.eta(u64::MAX, now),
            Some((u64::MAX - 30_000).div_ceil(10_000))
        );
    }

    #[test]
    fn a_long_wait_before_the_first_byte_is_no_slowness_and_a_short_one_is() {
        let rate_after = |wait: u64| {
            let now = Instant::now();
            let mut rate = Rate::begin(0, now);
            rate.first_byte(now + Duration::from_secs(wait));
            rate.advance(10_000, now + Duration::from_secs(wait + 1));
            rate.per_second()
        };
        assert_eq!(rate_after(0), Some(10_000));
        assert_eq!(rate_after(1), Some(5_000));
        assert_eq!(rate_after(20), Some(10_000));
    }

    #[test]
    fn bytes_that_come_again_count_again_and_those_from_before_a_break_do_not() {
        let now = Instant::now();
        let second = |n| now + Duration::from_secs(n);
        let mut rate = Rate::begin(5000, now);
        rate.first_byte(second(10));
        rate.advance(6000, second(11));
        assert_eq!(rate.per_second(), Some(1000));
        rate.set_back(5000);
        rate.advance(6000, second(12));
        assert_eq!(rate.per_second(), Some(1000));
    }

    #[test]
    fn a_clock_that_stands_still_measures_nothing() {
        let now = Instant::now();
        let mut rate = Rate::begin(0, now);
        rate.advance(5, now);
        assert_eq!(rate.per_second(), None);
    }
}
