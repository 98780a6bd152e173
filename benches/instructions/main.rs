//! `make instructions`: what limits and tracking cost, in instructions for each MiB of a form's file, and what it costs
//! that a body may be resumed: a PATCH beside a PUT.
//!
//! ```text
//! cargo bench --bench instructions
//! ```
//!
//! Times differ from run to run by more than such costs; callgrind's counts do not. The same form goes through the same
//! parts, from hyper to a file: alone, and with what keeps heads strict, counts, times and bounds; progress also apart
//! from the rest, and its ticker by the tick. Two sizes are taken,
//! and what counts is the difference, so that what an upload costs once falls out. The bytes come from memory in pieces
//! of 64 KiB, after each of which the reader must wait, as with a socket; copying them, which is the kernel's work
//! otherwise, is measured by itself and taken off. Needs valgrind.

mod pump;
mod sink;
mod stream;
mod ticks;

use std::convert::Infallible;
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use dumbwaiter::handlers::Limit;
use dumbwaiter::progress::{Tracker, TrackerOptions};
use dumbwaiter::receive::PaceOptions;
use dumbwaiter::server::HeadLimits;
use dumbwaiter::server::strict::Strict;
use dumbwaiter::threads::DataThreads;
use dumbwaiter::{Dumbwaiter, Service};
use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tower_service::Service as _;

use crate::pump::Tracking;
use crate::sink::Sink;
use crate::stream::Prepared;

/// What is measured: a name for the command line, and words for the table.
const MODES: [(&str, &str); 8] = [
    ("copy", ""),
    ("bare", "hyper, form parser, file"),
    ("strict", "… and strict heads"),
    ("counts", "… and progress: bytes counted"),
    ("hears", "… and an ear for whoever ends the upload"),
    (
        "tracked",
        "… and the rest of the service: fields, bounds of forms",
    ),
    ("bounded", "… and a bound of the file's size"),
    ("paced", "… and pace: all, as the server runs"),
];

/// A body that may not be resumed, and one that may.
const RAW: [(&str, &str); 2] = [
    ("put", "one PUT, as the server runs"),
    ("patch", "one PATCH, by tus"),
];

/// The two sizes, in MiB.
const SIZES: [u64; 2] = [16, 80];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [role, mode, size, _] if role == "run" && mode == "ticks" => ticks::run(size.parse()?),
        [role, mode, size, folder] if role == "run" => run(mode, size.parse()?, Path::new(folder)),
        _ => table(),
    }
}

/// Counts every mode and prints the table.
fn table() -> anyhow::Result<()> {
    let counts = MODES.map(|(mode, _)| per_mib(mode));
    let counts = counts.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let copy = counts[0];
    rows("form", &MODES[1..], &counts[1..], copy);
    let raw = RAW.map(|(mode, _)| per_mib(mode));
    let raw = raw.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    rows("raw body", &RAW, &raw, copy);
    let [few, many] = ticks::COUNTS.map(|number| count("ticks", number));
    let each = (many? - few?) / (ticks::COUNTS[1] - ticks::COUNTS[0]) as f64;
    println!(
        "\nA tick, with one upload of which bytes have come: {each:.0} instructions, 10 times a second."
    );
    Ok(())
}

/// The instructions of a mode for each MiB.
fn per_mib(mode: &str) -> anyhow::Result<f64> {
    let [small, large] = SIZES.map(|size| count(mode, size));
    Ok((large? - small?) / (SIZES[1] - SIZES[0]) as f64)
}

/// A table of `counts` without `copy`, which is no mode's own, and how much more each is than the first of them, without
/// it and with it.
fn rows(body: &str, modes: &[(&str, &str)], counts: &[f64], copy: f64) {
    println!(
        "\n| the way of a {body}'s bytes | instructions per MiB | more | with the copy |\n|---|---|---|---|"
    );
    for ((_, words), count) in modes.iter().zip(counts) {
        let more = |without: f64| ((count - without) / (counts[0] - without) - 1.0) * 100.0;
        let own = count - copy;
        println!(
            "| {words} | {own:.0} | {:+.2} % | {:+.2} % |",
            more(copy),
            more(0.0)
        );
    }
}

/// The instructions of one upload in a process of its own.
fn count(mode: &str, size: u64) -> anyhow::Result<f64> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["run", mode, &size.to_string()])
        .arg(folder)
        .output()
        .context("valgrind is needed (Debian: valgrind)")?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{mode} failed: {words}");
    }
    let count = words
        .lines()
        .find_map(|line| line.split_once("Collected :"));
    let (_, count) = count.context("valgrind tells no count")?;
    Ok(count.trim().parse()?)
}

/// One upload of `size` MiB.
fn run(mode: &str, size: u64, folder: &Path) -> anyhow::Result<()> {
    let sink = Sink::open(folder)?;
    let lift = Dumbwaiter::new(Sink::open(folder)?);
    let off = PaceOptions {
        stall: None,
        least_rate: None,
        total: None,
        ..PaceOptions::default()
    };
    let lift = match mode {
        "tracked" => lift.pace(off),
        "bounded" => bounded(lift).pace(off),
        _ => bounded(lift),
    };
    let data = DataThreads::start(1)?;
    let service = lift.data_threads(data.clone()).into_service();
    let (mode, size) = (mode.to_owned(), size << 20);
    let stream = Prepared::form(size);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let answered = runtime.block_on(data.spawn(async move {
        match mode.as_str() {
            "copy" => stream.copy().await,
            "bare" => pump::serve(stream, sink, Tracking::Nothing).await,
            "strict" => pump::serve(strict(stream), sink, Tracking::Nothing).await,
            "counts" => pump::serve(strict(stream), sink, Tracking::Counts(tracker())).await,
            "hears" => pump::serve(strict(stream), sink, Tracking::Hears(tracker())).await,
            "put" => whole(Prepared::raw("PUT /files/a.bin", "", size), service).await,
            "patch" => patch(size, service).await,
            _ => whole(stream, service).await,
        }
    }));
    answered?
}

/// Without its ticker, which is counted apart: the first upload wakes it, and it would not tick again for an hour.
fn tracker() -> Tracker {
    Tracker::start(TrackerOptions {
        tick: Duration::from_secs(3600),
        ..TrackerOptions::default()
    })
}

fn strict(stream: Prepared) -> Strict<Prepared> {
    Strict::new(stream, HeadLimits::default(), Duration::from_secs(30))
}

fn bounded(lift: Dumbwaiter) -> Dumbwaiter {
    lift.handler(|| Limit::bytes(1 << 40))
}

/// A raw body for an upload that a request before has created.
async fn patch(size: u64, mut service: Service) -> anyhow::Result<()> {
    let create = Request::post("/files/")
        .header("Host", "a")
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", size)
        .body(Full::<Bytes>::default())?;
    let created = service.call(create).await?;
    let place = created.headers().get("Location").context("no place told")?;
    let fields = "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n";
    let stream = Prepared::raw(&format!("PATCH {}", place.to_str()?), fields, size);
    whole(stream, service).await
}

/// One request through the whole service, which must end well.
async fn whole(stream: Prepared, service: Service) -> anyhow::Result<()> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = service.clone().call(request);
        async move {
            let answer = answer.await?;
            assert!(answer.status().is_success(), "{answer:?}");
            Ok::<_, Infallible>(answer)
        }
    });
    Ok(http1::Builder::new()
        .serve_connection(TokioIo::new(strict(stream)), answer)
        .await?)
}
