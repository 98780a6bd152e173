//! The folder of tusd's file store: for each upload `ID`, its bytes, and `ID.info`, what is known of it as JSON.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::protocol::tus::metadata::{self, Metadata};
use crate::upload::UploadId;

/// The most of an `ID.info` that is read.
const INFO: u64 = 1 << 20;
/// How much of a file is read at once.
const CHUNK: usize = 256 << 10;

/// Why an upload is left as it is.
#[derive(Debug)]
pub(super) enum Left {
    /// There is no room: the next ones would fare no better.
    Full,
    /// Something about it.
    Because(String),
}

impl From<String> for Left {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

impl From<&str> for Left {
    fn from(why: &str) -> Self {
        Self::Because(why.to_owned())
    }
}

/// The names of all uploads in `folder`, sorted.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(".info"));
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// An upload as tusd has left it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: UploadId,
    /// Its bytes in all, where tusd was told.
    pub(super) length: Option<u64>,
    pub(super) metadata: Metadata,
    /// Whether it is a part of one to come.
    pub(super) is_partial: bool,
    /// How old its `ID.info` is.
    pub(super) started_at: SystemTime,
    /// `None` when there is not even an empty file.
    pub(super) bytes: Option<Stored>,
    folder: PathBuf,
}

impl Found {
    /// Reads what is known of the upload `name`; of its metadata at most `most` bytes.
    pub(super) fn read(folder: &Path, name: &str, most: usize) -> Result<Self, Left> {
        let Ok(id) = name.parse() else {
            return Err("its name is not an id of 32 hex digits".into());
        };
        if folder.join(format!("{name}.lock")).exists() {
            return Err(format!("{name}.lock is there: tusd may be at it").into());
        }
        let (info, started_at) = Info::open(folder, name)?;
        info.check(name)?;
        let bytes = Stored::open(folder, name)?;
        let length = (!info.size_is_deferred).then_some(info.size);
        let there = bytes.as_ref().map(|bytes| bytes.length);
        match (length, there) {
            (Some(length), Some(there)) if there > length => {
                return Err(format!("it has {there} bytes, and was to have {length}").into());
            }
            (length, Some(there)) if info.is_final && length != Some(there) => {
                return Err("it was to be put together of others, and is not whole".into());
            }
            _ => {}
        }
        let metadata = metadata::read(&info.metadata()?, most);
        Ok(Self {
            id,
            length,
            metadata: metadata.map_err(|e| format!("its metadata cannot be kept: {e}"))?,
            is_partial: info.is_partial,
            started_at,
            bytes,
            folder: folder.to_owned(),
        })
    }

    /// Removes both files. What is known goes last, so that whoever is stopped in between goes on next time.
    pub(super) fn remove(&self) -> Result<(), Left> {
        for name in [self.id.to_string(), format!("{}.info", self.id)] {
            match std::fs::remove_file(self.folder.join(&name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("it is here now, but {name} cannot be removed: {e}").into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What an `ID.info` says, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    size_is_deferred: bool,
    meta_data: Option<Map<String, Value>>,
    #[serde(default)]
    is_partial: bool,
    #[serde(default)]
    is_final: bool,
    storage: Option<Map<String, Value>>,
}

impl Info {
    fn open(folder: &Path, name: &str) -> Result<(Self, SystemTime), Left> {
        let read = || -> io::Result<_> {
            let mut file = plain(&folder.join(format!("{name}.info")))?;
            let mut text = Vec::new();
            file.by_ref().take(INFO).read_to_end(&mut text)?;
            Ok((serde_json::from_slice(&text)?, file.metadata()?.modified()?))
        };
        read().map_err(|e| format!("{name}.info cannot be read: {e}").into())
    }

    /// That it is of this upload, whose bytes lie beside it.
    fn check(&self, name: &str) -> Result<(), Left> {
        let says = |key| self.storage.as_ref()?.get(key)?.as_str();
        let elsewhere = says("Path").is_some_and(|path| !Path::new(path).ends_with(name));
        match says("Type") {
            _ if self.id != name => Err(format!("{name}.info is of {}", self.id).into()),
            Some(other) if other != "filestore" => Err(format!("its bytes are in {other}").into()),
            _ if elsewhere => Err("its bytes are elsewhere".into()),
            _ => Ok(()),
        }
    }

    /// `Upload-Metadata` as a client gives it.
    fn metadata(&self) -> Result<String, Left> {
        let pair = |(key, value): (&String, &Value)| match value.as_str() {
            Some("") => Ok(key.clone()),
            Some(value) => Ok(format!("{key} {}", STANDARD.encode(value))),
            None => Err(Left::from("its metadata are not texts")),
        };
        let pairs = self.meta_data.iter().flatten().map(pair);
        Ok(pairs.collect::<Result<Vec<_>, _>>()?.join(","))
    }
}

/// The bytes that are there.
#[derive(Debug)]
pub(super) struct Stored {
    file: File,
    pub(super) length: u64,
}

impl Stored {
    fn open(folder: &Path, name: &str) -> Result<Option<Self>, Left> {
        let open = || -> io::Result<_> {
            let file = plain(&folder.join(name))?;
            let length = file.metadata()?.len();
            Ok(Self { file, length })
        };
        match open() {
            Ok(stored) => Ok(Some(stored)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(format!("its bytes cannot be read: {e}").into()),
        }
    }

    /// Those from `offset` on, as the body of a request.
    pub(super) fn behind(&self, offset: u64) -> Result<Rest, Left> {
        let file = self.file.try_clone();
        Ok(Rest {
            file: file.map_err(|e| format!("its bytes cannot be read: {e}"))?,
            offset,
            end: self.length,
        })
    }
}

/// Opens a plain file for reading, and nothing else: a link may lead anywhere, and whoever opens a pipe waits for ever.
fn plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut open = OpenOptions::new();
    let file = open
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no plain file")),
    }
}

/// The rest of a file, read on a data thread as it is wanted.
pub(super) struct Rest {
    file: File,
    offset: u64,
    end: u64,
}

impl http_body::Body for Rest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        if left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = vec![0; left.min(CHUNK)];
        let how = self.file.read_at(&mut chunk, self.offset);
        Poll::Ready(Some(how.and_then(|bytes| {
            if bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            chunk.truncate(bytes);
            self.offset += bytes as u64;
            Ok(Frame::data(chunk.into()))
        })))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.offset)
    }
}
