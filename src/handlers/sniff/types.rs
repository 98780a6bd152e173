//! What a file would be taken for that begins so.

use super::Sniff;

/// What a file that begins with `head` would be taken for.
pub(super) fn type_of(head: &[u8]) -> &'static str {
    if let Some(markup) = markup(head) {
        return markup;
    }
    if is_text(head) && !TEXT_WITH_A_MARK.iter().any(|mark| head.starts_with(mark)) {
        return TEXT;
    }
    match infer::get(head).map_or(UNKNOWN, |kind| kind.mime_type()) {
        office if OLD_OFFICE.contains(&office) => OLE,
        found => found,
    }
}

/// Formats that are readable text and have a mark of their own: PDF, RTF, PostScript, scripts.
const TEXT_WITH_A_MARK: [&[u8]; 4] = [b"%PDF-", b"{\\rtf", b"%!PS", b"#!"];

/// Whatever begins with a tag, a comment or a declaration. Browsers look for a dozen tags (WHATWG MIME Sniffing 7.1),
/// other programs for more, so any tag counts.
fn markup(head: &[u8]) -> Option<&'static str> {
    let begin = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let begin = begin.trim_ascii_start();
    let tag = match begin {
        [b'<', b'!' | b'?' | b'/', ..] => true,
        [b'<', letter, ..] => letter.is_ascii_alphabetic(),
        _ => false,
    };
    let holds = |mark: &[u8]| {
        begin
            .windows(mark.len())
            .any(|at| at.eq_ignore_ascii_case(mark))
    };
    match tag {
        false => None,
        true if holds(b"<html") => Some(HTML),
        true if holds(b"<svg") || holds(b":svg") => Some(SVG),
        true if begin.starts_with(b"<?xml") => Some(XML),
        true => Some(HTML),
    }
}

/// Whether `head` is UTF-8 without NUL; where it was cut off it may end within a character.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(bad) => bad.error_len().is_none() && head.len() == Sniff::HEAD,
    };
    valid && memchr::memchr(0, head).is_none()
}

pub(super) const HTML: &str = "text/html";
pub(super) const XML: &str = "text/xml";
pub(super) const SVG: &str = "image/svg+xml";
pub(super) const TEXT: &str = "text/plain";
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// Word, Excel and PowerPoint before 2007, installers and more share one container, and which of them it is stands
/// at its end. `infer` parses it when built with `std`; we tell the container only.
pub(super) const OLD_OFFICE: [&str; 3] = [
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
];
const OLE: &str = "application/x-ole-storage";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn each_is(cases: &[(&[u8], &str)]) {
        for (head, found) in cases {
            assert_eq!(
                type_of(head),
                *found,
                "{:?}",
                head.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn types_are_found_in_the_bytes() {
        each_is(&[
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"%PDF-1.4\nall of it readable", "application/pdf"),
            (b"PK\x03\x04\x14\0", "application/zip"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
            (b"#!/bin/sh\nrm", "text/x-shellscript"),
            (b"{\\rtf1 hello}", "application/rtf"),
            (b"", TEXT),
            ("Grüße, 料理\n".as_bytes(), TEXT),
            (b"1 < 2, and <3 too", TEXT),
            // Two letters that begin a bitmap, a program, a sound.
            (b"BMW is a car", TEXT),
            (b"MZ Wallace", TEXT),
            (b"ID3 is a tag", TEXT),
            (b"see %PDF for more", TEXT),
            (b"text, then\0nothing readable", UNKNOWN),
            (b"caf\xe9", UNKNOWN),
        ]);
    }

    #[test]
    fn whatever_begins_like_markup_is_markup() {
        each_is(&[
            (b"<!DOCTYPE html><p>", HTML),
            (b" \r\n\t<script>alert(1)</script>", HTML),
            (b"\xef\xbb\xbf<html>", HTML),
            (b"<!-- %PDF-1.4 --><script>", HTML),
            (b"<img src=x onerror=alert(1)>", HTML),
            (b"<b\xff\0%PDF-1.4", HTML),
            (b"<svg xmlns='http://www.w3.org/2000/svg'>", SVG),
            (b"<?xml version='1.0'?><!-- long --><SVG>", SVG),
            (
                b"<?xml version='1.0'?><s:svg xmlns:s='http://www.w3.org/2000/svg'>",
                SVG,
            ),
            (
                b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'>",
                HTML,
            ),
            (b"<?xml version='1.0'?><recipe/>", XML),
        ]);
    }

    proptest! {
        // `infer` looks into containers; no file may stop the thread that carries it.
        #[test]
        fn hostile_heads_are_survived(
            mark in prop::sample::select(vec![
                &b""[..],
                b"PK\x03\x04",
                b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0[Content_Types].xml",
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                b"\0\0\0\x20ftyp",
                b"\xff\xff\xff\xffftypmif1",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..1_024),
        ) {
            type_of(&[mark, &rest].concat());
        }
    }
}
