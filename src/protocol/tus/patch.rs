//! PATCH: more of an upload ("Core Protocol", "Checksum").

use bytes::Bytes;
use http::{Response, StatusCode};

use super::head::{self, Appending};
use super::{Asked, Inbound, told};
use crate::error::Error;
use crate::receive::Body;
use crate::unfinished::Append;
use crate::upload::UploadId;

/// Takes in what the body holds of the upload that `name` is the id of.
pub(super) async fn patch(
    inbound: &Inbound,
    name: &str,
    asked: &Asked,
    body: Body,
) -> Response<Bytes> {
    let (id, append) = match read(inbound, name, asked, body).await {
        Ok(read) => read,
        Err(error) => return told::refused(asked, &error),
    };
    match inbound.append(asked, &id, append).await {
        Ok(status) => {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            let headers = answer.headers_mut();
            told::offset(headers, &status);
            told::expires(headers, &status);
            told::no_store(headers);
            answer
        }
        Err(error) => told::refused_at(inbound, asked, &id, &error),
    }
}

async fn read(
    inbound: &Inbound,
    name: &str,
    asked: &Asked,
    body: Body,
) -> Result<(UploadId, Append), Error> {
    let headers = &asked.head.headers;
    head::check_version(headers)?;
    let id = name.parse().map_err(|_| Error::NotFound)?;
    let Appending { offset, length } = Appending::of(headers)?;
    let check = head::check(headers)?;
    inbound.check_owner(asked, id).await?;
    let append = Append {
        length,
        check,
        ..Append::new(offset, body, asked.address, asked.head.clone())
    };
    Ok((id, append))
}
