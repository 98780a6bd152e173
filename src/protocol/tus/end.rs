//! DELETE: an upload is ended, or removed if it was complete ("Termination").

use bytes::Bytes;
use http::Response;

use super::{Asked, Inbound, head, told};
use crate::error::Error;
use crate::protocol::remove::{self, Removed};
use crate::upload::UploadId;

/// Ends the upload that `name` is the id of.
pub(super) async fn delete(inbound: &Inbound, name: &str, asked: &Asked) -> Response<Bytes> {
    match removed(inbound, name, asked).await {
        Ok(removed) => remove::empty(removed.into()),
        Err(error) => told::refused(asked, &error),
    }
}

async fn removed(inbound: &Inbound, name: &str, asked: &Asked) -> Result<Removed, Error> {
    head::check_version(&asked.head.headers)?;
    let id = name.parse().map_err(|_| Error::NotFound)?;
    inbound.check_owner(asked, id).await?;
    // The record that stays for a while is no upload.
    match is_there(inbound, id).await? {
        true => remove::remove(inbound, id).await,
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
