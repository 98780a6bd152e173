//! The keys: words that only this server and the app know.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::{DecodingKey, EncodingKey};

/// The shortest key taken: HS256 wants as many bits as its hash has (RFC 7518, 3.2).
const LEAST: usize = 32;

/// The largest file of keys, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Keys, of which the first signs and all verify: a new one is put in front while the app still knows the old one.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Pairs>);

struct Pairs {
    signs: EncodingKey,
    verify: Vec<DecodingKey>,
    shared: bool,
}

/// A key that cannot be used, with the reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("every user of this machine may read it: chmod o-rwx")]
    OpenToAll,
    #[error("it is larger than 64 KiB")]
    TooLarge,
    #[error("it holds no key; one a line is expected")]
    Empty,
    #[error(
        "line {line} has fewer than 32 bytes, which can be guessed: `openssl rand -hex 32` makes a good key"
    )]
    TooShort { line: usize },
}

impl Keys {
    /// Reads the file at `path`: a key a line, as it stands there but for blanks around it; lines that begin with `#` are
    /// for people.
    ///
    /// # Errors
    /// When it cannot be read, other users may read it, or it holds no key or one that is too short.
    pub(crate) fn open(path: &Path) -> Result<Self, KeyError> {
        const OTHERS: u32 = 0o007;
        let file = File::open(path)?;
        let about = file.metadata()?;
        if about.permissions().mode() & OTHERS != 0 && about.is_file() {
            return Err(KeyError::OpenToAll);
        }
        let mut text = String::new();
        if file.take(MAX_FILE + 1).read_to_string(&mut text)? as u64 > MAX_FILE {
            return Err(KeyError::TooLarge);
        }
        Self::parse(&text)
    }

    /// Reads keys as they stand in such a file.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            match line.len() {
                _ if line.is_empty() || line.starts_with('#') => {}
                LEAST.. => keys.push(line.as_bytes()),
                _ => return Err(KeyError::TooShort { line: at + 1 }),
            }
        }
        let first = keys.first().ok_or(KeyError::Empty)?;
        Ok(Self::of(first, &keys, true))
    }

    /// A random one, that nobody else knows and that ends with this process.
    pub(crate) fn random() -> Self {
        let mut key = [0; LEAST];
        getrandom::fill(&mut key).expect("the kernel's random source answers after boot");
        Self::of(&key, &[&key], false)
    }

    fn of(first: &[u8], all: &[&[u8]], shared: bool) -> Self {
        Self(Arc::new(Pairs {
            signs: EncodingKey::from_secret(first),
            verify: all
                .iter()
                .map(|key| DecodingKey::from_secret(key))
                .collect(),
            shared,
        }))
    }

    /// Whether the app may know them too.
    pub(crate) fn are_shared(&self) -> bool {
        self.0.shared
    }

    pub(super) fn signs(&self) -> &EncodingKey {
        &self.0.signs
    }

    pub(super) fn verify(&self) -> &[DecodingKey] {
        &self.0.verify
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} of them)", self.0.verify.len())
    }
}
