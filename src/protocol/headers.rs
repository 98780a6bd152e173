//! Header text becomes types here; behind this file there are no strings to check again.
//!
//! Clients differ most in how they write a file's name. Browsers send UTF-8 with `"`, CR and LF as `%22`, `%0D`, `%0A`
//! but leave `%` alone, so that decoding would guess (whatwg/html#6282): the name stays as sent. Old Firefox and curl
//! write `\"`, Internet Explorer a whole path with bare backslashes, .NET adds a `filename*` which RFC 7578 §4.2
//! forbids. All of them are read; making a name safe is left to [`crate::name`].

use std::borrow::Cow;

use http::{HeaderMap, header};
use percent_encoding::percent_decode;

use crate::error::Error;

/// The boundary between a form's parts: 1–70 bytes, as its `Content-Type` names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boundary(Box<str>);

impl Boundary {
    /// The most bytes a boundary may have (RFC 2046 §5.1.1).
    pub const MAX_BYTES: usize = 70;

    /// Takes `text` if it may be a boundary: the characters of RFC 2046 §5.1.1 and of an HTTP token (RFC 9110
    /// §5.6.2), spaces only inside.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        let ok = fits && !text.ends_with(b" ") && text.iter().copied().all(is_boundary_byte);
        let text = ok.then(|| std::str::from_utf8(text).ok()).flatten()?;
        Some(Self(text.into()))
    }

    /// The boundary without the dashes that go before it in the body.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_boundary_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+_,-./:=?!#$%&*^`|~".contains(&byte)
}

/// Finds the boundary of the form that a request's head announces, of at most `most` bytes.
///
/// # Errors
/// [`Error::MissingEnctype`] for what a browser sends from a form element without `enctype`, [`Error::NotAForm`] for
/// any other type or none, [`Error::MissingBoundary`] when no boundary, two, or an impossible one is named,
/// [`Error::LimitExceeded`] when it is too long,
/// [`Error::BadRequest`] when there are several `Content-Type` fields.
pub fn form_boundary(headers: &HeaderMap, most: usize) -> Result<Boundary, Error> {
    let value = content_type(headers)?;
    let (kind, parameters) = cut_at(value, b';');
    let kind = kind.trim_ascii();
    // `Multipart/Form-Data` is legal (TRAPS, "Case of Content-Type").
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err(no_form(kind));
    }
    let mut boundary = None;
    for parameter in Parameters(parameters) {
        let (name, value) = parameter.ok_or(Error::MissingBoundary)?;
        if name.eq_ignore_ascii_case(b"boundary") && boundary.replace(value).is_some() {
            return Err(Error::MissingBoundary);
        }
    }
    let most = most.min(Boundary::MAX_BYTES);
    if boundary.as_ref().is_some_and(|text| text.len() > most) {
        return Err(Error::LimitExceeded {
            what: "bytes in the form's boundary",
            limit: most as u64,
        });
    }
    boundary
        .and_then(|text| Boundary::parse(&text))
        .ok_or(Error::MissingBoundary)
}

/// Whether the head announces a form of any kind; one without its files ([`Error::MissingEnctype`]) is one too.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    fields.any(|value| {
        let (kind, _) = cut_at(value.as_bytes(), b';');
        let is = |form: &[u8]| kind.trim_ascii().eq_ignore_ascii_case(form);
        is(b"multipart/form-data") || is(b"application/x-www-form-urlencoded")
    })
}

fn content_type(headers: &HeaderMap) -> Result<&[u8], Error> {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let first = fields.next().map_or(&[][..], http::HeaderValue::as_bytes);
    match fields.next() {
        Some(_) => Err(Error::BadRequest {
            what: "several Content-Type fields",
        }),
        None => Ok(first),
    }
}

fn no_form(kind: &[u8]) -> Error {
    const MOST_SHOWN: usize = 80;
    let is = |other: &str| kind.eq_ignore_ascii_case(other.as_bytes());
    if is("application/x-www-form-urlencoded") || is("text/plain") {
        return Error::MissingEnctype;
    }
    let given = match kind {
        [] => "of no stated type".to_owned(),
        _ => String::from_utf8_lossy(&kind[..kind.len().min(MOST_SHOWN)]).into_owned(),
    };
    Error::NotAForm { given }
}

/// What a part's `Content-Disposition` says: which field it is and, for a file, how the client calls it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Disposition {
    /// The form field.
    pub name: Option<String>,
    /// The file's name as sent, `Some("")` from a file input left empty; `None` when the part is no file.
    pub filename: Option<String>,
}

/// Reads the `Content-Disposition` of a form's part.
///
/// A valid `filename*` goes before `filename`; bytes that are not UTF-8 become U+FFFD. (RFC 7578 §4.2, WHATWG HTML
/// "multipart form data", RFC 8187 for `filename*`.)
///
/// # Errors
/// [`Error::MalformedForm`] when the value is not `form-data`, is cut off, or says `name` or `filename` twice: which of
/// two counts is how filters are by-passed.
pub fn disposition(value: &[u8]) -> Result<Disposition, Error> {
    let (kind, parameters) = cut_at(value, b';');
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Err(malformed("a part's Content-Disposition is not form-data"));
    }
    names(parameters).map_err(|said| match said {
        Unclear::Unread => malformed("a part's Content-Disposition cannot be read"),
        Unclear::Twice => malformed("a part's Content-Disposition says one thing twice"),
    })
}

/// The file's name in the `Content-Disposition` of a whole body, if it says one: `inline` or `attachment` (RFC 6266), read
/// as a part's.
///
/// # Errors
/// [`Error::BadRequest`] when it stands twice, is of another kind, or cannot be read in one way.
pub(crate) fn attached_name(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut fields = headers.get_all(header::CONTENT_DISPOSITION).iter();
    let Some(value) = fields.next() else {
        return Ok(None);
    };
    let (kind, parameters) = cut_at(value.as_bytes(), b';');
    let is = |known: &str| kind.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
    match names(parameters) {
        Ok(said) if fields.next().is_none() && (is("inline") || is("attachment")) => {
            Ok(said.filename.filter(|name| !name.is_empty()))
        }
        _ => Err(Error::BadRequest {
            what: "its Content-Disposition is not one of inline or attachment, or cannot be read",
        }),
    }
}

/// Why parameters have no one meaning.
enum Unclear {
    Unread,
    Twice,
}

fn names(parameters: &[u8]) -> Result<Disposition, Unclear> {
    let (mut name, mut plain, mut extended) = (None, None, None);
    for parameter in Parameters(parameters) {
        let (key, value) = parameter.ok_or(Unclear::Unread)?;
        let is = |known: &str| key.eq_ignore_ascii_case(known.as_bytes());
        let slot = if is("name") {
            &mut name
        } else if is("filename") {
            &mut plain
        } else if is("filename*") {
            &mut extended
        } else {
            continue;
        };
        if slot.replace(value).is_some() {
            return Err(Unclear::Twice);
        }
    }
    let lossy = |value: Cow<'_, [u8]>| String::from_utf8_lossy(&value).into_owned();
    let is_file = plain.is_some() || extended.is_some();
    let filename = extended
        .and_then(|value| extended_value(&value))
        .or(plain.map(lossy));
    Ok(Disposition {
        name: name.map(lossy),
        filename: is_file.then(|| filename.unwrap_or_default()),
    })
}

fn malformed(what: &'static str) -> Error {
    Error::MalformedForm { what }
}

/// The text of `charset'language'percent-encoded` (RFC 8187 §3.2), if it is valid.
fn extended_value(value: &[u8]) -> Option<String> {
    let (charset, rest) = split_once(value, b'\'')?;
    let (_language, encoded) = split_once(rest, b'\'')?;
    let bytes: Vec<u8> = percent_decode(encoded).collect();
    match charset.to_ascii_lowercase().as_slice() {
        b"utf-8" => String::from_utf8(bytes).ok(),
        b"iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

/// The parameters of a header value, from behind the first `;`. An item is `None` where the text cannot be read.
struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<(&'a [u8], Cow<'a, [u8]>)>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some clients end the list with a semicolon.
        while let [b';' | b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
        (!self.0.is_empty()).then(|| self.parameter())
    }
}

impl<'a> Parameters<'a> {
    fn parameter(&mut self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        let text = std::mem::take(&mut self.0);
        let (name, rest) = split_once(text, b'=')?;
        let name = name.trim_ascii();
        if name.is_empty() || name.contains(&b';') {
            return None;
        }
        let (value, rest) = match rest.trim_ascii_start() {
            [b'"', quoted @ ..] => quoted_value(quoted)?,
            plain => {
                let (value, rest) = cut_at(plain, b';');
                (Cow::Borrowed(value.trim_ascii_end()), rest)
            }
        };
        self.0 = rest;
        Some((name, value))
    }
}

/// The value that a quote has opened, and what follows it.
fn quoted_value(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let close = closing_quote(text)?;
    let (value, after) = (&text[..close], text[close + 1..].trim_ascii_start());
    let ends_here = matches!(after, [] | [b';', ..]);
    ends_here.then(|| (unescaped(value), after))
}

/// Where the quoted text ends.
///
/// A backslash escapes only a quote or a backslash, since Internet Explorer sends paths bare. A browser sends the Unix
/// file name `a\` as `"a\"`: when no quote follows an escaped one, that one was the end.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let (mut at, mut escaped) = (0, None);
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += found;
        match text[at..] {
            [b'"', ..] => return Some(at),
            [_, b'"', ..] => {
                escaped = Some(at + 1);
                at += 2;
            }
            [_, b'\\', ..] => at += 2,
            _ => at += 1,
        }
    }
    escaped
}

fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        let escape = *first == b'\\' && matches!(tail, [b'"' | b'\\', ..]);
        rest = if escape { &tail[1..] } else { tail };
        out.push(if escape { tail[0] } else { *first });
    }
    Cow::Owned(out)
}

/// `text` before and behind the first `mark`; without one, all of it and nothing.
fn cut_at(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    split_once(text, mark).unwrap_or((text, &[]))
}

fn split_once(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(mark, text)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary_of(fields: &[&str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::CONTENT_TYPE, field.parse().unwrap());
        }
        form_boundary(&headers, Boundary::MAX_BYTES)
            .map(|boundary| boundary.as_str().to_owned())
            .map_err(|error| error.code())
    }

    #[test]
    fn a_form_names_its_boundary() {
        let long = "b".repeat(70);
        for (value, boundary) in [
            // Chromium, Firefox, curl, .NET, Python.
            (
                "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
                "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            ),
            (
                "multipart/form-data; boundary=----geckoformboundary1f",
                "----geckoformboundary1f",
            ),
            (
                "multipart/form-data; boundary=------------------------d74496d66958873e",
                "------------------------d74496d66958873e",
            ),
            ("multipart/form-data; boundary=\"7c1-4e\"", "7c1-4e"),
            (
                "multipart/form-data; boundary================1==",
                "===============1==",
            ),
            // TRAPS, "Case of Content-Type".
            ("Multipart/Form-Data;BOUNDARY=Ab", "Ab"),
            ("multipart/form-data; charset=utf-8; boundary = b ;", "b"),
            (
                "multipart/form-data; boundary=\"a b:/?\"; x=\";\"",
                "a b:/?",
            ),
            (&format!("multipart/form-data; boundary={long}"), &long),
        ] {
            assert_eq!(boundary_of(&[value]).as_deref(), Ok(boundary), "{value}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused_with_what_is_wrong_with_it() {
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
        for (fields, code) in [
            (
                &["application/x-www-form-urlencoded; charset=UTF-8"][..],
                "missing_enctype",
            ),
            (&["Text/Plain"], "missing_enctype"),
            (&["image/jpeg"], "not_a_form"),
            (&["multipart/mixed; boundary=b"], "not_a_form"),
            (&["multipart/form-data-x; boundary=b"], "not_a_form"),
            (&[], "not_a_form"),
            (&["multipart/form-data"], "missing_boundary"),
            (&["multipart/form-data; boundary="], "missing_boundary"),
            (&["multipart/form-data; boundary=\"\""], "missing_boundary"),
            (&["multipart/form-data; boundary=\"b"], "missing_boundary"),
            (
                &["multipart/form-data; boundary=\"b \""],
                "missing_boundary",
            ),
            (&["multipart/form-data; boundary=b{}"], "missing_boundary"),
            (
                &["multipart/form-data; boundary=b; boundary=c"],
                "missing_boundary",
            ),
            (
                &["multipart/form-data; boundary=b, multipart/form-data; boundary=c"],
                "missing_boundary",
            ),
            (&["multipart/form-data; xboundary=b"], "missing_boundary"),
            (&[&long], "limit_exceeded"),
            (
                &[
                    "multipart/form-data; boundary=b",
                    "multipart/form-data; boundary=b",
                ],
                "bad_request",
            ),
        ] {
            assert_eq!(boundary_of(fields), Err(code), "{fields:?}");
        }
    }

    #[test]
    fn the_type_of_what_is_no_form_is_shown_within_bounds() {
        let given = |value: &[u8]| no_form(value).to_string();
        assert_eq!(
            given(b"image/jpeg"),
            "the body is image/jpeg, not multipart/form-data"
        );
        assert_eq!(
            given(b""),
            "the body is of no stated type, not multipart/form-data"
        );
        assert!(given(&[b'x'; 8000]).len() < 200);
    }

    /// Name and file name, `-` where there is none.
    fn names(value: &[u8]) -> String {
        match disposition(value) {
            Ok(Disposition { name, filename }) => {
                let word = |text: Option<String>| text.unwrap_or("-".into());
                format!("{}, {}", word(name), word(filename))
            }
            Err(error) => error.code().to_owned(),
        }
    }

    #[test]
    fn file_names_are_read_as_every_client_writes_them() {
        // TRAPS, "File names".
        for (value, expected) in [
            (r#"form-data; name="p""#, "p, -"),
            (r#"form-data; name="p"; filename="d.jpg""#, "p, d.jpg"),
            (r#"form-data; filename="d.jpg"; name="p""#, "p, d.jpg"),
            (r#"Form-Data;NAME=p;FileName=d.jpg;"#, "p, d.jpg"),
            (
                r#"form-data; name = p ; filename = "d;e.jpg" "#,
                "p, d;e.jpg",
            ),
            (r#"form-data; name=""; filename="""#, ", "),
            (r#"form-data; filename="d.jpg""#, "-, d.jpg"),
            (
                r#"form-data; name="料理"; filename="寿司.jpg""#,
                "料理, 寿司.jpg",
            ),
            // Browsers write `"`, CR and LF like this and `%` as it is: not decoded.
            (
                r#"form-data; name="p"; filename="a%22b%0D%0A100%.jpg""#,
                "p, a%22b%0D%0A100%.jpg",
            ),
            // Old Firefox and curl.
            (
                r#"form-data; name="a\"b"; filename="c\"d\\e.jpg""#,
                r#"a"b, c"d\e.jpg"#,
            ),
            // Internet Explorer.
            (
                r#"form-data; name="p"; filename="C:\Users\me\d.jpg""#,
                r"p, C:\Users\me\d.jpg",
            ),
            // A Unix file name that ends in a backslash, from a browser.
            (r#"form-data; name="p"; filename="a\""#, r"p, a\"),
            // .NET sends both.
            (
                r#"form-data; name=p; filename="=?utf-8?B?4oKs?="; filename*=utf-8''%E2%82%AC.jpg"#,
                "p, €.jpg",
            ),
            (
                r#"form-data; name=p; filename*=UTF-8'en'%e2%82%ac.jpg"#,
                "p, €.jpg",
            ),
            (
                r#"form-data; name=p; filename*=iso-8859-1''%e9.jpg"#,
                "p, é.jpg",
            ),
            (
                r#"form-data; name=p; filename=x; filename*=utf-8''%ff"#,
                "p, x",
            ),
            (
                r#"form-data; name=p; filename=x; filename*=koi8-r''%c1"#,
                "p, x",
            ),
            (
                r#"form-data; name=p; filename=x; filename*=nonsense"#,
                "p, x",
            ),
            (r#"form-data; name=p; filename*=nonsense"#, "p, "),
            ("form-data; name=p; xfilename=x; name*=utf-8''q", "p, -"),
            ("form-data", "-, -"),
        ] {
            assert_eq!(names(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(names(b"form-data; name=\"\xe9\""), "\u{fffd}, -");
    }

    #[test]
    fn a_disposition_with_two_readings_is_refused() {
        for value in [
            "",
            "attachment; name=p",
            "form-datax; name=p",
            "form-data; name=p; name=q",
            "form-data; name=p; filename=a; FILENAME=b",
            "form-data; name=p; filename*=utf-8''a; filename*=utf-8''b",
            r#"form-data; name="p"#,
            r#"form-data; name="p"x; filename=y"#,
            r#"form-data; name="p\"; filename="y""#,
            "form-data; name",
            "form-data; =p",
            "form-data; x; name=p",
        ] {
            assert_eq!(names(value.as_bytes()), "malformed_form", "{value}");
        }
    }
    #[test]
    fn a_whole_body_is_named_by_its_disposition() {
        let read = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::CONTENT_DISPOSITION, field.parse().unwrap());
            }
            attached_name(&headers).map_err(|error| error.code())
        };
        for (field, name) in [
            (
                "inline; filename*=UTF-8''paella%20%E6%96%99.jpg",
                "paella 料.jpg",
            ),
            ("Attachment; filename=\"a \\\"b.jpg\"", "a \"b.jpg"),
            ("inline; filename=x; filename*=utf-8''y", "y"),
            ("inline; name=n; filename=../x", "../x"),
        ] {
            assert_eq!(read(&[field]), Ok(Some(name.to_owned())), "{field}");
        }
        for field in [
            "inline",
            "attachment; filename=\"\"",
            "inline; filename*=oh",
        ] {
            assert_eq!(read(&[field]), Ok(None), "{field}");
        }
        assert_eq!(read(&[]), Ok(None));
        for fields in [
            &["form-data; filename=x"][..],
            &["inline; filename=x", "inline; filename=x"],
            &["inline; filename=x; filename=y"],
            &["inline; filename=\"x"],
            &[""],
        ] {
            assert_eq!(read(fields), Err("bad_request"), "{fields:?}");
        }
    }
}
