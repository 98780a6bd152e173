//! How far an upload has come, in one word and in percent.

/// How far an upload has come, in one word (nginx-upload-progress's four and two of ours).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Its head is read, no byte of its body yet.
    Starting,
    /// Bytes are coming.
    Uploading,
    /// The line was cut; what is kept can be resumed.
    Interrupted,
    /// The whole body is here and is being stored, or the app works on it.
    Processing,
    /// Stored and handed over.
    Done,
    /// It ended otherwise, and the record says how.
    Error,
}

impl State {
    /// The word in records, polls and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Uploading => "uploading",
            Self::Interrupted => "interrupted",
            Self::Processing => "processing",
            Self::Done => "done",
            Self::Error => "error",
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Error)
    }

    /// Whether `next` may follow: `starting → uploading ⇄ interrupted → processing → done | error`. An empty body goes
    /// from `starting` to `processing`, and so does an interrupted upload of which the client says that it was whole;
    /// from there a server that stops goes back to `interrupted`. `error` may follow everything that is no end.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match next {
            Self::Starting => false,
            Self::Uploading => matches!(self, Self::Starting | Self::Interrupted),
            Self::Interrupted => matches!(self, Self::Uploading | Self::Processing),
            Self::Processing => {
                matches!(self, Self::Starting | Self::Uploading | Self::Interrupted)
            }
            Self::Done => self == Self::Processing,
            Self::Error => !self.is_end(),
        }
    }
}

impl serde::Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Percent for a person: `floor(100 · offset / length)`, of `received` where nothing can be resumed, at most 99 until
/// `done`; `None` while the length is unknown and for an empty body under way.
#[must_use]
pub fn percent(
    state: State,
    offset: Option<u64>,
    received: u64,
    length: Option<u64>,
) -> Option<u8> {
    if state == State::Done {
        return Some(100);
    }
    let whole = u128::from(length.filter(|length| *length > 0)?);
    let floor = u128::from(offset.unwrap_or(received)) * 100 / whole;
    Some(u8::try_from(floor).map_or(99, |floor| floor.min(99)))
}
