//! One cache: its address, and what is written to it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::memcached::Memcached;
use super::redis::Redis;
use super::table::Write;

/// Where a cache is. It holds no password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CacheUrl {
    /// `memcached://host:port`.
    Memcached {
        /// A name or an address, an IPv6 address in brackets.
        host: String,
        /// 11211 unless said.
        port: u16,
    },
    /// `memcached:///run/memcached.sock`.
    MemcachedSocket(PathBuf),
    /// `redis://host:port/database`.
    Redis(String),
}

/// The text names no cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotACache {
    #[error(
        "no cache such as memcached://127.0.0.1:11211, memcached:///run/memcached.sock or redis://127.0.0.1:6379/0"
    )]
    Unknown,
    #[error(
        "a password does not belong into an address, which is shown: --progress-cache-password-file FILE holds it"
    )]
    Password,
}

impl FromStr for CacheUrl {
    type Err = NotACache;

    fn from_str(text: &str) -> Result<Self, NotACache> {
        let (scheme, rest) = text.split_once("://").ok_or(NotACache::Unknown)?;
        if rest.contains('@') {
            return Err(NotACache::Password);
        }
        match scheme {
            "memcached" if rest.starts_with('/') => Ok(Self::MemcachedSocket(rest.into())),
            "memcached" => server(rest.trim_end_matches('/')),
            "redis" if ::redis::parse_redis_url(text).is_some() && !rest.is_empty() => {
                Ok(Self::Redis(text.to_owned()))
            }
            _ => Err(NotACache::Unknown),
        }
    }
}

fn server(text: &str) -> Result<CacheUrl, NotACache> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| NotACache::Unknown)?)
        }
        _ => (text, 11211),
    };
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    match plain.is_empty() || plain.contains('/') {
        true => Err(NotACache::Unknown),
        false => Ok(CacheUrl::Memcached {
            host: plain.to_owned(),
            port,
        }),
    }
}

impl fmt::Display for CacheUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memcached { host, port } if host.contains(':') => {
                write!(f, "memcached://[{host}]:{port}")
            }
            Self::Memcached { host, port } => write!(f, "memcached://{host}:{port}"),
            Self::MemcachedSocket(path) => write!(f, "memcached://{}", path.display()),
            Self::Redis(url) => f.write_str(url),
        }
    }
}

/// A connection to a cache.
#[derive(Debug)]
pub(super) enum Cache {
    Memcached(Memcached),
    Redis(Redis),
}

/// What is wrong with a cache, in words for the log.
pub(super) type Trouble = Box<dyn std::error::Error + Send + Sync>;

impl Cache {
    pub(super) async fn connect(
        url: &CacheUrl,
        password: Option<&str>,
        time: Duration,
    ) -> Result<Self, Trouble> {
        Ok(match url {
            CacheUrl::Memcached { host, port } => {
                Self::Memcached(Memcached::connect(host, *port).await?)
            }
            CacheUrl::MemcachedSocket(path) => Self::Memcached(Memcached::socket(path).await?),
            CacheUrl::Redis(url) => Self::Redis(Redis::connect(url, password, time).await?),
        })
    }

    /// Writes all of them; says of each whether it was taken. After an error nobody knows what it has.
    pub(super) async fn write(
        &mut self,
        writes: &[Write],
        ttl: Duration,
    ) -> Result<Vec<bool>, Trouble> {
        match self {
            Self::Memcached(memcached) => memcached.write(writes, ttl).await,
            Self::Redis(redis) => redis.write(writes, ttl).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_caches_are_read_and_written() {
        for (text, written) in [
            ("memcached://127.0.0.1:11211", "memcached://127.0.0.1:11211"),
            (
                "memcached://cache.example/",
                "memcached://cache.example:11211",
            ),
            ("memcached://[::1]:7", "memcached://[::1]:7"),
            ("memcached://[::1]", "memcached://[::1]:11211"),
            ("memcached:///run/m.sock", "memcached:///run/m.sock"),
            ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
        ] {
            let url: CacheUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), written);
        }
        for text in [
            "",
            "127.0.0.1:11211",
            "memcached://",
            "memcached://:1",
            "http://a",
            "redis://",
            "memcached://a:b",
        ] {
            assert_eq!(text.parse::<CacheUrl>(), Err(NotACache::Unknown), "{text}");
        }
        let secret = "redis://:word@127.0.0.1".parse::<CacheUrl>();
        assert_eq!(secret, Err(NotACache::Password));
    }
}
