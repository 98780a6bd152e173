//! What the rules are asked, and what they say.

#[cfg(feature = "server")]
use bytes::Bytes;
#[cfg(feature = "server")]
use http::Response;
use http::request::Parts;

use super::client::Client;
use super::rule::{Act, Ask, Grant};
use crate::error::Error;
use crate::upload::{Once, Terms, UploadId};

/// A request, as far as it matters to who may.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// What is wanted.
    pub(crate) act: Act,
    /// The request's head.
    pub(crate) head: &'a Parts,
    /// Who asks.
    pub(crate) client: &'a Client,
    /// About which upload.
    pub(crate) about: About,
}

/// What a request is about, as its head says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct About {
    /// The ids or watch names of the uploads that it names; none where one is to begin.
    pub(crate) uploads: Vec<String>,
    /// The progress ids that it looks for.
    pub(crate) progress_ids: Vec<String>,
    /// What the file is called.
    pub(crate) name: Option<String>,
    /// How long the upload is, or else the request's body.
    pub(crate) length: Option<u64>,
    /// Whether the answer is an event stream, whose client can send no fields of its own.
    pub(crate) is_stream: bool,
}

impl Question<'_> {
    /// The same for whoever decides outside.
    pub(super) fn ask(&self) -> Ask {
        let Self {
            act,
            head,
            client,
            about,
        } = self;
        Ask {
            act: *act,
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
            address: client.address(),
            upload: (!about.uploads.is_empty()).then(|| about.uploads.join(",")),
            name: about.name.clone(),
            length: about.length,
            progress_ids: about.progress_ids.clone(),
            client: (*client).clone(),
        }
    }
}

/// What all rules together say.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    /// Whose it is, and what binds it.
    pub(crate) grant: Grant,
    /// What a ticket has opened.
    pub(crate) opened: Option<Opened>,
    /// The app is asked again at the end.
    pub(crate) asks_again: bool,
}

/// What a ticket has opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// The one upload that it is for, where it lets upload.
    pub(crate) only: Option<UploadId>,
    /// Whether that may begin now.
    pub(crate) once: Option<Once>,
}

impl Granted {
    /// What binds the upload that is let in.
    pub(crate) fn terms(&self) -> Option<Box<Terms>> {
        let terms = Terms {
            asks_again: self.asks_again,
            once: self.opened.as_ref().and_then(|opened| opened.once.clone()),
            ..self.grant.terms()
        };
        (terms != Terms::default()).then(|| Box::new(terms))
    }
}

/// A no.
#[derive(Debug)]
pub(crate) enum No {
    /// Ours.
    Error(Error),
    /// The app's own answer, which goes to the client as it is.
    #[cfg(feature = "server")]
    Said(Box<Response<Bytes>>),
}

impl From<Error> for No {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
