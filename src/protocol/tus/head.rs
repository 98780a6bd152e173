//! tus's header fields become types here. What stands twice, or cannot be read in one way, is refused: nothing is guessed.

use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

use super::concat;
use super::metadata::{self, Metadata};
use crate::error::Error;
use crate::receive::{Check, Checksum};
use crate::upload::Concat;

/// The version that is spoken here.
pub(crate) const VERSION: &str = "1.0.0";

/// The content type of bytes that are to be appended.
pub(super) const BYTES: &str = "application/offset+octet-stream";

/// A header field that stands at most once, and what is said when it cannot be read.
pub(in crate::protocol) struct Field {
    pub(in crate::protocol) name: &'static str,
    malformed: &'static str,
}

pub(super) const RESUMABLE: &str = "tus-resumable";
pub(in crate::protocol) const OFFSET: Field = Field {
    name: "upload-offset",
    malformed: "its Upload-Offset is malformed",
};
pub(in crate::protocol) const LENGTH: Field = Field {
    name: "upload-length",
    malformed: "its Upload-Length is malformed",
};
pub(super) const DEFER_LENGTH: Field = Field {
    name: "upload-defer-length",
    malformed: "its Upload-Defer-Length is something else than 1",
};
pub(super) const METADATA: Field = Field {
    name: "upload-metadata",
    malformed: "its Upload-Metadata is malformed",
};
pub(super) const CONCAT: Field = Field {
    name: "upload-concat",
    malformed: "its Upload-Concat is malformed",
};
const CHECKSUM: Field = Field {
    name: "upload-checksum",
    malformed: "its Upload-Checksum is malformed",
};

impl Field {
    pub(super) fn bad(&self) -> Error {
        Error::BadRequest {
            what: self.malformed,
        }
    }

    /// The field's text; `None` when it is not there.
    fn text<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a str>, Error> {
        let mut values = headers.get_all(self.name).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        match (value.to_str(), values.next()) {
            (Ok(text), None) => Ok(Some(text)),
            _ => Err(self.bad()),
        }
    }

    /// A non-negative integer (tus 1.0, "Upload-Offset", "Upload-Length").
    pub(in crate::protocol) fn number(&self, headers: &HeaderMap) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(headers)? else {
            return Ok(None);
        };
        // `parse` takes a sign too.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.map(Some).ok_or(self.bad())
    }
}

/// Whether the head is one of tus, of whatever version.
pub(crate) fn is_spoken(head: &Parts) -> bool {
    head.headers.contains_key(RESUMABLE)
}

/// Whether it says the version that is spoken here.
///
/// # Errors
/// [`Error::TusVersion`].
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Error> {
    let mut given = headers.get_all(RESUMABLE).iter();
    match (given.next(), given.next()) {
        (Some(version), None) if version == VERSION => Ok(()),
        _ => Err(Error::TusVersion),
    }
}

/// Whether bytes come under their content type. Parameters are passed over: scripts add a charset where they send text.
///
/// # Errors
/// [`Error::WrongContentType`].
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let fits = |value: &http::HeaderValue| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next();
        kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(BYTES.as_bytes()))
    };
    match (given.next(), given.next()) {
        (Some(value), None) if fits(value) => Ok(()),
        _ => Err(Error::WrongContentType { expected: BYTES }),
    }
}

/// What a POST says of the upload that it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Creation {
    /// Bytes in all; `None` when they are said later, or follow from the parts.
    pub length: Option<u64>,
    /// What it is to those with which it is put together.
    pub concat: Option<Concat>,
    /// What the client says of the file.
    pub metadata: Option<Metadata>,
}

impl Creation {
    /// Reads it, with `metadata` bytes of what the client says of the file, and as many `partials`, at most.
    ///
    /// # Errors
    /// [`Error::BadRequest`], [`Error::LimitExceeded`].
    pub fn of(headers: &HeaderMap, metadata: usize, partials: usize) -> Result<Self, Error> {
        let concat = CONCAT.text(headers)?;
        let concat = concat
            .map(|text| concat::read(text, partials))
            .transpose()?;
        let length = LENGTH.number(headers)?;
        let deferred = match DEFER_LENGTH.text(headers)? {
            None => false,
            Some("1") => true,
            Some(_) => return Err(DEFER_LENGTH.bad()),
        };
        let is_final = matches!(concat, Some(Concat::Final { .. }));
        match (is_final, length, deferred) {
            (true, None, false) | (false, Some(_), false) | (false, None, true) => {}
            (true, ..) => return Err(bad("the length of a final upload follows from its parts")),
            (false, ..) => return Err(bad("it needs either Upload-Length or Upload-Defer-Length")),
        }
        let given = METADATA.text(headers)?;
        let metadata = given
            .map(|text| metadata::read(text, metadata))
            .transpose()?;
        Ok(Self {
            length,
            concat,
            metadata,
        })
    }
}

/// What a PATCH says of the bytes that it brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appending {
    /// Where the client would go on.
    pub offset: u64,
    /// Bytes of the upload in all, where that is said only now, or once more.
    pub length: Option<u64>,
}

impl Appending {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::WrongContentType`], [`Error::BadRequest`].
    pub fn of(headers: &HeaderMap) -> Result<Self, Error> {
        check_content_type(headers)?;
        let offset = OFFSET.number(headers)?;
        Ok(Self {
            offset: offset.ok_or(bad("it does not say its Upload-Offset"))?,
            length: LENGTH.number(headers)?,
        })
    }
}

/// What the request's bytes must add up to, if it says so: in its head or, announced there, behind its body.
///
/// # Errors
/// [`Error::BadRequest`].
pub(super) fn check(headers: &HeaderMap) -> Result<Option<Check>, Error> {
    match (CHECKSUM.text(headers)?, is_announced(headers)) {
        (None, false) => Ok(None),
        (None, true) => Ok(Some(Check::InTrailer(HeaderName::from_static(
            CHECKSUM.name,
        )))),
        (Some(text), false) => Ok(Some(Check::Given(Checksum::parse(text)?))),
        (Some(_), true) => Err(bad("its Upload-Checksum would stand in two places")),
    }
}

/// Whether a trailer is announced that tells the checksum (tus 1.0, "checksum-trailer").
fn is_announced(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::TRAILER).iter();
    fields
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|name| {
            name.trim_ascii()
                .eq_ignore_ascii_case(CHECKSUM.name.as_bytes())
        })
}

pub(super) fn bad(what: &'static str) -> Error {
    Error::BadRequest { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines.lines() {
            let (name, value) = line.split_once(':').unwrap();
            let name: http::HeaderName = name.trim().parse().unwrap();
            headers.append(name, value.trim().parse().unwrap());
        }
        headers
    }

    fn created(lines: &str) -> Result<Creation, &'static str> {
        Creation::of(&headers(lines), 100, 3).map_err(|error| error.code())
    }

    #[test]
    fn a_length_is_said_now_or_later_and_never_both() {
        let length = |lines| created(lines).map(|creation| creation.length);
        assert_eq!(length("upload-length: 0"), Ok(Some(0)));
        assert_eq!(length("upload-length: 007"), Ok(Some(7)));
        assert_eq!(
            length("upload-length: 18446744073709551615"),
            Ok(Some(u64::MAX))
        );
        assert_eq!(length("upload-defer-length: 1"), Ok(None));
        for lines in [
            "x: y",
            "upload-length:",
            "upload-length: -1",
            "upload-length: +1",
            "upload-length: 1.0",
            "upload-length: 0x1",
            "upload-length: 1, 1",
            "upload-length: 1\nupload-length: 1",
            "upload-length: 18446744073709551616",
            "upload-length: 1\nupload-defer-length: 1",
            "upload-defer-length: 0",
            "upload-defer-length: 2",
            "upload-defer-length: true",
            "upload-defer-length: 1\nupload-defer-length: 1",
        ] {
            assert_eq!(length(lines), Err("bad_request"), "{lines}");
        }
    }

    #[test]
    fn a_final_upload_says_no_length_and_a_partial_one_does() {
        let id = "0".repeat(32);
        let is_final = format!("upload-concat: final;/files/{id}");
        assert!(created(&is_final).is_ok());
        assert!(created("upload-concat: partial\nupload-length: 1").is_ok());
        assert!(created("upload-concat: partial\nupload-defer-length: 1").is_ok());
        for lines in [
            format!("{is_final}\nupload-length: 1"),
            format!("{is_final}\nupload-defer-length: 1"),
            "upload-concat: partial".to_owned(),
        ] {
            assert_eq!(created(&lines), Err("bad_request"), "{lines}");
        }
    }

    #[test]
    fn bytes_come_at_an_offset_and_under_their_type() {
        let appending = |lines: &str| Appending::of(&headers(lines)).map_err(|error| error.code());
        let typed = |lines: &str| format!("content-type: {BYTES}\n{lines}");
        assert_eq!(
            appending(&typed("upload-offset: 5\nupload-length: 9")),
            Ok(Appending {
                offset: 5,
                length: Some(9)
            })
        );
        let odd = "content-type: Application/Offset+Octet-Stream ; charset=UTF-8\nupload-offset: 0";
        assert!(appending(odd).is_ok());
        for (lines, code) in [
            ("upload-offset: 0", "wrong_content_type"),
            (
                "content-type: application/octet-stream\nupload-offset: 0",
                "wrong_content_type",
            ),
            (
                &typed("content-type: text/plain\nupload-offset: 0"),
                "wrong_content_type",
            ),
            (&typed("x: y"), "bad_request"),
            (&typed("upload-offset: -1"), "bad_request"),
            (&typed("upload-offset: 0\nupload-offset: 0"), "bad_request"),
            (&typed("upload-offset: 0\nupload-length: x"), "bad_request"),
        ] {
            assert_eq!(appending(lines), Err(code), "{lines}");
        }
    }

    #[test]
    fn a_checksum_stands_in_the_head_or_in_an_announced_trailer() {
        let place = |lines| match check(&headers(lines)).map_err(|error| error.code())? {
            None => Ok("nowhere"),
            Some(Check::Given(_)) => Ok("head"),
            Some(Check::InTrailer(name)) => {
                assert_eq!(name, "upload-checksum");
                Ok("trailer")
            }
        };
        for (lines, expected) in [
            ("x: y", "nowhere"),
            ("trailer: expires", "nowhere"),
            ("upload-checksum: crc32 DUoRhQ==", "head"),
            ("trailer: Expires, upload-checksum", "trailer"),
            ("trailer: a\ntrailer: Upload-Checksum", "trailer"),
        ] {
            assert_eq!(place(lines), Ok(expected), "{lines}");
        }
        for lines in [
            "upload-checksum: crc32",
            "upload-checksum:",
            "upload-checksum: crc33 DUoRhQ==",
            "upload-checksum: crc32 DUoRhQ==\nupload-checksum: crc32 DUoRhQ==",
            "upload-checksum: crc32 DUoRhQ==\ntrailer: upload-checksum",
        ] {
            assert_eq!(place(lines), Err("bad_request"), "{lines}");
        }
    }

    #[test]
    fn one_version_is_spoken() {
        let version = |lines| check_version(&headers(lines)).is_ok();
        assert!(version("tus-resumable: 1.0.0"));
        for lines in [
            "x: y",
            "tus-resumable:",
            "tus-resumable: 1.0",
            "tus-resumable: 0.2.2",
            "tus-resumable: 2.0.0",
            "tus-resumable: 1.0.0, 1.0.0",
            "tus-resumable: 1.0.0\ntus-resumable: 1.0.0",
        ] {
            assert!(!version(lines), "{lines}");
        }
    }
}
