//! How long it may still take, in rounded words that do not jump; `client/words.js` says them in the same way.

use std::time::{Duration, Instant};

/// An estimate that grows has to stay this much higher, in percent …
const GROWTH: u64 = 120;
/// … for this long before it is shown.
const GROWTH_HOLDS: Duration = Duration::from_secs(5);

/// Estimates as they are shown: they shrink at once and grow only when the growth lasts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Eta {
    shown: Option<u64>,
    higher_since: Option<Instant>,
}

impl Eta {
    /// Takes the newest estimate.
    pub(crate) fn tell(&mut self, eta: Option<Duration>, now: Instant) {
        let seconds = eta.map(|eta| eta.as_secs());
        let (Some(newest), Some(shown)) = (seconds, self.shown) else {
            (self.shown, self.higher_since) = (seconds, None);
            return;
        };
        if newest <= shown {
            (self.shown, self.higher_since) = (seconds, None);
        } else if newest.saturating_mul(100) < shown.saturating_mul(GROWTH) {
            self.higher_since = None;
        } else if now - *self.higher_since.get_or_insert(now) >= GROWTH_HOLDS {
            (self.shown, self.higher_since) = (seconds, None);
        }
    }

    /// `about 2 min`, where there is an estimate.
    pub(crate) fn words(&self) -> Option<String> {
        self.shown.map(words)
    }
}

fn words(seconds: u64) -> String {
    match seconds {
        0..10 => "a few seconds".to_owned(),
        10..50 => format!("about {} s", seconds.div_ceil(10) * 10),
        50..3_420 => format!("about {} min", (seconds + 30) / 60),
        _ => format!("about {} h", seconds.saturating_add(1_800) / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_said_in_the_pages_words() {
        for (seconds, said) in [
            (0, "a few seconds"),
            (9, "a few seconds"),
            (10, "about 10 s"),
            (11, "about 20 s"),
            (49, "about 50 s"),
            (50, "about 1 min"),
            (89, "about 1 min"),
            (90, "about 2 min"),
            (3_419, "about 57 min"),
            (3_420, "about 1 h"),
            (5_400, "about 2 h"),
        ] {
            assert_eq!(words(seconds), said, "{seconds}");
        }
        assert!(words(u64::MAX).ends_with(" h"));
    }

    #[test]
    fn an_estimate_shrinks_at_once_and_grows_only_when_that_lasts() {
        let start = Instant::now();
        let mut eta = Eta::default();
        for (at, newest, said) in [
            (0, Some(30), Some("about 30 s")),
            (1, Some(20), Some("about 20 s")),
            // A little more is none.
            (2, Some(23), Some("about 20 s")),
            (3, Some(40), Some("about 20 s")),
            (7, Some(40), Some("about 20 s")),
            // It came down in between.
            (8, Some(20), Some("about 20 s")),
            (9, Some(40), Some("about 20 s")),
            (14, Some(40), Some("about 40 s")),
            (15, None, None),
            (16, Some(100), Some("about 2 min")),
        ] {
            let newest = newest.map(Duration::from_secs);
            eta.tell(newest, start + Duration::from_secs(at));
            assert_eq!(eta.words().as_deref(), said, "at {at}");
        }
    }
}
