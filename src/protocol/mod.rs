//! Ways in, one file each, and what they share.
//!
//! A protocol reads a request's head, settles what the upload is and how its body is split, and gives it to
//! `Inbound::take`; then it says in its own words how it went. All of them make the same upload, the same record and
//! the same errors.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
#[cfg(feature = "server")]
use http::StatusCode;
use http::request::Parts;

use crate::admission::{Admission, Place};
use crate::error::Error;
use crate::progress::{Progress, State, Tap, Tracker};
use crate::query::GivenId;
use crate::receive::{Arrived, Body, Naming, REPR_DIGEST, Received, Receiver, Shape, Split};
use crate::rights::Client;
use crate::threads::DataThreads;
use crate::unfinished::{Status, Unfinished};
use crate::upload::{Owner, ProgressId, Protocol, Remembered, Terms, Upload, UploadId};

pub mod answer;
pub(crate) mod any;
mod dropzone;
pub(crate) mod filepond;
pub mod form;
pub(crate) mod get;
pub(crate) mod handed;
pub mod headers;
pub mod ietf;
mod lead;
pub mod multipart;
pub mod put;
mod range;
pub mod remove;
mod repr;
pub mod tus;

/// A request as the ways in and out see it: its head, and what the service found out about it.
#[derive(Debug)]
pub struct Asked {
    /// The request's head; its path still has the base.
    pub head: Arc<Parts>,
    /// Who asks.
    pub client: Client,
    /// To whom an upload by this client belongs.
    pub owner: Owner,
    /// On what terms it may upload, where somebody has settled any.
    pub terms: Option<Box<Terms>>,
    /// The one upload that it may begin or go on with, where that is all that its ticket allows.
    pub only: Option<UploadId>,
    /// What the app answered in our place: that goes to the client as it is.
    pub said: Option<Response<Bytes>>,
    /// Where the client is.
    pub address: IpAddr,
    /// What every URL in the answer begins with: empty, or a path that begins with `/` and does not end with one.
    pub base: String,
    /// Whether stored files can be fetched; if not, no answer says where.
    pub downloads: bool,
}

impl Asked {
    /// Everybody that the asker is, the most telling first: whose uploads a progress id finds. A name that the app gave
    /// stands in place of the address.
    #[must_use]
    pub fn owners(&self) -> Vec<Owner> {
        let mut owners = self.client.owners();
        if matches!(self.owner, Owner::Named(_)) {
            // Whom the app knows by name shares nothing with others behind the same address.
            owners.retain(|owner| !matches!(owner, Owner::Address(_)));
        }
        if !owners.contains(&self.owner) {
            owners.insert(0, self.owner.clone());
        }
        owners
    }

    /// The app's refusal goes to the client; what it means is given back.
    #[cfg(feature = "server")]
    pub(crate) fn say(&mut self, answer: Response<Bytes>) -> Error {
        let error = match answer.status() {
            StatusCode::UNAUTHORIZED => Error::Unauthorized {
                how: "the app does not know who asks",
            },
            _ => Error::Forbidden {
                why: "the app does not let it happen",
            },
        };
        self.said = Some(answer);
        error
    }

    /// Whether its ticket, if it has one, is for that upload.
    ///
    /// # Errors
    /// [`Error::NotFound`]: of others it is to know nothing.
    pub(crate) fn check_only(&self, id: &UploadId) -> Result<(), Error> {
        match self.only {
            Some(only) if only != *id => Err(Error::NotFound),
            _ => Ok(()),
        }
    }

    /// Where an upload is that can be resumed: a path, which is right behind any proxy, unless a whole URL is wanted.
    pub(crate) fn location(&self, id: &UploadId, whole: bool) -> String {
        let origin = whole.then(|| self.client.addressed(&self.head)).flatten();
        format!("{}{}/files/{id}", origin.unwrap_or_default(), self.base)
    }
}

/// What every way in shares.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Lets uploads in.
    pub admission: Admission,
    /// Takes the bytes.
    pub receiver: Receiver,
    /// Names what was stored.
    pub naming: Naming,
    /// Knows how far each upload has come.
    pub tracker: Tracker,
    /// Where bodies live.
    pub data: DataThreads,
    /// The uploads that outlive their requests.
    pub(crate) unfinished: Unfinished,
}

impl Inbound {
    /// The upload that a request's head announces. Its record begins here, before the first byte of the body: a page
    /// that polls at once finds it.
    pub(crate) fn announce(&self, protocol: Protocol, asked: &Asked, body: &Body) -> Box<Upload> {
        let head = Arc::clone(&asked.head);
        let mut upload = Upload::announced(protocol, asked.owner.clone(), head);
        upload.progress_id = progress_id(&asked.head, &upload);
        upload.address = asked.address;
        upload.length = body.declared();
        upload.terms.clone_from(&asked.terms);
        upload.id = asked.only.unwrap_or(upload.id);
        Box::new(upload)
    }

    /// Whether the upload is one that the asker may know of. Its id is the right to it, besides the app's word where it
    /// named an owner; cookies and addresses change while an upload lasts.
    pub(crate) async fn check_owner(&self, asked: &Asked, id: UploadId) -> Result<(), Error> {
        asked.check_only(&id)?;
        let remembered = match self.unfinished.look(&id) {
            Some(status) => Some(status.remembered),
            None => {
                let store = Arc::clone(&self.receiver.store);
                let read = self.data.run(async move { store.remembered(&id).await });
                read.await?
            }
        };
        let listed = || self.tracker.by_id(&id).map(|listed| listed.owner().clone());
        match remembered
            .map(|remembered| remembered.owner)
            .or_else(listed)
        {
            Some(owner @ Owner::Named(_)) if owner != asked.owner => Err(Error::NotFound),
            _ => Ok(()),
        }
    }

    /// Whether there is, or has been, an upload of that id, as far as anything is kept of it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn is_there(&self, id: &UploadId) -> Result<bool, Error> {
        if self.unfinished.look(id).is_some() {
            return Ok(true);
        }
        let (store, id) = (Arc::clone(&self.receiver.store), *id);
        let kept = self
            .data
            .run(Box::pin(async move { store.stored(&id).await }));
        Ok(kept.await?.is_some())
    }

    /// The record of an upload that is complete: as it ended, or, where that is forgotten, as the store tells of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub(crate) async fn finished(
        &self,
        id: &UploadId,
        asked: &Asked,
    ) -> Result<Arc<Progress>, Error> {
        let listed = self.tracker.by_id(id);
        // One that is complete and handed off may not be done, and says so.
        let is_handed_off = self.receiver.hand_off.is_some();
        let told = |progress: &Arc<Progress>| is_handed_off || progress.state() == State::Done;
        if let Some(done) = listed.filter(told) {
            return Ok(done);
        }
        let (store, id) = (Arc::clone(&self.receiver.store), *id);
        let kept = async move { (store.stored(&id).await, store.remembered(&id).await) };
        let (files, remembered) = self.data.run(Box::pin(kept)).await;
        let (Some(files), Some(remembered)) = (files?, remembered?) else {
            return Err(Error::NotFound);
        };
        let upload = remembered.upload(id, Arc::clone(&asked.head));
        Ok(self.tracker.recall(&upload, files, &remembered.fields))
    }

    /// Begins an upload that outlives its requests.
    ///
    /// # Errors
    /// As [`Unfinished::create`]; [`Error::NotResumable`] where none can be offered.
    pub(crate) async fn begin(
        &self,
        upload: Box<Upload>,
        about: Remembered,
        shape: Shape,
    ) -> Result<Status, Error> {
        if self.unfinished.offers().is_none() {
            let error = Error::NotResumable {
                why: "it keeps nothing of a file between two requests".into(),
            };
            self.tracker.begin(&upload).fail(&error);
            return Err(error);
        }
        self.unfinished.create(upload, about, shape).await
    }

    /// What is known of an upload that outlives its requests, finished or not, without having its writer let go.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub(crate) async fn known(&self, id: &UploadId) -> Result<Status, Error> {
        match self.unfinished.look(id) {
            Some(status) => Ok(status),
            None => self.unfinished.settle(id).await,
        }
    }

    /// Reads what is there already, so that its client comes to read the answer; as long as a client may be silent.
    pub(crate) async fn pass_over(&self, mut body: Body) {
        let read = async move {
            let mut frames = Vec::new();
            while let Ok(true) = body.frames(&mut frames).await {
                frames.clear();
            }
        };
        let patience = self.receiver.pace.stall.unwrap_or(Duration::MAX);
        let read = async move { tokio::time::timeout(patience, read).await };
        // Whoever is slower gets the answer before the end of the body.
        let _ = self.data.run(Box::pin(read)).await;
    }

    /// Takes the body in, stores its files under their names and ends the record, which it gives back: the answer does
    /// not depend on whether the tracker could keep it.
    pub(crate) async fn take(
        &self,
        upload: Box<Upload>,
        body: Body,
        split: Result<Box<dyn Split>, Error>,
    ) -> Result<Arc<Progress>, Error> {
        let (tap, split, place) = self.let_in(&upload, split).await?;
        // All of the upload is in this request.
        let body = body.checked(&upload.head.headers, &REPR_DIGEST);
        let progress = Arc::clone(tap.progress());
        let mut received = self.receiver.begin(upload, tap, place);
        let naming = self.naming.clone();
        self.data
            .run(Box::pin(async move {
                received.take_in(body, split).await?;
                // On its own from here: all bytes have come, so the upload ends well even if the client does not wait.
                match tokio::spawn(async move { received.commit(&naming).await }).await {
                    Ok(stored) => stored,
                    Err(panic) => Err(Error::store(panic)),
                }
            }))
            .await?;
        Ok(progress)
    }

    /// Takes the body in and leaves its files to whoever asked for it.
    pub(crate) async fn arrive(
        &self,
        upload: Box<Upload>,
        body: Body,
        split: Result<Box<dyn Split>, Error>,
    ) -> Result<(Arc<Progress>, Arrived), Error> {
        let received = self.gather(upload, body, split, None).await?;
        Ok((Arc::clone(received.progress()), Arrived::new(received)))
    }

    /// Takes the body in, and keeps its skeleton within that many bytes.
    pub(crate) async fn gather(
        &self,
        upload: Box<Upload>,
        body: Body,
        split: Result<Box<dyn Split>, Error>,
        skeleton: Option<usize>,
    ) -> Result<Box<Received>, Error> {
        let (tap, split, place) = self.let_in(&upload, split).await?;
        // All of the upload is in this request.
        let body = body.checked(&upload.head.headers, &REPR_DIGEST);
        let receiver = Receiver {
            // Whoever asked for it is the app.
            hand_off: None,
            ..self.receiver.clone()
        };
        let mut received = receiver.begin(upload, tap, place);
        if let Some(most) = skeleton {
            received.keep_skeleton(most);
        }
        let work = async move {
            received.take_in(body, split).await?;
            Ok(received)
        };
        self.data.run(Box::pin(work)).await
    }

    /// Begins the record, and asks whether there is room.
    ///
    /// `split` is made after the record has begun, so that a refused head is seen by watchers too. Whether there is room
    /// is asked before the first byte is: a client that waits for `100 Continue` gets the refusal in its place.
    async fn let_in(
        &self,
        upload: &Upload,
        split: Result<Box<dyn Split>, Error>,
    ) -> Result<(Tap, Box<dyn Split>, Place), Error> {
        let tap = self.tracker.begin(upload);
        let admitted = match split {
            Ok(split) => self
                .admission
                .admit(upload)
                .await
                .map(|place| (split, place)),
            Err(error) => Err(error),
        };
        match admitted {
            Ok((split, place)) => Ok((tap, split, place)),
            Err(error) => {
                tap.fail(&error);
                Err(error)
            }
        }
    }
}

/// The client's own name for the upload: from the query, else the header. One that is outside the rule never fails the
/// upload; it is not tracked under that name.
fn progress_id(head: &Parts, upload: &Upload) -> Option<ProgressId> {
    match GivenId::in_query(&head.uri).or(GivenId::in_header(&head.headers)) {
        GivenId::Id(id) => Some(id),
        GivenId::Absent => None,
        GivenId::Unusable => {
            tracing::info!(
                upload = upload.id.short(),
                "the progress id is outside the rule: not tracked under it"
            );
            None
        }
    }
}
