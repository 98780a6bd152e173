//! The fields by which proxies say for whom they ask: `X-Forwarded-For` and `Forwarded` (RFC 7239).
//!
//! Each proxy adds an entry at the end, for the one that asked it; whatever stands before that came from there and may
//! be made up. So entries are read from the right, for as long as the one who wrote them is trusted:
//!
//! ```text
//! X-Forwarded-For: 6.6.6.6,        203.0.113.9,          10.0.0.2        ◄── peer 10.0.0.1
//!                  made up,        written by 10.0.0.2,  written by 10.0.0.1,
//!                  never read      the client            trusted: go on
//! ```

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Which fields the trusted proxies write. Only one kind is read: the other a proxy passes on as the client made it up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Forwarding {
    /// `X-Forwarded-For`, `-Proto`, `-Host`, as most do.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// One entry; an address that cannot be read is `None`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Hop<'a> {
    pub(super) address: Option<IpAddr>,
    pub(super) proto: Option<Cow<'a, str>>,
    pub(super) host: Option<Cow<'a, str>>,
}

impl Forwarding {
    /// The entries from the right: the peer's first.
    pub(super) fn hops(self, headers: &HeaderMap) -> Vec<Hop<'_>> {
        match self {
            Self::XForwarded => x_forwarded(headers),
            Self::Forwarded => forwarded(headers),
        }
    }
}

/// What the proxy took off the path, as the last one says; not yet checked.
pub(super) fn prefix(headers: &HeaderMap) -> Option<&str> {
    from_right(headers, &PREFIX).next().flatten()
}

/// Whether any proxy on the way says that it was there.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName| {
        matches!(*name, header::FORWARDED | header::VIA)
            || name.as_str().starts_with("x-forwarded-")
    };
    headers.keys().any(says)
}

/// The three fields side by side. One that is shorter than the addresses was not appended to but replaced by the last
/// proxy: its leftmost value counts for all further ones.
fn x_forwarded(headers: &HeaderMap) -> Vec<Hop<'_>> {
    let mut addresses: Vec<_> = from_right(headers, &FOR)
        .map(|entry| entry.and_then(address))
        .collect();
    let (mut protos, mut hosts) = (from_right(headers, &PROTO), from_right(headers, &HOST));
    let (mut proto, mut host) = (None, None);
    if addresses.is_empty() && (headers.contains_key(PROTO) || headers.contains_key(HOST)) {
        addresses.push(None);
    }
    let hop = |address| {
        proto = protos.next().unwrap_or(proto);
        host = hosts.next().unwrap_or(host);
        Hop {
            address,
            proto: proto.map(Cow::Borrowed),
            host: host.map(Cow::Borrowed),
        }
    };
    addresses.into_iter().map(hop).collect()
}

/// A list field's entries from the right, over all its lines; what is no text is `None`.
fn from_right<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let entries = |line: &'a http::HeaderValue| line.as_bytes().rsplit(|byte| *byte == b',');
    let text = |entry| std::str::from_utf8(entry).ok().map(str::trim);
    lines.into_iter().rev().flat_map(entries).map(text)
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`; mapped IPv4 is IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse()
            .ok()
            .map(IpAddr::V6)
    };
    plain()
        .or_else(with_port)
        .or_else(bracketed)
        .map(|address| address.to_canonical())
}

/// A line that breaks the grammar counts as one entry that says nothing: a client's open quote must not lead us past
/// what the proxy wrote behind it.
fn forwarded(headers: &HeaderMap) -> Vec<Hop<'_>> {
    let mut hops = Vec::new();
    for line in headers.get_all(header::FORWARDED) {
        let read = std::str::from_utf8(line.as_bytes()).ok().and_then(elements);
        hops.extend(read.unwrap_or_else(|| vec![Hop::default()]));
    }
    hops.reverse();
    hops
}

fn elements(line: &str) -> Option<Vec<Hop<'_>>> {
    let (mut hops, mut hop, mut rest) = (Vec::new(), Hop::default(), line);
    loop {
        let (name, value, behind) = pair(rest)?;
        match name.to_ascii_lowercase().as_str() {
            "for" => hop.address = address(&value),
            "proto" => hop.proto = Some(value),
            "host" => hop.host = Some(value),
            _ => {}
        }
        let behind = behind.trim_start_matches([' ', '\t']);
        match behind.chars().next() {
            Some(';') => {}
            Some(',') => hops.push(std::mem::take(&mut hop)),
            Some(_) => return None,
            None => {
                hops.push(hop);
                return Some(hops);
            }
        }
        rest = &behind[1..];
    }
}

/// `name=value` or `name="value"`, and what stands behind.
fn pair(text: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let (name, rest) = text.trim_start_matches([' ', '\t']).split_once('=')?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, behind) = unquote(quoted)?;
        return Some((name, value.into(), behind));
    }
    let end = rest.find([',', ';', ' ', '\t']).unwrap_or(rest.len());
    let (value, behind) = rest.split_at(end);
    // `for=192.0.2.1:80` should be quoted; a quote within would make the rest ambiguous.
    let plain = !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"');
    plain.then_some((name, value.into(), behind))
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.chars());
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(way: Forwarding, lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        let name = match way {
            Forwarding::XForwarded => FOR,
            Forwarding::Forwarded => header::FORWARDED,
        };
        for line in lines {
            headers.append(&name, line.parse().unwrap());
        }
        let text = |hop: Hop<'_>| {
            hop.address
                .map_or("-".to_owned(), |address| address.to_string())
        };
        way.hops(&headers).into_iter().map(text).collect()
    }

    #[test]
    fn addresses_are_read_from_the_right_over_all_lines() {
        for (lines, read) in [
            (&[][..], &[][..]),
            (&["192.0.2.1"], &["192.0.2.1"]),
            (&["192.0.2.1:4711"], &["192.0.2.1"]),
            (&["2001:db8::1"], &["2001:db8::1"]),
            (&["[2001:db8::1]"], &["2001:db8::1"]),
            (&["[2001:db8::1]:80"], &["2001:db8::1"]),
            (&["::ffff:192.0.2.1"], &["192.0.2.1"]),
            (
                &["1.1.1.1, 2.2.2.2,3.3.3.3"],
                &["3.3.3.3", "2.2.2.2", "1.1.1.1"],
            ),
            (
                &["1.1.1.1", "2.2.2.2, 3.3.3.3"],
                &["3.3.3.3", "2.2.2.2", "1.1.1.1"],
            ),
            (&["1.1.1.1, "], &["-", "1.1.1.1"]),
            (&["unknown, _hidden, 01.1.1.1"], &["-", "-", "-"]),
            (&["fe80::1%eth0"], &["-"]),
        ] {
            assert_eq!(addresses(Forwarding::XForwarded, lines), read, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_elements_are_read_from_the_right_and_a_broken_line_says_nothing() {
        for (lines, read) in [
            (&["for=192.0.2.1"][..], &["192.0.2.1"][..]),
            (
                &["For=\"[2001:db8::1]:4711\";proto=https"],
                &["2001:db8::1"],
            ),
            (&["proto=http;by=1.1.1.1"], &["-"]),
            (
                &["for=1.1.1.1, for=2.2.2.2;host=a"],
                &["2.2.2.2", "1.1.1.1"],
            ),
            (&["for=1.1.1.1", "for=2.2.2.2"], &["2.2.2.2", "1.1.1.1"]),
            (&["for=unknown"], &["-"]),
            (&["for=\"a, b\", for=2.2.2.2"], &["2.2.2.2", "-"]),
            (&["for=\"1.1.1.\\1\""], &["1.1.1.1"]),
            // What a client sent, before what the proxy added.
            (&["for=6.6.6.6, x=\", for=1.1.1.1"], &["-"]),
            (&["for=\"a, for=\"[2001:db8::1]\""], &["-"]),
            (&["x, for=1.1.1.1"], &["-"]),
            (&["for=1.1.1.1,"], &["-"]),
            (&[""], &["-"]),
        ] {
            assert_eq!(addresses(Forwarding::Forwarded, lines), read, "{lines:?}");
        }
    }

    #[test]
    fn scheme_and_host_stand_beside_the_address_they_belong_to() {
        let mut headers = HeaderMap::new();
        headers.insert(FOR, "9.9.9.9, 1.1.1.1, 10.0.0.2".parse().unwrap());
        headers.insert(PROTO, "https, http".parse().unwrap());
        headers.insert(HOST, "up.example".parse().unwrap());
        let hops = Forwarding::XForwarded.hops(&headers);
        let told: Vec<_> = hops
            .iter()
            .map(|hop| (hop.proto.as_deref(), hop.host.as_deref()))
            .collect();
        let host = Some("up.example");
        assert_eq!(
            told,
            [
                (Some("http"), host),
                (Some("https"), host),
                (Some("https"), host)
            ]
        );
    }
}
