//! DELETE: an upload is ended, or removed if it was complete ("Termination").

use bytes::Bytes;
use http::Response;

use super::{Asked, Inbound, head, told};
use crate::error::Error;
use crate::protocol::remove::{self, Removed};

/// Ends the upload that `name` is the id of.
pub(super) async fn delete(inbound: &Inbound, name: &str, asked: &Asked) -> Response<Bytes> {
    match removed(inbound, name, asked).await {
        Ok(removed) => remove::empty(removed.into()),
        Err(error) => told::refused(asked, &error),
    }
}

async fn removed(inbound: &Inbound, name: &str, asked: &Asked) -> Result<Removed, Error> {
    head::check_version(&asked.head.headers)?;
    remove::named(inbound, name, asked).await
}
