//! Who may: the rules that are asked before a body is read.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use super::client::Client;
use super::network::{Network, any_holds};
use super::token::Tokens;
use crate::error::{Error, Refusal};
use crate::upload::Owner;

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
}

/// A yes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Grant {
    /// To whom the upload belongs, [`Owner::Named`] mostly; `None` leaves it with the client's cookie or address.
    pub owner: Option<Owner>,
}

impl Rule {
    /// Asks this rule alone.
    pub(super) async fn ask(
        &self,
        act: Act,
        head: &Parts,
        client: &Client,
    ) -> Result<Grant, Error> {
        let sends = matches!(act, Act::Upload | Act::Page);
        match self {
            Self::Ask(app) => {
                let ask = Ask {
                    act,
                    method: head.method.clone(),
                    uri: head.uri.clone(),
                    headers: head.headers.clone(),
                    address: client.address(),
                };
                return app.allow(ask).await.map_err(Error::from);
            }
            Self::Tokens(tokens) if sends => tokens.check(&head.headers)?,
            Self::Addresses(networks) if sends => from_one_of(networks, client)?,
            Self::Anyone | Self::Tokens(_) | Self::Addresses(_) => {}
        }
        Ok(Grant::default())
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
        }
    }
}
