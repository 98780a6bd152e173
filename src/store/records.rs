//! What must survive a restart, in one embedded database.
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
//! | `due` | upload id → what somebody is to be told of it | from the record until he has been told |
//! | `answers` | upload id → what he said | as long as the files, or until it is taken away |

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use redb::{ReadableDatabase, ReadableTable};
use tokio::sync::oneshot;

pub(super) use self::backend::SyncMode;
use self::database::Shared;
use self::queue::Queue;
use self::rows::{CHECKPOINTS, DUE, FILES, PROMISES, Tables, corrupt, decode, encode};
pub(super) use self::rows::{Identity, Kept, Promise, Record, Saved, Unread};
use self::writer::{Pending, Writer};
use crate::error::Error;
use crate::upload::UploadId;

mod backend;
mod database;
mod hand_offs;
mod queue;
mod rows;
mod writer;

/// A checkpoint, or why it cannot be read.
type MaybeSaved = Result<Saved, Unread>;

/// How the files of an upload went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gone {
    /// Somebody else moved or removed them.
    Elsewhere,
    /// They were removed here; the `answer` goes with them where there was one that was.
    Removed { answer: bool },
}

/// One of the records.
pub(super) struct Listed {
    pub(super) id: UploadId,
    pub(super) record: Record,
    pub(super) is_due: bool,
}

/// The open database and its writer.
#[derive(Debug)]
pub(super) struct Records {
    database: Arc<Shared>,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl Records {
    /// Opens the database at `path`, or begins one. With a `mode` that syncs a commit is durable, else it survives this process
    /// only, and what a power cut has left unreadable is set aside.
    ///
    /// Whoever calls holds the folder's lock: redb's own is not taken, so that the database can be opened anew after an
    /// error without anybody slipping in between. `under_way` counts the uploads that may still bring a change.
    pub(super) fn open(
        path: PathBuf,
        mode: SyncMode,
        under_way: Arc<AtomicUsize>,
    ) -> Result<Self, Error> {
        let queue = Arc::new(Queue::new(under_way));
        let database = Arc::new(Shared::open(path, mode)?);
        let writer = std::thread::Builder::new()
            .name("store-records".into())
            .spawn({
                let (database, queue) = (Arc::clone(&database), Arc::clone(&queue));
                move || Writer::new(database, queue).run()
            })
            .map_err(Error::store)?;
        Ok(Self {
            database,
            queue,
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
        let mut orphans = Vec::new();
        let promises = self.database.read(|database| {
            let transaction = database.begin_read()?;
            let files = transaction.open_table(FILES)?;
            let mut promises = Vec::new();
            for row in transaction.open_table(PROMISES)?.iter()? {
                let (key, promise) = row?;
                let id = UploadId::from_bytes(key.value());
                match files.get(key.value())? {
                    Some(record) => {
                        promises.push((id, decode(promise.value())?, decode(record.value())?));
                    }
                    // Its files were found to be gone before the promise was settled.
                    None => orphans.push(id),
                }
            }
            Ok(promises)
        })?;
        // Behind the reading: the writer may need the database to itself before it takes more.
        for id in orphans {
            self.settle(id);
        }
        Ok(promises)
    }

    /// The checkpoint of an upload, as it stands now.
    pub(super) fn saved(&self, id: &UploadId) -> Result<Option<MaybeSaved>, Error> {
        self.database.read(|database| {
            let table = database.begin_read()?.open_table(CHECKPOINTS)?;
            let row = table.get(id.as_bytes())?;
            Ok(row.map(|row| Saved::read(row.value())))
        })
    }

    /// Checkpoints in the order of their ids, from the one behind `after` on: all that can be read, up to `most`, and
    /// those before and between them that cannot.
    pub(super) fn list_saved(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, MaybeSaved)>, Error> {
        self.database.read(|database| {
            let table = database.begin_read()?.open_table(CHECKPOINTS)?;
            let (mut found, mut readable) = (Vec::new(), 0);
            for row in table.range::<[u8; 16]>((behind(after), Bound::Unbounded))? {
                if readable == most {
                    break;
                }
                let (key, value) = row?;
                let saved = Saved::read(value.value());
                readable += usize::from(saved.is_ok());
                found.push((UploadId::from_bytes(key.value()), saved));
            }
            Ok(found)
        })
    }

    /// Records what a commit is about to do; its checkpoint goes. [`Error::Superseded`] unless that is of the session's
    /// `epoch`, or there is none and the session `had` none. Without a `promise` the record alone is written, and with it
    /// what is `due`.
    pub(super) async fn promise(
        &self,
        id: UploadId,
        epoch: u64,
        had: bool,
        promise: Option<&Promise>,
        record: &Record,
        due: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let (promise, record) = (promise.map(encode).transpose()?, encode(record)?);
        self.change(move |tables| {
            if !tables.is_current(&id, epoch, had)? {
                return Ok(Err(Error::Superseded));
            }
            if had {
                tables.checkpoints.remove(id.as_bytes())?;
            }
            if let Some(promise) = promise {
                tables.promises.insert(id.as_bytes(), &*promise)?;
            }
            tables.files.insert(id.as_bytes(), &*record)?;
            if let Some(due) = due {
                tables.due()?.insert(id.as_bytes(), &*due)?;
            }
            Ok(Ok(()))
        })
        .await?
    }

    /// Notes that a promise is kept. Nobody waits for it: to keep it again does nothing.
    pub(super) fn settle(&self, id: UploadId) {
        self.queue.settled(id);
    }

    /// Takes a promise back, with its record; what was recorded `before` it stands again.
    pub(super) async fn cancel(&self, id: UploadId, before: Option<&Record>) -> Result<(), Error> {
        let before = before.map(encode).transpose()?;
        self.change(move |tables| {
            tables.promises.remove(id.as_bytes())?;
            match before {
                Some(before) => drop(tables.files.insert(id.as_bytes(), &*before)?),
                None => {
                    tables.files.remove(id.as_bytes())?;
                    tables.due()?.remove(id.as_bytes())?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes the record of an upload whose files are gone, and gives it to the one who is first. Unless they were
    /// removed, one of which something is due stays.
    pub(super) async fn forget(&self, id: UploadId, how: Gone) -> Result<Option<Record>, Error> {
        self.change(move |tables| {
            if how == Gone::Elsewhere && tables.due()?.get(id.as_bytes())?.is_some() {
                return Ok(None);
            }
            let record = match tables.files.remove(id.as_bytes())? {
                Some(row) => Some(decode(row.value())?),
                None => None,
            };
            if let Gone::Removed { answer } = how {
                tables.due()?.remove(id.as_bytes())?;
                if answer {
                    tables.answers()?.remove(id.as_bytes())?;
                }
            }
            Ok(record)
        })
        .await
    }

    /// Records of finished uploads in the order of their ids, from the one behind `after` on, and whether something is due
    /// of each.
    pub(super) fn list(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Listed>, Error> {
        self.database.read(|database| {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(FILES)?;
            let due = hand_offs::table(&transaction, DUE)?;
            let rows = table.range::<[u8; 16]>((behind(after), Bound::Unbounded))?;
            rows.take(most)
                .map(|row| {
                    let (key, value) = row?;
                    let is_due = match &due {
                        Some(due) => due.get(key.value())?.is_some(),
                        None => false,
                    };
                    Ok(Listed {
                        id: UploadId::from_bytes(key.value()),
                        record: decode(value.value())?,
                        is_due,
                    })
                })
                .collect()
        })
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

    /// Begins a new epoch of an upload that has a checkpoint, and gives that. [`Error::NotResumable`] when it cannot be
    /// read; then it stays as it is.
    pub(super) async fn take(&self, id: UploadId) -> Result<Option<Saved>, Error> {
        self.change(move |tables| {
            let mut saved = match tables.saved(&id)? {
                Some(Ok(saved)) => saved,
                Some(Err(unread)) => return Ok(Err(unread.into())),
                None => return Ok(Ok(None)),
            };
            saved.checkpoint.epoch += 1;
            let row = encode(&saved).map_err(corrupt)?;
            tables.checkpoints.insert(id.as_bytes(), &*row)?;
            Ok(Ok(Some(saved)))
        })
        .await?
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
        self.queue.change(Pending::boxed(tell, work));
        told.await
            .unwrap_or_else(|_| Err(Error::store("the records' writer has stopped")))
    }
}

fn behind(after: Option<&UploadId>) -> Bound<[u8; 16]> {
    after.map_or(Bound::Unbounded, |id| Bound::Excluded(*id.as_bytes()))
}

impl Drop for Records {
    fn drop(&mut self) {
        self.queue.end();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
