//! The record: what is told of an upload, as JSON, and to whom how much.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::known::{File, Known};
use super::{Progress, State, locked};
use crate::error::Error;
use crate::upload::{Owner, UploadId};

/// By what kind of name the asker knows the upload, which decides what he may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// The upload's id, or the app: everything.
    Id,
    /// Whoever runs the server: everything but id and URLs, so that no screen or log carries the right to an upload.
    Operator,
    /// The watch name: no id, no URLs, no form fields.
    Watch,
    /// A progress id. Under an address, which many may share, it shows the numbers alone; under a cookie or an app's
    /// word, which nobody shares, everything.
    ProgressId,
}

/// One upload's record at one moment. Bytes are integers, times RFC 3339, `rate` bytes a second, `eta` seconds; what is
/// not known is `null`, what the asker may not see is not there.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record {
    /// The upload's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its watch name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<String>,
    /// The client's own name for it.
    pub progress_id: Option<String>,
    /// Where it stands.
    pub state: State,
    /// The way in, [`crate::upload::Protocol::as_str`].
    pub protocol: &'static str,
    /// Body bytes in all.
    pub length: Option<u64>,
    /// Body bytes taken off the wire.
    pub received: u64,
    /// Body bytes kept.
    pub offset: Option<u64>,
    /// Exponential average with a half-life of five seconds; it stands still once the body is here.
    pub rate: Option<u64>,
    /// Seconds until the last byte, rounded up.
    pub eta: Option<u64>,
    /// When the request's head had been read.
    pub started_at: Option<String>,
    /// When something was last published.
    pub updated_at: Option<String>,
    /// The form's fields that are no files, in order; several values of one name are an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
    /// The files begun so far; at the end those that are stored.
    pub files: Vec<FileRecord>,
    /// Where the file can be fetched: there when the upload is done and has exactly one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Option<String>>,
    /// What is being done with the upload, in state `processing`, where somebody tells.
    pub phase: Option<Phase>,
    /// What ended it, in state `error`.
    pub error: Option<RecordError>,
}

/// One file of a [`Record`].
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FileRecord {
    /// The form field that carried it.
    pub field: Option<String>,
    /// Its name: the client's until it is stored, then the path below the store's folder.
    pub name: Option<String>,
    /// Its media type.
    #[serde(rename = "type")]
    pub content_type: Option<String>,
    /// Bytes, once all have come.
    pub length: Option<u64>,
    /// `algorithm:hex`.
    pub digest: Option<String>,
    /// Where it can be fetched, once the upload is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Option<String>>,
}

/// One step of what is done with an upload once all its bytes are here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Phase {
    /// What is done, in a word or two.
    pub name: String,
    /// How much of it is done, in a unit of its own.
    pub done: Option<u64>,
    /// How much there is to do, in the same unit.
    pub total: Option<u64>,
}

/// How an upload failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RecordError {
    /// [`crate::Error::code`].
    pub code: &'static str,
    /// One line; it may name a file.
    pub message: Option<String>,
    /// [`crate::Error::status`].
    pub status: u16,
}

impl From<&Error> for RecordError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code(),
            message: Some(error.to_string()),
            status: error.status(),
        }
    }
}

/// Form fields in the order of their first value.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fields(Vec<(String, Vec<Option<String>>)>);

impl Fields {
    /// Fields whose values are all there.
    #[cfg(feature = "server")]
    pub(crate) fn of(pairs: &[(String, String)]) -> Self {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (name.clone(), Some(value.clone())))
            .collect();
        Self::new(&pairs)
    }

    fn new(pairs: &[(String, Option<String>)]) -> Self {
        let mut fields: Vec<(String, Vec<Option<String>>)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (name, value) in pairs {
            let place = *places.entry(name).or_insert_with(|| {
                fields.push((name.clone(), Vec::new()));
                fields.len() - 1
            });
            fields[place].1.push(value.clone());
        }
        Self(fields)
    }

    /// The first value of the field called `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        let (_, values) = self.0.iter().find(|(given, _)| given == name)?;
        values.first()?.as_deref()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, values) in &self.0 {
            match values.as_slice() {
                [one] => map.serialize_entry(name, one)?,
                several => map.serialize_entry(name, several)?,
            }
        }
        map.end()
    }
}

impl Record {
    /// The record as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has string keys only and no fallible part")
    }
}

impl Progress {
    /// The record as `holder` may see it. `base` is the path under which everything stands, `""` at the root; URLs are
    /// `{base}/files/ID` for the first file and `{base}/files/ID/n` for the others.
    #[must_use]
    pub fn record(&self, holder: Holder, base: &str) -> Record {
        self.write_record(&locked(&self.known), holder, base)
    }

    /// The record with the number of the publication that it is as new as.
    #[must_use]
    pub fn versioned(&self, holder: Holder, base: &str) -> (u64, Record) {
        let known = locked(&self.known);
        (self.version(), self.write_record(&known, holder, base))
    }

    fn write_record(&self, known: &Known, holder: Holder, base: &str) -> Record {
        let sight = Sight::of(holder, &self.owner);
        let urls = (sight == Sight::Full).then(|| Urls {
            base,
            id: self.id,
            done: known.state == State::Done && !known.handed,
        });
        Record {
            id: (sight == Sight::Full).then(|| self.id.to_string()),
            watch: (sight != Sight::Numbers).then(|| self.watch.to_string()),
            progress_id: self.progress_id.as_ref().map(|id| id.as_str().to_owned()),
            state: known.state,
            protocol: self.protocol.as_str(),
            length: known.length,
            received: self.received(),
            offset: known.offset,
            rate: known.shown.rate,
            eta: known.shown.eta,
            started_at: rfc3339(self.started_at),
            updated_at: rfc3339(known.updated_at),
            fields: matches!(sight, Sight::Full | Sight::Operator)
                .then(|| Fields::new(&known.fields)),
            files: file_records(known, sight, urls.as_ref()),
            url: urls.map(|urls| urls.of_all(known.files.len())),
            phase: known.phase(self.received()),
            error: known.error.clone().map(|error| sight.dim(error)),
        }
    }
}

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Full,
    Operator,
    Names,
    Numbers,
}

impl Sight {
    fn of(holder: Holder, owner: &Owner) -> Self {
        match (holder, owner) {
            (Holder::Id, _) => Self::Full,
            (Holder::Operator, _) => Self::Operator,
            (Holder::Watch, _) => Self::Names,
            (Holder::ProgressId, Owner::Address(_)) => Self::Numbers,
            // Only the uploader, and the app that named it, can be this owner.
            (Holder::ProgressId, Owner::Cookie(_) | Owner::Named(_)) => Self::Full,
        }
    }

    fn dim(self, error: RecordError) -> RecordError {
        match self {
            Self::Full | Self::Operator | Self::Names => error,
            // The words may name a file.
            Self::Numbers => RecordError {
                message: None,
                ..error
            },
        }
    }
}

struct Urls<'a> {
    base: &'a str,
    id: UploadId,
    done: bool,
}

impl Urls<'_> {
    fn of_file(&self, index: usize) -> Option<String> {
        let Self { base, id, done } = self;
        done.then(|| match index {
            0 => format!("{base}/files/{id}"),
            n => format!("{base}/files/{id}/{n}"),
        })
    }

    fn of_all(&self, files: usize) -> Option<String> {
        self.of_file(0).filter(|_| files == 1)
    }
}

fn file_records(known: &Known, sight: Sight, urls: Option<&Urls<'_>>) -> Vec<FileRecord> {
    let record = |(index, file): (usize, &File)| {
        let facts = &file.facts;
        let seen = |text: &Option<String>| text.clone().filter(|_| sight != Sight::Numbers);
        FileRecord {
            field: seen(&facts.field),
            name: seen(&facts.name),
            content_type: seen(&facts.content_type),
            length: file.complete.then_some(facts.length),
            digest: seen(&facts.digest),
            url: urls.map(|urls| urls.of_file(index)),
        }
    };
    known.files.iter().enumerate().map(record).collect()
}

/// `2026-11-22T14:02:11.123Z`; `None` for a clock beyond the year 9999.
fn rfc3339(time: std::time::SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(format!("{time:.3}"))
}
