//! How often, and for how long, something is tried again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// The longest.
const LONGEST: Duration = Duration::from_secs(30);

/// The tries since something last went well.
#[derive(Debug)]
pub(super) struct Tries {
    most: Duration,
    since: Option<Instant>,
    delay: Duration,
}

impl Tries {
    /// For at most `most` without any progress.
    pub(super) fn new(most: Duration) -> Self {
        Self {
            most,
            since: None,
            delay: FIRST,
        }
    }

    /// There was progress.
    pub(super) fn well(&mut self) {
        (self.since, self.delay) = (None, FIRST);
    }

    /// Waits until something is to be tried again, at least as long as the server `asks`; `false` when it has been for
    /// long enough.
    pub(super) async fn again(&mut self, asks: Option<Duration>) -> bool {
        let now = Instant::now();
        let left = self
            .most
            .saturating_sub(now - *self.since.get_or_insert(now));
        if left.is_zero() {
            return false;
        }
        let wait = self.delay.max(asks.unwrap_or_default()).min(left);
        self.delay = (self.delay * 2).min(LONGEST);
        sleep(wait).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_and_end_in_time() {
        let (mut tries, began) = (Tries::new(Duration::from_secs(100)), Instant::now());
        let mut at = Vec::new();
        while tries.again(None).await {
            at.push(began.elapsed().as_secs());
        }
        assert_eq!(at, [1, 3, 7, 15, 31, 61, 91, 100]);
        tries.well();
        assert!(tries.again(Some(Duration::from_secs(20))).await);
        assert_eq!(began.elapsed().as_secs(), 120);
        assert!(!Tries::new(Duration::ZERO).again(None).await);
    }
}
