//! The nouns: an upload, its names, its owner and its files.
//!
//! Everything here is plain data without I/O. An [`Upload`] is what one client sends as one thing, whatever the
//! protocol: one file, or a form with its files. It is known by four names, and each opens another door:
//!
//! | name | who chooses it | what it opens |
//! |---|---|---|
//! | [`UploadId`] | we, at random | everything: resume, read, delete |
//! | [`WatchId`] | follows one-way from the id | state, numbers and file names |
//! | [`ProgressId`] | the client | only together with its [`Owner`]: under an address the numbers, else everything |
//! | file name | the client | nothing: it is data |

mod bits;
mod owner;
mod remembered;
mod terms;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) use self::bits::Bits;
pub use self::bits::NotAnId;
use self::bits::written_in_hex;
pub use self::owner::{Owner, OwnerKey, network};
pub use self::remembered::{Concat, Remembered};
pub(crate) use self::terms::Once;
pub use self::terms::Terms;

/// The unguessable name of an upload, 128 random bits, written as 32 lower-case hex digits.
///
/// Whoever holds it may resume, read and delete the upload, so only the uploader and the app get it. `Debug` and
/// [`UploadId::short`] show the first eight digits alone: a whole id never reaches a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadId(Bits);

impl UploadId {
    /// Draws a new id from the operating system's random source.
    #[must_use]
    pub fn random() -> Self {
        Self(Bits::random())
    }

    /// The id of the one upload that a ticket is for. It follows one-way from the signed text.
    #[cfg(feature = "server")]
    pub(crate) fn of_ticket(text: &str) -> Self {
        Self(Bits::image("ticket", text))
    }

    /// The id made of these 16 bytes, as [`UploadId::as_bytes`] gave them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Bits(bytes))
    }

    /// The 16 bytes of the id, for a store's tables.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0.0
    }

    /// The name under which others may watch this upload. It does not lead back to the id.
    #[must_use]
    pub fn watch(&self) -> WatchId {
        WatchId(Bits::image("watch", self.0.0))
    }

    /// The first eight hex digits, for logs.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadId({}…)", self.short())
    }
}

/// The name that shows an upload without giving it away: state, numbers and file names.
///
/// It is what links, QR codes and the page carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WatchId(Bits);

written_in_hex!(UploadId);
written_in_hex!(WatchId);

/// The client's own name for an upload, its `X-Progress-ID`: 1–200 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct ProgressId(Box<str>);

impl ProgressId {
    /// The most bytes a progress id may have.
    pub const MAX_BYTES: usize = 200;

    /// Takes `text` as it stands after percent-decoding; `None` when it is outside the rule.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        (fits && !text.chars().any(char::is_control)).then(|| Self(text.into()))
    }

    /// The id as the client sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who is at the other end of the connection; a host puts it into the request's extensions.
///
/// Without it all clients count as one owner, the unspecified address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub SocketAddr);

impl Default for Peer {
    fn default() -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
    }
}

/// The way in that an upload took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// `multipart/form-data` by POST.
    Form,
    /// A raw body that is one file: by PUT, or at a route of the app's own.
    Put,
    /// tus 1.0: created by POST, filled by any number of PATCHes.
    Tus,
    /// Resumable Uploads for HTTP: a raw body that is one file, created by a request that says whether it is complete.
    Ietf,
    /// FilePond's server: one form, or one file in chunks.
    FilePond,
    /// Dropzone: one file in chunks, each of them a form.
    Dropzone,
}

impl Protocol {
    /// The word in the record and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Put => "put",
            Self::Tus => "tus",
            Self::Ietf => "ietf",
            Self::FilePond => "filepond",
            Self::Dropzone => "dropzone",
        }
    }
}

/// An upload as it begins, settled from the request's head before the first body byte is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Upload {
    /// Its name for those who may do everything with it.
    pub id: UploadId,
    /// The client's name for it, if it gave a usable one.
    pub progress_id: Option<ProgressId>,
    /// To whom it belongs.
    pub owner: Owner,
    /// Where it comes from.
    pub address: IpAddr,
    /// The way in.
    pub protocol: Protocol,
    /// Declared body bytes; `None` when the client did not say.
    pub length: Option<u64>,
    /// When its head had been read.
    pub started_at: SystemTime,
    /// The request's head: method, path and query as the client sent them, header fields.
    pub head: Arc<http::request::Parts>,
    /// On what terms it was let in; `None` on nobody's but the server's own.
    pub terms: Option<Box<Terms>>,
}

impl Upload {
    /// A new upload by `protocol`, with a random id, no progress id, an empty head, of unknown length, begun now.
    #[must_use]
    pub fn new(protocol: Protocol, owner: Owner) -> Self {
        let (head, ()) = http::Request::new(()).into_parts();
        Self::announced(protocol, owner, Arc::new(head))
    }

    /// As [`Upload::new`], with the head of the request that announced it.
    #[must_use]
    pub fn announced(protocol: Protocol, owner: Owner, head: Arc<http::request::Parts>) -> Self {
        Self {
            id: UploadId::random(),
            progress_id: None,
            owner,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            protocol,
            length: None,
            started_at: SystemTime::now(),
            head,
            terms: None,
        }
    }
}

/// What the client says of a file before its first byte. All of it is data, none of it is trusted.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct FileHead {
    /// The form field that carries it; `None` where there is no form.
    pub field: Option<String>,
    /// The file's name as sent.
    pub name: Option<String>,
    /// Its media type as sent.
    pub content_type: Option<String>,
}

/// What is known of a file once all its bytes are there.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct FileFacts {
    /// The form field that carried it.
    pub field: Option<String>,
    /// Its name: as the client sent it until it is stored, then the path below the store's folder.
    pub name: Option<String>,
    /// Its media type: as the client sent it, unless a handler found a better one.
    pub content_type: Option<String>,
    /// Bytes stored.
    pub length: u64,
    /// `algorithm:hex`, when a handler computed one.
    pub digest: Option<String>,
}

impl FileFacts {
    /// What the client says of the file, while this is that.
    pub(crate) fn head(&self) -> FileHead {
        FileHead {
            field: self.field.clone(),
            name: self.name.clone(),
            content_type: self.content_type.clone(),
        }
    }
}

impl From<FileHead> for FileFacts {
    fn from(head: FileHead) -> Self {
        let FileHead {
            field,
            name,
            content_type,
        } = head;
        Self {
            field,
            name,
            content_type,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_reads_back_what_it_writes_and_nothing_else() {
        let id = UploadId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "0",
            "../../etc/passwd",
            &"g".repeat(32),
            &"A".repeat(32),
            &"0".repeat(33),
        ] {
            assert_eq!(bad.parse::<UploadId>(), Err(NotAnId), "{bad:?}");
        }
    }

    #[test]
    fn debug_of_an_id_shows_eight_digits_alone() {
        let id = UploadId::random();
        assert!(!format!("{id:?}").contains(&id.to_string()[8..]));
    }

    #[test]
    fn watch_name_follows_from_the_id_and_differs_from_it() {
        let id = UploadId::random();
        assert_eq!(id.watch(), id.watch());
        assert_ne!(id.watch().to_string(), id.to_string());
        assert_ne!(id.watch(), UploadId::random().watch());
        // Stored files are called by it: it is the same in every version.
        let known = UploadId::from_bytes([7; 16]).watch();
        assert_eq!(known.to_string(), "803a168fb9d9374cdf7d5c7bd80f4503");
    }

    #[test]
    fn progress_id_is_bounded_and_printable() {
        assert!(ProgressId::parse("0.7342").is_some());
        assert!(ProgressId::parse("料理").is_some());
        for bad in ["", "a\nb", "a\0", "\u{7f}", &"x".repeat(201)] {
            assert!(ProgressId::parse(bad).is_none(), "{bad:?}");
        }
    }
}
