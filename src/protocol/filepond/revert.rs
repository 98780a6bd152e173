//! DELETE: the upload goes whose id is the body, finished or not.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::refused;
use crate::error::Error;
use crate::protocol::remove::{self, Removed};
use crate::protocol::{Asked, Inbound};
use crate::receive::Body;

/// The most bytes in which an id is said.
const MOST: usize = 64;

/// How long they are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes the upload; a client that can send no body with a DELETE names it in the path.
pub(super) async fn revert(
    inbound: &Inbound,
    name: &str,
    asked: &Asked,
    body: Body,
) -> Response<Bytes> {
    match removed(inbound, name, asked, body).await {
        Ok(removed) => remove::empty(removed.into()),
        Err(error) => refused(&error),
    }
}

async fn removed(
    inbound: &Inbound,
    name: &str,
    asked: &Asked,
    body: Body,
) -> Result<Removed, Error> {
    match name {
        "" => remove::named(inbound, &id_in(inbound, body).await?, asked).await,
        name => remove::named(inbound, name, asked).await,
    }
}

async fn id_in(inbound: &Inbound, mut body: Body) -> Result<String, Error> {
    let read = async move {
        let (mut text, mut frames) = (Vec::new(), Vec::new());
        while body.frames(&mut frames).await? {
            frames
                .drain(..)
                .for_each(|frame| text.extend_from_slice(&frame));
            if text.len() > MOST {
                return Err(Error::NotFound);
            }
        }
        let text = String::from_utf8(text).map_err(|_| Error::NotFound)?;
        Ok(text.trim().to_owned())
    };
    let stalled = |_| Error::Stalled {
        seconds: PATIENCE.as_secs(),
    };
    let read = async move { tokio::time::timeout(PATIENCE, read).await };
    inbound.data.run(Box::pin(read)).await.map_err(stalled)?
}
