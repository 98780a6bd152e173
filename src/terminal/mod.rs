//! The program as a client of a server like itself: `dumbwaiter send` and `dumbwaiter watch`.
//!
//! ```text
//! send   FILE… URL ─► discover ─► create ─► append … append ─► the file's address, on standard output
//!                                   │         └─ broken off: HEAD, and on from there; killed: the next run does the same
//!                                   └─► notes: where the upload is, kept until it is done
//! watch  URL… ──────► stream of records ─► a bar for each, until all have ended
//! ```
//!
//! | file | what |
//! |---|---|
//! | `url.rs`, `http.rs` | addresses as people type them; one request and its answer, also over TLS |
//! | `discover.rs` | what a server offers |
//! | `notes.rs` | where uploads under way are, over restarts |
//! | `screen.rs`, `eta.rs` | bars where there is a terminal, lines where there is none; how long it may take, in words |
//! | `sse.rs` | an event stream, taken apart |
//! | `send.rs`, `send/` | files on their way up |
//! | `watch/` | others' uploads under way |

use std::process::ExitCode;

pub(crate) mod discover;
pub(crate) mod eta;
pub(crate) mod http;
pub(crate) mod notes;
pub(crate) mod screen;
pub(crate) mod send;
pub(crate) mod sse;
pub(crate) mod url;
pub(crate) mod watch;

/// How a command has ended, for scripts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum End {
    /// All is there.
    Well = 0,
    /// Something was refused, has failed or cannot be read: the same command would end so again.
    Refused = 1,
    /// The server could not be reached in time: the same command may do better later.
    Unreachable = 3,
    /// Somebody has pressed Ctrl-C.
    Stopped = 130,
}

impl End {
    /// The worse of two: what another try would not mend goes before what it may.
    pub(crate) fn or_worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused, _) | (_, Self::Refused) => Self::Refused,
            (one, other) => one.max(other),
        }
    }
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(end as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_try_would_not_mend_goes_before_what_it_may() {
        let (well, refused, unreachable) = (End::Well, End::Refused, End::Unreachable);
        for (one, other, worse) in [
            (well, well, well),
            (well, unreachable, unreachable),
            (unreachable, well, unreachable),
            (unreachable, refused, refused),
            (refused, unreachable, refused),
            (refused, well, refused),
        ] {
            assert_eq!(one.or_worse(other), worse, "{one:?} {other:?}");
        }
    }
}
