//! What the servers, this process and the rest of the machine use.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};

/// What processes use.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Usage {
    /// Processor time, user and system.
    pub(crate) cpu: Duration,
    /// Resident memory, bytes.
    pub(crate) resident: u64,
}

impl Usage {
    /// Of a process and its children.
    pub(crate) fn of_tree(pid: u32) -> Self {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().flat_map(str::parse);
        // Nothing is counted of one that has just ended.
        let used = children.chain([pid]).filter_map(Self::of);
        used.fold(Self::default(), Self::plus)
    }

    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold anything; the fields behind it are counted from 3.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)? + field(15)?;
        Some(Self {
            cpu: Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()),
            resident: field(24)? * rustix::param::page_size() as u64,
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            resident: self.resident + other.resident,
        }
    }
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
