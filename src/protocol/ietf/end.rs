//! DELETE: an upload is ended, or removed if it was complete ("Upload Cancellation").

use bytes::Bytes;
use http::Response;

use super::{Here, told};
use crate::protocol::remove;
use crate::upload::Protocol;

/// Ends the upload that `name` is the id of.
pub(crate) async fn delete(here: Here<'_>, name: &str) -> Response<Bytes> {
    match remove::named(here.inbound, name, here.asked).await {
        Ok(removed) => remove::empty(removed.into()),
        Err(error) => told::refused(here, Protocol::Ietf, &error),
    }
}
