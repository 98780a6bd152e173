//! HEAD: how far an upload is ("Core Protocol").

use bytes::Bytes;
use http::{Response, StatusCode};

use super::head;
use super::{Asked, Inbound, told};
use crate::error::Error;
use crate::unfinished::Status;

/// Tells how far the upload is that `name` is the id of, and has whoever writes to it let go.
pub(crate) async fn look(inbound: &Inbound, name: &str, asked: &Asked) -> Response<Bytes> {
    match find(inbound, name, asked).await {
        Ok(status) => {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            told::all(answer.headers_mut(), &status, inbound);
            answer
        }
        Err(error) => told::refused(asked, &error),
    }
}

async fn find(inbound: &Inbound, name: &str, asked: &Asked) -> Result<Status, Error> {
    head::check_version(&asked.head.headers)?;
    let id = name.parse().map_err(|_| Error::NotFound)?;
    inbound.check_owner(asked, id).await?;
    inbound.unfinished.settle(&id).await
}
