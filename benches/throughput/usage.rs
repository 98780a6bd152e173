//! What the servers, this process and the rest of the machine use.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};

/// The sum of what `of` tells of a process and its children; one that has just ended counts nothing.
pub(crate) fn of_tree(pid: u32, of: fn(u32) -> Option<f64>) -> f64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().flat_map(str::parse);
    children.chain([pid]).filter_map(of).sum()
}

/// Processor seconds of a process, user and system.
pub(crate) fn cpu(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; the fields behind it are counted from 3.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Bytes of memory that a process holds, counted page by page: the number in `stat` may be off by hundreds of KiB.
/// What the kernel keeps for its sockets and files is not among them.
pub(crate) fn resident(pid: u32) -> Option<f64> {
    kib(
        &fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?,
        "Rss:",
    )
}

/// The most bytes of memory that a process has held.
pub(crate) fn peak(pid: u32) -> Option<f64> {
    kib(
        &fs::read_to_string(format!("/proc/{pid}/status")).ok()?,
        "VmHWM:",
    )
}

/// The bytes in the line of `text` that begins with `name`.
fn kib(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let count: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(count * 1024.0)
}

/// Seconds of processor time that this process has used.
pub(crate) fn own_cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds for which the machine's processors have been busy, or taken away by the host of a virtual machine.
pub(crate) fn busy() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .flat_map(str::parse)
        .collect();
    // user, nice, system, (idle, iowait), irq, softirq, steal
    let busy: u64 = [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|field| ticks.get(*field))
        .sum();
    Ok(busy as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Waits for a moment in which the machine does little else, but not for long.
pub(crate) fn calm() -> anyhow::Result<()> {
    const LOOK: Duration = Duration::from_millis(200);
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let before = busy()?;
        thread::sleep(LOOK);
        if busy()? - before < 0.3 * LOOK.as_secs_f64() {
            break;
        }
    }
    Ok(())
}
