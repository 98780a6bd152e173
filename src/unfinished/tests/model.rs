//! Any order of what clients and the server do to uploads, against a model that knows what must come of it.
//!
//! The model has the bytes that were sent of each upload as far as it stands: a request replaces what an older one has
//! sent behind its offset, and each sends other bytes. What a client was told is there must be there from then on,
//! whatever happens; what nobody sent must never be; and a finished file is the model's bytes, all of them.

mod checks;
mod home;
mod known;
mod requests;
mod steps;
mod world;

use proptest::prelude::*;
use proptest::test_runner::Config;

use home::Home;
use steps::{Step, steps};
use world::World;

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

/// Takes the steps one after the other, and brings all uploads to their ends.
fn take(home: Home, max_parked: usize, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::start(home, max_parked);
        for step in steps {
            world.take(step).await;
            world.check().await;
        }
        world.finish().await;
    });
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn in_memory_any_order_of_steps_keeps_what_was_told_and_nothing_else(
        max_parked in 0..3_usize,
        steps in steps(),
    ) {
        take(Home::memory(), max_parked, &steps);
    }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn on_disk_any_order_of_steps_and_crashes_keeps_what_was_told_and_nothing_else(
        max_parked in 0..3_usize,
        steps in steps(),
    ) {
        take(Home::disk(), max_parked, &steps);
    }
}
