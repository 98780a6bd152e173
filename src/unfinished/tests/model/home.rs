//! Where uploads lie while one server takes the place of another.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::rig::{Given, Rig, until};
use super::world::World;
use crate::progress::Why;
use crate::store::{Disk, DiskOptions, Durability, Memory};
use crate::unfinished::ResumeOptions;

/// Where the store lies that servers hand on to each other.
pub(super) enum Home {
    Memory(Memory),
    Disk(TempDir),
}

impl Home {
    pub(super) fn memory() -> Self {
        Self::Memory(Memory::new())
    }

    pub(super) fn disk() -> Self {
        Self::Disk(TempDir::new().unwrap())
    }

    pub(super) fn serve(&self, max_parked: usize) -> Rig {
        let given = Given {
            options: ResumeOptions {
                // Small steps have checkpoints of their own, and no clock takes one.
                checkpoint_bytes: 16,
                checkpoint_time: Duration::from_secs(3600),
                // Everybody lets go: how far they are is known.
                patience: Duration::from_secs(60),
                max_parked,
                ..ResumeOptions::default()
            },
            ..Given::default()
        };
        match self {
            Self::Memory(memory) => Rig::start(memory.clone(), given),
            Self::Disk(dir) => {
                let mut options = Disk::options();
                options.durability = Durability::Close;
                Rig::start(open(dir.path(), &options), given)
            }
        }
    }
}

/// Opens the folder as soon as the server before has closed it.
fn open(dir: &Path, options: &DiskOptions) -> Disk {
    let begun = Instant::now();
    loop {
        match Disk::open_with(dir, options.clone()) {
            Ok(disk) => return disk,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error:?}"),
        }
        std::thread::yield_now();
    }
}

impl World {
    /// Each request is told to come back, and what has come of it is kept.
    pub(super) async fn stop(&mut self) {
        self.rig.tracker.halt_all(Why::ShuttingDown);
        for known in &mut self.uploads {
            if let Some(open) = known.open.take() {
                let error = open.answer.await.unwrap().unwrap_err();
                assert_eq!(error.code(), "shutting_down");
            }
        }
        let idle = Rig::start(Memory::new(), Given::default());
        let store = {
            let rig = std::mem::replace(&mut self.rig, idle);
            Arc::downgrade(&rig.store)
        };
        until(|| store.strong_count() == 0).await;
        self.rig = self.home.serve(self.max_parked);
        self.ask_all().await;
    }

    /// What lies on the disk at this moment is what the next server finds.
    pub(super) async fn crash(&mut self) {
        let Home::Disk(dir) = &self.home else {
            return self.stop().await;
        };
        let copy = TempDir::new().unwrap();
        copy_folder(dir.path(), copy.path());
        let home = Home::Disk(copy);
        let rig = home.serve(self.max_parked);
        let (_old_home, old) = (
            std::mem::replace(&mut self.home, home),
            std::mem::replace(&mut self.rig, rig),
        );
        for known in &mut self.uploads {
            if let Some(open) = known.open.take() {
                open.line.cut();
                let _ = open.answer.await;
            }
        }
        let store = Arc::downgrade(&old.store);
        drop(old);
        until(|| store.strong_count() == 0).await;
        // What came behind the last checkpoints is lost.
        for known in self.uploads.iter_mut().filter(|known| known.is_open()) {
            let status = self.rig.unfinished.settle(&known.id).await.unwrap();
            known.tell(status.offset);
            known.sent.truncate(usize::try_from(status.offset).unwrap());
            known.awaits = status.remembered.awaits_word;
            known.took(&status);
        }
        self.ask_all().await;
    }

    pub(super) async fn ask_all(&mut self) {
        for upload in 0..self.uploads.len() {
            self.head(upload).await;
        }
    }
}

/// Finished files are the same ones, since a file in the place of a stored one is somebody else's. What is under way is
/// copied: the server that is left behind may still change it.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let is_ours = from
        .components()
        .any(|part| part.as_os_str() == ".dumbwaiter");
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = entry.map(|e| (e.path(), to.join(e.file_name()))).unwrap();
        match from.is_dir() {
            true => copy_folder(&from, &to),
            false if is_ours => drop(std::fs::copy(from, to).unwrap()),
            false => std::fs::hard_link(from, to).unwrap(),
        }
    }
}
