//! `DELETE /uploads/ID`: a running or unfinished upload is cancelled, a finished one is removed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{Asked, Inbound, answer};
use crate::error::Error;
use crate::progress::{Bell, Key, Progress, State, Why};
use crate::upload::UploadId;

/// How long an answer waits for the end of an upload that was told to end. Only a disk that hangs takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether an upload is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removed {
    /// Nothing of it is left.
    Gone,
    /// It was told to end, and has not come to it yet.
    Ending,
}

impl From<Removed> for StatusCode {
    fn from(removed: Removed) -> Self {
        match removed {
            Removed::Gone => Self::NO_CONTENT,
            Removed::Ending => Self::ACCEPTED,
        }
    }
}

/// Answers a DELETE of `name`: only an upload's id gives the right to it, and where the app named an owner only to that
/// one. All other names are unknown.
pub async fn delete(inbound: &Inbound, name: &str, asked: &Asked) -> Response<Bytes> {
    let removed = match name.parse() {
        Ok(id) => match inbound.check_owner(asked, id).await {
            Ok(()) => remove(inbound, id).await,
            Err(error) => Err(error),
        },
        Err(_) => Err(Error::NotFound),
    };
    removed.map_or_else(
        |error| answer::refused(&asked.head.headers, &asked.base, &error),
        |removed| empty(removed.into()),
    )
}

/// Removes the upload that `name` is the id of, where the asker may know of it. A record that stays for a while after its
/// upload's end is no upload.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Store`].
pub(super) async fn named(inbound: &Inbound, name: &str, asked: &Asked) -> Result<Removed, Error> {
    let id = name.parse().map_err(|_| Error::NotFound)?;
    inbound.check_owner(asked, id).await?;
    match is_there(inbound, id).await? {
        true => remove(inbound, id).await,
        false => Err(Error::NotFound),
    }
}

async fn is_there(inbound: &Inbound, id: UploadId) -> Result<bool, Error> {
    if inbound.unfinished.look(&id).is_some() {
        return Ok(true);
    }
    let store = inbound.receiver.store.clone();
    let stored = inbound.data.run(async move { store.stored(&id).await });
    Ok(stored.await?.is_some())
}

/// An answer without a body, which nobody keeps.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

/// Ends the upload if it runs or waits to be resumed, which its record then says and its uploader is answered; else removes
/// its files and its record. What came to its end meanwhile is removed too.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Store`].
pub async fn remove(inbound: &Inbound, id: UploadId) -> Result<Removed, Error> {
    let listed = inbound.tracker.by_id(&id);
    // Asked first: a writer of an unfinished upload that is told to end does so by itself.
    let runs = listed
        .as_ref()
        .filter(|progress| !progress.state().is_end());
    if inbound.unfinished.end(&id, Error::Cancelled).await? {
        return Ok(Removed::Gone);
    }
    if let Some(hand_off) = &inbound.receiver.hand_off
        && hand_off.end(&id).await?
    {
        return Ok(Removed::Gone);
    }
    if let Some(progress) = runs {
        match end(inbound, progress).await {
            None => return Ok(Removed::Ending),
            Some(State::Error) => return Ok(Removed::Gone),
            Some(_) => {}
        }
    }
    let store = Arc::clone(&inbound.receiver.store);
    let stored = inbound
        .data
        .run(async move { store.remove(&id).await })
        .await?;
    inbound.tracker.forget(&id);
    match stored || listed.is_some() {
        true => Ok(Removed::Gone),
        false => Err(Error::NotFound),
    }
}

/// Tells a running upload to end, and gives the state that it has ended in; `None` when that takes too long.
async fn end(inbound: &Inbound, progress: &Arc<Progress>) -> Option<State> {
    let bell = Bell::default();
    let key = Key::name(&progress.id().to_string())?;
    let mut follow = inbound.tracker.follow(key, &bell);
    follow.look();
    progress.halt(Why::Cancelled);
    let ended = async {
        while !progress.state().is_end() {
            bell.rung().await;
        }
        progress.state()
    };
    tokio::time::timeout(PATIENCE, ended).await.ok()
}
