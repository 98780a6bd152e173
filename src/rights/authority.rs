//! The host and port of a URL, as `Host` and `Origin` write them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host in lower case, without the dot at its end, and the port if one was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// The host of an [`Authority`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Host {
    Address(IpAddr),
    Name(Box<str>),
}

impl Authority {
    /// Reads `name`, `name:80`, `192.0.2.1:80` or `[2001:db8::1]:80`; `None` when it is none of them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                let port = match rest {
                    "" => None,
                    rest => Some(rest.strip_prefix(':')?),
                };
                (Host::Address(IpAddr::V6(address).to_canonical()), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (Host::parse(host)?, Some(port)),
                None => (Host::parse(text)?, None),
            },
        };
        // `host:` is a host with an empty port (RFC 3986, 3.2.3).
        let port = match port {
            None | Some("") => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { host, port })
    }

    /// The port, or the one that `scheme` has by itself.
    pub(crate) fn port_of(&self, scheme: &str) -> Option<u16> {
        self.port.or(match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        })
    }
}

impl Host {
    /// Reads a name or an IPv4 address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || text.len() > 253 || !text.bytes().all(plain) {
            return None;
        }
        Some(match text.parse() {
            Ok(address) => Self::Address(IpAddr::V4(address)),
            Err(_) => Self::Name(text.to_ascii_lowercase().into()),
        })
    }

    /// Whether it leads to the machine that asks, whoever resolves it (RFC 6761, 6.3).
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => &**name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for (text, host, port) in [
            ("a", "a", None),
            ("A.Example.", "a.example", None),
            ("a:80", "a", Some(80)),
            ("a:", "a", None),
            ("127.0.0.1:7070", "127.0.0.1", Some(7070)),
            ("[::1]:7070", "[::1]", Some(7070)),
            ("[::ffff:10.0.0.1]", "10.0.0.1", None),
        ] {
            let read = Authority::parse(text).unwrap();
            assert_eq!(
                (read.host.to_string().as_str(), read.port),
                (host, port),
                "{text}"
            );
        }
        for bad in [
            "", ":80", "a:b", "a:99999", "a:+80", "a b", "a/b", "a@b", "[::1", "[a]", "::1",
            "[::1]x", "ä", "a:1:2",
        ] {
            assert_eq!(Authority::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_by_name_and_address() {
        for (text, loopback) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("app.localhost", true),
            ("127.1.2.3", true),
            ("[::1]", true),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(
                Authority::parse(text).unwrap().host.is_loopback(),
                loopback,
                "{text}"
            );
        }
    }
}
