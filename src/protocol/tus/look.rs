//! HEAD: how far an upload is ("Core Protocol").

use bytes::Bytes;
use http::{Response, StatusCode};

use super::head;
use super::{Asked, Inbound, told};
use crate::error::Error;
use crate::unfinished::Status;

/// Tells how far the upload is that `name` is the id of, and has whoever writes to it let go. `None` where the request
/// does not speak tus and means no upload that is unfinished: then it means a stored file.
pub(crate) async fn look(inbound: &Inbound, name: &str, asked: &Asked) -> Option<Response<Bytes>> {
    let is_spoken = head::is_spoken(&asked.head);
    let is_unfinished = || {
        let id = name.parse().ok();
        id.is_some_and(|id| inbound.unfinished.look(&id).is_some())
    };
    if !is_spoken && !is_unfinished() {
        return None;
    }
    let found = match is_spoken.then(|| head::check_version(&asked.head.headers)) {
        Some(Err(error)) => Err(error),
        _ => find(inbound, name, asked).await,
    };
    Some(match found {
        Ok(status) => {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            told::all(answer.headers_mut(), &status, inbound);
            answer
        }
        Err(error) => told::refused(asked, &error),
    })
}

async fn find(inbound: &Inbound, name: &str, asked: &Asked) -> Result<Status, Error> {
    let id = name.parse().map_err(|_| Error::NotFound)?;
    inbound.check_owner(asked, id).await?;
    inbound.unfinished.settle(&id).await
}
