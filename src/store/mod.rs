//! Where bytes rest: the [`Store`] and its promises.
//!
//! A store keeps the bytes of uploads under way out of sight, and at the end makes all files of an upload visible at
//! once, or none; or one after the other, where an app decides on each. It knows nothing of HTTP, forms or progress.
//!
//! ```text
//! open(id, Create) ─► Session ─► begin_file, write, write … begin_file … ─► commit(files)   all visible
//!                        │                                              ├─► keep(file) …   each by itself, the rest goes
//!                        │                                              └─► abandon, drop   none, nothing left
//!                        └─► checkpoint ─► (crash, cut) ─► open(id, Take) ─► Session, from the checkpoint on
//! ```
//!
//! [`Session::write`] promises nothing: only [`Session::checkpoint`] yields an offset that may be told to anybody.
//! Why not a file-system interface? Because a rename of several files at once, a lock with an
//! epoch and an object store's multipart upload have no place in one.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::name::{OnConflict, SafePath};
use crate::upload::{FileFacts, FileHead, OwnerKey, Remembered, UploadId};

pub mod conformance;
mod disk;
mod free;
mod hand_offs;
mod held;
mod memory;
mod records;
mod sync;

pub use disk::{Disk, DiskOptions, Durability};
pub use hand_offs::{Due, HandOffs};
pub use held::Held;
pub(crate) use held::{Count, Share};
pub use memory::Memory;
pub use sync::SyncLedger;

/// Keeps the bytes of uploads.
///
/// All calls are made on a data thread, where blocking is allowed for as long as a write takes; waiting for a sync or a
/// network is an `.await`. Every store passes the suite in `conformance`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins an upload or takes one over.
    ///
    /// # Errors
    /// With [`Open::Take`], [`Error::NotFound`] unless a checkpoint of the upload is there. [`Error::Store`] and
    /// [`Error::DiskFull`] as everywhere.
    async fn open(&self, id: &UploadId, how: Open) -> Result<Box<dyn Session>, Error>;

    /// The files of a finished upload; `None` when there is none of that id.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn stored(&self, id: &UploadId) -> Result<Option<Vec<FileFacts>>, Error>;

    /// Opens file `index` of a finished upload for reading; `None` when it is not there (any more).
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn read(&self, id: &UploadId, index: usize) -> Result<Option<Box<dyn Reader>>, Error>;

    /// How much room is left where the bytes go; `None`, the default, when that is not known.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn space(&self) -> Result<Option<Space>, Error> {
        Ok(None)
    }

    /// What finished uploads hold, counted from what survives a restart and kept up to date as they go: see [`Held`].
    /// `None`, the default, when the store does not count; then only what comes in this run is.
    fn held(&self) -> Option<Arc<Held>> {
        None
    }

    /// What is to be told to an app of finished uploads, and what it said: see [`HandOffs`]. `None`, the default, when the
    /// store keeps nothing of that; then [`Session::due`] does nothing.
    fn hand_offs(&self) -> Option<Arc<dyn HandOffs>> {
        None
    }

    /// Finished uploads in the order of their ids, at most `most` of them, from the one behind `after` on. None by
    /// default: then nothing is ever cleared away.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn list(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Finished>, Error> {
        let _ = (after, most);
        Ok(Vec::new())
    }

    /// Whether an upload that has a checkpoint outlives its session, so that [`Open::Take`] finds it; then
    /// [`Store::unfinished`], [`Store::list_unfinished`] and [`Store::read_unfinished`] are there too. What is offered to
    /// clients follows from it. `false` unless said.
    fn resumes(&self) -> bool {
        false
    }

    /// The last checkpoint of an upload that has not come to its end; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::NotResumable`] when the checkpoint is of a version that is not known here.
    async fn unfinished(&self, id: &UploadId) -> Result<Option<Checkpoint>, Error> {
        let _ = id;
        Ok(None)
    }

    /// Unfinished uploads with their last checkpoints, in the order of their ids, at most `most` of them, from the one
    /// behind `after` on.
    ///
    /// # Errors
    /// [`Error::Store`]. A checkpoint that cannot be read is left out, told in the log, and stays.
    async fn list_unfinished(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Checkpoint)>, Error> {
        let _ = (after, most);
        Ok(Vec::new())
    }

    /// Opens file `index` of an unfinished upload for reading, up to its last checkpoint; `None` when it is not there.
    /// What has been opened can be read to its end, whatever becomes of the upload.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn read_unfinished(
        &self,
        id: &UploadId,
        index: usize,
    ) -> Result<Option<Box<dyn Reader>>, Error> {
        let _ = (id, index);
        Ok(None)
    }

    /// What was settled about a finished upload, where its checkpoints said so; `None` else.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn remembered(&self, id: &UploadId) -> Result<Option<Remembered>, Error> {
        let _ = id;
        Ok(None)
    }

    /// Removes the files of a finished upload and all that is known of it; `false` when there is no such upload. A file
    /// that has been replaced since is somebody else's and stays. After the answer nothing of it comes back.
    ///
    /// Once called it runs to its end even if the caller drops the future. Of an upload whose session goes on, the files
    /// kept so far are removed, and no further one can be kept. An upload that has only a checkpoint is not finished: [`Open::Take`] and [`Session::abandon`] end that.
    ///
    /// # Errors
    /// [`Error::Store`]; some of the files may be gone then, and a second call goes on.
    async fn remove(&self, id: &UploadId) -> Result<bool, Error>;
}

/// Room left where bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Bytes that may still be written.
    pub free: u64,
    /// Files that may still be made; `None` where the file system does not say.
    pub inodes: Option<u64>,
}

/// A finished upload as [`Store::list`] tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Its id.
    pub id: UploadId,
    /// When it was finished, or a little later, to the second.
    pub at: SystemTime,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether any file of it is still where it was put.
    pub there: bool,
}

/// How a session begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// A new upload.
    Create,
    /// The upload of that id as of its last checkpoint. An older session of it can no longer write, checkpoint or
    /// commit: it fails with [`Error::Superseded`].
    Take,
}

/// One upload being written, by one writer.
///
/// Dropping a session means that its writer has vanished: what has a checkpoint is kept for an [`Open::Take`], all else
/// is removed.
#[async_trait]
pub trait Session: Send {
    /// The checkpoint from which a taken session goes on; `None` in a new one.
    fn resumed(&self) -> Option<&Checkpoint>;

    /// Says to whom the upload belongs, once and before its first file; kept as long as its files. A store that does
    /// not count by owner need not do anything.
    fn belongs_to(&mut self, owner: OwnerKey) {
        let _ = owner;
    }

    /// Begins the next file. `expect` is at most how many bytes may follow, where that is known: a store may reserve
    /// room, so that a full disk says so at the start.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Store`], [`Error::Superseded`].
    async fn begin_file(&mut self, head: &FileHead, expect: Option<u64>) -> Result<(), Error>;

    /// Appends `frames`, in order, to the file begun last, and leaves the vector empty. Promises nothing.
    ///
    /// # Errors
    /// As [`Session::begin_file`]. After [`Error::DiskFull`] nothing of `frames` is in the file, they are all still in the
    /// vector, and the session goes on as before: a checkpoint of what came earlier may follow.
    async fn write(&mut self, frames: &mut Vec<Bytes>) -> Result<(), Error>;

    /// Up to `max` bytes of the file begun last, from `offset`, as they were written, whether a checkpoint covers them or
    /// not; empty only at its end. Where uploads are resumed it is there: a handler that saves no state is shown the file
    /// so.
    ///
    /// # Errors
    /// As [`Session::begin_file`]; [`Error::Store`] always, unless the store says otherwise.
    async fn read_back(&mut self, offset: u64, max: usize) -> Result<Bytes, Error> {
        let _ = (offset, max);
        Err(Error::store("this store does not read back what it writes"))
    }

    /// Up to `max` bytes of a file of this session from `offset`, as they were written; empty only at its end. `index` counts
    /// the files begun and not discarded. Where an app behind is given forms as they came, it is there: they are read so,
    /// without having been visible.
    ///
    /// # Errors
    /// As [`Session::begin_file`], also for a file that is not there or was kept by itself; [`Error::Store`] always, unless
    /// the store says otherwise.
    async fn read_file(&mut self, index: usize, offset: u64, max: usize) -> Result<Bytes, Error> {
        let _ = (index, offset, max);
        Err(Error::store("this store does not read back what it writes"))
    }

    /// Forgets the file begun last with all its bytes; the next [`Session::begin_file`] takes its place.
    ///
    /// # Errors
    /// As [`Session::begin_file`].
    async fn discard_file(&mut self) -> Result<(), Error>;

    /// Makes all written so far durable, then records `checkpoint` atomically, and returns its offset: from now on a
    /// client may be told that the upload has come this far. The store fills in `epoch` and each file's `stored`.
    ///
    /// # Errors
    /// As [`Session::begin_file`]. A failed sync is never retried.
    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<u64, Error>;

    /// Says that at most `more` bytes of the last file come before the next pause: the store may reserve room for them. By
    /// default nothing happens.
    async fn expect(&mut self, more: u64) {
        let _ = more;
    }

    /// Says that nothing comes for a while: the store may give back room that it has reserved. By default nothing happens.
    async fn rest(&mut self) {}

    /// Says what is settled about the upload at its end, where that is more than its last checkpoint says: it stays with
    /// the files. Where uploads are resumed it is there; else nothing happens.
    fn settled(&mut self, upload: &Remembered) {
        let _ = upload;
    }

    /// Says that somebody is to be told of the upload, in words that mean something to him alone: they are written down with
    /// the upload's files in [`Session::commit`], both or neither, and found by [`Store::hand_offs`]. A store that has none
    /// need not do anything.
    fn due(&mut self, note: Vec<u8>) {
        let _ = note;
    }

    /// Makes all files visible under the places given, or none, and remembers them under the upload's id.
    /// `files` holds one entry for each file begun and not discarded, in that order; what comes back says, in the same
    /// order, the name each really has and its length.
    ///
    /// Once called it runs to its end even if the caller drops the future.
    ///
    /// # Errors
    /// [`Error::NameTaken`] with [`OnConflict::Reject`], else as [`Session::begin_file`]; nothing is visible then.
    async fn commit(
        self: Box<Self>,
        files: Vec<Placed>,
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error>;

    /// Makes one file visible under the place given, and remembers it under the upload's id behind those kept before: the
    /// first one kept is file 0. `index` counts the files begun and not discarded, kept ones too. What is not kept goes
    /// when the session is dropped; a checkpoint goes with the first file kept, and no [`Session::commit`] can follow.
    /// [`OnConflict::Replace`] replaces no file of the same upload: the later one gets another name, as in a commit.
    ///
    /// Once called it runs to its end even if the caller drops the future. Of a crash on the way either the file is left,
    /// under its name and remembered, or nothing of it; files kept before stay.
    ///
    /// # Errors
    /// [`Error::NameTaken`] with [`OnConflict::Reject`] and [`Error::UnusableName`]: then the file may be kept under
    /// another name. [`Error::Cancelled`] when [`Store::remove`] has removed what was kept before. Else as
    /// [`Session::begin_file`], also for a file that is not there or is kept already.
    async fn keep(
        &mut self,
        index: usize,
        file: Placed,
        on_conflict: OnConflict,
    ) -> Result<FileFacts, Error>;

    /// Removes all that was written, checkpoints too; files kept by themselves stay.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn abandon(self: Box<Self>) -> Result<(), Error>;
}

/// A file and the place where it is to be.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Where, below the store's root.
    pub place: SafePath,
    /// What is known of it.
    pub facts: FileFacts,
}

/// A finished file, open for reading.
#[async_trait]
pub trait Reader: Send {
    /// What is known of the file; `length` is its length now.
    fn facts(&self) -> &FileFacts;

    /// When the file was last changed, where that is known.
    fn modified(&self) -> Option<std::time::SystemTime>;

    /// Up to `max` bytes from `offset`, in bytes from the start; empty only at the end.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn read_at(&mut self, offset: u64, max: usize) -> Result<Bytes, Error>;
}

/// Where an interrupted upload goes on: all that must be known besides the bytes.
///
/// It is recorded after the data it describes. Resuming cuts every file to `stored`.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// How often the upload has been taken over; the store's.
    pub epoch: u64,
    /// Client's body bytes taken so far.
    pub offset: u64,
    /// The splitter's state, at most 16 KiB.
    pub parser: Vec<u8>,
    /// The state of the current file's handlers, in their order.
    pub handlers: Vec<Vec<u8>>,
    /// Every file begun and not discarded; the last one is still open.
    pub files: Vec<FilePoint>,
    /// What the upload is, for whoever goes on with it after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Remembered>,
    /// When it was taken, in seconds since 1970.
    #[serde(default)]
    pub at: u64,
    /// What there is besides `files`, where that is not one file alone, begun with the upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Box<FormPoint>>,
    /// What the bytes so far add up to, where [`Remembered::digest`] was known before the first of them: at most 312 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64ed")]
    pub digest: Vec<u8>,
}

impl Checkpoint {
    /// A checkpoint at `offset` body bytes, with `parser` state and no handlers.
    #[must_use]
    pub fn at(offset: u64, parser: Vec<u8>) -> Self {
        Self {
            offset,
            parser,
            ..Self::default()
        }
    }

    /// The file under way, taken from the others.
    pub(crate) fn take_open(&mut self) -> Option<FilePoint> {
        let is_open = |form: &FormPoint| form.open == Opened::File;
        match self.form.as_deref().is_none_or(is_open) {
            true => self.files.pop(),
            false => None,
        }
    }
}

/// What a [`Checkpoint`] knows of a form besides its files. It is as large as the form's fields, which are bounded
/// ([`Limits::field_bytes`](crate::limits::Limits)).
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct FormPoint {
    /// The fields that are complete and no files.
    pub fields: Vec<(String, String)>,
    /// Bytes that count towards the limit of what is kept in memory.
    pub field_bytes: u64,
    /// Files begun so far, left out ones too.
    pub files: u64,
    /// What is under way.
    pub open: Opened,
}

/// What is under way in a body between two of its bytes.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Opened {
    /// Nothing.
    #[default]
    Nothing,
    /// The rest of a file that is left out.
    Skipped,
    /// A field that is no file.
    Field {
        /// What it is called.
        name: String,
        /// What has come of it, in Base64.
        #[serde(with = "base64ed")]
        value: Vec<u8>,
    },
    /// A file that begins with its first byte.
    Head(FileHead),
    /// The last one of the checkpoint's files.
    File,
}

/// Bytes as text: as a list of numbers they would take four times their room.
mod base64ed {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

/// One file of a [`Checkpoint`].
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct FilePoint {
    /// What the client said of it.
    pub facts: FileFacts,
    /// Bytes of it that are durable; the store's.
    pub stored: u64,
}
