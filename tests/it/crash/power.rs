//! The power goes, or the process ends, between any two system calls.
//!
//! The server runs under strace while a [`Script`] sends to it. From the calls a [`World`] is made, which lays the folder
//! out as it was at any moment: with all that was written, with nothing but what a sync had made durable, or with that and
//! some of the rest, sectors and names by chance. The server is started on each, and must be what [`check`] wants.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::check::{check, finish, is_one_version};
use super::forms;
use super::how_often;
use super::random::Random;
use super::script::Script;
use super::told::Told;
use super::world::{Left, World};
use crate::support::Server;
use crate::support::needs::needs;
use crate::support::traced::{parse, stop_traced, traced};

/// All calls that may change a file or send an answer. Those that are seen and not understood fail the test.
const TRACED: &str = "trace=?open,?creat,openat,openat2,?mkdir,mkdirat,?mknod,mknodat,?symlink,symlinkat,?link,linkat,?unlink,\
    unlinkat,?rmdir,?rename,?renameat,renameat2,truncate,ftruncate,fallocate,write,writev,pwrite64,pwritev,pwritev2,\
    sendto,sendmsg,sendfile,splice,copy_file_range,fsync,fdatasync,sync_file_range";
/// The longest string that strace writes out.
const LONGEST: &str = "16777216";
/// Moments of each test unless the variable says how many.
const CUTS: usize = 40;
/// What a power cut may leave.
const POWER: [Left; 3] = [Left::All, Left::Synced, Left::Some];
/// How the server runs to which a form in several requests is sent.
const FORM: [&str; 6] = [
    "--durability",
    "sync",
    "--checkpoint-bytes",
    "64KiB",
    "--digest",
    "sha256",
];
/// How many servers are looked at at once.
const AT_ONCE: usize = 2;

type Sends = fn(&mut Script<'_>);

#[test]
fn after_a_power_cut_between_any_two_calls_forms_and_bodies_are_there_as_acknowledged() {
    look_at(|s| s.one_shot(), "sync", &POWER);
}

#[test]
fn after_a_power_cut_between_any_two_calls_uploads_by_tus_go_on_where_they_were_told() {
    look_at(|s| s.tus(), "sync", &POWER);
}

#[test]
fn after_a_power_cut_between_any_two_calls_uploads_in_pieces_go_on_where_they_were_told() {
    look_at(|s| s.pieces(), "sync", &POWER);
}

#[test]
fn after_a_power_cut_between_any_two_calls_an_upload_of_parts_has_them_all_or_can_be_put_together()
{
    look_at(|s| s.joined(), "sync", &POWER);
}

#[test]
fn after_a_power_cut_between_any_two_calls_a_form_that_replaces_another_is_there_or_the_other() {
    let how = ["--durability", "sync", "--on-conflict", "replace"];
    look(
        |s| s.replacing(),
        &how,
        &POWER,
        |server, told| {
            is_one_version(server, told.stored.len());
        },
    );
}

#[test]
fn after_a_power_cut_between_any_two_calls_a_form_in_several_requests_goes_on_to_all_of_its_files()
{
    look(|s| s.resumed_form(), &FORM, &POWER, forms::goes_on);
}

#[test]
fn with_close_the_end_of_the_process_between_any_two_calls_takes_nothing() {
    look_at(|s| s.one_shot(), "close", &[Left::All]);
    look_at(|s| s.tus(), "close", &[Left::All]);
    look_at(|s| s.pieces(), "close", &[Left::All]);
    look_at(|s| s.joined(), "close", &[Left::All]);
    let mut how = FORM;
    how[1] = "close";
    look(|s| s.resumed_form(), &how, &[Left::All], forms::goes_on);
}

#[test]
fn with_close_the_server_starts_whatever_a_power_cut_has_left() {
    let starts = |server: &Server, _: &Told| assert_eq!(server.get("/").status, 200);
    let how = ["--durability", "close"];
    let left = [Left::Synced, Left::Some];
    look(|s| s.one_shot(), &how, &left, starts);
    look(|s| s.tus(), &how, &left, starts);
    look(|s| s.pieces(), &how, &left, starts);
}

/// Whenever the server has started it has all that was told, and what was under way can be finished.
fn look_at(send: Sends, durability: &str, left: &[Left]) {
    let how = ["--durability", durability, "--checkpoint-bytes", "64KiB"];
    look(send, &how, left, |server, told| {
        let mut told = told.clone();
        check(server, &mut told);
        finish(server, &mut told);
    });
}

fn look(send: Sends, how: &[&str], left: &[Left], fits: impl Fn(&Server, &Told) + Sync) {
    if !needs("strace") {
        return;
    }
    let mut random = Random::new();
    let folder = tempfile::tempdir().unwrap();
    let (world, after) = trace(folder.path(), how, send, &mut random);
    let cuts = cuts(&world, left, &mut random);
    let (cuts, world, after, fits) = (&cuts, &world, &after, &fits);
    let next = &AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for mut random in std::array::from_fn::<_, AT_ONCE, _>(|_| random.fork()) {
            scope.spawn(move || {
                while let Some(&(moment, left)) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _said = Said(moment, left);
                    let dir = tempfile::tempdir().unwrap();
                    world.lay_out(dir.path(), moment, left, &mut random);
                    let uploads = dir.path().join("uploads");
                    // One that comes back may fail again before it serves.
                    start_and_kill(&uploads, how, random.below(30_000));
                    let server = Server::start_in(&uploads, how);
                    fits(&server, &after[world.answers(moment)]);
                }
            });
        }
    });
    println!("{how:?}: {} folders", cuts.len());
}

/// Starts the server, and kills it after so many microseconds, wherever it is by then.
fn start_and_kill(dir: &Path, how: &[&str], micros: u64) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    server.args(["--listen", "127.0.0.1:0", "--dir"]).arg(dir);
    let server = server.args(how).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = server.spawn().unwrap();
    std::thread::sleep(Duration::from_micros(micros));
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Says which moment it was when the test fails.
struct Said(usize, Left);

impl Drop for Said {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("it was at line {} of the trace, left: {:?}", self.0, self.1);
        }
    }
}

/// Runs the server with a folder below `root` and sends to it; what happened there, and what was told after each answer.
fn trace(root: &Path, how: &[&str], send: Sends, random: &mut Random) -> (World, Vec<Told>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let strace = traced(
        &[
            "-y",
            "-v",
            "-xx",
            "-s",
            LONGEST,
            "-e",
            TRACED,
            "-e",
            "signal=none",
        ],
        log.path(),
        env!("CARGO_BIN_EXE_dumbwaiter"),
    );
    let mut server = Server::start_by(strace, &root.join("uploads"), how);
    let mut script = Script::new(&server);
    send(&mut script);
    let after = script.after;
    stop_traced(server.pid());
    server.wait();
    let calls = parse(&std::fs::read_to_string(log.path()).unwrap());
    let world = World::new(root, &calls, random);
    assert_eq!(world.answers(usize::MAX), after.len() - 1, "answers");
    (world, after)
}

/// Every moment with every rest, or as many as are asked for, chosen by chance.
fn cuts(world: &World, left: &[Left], random: &mut Random) -> Vec<(usize, Left)> {
    let all = world.moments().into_iter();
    let mut all: Vec<_> = all
        .flat_map(|moment| left.iter().map(move |left| (moment, *left)))
        .collect();
    let wanted = how_often("CRASH_CUTS", CUTS).min(all.len());
    for index in 0..wanted {
        let other = index + random.index(all.len() - index);
        all.swap(index, other);
    }
    println!("{wanted} of {} folders", all.len());
    all.truncate(wanted);
    all
}
