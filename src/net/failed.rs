//! Why a request to another server has no answer.

use std::time::Duration;

use crate::error::Error;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer, or only the beginning of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// There is no connection to be had: nothing of the request was sent.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// Which server, as it may be shown.
        server: String,
        #[source]
        cause: Cause,
    },
    /// Nothing came, or nothing was taken, for that long.
    #[error("the other server was silent for {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// Whoever sends the request brought nothing more of it for that long.
    #[error("nothing came of the request for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// Nobody waits for the answer any more.
    #[error("nobody waits for the answer any more")]
    Unwanted,
    /// The connection broke off, or what came is no HTTP.
    #[error("the connection broke off")]
    Broken(#[source] Cause),
    /// The answer is larger than it may be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Failed {
    /// What happened and why, for the log.
    pub(crate) fn words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !words.contains(&text) {
                words = format!("{words}: {text}");
            }
            cause = inner.source();
        }
        words
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::TimedOut(time) => Self::AppTimeout {
                seconds: time.as_secs(),
            },
            Failed::Silent(time) => Self::Stalled {
                seconds: time.as_secs(),
            },
            Failed::Unwanted => Self::ClientGone,
            Failed::Unreachable { .. } | Failed::Broken(_) | Failed::TooLarge(_) => {
                Self::AppUnreachable
            }
        }
    }
}
