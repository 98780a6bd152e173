//! Which types of file are taken, told from their first bytes, not from what the client says.
//!
//! The first [`Sniff::HEAD`] bytes of a file are held back until they decide; then all bytes pass unchanged:
//!
//! ```text
//! chunk "\x89PN"  ─► held   chunk "G\r\n…8 KiB…" ─► image/png: held bytes and chunk go on, later ones untouched
//!                                                ─► text/html: 415 type_not_allowed, nothing of it was stored
//! ```
//!
//! What a file *is* cannot be told from its beginning, only what a browser or viewer would take it for. So the rules are
//! made for doubt: whatever begins like markup is markup, even with a PDF's mark further on; readable text is never a
//! picture, though `BM` begins a bitmap; and types in which a browser runs scripts pass only when named in full.

mod pattern;
mod types;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Refusal};
use crate::handlers::{Resume, Stop, Taken, UploadHandler};
use crate::upload::FileFacts;

pub use self::pattern::{NotATypePattern, TypePattern};
use self::types::{UNKNOWN, type_of};

/// Refuses an upload with `type_not_allowed`, 415, when one of its files is of a type that is not taken, and else sets
/// [`FileFacts::content_type`] to the type that was found.
#[derive(Clone, Debug)]
pub struct Sniff {
    allowed: Arc<[TypePattern]>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Holding(BytesMut),
    Found(Cow<'static, str>),
}

impl Sniff {
    /// The most bytes held back of a file, and the most that decide. As many as `infer` reads of a file.
    pub const HEAD: usize = 8 * 1024;

    /// A handler that takes the types that match one of `patterns`; with none of them it takes no file.
    #[must_use]
    pub fn allow(patterns: impl IntoIterator<Item = TypePattern>) -> Self {
        Self {
            allowed: patterns.into_iter().collect(),
            state: State::Holding(BytesMut::new()),
        }
    }

    fn decide(&mut self, head: &[u8]) -> Result<(), Stop> {
        let head = &head[..head.len().min(Self::HEAD)];
        let found = type_of(head);
        if !self.allowed.iter().any(|pattern| pattern.covers(found)) {
            return Err(self.refusal(found, head.is_empty()).into());
        }
        self.state = State::Found(found.into());
        Ok(())
    }

    fn refusal(&self, found: &str, empty: bool) -> Refusal {
        let found = match found {
            _ if empty => "empty",
            UNKNOWN => "of no known type",
            known => known,
        };
        let taken: Vec<_> = self.allowed.iter().map(TypePattern::as_str).collect();
        let taken = match taken.is_empty() {
            true => "no type is taken here".to_owned(),
            false => format!("taken here: {}", taken.join(", ")),
        };
        Refusal {
            code: "type_not_allowed",
            status: 415,
            message: format!("the file is {found}; {taken}"),
        }
    }
}

impl UploadHandler for Sniff {
    fn takes(&self, files: &mut Taken) {
        files.types.extend(self.allowed.iter().cloned());
    }

    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        let State::Holding(held) = &mut self.state else {
            return Ok(chunk);
        };
        let whole = match held.is_empty() {
            // The usual case: the first chunk is large enough and goes on without a copy.
            true if chunk.len() >= Self::HEAD => chunk,
            _ => {
                held.extend_from_slice(&chunk);
                if held.len() < Self::HEAD {
                    return Ok(Bytes::new());
                }
                std::mem::take(held).freeze()
            }
        };
        self.decide(&whole)?;
        Ok(whole)
    }

    fn file_complete(&mut self, facts: &mut FileFacts) -> Result<Bytes, Stop> {
        let mut held = Bytes::new();
        if let State::Holding(bytes) = &mut self.state {
            held = std::mem::take(bytes).freeze();
            self.decide(&held)?;
        }
        if let State::Found(found) = &self.state {
            facts.content_type = Some(found.to_string());
        }
        Ok(held)
    }

    /// Nothing is stored of a file while its first bytes are held, so the state is those bytes; afterwards it is the
    /// type that was found.
    fn resume(&self) -> Resume {
        Resume::Saved(match &self.state {
            State::Holding(held) => [b"?", &held[..]].concat(),
            State::Found(found) => found.as_bytes().to_vec(),
        })
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        self.state = match state.split_first() {
            Some((b'?', held)) if held.len() < Self::HEAD => State::Holding(held.into()),
            _ => State::Found(saved_type(state)?.into()),
        };
        Ok(())
    }
}

fn saved_type(state: &[u8]) -> Result<String, Error> {
    std::str::from_utf8(state)
        .ok()
        .filter(|text| text.contains('/'))
        .map(str::to_owned)
        .ok_or_else(|| Error::store("not a saved type"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::types::TEXT;
    use super::*;
    use crate::handlers::{Chain, FileHandlers};
    use crate::upload::{FileHead, Owner, Protocol, Upload};

    #[test]
    fn the_types_that_are_taken_are_told_beforehand() {
        let sniff = Sniff::allow(["image/*", "Application/PDF"].map(|text| text.parse().unwrap()));
        let mut files = Taken::default();
        sniff.takes(&mut files);
        let types: Vec<_> = files.types.iter().map(TypePattern::as_str).collect();
        assert_eq!(types, ["image/*", "application/pdf"]);
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    fn begin(patterns: &[&str]) -> FileHandlers {
        let sniff = Sniff::allow(patterns.iter().map(|text| text.parse().unwrap()));
        let mut chain = Chain::default();
        chain.push(move || sniff.clone());
        let owner = Owner::from_address([127, 0, 0, 1].into());
        let upload = Upload::new(Protocol::Form, owner);
        chain.begin(&upload, &FileHead::default()).0
    }

    /// What comes out of a file that arrives as `chunks`, and the type found.
    fn pass(handlers: &mut FileHandlers, chunks: &[&[u8]]) -> Result<(Vec<u8>, String), Stop> {
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend(handlers.chunk(Bytes::copy_from_slice(chunk))?);
        }
        let mut facts = FileFacts {
            content_type: Some("image/x-claimed".into()),
            ..FileFacts::default()
        };
        out.extend(handlers.complete(&mut facts)?.concat());
        Ok((out, facts.content_type.unwrap()))
    }

    fn message(patterns: &[&str], file: &[u8]) -> String {
        match pass(&mut begin(patterns), &[file]).unwrap_err() {
            Stop::Refuse(refusal) => {
                assert_eq!((refusal.code, refusal.status), ("type_not_allowed", 415));
                refusal.message
            }
            Stop::SkipFile => panic!("refused, not skipped"),
        }
    }

    #[test]
    fn text_cut_within_a_character_is_still_text() {
        let mut text = "x".repeat(Sniff::HEAD - 1).into_bytes();
        text.extend_from_slice("é".as_bytes());
        let (out, found) = pass(&mut begin(&["text/plain"]), &[&text]).unwrap();
        assert_eq!((out, found.as_str()), (text, TEXT));
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_is_taken() {
        assert_eq!(
            message(&["image/*", "application/pdf"], b"<html>"),
            "the file is text/html; taken here: image/*, application/pdf"
        );
        assert_eq!(
            message(&["image/*"], b"\0\0"),
            "the file is of no known type; taken here: image/*"
        );
        assert_eq!(
            message(&["image/*"], b""),
            "the file is empty; taken here: image/*"
        );
        assert_eq!(
            message(&[], PNG),
            "the file is image/png; no type is taken here"
        );
    }

    #[test]
    fn nothing_is_let_through_before_the_type_is_known() {
        let mut handlers = begin(&["image/*"]);
        for byte in vec![b'x'; Sniff::HEAD - 1].chunks(1) {
            assert!(
                handlers
                    .chunk(Bytes::copy_from_slice(byte))
                    .unwrap()
                    .is_empty()
            );
        }
        assert!(handlers.chunk(Bytes::from_static(b"x")).is_err());
    }

    #[test]
    fn a_large_first_chunk_goes_on_without_a_copy() {
        let chunk = Bytes::from([PNG, &[0; Sniff::HEAD]].concat());
        let passed = begin(&["image/png"]).chunk(chunk.clone()).unwrap();
        assert_eq!(passed.as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn a_state_that_is_not_ours_is_refused() {
        let too_long = [b"?", &[b'x'; Sniff::HEAD][..]].concat();
        for state in [&b""[..], b"png", b"image/\xff", &too_long] {
            assert!(Sniff::allow([]).restore(state).is_err(), "{state:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_pass_unchanged_however_they_are_cut_and_saved(
            length in 0_usize..20_000,
            cuts in prop::collection::vec(0_usize..20_000, 0..5),
            saved in 0_usize..6,
        ) {
            let file: Vec<u8> = PNG.iter().copied().chain((0..length).map(|i| i as u8)).collect();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(file.len())).collect();
            cuts.extend([0, file.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|at| &file[at[0]..at[1]]).collect();
            let (first, rest) = chunks.split_at(saved.min(chunks.len()));

            let mut before = begin(&["image/*"]);
            let mut out = Vec::new();
            for chunk in first {
                out.extend(before.chunk(Bytes::copy_from_slice(chunk)).unwrap());
            }
            let [Resume::Saved(state)] = &before.resume()[..] else {
                panic!("the state is saved");
            };
            prop_assert!(state.len() <= Sniff::HEAD);
            let mut after = begin(&["image/*"]);
            after.handlers[0].restore(state).unwrap();
            let (last, found) = pass(&mut after, rest).unwrap();
            out.extend(last);
            prop_assert_eq!(out, file);
            prop_assert_eq!(found, "image/png");
        }
    }
}
