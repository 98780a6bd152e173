//! PATCH: more of an upload, or its end ("Upload Append").

use bytes::Bytes;
use http::{Response, StatusCode};

use super::early::Early;
use super::head::Appending;
use super::version::Version;
use super::{Here, told};
use crate::error::Error;
use crate::protocol::handed;
use crate::receive::{Body, Digests, Told};
use crate::unfinished::{Append, Status};
use crate::upload::{Protocol, UploadId};

/// Takes in what the body holds of the upload that `name` is the id of.
pub(crate) async fn patch(here: Here<'_>, name: &str, body: Body) -> Response<Bytes> {
    let (id, said) = match read(here, name, body.declared()).await {
        Ok(read) => read,
        Err((None, error)) => return told::refused(here, Protocol::Ietf, &error),
        Err((Some(id), error)) => return told::refused_at(here, &id, &error),
    };
    let unfinished = &here.inbound.unfinished;
    if unfinished.look(&id).is_some() {
        return append(here, &id, said, body).await;
    }
    match unfinished.settle(&id).await {
        Ok(status) if status.complete => again(here, &status, said.at, body.declared()).await,
        Ok(_) => append(here, &id, said, body).await,
        Err(Error::NotFound) => from_the_app(here, &id, said.at, body.declared()).await,
        Err(error) => told::refused(here, Protocol::Ietf, &error),
    }
}

/// Nothing of the upload is here. Where that is since the app has taken it, whoever sends its last bytes once more is given
/// the app's answer again.
async fn from_the_app(
    here: Here<'_>,
    id: &UploadId,
    said: Appending,
    declared: Option<u64>,
) -> Response<Bytes> {
    let end = said.offset.saturating_add(declared.unwrap_or(0));
    match here.inbound.told(here.asked, id).await {
        Ok(Told::Taken(answer) | Told::Refused(answer))
            if said.complete && answer.length == Some(end) =>
        {
            told::complete(here, handed::apps(answer), end)
        }
        Ok(_) => told::refused(here, Protocol::Ietf, &Error::NotFound),
        Err(error) => told::refused(here, Protocol::Ietf, &error),
    }
}

/// What the request's head says.
struct Said {
    at: Appending,
    /// What the whole upload must add up to.
    digest: Option<String>,
}

/// Reads it. What it says wrongly of lengths is refused with how far the upload is, by its id.
async fn read(
    here: Here<'_>,
    name: &str,
    declared: Option<u64>,
) -> Result<(UploadId, Said), (Option<UploadId>, Error)> {
    let id = name.parse().map_err(|_| (None, Error::NotFound))?;
    let owned = here.inbound.check_owner(here.asked, id).await;
    owned.map_err(|error| (None, error))?;
    let headers = &here.asked.head.headers;
    let said = Appending::of(headers, declared).and_then(|at| {
        let digest = Digests::of_upload(headers)?;
        Ok(Said { at, digest })
    });
    said.map(|said| (id, said)).map_err(|error| match error {
        Error::LengthMismatch { .. } => (Some(id), error),
        error => (None, error),
    })
}

async fn append(
    here: Here<'_>,
    id: &UploadId,
    Said { at, digest }: Said,
    body: Body,
) -> Response<Bytes> {
    let unfinished = &here.inbound.unfinished;
    let declared = body.declared();
    let append = Append {
        length: at.length,
        digest,
        last: told::version(here.asked).last(at.complete),
        on_kept: Early::of(here.asked).and_then(Early::on_kept),
        ..here.append(at.offset, body)
    };
    match unfinished.append(id, append).await {
        // What tus puts together with others is no file by itself, so there is none to tell of.
        Ok(status) if status.complete && status.remembered.concat.is_none() => {
            told::whole(here, &status).await
        }
        Ok(status) => told::resting(here, &status, StatusCode::NO_CONTENT),
        Err(error) => {
            if let Error::LengthMismatch { length, given } = error
                && overruns(&at, declared, length, given)
            {
                told::invalid(here, id, Error::LengthMismatch { length, given }).await;
            }
            told::refused_at(here, id, &error)
        }
    }
}

/// Whether more bytes were sent than the upload has, rather than its length said wrongly.
fn overruns(appending: &Appending, declared: Option<u64>, length: u64, given: u64) -> bool {
    match declared {
        Some(declared) => appending.offset.saturating_add(declared) > length,
        None => given > length && appending.length.is_none_or(|said| said == length),
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
    // What has ended by its length may be told so once more.
    let says_no_more = version.ends_by_length && appending.offset == end;
    let error = match appending {
        Appending { complete: true, .. }
            if end == status.offset && (version.repeats || says_no_more) =>
        {
            return told::whole(here, status).await;
        }
        _ if !version.repeats => Error::CompletedUpload,
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
