//! What is to be in the caches, and which of them does not have it yet. It knows no cache and no clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pickle;
use crate::progress::{Progress, State};

/// One bit for each cache.
type Caches = u64;

/// How many caches there may be.
pub(super) const MOST_CACHES: usize = Caches::BITS as usize;

/// The rows: at most so many of uploads that go on, and as many again of those that have ended and of which not every
/// cache knows.
#[derive(Debug)]
pub(super) struct Table {
    rows: HashMap<String, Row>,
    most: usize,
    /// By cache: until when something may still come to pass there that was given up.
    doubts: Vec<Option<Instant>>,
    all: Caches,
    times: Times,
    /// How often something was to be written.
    stamp: u64,
    looks: u64,
}

/// How often a value that does not change is written again, where caches keep it for longer: they forget as they please,
/// and whoever has lost it would take the upload for finished.
const REFRESH: Duration = Duration::from_secs(5);

/// When a row is written again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The shortest time between two writes of moving numbers.
    pub(super) interval: Duration,
    /// How long the caches keep a value.
    pub(super) ttl: Duration,
}

#[derive(Debug)]
struct Row {
    progress: Arc<Progress>,
    /// What is shown; `None` once it is to be deleted.
    shown: Option<(u64, u64)>,
    stamp: u64,
    at: Instant,
    ended: bool,
    /// The caches that do not have it.
    unsent: Caches,
}

/// What became of an upload that has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Begun {
    Taken,
    /// Somebody else's upload runs under that key.
    Foreign,
    /// There are too many.
    Full,
}

/// Something to be written to one cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Write {
    pub(super) key: String,
    /// The value; `None` deletes it.
    pub(super) value: Option<Vec<u8>>,
    pub(super) stamp: u64,
}

impl Table {
    pub(super) fn new(caches: usize, most: usize, times: Times) -> Self {
        Self {
            rows: HashMap::new(),
            most,
            doubts: vec![None; caches],
            all: Caches::MAX
                .checked_shr(Caches::BITS - caches as u32)
                .unwrap_or_default(),
            times,
            stamp: 0,
            looks: 0,
        }
    }

    /// How often it was looked at all uploads.
    pub(super) fn looks(&self) -> u64 {
        self.looks
    }

    /// Whether every cache has everything.
    pub(super) fn lacks_nothing(&self) -> bool {
        self.rows.values().all(|row| row.unsent == 0)
    }

    /// Takes an upload in. A newer one of the same owner takes the older one's place, and keeps it.
    pub(super) fn begin(&mut self, key: String, progress: Arc<Progress>, now: Instant) -> Begun {
        let foreign = |row: &Row| row.goes_on() && row.progress.owner() != progress.owner();
        if progress.is_replaced() {
            return Begun::Taken;
        }
        let there = self.rows.get(&key).map(foreign);
        match there {
            Some(true) => return Begun::Foreign,
            None if self.rows.len() >= self.most && !self.make_room() => return Begun::Full,
            _ => {}
        }
        self.stamp += 1;
        let row = Row {
            shown: Some(progress.numbers().for_the_article()),
            progress,
            stamp: self.stamp,
            at: now,
            ended: false,
            unsent: self.all,
        };
        self.rows.insert(key, row);
        Begun::Taken
    }

    /// Whether there is room for one more, for which the one that ended first may have to go.
    fn make_room(&mut self) -> bool {
        let go_on = self.rows.values().filter(|row| row.goes_on()).count();
        if go_on >= self.most {
            return false;
        }
        if self.rows.len() >= self.most.saturating_mul(2) {
            let ended = self.rows.iter().filter(|(_, row)| !row.goes_on());
            let oldest = ended.min_by_key(|(_, row)| row.at);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| self.rows.remove(&key));
        }
        true
    }

    /// Looks at every upload; gives when to look again if nobody calls before.
    pub(super) fn look(&mut self, now: Instant) -> Option<Instant> {
        self.looks += 1;
        self.settle(now);
        let (times, all) = (self.times, self.all);
        let mut next = self.doubts.iter().flatten().min().copied();
        for row in self.rows.values_mut() {
            if let Some(due) = row.due(times, now) {
                let sooner = next.is_none_or(|next| due < next);
                next = if sooner { Some(due) } else { next };
                continue;
            }
            self.stamp += 1;
            row.stamp = self.stamp;
            (row.at, row.unsent) = (now, all);
        }
        let sure = self.is_sure();
        let gone = |row: &Row| {
            // One of a record that had to make room has no end.
            if !row.ended && row.progress.is_replaced() {
                return true;
            }
            let old = now.saturating_duration_since(row.at) > times.ttl;
            row.ended && ((row.unsent == 0 && sure) || old)
        };
        self.rows.retain(|_, row| !gone(row));
        next
    }

    /// What cache number `cache` does not have, at most `most` of it, the oldest first.
    pub(super) fn unsent(&self, cache: usize, most: usize) -> Vec<Write> {
        let lacks = |row: &Row| row.unsent & (1 << cache) != 0;
        let rows = self.rows.iter().filter(|(_, row)| lacks(row));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable_by_key(|(_, row)| row.stamp);
        rows.truncate(most);
        let write = |(key, row): (&String, &Row)| Write {
            key: key.clone(),
            value: row
                .shown
                .map(|(uploaded, length)| pickle::dict(length, uploaded)),
            stamp: row.stamp,
        };
        rows.into_iter().map(write).collect()
    }

    /// These have been written to it, unless there is something newer. What it did not take comes behind all others.
    pub(super) fn sent(&mut self, cache: usize, writes: &[Write], taken: &[bool]) {
        let sure = self.is_sure();
        for (write, taken) in writes.iter().zip(taken) {
            if let Some(row) = self.rows.get_mut(&write.key)
                && row.stamp == write.stamp
            {
                if !taken {
                    self.stamp += 1;
                    row.stamp = self.stamp;
                    continue;
                }
                row.unsent &= !(1 << cache);
                if row.ended && row.unsent == 0 && sure {
                    self.rows.remove(&write.key);
                }
            }
        }
    }

    /// It did not answer. What it was asked may come to pass all the same, later and behind what it will be asked then: a
    /// server that was stopped goes on with all of its connections, in any order. Some time after it is back it is
    /// written everything once more.
    pub(super) fn doubt(&mut self, cache: usize, now: Instant) {
        self.doubts[cache] = Some(now + REFRESH);
    }

    /// Puts an end to doubts that have lasted.
    fn settle(&mut self, now: Instant) {
        for cache in 0..self.doubts.len() {
            if self.doubts[cache].is_some_and(|until| until <= now) {
                self.doubts[cache] = None;
                self.lost(cache);
            }
        }
    }

    fn is_sure(&self) -> bool {
        self.doubts.iter().all(Option::is_none)
    }

    /// It may have lost everything.
    pub(super) fn lost(&mut self, cache: usize) {
        for row in self.rows.values_mut() {
            row.unsent |= 1 << cache;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

impl Row {
    fn goes_on(&self) -> bool {
        !self.ended && !self.progress.state().is_end()
    }

    /// Takes in how far the upload is now; gives when it is to be written, unless that is at once.
    fn due(&mut self, times: Times, now: Instant) -> Option<Instant> {
        if self.ended {
            // Nothing is left but to be forgotten.
            return Some(self.at + times.ttl);
        }
        let numbers = self.progress.numbers();
        let shown = match numbers.state {
            State::Done => None,
            _ => Some(numbers.for_the_article()),
        };
        let changed = self.shown != shown;
        let refresh = self.at + REFRESH.min(times.ttl / 3);
        let due = if changed {
            self.at + times.interval
        } else {
            refresh
        };
        if due > now && !numbers.state.is_end() {
            return Some(due);
        }
        self.shown = shown;
        self.ended = numbers.state.is_end();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::progress::{Tap, Tracker, TrackerOptions};
    use crate::upload::{Owner, ProgressId, Protocol, Upload};

    const INTERVAL: Duration = Duration::from_millis(250);
    const TTL: Duration = Duration::from_secs(300);

    fn table(caches: usize, most: usize) -> Table {
        let (interval, ttl) = (INTERVAL, TTL);
        Table::new(caches, most, Times { interval, ttl })
    }

    fn tap(owner: &str) -> Tap {
        let mut upload = Upload::new(Protocol::Form, Owner::Named(owner.into()));
        upload.progress_id = ProgressId::parse("7");
        upload.length = Some(100);
        Tracker::start(TrackerOptions::default()).begin(&upload)
    }

    fn begin(table: &mut Table, key: &str, tap: &Tap, now: Instant) -> Begun {
        table.begin(key.to_owned(), Arc::clone(tap.progress()), now)
    }

    /// What cache 0 gets; it has it then.
    fn written(table: &mut Table) -> Vec<Option<Vec<u8>>> {
        let writes = table.unsent(0, 10);
        table.sent(0, &writes, &vec![true; writes.len()]);
        writes.into_iter().map(|write| write.value).collect()
    }

    #[test]
    fn first_and_last_are_written_at_once_and_between_them_not_too_often() {
        let (mut table, tap, now) = (table(1, 9), tap("a"), Instant::now());
        begin(&mut table, "7", &tap, now);
        assert_eq!(written(&mut table), [Some(pickle::dict(100, 0))]);
        tap.received(40);
        assert_eq!(table.look(now), Some(now + INTERVAL));
        assert!(written(&mut table).is_empty());
        table.look(now + INTERVAL);
        assert_eq!(written(&mut table), [Some(pickle::dict(100, 40))]);
        tap.received(60);
        table.look(now + 2 * INTERVAL);
        // All has come, and the page must not show 100 % yet.
        assert_eq!(written(&mut table), [Some(pickle::dict(100, 99))]);
        tap.done(&[]);
        table.look(now + 2 * INTERVAL);
        assert_eq!(written(&mut table), [None]);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn an_error_leaves_the_last_numbers_to_their_time() {
        let (mut table, tap, now) = (table(1, 9), tap("a"), Instant::now());
        begin(&mut table, "7", &tap, now);
        tap.received(40);
        tap.fail(&Error::ClientGone);
        table.look(now);
        assert_eq!(written(&mut table), [Some(pickle::dict(100, 40))]);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_does_not_move_is_written_again_before_a_cache_forgets_it() {
        let (mut table, tap, now) = (table(1, 9), tap("a"), Instant::now());
        begin(&mut table, "7", &tap, now);
        written(&mut table);
        assert_eq!(table.look(now), Some(now + REFRESH));
        table.look(now + REFRESH);
        assert_eq!(written(&mut table).len(), 1);
        table.times.ttl = Duration::from_secs(6);
        let now = now + REFRESH;
        assert_eq!(table.look(now), Some(now + Duration::from_secs(2)));
    }

    #[test]
    fn a_cache_that_was_away_gets_all_and_others_are_not_asked_again() {
        let (mut table, tap, now) = (table(2, 9), tap("a"), Instant::now());
        begin(&mut table, "7", &tap, now);
        written(&mut table);
        assert_eq!(table.unsent(1, 10).len(), 1);
        table.lost(0);
        assert_eq!(written(&mut table).len(), 1);
        tap.done(&[]);
        table.look(now);
        written(&mut table);
        // Cache 1 is away: it is told for as long as it would keep the value.
        assert_eq!(table.unsent(1, 10)[0].value, None);
        table.look(now + TTL + INTERVAL);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn the_key_of_somebody_else_is_not_written_until_it_is_free() {
        let (mut table, ours, now) = (table(1, 9), tap("a"), Instant::now());
        let (theirs, again) = (tap("b"), tap("a"));
        assert_eq!(begin(&mut table, "7", &ours, now), Begun::Taken);
        assert_eq!(begin(&mut table, "7", &theirs, now), Begun::Foreign);
        assert_eq!(begin(&mut table, "7", &again, now), Begun::Taken);
        again.fail(&Error::ClientGone);
        assert_eq!(begin(&mut table, "7", &theirs, now), Begun::Taken);
    }

    #[test]
    fn there_are_at_most_so_many_and_as_many_again_that_have_ended() {
        let mut table = table(1, 1);
        let (one, two, three, now) = (tap("a"), tap("b"), tap("c"), Instant::now());
        begin(&mut table, "1", &one, now);
        assert_eq!(begin(&mut table, "2", &two, now), Begun::Full);
        one.fail(&Error::ClientGone);
        assert_eq!(begin(&mut table, "2", &two, now), Begun::Taken);
        two.fail(&Error::ClientGone);
        assert_eq!(begin(&mut table, "3", &three, now), Begun::Taken);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_cache_that_did_not_answer_is_told_once_more_after_it_is_back_ends_too() {
        let (mut table, tap, now) = (table(1, 9), tap("a"), Instant::now());
        begin(&mut table, "7", &tap, now);
        table.doubt(0, now);
        tap.done(&[]);
        assert_eq!(table.look(now), Some(now + REFRESH));
        assert_eq!(written(&mut table), [None]);
        table.look(now + REFRESH / 2);
        assert_eq!(written(&mut table), []);
        table.look(now + REFRESH);
        assert_eq!(written(&mut table), [None]);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_write_that_was_overtaken_is_not_the_last() {
        let (mut table, tap, now) = (table(1, 9), tap("a"), Instant::now());
        begin(&mut table, "7", &tap, now);
        let older = table.unsent(0, 10);
        tap.received(40);
        table.look(now + INTERVAL);
        table.sent(0, &older, &[true]);
        assert_eq!(written(&mut table), [Some(pickle::dict(100, 40))]);
    }

    #[test]
    fn what_a_cache_does_not_take_is_tried_again_behind_the_others() {
        let (mut table, one, two, now) = (table(1, 9), tap("a"), tap("b"), Instant::now());
        begin(&mut table, "1", &one, now);
        begin(&mut table, "2", &two, now);
        let keys = |writes: &[Write]| writes.iter().map(|w| w.key.clone()).collect::<Vec<_>>();
        let first = table.unsent(0, 1);
        assert_eq!(keys(&first), ["1"]);
        table.sent(0, &first, &[false]);
        assert_eq!(keys(&table.unsent(0, 9)), ["2", "1"]);
    }

    #[test]
    fn an_older_upload_that_is_listed_anew_leaves_the_key_to_the_newer() {
        let tracker = Tracker::start(TrackerOptions::default());
        let mut upload = Upload::new(Protocol::Form, Owner::Named("a".into()));
        upload.progress_id = ProgressId::parse("7");
        upload.length = Some(100);
        let older = tracker.begin(&upload);
        upload.id = crate::upload::UploadId::random();
        upload.length = Some(200);
        let newer = tracker.begin(&upload);
        let (mut table, now) = (table(1, 9), Instant::now());
        begin(&mut table, "7", &newer, now);
        assert_eq!(begin(&mut table, "7", &older, now), Begun::Taken);
        assert_eq!(written(&mut table), [Some(pickle::dict(200, 0))]);
    }
}
