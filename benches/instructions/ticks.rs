//! What the ticker's thread does for an upload under way, and one that watches it.

use std::time::Duration;

use dumbwaiter::progress::{Bell, Key, Tracker, TrackerOptions};
use dumbwaiter::upload::{Owner, Protocol, Upload};

/// How many ticks are counted; the difference is what counts.
pub(crate) const COUNTS: [u64; 2] = [100, 500];

/// So many times bytes come and a tick tells of them.
pub(crate) fn run(count: u64) -> anyhow::Result<()> {
    let tracker = Tracker::start(TrackerOptions {
        tick: Duration::from_millis(10),
        ..TrackerOptions::default()
    });
    let owner = Owner::from_address([127, 0, 0, 1].into());
    let upload = Upload::new(Protocol::Form, owner);
    let tap = tracker.begin(&upload);
    let bell = Bell::default();
    let mut follow = tracker.follow(Key::Name(upload.id, upload.id.watch()), &bell);
    follow.look();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for _ in 0..count {
            tap.received(64 << 10);
            bell.rung().await;
        }
    });
    Ok(())
}
