//! Where another server is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, PathAndQuery};

/// Another server, and a path on it: `http://127.0.0.1:8000`, `https://app.example/below`, `unix:/run/app.sock`.
///
/// It holds no password, so that it can be shown as it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Upstream(Arc<Kind>);

#[derive(PartialEq, Eq, Hash, Debug)]
enum Kind {
    /// `http` or `https`.
    Web { tls: bool, uri: Uri },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Where a connection goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    /// A name or an address, an IPv6 address without its brackets.
    Tcp {
        host: String,
        port: u16,
        tls: bool,
    },
    Unix(PathBuf),
}

/// The text names no server.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotAServer {
    #[error(
        "{0:?} is no address such as http://127.0.0.1:8000, https://app.example or unix:/run/app.sock"
    )]
    Malformed(String),
    #[error(
        "an address must not hold a name or a password: whoever lists the processes would see it"
    )]
    Password,
    #[error("the path of a unix socket must be absolute, as in unix:/run/app.sock")]
    Relative,
}

impl FromStr for Upstream {
    type Err = NotAServer;

    fn from_str(text: &str) -> Result<Self, NotAServer> {
        let malformed = || NotAServer::Malformed(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return match path.is_absolute() {
                true => Ok(Self(Arc::new(Kind::Unix(path)))),
                false => Err(NotAServer::Relative),
            };
        }
        let authority = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(NotAServer::Password);
        }
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(malformed()),
        };
        let named = uri.host().is_some_and(|host| !host.is_empty());
        // A number that is no port reads as none at all.
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let lost = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty();
        let whole = !text.contains('#') && (!lost || uri.port_u16().is_some_and(|port| port > 0));
        match named && whole {
            true => Ok(Self(Arc::new(Kind::Web { tls, uri }))),
            false => Err(malformed()),
        }
    }
}

impl Upstream {
    /// Where a connection to it goes.
    pub(crate) fn address(&self) -> Address {
        match &*self.0 {
            Kind::Unix(path) => Address::Unix(path.clone()),
            Kind::Web { tls, uri } => {
                let host = uri.host().unwrap_or_default();
                let host = host.trim_start_matches('[').trim_end_matches(']');
                Address::Tcp {
                    host: host.to_owned(),
                    port: uri.port_u16().unwrap_or(if *tls { 443 } else { 80 }),
                    tls: *tls,
                }
            }
        }
    }

    /// What `Host` says where a request has none of its own.
    pub(super) fn authority(&self) -> &str {
        match &*self.0 {
            Kind::Web { uri, .. } => uri.authority().map_or("", Authority::as_str),
            Kind::Unix(_) => "localhost",
        }
    }

    /// Its own path and query.
    pub(crate) fn target(&self) -> PathAndQuery {
        let own = match &*self.0 {
            Kind::Web { uri, .. } => uri.path_and_query().cloned(),
            Kind::Unix(_) => None,
        };
        own.unwrap_or_else(|| PathAndQuery::from_static("/"))
    }

    /// Its own path alone, without a slash at the end: empty, or what everything on it begins with.
    pub(crate) fn base(&self) -> &str {
        match &*self.0 {
            Kind::Web { uri, .. } => uri.path().trim_end_matches('/'),
            Kind::Unix(_) => "",
        }
    }

    /// Its own query, which a server that is asked for other paths has no use for.
    pub(crate) fn query(&self) -> Option<&str> {
        match &*self.0 {
            Kind::Web { uri, .. } => uri.query(),
            Kind::Unix(_) => None,
        }
    }

    /// What a path and its query are called there: below its own path.
    pub(crate) fn below(&self, asked: &PathAndQuery) -> PathAndQuery {
        match self.base() {
            "" => asked.clone(),
            base => {
                let joined = PathAndQuery::try_from(format!("{base}{asked}"));
                joined.unwrap_or_else(|_| asked.clone())
            }
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Unix(path) => write!(f, "unix:{}", path.display()),
            Kind::Web { uri, .. } => write!(
                f,
                "{}://{}{}",
                uri.scheme_str().unwrap_or_default(),
                self.authority(),
                self.base()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Upstream, NotAServer> {
        text.parse()
    }

    #[test]
    fn a_server_is_read_with_its_path_and_shown_without_its_query() {
        let tcp = |host: &str, port, tls| Address::Tcp {
            host: host.to_owned(),
            port,
            tls,
        };
        for (text, address, shown, target) in [
            (
                "http://127.0.0.1:8000",
                tcp("127.0.0.1", 8000, false),
                "http://127.0.0.1:8000",
                "/",
            ),
            (
                "https://app.example/a/",
                tcp("app.example", 443, true),
                "https://app.example/a",
                "/a/",
            ),
            (
                "http://[::1]:80/x?k=1",
                tcp("::1", 80, false),
                "http://[::1]:80/x",
                "/x?k=1",
            ),
            (
                "http://localhost",
                tcp("localhost", 80, false),
                "http://localhost",
                "/",
            ),
            (
                "unix:/run/app.sock",
                Address::Unix("/run/app.sock".into()),
                "unix:/run/app.sock",
                "/",
            ),
        ] {
            let server = read(text).unwrap();
            assert_eq!(server.address(), address, "{text}");
            assert_eq!(server.to_string(), shown);
            assert_eq!(server.target(), target);
        }
    }

    #[test]
    fn a_path_stands_below_the_servers_own() {
        for (server, asked, below) in [
            ("http://a", "/x?y=1", "/x?y=1"),
            ("http://a/base/", "/x?y=1", "/base/x?y=1"),
            ("http://a/base", "/", "/base/"),
            ("unix:/s", "/a//b", "/a//b"),
        ] {
            let asked = PathAndQuery::from_static(asked);
            assert_eq!(
                read(server).unwrap().below(&asked),
                below,
                "{server} {asked}"
            );
        }
    }

    #[test]
    fn what_names_no_server_or_a_password_is_refused() {
        for text in [
            "",
            "127.0.0.1:8000",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:99999",
            "http://a:0",
            "http://a/#x",
            "/run/app.sock",
            "http://a b",
        ] {
            let refused = read(text).unwrap_err();
            assert!(
                matches!(refused, NotAServer::Malformed(_)),
                "{text}: {refused}"
            );
        }
        for text in ["http://me@a/", "https://me:secret@a/"] {
            assert_eq!(read(text), Err(NotAServer::Password));
            assert!(!NotAServer::Password.to_string().contains("secret"));
        }
        assert_eq!(read("unix:app.sock"), Err(NotAServer::Relative));
    }
}
