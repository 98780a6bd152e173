//! Where a page comes from, as the `Origin` field says it (RFC 6454, 6.1).

use std::fmt;
use std::str::FromStr;

use super::authority::Authority;

/// A scheme, a host and a port: `https://app.example`, `http://localhost:3000`.
#[derive(Clone, Debug)]
pub struct Origin {
    scheme: Box<str>,
    authority: Authority,
}

/// The text is no origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "an origin such as https://app.example or http://localhost:3000 is expected, without a path"
)]
pub struct NotAnOrigin;

impl Origin {
    /// Whether a page from there and a request for `authority` are of one host and port.
    pub(crate) fn is_at(&self, authority: &Authority) -> bool {
        self.authority.host == authority.host
            && self.authority.port_of(&self.scheme) == authority.port_of(&self.scheme)
    }

    /// Whether it is a page of the machine on which the browser runs.
    pub(crate) fn is_local(&self) -> bool {
        matches!(&*self.scheme, "http" | "https") && self.authority.host.is_loopback()
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.is_at(&other.authority)
    }
}

impl Eq for Origin {}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(NotAnOrigin)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(plain) {
            return Err(NotAnOrigin);
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase().into(),
            authority: Authority::parse(authority).ok_or(NotAnOrigin)?,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority.host)?;
        match self.authority.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Which other origins' pages may send and read: those named, or all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AllowOrigin {
    /// `*`: every page, but without the visitor's cookie or password.
    Any,
    /// This one, with them.
    This(Origin),
}

impl FromStr for AllowOrigin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        match text {
            "*" => Ok(Self::Any),
            text => text.parse().map(Self::This),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_by_scheme_host_and_port() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert_eq!(
            origin("https://app.example"),
            origin("HTTPS://App.Example:443")
        );
        assert_eq!(origin("http://a:80"), origin("http://a"));
        assert_ne!(origin("http://a"), origin("https://a"));
        assert_ne!(origin("http://a"), origin("http://a:8080"));
        assert_ne!(origin("http://a"), origin("http://a.b"));
        for bad in [
            "",
            "null",
            "*",
            "a",
            "//a",
            "://a",
            "http://",
            "http://a/",
            "http://a/b",
            "http://u@a",
            "http://a, http://b",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(NotAnOrigin), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_ours_by_host_and_port_whichever_scheme_a_proxy_took_off() {
        for (origin, host, ours) in [
            ("http://a:7070", "a:7070", true),
            ("http://a", "a", true),
            ("https://a", "a", true),
            ("https://a", "a:443", true),
            ("http://a", "a:7070", false),
            ("http://a:7070", "a", false),
            ("http://a.evil", "a", false),
            ("http://[::1]:7070", "[::1]:7070", true),
        ] {
            let authority = Authority::parse(host).unwrap();
            assert_eq!(
                origin.parse::<Origin>().unwrap().is_at(&authority),
                ours,
                "{origin} {host}"
            );
        }
    }
}
