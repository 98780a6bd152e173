//! A checksum of each file, computed as its bytes pass.
//!
//! ```
//! use dumbwaiter::handlers::{Chain, Digest};
//!
//! let mut chain = Chain::default();
//! chain.push(Digest::sha256);
//! ```
//!
//! A digest costs about as much as receiving does, so the binary computes none unless `--digest` asks for it.
//! SHA-256 is what other tools check (`sha256sum`, `Repr-Digest`) and its state can be saved between two requests of
//! one upload; BLAKE3 is faster on a large file, but after an interruption the file is read once more.

use bytes::Bytes;
use sha2::Sha256;
use sha2::digest::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

use crate::error::Error;
use crate::handlers::{Resume, Stop, UploadHandler};
use crate::upload::FileFacts;

/// Puts `algorithm:hex` into [`FileFacts::digest`]: the checksum of the bytes that reach it.
///
/// It counts what its place in the chain lets it see. Behind a handler that changes bytes it tells what is stored,
/// before it what was sent.
#[derive(Clone, Debug)]
pub struct Digest {
    state: State,
}

/// How a [`Digest`] is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// BLAKE3 with its usual 32 bytes of output.
    Blake3,
}

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    // Its tree takes 1.9 KiB, a SHA-256 state a hundred bytes.
    Blake3(Box<blake3::Hasher>),
}

impl Algorithm {
    /// The word before the colon of a digest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }
}

impl Digest {
    /// A handler that computes SHA-256.
    #[must_use]
    pub fn sha256() -> Self {
        Self::new(Algorithm::Sha256)
    }

    /// A handler that computes BLAKE3.
    #[must_use]
    pub fn blake3() -> Self {
        Self::new(Algorithm::Blake3)
    }

    /// A handler that computes `algorithm`.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        };
        Self { state }
    }

    fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Blake3(_) => Algorithm::Blake3,
        }
    }

    fn hex(&self) -> String {
        let hash: [u8; 32] = match &self.state {
            State::Sha256(hasher) => hasher.clone().finalize().into(),
            State::Blake3(hasher) => hasher.finalize().into(),
        };
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl UploadHandler for Digest {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(&chunk),
            State::Blake3(hasher) => {
                hasher.update(&chunk);
            }
        }
        Ok(chunk)
    }

    fn file_complete(&mut self, facts: &mut FileFacts) -> Result<Bytes, Stop> {
        facts.digest = Some(format!("{}:{}", self.algorithm().as_str(), self.hex()));
        Ok(Bytes::new())
    }

    fn resume(&self) -> Resume {
        match &self.state {
            State::Sha256(hasher) => Resume::Saved(hasher.serialize().to_vec()),
            State::Blake3(_) => Resume::Recompute,
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        let State::Sha256(hasher) = &mut self.state else {
            return Err(Error::store("a BLAKE3 state is never saved"));
        };
        *hasher = SerializedState::<Sha256>::try_from(state)
            .ok()
            .and_then(|state| Sha256::deserialize(&state).ok())
            .ok_or_else(|| Error::store("not a saved SHA-256 state"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{Chain, FileHandlers};
    use crate::upload::{FileHead, Owner, Protocol, Upload};

    // As `sha256sum` and `b3sum` print them.
    const CASES: [(Algorithm, &str, &str); 4] = [
        (
            Algorithm::Sha256,
            "",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            Algorithm::Sha256,
            "abc",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            Algorithm::Blake3,
            "",
            "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        ),
        (
            Algorithm::Blake3,
            "abc",
            "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        ),
    ];

    fn begin(algorithm: Algorithm) -> FileHandlers {
        let mut chain = Chain::default();
        chain.push(move || Digest::new(algorithm));
        let upload = Upload::new(Protocol::Put, Owner::from_address([127, 0, 0, 1].into()));
        chain.begin(&upload, &FileHead::default()).0
    }

    fn digest_of(handlers: &mut FileHandlers) -> String {
        let mut facts = FileFacts::default();
        assert!(handlers.complete(&mut facts).unwrap().is_empty());
        facts.digest.unwrap()
    }

    #[test]
    fn digests_are_those_of_the_usual_tools() {
        for (algorithm, text, digest) in CASES {
            let mut handlers = begin(algorithm);
            let passed = handlers.chunk(Bytes::from_static(text.as_bytes())).unwrap();
            assert_eq!(passed, text);
            assert_eq!(digest_of(&mut handlers), digest);
        }
    }

    #[test]
    fn sha256_goes_on_from_a_saved_state_at_any_byte() {
        let bytes = Bytes::from((0..300_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        let mut whole = begin(Algorithm::Sha256);
        whole.chunk(bytes.clone()).unwrap();
        let expected = digest_of(&mut whole);
        for cut in 0..=bytes.len() {
            let mut before = begin(Algorithm::Sha256);
            before.chunk(bytes.slice(..cut)).unwrap();
            let [Resume::Saved(state)] = &before.resume()[..] else {
                panic!("SHA-256 saves its state");
            };
            let mut after = begin(Algorithm::Sha256);
            after.handlers[0].restore(state).unwrap();
            after.chunk(bytes.slice(cut..)).unwrap();
            assert_eq!(digest_of(&mut after), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_state_that_is_not_ours_is_refused() {
        for state in [&b""[..], b"abc", &[0xff; 105], &[0; 4096]] {
            assert!(Digest::sha256().restore(state).is_err(), "{state:?}");
        }
        assert!(Digest::blake3().restore(&[]).is_err());
    }

    #[test]
    fn blake3_asks_to_read_the_file_again() {
        assert_eq!(begin(Algorithm::Blake3).resume(), [Resume::Recompute]);
    }
}
