//! `make bench`: Dumbwaiter beside a bare receive loop, axum with multer, nginx, Django and two servers of tus, on
//! loopback and a real disk, in ratios; `make plot`: the same from one upload to thousands at once, drawn.
//!
//! ```text
//! cargo bench --bench throughput -- [--both] [--rounds N] [CASE…]
//! cargo bench --bench throughput -- [--rounds N] plot FILE [UPLOADS…]
//! ```
//!
//! Cases: form, put, tus, tus-pieces, pictures, tus-pictures, synced, polls, answers, slow, crowd, before, page; all unless named. The
//! servers run in turn, round after round, and what counts is the median of each round's ratio: machines differ and are
//! noisy, ratios are less so. The server has processor 0 and the client processor 1; `--both` gives both to both.
//! `BENCH_QUICK=1` sends less. Nothing is asserted: a figure that misses what is wanted is printed as such.
//! `docs/performance.md` says what the numbers mean.

mod asking;
mod before;
mod cases;
mod client;
mod cpus;
mod draw;
mod kind;
mod load;
mod machine;
mod many;
mod peers;
mod plot;
mod servers;
mod slow;
mod table;
mod tus;
mod uploads;
mod usage;

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::cases::Bench;
use crate::cpus::Cpus;
use crate::kind::Kind;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        // The benchmark starts itself in these roles.
        [role, cpus, program, rest @ ..] if role == "start" => {
            Err(servers::become_server(cpus, program, rest))
        }
        [role, listen, folder, rest @ ..] if ["receive", "axum", "hyper"].contains(&&**role) => {
            serve(role, listen, folder.into(), rest)
        }
        _ => measure(&options(&arguments)?),
    }
}

/// Becomes one of the servers that the benchmark brings itself.
fn serve(role: &str, listen: &str, folder: PathBuf, rest: &[String]) -> anyhow::Result<()> {
    let listen = listen.parse()?;
    match role {
        "axum" => peers::axum::run(listen, folder),
        "hyper" => peers::hyper::run(listen, folder),
        _ => {
            let folder: &'static Path = Box::leak(folder.into_boxed_path());
            let sync = rest.iter().any(|word| word == "sync");
            Ok(peers::bare::run(listen, folder, sync)?)
        }
    }
}

/// What was asked for.
struct Options {
    cpus: Cpus,
    rounds: usize,
    quick: bool,
    /// All cases when empty.
    cases: Vec<String>,
    /// Where to draw, instead of running cases.
    plot: Option<PathBuf>,
    /// How many uploads at once are drawn; the usual numbers when empty.
    points: Vec<usize>,
}

fn options(arguments: &[String]) -> anyhow::Result<Options> {
    let quick = env::var("BENCH_QUICK").is_ok_and(|value| value == "1");
    let rounds = if quick { 3 } else { 7 };
    let mut options = Options {
        cpus: Cpus::APART,
        rounds,
        quick,
        cases: Vec::new(),
        plot: None,
        points: Vec::new(),
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo says this to every benchmark.
            "--bench" => {}
            "--both" => options.cpus = Cpus::SHARED,
            "--rounds" => {
                let number = arguments.next().context("--rounds needs a number")?;
                options.rounds = parsed(number)?;
            }
            "plot" => {
                let file = arguments.next().context("plot needs a file")?;
                options.plot = Some(PathBuf::from(file));
            }
            number if options.plot.is_some() => options.points.push(parsed(number)?),
            case if cases::NAMES.contains(&case) => options.cases.push(case.to_owned()),
            other => anyhow::bail!(
                "unknown argument {other}; cases are {}",
                cases::NAMES.join(", ")
            ),
        }
    }
    Ok(options)
}

fn parsed(number: &str) -> anyhow::Result<usize> {
    number
        .parse()
        .with_context(|| format!("no number: {number}"))
}

/// Runs what was asked for, in a folder below `target`, hence on a real disk, that is removed in the end.
fn measure(options: &Options) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("throughput");
    // What a broken run left.
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    spread(&root);
    options.cpus.settle()?;
    let open_files = cpus::raise_open_files();
    let kinds = here();
    println!("Measured on: {}.", machine::told(&kinds, &root));
    let bench = Bench {
        kinds,
        root: &root,
        cpus: options.cpus,
        rounds: options.rounds,
        quick: options.quick,
        block: load::block(),
    };
    let done = match &options.plot {
        Some(file) if options.points.is_empty() => bench.plot(file, &plot::POINTS, open_files),
        Some(file) => bench.plot(file, &options.points, open_files),
        None => compare(&bench, &options.cases),
    };
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    done
}

/// Has ext4 put each folder in `root` into a block group of its own, as it does with those at a disk's top: `chattr +T`.
/// It is slow to create files where others were deleted in the last minutes, and in a group whose inodes run out.
fn spread(root: &Path) {
    let set = |folder: fs::File| {
        let flags = ioctl_getflags(&folder)?;
        ioctl_setflags(&folder, flags | IFlags::TOPDIR)
    };
    if let Err(error) = fs::File::open(root).and_then(|folder| Ok(set(folder)?)) {
        println!("Folders are not spread over the disk, as ext4 could: {error}.");
    }
}

fn compare(bench: &Bench<'_>, cases: &[String]) -> anyhow::Result<()> {
    let wanted = |name: &&str| cases.is_empty() || cases.iter().any(|case| case == name);
    let rows = cases::NAMES.into_iter().filter(wanted);
    let rows = rows.map(|name| bench.case(name));
    let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    let rows: Vec<_> = rows.into_iter().flatten().collect();
    println!("\n{}", table::tables(&rows));
    Ok(())
}

/// The servers that can be started; says which cannot.
fn here() -> Vec<Kind> {
    let here = |kind: &Kind| match kind.missing() {
        Some(what) => {
            println!("Left out: {}; not here: {what}.", kind.name());
            false
        }
        None => true,
    };
    Kind::ALL.into_iter().filter(here).collect()
}
