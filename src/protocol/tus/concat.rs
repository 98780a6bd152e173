//! `Upload-Concat`: `partial`, or `final;` and where the parts are.

use super::head::CONCAT;
use crate::error::Error;
use crate::upload::{Concat, UploadId};

/// Reads the field's value, with as many parts at most.
///
/// # Errors
/// [`Error::BadRequest`], [`Error::LimitExceeded`]; [`Error::NotFound`] for a part that can be nobody's.
pub fn read(text: &str, most: usize) -> Result<Concat, Error> {
    if text == "partial" {
        return Ok(Concat::Partial);
    }
    let urls = text.strip_prefix("final;").ok_or(CONCAT.bad())?;
    if urls.split(' ').count() > most {
        return Err(Error::LimitExceeded {
            what: "parts in Upload-Concat",
            limit: most as u64,
        });
    }
    let parts = urls.split(' ').map(part).collect::<Result<_, _>>()?;
    Ok(Concat::Final {
        parts,
        given: text.to_owned(),
    })
}

/// The upload at a URL, relative or absolute. What stands before `/files/` is passed over: a proxy may have put another
/// prefix there, and the id alone decides.
fn part(url: &str) -> Result<UploadId, Error> {
    // A list by commas must not pass for its last part.
    if url.is_empty() || url.contains([',', '?', '#']) {
        return Err(CONCAT.bad());
    }
    let (before, id) = url.rsplit_once('/').ok_or(Error::NotFound)?;
    let ours = before == "files" || before.ends_with("/files");
    id.parse().ok().filter(|_| ours).ok_or(Error::NotFound)
}

/// The field's value, as the client gave it.
pub(super) fn echo(concat: &Concat) -> &str {
    match concat {
        Concat::Partial => "partial",
        Concat::Final { given, .. } => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<usize, &'static str> {
        match read(text, 3).map_err(|error| error.code())? {
            Concat::Partial => Ok(0),
            Concat::Final { parts, given } => {
                assert_eq!(given, text);
                Ok(parts.len())
            }
        }
    }

    #[test]
    fn parts_are_named_by_relative_and_absolute_urls() {
        let (a, b) = (UploadId::random(), UploadId::random());
        assert_eq!(parts("partial"), Ok(0));
        for text in [
            format!("final;/files/{a} /files/{b}"),
            format!("final;http://127.0.0.1:7070/files/{a} https://a/up/files/{b}"),
            format!("final;files/{a} /up/files/{a}"),
        ] {
            assert_eq!(parts(&text), Ok(2), "{text}");
        }
    }

    #[test]
    fn what_names_no_part_is_refused() {
        let id = UploadId::random();
        for (text, code) in [
            ("", "bad_request"),
            ("Partial", "bad_request"),
            ("partial;", "bad_request"),
            ("final", "bad_request"),
            ("final;", "bad_request"),
            (&format!("final; /files/{id}"), "bad_request"),
            (&format!("final;/files/{id} "), "bad_request"),
            (&format!("final;/files/{id}  /files/{id}"), "bad_request"),
            (&format!("final;/files/{id},/files/{id}"), "bad_request"),
            (&format!("final;{id}"), "not_found"),
            (&format!("final;/uploads/{id}"), "not_found"),
            (&format!("final;/files/{id}/1"), "not_found"),
            (&format!("final;/files/{id}?a"), "bad_request"),
            ("final;/files/../x", "not_found"),
            (
                &format!("final;{}", vec![format!("/files/{id}"); 4].join(" ")),
                "limit_exceeded",
            ),
        ] {
            assert_eq!(parts(text), Err(code), "{text}");
        }
    }
}
