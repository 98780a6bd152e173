//! What a request's bytes must add up to, where its client says so (tus 1.0, "Checksum").
//!
//! What has not been checked is not kept: while a request with a checksum runs no checkpoint is taken, and one that is cut
//! off leaves nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use sha2::digest::Digest as _;

use crate::error::Error;

/// The algorithms, as `Tus-Checksum-Algorithm` lists them.
pub(crate) const ALGORITHMS: &str = "sha1,md5,sha256,crc32";

/// What the bytes of one request add up to, as its client says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Checksum {
    algorithm: Algorithm,
    expected: Vec<u8>,
}

/// Where a client says it.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// In the head.
    Given(Checksum),
    /// In the trailer field of this name, behind the body.
    InTrailer(HeaderName),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Algorithm {
    Sha1,
    Md5,
    Sha256,
    Crc32,
}

impl Checksum {
    /// Reads the value of an `Upload-Checksum` field: an algorithm and, behind a space, the checksum in Base64.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is none, or of an algorithm that is not known here.
    pub(crate) fn parse(value: &str) -> Result<Self, Error> {
        let what = |what| Error::BadRequest { what };
        let (algorithm, encoded) = value
            .trim()
            .split_once(' ')
            .ok_or(what("Upload-Checksum is no algorithm and a checksum"))?;
        let algorithm = Algorithm::named(algorithm)
            .ok_or(what("the algorithm of Upload-Checksum is not known here"))?;
        let expected = STANDARD.decode(encoded.trim()).ok();
        let expected = expected.filter(|bytes| bytes.len() == algorithm.bytes());
        Ok(Self {
            algorithm,
            expected: expected.ok_or(what("the checksum is not one of its algorithm in Base64"))?,
        })
    }
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sha1" => Self::Sha1,
            "md5" => Self::Md5,
            "sha256" => Self::Sha256,
            "crc32" => Self::Crc32,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Md5 => 16,
            Self::Sha256 => 32,
            Self::Crc32 => 4,
        }
    }
}

/// Adds up the bytes of one request as they come.
pub(super) struct Sums {
    check: Check,
    /// One where the head names the algorithm. A trailer names it when the bytes have gone by: then all of them.
    sums: Vec<Sum>,
}

enum Sum {
    Sha1(Sha1),
    Md5(Md5),
    Sha256(Sha256),
    Crc32(crc32fast::Hasher),
}

impl Sums {
    pub(super) fn new(check: Check) -> Self {
        use Algorithm::{Crc32, Md5, Sha1, Sha256};
        let algorithms = match &check {
            Check::Given(checksum) => vec![checksum.algorithm],
            Check::InTrailer(_) => vec![Sha1, Md5, Sha256, Crc32],
        };
        Self {
            check,
            sums: algorithms.into_iter().map(Sum::new).collect(),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for sum in &mut self.sums {
            match sum {
                Sum::Sha1(sum) => sum.update(bytes),
                Sum::Md5(sum) => sum.update(bytes),
                Sum::Sha256(sum) => sum.update(bytes),
                Sum::Crc32(sum) => sum.update(bytes),
            }
        }
    }

    /// Says whether they are the bytes that the client meant, at the end of the body.
    ///
    /// # Errors
    /// [`Error::ChecksumMismatch`]; [`Error::BadRequest`] when the trailer that was to come has not, or is none.
    pub(super) fn verify(self, trailers: Option<&HeaderMap>) -> Result<(), Error> {
        let given = match &self.check {
            Check::Given(checksum) => checksum.clone(),
            Check::InTrailer(name) => in_trailer(trailers, name)?,
        };
        let sums = self.sums.into_iter();
        let mut sums = sums.filter(|sum| sum.algorithm() == given.algorithm);
        match sums.any(|sum| sum.bytes() == given.expected) {
            true => Ok(()),
            false => Err(Error::ChecksumMismatch),
        }
    }
}

fn in_trailer(trailers: Option<&HeaderMap>, name: &HeaderName) -> Result<Checksum, Error> {
    let value = trailers.and_then(|trailers| trailers.get(name));
    let value = value.and_then(|value| value.to_str().ok());
    Checksum::parse(value.ok_or(Error::BadRequest {
        what: "the checksum that its head announced is not in its trailer",
    })?)
}

impl Sum {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha1(_) => Algorithm::Sha1,
            Self::Md5(_) => Algorithm::Md5,
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Crc32(_) => Algorithm::Crc32,
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Sha1(sum) => sum.finalize().to_vec(),
            Self::Md5(sum) => sum.finalize().to_vec(),
            Self::Sha256(sum) => sum.finalize().to_vec(),
            // Big-endian, as the other sums are written.
            Self::Crc32(sum) => sum.finalize().to_be_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "a dish of paella", as `sha1sum`, `md5sum` and `sha256sum` have them in hex, and `gzip` the last one.
    const SUMS: [(&str, &str); 4] = [
        ("sha1", "EsdkJBsEE8lV+RYAhECU8ncI2g0="),
        ("md5", "UBwXc1ECo47K8aGCBXNeAw=="),
        ("sha256", "3wbCD72tX9ewEwo0PYmhBacNLxWQp2mK6z1mDMQSOL4="),
        ("crc32", "UoVTCQ=="),
    ];

    #[test]
    fn sums_are_those_of_the_usual_tools() {
        for (algorithm, encoded) in SUMS {
            let checksum = Checksum::parse(&format!("{algorithm} {encoded}")).unwrap();
            for (bytes, right) in [("a dish of paella", true), ("a dish of paellb", false)] {
                let mut sums = Sums::new(Check::Given(checksum.clone()));
                let (first, rest) = bytes.split_at(7);
                sums.update(first.as_bytes());
                sums.update(rest.as_bytes());
                let verified = sums.verify(None);
                assert_eq!(verified.is_ok(), right, "{algorithm}");
            }
        }
        assert_eq!(SUMS.map(|(name, _)| name).join(","), ALGORITHMS);
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        for value in [
            "",
            "sha1",
            "sha1 ",
            "sha1 !!!",
            "sha1 AAAA",
            "SHA512 AAAA",
            "crc32 AAAAAAA=",
            " ",
            "md5AAAAAAAAAAAAAAAAAAAAAA==",
        ] {
            let error = Checksum::parse(value).unwrap_err();
            assert_eq!(error.code(), "bad_request", "{value:?}");
        }
        assert!(Checksum::parse("crc32  AAAAAA== ").is_ok());
    }
}
