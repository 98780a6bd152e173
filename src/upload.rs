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

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// The unguessable name of an upload, 128 random bits, written as 32 lower-case hex digits.
///
/// Whoever holds it may resume, read and delete the upload, so only the uploader and the app get it. `Debug` and
/// [`UploadId::short`] show the first eight digits alone: a whole id never reaches a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId([u8; 16]);

impl UploadId {
    /// Draws a new id from the operating system's random source.
    #[must_use]
    pub fn random() -> Self {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).expect("the kernel's random source answers after boot");
        Self(bits)
    }

    /// The id made of these 16 bytes, as [`UploadId::as_bytes`] gave them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the id, for a store's tables.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name under which others may watch this upload. It does not lead back to the id.
    #[must_use]
    pub fn watch(&self) -> WatchId {
        let hash = Sha256::new()
            .chain_update(b"dumbwaiter watch\0")
            .chain_update(self.0)
            .finalize();
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash[..16]);
        WatchId(bits)
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
pub struct WatchId([u8; 16]);

macro_rules! hex_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(hex(&self.0, &mut [0; 32]))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_hex(text).map(Self).ok_or(NotAnId)
            }
        }
    };
}
hex_name!(UploadId);
hex_name!(WatchId);
hex_name!(OwnerKey);

/// Writes `bits` into `text`. Ids are written several times for each upload, and a formatter for each byte would cost
/// fifty times as much.
fn hex<'a>(bits: &[u8; 16], text: &'a mut [u8; 32]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bits) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(text).expect("hex digits are ASCII")
}

/// The text is not 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an id: 32 lower-case hex digits are expected")]
pub struct NotAnId;

fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut bits = [0; 16];
    for (byte, pair) in bits.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bits)
}

/// The client's own name for an upload, its `X-Progress-ID`: 1–200 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
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

/// To whom an upload belongs. A progress id means something only together with its owner.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Owner {
    /// A name that the app gave: whoever it says its user is.
    Named(Box<str>),
    /// A browser, by a one-way image of its `dw` cookie. Nobody else has it, so what it finds shows everything.
    Cookie([u8; 16]),
    /// The client's address, as in the article: IPv4-mapped addresses are IPv4, IPv6 counts by /64. Behind one NAT
    /// many share it, so what it finds shows numbers only.
    Address(IpAddr),
}

impl Owner {
    /// The owner that stands behind a peer's address.
    #[must_use]
    pub fn from_address(address: IpAddr) -> Self {
        Self::Address(network(address))
    }
}

/// By what addresses are told apart: IPv4-mapped addresses are IPv4, IPv6 counts by /64.
#[must_use]
#[doc(hidden)]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// An owner in 128 bits, by which bytes and uploads are counted and which a store keeps with what it stores.
///
/// It follows one-way from the owner, so that records that stay for years hold no addresses in plain text. What it was
/// made of must never change, else what is stored would belong to nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OwnerKey([u8; 16]);

impl Owner {
    /// The key under which this owner's uploads and bytes are counted.
    #[must_use]
    pub fn key(&self) -> OwnerKey {
        let words = match self {
            Self::Named(name) => format!("name {name}"),
            Self::Cookie(image) => format!("cookie {}", u128::from_be_bytes(*image)),
            Self::Address(address) => format!("address {address}"),
        };
        let hash = Sha256::new()
            .chain_update(b"dumbwaiter owner\0")
            .chain_update(words)
            .finalize();
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash[..16]);
        OwnerKey(bits)
    }
}

impl TryFrom<String> for OwnerKey {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<OwnerKey> for String {
    fn from(key: OwnerKey) -> Self {
        key.to_string()
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Protocol {
    /// `multipart/form-data` by POST.
    Form,
    /// A raw body that is one file: by PUT, or at a route of the app's own.
    Put,
}

impl Protocol {
    /// The word in the record and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Put => "put",
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
    /// Path and query of the request, as the client sent them.
    pub target: http::Uri,
    /// The request's header fields.
    pub headers: http::HeaderMap,
}

impl Upload {
    /// A new upload by `protocol`, with a random id, no progress id, of unknown length, begun now.
    #[must_use]
    pub fn new(protocol: Protocol, owner: Owner) -> Self {
        Self {
            id: UploadId::random(),
            progress_id: None,
            owner,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            protocol,
            length: None,
            started_at: SystemTime::now(),
            target: http::Uri::default(),
            headers: http::HeaderMap::new(),
        }
    }
}

/// What the client says of a file before its first byte. All of it is data, none of it is trusted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
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
    }

    #[test]
    fn progress_id_is_bounded_and_printable() {
        assert!(ProgressId::parse("0.7342").is_some());
        assert!(ProgressId::parse("料理").is_some());
        for bad in ["", "a\nb", "a\0", "\u{7f}", &"x".repeat(201)] {
            assert!(ProgressId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_key_of_an_owner_is_the_same_in_every_version() {
        let owner = Owner::from_address([127, 0, 0, 1].into());
        let json = serde_json::to_string(&owner.key()).unwrap();
        assert_eq!(json, "\"b2bd70fc986da678633c668658150a8e\"");
        assert_eq!(
            serde_json::from_str::<OwnerKey>(&json).unwrap(),
            owner.key()
        );
        assert!(serde_json::from_str::<OwnerKey>("\"127.0.0.1\"").is_err());
        assert_ne!(
            owner.key(),
            Owner::from_address([127, 0, 0, 2].into()).key()
        );
    }

    #[test]
    fn owner_of_a_mapped_address_is_the_ipv4_owner_and_of_ipv6_its_network() {
        let owner = |text: &str| Owner::from_address(text.parse().unwrap());
        assert_eq!(owner("::ffff:127.0.0.1"), owner("127.0.0.1"));
        assert_eq!(owner("2001:db8::1"), owner("2001:db8::ffff:1"));
        assert_ne!(owner("2001:db8:0:1::1"), owner("2001:db8:0:2::1"));
    }
}
