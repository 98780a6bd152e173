//! Who asks, and what they may do.
//!
//! ```text
//! head ──► Client: address behind trusted proxies, cookie, scheme, prefix
//!      ──► screen: is it for us?  is it no forged request of a foreign page?
//!      ──► rules: may this client upload?          all before a byte of the body is read
//!      ──► owner: the app's word, else the cookie, else the address
//! ```
//!
//! What an upload's names open is [`crate::upload`]'s; `SECURITY.md` puts it all together. Nothing here touches a disk
//! while requests are answered, and nothing that is secret is written to a log.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use crate::error::Error;

mod authority;
mod client;
mod cookie;
mod forwarded;
mod network;
mod origin;
mod rule;
mod screen;
mod token;

pub use client::Trust;
pub use forwarded::Forwarding;
pub use network::{Network, NotANetwork};
pub use origin::{AllowOrigin, NotAnOrigin, Origin};
pub use rule::{Act, Allow, Ask, Grant, Rule};
pub use token::{TokenFileError, Tokens};

// What is ours to use, but for our own tests.
#[doc(hidden)]
pub use self::{
    client::{Client, parse_base},
    cookie::Cookie,
};

pub(crate) use screen::{Source, is_preflight, preflight};

use authority::{Authority, Host};

/// Who may do what, and whose word counts. The default is for a host that has its own rules: anyone may upload, under
/// any name of the server, no proxy is trusted, and no page of another origin may send or read.
#[derive(Clone, Default, Debug)]
pub struct Rights {
    /// Who may upload; all must agree, and none given, anyone may.
    pub rules: Vec<Rule>,
    /// Whose forwarding fields count.
    pub trust: Trust,
    /// The names that this server answers to; `None` is all.
    pub hosts: Option<Vec<HostName>>,
    /// Other origins whose pages may send and read.
    pub origins: Vec<AllowOrigin>,
    /// Whether pages of this machine (`http://localhost:3000`) may too, when they ask it directly.
    pub local_origins: bool,
}

/// A name, without port, that the server answers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostName {
    /// Every IP address, `localhost` and names below it: no name of an attacker's leads there.
    Own,
    /// This one.
    Name(Box<str>),
}

/// The text is no host name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a host name such as files.example.org is expected, without scheme, port and path")]
pub struct NotAHost;

impl std::str::FromStr for HostName {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        match Authority::parse(text) {
            Some(Authority {
                host: Host::Name(name),
                port: None,
            }) if !text.ends_with(':') => Ok(Self::Name(name)),
            _ => Err(NotAHost),
        }
    }
}

impl HostName {
    /// Whether it is what a `Host` field says.
    #[cfg(feature = "server")]
    pub(crate) fn is_named_by(&self, field: &str) -> bool {
        Authority::parse(field).is_some_and(|authority| self.is(&authority.host))
    }

    fn is(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Own, Host::Address(_)) => true,
            (Self::Own, name @ Host::Name(_)) => name.is_loopback(),
            (Self::Name(known), Host::Name(given)) => known == given,
            (Self::Name(_), Host::Address(_)) => false,
        }
    }
}

impl Rights {
    /// Asks every rule; the first refusal counts, all limits bind, and of the rest the last word counts.
    pub(crate) async fn ask(
        &self,
        act: Act,
        head: &Parts,
        client: &Client,
    ) -> Result<Grant, Error> {
        let mut granted = Grant::default();
        for rule in &self.rules {
            granted = granted.and(rule.ask(act, head, client).await?);
        }
        Ok(granted)
    }

    /// Adds to a refusal how one says who one is. `Basic` makes browsers ask their user.
    pub(crate) fn challenge(&self, headers: &mut HeaderMap) {
        if self
            .rules
            .iter()
            .any(|rule| matches!(rule, Rule::Tokens(_)))
        {
            for way in ["Bearer", "Basic realm=\"Dumbwaiter\", charset=\"UTF-8\""] {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
            }
        }
    }
}
