//! Tokens: words that let whoever knows them upload, or run the server.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::upload::UploadId;

/// The shortest token taken: fewer characters are soon guessed.
const MIN_CHARACTERS: usize = 16;

/// The largest file of tokens, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The tokens of a file, one a line; lines that begin with `#` are for people. Clones share them, so that a reload is
/// seen by all. Only their hashes are kept in memory, and `Debug` shows how many there are.
#[derive(Clone)]
pub struct Tokens {
    /// None where the one token was made up.
    path: Option<PathBuf>,
    hashes: Arc<Mutex<Arc<[Hash]>>>,
}

type Hash = [u8; 32];

/// A file of tokens that cannot be used, with the reason.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Every user of the machine may read it.
    #[error("every user of this machine may read it: chmod o-rwx")]
    OpenToAll,
    /// It is larger than a list of tokens would be.
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// It holds no token.
    #[error("it holds no token; one a line is expected")]
    Empty,
    /// A token is too short, or holds what cannot be sent in a header field.
    #[error("line {line} is no token of at least 16 printable ASCII characters without spaces")]
    NotAToken {
        /// The line, from 1 on.
        line: usize,
    },
}

impl Tokens {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, other users may read it, or it holds no token or what is none.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TokenFileError> {
        let path = path.into();
        let hashes = Arc::new(Mutex::new(read(&path)?));
        Ok(Self {
            path: Some(path),
            hashes,
        })
    }

    /// A random one, and its text: 128 bits as 32 hex digits.
    pub fn random() -> (Self, String) {
        let text = UploadId::random().to_string();
        let hashes = Arc::new(Mutex::new([hash(text.as_bytes())].into()));
        (Self { path: None, hashes }, text)
    }

    /// Reads the file, where there is one, again. Until that has succeeded the tokens stay as they are.
    ///
    /// # Errors
    /// As [`Tokens::open`].
    pub fn reload(&self) -> Result<(), TokenFileError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let hashes = read(path)?;
        *self.hashes.lock().unwrap_or_else(PoisonError::into_inner) = hashes;
        Ok(())
    }

    /// Whether the request carries one of them: `Authorization: Bearer TOKEN` (RFC 6750), or as the password of
    /// `Authorization: Basic` (RFC 7617), which browsers ask their user for; the name there does not matter.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], with words that say which of both was missing.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Error> {
        let Some(given) = given(headers) else {
            return Err(Error::Unauthorized {
                how: "send a token, as \"Authorization: Bearer TOKEN\" or as the password of a Basic login",
            });
        };
        match self.holds(&given) {
            true => Ok(()),
            false => Err(Error::Unauthorized {
                how: "the token that came is not known here",
            }),
        }
    }

    /// Compares hashes, all of each and all of them: how long that takes says nothing of how near a guess was.
    fn holds(&self, token: &[u8]) -> bool {
        let hashes = self
            .hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let given = hash(token);
        let differ = |known: &Hash| {
            known
                .iter()
                .zip(&given)
                .fold(0, |all, (a, b)| all | (a ^ b))
        };
        hashes
            .iter()
            .fold(false, |found, known| found | (differ(known) == 0))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = self
            .hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        match &self.path {
            Some(path) => write!(f, "Tokens({many} of {})", path.display()),
            None => write!(f, "Tokens({many} made up)"),
        }
    }
}

fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

fn read(path: &Path) -> Result<Arc<[Hash]>, TokenFileError> {
    const OTHERS: u32 = 0o007;
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.permissions().mode() & OTHERS != 0 && about.is_file() {
        return Err(TokenFileError::OpenToAll);
    }
    let mut text = String::new();
    if file.take(MAX_FILE + 1).read_to_string(&mut text)? as u64 > MAX_FILE {
        return Err(TokenFileError::TooLarge);
    }
    let lines = text.lines().map(str::trim).enumerate();
    let tokens = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let hashes = tokens.map(|(at, token)| {
        let usable =
            token.len() >= MIN_CHARACTERS && token.bytes().all(|byte| byte.is_ascii_graphic());
        usable
            .then(|| hash(token.as_bytes()))
            .ok_or(TokenFileError::NotAToken { line: at + 1 })
    });
    let hashes: Vec<_> = hashes.collect::<Result<_, _>>()?;
    match hashes.is_empty() {
        true => Err(TokenFileError::Empty),
        false => Ok(hashes.into()),
    }
}

/// The token that a request carries, whichever way.
fn given(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, rest) = fields.next()?.to_str().ok()?.split_once(' ')?;
    if fields.next().is_some() {
        return None;
    }
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(rest.into()),
        "basic" => {
            let login = STANDARD.decode(rest).ok()?;
            let colon = login.iter().position(|byte| *byte == b':')?;
            Some(login[colon + 1..].into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct-horse-battery";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn accepts(tokens: &Tokens, lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, line.parse().unwrap());
        }
        tokens.check(&headers).is_ok()
    }

    #[test]
    fn a_token_that_is_made_up_is_taken_and_outlives_a_reload() {
        let (tokens, text) = Tokens::random();
        let line = format!("Bearer {text}");
        assert!(tokens.reload().is_ok() && accepts(&tokens, &[&line]));
        assert!(!accepts(
            &tokens,
            &["Bearer 00112233445566778899aabbccddeeff"]
        ));
        assert!(!format!("{tokens:?}").contains(&text));
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_a_password() {
        let (_folder, path) = file(
            &format!("# office\n\nanother-long-token\n {TOKEN} \r\n"),
            0o600,
        );
        let tokens = Tokens::open(path).unwrap();
        let basic = |login: &str| format!("Basic {}", STANDARD.encode(login));
        for (line, good) in [
            (format!("Bearer {TOKEN}"), true),
            (format!("bearer  {TOKEN} "), true),
            ("Bearer another-long-token".into(), true),
            (basic(&format!("anybody:{TOKEN}")), true),
            (basic(&format!(":{TOKEN}")), true),
            (basic(TOKEN), false),
            (basic(&format!("{TOKEN}:")), false),
            ("Basic !!!".into(), false),
            (format!("Bearer {TOKEN}x"), false),
            (format!("Bearer {}", &TOKEN[1..]), false),
            (format!("Bearer {}", TOKEN.to_uppercase()), false),
            ("Bearer # office".into(), false),
            ("Bearer ".into(), false),
            ("Bearer".into(), false),
            (format!("Token {TOKEN}"), false),
            (TOKEN.into(), false),
        ] {
            assert_eq!(accepts(&tokens, &[&line]), good, "{line}");
        }
        assert!(!accepts(&tokens, &[]));
        let good = format!("Bearer {TOKEN}");
        assert!(!accepts(&tokens, &["Bearer x", &good]) && !accepts(&tokens, &[&good, &good]));
        assert!(!format!("{tokens:?}").contains(TOKEN));
    }

    #[test]
    fn a_file_that_others_may_read_or_that_holds_no_tokens_is_refused_with_words() {
        for (text, mode, words) in [
            (TOKEN, 0o604, "chmod o-rwx"),
            (TOKEN, 0o602, "chmod o-rwx"),
            ("# none\n\n", 0o600, "holds no token"),
            ("# one\nshort\n", 0o600, "line 2 is no token"),
            ("a token with spaces in it\n", 0o600, "line 1"),
            (&"x".repeat(1_048_577), 0o600, "larger than 1 MiB"),
        ] {
            let (_folder, path) = file(text, mode);
            let error = Tokens::open(path).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(
            Tokens::open("/nowhere/tokens")
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
        let (_folder, path) = file(TOKEN, 0o640);
        assert!(Tokens::open(path).is_ok(), "a group may be trusted");
    }

    #[test]
    fn a_reload_changes_the_tokens_of_all_clones_and_a_failed_one_none() {
        let (_folder, path) = file(TOKEN, 0o600);
        let tokens = Tokens::open(&path).unwrap();
        let clone = tokens.clone();
        std::fs::write(&path, "").unwrap();
        assert!(tokens.reload().is_err());
        assert!(accepts(&clone, &[&format!("Bearer {TOKEN}")]));
        std::fs::write(&path, "quite-another-token").unwrap();
        tokens.reload().unwrap();
        assert!(!accepts(&clone, &[&format!("Bearer {TOKEN}")]));
        assert!(accepts(&clone, &["Bearer quite-another-token"]));
    }
}
