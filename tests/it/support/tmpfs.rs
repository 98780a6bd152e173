//! Small file systems, to see what happens when one is full.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own.
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts it with these options. `None`, with a word about it, where this may not be mounted.
    pub(crate) fn mount(dir: &Path, options: &str) -> Option<Self> {
        let how = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir)
            .output();
        if how.as_ref().is_ok_and(|how| how.status.success()) {
            return Some(Self(dir.to_owned()));
        }
        let all = std::env::var_os("TEST_ALL").is_some_and(|all| all == "1");
        assert!(!all, "a tmpfs cannot be mounted here: {how:?}");
        eprintln!("left out: a tmpfs cannot be mounted here (needs root)");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: other tests start processes, and between fork and exec such a child has our descriptors.
        let how = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(how.is_ok_and(|how| how.success()) || std::thread::panicking());
    }
}
