//! Addresses as people type them.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// An `http` or `https` address, without a fragment and without a password.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Url(Uri);

/// The text is no address that can be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotAUrl {
    /// It is none at all.
    #[error("{0:?} is no address such as http://127.0.0.1:7070/")]
    Malformed(String),
    /// It is of another scheme.
    #[error("{0:?} does not begin with http:// or https://")]
    Scheme(String),
    /// A word in it would be seen by everybody who lists the processes.
    #[error("a password in an address can be read by others: give it by --token-file")]
    Password,
}

impl FromStr for Url {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<Self, NotAUrl> {
        let given = text.split('#').next().unwrap_or_default();
        let malformed = || NotAUrl::Malformed(text.to_owned());
        if !given.contains("://") {
            return Err(NotAUrl::Scheme(text.to_owned()));
        }
        let uri: Uri = given.parse().map_err(|_| malformed())?;
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_known {
            return Err(NotAUrl::Scheme(text.to_owned()));
        }
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(NotAUrl::Password);
        }
        match authority.host().is_empty() {
            true => Err(malformed()),
            false => Ok(Self(uri)),
        }
    }
}

impl Url {
    /// Whether what goes there is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// The host, an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn port(&self) -> u16 {
        let usual = if self.is_https() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(usual)
    }

    /// Host and port as the `Host` field says them.
    pub(crate) fn authority(&self) -> &str {
        self.0.authority().map_or("", Authority::as_str)
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.0.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// The path alone.
    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    /// The same server at another path, which begins with `/`.
    pub(crate) fn at(&self, target: &str) -> Option<Self> {
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = Some(target.parse().ok()?);
        Uri::from_parts(parts).ok().map(Self)
    }

    /// What lies below the path: `files/` below `/up` and `/up/` is `/up/files/`.
    pub(crate) fn below(&self, rest: &str) -> Option<Self> {
        self.at(&format!("{}/{rest}", self.path().trim_end_matches('/')))
    }

    /// Where a `Location` field leads from here: a whole address, or a path. `None` for another server, to which a token
    /// of this one must not go.
    pub(crate) fn leads_to(&self, location: &str) -> Option<Self> {
        // It is printed, perhaps to a terminal.
        if !location.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if location.starts_with('/') && !location.starts_with("//") {
            return self.at(location);
        }
        let other: Self = location.parse().ok()?;
        let same = |url: &Self| (url.is_https(), url.host().to_owned(), url.port());
        (same(&other) == same(self)).then_some(other)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_a_server_and_a_path() {
        for (text, host, port, target) in [
            ("http://a", "a", 80, "/"),
            ("https://a/b?c=d#e", "a", 443, "/b?c=d"),
            ("http://127.0.0.1:7070/up/", "127.0.0.1", 7070, "/up/"),
            ("http://[::1]:7070", "::1", 7070, "/"),
        ] {
            let url = url(text);
            assert_eq!(
                (url.host(), url.port(), url.target()),
                (host, port, target),
                "{text}"
            );
        }
        for text in [
            "",
            "a",
            "a.example/b",
            "/b",
            "ftp://a/",
            "file:///a",
            "http://",
            "http:///b",
            "http://a b/",
            "http://u:p@a/",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_lies_below_keeps_the_path() {
        for (text, below) in [
            ("http://a", "http://a/files/"),
            ("http://a/", "http://a/files/"),
            ("http://a/up", "http://a/up/files/"),
            ("http://a/up/?x=y", "http://a/up/files/"),
        ] {
            assert_eq!(
                url(text).below("files/").unwrap().to_string(),
                below,
                "{text}"
            );
        }
    }

    #[test]
    fn a_location_leads_to_the_same_server_alone() {
        let here = url("http://a:7070/up/files/");
        for (location, leads) in [
            ("/up/files/1", Some("http://a:7070/up/files/1")),
            ("http://a:7070/files/1", Some("http://a:7070/files/1")),
            ("http://a/files/1", None),
            ("https://a:7070/files/1", None),
            ("http://b:7070/files/1", None),
            ("//b/files/1", None),
            ("files/1", None),
            ("/files/\u{9b}2J", None),
            ("/files/\u{7f}", None),
            ("http://a:7070/files/\u{202e}gpj", None),
            ("", None),
        ] {
            let led = here.leads_to(location).map(|url| url.to_string());
            assert_eq!(led.as_deref(), leads, "{location}");
        }
    }
}
