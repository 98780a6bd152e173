//! The admin token: who knows it may cancel and delete.

use std::path::Path;
use std::sync::{PoisonError, RwLock};

use anyhow::{Context, ensure};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::upload::UploadId;

/// The fewest characters that a token in a file may have.
const SHORTEST: usize = 16;

/// The tokens that are taken; only their digests are kept, so that comparing them tells nothing by its time.
#[derive(Debug)]
pub(super) struct Tokens(RwLock<Vec<[u8; 32]>>);

impl Tokens {
    /// Those in `file`, one a line.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        Ok(Self(RwLock::new(digests(file)?)))
    }

    /// A random one, and its text: 128 bits as 32 hex digits.
    pub(super) fn random() -> (Self, String) {
        let text = UploadId::random().to_string();
        (Self(RwLock::new(vec![digest(&text)])), text)
    }

    /// Takes those that `file` holds now in the place of the old ones; when it cannot be read the old ones stay.
    pub(super) fn read_again(&self, file: &Path) -> anyhow::Result<()> {
        let new = digests(file)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Whether a request shows one of them: `Authorization: Bearer TOKEN`.
    pub(super) fn are_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = shown else {
            return false;
        };
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(&digest(token.trim()))
    }
}

fn digests(file: &Path) -> anyhow::Result<Vec<[u8; 32]>> {
    let about = || format!("the admin tokens in {}", file.display());
    let text = std::fs::read_to_string(file).with_context(about)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let tokens: Vec<_> = lines.collect();
    ensure!(
        !tokens.is_empty(),
        "{}: there is none: one a line is expected",
        about()
    );
    ensure!(
        tokens.iter().all(|token| token.len() >= SHORTEST),
        "{}: one is shorter than {SHORTEST} characters",
        about()
    );
    Ok(tokens.into_iter().map(digest).collect())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        headers
    }

    #[test]
    fn only_a_known_token_shown_as_bearer_counts() {
        let (tokens, text) = Tokens::random();
        assert!(tokens.are_shown(&headers(&format!("Bearer {text}"))));
        assert!(tokens.are_shown(&headers(&format!("bearer {text}"))));
        for wrong in [&text[..], &format!("Basic {text}"), "Bearer ", "Bearer x"] {
            assert!(!tokens.are_shown(&headers(wrong)), "{wrong}");
        }
        assert!(!tokens.are_shown(&HeaderMap::new()));
    }

    #[test]
    fn a_file_holds_one_token_a_line_and_none_that_is_short() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "first-token-of-two\n\n second-token-of-two \n").unwrap();
        let tokens = Tokens::read(&file).unwrap();
        assert!(tokens.are_shown(&headers("Bearer second-token-of-two")));
        for bad in ["", "\n\n", "short\n", "first-token-of-two\nshort"] {
            std::fs::write(&file, bad).unwrap();
            assert!(tokens.read_again(&file).is_err(), "{bad:?}");
        }
        assert!(tokens.are_shown(&headers("Bearer first-token-of-two")));
        std::fs::write(&file, "a-third-token-instead").unwrap();
        tokens.read_again(&file).unwrap();
        assert!(!tokens.are_shown(&headers("Bearer first-token-of-two")));
        assert!(tokens.are_shown(&headers("Bearer a-third-token-instead")));
    }
}
