//! What clients and the server may do.

use proptest::prelude::*;

/// One step. Uploads are named by their numbers; a step on one that is not there does nothing.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// An upload begins; `None` is of unknown length. It may wait for a word that it is complete.
    Create(Option<u8>, bool),
    /// A request begins and stays open. One of the same upload that is open must let go.
    Begin(usize, At, u8),
    /// The open request brings more.
    Send(usize, u8),
    /// The open request comes to its end.
    End(usize),
    /// The open request's line breaks.
    Cut(usize),
    /// A whole request.
    Append(usize, At, Said),
    /// Somebody asks where the upload stands.
    Head(usize),
    /// Somebody who may ends it.
    Terminate(usize),
    /// Its time is over.
    Expire(usize),
    /// The server stops, and another one takes its place.
    Stop,
    /// The server is gone at once, and another one takes its place.
    Crash,
}

/// Where a request says that it goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// Where the upload stands.
    End,
    /// So many bytes before or behind.
    Off(i64),
}

impl At {
    pub(super) fn offset(self, end: u64) -> u64 {
        match self {
            Self::End => end,
            Self::Off(by) => end.saturating_add_signed(by),
        }
    }
}

/// What a whole request says and brings.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) bytes: u8,
    /// A checksum, right or wrong.
    pub(super) check: Option<bool>,
    /// That the upload ends with it, give or take.
    pub(super) ends: Option<i64>,
    /// That its end is the upload's end, or is not.
    pub(super) last: Option<bool>,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let upload = || 0..3_usize;
    let at = || prop_oneof![6 => Just(At::End), 1 => (-9..9_i64).prop_map(At::Off)];
    let length = prop::option::weighted(0.7, 0..40_u8);
    let ends = prop_oneof![4 => Just(None), 2 => Just(Some(0)), 1 => (-9..9_i64).prop_map(Some)];
    let check = prop::option::weighted(0.3, any::<bool>());
    let last = prop_oneof![2 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let said = (0..20_u8, check, ends, last).prop_map(|(bytes, check, ends, last)| Said {
        bytes,
        check,
        ends,
        last,
    });
    let awaits = prop::bool::weighted(0.3);
    let step = prop_oneof![
        3 => (length, awaits).prop_map(|(length, awaits)| Step::Create(length, awaits)),
        5 => (upload(), at(), 1..12_u8).prop_map(|(upload, at, bytes)| Step::Begin(upload, at, bytes)),
        7 => (upload(), 1..12_u8).prop_map(|(upload, bytes)| Step::Send(upload, bytes)),
        3 => upload().prop_map(Step::End),
        2 => upload().prop_map(Step::Cut),
        5 => (upload(), at(), said).prop_map(|(upload, at, said)| Step::Append(upload, at, said)),
        4 => upload().prop_map(Step::Head),
        1 => upload().prop_map(Step::Terminate),
        1 => upload().prop_map(Step::Expire),
        1 => Just(Step::Stop),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}
