//! What must survive a restart, in one embedded database (DECISIONS 4).
//!
//! One thread writes. It takes every change that waits, commits all of them in one transaction and then wakes those who
//! asked, so that many uploads share one sync:
//!
//! ```text
//! commit, checkpoint, take ─► bounded queue ─► writer: one transaction for all that wait ─► each asker is woken
//! settled ───────────────────────────────────► goes along with the next transaction, or after a second of quiet
//! ```
//!
//! | table | key → value | lives |
//! |---|---|---|
//! | `meta` | `version` → the layout's number | for ever |
//! | `files` | upload id → [`Record`] | as long as one of the files |
//! | `promises` | upload id → [`Promise`] | from the record to the last rename |
//! | `checkpoints` | upload id → [`Saved`] | until the upload ends |

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use self::backend::{Backend, SyncMode};
use super::Checkpoint;
use crate::error::Error;
use crate::name::OnConflict;
use crate::upload::{FileFacts, UploadId};

mod backend;

/// The layout that this code writes and the newest that it reads.
const VERSION: u64 = 1;
/// The most changes that wait for the writer; whoever brings one more blocks until there is room.
const QUEUE: usize = 4096;
/// The most changes in one transaction.
const BATCH: usize = 256;
/// Settled promises that wait at most, before they get a transaction of their own.
const SETTLED: usize = 1024;
/// How long settled promises wait for a transaction that goes their way.
const QUIET: Duration = Duration::from_secs(1);
/// How long the writer waits for more changes while more uploads are under way than have brought theirs. A transaction
/// costs some 25 µs of processor time by itself and 7 µs for each upload in it, so that company pays.
const COMPANY: Duration = Duration::from_micros(500);
/// What the database keeps in memory, in bytes.
const CACHE: usize = 16 << 20;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FILES: Definition = TableDefinition::new("files");
const PROMISES: Definition = TableDefinition::new("promises");
const CHECKPOINTS: Definition = TableDefinition::new("checkpoints");

type Key = [u8; 16];
type Definition = TableDefinition<'static, Key, &'static [u8]>;

/// The files of a finished upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) files: Vec<Kept>,
}

/// A file under its name; `facts.name` is its place below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) facts: FileFacts,
    pub(super) identity: Identity,
}

/// By what a file is known again, so that an id never opens a file that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) inode: u64,
    /// When the inode was made, seconds and nanoseconds; `None` where the file system does not say.
    pub(super) born: Option<(i64, u32)>,
    pub(super) modified: (i64, u32),
}

/// What an upload's commit has promised to do: put each temporary file in the place that its record names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Promise {
    pub(super) temps: Vec<String>,
    #[serde(with = "Conflict")]
    pub(super) on_conflict: OnConflict,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OnConflict", rename_all = "lowercase")]
enum Conflict {
    Rename,
    Replace,
    Reject,
}

/// A checkpoint and the temporary files that it speaks of, in the order of its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) checkpoint: Checkpoint,
    pub(super) temps: Vec<String>,
}

/// The open database and its writer.
#[derive(Debug)]
pub(super) struct Records {
    database: Arc<Shared>,
    queue: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
}

impl Records {
    /// Opens the database at `path`, or begins one. With `sync` a commit is durable, else it survives this process only,
    /// and what a power cut has left unreadable is set aside.
    ///
    /// Whoever calls holds the folder's lock: redb's own is not taken, so that the database can be opened anew after an
    /// error without anybody slipping in between.
    /// `under_way` counts the uploads that may still bring a change.
    pub(super) fn open(
        path: PathBuf,
        sync: bool,
        under_way: Arc<AtomicUsize>,
    ) -> Result<Self, Error> {
        let mode = SyncMode::new(sync);
        let database = open_database(&path, &mode).or_else(|e| match e {
            Unopened::Unreadable(cause) if !sync => {
                set_aside(&path, &cause).map_err(Error::store)?;
                open_database(&path, &mode).map_err(|e| e.tell(&path))
            }
            e => Err(e.tell(&path)),
        })?;
        let database = Arc::new(Shared {
            path,
            mode,
            open: RwLock::new(Some(database)),
        });
        let (queue, changes) = sync_channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("store-records".into())
            .spawn({
                let database = Arc::clone(&database);
                move || Writer::new(database, changes, under_way).run()
            })
            .map_err(Error::store)?;
        Ok(Self {
            database,
            queue: Some(queue),
            writer: Some(writer),
        })
    }

    /// The record of a finished upload.
    pub(super) fn record(&self, id: &UploadId) -> Result<Option<Record>, Error> {
        self.database.read(|database| {
            let table = database.begin_read()?.open_table(FILES)?;
            Ok(match table.get(id.as_bytes())? {
                Some(value) => Some(decode(value.value())?),
                None => None,
            })
        })
    }

    /// Every promise that is not known to be kept, with its record.
    pub(super) fn promises(&self) -> Result<Vec<(UploadId, Promise, Record)>, Error> {
        self.database.read(|database| {
            let transaction = database.begin_read()?;
            let files = transaction.open_table(FILES)?;
            let mut promises = Vec::new();
            for row in transaction.open_table(PROMISES)?.iter()? {
                let (key, promise) = row?;
                if let Some(record) = files.get(key.value())? {
                    promises.push((
                        UploadId::from_bytes(key.value()),
                        decode(promise.value())?,
                        decode(record.value())?,
                    ));
                }
            }
            Ok(promises)
        })
    }

    /// The temporary files of all checkpoints.
    pub(super) fn saved_temps(&self) -> Result<Vec<String>, Error> {
        self.database.read(|database| {
            let table = database.begin_read()?.open_table(CHECKPOINTS)?;
            let mut temps = Vec::new();
            for row in table.iter()? {
                temps.append(&mut decode::<Saved>(row?.1.value())?.temps);
            }
            Ok(temps)
        })
    }

    /// Records what a commit is about to do; its checkpoint goes. [`Error::Superseded`] unless that is of the session's
    /// `epoch`, or there is none and the session `had` none.
    pub(super) async fn promise(
        &self,
        id: UploadId,
        epoch: u64,
        had: bool,
        promise: &Promise,
        record: &Record,
    ) -> Result<(), Error> {
        let (promise, record) = (encode(promise)?, encode(record)?);
        self.change(move |tables| {
            if !tables.is_current(&id, epoch, had)? {
                return Ok(Err(Error::Superseded));
            }
            if had {
                tables.checkpoints.remove(id.as_bytes())?;
            }
            tables.promises.insert(id.as_bytes(), &*promise)?;
            tables.files.insert(id.as_bytes(), &*record)?;
            Ok(Ok(()))
        })
        .await?
    }

    /// Notes that a promise is kept. Nobody waits for it: to keep it again does nothing.
    pub(super) fn settle(&self, id: UploadId) {
        self.send(Message::Settled(id));
    }

    /// Takes a promise back, with its record.
    pub(super) async fn cancel(&self, id: UploadId) -> Result<(), Error> {
        self.change(move |tables| {
            tables.promises.remove(id.as_bytes())?;
            tables.files.remove(id.as_bytes())?;
            Ok(())
        })
        .await
    }

    /// Forgets the record of an upload whose files are gone. Nobody waits for it.
    pub(super) fn forget(&self, id: UploadId) {
        let (tell, _) = oneshot::channel();
        self.send(Message::Change(Pending::boxed(tell, move |tables| {
            tables.files.remove(id.as_bytes())?;
            Ok(())
        })));
    }

    /// Records a checkpoint in the place of the one that the session `had`. [`Error::Superseded`] as with
    /// [`Records::promise`].
    pub(super) async fn save(&self, id: UploadId, had: bool, saved: &Saved) -> Result<(), Error> {
        let (epoch, saved) = (saved.checkpoint.epoch, encode(saved)?);
        self.change(move |tables| {
            if !tables.is_current(&id, epoch, had)? {
                return Ok(Err(Error::Superseded));
            }
            tables.checkpoints.insert(id.as_bytes(), &*saved)?;
            Ok(Ok(()))
        })
        .await?
    }

    /// Begins a new epoch of an upload that has a checkpoint, and gives that.
    pub(super) async fn take(&self, id: UploadId) -> Result<Option<Saved>, Error> {
        self.change(move |tables| {
            let Some(mut saved) = tables.saved(&id)? else {
                return Ok(None);
            };
            saved.checkpoint.epoch += 1;
            let row = encode(&saved).map_err(corrupt)?;
            tables.checkpoints.insert(id.as_bytes(), &*row)?;
            Ok(Some(saved))
        })
        .await
    }

    /// Removes a checkpoint of this `epoch`: [`Error::Superseded`] when there is none.
    pub(super) async fn drop_checkpoint(&self, id: UploadId, epoch: u64) -> Result<(), Error> {
        self.change(move |tables| {
            if !tables.is_current(&id, epoch, true)? {
                return Ok(Err(Error::Superseded));
            }
            tables.checkpoints.remove(id.as_bytes())?;
            Ok(Ok(()))
        })
        .await?
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        self.send(Message::Change(Pending::boxed(tell, work)));
        told.await
            .unwrap_or_else(|_| Err(Error::store("the records' writer has stopped")))
    }

    fn send(&self, message: Message) {
        let queue = self.queue.as_ref().expect("the queue lives until drop");
        // A writer that has died leaves its askers without an answer, which each of them reports.
        let _ = queue.send(message);
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The tables of one write transaction.
struct Tables<'t> {
    files: Table<'t, Key, &'static [u8]>,
    promises: Table<'t, Key, &'static [u8]>,
    checkpoints: Table<'t, Key, &'static [u8]>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            files: transaction.open_table(FILES)?,
            promises: transaction.open_table(PROMISES)?,
            checkpoints: transaction.open_table(CHECKPOINTS)?,
        })
    }

    fn saved(&self, id: &UploadId) -> Result<Option<Saved>, redb::Error> {
        match self.checkpoints.get(id.as_bytes())? {
            Some(row) => Ok(Some(decode(row.value())?)),
            None => Ok(None),
        }
    }

    fn is_current(&self, id: &UploadId, epoch: u64, had: bool) -> Result<bool, redb::Error> {
        Ok(match self.saved(id)? {
            Some(saved) => saved.checkpoint.epoch == epoch,
            None => !had,
        })
    }
}

enum Message {
    Change(Box<dyn Change>),
    Settled(UploadId),
}

/// A change on its way to the writer.
trait Change: Send {
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    fn tell(self: Box<Self>, how: Result<(), &Arc<redb::Error>>);
}

struct Pending<T, F> {
    work: Option<F>,
    answer: Option<T>,
    tell: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Pending<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
{
    fn boxed(tell: oneshot::Sender<Result<T, Error>>, work: F) -> Box<dyn Change> {
        Box::new(Self {
            work: Some(work),
            answer: None,
            tell,
        })
    }
}

impl<T, F> Change for Pending<T, F>
where
    T: Send,
    F: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send,
{
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        if let Some(work) = self.work.take() {
            self.answer = Some(work(tables)?);
        }
        Ok(())
    }

    fn tell(self: Box<Self>, how: Result<(), &Arc<redb::Error>>) {
        let answer = match (how, self.answer) {
            (Ok(()), Some(answer)) => Ok(answer),
            (Ok(()), None) => Err(Error::store("the change was never made")),
            (Err(cause), _) => Err(failed(cause)),
        };
        // Nobody waits any more: the change stands all the same.
        let _ = self.tell.send(answer);
    }
}

/// The thread's side of the queue.
struct Writer {
    database: Arc<Shared>,
    messages: Receiver<Message>,
    under_way: Arc<AtomicUsize>,
    changes: Vec<Box<dyn Change>>,
    settled: Vec<UploadId>,
}

impl Writer {
    fn new(
        database: Arc<Shared>,
        messages: Receiver<Message>,
        under_way: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            database,
            messages,
            under_way,
            changes: Vec::new(),
            settled: Vec::new(),
        }
    }

    fn run(mut self) {
        let mut open = true;
        while open {
            open = self.gather();
            if !self.changes.is_empty() || !self.settled.is_empty() {
                self.commit();
            }
        }
        self.database.close();
    }

    /// Waits until there is something worth a transaction; false when nobody can bring anything more.
    fn gather(&mut self) -> bool {
        loop {
            match self.wait() {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            self.take_all();
            if !self.changes.is_empty() {
                if self.changes.len() < self.under_way.load(Ordering::Relaxed) {
                    std::thread::sleep(COMPANY);
                    self.take_all();
                }
                return true;
            }
            if self.settled.len() >= SETTLED {
                return true;
            }
        }
    }

    fn take_all(&mut self) {
        while self.changes.len() < BATCH
            && let Ok(message) = self.messages.try_recv()
        {
            self.take(message);
        }
    }

    fn wait(&self) -> Result<Message, RecvTimeoutError> {
        if self.settled.is_empty() {
            let gone = |_| RecvTimeoutError::Disconnected;
            return self.messages.recv().map_err(gone);
        }
        self.messages.recv_timeout(QUIET)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Change(change) => self.changes.push(change),
            Message::Settled(id) => self.settled.push(id),
        }
    }

    fn commit(&mut self) {
        let how = self.transact().map_err(Arc::new);
        if let Err(cause) = &how {
            tracing::error!(error = %cause, "the records could not be written");
            self.database.reopen();
        }
        self.settled.clear();
        for change in self.changes.drain(..) {
            change.tell(how.as_ref().copied());
        }
    }

    fn transact(&mut self) -> Result<(), redb::Error> {
        let open = self.database.lock();
        let database = open.as_ref().ok_or_else(|| {
            redb::Error::Io(io::Error::other("the records are closed after an error"))
        })?;
        let transaction = database.begin_write()?;
        let mut tables = Tables::open(&transaction)?;
        for id in &self.settled {
            tables.promises.remove(id.as_bytes())?;
        }
        for change in &mut self.changes {
            change.apply(&mut tables)?;
        }
        drop(tables);
        Ok(transaction.commit()?)
    }
}

/// The database, which an error may close and open anew.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    mode: SyncMode,
    open: RwLock<Option<Database>>,
}

impl Shared {
    fn lock(&self) -> std::sync::RwLockReadGuard<'_, Option<Database>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, look: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, Error> {
        match &*self.lock() {
            Some(database) => look(database).map_err(|e| failed(&Arc::new(e))),
            None => Err(Error::store("the records are closed after an error")),
        }
    }

    /// redb takes no more changes after a failed one, yet a disk that was full need not stay full. After a failed sync
    /// nobody can know what the disk holds, so then it stays closed.
    fn reopen(&self) {
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
            Err(e) => tracing::error!(error = %e.tell(&self.path), "the records stay closed"),
        }
    }

    fn close(&self) {
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

fn open_database(path: &Path, mode: &SyncMode) -> Result<Database, Unopened> {
    let open = || -> Result<(Database, u64), redb::Error> {
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(Backend::open(path, mode.clone())?)?;
        let version = begin_tables(&database)?;
        Ok((database, version))
    };
    // redb may panic on pages that a power cut has left half-written.
    match std::panic::catch_unwind(open) {
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
        error = %cause,
        aside = %aside.display(),
        "the records cannot be read, as may happen after a power cut with durability `close`: new ones are begun. All \
         stored files are still there; their addresses and the uploads under way are forgotten"
    );
    Ok(())
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(Error::store)
}

fn decode<T: DeserializeOwned>(row: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(row).map_err(corrupt)
}

fn corrupt(e: impl std::fmt::Display) -> redb::Error {
    redb::Error::Corrupted(format!("a row cannot be read: {e}"))
}

/// One cause, told to each who waited for the same transaction.
#[derive(Debug, thiserror::Error)]
#[error("the records could not be written or read")]
struct Failed {
    source: Arc<redb::Error>,
}

fn failed(cause: &Arc<redb::Error>) -> Error {
    match &**cause {
        redb::Error::Io(e) if e.kind() == io::ErrorKind::StorageFull => Error::DiskFull,
        _ => Error::store(Failed {
            source: Arc::clone(cause),
        }),
    }
}
