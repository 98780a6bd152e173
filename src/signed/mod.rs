//! What is signed with a key that we and the app share: statements of stored files, words by which the app reports,
//! tickets of the app's.
//!
//! ```text
//! claims ─► Keys::sign ─► header.claims.signature (JWT, RFC 7519) ─► Keys::read ─► the same claims, or Forged
//! ```
//!
//! The algorithm is HS256 and no other, whatever a token says of itself. Each token is for one [`Audience`] and expires,
//! so that what was signed for one purpose opens nothing else (RFC 8725, 3.1 and 3.9).

use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;

mod keys;

pub(crate) use keys::Keys;

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: u64 = 5;

/// The longest token that is read, in bytes.
const MOST: usize = 64 * 1024;

/// For what a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Audience {
    /// Says to the app what a form's files are.
    Statement,
    /// Says to the app that an upload is finished.
    HandOff,
    /// Lets the app report what it does with an upload.
    Phase,
    /// Lets a client upload or watch: the app's.
    Ticket,
}

impl Audience {
    /// The word in `aud`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::HandOff => "hand-off",
            Self::Phase => "phase",
            Self::Ticket => "ticket",
        }
    }
}

/// A token's claims: those that every one has (RFC 7519, 4.1), and its own beside them. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Signed<C> {
    /// Who signed it.
    #[serde(default)]
    pub(crate) iss: String,
    /// For what it is.
    pub(crate) aud: String,
    /// When it was signed.
    #[serde(default)]
    pub(crate) iat: u64,
    /// Until when it counts.
    pub(crate) exp: u64,
    /// Its own name, by which one that is used twice is known.
    #[serde(default)]
    pub(crate) jti: String,
    /// What it says.
    #[serde(flatten)]
    pub(crate) says: C,
}

/// Why a token counts for nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Forged {
    #[error("it is no token")]
    Malformed,
    #[error("it was not signed with a key of this server")]
    Signature,
    #[error("it has expired")]
    Expired,
    #[error("it is for something else")]
    Audience,
}

impl Forged {
    /// In words that a client may see.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Malformed => "it is no token",
            Self::Signature => "it was not signed with a key of this server",
            Self::Expired => "it has expired",
            Self::Audience => "it is for something else",
        }
    }
}

impl Keys {
    /// Signs `says` with the first key, for as long as `lasts`, under a random name.
    ///
    /// # Errors
    /// [`Error::Store`] when the claims cannot be written as JSON.
    pub(crate) fn sign<C: Serialize>(
        &self,
        audience: Audience,
        lasts: Duration,
        says: &C,
    ) -> Result<String, Error> {
        let jti = crate::upload::UploadId::random().to_string();
        self.sign_as(audience, lasts, jti, says)
    }

    /// The same, under a name of its own.
    ///
    /// # Errors
    /// As [`Keys::sign`].
    pub(crate) fn sign_as<C: Serialize>(
        &self,
        audience: Audience,
        lasts: Duration,
        jti: String,
        says: &C,
    ) -> Result<String, Error> {
        let iat = now();
        let claims = Signed {
            iss: "dumbwaiter".to_owned(),
            aud: audience.as_str().to_owned(),
            iat,
            exp: iat.saturating_add(lasts.as_secs().max(1)),
            jti,
            says,
        };
        encode(&Header::new(Algorithm::HS256), &claims, self.signs()).map_err(Error::store)
    }

    /// What a token says, if any of the keys has signed it, for this purpose, and it still counts.
    ///
    /// # Errors
    /// [`Forged`].
    pub(crate) fn read<C: DeserializeOwned>(
        &self,
        token: &str,
        audience: Audience,
    ) -> Result<Signed<C>, Forged> {
        if token.len() > MOST {
            return Err(Forged::Malformed);
        }
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_audience(&[audience.as_str()]);
        rules.set_required_spec_claims(&["exp", "aud"]);
        let mut why = Forged::Signature;
        for key in self.verify() {
            match decode(token, key, &rules) {
                Ok(read) => return Ok(read.claims),
                // Another key may have signed it.
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(error) => why = meaning(error.kind()),
            }
        }
        Err(why)
    }
}

fn meaning(kind: &ErrorKind) -> Forged {
    match kind {
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => Forged::Expired,
        ErrorKind::InvalidAudience => Forged::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Forged::Signature,
        _ => Forged::Malformed,
    }
}

fn now() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_secs()
}

#[cfg(test)]
mod tests;
