//! What a request's head may look like: read line by line, before hyper sees a byte of it.
//!
//! Two programs that disagree about where a request ends let a client smuggle a second one in. So whatever RFC 9112 lets
//! a server refuse is refused here, even where most servers, hyper among them, would guess: each head that passes says
//! in exactly one way how long its body is.

use std::ops::Range;

use http::{Request, Uri, Version, header};
use memchr::memchr;

use crate::error::Error;

/// How large a head may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadLimits {
    /// Bytes, the empty line at its end included; default [`HeadLimits::MAX_BYTES`].
    pub bytes: usize,
    /// Header fields; default [`HeadLimits::MAX_FIELDS`].
    pub fields: usize,
}

impl HeadLimits {
    /// The most bytes that may be asked for. hyper takes no target of more, and buffers several times as much.
    pub const MAX_BYTES: u64 = 64 * 1024;
    /// The most fields that may be asked for: as many as hyper has room for without an allocation.
    pub const MAX_FIELDS: usize = 100;
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            bytes: Self::MAX_BYTES as usize,
            fields: Self::MAX_FIELDS,
        }
    }
}

/// The one protocol for which a connection is given up. Not HTTP/2: in it, requests would go on to the app past all rules.
const WEBSOCKET: &[u8] = b"websocket";

/// Whether the head of `request` was [`Framing::Switch`].
pub(crate) fn asks_to_switch<B>(request: &Request<B>) -> bool {
    let fields = request.headers();
    let mut wanted = fields.get_all(header::UPGRADE).iter();
    request.version() == Version::HTTP_11
        && !fields.contains_key(header::CONTENT_LENGTH)
        && !fields.contains_key(header::TRANSFER_ENCODING)
        && wanted.any(|value| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET))
}

/// What a head says about the body behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// So many bytes; none when it says nothing.
    Length(u64),
    /// Chunks.
    Chunks,
    /// Another protocol, if the answer agrees to it: WebSocket.
    Switch,
}

/// Reads one head, as often as more of it has come.
#[derive(Clone, Default, Debug)]
pub struct Head {
    /// Where the line begins that is not read yet.
    line: usize,
    /// Where the search for its end goes on.
    searched: usize,
    request: Option<RequestLine>,
    fields: usize,
    length: Option<u64>,
    chunks: bool,
    /// Whether it asks for WebSocket.
    websocket: bool,
    /// Where the `Host` field's value stands.
    host: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
struct RequestLine {
    http_1_0: bool,
    /// Where the authority stands in a target in absolute form.
    authority: Option<Range<usize>>,
}

impl Head {
    /// Reads on in `bytes`, which begin where the head does and hold more of it with every call: its length and what
    /// follows it, or `None` when it is not complete.
    ///
    /// # Errors
    /// [`Error::BadRequest`] with the rule that is broken, [`Error::HeadTooLarge`].
    pub fn read(
        &mut self,
        bytes: &[u8],
        limits: HeadLimits,
    ) -> Result<Option<(usize, Framing)>, Error> {
        while let Some(found) = memchr(b'\n', &bytes[self.searched..]) {
            let (start, end) = (self.line, self.searched + found);
            (self.line, self.searched) = (end + 1, end + 1);
            within(limits.bytes, "bytes", self.line)?;
            let line = bytes[start..end].strip_suffix(b"\r");
            // A lone line feed ends a line for some and not for others.
            let line = line.ok_or(bad("a line of its head does not end in CR LF"))?;
            if !line.is_empty() {
                self.take(line, start, limits)?;
            } else if self.request.is_some() {
                return Ok(Some((self.line, self.framing(bytes)?)));
            }
            // Empty lines before the request line are passed over (RFC 9112, 2.2).
        }
        self.searched = bytes.len();
        within(limits.bytes, "bytes", bytes.len())?;
        self.begins_well(bytes)?;
        Ok(None)
    }

    /// What begins as no request can, TLS say, is refused before a line of it has come.
    fn begins_well(&self, bytes: &[u8]) -> Result<(), Error> {
        match bytes.get(self.line) {
            Some(&first) if self.request.is_none() && first != b'\r' && !is_token(first) => {
                Err(bad("it does not begin with a method"))
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, line: &[u8], at: usize, limits: HeadLimits) -> Result<(), Error> {
        // Both make some see an end of line, or of text, where others see none (RFC 9112, 2.2; RFC 9110, 5.5).
        if line.iter().any(|&b| b.is_ascii_control() && b != b'\t') {
            return Err(bad("its head has a control character"));
        }
        if self.request.is_none() {
            self.request = Some(RequestLine::read(line, at)?);
            return Ok(());
        }
        self.fields += 1;
        within(limits.fields, "fields", self.fields)?;
        self.field(line, at)
    }

    fn field(&mut self, line: &[u8], at: usize) -> Result<(), Error> {
        let colon = memchr(b':', line).ok_or(bad("a line of its head has no colon"))?;
        let name = &line[..colon];
        // So a folded line is refused too, and a space before the colon (RFC 9112, 5.1 and 5.2).
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(bad("the name of a header field is malformed"));
        }
        let value = trimmed(line, colon + 1);
        if name.eq_ignore_ascii_case(b"content-length") {
            return self.content_length(&line[value]);
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return self.transfer_encoding(&line[value]);
        }
        if name.eq_ignore_ascii_case(b"upgrade") {
            self.websocket |= line[value.clone()].eq_ignore_ascii_case(WEBSOCKET);
        }
        if name.eq_ignore_ascii_case(b"host") {
            if !line[value.clone()].iter().copied().all(is_authority) {
                return Err(bad("its Host field is malformed"));
            }
            let first = self
                .host
                .replace(at + value.start..at + value.end)
                .is_none();
            return first
                .then_some(())
                .ok_or(bad("it has more than one Host field"));
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Error> {
        const MALFORMED: &str = "its Content-Length is malformed";
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(bad(MALFORMED));
        }
        let length = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        let length: i64 = length.ok_or(bad(MALFORMED))?;
        match self.length.replace(length.unsigned_abs()) {
            None => Ok(()),
            // Even where both are the same: one of those who read it may take them for a list.
            Some(_) => Err(bad("it has more than one Content-Length")),
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Error> {
        if self.chunks || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(bad("its Transfer-Encoding is something else than chunked"));
        }
        self.chunks = true;
        Ok(())
    }

    /// What follows, now that the head is complete and `bytes` begin with it.
    fn framing(&self, bytes: &[u8]) -> Result<Framing, Error> {
        let Some(request) = &self.request else {
            return Err(bad("it has no request line"));
        };
        let host = self.host.clone().map(|at| &bytes[at]);
        match &request.authority {
            _ if host.is_none() && !request.http_1_0 => {
                return Err(bad("it has no Host field"));
            }
            // Who is asked for must not depend on which of the two is read (RFC 9112, 3.2).
            Some(authority)
                if host
                    .is_some_and(|host| !host.eq_ignore_ascii_case(&bytes[authority.clone()])) =>
            {
                return Err(bad("its Host field differs from its target"));
            }
            _ => {}
        }
        match (self.chunks, self.length) {
            (true, Some(_)) => Err(bad("it has both Transfer-Encoding and Content-Length")),
            (true, None) if request.http_1_0 => {
                Err(bad("HTTP/1.0 does not know Transfer-Encoding"))
            }
            (true, None) => Ok(Framing::Chunks),
            (false, None) if self.websocket && !request.http_1_0 => Ok(Framing::Switch),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

impl RequestLine {
    /// Reads `METHOD target HTTP/1.x`, whose words one space parts.
    fn read(line: &[u8], at: usize) -> Result<Self, Error> {
        let mut words = line.split(|&b| b == b' ');
        let all = [words.next(), words.next(), words.next(), words.next()];
        let [Some(method), Some(target), Some(version), None] = all else {
            return Err(bad(
                "its first line is something else than method, target and version",
            ));
        };
        if method.is_empty() || !method.iter().copied().all(is_token) {
            return Err(bad("its method is malformed"));
        }
        let http_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(bad("its version is neither HTTP/1.1 nor HTTP/1.0")),
        };
        let at = at + method.len() + 1;
        let authority = authority(method, target)?.map(|found| at + found.start..at + found.end);
        Ok(Self {
            http_1_0,
            authority,
        })
    }
}

/// Where the authority stands in a target in absolute form. Of the four forms (RFC 9112, 3.2) the one of CONNECT is
/// refused, since nothing here is a tunnel, and `*` is for OPTIONS.
fn authority(method: &[u8], target: &[u8]) -> Result<Option<Range<usize>>, Error> {
    const MALFORMED: &str = "its target is malformed";
    if method == b"CONNECT" {
        return Err(bad("nothing here is a tunnel"));
    }
    if target.starts_with(b"/") {
        // Most targets are plain; the rest is for the parser that reads them later.
        let plain = target.iter().copied().all(is_plain) || is_readable(target);
        return plain.then_some(None).ok_or(bad(MALFORMED));
    }
    if target == b"*" && method == b"OPTIONS" {
        return Ok(None);
    }
    let start = ["http://", "https://"].into_iter().find_map(|scheme| {
        let given = target.get(..scheme.len())?;
        given
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then_some(scheme.len())
    });
    let start = start.ok_or(bad(MALFORMED))?;
    let rest = &target[start..];
    let length = rest.iter().position(|b| b"/?#".contains(b));
    let end = start + length.unwrap_or(rest.len());
    let known = end > start && target[start..end].iter().copied().all(is_authority);
    match known && is_readable(target) {
        true => Ok(Some(start..end)),
        false => Err(bad(MALFORMED)),
    }
}

/// Whether the parser behind us reads the target. It cuts a fragment off, which a target does not have, unread.
fn is_readable(target: &[u8]) -> bool {
    let text = std::str::from_utf8(target).ok();
    text.is_some_and(|text| !text.contains('#') && text.parse::<Uri>().is_ok())
}

/// Where the value behind a colon stands, without the blanks around it.
fn trimmed(line: &[u8], from: usize) -> Range<usize> {
    let inked = |b: &u8| !matches!(b, b' ' | b'\t');
    let start = line[from..].iter().position(inked);
    let start = start.map_or(line.len(), |found| from + found);
    let end = line[start..].iter().rposition(inked);
    start..end.map_or(start, |found| start + found + 1)
}

fn within(limit: usize, what: &'static str, given: usize) -> Result<(), Error> {
    match given > limit {
        true => Err(Error::HeadTooLarge {
            limit: limit as u64,
            what,
        }),
        false => Ok(()),
    }
}

fn bad(what: &'static str) -> Error {
    Error::BadRequest { what }
}

/// A character of a method or of a field's name (RFC 9110, 5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A character of a host and port (RFC 3986, 3.2); `@` is left out, since nobody logs in that way.
fn is_authority(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&b)
}

/// A character that a path and a query may have wherever it stands (RFC 3986, 3.3).
fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"/?-._~%!$&'()*+,;=:@".contains(&b)
}
