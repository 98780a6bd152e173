//! Which processors the server and its clients run on, and how many files both may open.

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Which processors the two sides have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    pub(crate) server: &'static [usize],
    pub(crate) client: &'static [usize],
}

impl Cpus {
    pub(crate) const APART: Self = Self {
        server: &[0],
        client: &[1],
    };
    pub(crate) const SHARED: Self = Self {
        server: &[0, 1],
        client: &[0, 1],
    };

    /// Keeps this thread, and those that it starts, on the client's processors.
    pub(crate) fn settle(self) -> anyhow::Result<()> {
        confine(self.client)
    }
}

/// Keeps this thread, and those that it starts, on `cpus`.
pub(crate) fn confine(cpus: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    sched_setaffinity(None, &set).context("two processors, 0 and 1, are needed")
}

/// Lets this process, and those that it starts, open as many files as the system allows; how many that is.
pub(crate) fn raise_open_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it there is only less that can be measured.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
