//! `kill -9` at moments that nobody chooses.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::check::{check, finish};
use super::clients::{Client, Round, Seen, watch};
use super::how_often;
use super::random::Random;
use super::told::Told;
use crate::support::{Server, eventually};

/// Kills of one folder, before all that is under way is finished and looked at.
const OF_ONE: usize = 8;
/// Kills of both durabilities together unless the variable says how many.
const KILLS: usize = 32;

#[test]
fn kill_minus_nine_loses_nothing_that_was_acknowledged_with_sync() {
    kill_again_and_again("sync");
}

#[test]
fn kill_minus_nine_loses_nothing_that_was_acknowledged_with_close() {
    kill_again_and_again("close");
}

fn kill_again_and_again(durability: &str) {
    let mut random = Random::new();
    let kills = how_often("CRASH_KILLS", KILLS).div_ceil(2);
    let (mut killed, mut stored, begun) = (0, 0, Instant::now());
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        let rounds = OF_ONE.min(kills - killed);
        // Digests cost as much as all the rest, so every other folder goes without.
        let digest = ["none", "sha256"][(killed / OF_ONE) % 2];
        let how = [
            "--durability",
            durability,
            "--digest",
            digest,
            "--checkpoint-bytes",
            "256KiB",
        ];
        stored += one_folder(folder.path(), &how, rounds, &mut random);
        killed += rounds;
    }
    println!(
        "{durability}: {killed} kills, {stored} uploads acknowledged, none lost, in {:?}",
        begun.elapsed()
    );
    assert!(
        stored * 2 >= killed,
        "too few to mean anything: {stored} uploads"
    );
}

/// Kills the server `rounds` times while clients are at it, and returns how many uploads were acknowledged.
fn one_folder(folder: &Path, how: &[&str], rounds: usize, random: &mut Random) -> usize {
    let mut clients = Client::some(random);
    for _ in 0..rounds {
        let mut server = Server::start_in(folder, how);
        for client in &mut clients {
            check(&server, &mut client.told);
        }
        until_killed(&server, &mut clients, random);
        server.kill();
    }
    let server = Server::start_in(folder, how);
    let mut told = Told::default();
    for client in &mut clients {
        told.stored.append(&mut client.told.stored);
        told.open.append(&mut client.told.open);
        told.pieces.append(&mut client.told.pieces);
    }
    check(&server, &mut told);
    finish(&server, &mut told);
    told.stored.len()
}

fn until_killed(server: &Server, clients: &mut [Client], random: &mut Random) {
    let (dies, seen, answers) = (AtomicBool::new(false), Seen::default(), AtomicUsize::new(0));
    let round = Round {
        server: server.address,
        dies: &dies,
        seen: &seen,
        answers: &answers,
    };
    std::thread::scope(|scope| {
        for client in &mut *clients {
            scope.spawn(move || client.work(round));
        }
        scope.spawn(move || watch(round));
        // Every other round waits for answers, so that a busy machine has something to lose too. The others meet the
        // start, the first bytes or a checkpoint in the middle of a body.
        if random.one_in(2) {
            let wanted = random.index(12);
            eventually(|| answers.load(Ordering::Relaxed), |now| *now >= wanted);
        }
        let most = [5_000, 60_000, 200_000][random.index(3)];
        std::thread::sleep(Duration::from_micros(1_000 + random.below(most)));
        dies.store(true, Ordering::SeqCst);
        server.signal(Signal::KILL);
    });
    for (id, offset) in seen.into_inner().unwrap() {
        for client in &mut *clients {
            client.told.saw(&id, offset);
        }
    }
}
