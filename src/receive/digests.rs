//! What bytes must add up to by the digest fields of HTTP (RFC 9530).
//!
//! `Content-Digest` is about the bytes of one request, whichever way in it takes: its [`Body`](super::Body) adds them up and
//! does not end well unless they fit. `Repr-Digest` is about all bytes of an upload: of one request where that is all
//! there is, else over all of them, with the sums kept in each checkpoint.
//!
//! A field that cannot be read is refused: who asks for a check and would get none must hear of it (RFC 9651, 4.2, leaves
//! that choice). Algorithms that are not known here are passed over (RFC 9530, 2 and 3).

use std::fmt;

use http::{HeaderMap, HeaderName, header};
use sfv::{BareItem, Dictionary, ListEntry, Parser};
use sha2::digest::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Sha256, Sha512};

use crate::error::Error;

/// Over the bytes of one request.
pub(crate) const CONTENT: HeaderName = HeaderName::from_static("content-digest");

/// Over all bytes of an upload.
pub(crate) const REPR: HeaderName = HeaderName::from_static("repr-digest");

/// What one or more algorithms make of some bytes: SHA-256, SHA-512 or both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Digests(Vec<(Algorithm, Vec<u8>)>);

/// Those that are told apart here, in the order in which they are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Digests {
    /// Reads the fields of that name; `None` when there is none, or none of an algorithm that is known here.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when they are no digests.
    pub fn of(headers: &HeaderMap, field: &HeaderName) -> Result<Option<Self>, Error> {
        let mut values = headers.get_all(field).iter();
        let Some(first) = values.next() else {
            return Ok(None);
        };
        let mut all = first.as_bytes().to_vec();
        // Several lines are one list (RFC 9110, 5.3).
        for value in values {
            all.extend_from_slice(b", ");
            all.extend_from_slice(value.as_bytes());
        }
        Self::read(&all)
    }

    /// What the bytes of an upload that outlives its requests must add up to, as it is remembered.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when the field is malformed, or is to come behind the body.
    pub(crate) fn of_upload(headers: &HeaderMap) -> Result<Option<String>, Error> {
        let digests = Self::of(headers, &REPR)?;
        // It would have to be kept from a request on that may break off before it comes.
        if digests.is_none() && is_announced(headers, &REPR) {
            return Err(Error::BadRequest {
                what: "the Repr-Digest of an upload that can be resumed comes in a head, never in a trailer",
            });
        }
        Ok(digests.map(|digests| digests.to_string()))
    }

    /// Reads a field's value.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is none.
    pub fn read(value: &[u8]) -> Result<Option<Self>, Error> {
        let members: Dictionary = Parser::new(value).parse().map_err(|_| malformed())?;
        let mut known = Vec::new();
        for algorithm in Algorithm::ALL {
            match members.get(algorithm.name()) {
                None => {}
                Some(ListEntry::Item(item)) => match &item.bare_item {
                    BareItem::ByteSequence(bytes) if bytes.len() == algorithm.bytes() => {
                        known.push((algorithm, bytes.clone()));
                    }
                    _ => return Err(malformed()),
                },
                Some(ListEntry::InnerList(_)) => return Err(malformed()),
            }
        }
        Ok((!known.is_empty()).then_some(Self(known)))
    }

    fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.0.iter().map(|(algorithm, _)| *algorithm)
    }
}

impl fmt::Display for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (algorithm, bytes)) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}{}", member(algorithm.name(), bytes))?;
        }
        Ok(())
    }
}

/// A digest as a field's member.
fn member(name: &str, bytes: &[u8]) -> String {
    use base64::Engine as _;
    let coded = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("{name}=:{coded}:")
}

fn malformed() -> Error {
    Error::BadRequest {
        what: "a digest field is malformed",
    }
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// Adds up bytes as they come.
#[derive(Clone, Default, Debug)]
pub(super) struct Adding(Vec<Sum>);

#[derive(Clone, Debug)]
enum Sum {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Adding {
    /// Of no bytes yet, to be held against `digests`.
    pub(super) fn towards(digests: &Digests) -> Self {
        let mut adding = Self::default();
        adding.also(digests.algorithms());
        adding
    }

    /// Adds up by these algorithms too. Called before there are bytes.
    fn also(&mut self, algorithms: impl IntoIterator<Item = Algorithm>) {
        for algorithm in algorithms {
            if !self.0.iter().any(|sum| sum.algorithm() == algorithm) {
                self.0.push(Sum::new(algorithm));
            }
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for sum in &mut self.0 {
            match sum {
                Sum::Sha256(sum) => sum.update(bytes),
                Sum::Sha512(sum) => sum.update(bytes),
            }
        }
    }

    /// Says whether the bytes are those of `digests`, all of them.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`].
    pub(super) fn verify(&self, digests: &Digests) -> Result<(), Error> {
        let fits = |(algorithm, expected): &(Algorithm, Vec<u8>)| {
            let mut sums = self.0.iter();
            let sum = sums.find(|sum| sum.algorithm() == *algorithm);
            sum.is_some_and(|sum| sum.clone().finish() == *expected)
        };
        match digests.0.iter().all(fits) {
            true => Ok(()),
            false => Err(Error::DigestMismatch),
        }
    }

    /// How far it is, for a checkpoint: at most 312 bytes.
    pub(super) fn save(&self) -> Vec<u8> {
        self.0.iter().flat_map(Sum::save).collect()
    }

    /// Goes on from there; `None` when `saved` is no such state.
    pub(super) fn restore(digests: &Digests, mut saved: &[u8]) -> Option<Self> {
        let mut sums = Vec::new();
        for algorithm in digests.algorithms() {
            let (sum, rest) = Sum::restore(algorithm, saved)?;
            sums.push(sum);
            saved = rest;
        }
        saved.is_empty().then_some(Self(sums))
    }
}

impl Sum {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(sum) => sum.finalize().to_vec(),
            Self::Sha512(sum) => sum.finalize().to_vec(),
        }
    }

    fn save(&self) -> Vec<u8> {
        match self {
            Self::Sha256(sum) => sum.serialize().to_vec(),
            Self::Sha512(sum) => sum.serialize().to_vec(),
        }
    }

    fn restore(algorithm: Algorithm, saved: &[u8]) -> Option<(Self, &[u8])> {
        match algorithm {
            Algorithm::Sha256 => restored(saved).map(|(sum, rest)| (Self::Sha256(sum), rest)),
            Algorithm::Sha512 => restored(saved).map(|(sum, rest)| (Self::Sha512(sum), rest)),
        }
    }
}

/// A state at the beginning of `saved`, and what is behind it.
fn restored<S: SerializableState>(saved: &[u8]) -> Option<(S, &[u8])> {
    let length = SerializedState::<S>::default().len();
    let (state, rest) = saved.split_at_checked(length)?;
    let state = SerializedState::<S>::try_from(state).ok()?;
    Some((S::deserialize(&state).ok()?, rest))
}

/// What a request's body must add up to, and how far it has.
#[derive(Default, Debug)]
pub(super) struct Checked {
    adding: Adding,
    given: Vec<Digests>,
    /// Fields that stand behind the body.
    behind: Vec<HeaderName>,
}

impl Checked {
    /// Checks by the fields of that name too; says whether there are any. Called before there are bytes.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when they are malformed.
    pub(super) fn also(&mut self, headers: &HeaderMap, field: &HeaderName) -> Result<bool, Error> {
        let given = Digests::of(headers, field)?;
        let is_behind = is_announced(headers, field);
        if let Some(digests) = &given {
            self.adding.also(digests.algorithms());
        }
        if is_behind {
            self.adding.also(Algorithm::ALL);
            self.behind.push(field.clone());
        }
        let any = is_behind || given.is_some();
        self.given.extend(given);
        Ok(any)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.adding.update(bytes);
    }

    /// Says whether all of it fits, at the end of the body.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; [`Error::BadRequest`] when what was announced has not come, or is malformed.
    pub(super) fn verify(&self, trailers: Option<&HeaderMap>) -> Result<(), Error> {
        for digests in &self.given {
            self.adding.verify(digests)?;
        }
        for field in &self.behind {
            if !trailers.is_some_and(|trailers| trailers.contains_key(field)) {
                return Err(Error::BadRequest {
                    what: "the digest that its head announced is not in its trailer",
                });
            }
            let digests = trailers.map(|trailers| Digests::of(trailers, field));
            if let Some(digests) = digests.transpose()?.flatten() {
                self.adding.verify(&digests)?;
            }
        }
        Ok(())
    }
}

/// Whether a head says that this field comes behind the body (RFC 9110, 6.6.2).
fn is_announced(headers: &HeaderMap, field: &HeaderName) -> bool {
    let lists = headers.get_all(header::TRAILER).iter();
    let mut names = lists.flat_map(|list| list.as_bytes().split(|b| *b == b','));
    names.any(|name| {
        name.trim_ascii()
            .eq_ignore_ascii_case(field.as_str().as_bytes())
    })
}

#[cfg(test)]
mod tests;
