//! A body at a route of the app's own: a form is taken as one, every other body is one file.

use std::sync::Arc;

use http::request::Parts;

use super::multipart::{Form, PartLimits};
use super::{Asked, Inbound, headers, put};
use crate::error::Error;
use crate::progress::Progress;
use crate::receive::{Arrived, Body, Split};
use crate::upload::Protocol;

/// Takes the body in; what becomes of its files is the app's to say.
pub(crate) async fn arrive(
    inbound: &Inbound,
    limits: PartLimits,
    asked: &Asked,
    body: Body,
) -> Result<(Arc<Progress>, Arrived), Error> {
    let (protocol, split) = match headers::is_form(&asked.head.headers) {
        true => (Protocol::Form, form(&asked.head, limits)),
        false => (Protocol::Put, put::whole(&asked.head, None)),
    };
    let upload = inbound.announce(protocol, asked, &body);
    inbound.arrive(upload, body, split).await
}

fn form(head: &Parts, limits: PartLimits) -> Result<Box<dyn Split>, Error> {
    let boundary = headers::form_boundary(&head.headers, limits.boundary_bytes)?;
    Ok(Box::new(Form::new(&boundary, limits)))
}
