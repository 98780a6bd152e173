//! The app behind, which says who may: asked before an upload begins, and again before it is visible.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::client::Client;
use super::question::No;
use super::rule::{Act, Ask, Grant};
use super::ticket::Tickets;
use crate::error::Error;
use crate::receive::Word;
use crate::upload::Upload;

/// Whoever decides in the app's place.
#[async_trait]
pub(crate) trait Asks: Send + Sync + 'static {
    /// Says yes, and on what terms, or why not.
    async fn ask(&self, ask: Ask) -> Result<Grant, No>;

    /// Says whether an upload may still be stored; nothing that was said before counts.
    async fn ask_again(&self, ask: Ask) -> Result<(), Error>;
}

/// The word of an app that is asked over HTTP, as `--ask` names it.
#[derive(Clone)]
pub struct AppsWord(Arc<dyn Asks>);

impl AppsWord {
    pub(crate) fn new(app: impl Asks) -> Self {
        Self(Arc::new(app))
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Grant, No> {
        self.0.ask(ask).await
    }
}

impl fmt::Debug for AppsWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppsWord(…)")
    }
}

/// Asks it again when all bytes of an upload are there, with the head of the request that brought the last one.
pub(super) struct Again {
    pub(super) app: AppsWord,
    pub(super) tickets: Option<Tickets>,
    pub(super) client: Client,
}

#[async_trait]
impl Word for Again {
    async fn holds(&self, upload: &Upload, bytes: u64) -> Result<(), Error> {
        let asks = upload.terms.as_ref().is_some_and(|terms| terms.asks_again);
        let has_ticket = || {
            let tickets = self.tickets.as_ref();
            tickets.is_some_and(|tickets| tickets.is_for(&upload.head, &upload.id))
        };
        if !asks || has_ticket() {
            return Ok(());
        }
        let head = &upload.head;
        let ask = Ask {
            act: Act::Upload,
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
            address: self.client.address(),
            upload: Some(upload.id.to_string()),
            name: None,
            length: Some(bytes),
            progress_ids: Vec::new(),
            client: self.client.clone(),
        };
        self.app.0.ask_again(ask).await
    }
}
