//! The thread that writes: one transaction for all that wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::database::{Shared, failed};
use super::rows::Tables;
use crate::error::Error;
use crate::upload::UploadId;

/// The most changes in one transaction.
const BATCH: usize = 256;
/// Settled promises that wait at most, before they get a transaction of their own.
const SETTLED: usize = 1024;
/// How long settled promises wait for a transaction that goes their way.
const QUIET: Duration = Duration::from_secs(1);
/// How long the writer waits for more changes while more uploads are under way than have brought theirs. A transaction
/// costs some 25 µs of processor time by itself and 7 µs for each upload in it, so that company pays.
const COMPANY: Duration = Duration::from_micros(500);

/// What the thread is asked to do.
pub(super) enum Message {
    Change(Box<dyn Change>),
    Settled(UploadId),
}

/// A change on its way to the writer.
pub(super) trait Change: Send {
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    fn tell(self: Box<Self>, how: Result<(), &Arc<redb::Error>>);
}

/// A change, what came of it and who asked.
pub(super) struct Pending<T, F> {
    work: Option<F>,
    answer: Option<T>,
    tell: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Pending<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
{
    pub(super) fn boxed(tell: oneshot::Sender<Result<T, Error>>, work: F) -> Box<dyn Change> {
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
pub(super) struct Writer {
    database: Arc<Shared>,
    messages: Receiver<Message>,
    under_way: Arc<AtomicUsize>,
    changes: Vec<Box<dyn Change>>,
    settled: Vec<UploadId>,
}

impl Writer {
    pub(super) fn new(
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

    pub(super) fn run(mut self) {
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
            tracing::error!(%cause, "the records could not be written");
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
