//! What is due of finished uploads, and the answers.
//!
//! Their tables are made by the first row, so that records from before there were any are read as they are.

use std::ops::Bound;

use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableError};

use super::rows::{ANSWERS, DUE, Definition, FILES, Key, Record, decode};
use super::{Records, behind};
use crate::error::Error;
use crate::store::Due;
use crate::upload::UploadId;

type Rows = ReadOnlyTable<Key, &'static [u8]>;

/// A table that may not be there yet.
pub(super) fn table(
    transaction: &ReadTransaction,
    definition: Definition,
) -> Result<Option<Rows>, redb::Error> {
    match transaction.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Records {
    /// What is due, from the upload behind `after` on.
    pub(in crate::store) fn due(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<Due>, Error> {
        self.database.read(|database| {
            let transaction = database.begin_read()?;
            let Some(due) = table(&transaction, DUE)? else {
                return Ok(Vec::new());
            };
            let files = transaction.open_table(FILES)?;
            let rows = due.range::<Key>((behind(after), Bound::Unbounded))?;
            rows.take(most)
                .map(|row| {
                    let (key, note) = row?;
                    read(&files, key.value(), note.value())
                })
                .collect()
        })
    }

    /// What is due of one upload.
    pub(in crate::store) fn due_of(&self, id: &UploadId) -> Result<Option<Due>, Error> {
        self.database.read(|database| {
            let transaction = database.begin_read()?;
            let Some(due) = table(&transaction, DUE)? else {
                return Ok(None);
            };
            let files = transaction.open_table(FILES)?;
            let note = due.get(id.as_bytes())?;
            note.map(|note| read(&files, *id.as_bytes(), note.value()))
                .transpose()
        })
    }

    /// Writes down what is due from now on, and the answer; `false` when nothing was due.
    pub(in crate::store) async fn settle_due(
        &self,
        id: UploadId,
        due: Option<Vec<u8>>,
        answer: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        self.change(move |tables| {
            let mut all = tables.due()?;
            let was_due = match due {
                Some(_) => all.get(id.as_bytes())?.is_some(),
                None => all.remove(id.as_bytes())?.is_some(),
            };
            if let Some(due) = due.filter(|_| was_due) {
                all.insert(id.as_bytes(), &*due)?;
            }
            if let Some(answer) = answer.filter(|_| was_due) {
                tables.answers()?.insert(id.as_bytes(), &*answer)?;
            }
            Ok(was_due)
        })
        .await
    }

    /// The answer on an upload.
    pub(in crate::store) fn answer(&self, id: &UploadId) -> Result<Option<Vec<u8>>, Error> {
        self.database.read(|database| {
            let transaction = database.begin_read()?;
            let Some(answers) = table(&transaction, ANSWERS)? else {
                return Ok(None);
            };
            let row = answers.get(id.as_bytes())?;
            Ok(row.map(|row| row.value().to_vec()))
        })
    }

    /// Answers, from the one behind `after` on.
    pub(in crate::store) fn answers(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Vec<u8>)>, Error> {
        self.database.read(|database| {
            let transaction = database.begin_read()?;
            let Some(answers) = table(&transaction, ANSWERS)? else {
                return Ok(Vec::new());
            };
            let rows = answers.range::<Key>((behind(after), Bound::Unbounded))?;
            rows.take(most)
                .map(|row| {
                    let (key, answer) = row?;
                    Ok((UploadId::from_bytes(key.value()), answer.value().to_vec()))
                })
                .collect()
        })
    }

    /// Removes an answer.
    pub(in crate::store) async fn forget_answer(&self, id: UploadId) -> Result<(), Error> {
        self.change(move |tables| {
            tables.answers()?.remove(id.as_bytes())?;
            Ok(())
        })
        .await
    }
}

fn read(files: &Rows, key: Key, note: &[u8]) -> Result<Due, redb::Error> {
    let record = files.get(key)?;
    let record: Option<Record> = record.map(|row| decode(row.value())).transpose()?;
    let kept = record.map_or_else(Vec::new, |record| record.files);
    Ok(Due {
        id: UploadId::from_bytes(key),
        note: note.to_vec(),
        files: kept.into_iter().map(|kept| kept.facts).collect(),
    })
}
