//! An event stream, taken apart as its bytes come (HTML standard, "Server-sent events").
//!
//! ```text
//! retry: 2000                    how long to wait before one comes back
//!
//! id: 1795356131123456.0         what to say then that one has seen
//! data: {"id":…}                 lines of data make one event …
//!                                … which an empty line ends
//! :                              a comment says that somebody is there
//! ```
//!
//! Whoever sends it may be anybody: what is kept of an event has a bound.

use std::time::Duration;

/// The most bytes of one event, its longest line included: a record tells of a thousand files in less than 1 MiB.
pub(crate) const MOST: usize = 4 * 1024 * 1024;

/// A stream so far.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// The line in the making.
    line: Vec<u8>,
    /// Whether a CR was the last byte: an LF behind it is of the same line's end.
    after_cr: bool,
    /// Whether the first line is behind us, the only one that may begin with a byte order mark.
    begun: bool,
    name: String,
    data: String,
    last_id: Option<String>,
    retry: Option<Duration>,
}

/// What an empty line has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    /// `message` where the stream says no other.
    pub(crate) name: String,
    pub(crate) data: String,
}

/// One event is longer than any record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the server's stream has an event of more than {MOST} bytes")]
pub(crate) struct TooLong;

impl Events {
    /// Goes on with a stream of which `last_id` is known from a line that has broken.
    pub(crate) fn after(last_id: Option<String>) -> Self {
        Self {
            last_id,
            ..Self::default()
        }
    }

    /// What to say as `Last-Event-ID`.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long to wait before coming back, where the stream has said so.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next bytes and gives the events that they end.
    ///
    /// # Errors
    /// [`TooLong`]; nothing can be made of what follows.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut ended = Vec::new();
        for &byte in bytes {
            let belongs_to_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if belongs_to_cr => {}
                b'\n' | b'\r' => ended.extend(self.end_line()),
                _ if self.line.len() + self.data.len() >= MOST => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(ended)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = match std::mem::replace(&mut self.begun, true) {
            false => line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line),
            true => &line,
        };
        if line.is_empty() {
            return self.end_event();
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            _ => {}
        }
    }

    fn end_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        // One LF too many; without any there is no event.
        data.pop()?;
        let name = match name.is_empty() {
            true => "message".to_owned(),
            false => name,
        };
        Some(Event { name, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn a_stream_is_taken_apart_by_the_standards_rules() {
        let cases: &[(&str, &[Event])] = &[
            ("data: a\n\n", &[event("message", "a")]),
            ("data:a\r\ndata:  b\r\n\r\n", &[event("message", "a\n b")]),
            ("data\r\r", &[event("message", "")]),
            (
                "data\n\ndata\ndata\n\ndata:",
                &[event("message", ""), event("message", "\n")],
            ),
            ("event: gone\ndata: {}\n\n", &[event("gone", "{}")]),
            ("event: gone\n\ndata: x\n\n", &[event("message", "x")]),
            (":\n\n:data: x\n\n", &[]),
            ("\u{feff}data: a\n\n", &[event("message", "a")]),
            ("\n\u{feff}data: a\n\n", &[]),
            ("data: a\n", &[]),
            ("other: a\nDATA: b\n\n", &[]),
        ];
        for (stream, events) in cases {
            let taken = Events::default().take(stream.as_bytes()).unwrap();
            assert_eq!(taken, *events, "{stream:?}");
        }
    }

    #[test]
    fn what_was_seen_and_when_to_come_back_are_kept_from_event_to_event() {
        let mut events = Events::after(Some("0".to_owned()));
        let cases: &[(&str, Option<&str>, Option<u64>)] = &[
            ("retry: 2000\n\n", Some("0"), Some(2000)),
            ("id: 7\n", Some("7"), Some(2000)),
            ("data: a\n\n", Some("7"), Some(2000)),
            (
                "id: 8\0\nretry: 1s\nretry:\nretry: -1\n",
                Some("7"),
                Some(2000),
            ),
            ("id\nretry: 0\n", Some(""), Some(0)),
            ("retry: 99999999999999999999\n", Some(""), None),
        ];
        for (stream, id, retry) in cases {
            events.take(stream.as_bytes()).unwrap();
            assert_eq!(events.last_id(), *id, "{stream:?}");
            assert_eq!(
                events.retry(),
                retry.map(Duration::from_millis),
                "{stream:?}"
            );
        }
    }

    #[test]
    fn an_event_without_an_end_is_given_up_at_its_bound() {
        for part in ["x", "data: xxxxxxxxxx\n"] {
            let mut events = Events::default();
            let mut taken = 0;
            let piece = part.repeat(64 * 1024 / part.len());
            while events.take(piece.as_bytes()).is_ok() {
                taken += piece.len();
                assert!(events.line.len() + events.data.len() <= MOST);
                assert!(taken < 2 * MOST, "{part:?}");
            }
            assert!(taken > MOST / 2, "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_what_the_whole_gives(
            lines in prop::collection::vec("(data|event|id|retry|:|\u{feff})?:? ?[a-z0-9é\u{0}]{0,4}(\r|\n|\r\n)", 0..20),
            cuts in prop::collection::vec(0_usize..8, 1..20),
        ) {
            let stream = lines.concat().into_bytes();
            let mut whole = Events::default();
            let all = whole.take(&stream).unwrap();
            let mut pieces = Events::default();
            let (mut taken, mut rest) = (Vec::new(), &*stream);
            for cut in cuts.iter().cycle().take(stream.len() * 20) {
                let (piece, later) = rest.split_at(rest.len().min(*cut));
                taken.extend(pieces.take(piece).unwrap());
                rest = later;
            }
            taken.extend(pieces.take(rest).unwrap());
            prop_assert_eq!(taken, all);
            prop_assert_eq!(pieces.last_id(), whole.last_id());
            prop_assert_eq!(pieces.retry(), whole.retry());
        }

        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = Events::default().take(&bytes);
        }
    }
}
