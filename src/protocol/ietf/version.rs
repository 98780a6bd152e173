//! The protocol's drafts, told apart by `Upload-Draft-Interop-Version`, and all in which they differ.
//!
//! A client that was written against a draft says which one; one of the final protocol says nothing
//! (draft-ietf-httpbis-resumable-upload, "Draft Version Identification").

use http::{HeaderMap, HeaderName, HeaderValue};

use super::field::{self, number};

/// What a request speaks: one row of the table.
#[derive(PartialEq, Eq, Debug)]
pub struct Version {
    /// The number by which it is told; `None` for the final protocol.
    pub number: Option<u8>,
    /// The field that says whether the upload is complete with this message.
    pub complete: Completeness,
    /// Whether bytes that are appended come under a content type of their own.
    pub typed: bool,
    /// The member of `Upload-Limit` that says how many seconds an upload is kept.
    pub age: &'static str,
    /// Whether interim answers tell how far an upload has come.
    pub progress: bool,
    /// Whether a request that completes the upload may be repeated when its answer was lost. Else a problem of its own
    /// says that nothing can be appended.
    pub repeats: bool,
    /// Whether an upload is complete as soon as all of the length is there that was said of it, though its client says that
    /// more is to come. tus-js-client says so with each piece, with the last one and an empty file too, and goes by the
    /// length itself: it would take for complete what waits for a word that never comes.
    pub ends_by_length: bool,
}

/// How a message says whether the upload is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completeness {
    /// `Upload-Complete: ?1`.
    Complete,
    /// `Upload-Incomplete: ?0`; an append that says nothing completes the upload.
    Incomplete,
}

/// The drafts. Those between them that are not here are served as the final protocol is, and so is what comes later.
const DRAFTS: [Version; 6] = [
    Version {
        complete: Completeness::Incomplete,
        typed: false,
        progress: false,
        ..draft(3)
    },
    Version {
        typed: false,
        ends_by_length: true,
        ..draft(5)
    },
    Version {
        age: "expires",
        ends_by_length: true,
        ..draft(6)
    },
    draft(7),
    draft(8),
    Version {
        repeats: true,
        ..draft(9)
    },
];

/// The final protocol.
const FINAL: Version = Version {
    number: None,
    repeats: true,
    ..draft(0)
};

const fn draft(number: u8) -> Version {
    Version {
        number: Some(number),
        complete: Completeness::Complete,
        typed: true,
        age: "max-age",
        progress: true,
        repeats: false,
        ends_by_length: false,
    }
}

/// The field by which a draft is told.
pub(super) const INTEROP: HeaderName = HeaderName::from_static("upload-draft-interop-version");

impl Version {
    /// What a request with these fields speaks.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> &'static Self {
        let said = number(headers, &INTEROP);
        let known = |draft: &&Self| draft.number.map(u64::from) == said;
        DRAFTS
            .iter()
            .find(|draft| said.is_some() && known(draft))
            .unwrap_or(&FINAL)
    }

    /// The field that says whether the upload is complete.
    pub(super) fn field(&self) -> HeaderName {
        match self.complete {
            Completeness::Complete => field::COMPLETE,
            Completeness::Incomplete => field::INCOMPLETE,
        }
    }

    /// What the field says when that is so.
    pub(super) fn word(&self, complete: bool) -> HeaderValue {
        let says = complete == (self.complete == Completeness::Complete);
        HeaderValue::from_static(if says { "?1" } else { "?0" })
    }

    /// What a request says; `None` when it says nothing that can be read.
    #[must_use]
    pub fn says_complete(&self, headers: &HeaderMap) -> Option<bool> {
        let said = field::boolean(headers, &self.field())?;
        Some(said == (self.complete == Completeness::Complete))
    }

    /// How a request ends the upload that says this of it: see [`Append::last`](crate::unfinished::Append::last).
    pub(super) fn last(&self, complete: bool) -> Option<bool> {
        match (complete, self.ends_by_length) {
            (false, true) => None,
            (complete, _) => Some(complete),
        }
    }

    /// What it means when an append does not say whether it is the last one, but perhaps the length of it all.
    pub(super) fn unsaid(&self, length: Option<u64>) -> Option<bool> {
        match self.complete {
            Completeness::Incomplete => Some(true),
            // tus-js-client, at the end of a stream that has told of it too late.
            Completeness::Complete => length.and(self.ends_by_length.then_some(false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &str) -> HeaderMap {
        field::tests::headers(lines)
    }

    #[test]
    fn a_draft_is_told_by_its_number_and_everything_else_is_the_final_protocol() {
        for number in [3, 5, 6, 7, 8, 9] {
            let lines = format!("upload-draft-interop-version: {number}");
            assert_eq!(Version::of(&headers(&lines)).number, Some(number));
        }
        for lines in [
            "x: y",
            "upload-draft-interop-version:",
            "upload-draft-interop-version: 0",
            "upload-draft-interop-version: 2",
            "upload-draft-interop-version: 4",
            "upload-draft-interop-version: 10",
            "upload-draft-interop-version: 262",
            "upload-draft-interop-version: -6",
            "upload-draft-interop-version: 6.0",
            "upload-draft-interop-version: \"6\"",
            "upload-draft-interop-version: 6, 6",
            "upload-draft-interop-version: 6\nupload-draft-interop-version: 6",
        ] {
            assert_eq!(Version::of(&headers(lines)), &FINAL, "{lines}");
        }
    }

    #[test]
    fn completeness_is_said_in_the_fields_own_direction() {
        let version = |number: u8| {
            let lines = format!("upload-draft-interop-version: {number}");
            Version::of(&headers(&lines))
        };
        for (number, lines, said) in [
            (3, "upload-incomplete: ?0", Some(true)),
            (3, "upload-incomplete: ?1", Some(false)),
            (3, "upload-complete: ?1", None),
            (5, "upload-complete: ?1", Some(true)),
            (9, "upload-complete: ?0", Some(false)),
            (9, "upload-incomplete: ?0", None),
            (9, "upload-complete: 1", None),
            (0, "upload-complete: ?1", Some(true)),
        ] {
            let version = version(number);
            assert_eq!(version.says_complete(&headers(lines)), said, "{lines}");
            if let Some(said) = said {
                let word = version.word(said);
                assert!(lines.ends_with(word.to_str().unwrap()), "{lines}");
            }
        }
    }
}
