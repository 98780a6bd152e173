//! A body at a route of the app's own: a form is taken as one, every other body is one file.

use std::sync::Arc;

use http::request::Parts;

use super::multipart::{Form, PartLimits};
use super::{Asked, Inbound, headers, put};
use crate::error::Error;
use crate::progress::Progress;
#[cfg(feature = "server")]
use crate::receive::Handed;
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

/// Takes a form in for the app behind, and keeps its skeleton within that many bytes: the app is given it as it came.
#[cfg(feature = "server")]
pub(crate) async fn hand(
    inbound: &Inbound,
    limits: PartLimits,
    skeleton: Option<usize>,
    asked: &Asked,
    body: Body,
) -> Result<Handed, Error> {
    let upload = inbound.announce(Protocol::Form, asked, &body);
    let boundary = headers::form_boundary(&asked.head.headers, limits.boundary_bytes);
    let split = boundary.map(|boundary| -> Box<dyn Split> {
        let form = Form::new(&boundary, limits);
        match skeleton {
            Some(_) => Box::new(form.with_skeleton()),
            None => Box::new(form),
        }
    });
    let received = inbound.gather(upload, body, split, skeleton).await?;
    Ok(Handed::new(received))
}

fn form(head: &Parts, limits: PartLimits) -> Result<Box<dyn Split>, Error> {
    let boundary = headers::form_boundary(&head.headers, limits.boundary_bytes)?;
    Ok(Box::new(Form::new(&boundary, limits)))
}
