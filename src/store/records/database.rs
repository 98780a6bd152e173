//! The database itself: opened, opened anew after an error, set aside when it cannot be read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use redb::{Database, ReadableTable};

use super::backend::{Backend, SyncMode};
use super::rows::{META, Tables};
use crate::error::Error;

/// The layout that this code writes and the newest that it reads.
const VERSION: u64 = 1;
/// What the database keeps in memory, in bytes.
const CACHE: usize = 4 << 20;

/// The database, which an error may close and open anew.
#[derive(Debug)]
pub(super) struct Shared {
    path: PathBuf,
    mode: SyncMode,
    open: RwLock<Option<Database>>,
}

impl Shared {
    /// Opens the database at `path`. Unless `mode` syncs, one that cannot be read is set aside for a new one.
    pub(super) fn open(path: PathBuf, mode: SyncMode) -> Result<Self, Error> {
        let sync = mode.is_enabled();
        let database = open_or_begin(&path, &mode).or_else(|e| match e {
            Unopened::Unreadable(cause) if !sync => {
                set_aside(&path, &cause).map_err(Error::store)?;
                open_or_begin(&path, &mode).map_err(|e| e.tell(&path))
            }
            e => Err(e.tell(&path)),
        })?;
        Ok(Self {
            path,
            mode,
            open: RwLock::new(Some(database)),
        })
    }

    pub(super) fn lock(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        match &*self.lock() {
            Some(database) => look(database).map_err(|e| failed(&Arc::new(e))),
            None => Err(Error::store("the records are closed after an error")),
        }
    }

    /// redb takes no more changes after a failed one, yet a disk that was full need not stay full. After a failed sync
    /// nobody can know what the disk holds, so then it stays closed.
    pub(super) fn reopen(&self) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        *open = None;
        if self.mode.has_failed() {
            tracing::error!(
                "a sync of the records has failed: they stay closed until the next start"
            );
            return;
        }
        match open_database(&self.path, &self.mode) {
            Ok(database) => *open = Some(database),
            Err(e) => tracing::error!(cause = %e.tell(&self.path), "the records stay closed"),
        }
    }

    pub(super) fn close(&self) {
        self.mode.enable();
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Why a database did not open.
enum Unopened {
    Unreadable(redb::Error),
    Newer(u64),
}

impl Unopened {
    fn tell(self, path: &Path) -> Error {
        let path = path.display();
        Error::store(match self {
            Self::Unreadable(redb::Error::Io(e)) if e.kind() == io::ErrorKind::StorageFull => {
                return Error::DiskFull;
            }
            Self::Unreadable(cause) => format!(
                "the records in {path} cannot be read ({cause}); the stored files are untouched: put back a copy of the \
                 records, or move them away to begin new ones, which forget the addresses of the files stored so far"
            ),
            Self::Newer(version) => format!(
                "the records in {path} have layout {version}, and this version knows up to {VERSION}: they were \
                 written by a newer Dumbwaiter, which must go on with them"
            ),
        })
    }
}

impl From<io::Error> for Unopened {
    fn from(e: io::Error) -> Self {
        Self::Unreadable(redb::Error::Io(e))
    }
}

/// Opens the database that is there. A new one is begun beside its place and moved there once it is whole, so that a crash
/// leaves none or one that can be read.
fn open_or_begin(path: &Path, mode: &SyncMode) -> Result<Database, Unopened> {
    if is_there(std::fs::symlink_metadata(path))?.is_some() {
        return open_database(path, mode);
    }
    let new = path.with_extension("redb.new");
    is_there(std::fs::remove_file(&new))?;
    let database = open_database(&new, mode)?;
    std::fs::rename(&new, path)?;
    Ok(database)
}

fn is_there<T>(how: io::Result<T>) -> io::Result<Option<T>> {
    match how {
        Ok(there) => Ok(Some(there)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn open_database(path: &Path, mode: &SyncMode) -> Result<Database, Unopened> {
    let open = || -> Result<(Database, u64), redb::Error> {
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(Backend::open(path, mode.clone())?)?;
        let version = begin_tables(&database)?;
        Ok((database, version))
    };
    // redb may panic on pages that a power cut has left half-written.
    // Whatever it has touched is opened anew or not at all.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(open)) {
        Ok(Ok((_, version))) if version > VERSION => Err(Unopened::Newer(version)),
        Ok(Ok((database, _))) => Ok(database),
        Ok(Err(cause)) => Err(Unopened::Unreadable(cause)),
        Err(_) => Err(Unopened::Unreadable(redb::Error::Corrupted(
            "it is damaged".into(),
        ))),
    }
}

/// Makes the tables of a new database, and says which layout an old one has.
fn begin_tables(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let version = {
        let mut meta = transaction.open_table(META)?;
        let known = meta.get("version")?.map(|version| version.value());
        if known.is_none() {
            meta.insert("version", VERSION)?;
            drop(Tables::open(&transaction)?);
        }
        known
    };
    match version {
        Some(_) => transaction.abort()?,
        None => transaction.commit()?,
    }
    Ok(version.unwrap_or(VERSION))
}

fn set_aside(path: &Path, cause: &redb::Error) -> io::Result<()> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let aside = path.with_extension(format!("redb.broken-{now}"));
    std::fs::rename(path, &aside)?;
    tracing::warn!(
        %cause,
        aside = %aside.display(),
        "the records cannot be read, as may happen after a power cut with durability `close`: new ones are begun. All \
         stored files are still there; their addresses and the uploads under way are forgotten"
    );
    Ok(())
}

/// One cause, told to each who waited for the same transaction.
#[derive(Debug, thiserror::Error)]
#[error("the records could not be written or read")]
struct Failed {
    source: Arc<redb::Error>,
}

/// Tells what a failed transaction means for an upload.
pub(super) fn failed(cause: &Arc<redb::Error>) -> Error {
    match &**cause {
        redb::Error::Io(e) if e.kind() == io::ErrorKind::StorageFull => Error::DiskFull,
        _ => Error::store(Failed {
            source: Arc::clone(cause),
        }),
    }
}
