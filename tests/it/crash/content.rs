//! Files whose names say what they hold: `WAYNUMBER-LENGTH`, and for a file of a form `.a`, `.b` or `.c` behind it.

use std::sync::OnceLock;

use super::random::Random;
use crate::support::noise;

/// The longest file.
pub(super) const MOST: usize = 64 << 20;
/// Where different files begin in the noise.
const SHIFTS: usize = 2 << 20;

/// A way in, and the first letter of the names that come by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Form,
    Put,
    Tus,
}

impl Way {
    /// The name of a file; `part` for one of a form.
    pub(super) fn name(self, number: usize, length: usize, part: Option<&str>) -> String {
        let way = match self {
            Self::Form => 'f',
            Self::Put => 'p',
            Self::Tus => 't',
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
    let noise = NOISE.get_or_init(|| noise(MOST + SHIFTS));
    let (number, length) = facts(name).unwrap_or_else(|| panic!("a file nobody sent: {name}"));
    let part = name.bytes().last().map_or(0, usize::from);
    let from = (number * 7919 + part * 104_729) % SHIFTS;
    &noise[from..from + length]
}

/// The number and the length that a name tells.
fn facts(name: &str) -> Option<(usize, usize)> {
    let (number, rest) = name.strip_prefix(['f', 'p', 't'])?.split_once('-')?;
    let (length, _) = rest.split_once('.').unwrap_or((rest, ""));
    let length = length.parse().ok().filter(|length| *length <= MOST)?;
    Some((number.parse().ok()?, length))
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
    assert_ne!(content("p3-100"), content("p4-100"));
    for other in ["", "x3-1", "f3", "f-1", "p3-x", "p3-99999999999"] {
        assert_eq!(facts(other), None, "{other:?}");
    }
}
