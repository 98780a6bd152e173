//! What was measured on, in one sentence for the docs.

use std::fs;
use std::path::Path;

use crate::kind::Kind;

/// Processors, memory, file system, kernel and the servers' versions.
pub(crate) fn told(kinds: &[Kind], folder: &Path) -> String {
    let mut words = vec![processors(), memory(), file_system(folder), kernel()];
    words.extend(kinds.iter().filter_map(|kind| kind.version()));
    words.retain(|words| !words.is_empty());
    words.join(", ")
}

fn processors() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = text.lines().filter(|line| line.starts_with("model name"));
    let model = models.clone().next().and_then(|line| line.split_once(": "));
    let virtual_ones = text.contains(" hypervisor");
    let sort = if virtual_ones { "virtual " } else { "" };
    let model = model.map_or("unknown model", |(_, model)| model.trim());
    format!("{} {sort}processors ({model})", models.count())
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|total| total.trim().strip_suffix("kB"));
    let kib = kib.and_then(|kib| kib.trim().parse::<f64>().ok());
    kib.map_or(String::new(), |kib| {
        format!("{:.0} GiB of memory", kib / f64::from(1 << 20))
    })
}

/// The file system of `folder`: that of the longest mount point above it.
fn file_system(folder: &Path) -> String {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = text.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(point, _)| folder.starts_with(point));
    let nearest = above.max_by_key(|(point, _)| point.len());
    nearest.map_or(String::new(), |(_, kind)| kind.to_owned())
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}
