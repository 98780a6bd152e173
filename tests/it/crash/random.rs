//! Moments, lengths and choices that no run makes alike.

use dumbwaiter::UploadId;

/// A source of numbers; a run that fails says where it began.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Begins anywhere, or where `CRASH_SEED` says.
    pub(super) fn new() -> Self {
        let seed = std::env::var("CRASH_SEED").map_or_else(
            |_| u64::from_le_bytes(UploadId::random().as_bytes()[..8].try_into().unwrap()),
            |text| text.parse().unwrap(),
        );
        // Shown when the test fails.
        println!("CRASH_SEED={seed}");
        Self(seed | 1)
    }

    /// Another source, for somebody else.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next() | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// True once in `times`.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// An index into something of this length, which is not 0.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// At most `most` bytes, 0 and `most` included.
    pub(super) fn bytes(&mut self, most: usize) -> usize {
        self.index(most + 1)
    }
}
