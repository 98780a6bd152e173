//! The protocol's header fields become types here. What is said in two ways must be the same in both.

use http::{HeaderMap, HeaderName, header};

use super::field::{self, number};
use super::version::{INTEROP, Version};
use crate::error::Error;

/// The content type of bytes that are to be appended ("Media Type application/partial-upload").
pub(super) const PARTIAL: &str = "application/partial-upload";

/// Whether a head below `/files/` is one of this protocol: it says a draft, whether the upload is complete, or that its
/// body is a part of one.
pub(crate) fn is_spoken(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName| headers.contains_key(name);
    [INTEROP, field::COMPLETE, field::INCOMPLETE]
        .iter()
        .any(says)
        || is_partial(headers)
}

/// Whether the request is all of an upload, where it says so: then it can be resumed at a target that takes others too.
pub(crate) fn says_complete(headers: &HeaderMap) -> Option<bool> {
    Version::of(headers).says_complete(headers)
}

/// Whether the body comes under the content type of a part. Parameters are passed over.
fn is_partial(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return false;
    };
    let kind = value.as_bytes().split(|byte| *byte == b';').next();
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(PARTIAL.as_bytes()))
}

/// What a request says of the upload that it begins ("Upload Creation").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Creation {
    /// Whether all of it comes with this request.
    pub complete: bool,
    /// Bytes of the upload in all, where that can be told already.
    pub length: Option<u64>,
    /// The media type that is said of it.
    pub content_type: Option<String>,
}

impl Creation {
    /// Reads it; `declared` is how many bytes the body says to have.
    ///
    /// # Errors
    /// [`Error::BadRequest`], [`Error::LengthMismatch`].
    pub fn of(headers: &HeaderMap, declared: Option<u64>) -> Result<Self, Error> {
        let version = Version::of(headers);
        let said = version.says_complete(headers);
        let complete = said.ok_or(bad("it does not say its Upload-Complete"))?;
        let length = length(headers, 0, declared, complete)?;
        if headers.contains_key(header::CONTENT_RANGE) {
            return Err(bad("a body with Content-Range is not what is appended"));
        }
        let content_type = headers.get(header::CONTENT_TYPE);
        let content_type = content_type.filter(|_| !is_partial(headers));
        Ok(Self {
            complete,
            length,
            content_type: content_type
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        })
    }
}

/// What a PATCH says of the bytes that it brings ("Upload Append").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appending {
    /// Where the client would go on.
    pub offset: u64,
    /// Whether its last byte is the upload's.
    pub complete: bool,
    /// Bytes of the upload in all, where that can be told already.
    pub length: Option<u64>,
}

impl Appending {
    /// Reads it; `declared` is how many bytes the body says to have.
    ///
    /// # Errors
    /// [`Error::WrongContentType`], [`Error::BadRequest`], [`Error::LengthMismatch`].
    pub fn of(headers: &HeaderMap, declared: Option<u64>) -> Result<Self, Error> {
        let version = Version::of(headers);
        if version.typed && !is_partial(headers) {
            return Err(Error::WrongContentType { expected: PARTIAL });
        }
        let offset = number(headers, &field::OFFSET);
        let offset = offset.ok_or(bad("it does not say its Upload-Offset"))?;
        let complete = version
            .says_complete(headers)
            .or(version.unsaid(number(headers, &field::LENGTH)));
        let complete = complete.ok_or(bad("it does not say its Upload-Complete"))?;
        Ok(Self {
            offset,
            complete,
            length: length(headers, offset, declared, complete)?,
        })
    }
}

/// The upload's length: as it is said, or where a body ends that is the last one. Both must be the same ("Length").
fn length(
    headers: &HeaderMap,
    offset: u64,
    declared: Option<u64>,
    complete: bool,
) -> Result<Option<u64>, Error> {
    let end = declared.map(|declared| offset.saturating_add(declared));
    let said = number(headers, &field::LENGTH);
    match (said, end.filter(|_| complete)) {
        (Some(length), Some(given)) if length != given => {
            Err(Error::LengthMismatch { length, given })
        }
        (said, end) => Ok(said.or(end)),
    }
}

fn bad(what: &'static str) -> Error {
    Error::BadRequest { what }
}

#[cfg(test)]
mod tests {
    use super::super::field::tests::headers;
    use super::*;

    fn created(declared: Option<u64>, lines: &str) -> Result<(bool, Option<u64>), &'static str> {
        Creation::of(&headers(lines), declared)
            .map(|creation| (creation.complete, creation.length))
            .map_err(|error| error.code())
    }

    #[test]
    fn whoever_says_something_of_the_protocol_speaks_it() {
        for (lines, spoken, upgrade) in [
            ("upload-complete: ?1", true, true),
            ("upload-complete: nonsense", true, false),
            ("upload-incomplete: ?0", true, false),
            (
                "upload-draft-interop-version: 3\nupload-incomplete: ?0",
                true,
                true,
            ),
            ("upload-draft-interop-version: 6", true, false),
            ("content-type: Application/Partial-Upload; a=b", true, false),
            (
                "content-type: application/offset+octet-stream",
                false,
                false,
            ),
            ("upload-offset: 5\nupload-length: 9", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_spoken(&headers(lines)), spoken, "{lines}");
            assert_eq!(says_complete(&headers(lines)).is_some(), upgrade, "{lines}");
        }
    }

    #[test]
    fn a_creation_says_whether_it_is_complete_and_its_length_follows() {
        for (declared, lines, read) in [
            (Some(9), "upload-complete: ?1", (true, Some(9))),
            (None, "upload-complete: ?1", (true, None)),
            (
                None,
                "upload-complete: ?1\nupload-length: 9",
                (true, Some(9)),
            ),
            (
                Some(9),
                "upload-complete: ?1\nupload-length: 9",
                (true, Some(9)),
            ),
            (
                Some(9),
                "upload-complete: ?1\nupload-length: -9",
                (true, Some(9)),
            ),
            (Some(4), "upload-complete: ?0", (false, None)),
            (
                Some(4),
                "upload-complete: ?0\nupload-length: 9",
                (false, Some(9)),
            ),
            (
                Some(0),
                "upload-complete: ?0\nupload-length: 0",
                (false, Some(0)),
            ),
            (
                Some(3),
                "upload-draft-interop-version: 3\nupload-incomplete: ?0",
                (true, Some(3)),
            ),
        ] {
            assert_eq!(created(declared, lines), Ok(read), "{lines}");
        }
    }

    #[test]
    fn a_creation_with_two_lengths_or_no_word_on_its_end_is_refused() {
        for (declared, lines, code) in [
            (
                Some(9),
                "upload-complete: ?1\nupload-length: 8",
                "length_mismatch",
            ),
            (
                Some(7),
                "upload-complete: ?1\nupload-length: 8",
                "length_mismatch",
            ),
            (Some(9), "upload-length: 9", "bad_request"),
            (Some(9), "upload-complete: yes", "bad_request"),
            (Some(9), "upload-incomplete: ?0", "bad_request"),
            (
                Some(9),
                "upload-draft-interop-version: 3\nupload-complete: ?1",
                "bad_request",
            ),
            (
                Some(9),
                "upload-complete: ?1\ncontent-range: bytes 0-8/9",
                "bad_request",
            ),
        ] {
            assert_eq!(created(declared, lines), Err(code), "{lines}");
        }
    }

    #[test]
    fn the_type_of_a_part_is_not_the_uploads() {
        let kind = |kind: &str| {
            let lines = format!("upload-complete: ?0\ncontent-type: {kind}");
            Creation::of(&headers(&lines), None).unwrap().content_type
        };
        assert_eq!(kind("image/jpeg").as_deref(), Some("image/jpeg"));
        assert_eq!(kind(PARTIAL), None);
    }

    #[test]
    fn a_part_says_where_it_begins_and_whether_it_is_the_last() {
        let appending = |declared, lines: &str| {
            Appending::of(&headers(lines), declared).map_err(|error| error.code())
        };
        let typed = |lines: &str| format!("content-type: {PARTIAL}\n{lines}");
        let draft =
            |number: u8, lines: &str| format!("upload-draft-interop-version: {number}\n{lines}");
        for (declared, lines, complete, length) in [
            (
                Some(4),
                typed("upload-offset: 5\nupload-complete: ?1"),
                true,
                Some(9),
            ),
            (
                None,
                typed("upload-offset: 5\nupload-complete: ?1"),
                true,
                None,
            ),
            (
                Some(2),
                typed("upload-offset: 5\nupload-complete: ?0"),
                false,
                None,
            ),
            (
                Some(2),
                typed("upload-offset: 5\nupload-complete: ?0\nupload-length: 9"),
                false,
                Some(9),
            ),
            (
                Some(4),
                draft(5, "upload-offset: 5\nupload-complete: ?1"),
                true,
                Some(9),
            ),
            (
                Some(4),
                draft(3, "upload-offset: 5\nupload-incomplete: ?1"),
                false,
                None,
            ),
            (
                Some(0),
                draft(5, "upload-offset: 5\nupload-length: 5"),
                false,
                Some(5),
            ),
            // Draft 01, "Upload Appending Procedure": without a word it is the last one.
            (Some(4), draft(3, "upload-offset: 5"), true, Some(9)),
        ] {
            let read = Appending {
                offset: 5,
                complete,
                length,
            };
            assert_eq!(appending(declared, &lines), Ok(read), "{lines}");
        }
        for (lines, code) in [
            (
                "upload-offset: 5\nupload-complete: ?1".to_owned(),
                "wrong_content_type",
            ),
            (
                draft(6, "upload-offset: 5\nupload-complete: ?1"),
                "wrong_content_type",
            ),
            (typed("upload-complete: ?1"), "bad_request"),
            (
                typed("upload-offset: -5\nupload-complete: ?1"),
                "bad_request",
            ),
            (typed("upload-offset: 5"), "bad_request"),
            (draft(5, "upload-offset: 5"), "bad_request"),
            (
                typed("upload-offset: 5\nupload-complete: ?1\nupload-length: 8"),
                "length_mismatch",
            ),
        ] {
            assert_eq!(appending(Some(4), &lines), Err(code), "{lines}");
        }
    }
}
