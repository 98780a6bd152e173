//! Every store keeps its promises; what only a disk can break is below.

use dumbwaiter::store::{Disk, Durability, Memory, conformance};

fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

fn open(dir: &std::path::Path, durability: Durability) -> Disk {
    let mut options = Disk::options();
    options.durability = durability;
    Disk::open_with(dir, options).unwrap()
}

#[test]
fn memory_keeps_every_promise() {
    block_on(conformance::all(&Memory::new()));
}

#[test]
fn disk_keeps_every_promise_at_both_durabilities() {
    for durability in [Durability::Close, Durability::Sync] {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(dir.path(), durability);
        block_on(conformance::all(&disk));
        let left = std::fs::read_dir(dir.path().join(".dumbwaiter/tmp")).unwrap();
        assert_eq!(left.count(), 0, "temporary files are left");
    }
}
