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

use http::{HeaderMap, HeaderValue, header};

use crate::error::Error;
#[cfg(feature = "server")]
use crate::receive::LastWord;

#[cfg(feature = "server")]
mod app;
mod authority;
mod client;
mod cookie;
mod forwarded;
mod network;
mod origin;
mod question;
mod rule;
mod screen;
#[cfg(feature = "server")]
mod ticket;
mod token;

#[cfg(feature = "server")]
pub use app::AppsWord;
pub use client::Trust;
pub use forwarded::Forwarding;
pub use network::{Network, NotANetwork};
pub use origin::{AllowOrigin, NotAnOrigin, Origin};
pub use rule::{Act, Allow, Ask, Grant, Rule};
#[cfg(feature = "server")]
pub use ticket::Tickets;
pub use token::{TokenFileError, Tokens};

// What is ours to use, but for our own tests.
#[doc(hidden)]
pub use self::{
    client::{Client, parse_base},
    cookie::Cookie,
};

#[cfg(feature = "server")]
pub(crate) use app::Asks;
pub(crate) use question::{About, Granted, No, Question};
pub(crate) use screen::{Source, is_preflight, preflight};
#[cfg(feature = "server")]
pub(crate) use ticket::{Lets, Ticket, TicketOptions};

use authority::{Authority, Host};
use question::Opened;

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
    /// Asks every rule; the first refusal counts, all limits bind, and of the rest the last word counts. A ticket stands in
    /// place of those that let the app, or its tokens, decide.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Granted, No> {
        let (mut grant, opened) = self.open(question)?;
        let has_ticket = opened.is_some();
        for rule in &self.rules {
            if !(has_ticket && yields(rule)) {
                grant = grant.and(rule.ask(question).await?);
            }
        }
        Ok(Granted {
            grant,
            opened,
            asks_again: !has_ticket && self.asks_again(),
        })
    }

    /// What a ticket opens. Where nothing else would, there must be one.
    #[cfg(feature = "server")]
    fn open(&self, question: &Question<'_>) -> Result<(Grant, Option<Opened>), Error> {
        let Some(tickets) = self.tickets() else {
            return Ok(Default::default());
        };
        let mut others = self.rules.iter().filter(|rule| rule.yields_to_tickets());
        if let Some((grant, opened)) = tickets.open(question)? {
            return Ok((grant, Some(opened)));
        }
        let sends = matches!(question.act, Act::Upload | Act::Page);
        match sends && others.next().is_none() {
            true => Err(Error::Unauthorized {
                how: "send a ticket of the app's, as \"Authorization: Bearer TICKET\"",
            }),
            false => Ok(Default::default()),
        }
    }

    #[cfg(not(feature = "server"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "there are no tickets"
    )]
    fn open(&self, _: &Question<'_>) -> Result<(Grant, Option<Opened>), Error> {
        Ok(Default::default())
    }

    #[cfg(feature = "server")]
    fn tickets(&self) -> Option<&Tickets> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Tickets(tickets) => Some(tickets),
            _ => None,
        })
    }

    /// The app that is asked over HTTP, where there is one: what is asked again when an upload of this client's has come.
    #[cfg(feature = "server")]
    pub(crate) fn last_word(&self, client: &Client) -> Option<LastWord> {
        let app = self.rules.iter().find_map(|rule| match rule {
            Rule::App(app) => Some(app.clone()),
            _ => None,
        })?;
        Some(LastWord(std::sync::Arc::new(app::Again {
            app,
            tickets: self.tickets().cloned(),
            client: client.clone(),
        })))
    }

    fn asks_again(&self) -> bool {
        #[cfg(feature = "server")]
        return self.rules.iter().any(|rule| matches!(rule, Rule::App(_)));
        #[cfg(not(feature = "server"))]
        false
    }

    /// Adds to a refusal how one says who one is. `Basic` makes browsers ask their user.
    pub(crate) fn challenge(&self, headers: &mut HeaderMap) {
        #[cfg(feature = "server")]
        if self.tickets().is_some() && !self.has_tokens() {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.has_tokens() {
            for way in ["Bearer", "Basic realm=\"Dumbwaiter\", charset=\"UTF-8\""] {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
            }
        }
    }

    fn has_tokens(&self) -> bool {
        let is_of = |rule: &Rule| matches!(rule, Rule::Tokens(_));
        self.rules.iter().any(is_of)
    }
}

/// Whether a ticket stands in the rule's place.
fn yields(rule: &Rule) -> bool {
    #[cfg(feature = "server")]
    return rule.yields_to_tickets();
    #[cfg(not(feature = "server"))]
    {
        let _ = rule;
        false
    }
}
