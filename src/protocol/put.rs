//! `PUT /files/NAME`: a raw body is one file, with or without a Content-Length.
//!
//! ```text
//! curl -T paella.jpg http://127.0.0.1:7070/files/
//! ```
//!
//! NAME is what the file is called, never an address: the answer's `Location` tells where it is.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, header};
use percent_encoding::percent_decode_str;

use super::{Asked, Inbound, handed};
use crate::error::Error;
use crate::receive::{Body, Raw, Split};
use crate::upload::{FileHead, Protocol};

/// Takes a file in; `name` is the path behind `/files/`, still percent-encoded.
pub async fn put(inbound: &Inbound, name: &str, asked: &Asked, body: Body) -> Response<Bytes> {
    let upload = inbound.announce(Protocol::Put, asked, &body);
    let taken = inbound.take(upload, body, split(name, asked)).await;
    handed::own(inbound, asked, taken).await
}

fn split(name: &str, asked: &Asked) -> Result<Box<dyn Split>, Error> {
    let name = percent_decode_str(name).decode_utf8_lossy();
    whole(&asked.head, (!name.is_empty()).then(|| name.into_owned()))
}

/// A body that is one file of that name.
pub(super) fn whole(head: &Parts, name: Option<String>) -> Result<Box<dyn Split>, Error> {
    // A server that cannot take a part of a file must not take it for the whole: RFC 9110, 14.5.
    if head.headers.contains_key(header::CONTENT_RANGE) {
        return Err(Error::BadRequest {
            what: "a body with Content-Range would store a part as the whole",
        });
    }
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
    Ok(Box::new(Raw::new(FileHead {
        field: None,
        name,
        content_type: content_type.map(std::borrow::Cow::into_owned),
    })))
}
