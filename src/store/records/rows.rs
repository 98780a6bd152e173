//! What the tables hold, and how it is written: as JSON.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::name::OnConflict;
use crate::store::Checkpoint;
use crate::upload::{FileFacts, OwnerKey, Remembered, UploadId};

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const FILES: Definition = TableDefinition::new("files");
pub(super) const PROMISES: Definition = TableDefinition::new("promises");
pub(super) const CHECKPOINTS: Definition = TableDefinition::new("checkpoints");
pub(super) const DUE: Definition = TableDefinition::new("due");
pub(super) const ANSWERS: Definition = TableDefinition::new("answers");

pub(super) type Key = [u8; 16];
pub(super) type Definition = TableDefinition<'static, Key, &'static [u8]>;

/// The files of a finished upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Record {
    pub(in crate::store) files: Vec<Kept>,
    /// To whom it belongs; `None` in records from before owners were kept. An older version reads over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) owner: Option<OwnerKey>,
    /// When it was finished, in seconds since 1970; `None` as with the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) at: Option<u64>,
    /// The promise to move its only file, which had a checkpoint. It counts as long as the temporary file is there, so
    /// nobody need take it away again, as he must one among the [`PROMISES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) promise: Option<Promise>,
    /// What its last checkpoint said of it, without addresses; `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) remembered: Option<Remembered>,
}

impl Record {
    /// Bytes of all its files.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.files.iter().map(|kept| kept.facts.length).sum()
    }
}

/// A file under its name; `facts.name` is its place below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Kept {
    pub(in crate::store) facts: FileFacts,
    pub(in crate::store) identity: Identity,
}

/// By what a file is known again, so that an id never opens a file that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Identity {
    pub(in crate::store) inode: u64,
    /// When the inode was made, seconds and nanoseconds; `None` where the file system does not say.
    pub(in crate::store) born: Option<(i64, u32)>,
    pub(in crate::store) modified: (i64, u32),
}

/// What an upload's commit has promised to do: put each temporary file in the place that its record names. Files before
/// the first of them are in their places already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Promise {
    pub(in crate::store) temps: Vec<String>,
    /// Where in the record the file of the first of `temps` stands.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(in crate::store) from: usize,
    #[serde(with = "Conflict")]
    pub(in crate::store) on_conflict: OnConflict,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
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
pub(in crate::store) struct Saved {
    /// Which layout this row has; see [`Saved::VERSION`].
    #[serde(default)]
    version: u32,
    pub(in crate::store) checkpoint: Checkpoint,
    pub(in crate::store) temps: Vec<String>,
}

impl Saved {
    /// The layout that is written, and the newest that is read. Older ones: 0, the same without its number.
    ///
    /// It rises with every change that an older version would misread; what may be left out needs none.
    const VERSION: u32 = 2;

    pub(in crate::store) fn new(checkpoint: Checkpoint, temps: Vec<String>) -> Self {
        Self {
            version: Self::needed(&checkpoint),
            checkpoint,
            temps,
        }
    }

    /// The oldest layout whose readers understand all of it. In 2 a checkpoint may be of a form, wait for a word that its
    /// upload is complete, or say what its bytes must add up to.
    fn needed(checkpoint: &Checkpoint) -> u32 {
        let upload = checkpoint.upload.as_ref();
        let is_strict = upload.is_some_and(|upload| upload.awaits_word || upload.digest.is_some());
        match checkpoint.form.is_some() || is_strict {
            true => 2,
            false => 1,
        }
    }

    /// Reads a row, or says why it cannot be read. That is never guessed at, and never a reason to stop: the row stays
    /// for whoever can.
    pub(super) fn read(row: &[u8]) -> Result<Self, Unread> {
        Self::epoch(row)?;
        serde_json::from_slice(row).map_err(unread)
    }

    /// The epoch in a row, found without reading the rest.
    fn epoch(row: &[u8]) -> Result<u64, Unread> {
        match serde_json::from_slice::<Layout>(row) {
            Ok(Layout { version, .. }) if version > Self::VERSION => Err(Unread(format!(
                "its checkpoint has layout {version}, and this version knows up to {}",
                Self::VERSION
            ))),
            Ok(Layout {
                checkpoint: Some(found),
                ..
            }) => Ok(found.epoch),
            Ok(_) => Err(Unread("its checkpoint is not there".into())),
            Err(e) => Err(unread(e)),
        }
    }
}

/// What decides whether a row is read, and by whom.
#[derive(Deserialize)]
struct Layout {
    #[serde(default)]
    version: u32,
    checkpoint: Option<Epoch>,
}

#[derive(Deserialize)]
struct Epoch {
    epoch: u64,
}

/// Why a checkpoint cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Unread(pub(in crate::store) String);

impl From<Unread> for Error {
    fn from(Unread(why): Unread) -> Self {
        Self::NotResumable { why }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn unread(e: serde_json::Error) -> Unread {
    Unread(format!("its checkpoint cannot be read: {e}"))
}

/// The tables of one write transaction.
pub(super) struct Tables<'t> {
    transaction: &'t WriteTransaction,
    pub(super) files: Table<'t, Key, &'static [u8]>,
    pub(super) promises: Table<'t, Key, &'static [u8]>,
    pub(super) checkpoints: Table<'t, Key, &'static [u8]>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            transaction,
            files: transaction.open_table(FILES)?,
            promises: transaction.open_table(PROMISES)?,
            checkpoints: transaction.open_table(CHECKPOINTS)?,
        })
    }

    /// What is due. Few changes touch it, so that it is opened for them alone; and it is not there before the first.
    pub(super) fn due(&self) -> Result<Table<'t, Key, &'static [u8]>, redb::Error> {
        Ok(self.transaction.open_table(DUE)?)
    }

    /// Answers: as with what is due.
    pub(super) fn answers(&self) -> Result<Table<'t, Key, &'static [u8]>, redb::Error> {
        Ok(self.transaction.open_table(ANSWERS)?)
    }

    pub(super) fn saved(
        &self,
        id: &UploadId,
    ) -> Result<Option<Result<Saved, Unread>>, redb::Error> {
        let row = self.checkpoints.get(id.as_bytes())?;
        Ok(row.map(|row| Saved::read(row.value())))
    }

    /// Whether a session of this `epoch` is the newest of its upload: the checkpoint that it `had` is the one that is
    /// there, or it had none and there is none.
    pub(super) fn is_current(
        &self,
        id: &UploadId,
        epoch: u64,
        had: bool,
    ) -> Result<bool, redb::Error> {
        Ok(match self.checkpoints.get(id.as_bytes())? {
            Some(row) => had && Saved::epoch(row.value()).is_ok_and(|newest| newest == epoch),
            None => !had,
        })
    }
}

pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(Error::store)
}

pub(super) fn decode<T: DeserializeOwned>(row: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(row).map_err(corrupt)
}

pub(super) fn corrupt(e: impl std::fmt::Display) -> redb::Error {
    redb::Error::Corrupted(format!("a row cannot be read: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{FormPoint, Opened};
    use crate::upload::{Owner, Protocol, Upload};

    #[test]
    fn a_record_from_before_owners_were_kept_is_read_and_one_with_them_comes_back() {
        let old = r#"{"files":[{"facts":{"field":null,"name":"a","content_type":null,"length":7,"digest":null},
            "identity":{"inode":1,"born":null,"modified":[5,0]}}]}"#;
        let mut record: Record = decode(old.as_bytes()).unwrap();
        assert_eq!((record.bytes(), record.owner, record.at), (7, None, None));
        record.owner = Some(Owner::from_address([127, 0, 0, 1].into()).key());
        record.at = Some(1_800_000_000);
        let row = encode(&record).unwrap();
        assert_eq!(decode::<Record>(&row).unwrap(), record);
        assert!(!String::from_utf8(row).unwrap().contains("127.0.0.1"));
    }

    #[test]
    fn a_checkpoint_that_an_older_version_would_misread_has_a_layout_it_does_not_know() {
        let upload = Upload::new(Protocol::Put, Owner::from_address([127, 0, 0, 1].into()));
        let plain = || {
            let mut checkpoint = Checkpoint::at(7, vec![1]);
            checkpoint.upload = Some(Remembered::of(&upload));
            checkpoint
        };
        let (mut form, mut awaits, mut digest) = (plain(), plain(), plain());
        form.form = Some(Box::default());
        awaits.upload.as_mut().unwrap().awaits_word = true;
        digest.upload.as_mut().unwrap().digest = Some("sha-256=:AA==:".into());
        for (checkpoint, layout) in [(plain(), 1), (form, 2), (awaits, 2), (digest, 2)] {
            let saved = Saved::new(checkpoint.clone(), Vec::new());
            assert_eq!(saved.version, layout);
            let row = encode(&saved).unwrap();
            assert_eq!(Saved::read(&row).unwrap().checkpoint, checkpoint);
        }
    }

    #[test]
    fn a_field_under_way_comes_back_whatever_its_bytes_are() {
        let all: Vec<u8> = (0..=255).collect();
        let form = FormPoint {
            open: Opened::Field {
                name: "n".into(),
                value: all.repeat(4),
            },
            ..FormPoint::default()
        };
        let mut checkpoint = Checkpoint::at(7, vec![1]);
        checkpoint.form = Some(Box::new(form));
        let row = encode(&Saved::new(checkpoint.clone(), Vec::new())).unwrap();
        assert!(row.len() < 2_000, "{}", row.len());
        assert_eq!(Saved::read(&row).unwrap().checkpoint, checkpoint);
    }
}
