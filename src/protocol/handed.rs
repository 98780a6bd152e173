//! What the client of a complete upload is told where the app behind hears of it first.
//!
//! | the app | PUT, Resumable Uploads, `GET /uploads/ID/answer` | all others |
//! |---|---|---|
//! | has taken it | its own answer | the usual one |
//! | has refused it | its own answer | a refusal with its status |
//! | has not answered yet | 202 and the record | the usual one; a form's is 202 |
//! | could not be told for too long | 502 | 502 |

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{Asked, Inbound, answer};
use crate::error::Error;
use crate::progress::Progress;
use crate::receive::{AppAnswer, Told};
use crate::unfinished::{Append, Status};
use crate::upload::{Concat, Owner, UploadId};

impl Inbound {
    /// What the app has said of an upload, as far as the asker may know; it waits for the first time that the app is told.
    pub(super) async fn told(&self, asked: &Asked, id: &UploadId) -> Result<Told, Error> {
        let Some(hand_off) = &self.receiver.hand_off else {
            return Ok(Told::Nothing);
        };
        let told = hand_off.told(id).await?;
        Ok(match told {
            Told::Taken(answer) if is_foreign(&answer, asked) => Told::Nothing,
            Told::Refused(answer) if is_foreign(&answer, asked) => Told::Nothing,
            told => told,
        })
    }

    /// Whether the app has decided, and not against the upload.
    ///
    /// # Errors
    /// [`Error::AppRefused`], [`Error::HandOffFailed`], [`Error::Store`].
    pub(super) async fn accepted(&self, asked: &Asked, id: &UploadId) -> Result<bool, Error> {
        match self.told(asked, id).await? {
            Told::Nothing | Told::Taken(_) => Ok(true),
            Told::NotYet => Ok(false),
            Told::Refused(answer) => Err(Error::AppRefused {
                status: answer.status.as_u16(),
            }),
            Told::GivenUp => Err(Error::HandOffFailed),
        }
    }

    /// Takes in what a request brings; where that completes the upload, an app that refuses it refuses the request.
    pub(super) async fn append(
        &self,
        asked: &Asked,
        id: &UploadId,
        append: Append,
    ) -> Result<Status, Error> {
        let status = self.unfinished.append(id, append).await?;
        self.unless_refused(asked, status).await
    }

    /// The upload, unless it is complete and the app has refused it.
    pub(super) async fn unless_refused(
        &self,
        asked: &Asked,
        status: Status,
    ) -> Result<Status, Error> {
        if status.complete && status.remembered.concat != Some(Concat::Partial) {
            self.accepted(asked, &status.id).await?;
        }
        Ok(status)
    }
}

/// Where the app named an owner, nobody else is told.
fn is_foreign(answer: &AppAnswer, asked: &Asked) -> bool {
    let owner = answer.owner.as_ref();
    owner.is_some_and(|owner| matches!(owner, Owner::Named(_)) && *owner != asked.owner)
}

/// The usual answer to an upload that has been taken or refused.
pub(super) async fn usual(
    inbound: &Inbound,
    asked: &Asked,
    taken: Result<Arc<Progress>, Error>,
) -> Response<Bytes> {
    let progress = match taken {
        Ok(progress) => progress,
        Err(error) => return answer::uploaded(asked, Err(error)),
    };
    match inbound.accepted(asked, &progress.id()).await {
        Ok(true) => answer::uploaded(asked, Ok(progress)),
        Ok(false) => not_yet(asked, Ok(progress)),
        Err(error) => answer::uploaded(asked, Err(error)),
    }
}

/// The app's own answer to an upload that has been taken in one request.
pub(super) async fn own(
    inbound: &Inbound,
    asked: &Asked,
    taken: Result<Arc<Progress>, Error>,
) -> Response<Bytes> {
    match taken {
        Ok(progress) => {
            let told = inbound.told(asked, &progress.id()).await;
            said(asked, told, Ok(progress))
        }
        Err(error) => answer::uploaded(asked, Err(error)),
    }
}

/// The app's own answer to a complete upload, or what there is in its place.
pub(super) async fn own_of(inbound: &Inbound, asked: &Asked, id: &UploadId) -> Response<Bytes> {
    let told = inbound.told(asked, id).await;
    let record = match &told {
        Ok(Told::Nothing | Told::NotYet) => inbound.finished(id, asked).await,
        _ => Err(Error::NotFound),
    };
    said(asked, told, record)
}

fn said(
    asked: &Asked,
    told: Result<Told, Error>,
    record: Result<Arc<Progress>, Error>,
) -> Response<Bytes> {
    match told {
        Ok(Told::Taken(said) | Told::Refused(said)) => apps(said),
        Ok(Told::Nothing) => answer::uploaded(asked, record),
        Ok(Told::NotYet) => not_yet(asked, record),
        Ok(Told::GivenUp) => answer::uploaded(asked, Err(Error::HandOffFailed)),
        Err(error) => answer::uploaded(asked, Err(error)),
    }
}

/// `GET /uploads/ID/answer`: the app's answer, for a client that has not heard it.
pub(crate) async fn answer(inbound: &Inbound, name: &str, asked: &Asked) -> Response<Bytes> {
    let told = match name.parse() {
        Ok(id) => told_again(inbound, &id, asked).await,
        Err(_) => Err(Error::NotFound),
    };
    match told {
        Ok((Told::Nothing, _)) => answer::uploaded(asked, Err(Error::NotFound)),
        Ok((told, record)) => said(asked, Ok(told), record),
        Err(error) => answer::uploaded(asked, Err(error)),
    }
}

async fn told_again(
    inbound: &Inbound,
    id: &UploadId,
    asked: &Asked,
) -> Result<(Told, Result<Arc<Progress>, Error>), Error> {
    inbound.check_owner(asked, *id).await?;
    let told = inbound.told(asked, id).await?;
    let record = match told {
        Told::NotYet => inbound.finished(id, asked).await,
        _ => Err(Error::NotFound),
    };
    Ok((told, record))
}

fn not_yet(asked: &Asked, record: Result<Arc<Progress>, Error>) -> Response<Bytes> {
    let mut answer = answer::uploaded(asked, record);
    if answer.status().is_success() {
        *answer.status_mut() = StatusCode::ACCEPTED;
    }
    answer
}

pub(super) fn apps(said: AppAnswer) -> Response<Bytes> {
    let mut answer = Response::new(said.body);
    *answer.status_mut() = said.status;
    *answer.headers_mut() = said.headers;
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}
