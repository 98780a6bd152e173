//! `POST /upload`: a form with its files, as in the article.
//!
//! Any fields, any number of files under any field names, in any order: files are named when the whole form has come,
//! since the field that names them may stand behind them. A form that is a chunk of Dropzone's is another matter.

use bytes::Bytes;
use http::Response;

use super::dropzone::{self, Watchful};
use super::multipart::{Form, PartLimits};
use super::{Asked, Inbound, handed, headers};
use crate::receive::{Body, Split};
use crate::upload::Protocol;

/// Takes a form in and answers in the client's language.
pub async fn post(
    inbound: &Inbound,
    limits: PartLimits,
    asked: &Asked,
    body: Body,
) -> Response<Bytes> {
    let body = match dropzone::begun(inbound, limits, asked, body).await {
        Ok(chunk) => return dropzone::post(inbound, asked, chunk).await,
        Err(body) => body,
    };
    let upload = inbound.announce(Protocol::Form, asked, &body);
    let split = headers::form_boundary(&asked.head.headers, limits.boundary_bytes).map(
        |boundary| -> Box<dyn Split> { Box::new(Watchful::new(Form::new(&boundary, limits))) },
    );
    let taken = inbound.take(upload, body, split).await;
    handed::usual(inbound, asked, taken).await
}

#[cfg(test)]
mod tests;
