//! PATCH: more of an upload, or its end ("Upload Append").

use bytes::Bytes;
use http::{Response, StatusCode};

use super::early::Early;
use super::head::Appending;
use super::version::Version;
use super::{Here, told};
use crate::error::Error;
use crate::receive::{Body, Digests};
use crate::unfinished::{Append, Status};
use crate::upload::{Protocol, UploadId};

/// Takes in what the body holds of the upload that `name` is the id of.
pub(crate) async fn patch(here: Here<'_>, name: &str, body: Body) -> Response<Bytes> {
    let (id, appending) = match read(here, name, body.declared()).await {
        Ok(read) => read,
        Err((None, error)) => return told::refused(here, Protocol::Ietf, &error),
        Err((Some(id), error)) => return told::refused_at(here, &id, &error),
    };
    if here.inbound.unfinished.look(&id).is_some() {
        return append(here, &id, appending, body).await;
    }
    match here.inbound.unfinished.settle(&id).await {
        Ok(status) if status.complete => again(here, &status, appending, body.declared()).await,
        Ok(_) => append(here, &id, appending, body).await,
        Err(error) => told::refused(here, Protocol::Ietf, &error),
    }
}

/// What the head says. What it says wrongly of an upload that may be known is refused with where that stands.
async fn read(
    here: Here<'_>,
    name: &str,
    declared: Option<u64>,
) -> Result<(UploadId, Appending), (Option<UploadId>, Error)> {
    let id = name.parse().map_err(|_| (None, Error::NotFound))?;
    let owned = here.inbound.check_owner(here.asked, id).await;
    owned.map_err(|error| (None, error))?;
    let appending = Appending::of(&here.asked.head.headers, declared);
    match appending {
        Ok(appending) => Ok((id, appending)),
        Err(error @ Error::LengthMismatch { .. }) => Err((Some(id), error)),
        Err(error) => Err((None, error)),
    }
}

async fn append(
    here: Here<'_>,
    id: &UploadId,
    appending: Appending,
    body: Body,
) -> Response<Bytes> {
    let unfinished = &here.inbound.unfinished;
    let declared = body.declared();
    let digest = match Digests::of_upload(&here.asked.head.headers) {
        Ok(digest) => digest,
        Err(error) => return told::refused_at(here, id, &error),
    };
    let append = Append {
        length: appending.length,
        digest,
        last: Some(appending.complete),
        on_kept: Early::of(here.asked).and_then(Early::on_kept),
        ..here.append(appending.offset, body)
    };
    match unfinished.append(id, append).await {
        Ok(status) if status.complete => told::whole(here, &status).await,
        Ok(status) => told::resting(here, &status, StatusCode::NO_CONTENT),
        Err(error) => {
            end_overrun(here, id, appending, declared, &error).await;
            told::refused_at(here, id, &error)
        }
    }
}

/// Ends an upload of which more bytes were sent than it has: nothing can be made of it any more ("Upload Append"). A length
/// that is said wrongly ends nothing.
pub(super) async fn end_overrun(
    here: Here<'_>,
    id: &UploadId,
    Appending {
        offset,
        length: said,
        ..
    }: Appending,
    declared: Option<u64>,
    error: &Error,
) {
    let &Error::LengthMismatch { length, given } = error else {
        return;
    };
    let overrun = match declared {
        Some(declared) => offset.saturating_add(declared) > length,
        None => given > length && said.is_none_or(|said| said == length),
    };
    let why = Error::LengthMismatch { length, given };
    if overrun && let Err(failed) = here.inbound.unfinished.end(id, why).await {
        let cause = std::error::Error::source(&failed).map(ToString::to_string);
        tracing::warn!(
            upload = id.short(),
            cause,
            "cannot end an upload that was sent too much of"
        );
    }
}

/// A request for an upload that is complete. It changes nothing; whoever sends the last bytes once more, since the answer
/// was lost, is given it again where the protocol has no problem for that.
async fn again(
    here: Here<'_>,
    status: &Status,
    appending: Appending,
    declared: Option<u64>,
) -> Response<Bytes> {
    let version = Version::of(&here.asked.head.headers);
    let end = appending.offset.saturating_add(declared.unwrap_or(0));
    let error = match appending {
        _ if !version.repeats => Error::CompletedUpload,
        Appending { complete: true, .. } if end == status.offset => {
            return told::whole(here, status).await;
        }
        Appending { offset: given, .. } if given != status.offset => Error::OffsetMismatch {
            expected: status.offset,
            given,
        },
        Appending { .. } if end > status.offset => Error::LengthMismatch {
            length: status.offset,
            given: end,
        },
        Appending { .. } => Error::CompletedUpload,
    };
    let mut answer = told::refused_at(here, &status.id, &error);
    told::state(answer.headers_mut(), version, status.offset, true);
    answer
}
