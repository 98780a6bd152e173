//! Which names are about to be used, so that two commits never mean the same one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::root::Root;
use crate::error::Error;
use crate::name::OnConflict;
use crate::store::{Placed, free};

/// The names that commits under way have taken.
#[derive(Debug, Default)]
pub(super) struct Claims {
    taken: Mutex<HashSet<String>>,
    freed: Notify,
}

impl Claims {
    /// Finds a name for each file and keeps it for the caller.
    ///
    /// Two files of one upload never share a name: with `rename` and `replace` the later one gets a suffix, with
    /// `reject` the upload fails.
    pub(super) async fn choose(
        self: &Arc<Self>,
        root: &Root,
        files: &[Placed],
        on_conflict: OnConflict,
    ) -> Result<Claim, Error> {
        let mut claim = self.claim(Vec::new());
        match on_conflict {
            OnConflict::Rename => {
                for file in files {
                    let name = claim.free_name(root, file.place.as_str())?;
                    claim.names.push(name);
                }
            }
            OnConflict::Reject => {
                for file in files {
                    claim.exact(root, file.place.as_str())?;
                }
            }
            OnConflict::Replace => {
                let wanted = distinct(files)?;
                self.wait_for(&wanted).await;
                claim.names = wanted;
            }
        }
        Ok(claim)
    }

    /// A claim of exactly these names, once nobody else has one of them.
    pub(super) async fn those(self: &Arc<Self>, names: Vec<String>) -> Claim {
        self.wait_for(&names).await;
        self.claim(names)
    }

    /// A claim of names that nobody else can want, since nothing is under way yet.
    pub(super) fn at_start(self: &Arc<Self>, names: Vec<String>) -> Claim {
        self.lock().extend(names.iter().cloned());
        self.claim(names)
    }

    fn claim(self: &Arc<Self>, names: Vec<String>) -> Claim {
        Claim {
            claims: Arc::clone(self),
            names,
        }
    }

    /// All names at once or none, so that two commits which replace the same files follow each other.
    async fn wait_for(&self, wanted: &[String]) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.take_all(wanted) {
                return;
            }
            freed.await;
        }
    }

    fn take_all(&self, wanted: &[String]) -> bool {
        let mut taken = self.lock();
        let free = !wanted.iter().any(|name| taken.contains(name));
        if free {
            taken.extend(wanted.iter().cloned());
        }
        free
    }

    fn take(&self, name: &str) -> bool {
        self.lock().insert(name.to_owned())
    }

    fn release<'n>(&self, names: impl IntoIterator<Item = &'n String>) {
        let mut taken = self.lock();
        for name in names {
            taken.remove(name);
        }
        drop(taken);
        self.freed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names taken until this is dropped, in the order of the upload's files.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    names: Vec<String>,
}

impl Claim {
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Takes another name for file `index`, since somebody outside has taken the one chosen.
    pub(super) fn another(&mut self, root: &Root, index: usize) -> Result<&str, Error> {
        let name = self.free_name(root, &self.names[index])?;
        let old = std::mem::replace(&mut self.names[index], name);
        self.claims.release([&old]);
        Ok(&self.names[index])
    }

    fn free_name(&self, root: &Root, place: &str) -> Result<String, Error> {
        for name in free::candidates(place) {
            if !self.claims.take(&name) {
                continue;
            }
            match root.is_taken(&name) {
                Ok(false) => return Ok(name),
                Ok(true) => self.claims.release([&name]),
                Err(e) => {
                    self.claims.release([&name]);
                    return Err(e);
                }
            }
        }
        Err(name_taken(place))
    }

    fn exact(&mut self, root: &Root, place: &str) -> Result<(), Error> {
        if !self.claims.take(place) {
            return Err(name_taken(place));
        }
        self.names.push(place.to_owned());
        match root.is_taken(place)? {
            true => Err(name_taken(place)),
            false => Ok(()),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.release(&self.names);
    }
}

fn distinct(files: &[Placed]) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::with_capacity(files.len());
    for file in files {
        let place = file.place.as_str();
        let name = free::candidates(place).find(|name| !names.contains(name));
        names.push(name.ok_or_else(|| name_taken(place))?);
    }
    Ok(names)
}

/// The error of a name that stands already.
pub(super) fn name_taken(name: &str) -> Error {
    Error::NameTaken { name: name.into() }
}
