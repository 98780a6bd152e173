//! PATCH and HEAD: a chunk, and where the next one begins.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::refused;
use crate::error::Error;
use crate::protocol::remove::empty;
use crate::protocol::tus::head::{Appending, LENGTH, OFFSET};
use crate::protocol::{Asked, Inbound};
use crate::receive::Body;
use crate::unfinished::{Append, Status};
use crate::upload::{FileHead, Protocol, UploadId};

/// Takes a chunk in of the upload that `id` names.
pub(super) async fn patch(
    inbound: &Inbound,
    id: &str,
    asked: &Asked,
    body: Body,
) -> Response<Bytes> {
    let status = match append(inbound, id, asked, body).await {
        Ok(status) => inbound.unless_refused(asked, status).await,
        Err(error) => Err(error),
    };
    told(status)
}

/// Tells how far the upload is, and has whoever writes to it let go.
pub(super) async fn look(inbound: &Inbound, id: &str, asked: &Asked) -> Response<Bytes> {
    told(settled(inbound, id, asked).await)
}

fn told(status: Result<Status, Error>) -> Response<Bytes> {
    match status {
        Ok(status) => {
            let mut answer = empty(StatusCode::NO_CONTENT);
            set(answer.headers_mut(), OFFSET.name, status.offset);
            if let Some(length) = status.length {
                set(answer.headers_mut(), LENGTH.name, length);
            }
            answer
        }
        Err(error) => {
            let mut answer = refused(&error);
            if let Error::OffsetMismatch { expected, .. } = error {
                set(answer.headers_mut(), OFFSET.name, expected);
            }
            answer
        }
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, number: u64) {
    headers.insert(name, HeaderValue::from(number));
}

async fn settled(inbound: &Inbound, id: &str, asked: &Asked) -> Result<Status, Error> {
    let status = find(inbound, id, asked).await?;
    inbound.unfinished.settle(&status.id).await
}

/// The upload, where it is one of these and the asker may know of it.
async fn find(inbound: &Inbound, id: &str, asked: &Asked) -> Result<Status, Error> {
    let id: UploadId = id.parse().map_err(|_| Error::NotFound)?;
    inbound.check_owner(asked, id).await?;
    let status = inbound.known(&id).await?;
    match status.remembered.protocol {
        Protocol::FilePond => Ok(status),
        _ => Err(Error::NotFound),
    }
}

async fn append(inbound: &Inbound, id: &str, asked: &Asked, body: Body) -> Result<Status, Error> {
    let headers = &asked.head.headers;
    let Appending { offset, length } = Appending::of(headers)?;
    let name = name(headers)?;
    let status = find(inbound, id, asked).await?;
    let bytes = body.declared().filter(|bytes| *bytes > 0);
    let end = bytes.map(|bytes| offset.saturating_add(bytes));
    // Its answer was lost.
    let is_there = |kept: u64| end.is_some_and(|end| end <= kept);
    if is_there(status.offset) {
        inbound.pass_over(body).await;
        return Ok(status);
    }
    let append = Append {
        length,
        whole: true,
        said: FileHead {
            name,
            ..FileHead::default()
        },
        ..Append::new(offset, body, asked.address, asked.head.clone())
    };
    match inbound.unfinished.append(&status.id, append).await {
        // An older request has brought it at the last moment.
        Err(Error::OffsetMismatch { expected, .. }) if is_there(expected) => {
            inbound.known(&status.id).await
        }
        appended => appended,
    }
}

/// The file's name, in UTF-8 as FilePond sends it. A `%` stays one: whether it stands for something would be guessed.
fn name(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut given = headers.get_all("upload-name").iter();
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(Error::BadRequest {
            what: "it has several Upload-Name fields",
        }),
        (name, None) => {
            let name = name.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
            Ok(name.filter(|name| !name.is_empty()))
        }
    }
}
