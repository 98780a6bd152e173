//! Files whose names say what they hold: `WAYNUMBER-LENGTH`, and for a file of a form `.a`, `.b` or `.c` behind it.
//!
//! Of an upload that is put together of two the name has both lengths, `j7-100.20`; `q7-100.20` and `r7-100.20` are its
//! parts.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use super::check::PARTS;
use super::random::Random;
use crate::support::pieces::{self, Pieces};
use crate::support::{form, noise, part};

/// The longest file.
pub(super) const MOST: usize = 64 << 20;
/// Where different files begin in the noise; those of a form further behind.
const SHIFTS: usize = 2 << 20;

/// A way in, and the first letter of the names that come by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Form,
    Put,
    Tus,
    /// In pieces by another protocol.
    Pieces(pieces::Way),
    /// Two parts, and what is put together of them.
    First,
    Second,
    Joined,
}

impl Way {
    /// The name of a file; `part` for one of a form.
    pub(super) fn name(self, number: usize, length: usize, part: Option<&str>) -> String {
        let way = match self {
            Self::Form => 'f',
            Self::Put => 'p',
            Self::Tus => 't',
            Self::Pieces(pieces::Way::Ietf) => 'i',
            Self::Pieces(pieces::Way::Put) => 'u',
            Self::Pieces(pieces::Way::Form) => 'g',
            Self::Pieces(pieces::Way::FilePond) => 'w',
            Self::Pieces(pieces::Way::Dropzone) => 'd',
            Self::First => 'q',
            Self::Second => 'r',
            Self::Joined => 'j',
        };
        let part = part.map(|part| format!(".{part}")).unwrap_or_default();
        format!("{way}{number}-{length}{part}")
    }
}

/// What the file of this name holds.
///
/// # Panics
/// When the name is none that was sent.
pub(super) fn content(name: &str) -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| noise(MOST + 8 * SHIFTS));
    let (from, length) = facts(name).unwrap_or_else(|| panic!("a file nobody sent: {name}"));
    &noise[from..from + length]
}

/// The names of the files that come of an upload in pieces of this name.
pub(super) fn files(name: &str) -> Vec<String> {
    match name.starts_with('g') {
        true => PARTS.map(|part| format!("{name}.{part}")).to_vec(),
        false => vec![name.to_owned()],
    }
}

/// All bytes that it is made of.
pub(super) fn body(name: &str) -> Arc<[u8]> {
    let files = files(name);
    let file = |name: &String| part("f", Some(name), content(name));
    match files.len() {
        1 => content(name).into(),
        _ => {
            let mut parts: Vec<_> = files.iter().map(file).collect();
            parts.insert(1, part("note", None, name.as_bytes()));
            form(&parts).into()
        }
    }
}

/// Creates one with its first bytes.
///
/// # Errors
/// Where the line breaks.
pub(super) fn create(
    server: SocketAddr,
    way: pieces::Way,
    (number, length): (usize, usize),
    first: usize,
) -> io::Result<Pieces> {
    let name = Way::Pieces(way).name(number, length, None);
    let body = body(&name);
    Pieces::create(server, way, name, body, first)
}

/// Whether an upload of this name is a part of another.
pub(super) fn is_part(name: &str) -> bool {
    name.starts_with(['q', 'r'])
}

/// Where in the noise the content of this name is, and how long.
fn facts(name: &str) -> Option<(usize, usize)> {
    let (number, rest) = name.get(1..)?.split_once('-')?;
    let (first, part) = rest.split_once('.').unwrap_or((rest, ""));
    let number: usize = number.parse().ok()?;
    let first: usize = first.parse().ok()?;
    let from = number * 7919 % SHIFTS;
    let (from, length) = match name.as_bytes()[0] {
        b'f' | b'g' => (
            from + part.bytes().last().map_or(0, usize::from) * 104_729,
            first,
        ),
        b'p' | b't' | b'q' | b'i' | b'u' | b'w' | b'd' => (from, first),
        b'r' => (from + first, part.parse().ok()?),
        b'j' => (from, first + part.parse::<usize>().ok()?),
        _ => return None,
    };
    (from + length <= MOST + 8 * SHIFTS).then_some((from, length))
}

/// A length, of nothing to [`MOST`]: most are small, as files are, and some are at the edges of buffers.
pub(super) fn length(random: &mut Random) -> usize {
    match random.below(32) {
        0 | 1 => 0,
        2 => 1,
        3..8 => random.bytes(4 << 10),
        8..12 => (64 << 10) - 1 + random.bytes(2),
        12..24 => random.bytes(600 << 10),
        24..31 => random.bytes(4 << 20),
        _ => MOST - random.bytes(MOST / 2),
    }
}

#[test]
fn a_name_tells_its_content_and_no_two_are_alike() {
    let name = Way::Form.name(3, 100, Some("a"));
    assert_eq!(name, "f3-100.a");
    assert_eq!(content(&name).len(), 100);
    assert_ne!(content("f3-100.a"), content("f3-100.b"));
    let form = Way::Pieces(pieces::Way::Form).name(3, 100, None);
    assert_eq!(files(&form), ["g3-100.a", "g3-100.b", "g3-100.c"]);
    assert_ne!(content("g3-100.a"), content("g3-100.b"));
    assert_ne!(content("p3-100"), content("p4-100"));
    let parts = [content("q3-70.30"), content("r3-70.30")].concat();
    assert_eq!(content("j3-70.30"), parts);
    for other in ["", "x3-1", "f3", "f-1", "p3-x", "p3-99999999999", "r3-1.x"] {
        assert_eq!(facts(other), None, "{other:?}");
    }
}
