//! Tickets: the app's yes in writing, signed with the key that it shares with us, for one upload.
//!
//! ```text
//! {"aud": "ticket", "exp": 1790000000, "jti": "7f3c…", "act": "upload", "owner": "anna", "max_size": 5000000}
//! ```
//!
//! An `upload` ticket lets one upload begin, and its holder go on with it, watch, read and remove it. The upload's id follows
//! from the ticket, so a ticket that comes again finds its upload there, also after a restart. A `watch` ticket lets look at
//! one. Whoever shows one is not asked for anything else; a network that is not taken stays out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::question::{Opened, Question};
use super::rule::{Act, Grant};
use crate::error::Error;
use crate::query;
use crate::signed::{Audience, Forged, Keys, Signed};
use crate::upload::{Once, Owner, UploadId, WatchId};

/// How many tickets count, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TicketOptions {
    /// How long a ticket may hold from now on; one that holds longer opens nothing.
    pub(crate) most_time: Duration,
    /// Used ones that are remembered until they are void.
    pub(crate) most_used: usize,
}

/// Reads tickets, and remembers those that were used. Clones share them.
#[derive(Clone)]
pub struct Tickets {
    keys: Keys,
    options: TicketOptions,
    used: Arc<Mutex<HashMap<String, Used>>>,
}

/// What has come of a ticket.
struct Used {
    until: u64,
    upload: UploadId,
    once: Once,
}

/// What a ticket says, besides when it expires and its own name, which no other ticket has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// What it lets do.
    pub(crate) act: Lets,
    /// The upload with which its holder may go on, where it lets none begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upload: Option<UploadId>,
    /// The upload that may be watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<String>,
    /// The same by its progress id, together with the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) progress_id: Option<String>,
    /// To whom the upload belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// What binds the upload, as in [`Grant`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) types: Vec<String>,
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(crate) fields: std::collections::BTreeMap<String, String>,
}

/// What a ticket lets do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lets {
    /// One upload, from its begin to its end.
    Upload,
    /// A look at one.
    Watch,
}

impl Tickets {
    pub(crate) fn new(keys: Keys, options: TicketOptions) -> Self {
        Self {
            keys,
            options,
            used: Arc::default(),
        }
    }

    /// What the ticket that comes with a request opens; `None` where none comes.
    ///
    /// # Errors
    /// [`Error::BadTicket`]; [`Error::NotFound`] where it is for another upload: of that it says nothing.
    pub(super) fn open(&self, question: &Question<'_>) -> Result<Option<(Grant, Opened)>, Error> {
        let Some((text, stands)) = ticket_of(question) else {
            return Ok(None);
        };
        let ticket = self.read(&text)?;
        if stands == Stands::InTheQuery && ticket.says.act != Lets::Watch {
            return Err(bad("only one that lets watch may stand in a query"));
        }
        let grant = ticket.says.grant()?;
        let opened = match ticket.says.act {
            Lets::Watch => ticket.says.watches(question)?,
            Lets::Upload => self.uploads(&text, &ticket, question)?,
        };
        Ok(Some((grant, opened)))
    }

    /// Whether a request that goes on with an upload has the ticket for it.
    pub(super) fn is_for(&self, head: &Parts, id: &UploadId) -> bool {
        let Some(text) = bearer(head) else {
            return false;
        };
        let of = |ticket: Ticket| ticket.act == Lets::Upload && ticket.upload_of(&text) == *id;
        self.read(&text).is_ok_and(|ticket| of(ticket.says))
    }

    fn read(&self, text: &str) -> Result<Signed<Ticket>, Error> {
        let read = self.keys.read(text, Audience::Ticket);
        let ticket: Signed<Ticket> = read.map_err(|forged: Forged| bad(forged.why()))?;
        if ticket.exp > now().saturating_add(self.options.most_time.as_secs()) {
            return Err(bad("it holds for longer than tickets may here"));
        }
        match (1..=200).contains(&ticket.jti.len()) {
            true => Ok(ticket),
            false => Err(bad("its jti is empty or longer than 200 bytes")),
        }
    }

    fn uploads(
        &self,
        text: &str,
        ticket: &Signed<Ticket>,
        question: &Question<'_>,
    ) -> Result<Opened, Error> {
        let id = ticket.says.upload_of(text);
        let about = &question.about;
        let is_it = |name: &String| *name == id.to_string() || *name == id.watch().to_string();
        let looks_for = |given: &String| Some(given) == ticket.says.progress_id.as_ref();
        let names_others = !about.uploads.iter().all(is_it);
        let is_page = question.act == Act::Page;
        let looks_elsewhere =
            question.act == Act::Watch && !about.progress_ids.iter().all(looks_for);
        if names_others || looks_elsewhere {
            return Err(Error::NotFound);
        }
        let begins = question.act == Act::Upload && about.uploads.is_empty();
        let has_name = !about.uploads.is_empty() || !about.progress_ids.is_empty();
        if !begins && !has_name && !is_page {
            return Err(Error::NotFound);
        }
        let once = match begins {
            true => Some(self.begins(ticket, id)?),
            false => None,
        };
        Ok(Opened {
            only: Some(id),
            once,
        })
    }

    /// Whether its upload may begin: what is remembered of it until it is void.
    fn begins(&self, ticket: &Signed<Ticket>, upload: UploadId) -> Result<Once, Error> {
        if ticket.says.upload.is_some() {
            return Err(bad("it is for an upload that has begun"));
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = used.get(&ticket.jti) {
            return match known.upload == upload {
                true => Ok(known.once.clone()),
                false => Err(bad("another ticket has the same jti")),
            };
        }
        if used.len() >= self.options.most_used {
            let now = now();
            // The other server's clock, and the leeway that signatures have.
            used.retain(|_, used| used.until + 300 > now);
        }
        if used.len() >= self.options.most_used {
            return Err(Error::TooManyUploads);
        }
        let once = Once::default();
        let known = Used {
            until: ticket.exp,
            upload,
            once: once.clone(),
        };
        used.insert(ticket.jti.clone(), known);
        Ok(once)
    }
}

impl Ticket {
    /// The one upload that it is for.
    fn upload_of(&self, text: &str) -> UploadId {
        self.upload.unwrap_or_else(|| UploadId::of_ticket(text))
    }

    fn watches(&self, question: &Question<'_>) -> Result<Opened, Error> {
        if question.act != Act::Watch {
            return Err(bad("it lets watch, and nothing else"));
        }
        let about = &question.about;
        let by_id = |name: &String| name.parse().ok().map(|id: UploadId| id.watch());
        let same = |name: &String, watch: &str| {
            name == watch || by_id(name).is_some_and(|of: WatchId| of.to_string() == watch)
        };
        let watch = self.watch.as_deref();
        let known = |name: &String| watch.is_some_and(|watch| same(name, watch));
        let looked_for = |given: &String| Some(given) == self.progress_id.as_ref();
        let names = !about.uploads.is_empty() || !about.progress_ids.is_empty();
        let all = about.uploads.iter().all(known) && about.progress_ids.iter().all(looked_for);
        match names && all {
            true => Ok(Opened {
                only: None,
                once: None,
            }),
            false => Err(Error::NotFound),
        }
    }

    fn grant(&self) -> Result<Grant, Error> {
        let types: Result<Vec<_>, _> = self.types.iter().map(|of| of.parse()).collect();
        let owner = self.owner.as_deref().map(|name| {
            let named = Owner::named(name);
            named.ok_or(bad("its owner is no name of 1 to 200 bytes"))
        });
        Ok(Grant {
            owner: owner.transpose()?,
            max_size: self.max_size,
            name: self.name.clone(),
            types: types.map_err(|_| bad("one of its types is none"))?,
            fields: self.fields.clone().into_iter().collect(),
        })
    }
}

/// The ticket in a request's head: as a bearer, or in the query of an event stream, whose client can send no fields.
fn ticket_of(question: &Question<'_>) -> Option<(String, Stands)> {
    let bearer = || Some((bearer(question.head)?, Stands::InAField));
    let in_query = || {
        let given = query::first(&question.head.uri, "ticket").flatten();
        let given = given.filter(|_| question.about.is_stream)?;
        Some((given.into_owned(), Stands::InTheQuery))
    };
    bearer().or_else(in_query)
}

/// Where a ticket stands. What stands in a query is in the logs of proxies, and in the history of a browser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    InAField,
    InTheQuery,
}

/// The one bearer, if it is made of three parts; else it is something else.
fn bearer(head: &Parts) -> Option<String> {
    let mut fields = head.headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, given) = only.to_str().ok()?.split_once(' ')?;
    let given = given.trim();
    let is_one = scheme.eq_ignore_ascii_case("bearer") && looks_signed(given);
    is_one.then(|| given.to_owned())
}

fn looks_signed(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        part.bytes().all(plain)
    };
    text.split('.').count() == 3 && text.split('.').all(part)
}

fn bad(why: &'static str) -> Error {
    Error::BadTicket { why }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets(…)")
    }
}
