//! Who may: the rules that are asked before a body is read.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Method, Uri};

#[cfg(feature = "server")]
use super::app::AppsWord;
use super::client::Client;
use super::network::{Network, any_holds};
use super::question::{No, Question};
#[cfg(feature = "server")]
use super::ticket::Tickets;
use super::token::Tokens;
use crate::error::{Error, Refusal};
use crate::handlers::TypePattern;
use crate::upload::{Owner, Terms};

/// What somebody wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Act {
    /// Send something: asked before the first byte of the body.
    Upload,
    /// See the page from which people send; every file of one that is not ours.
    Page,
    /// Look at progress.
    Watch,
    /// Read a stored file back.
    Read,
    /// End a running upload, or remove a finished one.
    Remove,
}

/// Who may upload. Several rules all have to agree, so each one narrows what the others leave.
///
/// Watching, reading and removing need no rule: who holds a `watch` name or an `id` has been given it. Only the app's
/// word ([`Rule::Ask`]) is asked for them too.
#[derive(Clone)]
pub enum Rule {
    /// Everybody who reaches the server.
    Anyone,
    /// Whoever sends one of these.
    Tokens(Tokens),
    /// Whoever asks from one of these networks.
    Addresses(Vec<Network>),
    /// Whom this lets in.
    Ask(Arc<dyn Allow>),
    /// Whom the app behind lets in, asked over HTTP.
    #[cfg(feature = "server")]
    App(AppsWord),
    /// Whoever shows the app's ticket. It stands in place of tokens and of the app's word.
    #[cfg(feature = "server")]
    Tickets(Tickets),
}

/// Decides for the host who may do what; a closure from [`Ask`] to a future is one.
#[async_trait]
pub trait Allow: Send + Sync + 'static {
    /// Says yes, and to whom an upload belongs, or why not.
    ///
    /// Asked before a byte of the body is read. While the answer is awaited the client waits; a bound for that is the
    /// implementor's.
    async fn allow(&self, ask: Ask) -> Result<Grant, Refusal>;
}

#[async_trait]
impl<F, Fut> Allow for F
where
    F: Fn(Ask) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Grant, Refusal>> + Send,
{
    async fn allow(&self, ask: Ask) -> Result<Grant, Refusal> {
        self(ask).await
    }
}

/// What an [`Allow`] decides on: the request's head, without its body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ask {
    /// What is wanted.
    pub act: Act,
    /// The request's method.
    pub method: Method,
    /// Its path and query, as they came.
    pub uri: Uri,
    /// Its header fields, cookies and tokens among them.
    pub headers: HeaderMap,
    /// The client's address, behind trusted proxies.
    pub address: IpAddr,
    /// The upload that it names, by id or watch name; several are separated by commas. `None` where one is to begin, or is
    /// looked for by its progress id.
    pub upload: Option<String>,
    /// What the file is called, where the head says so.
    pub name: Option<String>,
    /// How long the upload is in bytes, or else the request's body, where the head says so.
    pub length: Option<u64>,
    /// The progress ids by which it looks for uploads.
    #[cfg_attr(not(feature = "server"), expect(dead_code))]
    pub(crate) progress_ids: Vec<String>,
    /// Who asks.
    #[cfg_attr(not(feature = "server"), expect(dead_code))]
    pub(crate) client: Client,
}

/// A yes, with what binds the upload that it lets in.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Grant {
    /// To whom the upload belongs, [`Owner::Named`] mostly; `None` leaves it with the client's cookie or address.
    pub owner: Option<Owner>,
    /// The most bytes that the files of this upload may have, all together, besides what holds for everybody. Of a raw
    /// body that declares more no byte is read.
    pub max_size: Option<u64>,
    /// What its files are called in the place of the client's name; the template of names still has the last word.
    pub name: Option<String>,
    /// The types that its files may be of, told from their first bytes, besides what holds for everybody; none given, any.
    pub types: Vec<TypePattern>,
    /// Fields that it has besides those of its form, in place of those of the same name.
    pub fields: Vec<(String, String)>,
}

impl Grant {
    /// Both together: each limit binds, and of the rest the later word counts.
    pub(super) fn and(self, later: Self) -> Self {
        let sizes = [self.max_size, later.max_size].into_iter().flatten();
        Self {
            owner: later.owner.or(self.owner),
            max_size: sizes.min(),
            name: later.name.or(self.name),
            types: match later.types.is_empty() {
                true => self.types,
                false => later.types,
            },
            fields: [self.fields, later.fields].concat(),
        }
    }

    /// What of it binds the upload that it lets in.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            max_size: self.max_size,
            name: self.name.clone(),
            types: self.types.iter().map(|of| of.as_str().to_owned()).collect(),
            fields: self.fields.clone(),
            ..Terms::default()
        }
    }
}

impl Rule {
    /// Asks this rule alone.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Grant, No> {
        let sends = matches!(question.act, Act::Upload | Act::Page);
        match self {
            Self::Ask(app) => {
                return Ok(app.allow(question.ask()).await.map_err(Error::from)?);
            }
            #[cfg(feature = "server")]
            Self::App(app) => return app.ask(question.ask()).await,
            Self::Tokens(tokens) if sends => tokens.check(&question.head.headers)?,
            Self::Addresses(networks) if sends => from_one_of(networks, question.client)?,
            #[cfg(feature = "server")]
            Self::Tickets(_) => {}
            Self::Anyone | Self::Tokens(_) | Self::Addresses(_) => {}
        }
        Ok(Grant::default())
    }

    /// Whether a ticket opens what this rule would have to.
    #[cfg(feature = "server")]
    pub(super) fn yields_to_tickets(&self) -> bool {
        matches!(self, Self::Tokens(_) | Self::App(_))
    }
}

/// A proxy's own address opens nothing for somebody whom it named and we could not read.
fn from_one_of(networks: &[Network], client: &Client) -> Result<(), Error> {
    match client.certain_address() {
        Some(address) if any_holds(networks, address) => Ok(()),
        _ => Err(Error::Forbidden {
            why: "uploads are not taken from your address",
        }),
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("Anyone"),
            Self::Tokens(tokens) => tokens.fmt(f),
            Self::Addresses(networks) => f.debug_tuple("Addresses").field(networks).finish(),
            Self::Ask(_) => f.write_str("Ask(…)"),
            #[cfg(feature = "server")]
            Self::App(app) => app.fmt(f),
            #[cfg(feature = "server")]
            Self::Tickets(tickets) => tickets.fmt(f),
        }
    }
}
