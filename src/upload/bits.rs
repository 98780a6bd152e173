//! 128 bits that name something, written as 32 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// What our names are made of. Each is a type of its own around it, which decides what `Debug` shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Bits(pub(crate) [u8; 16]);

impl Bits {
    /// Draws new ones from the operating system's random source.
    pub(crate) fn random() -> Self {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).expect("the kernel's random source answers after boot");
        Self(bits)
    }

    /// What follows one-way from `secret`; `kind` keeps images of different kinds apart.
    pub(crate) fn image(kind: &str, secret: impl AsRef<[u8]>) -> Self {
        let hash = Sha256::new()
            .chain_update(format!("dumbwaiter {kind}\0"))
            .chain_update(secret)
            .finalize();
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash[..16]);
        Self(bits)
    }
}

impl fmt::Display for Bits {
    /// They are written several times for each upload, and a formatter for each byte would cost fifty times as much.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(&self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).expect("hex digits are ASCII"))
    }
}

/// The text is not 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an id: 32 lower-case hex digits are expected")]
pub struct NotAnId;

impl FromStr for Bits {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let text: &[u8; 32] = text.as_bytes().try_into().map_err(|_| NotAnId)?;
        let mut bits = [0; 16];
        for (byte, pair) in bits.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bits))
    }
}

fn digit(text: u8) -> Result<u8, NotAnId> {
    match text {
        b'0'..=b'9' => Ok(text - b'0'),
        b'a'..=b'f' => Ok(text - b'a' + 10),
        _ => Err(NotAnId),
    }
}

/// Lets a type around [`Bits`] be written and read as they are.
macro_rules! written_in_hex {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.parse().map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;

            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    };
}
pub(super) use written_in_hex;
