//! One file of an upload in the app's hands.

use std::sync::Arc;

use super::{Arrival, Rejection};
use crate::error::Error;
use crate::name::{self, OnConflict, SafePath};
use crate::upload::FileFacts;

/// One file of an [`Arrival`], complete and out of sight. What the client says of it is data: none of it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct ArrivedFile<'a> {
    arrival: &'a Arrival,
    index: usize,
    facts: &'a FileFacts,
    on_conflict: OnConflict,
}

impl<'a> ArrivedFile<'a> {
    pub(super) fn new(arrival: &'a Arrival, index: usize) -> Self {
        Self {
            facts: &arrival.files[index],
            on_conflict: arrival.on_conflict,
            arrival,
            index,
        }
    }

    /// The form field that carried it; `None` where the body was no form.
    #[must_use]
    pub fn field(&self) -> Option<&'a str> {
        self.facts.field.as_deref()
    }

    /// The client's name for it, as sent: it may be a whole path, or lead anywhere.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.facts.name.as_deref()
    }

    /// The client's name made safe to stand in a place, as one component of it; `None` when nothing in it can be a name.
    #[must_use]
    pub fn clean_name(&self) -> Option<String> {
        name::clean(self.name()?)
    }

    /// Its media type: as the client says, unless a handler ([`Sniff`](crate::handlers::Sniff)) found a better one.
    #[must_use]
    pub fn content_type(&self) -> Option<&'a str> {
        self.facts.content_type.as_deref()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.facts.length
    }

    /// `algorithm:hex`, where a handler ([`Digest`](crate::handlers::Digest)) computed one.
    #[must_use]
    pub fn digest(&self) -> Option<&'a str> {
        self.facts.digest.as_deref()
    }

    /// Says what happens when the name is taken; else what [`Dumbwaiter::on_conflict`](crate::Dumbwaiter::on_conflict) said.
    #[must_use]
    pub fn on_conflict(self, rule: OnConflict) -> Self {
        Self {
            on_conflict: rule,
            ..self
        }
    }

    /// Makes the file visible at `place`, a path below the store's folder whose folders are made, and says what it is
    /// really called. What it says is kept, as the store promises it: with `Durability::Sync` over a power cut too.
    ///
    /// Once called it runs to its end even if the future is dropped, as when the client goes.
    ///
    /// # Errors
    /// [`Error::UnusableName`] for an absolute path, `..`, a name that begins with a dot, and all that no name may hold: a
    /// place that was made from the client's text stays below the folder or is refused. [`Error::NameTaken`] with
    /// [`OnConflict::Reject`]. After both the file may be persisted elsewhere. [`Error::Cancelled`],
    /// [`Error::ShuttingDown`], [`Error::DiskFull`], [`Error::Store`], which also means that it was persisted before.
    pub async fn persist(&self, place: impl AsRef<str>) -> Result<Persisted, Rejection> {
        let manner = &self.arrival.manner;
        let place = SafePath::parse(place.as_ref());
        let (held, index, rule) = (Arc::clone(&self.arrival.held), self.index, self.on_conflict);
        let turn = held.in_line().await;
        let keep = async move { held.keep(&mut turn.await, index, place, rule).await };
        let kept = self.arrival.data.spawn(keep).await;
        match kept.unwrap_or_else(|panic| (Err(Error::store(panic)), false)) {
            (Ok((number, facts)), _) => Ok(self.persisted(number, facts)),
            (Err(error), in_part) => Err(manner.reject_rest(error, in_part)),
        }
    }

    fn persisted(&self, number: usize, facts: FileFacts) -> Persisted {
        let (manner, id) = (&self.arrival.manner, self.arrival.id());
        let base = &manner.base;
        Persisted {
            name: facts.name.unwrap_or_default(),
            length: facts.length,
            digest: facts.digest,
            url: manner.downloads.then(|| match number {
                0 => format!("{base}/files/{id}"),
                n => format!("{base}/files/{id}/{n}"),
            }),
        }
    }
}

/// A file that is stored under its name.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Persisted {
    /// What it is called: the path below the store's folder.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// `algorithm:hex`, where a handler computed one.
    pub digest: Option<String>,
    /// Where the service gives it back, if it is nested in the app too. It holds the upload's id. `None` where nothing is
    /// given back.
    pub url: Option<String>,
}
