//! The thread that writes: one transaction for all that wait.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::database::{Shared, failed};
use super::queue::{Batch, Queue};
use super::rows::Tables;
use crate::error::Error;

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
    queue: Arc<Queue>,
}

impl Writer {
    pub(super) fn new(database: Arc<Shared>, queue: Arc<Queue>) -> Self {
        Self { database, queue }
    }

    pub(super) fn run(self) {
        while let Some(batch) = self.queue.next() {
            self.commit(batch);
        }
        self.database.close();
    }

    fn commit(&self, mut batch: Batch) {
        let how = self.transact(&mut batch).map_err(Arc::new);
        if let Err(cause) = &how {
            tracing::error!(%cause, "the records could not be written");
            self.database.reopen();
        }
        for change in batch.changes {
            change.tell(how.as_ref().copied());
        }
    }

    fn transact(&self, batch: &mut Batch) -> Result<(), redb::Error> {
        let open = self.database.lock();
        let database = open.as_ref().ok_or_else(|| {
            redb::Error::Io(io::Error::other("the records are closed after an error"))
        })?;
        let transaction = database.begin_write()?;
        let mut tables = Tables::open(&transaction)?;
        for id in &batch.settled {
            tables.promises.remove(id.as_bytes())?;
        }
        for change in &mut batch.changes {
            change.apply(&mut tables)?;
        }
        drop(tables);
        Ok(transaction.commit()?)
    }
}

impl Drop for Writer {
    /// However it ends, nobody waits for it any longer.
    fn drop(&mut self) {
        self.queue.close();
    }
}
