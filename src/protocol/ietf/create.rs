//! An upload begins, with its first bytes or all of them ("Upload Creation").

use bytes::Bytes;
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::early::Early;
use super::head::Creation;
use super::{Here, told};
use crate::error::Error;
use crate::protocol::multipart::{Form, PartLimits};
use crate::protocol::{headers, tus};
use crate::receive::{Body, Digests, Shape};
use crate::unfinished::{Append, Status};
use crate::upload::{FileHead, Protocol, Remembered, Upload, UploadId};

/// What the request was sent to, which takes the upload once it is complete.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// `POST /files/`: one file.
    Files,
    /// `PUT /files/NAME`: one file of that name, percent-encoded.
    Put(&'a str),
    /// `POST /upload`: a form.
    Form(PartLimits),
}

impl Target<'_> {
    fn protocol(self) -> Protocol {
        match self {
            Self::Files => Protocol::Ietf,
            Self::Put(_) => Protocol::Put,
            Self::Form(_) => Protocol::Form,
        }
    }
}

/// Begins an upload, and takes in what the body holds of it.
pub(crate) async fn begin(here: Here<'_>, target: Target<'_>, body: Body) -> Response<Bytes> {
    let upload = here.inbound.announce(target.protocol(), here.asked, &body);
    match Announced::read(here, target, &body) {
        Ok(announced) => go(here, upload, announced, body).await,
        Err(error) => {
            // Who watches by a progress id of the client's own learns of this end too.
            here.inbound.tracker.begin(&upload).fail(&error);
            told::refused(here, target.protocol(), &error)
        }
    }
}

/// What the request's head says.
struct Announced {
    protocol: Protocol,
    creation: Creation,
    shape: Shape,
    fields: Vec<(String, String)>,
    /// What the whole upload must add up to.
    digest: Option<String>,
}

impl Announced {
    fn read(here: Here<'_>, target: Target<'_>, body: &Body) -> Result<Self, Error> {
        let fields = &here.asked.head.headers;
        let creation = Creation::of(fields, body.declared())?;
        if let (Some(length), Some(given)) = (creation.length, body.declared())
            && given > length
        {
            return Err(Error::LengthMismatch { length, given });
        }
        if let Some(limit) = here.inbound.admission.options().request_bytes
            && body.declared().is_some_and(|given| given > limit)
        {
            return Err(Error::RequestTooLarge { limit });
        }
        let (shape, fields) = match target {
            Target::Form(limits) => (form(here, limits)?, Vec::new()),
            Target::Files => file(here, &creation, None)?,
            Target::Put(name) => file(here, &creation, Some(name).filter(|name| !name.is_empty()))?,
        };
        Ok(Self {
            protocol: target.protocol(),
            creation,
            shape,
            fields,
            digest: Digests::of_upload(&here.asked.head.headers)?,
        })
    }
}

fn form(here: Here<'_>, limits: PartLimits) -> Result<Shape, Error> {
    let boundary = headers::form_boundary(&here.asked.head.headers, limits.boundary_bytes)?;
    Ok(Shape::Form(Box::new(Form::new(&boundary, limits))))
}

/// One file, and what else is said of it. Its name is the path's, else the protocol's own field says it, else the field by
/// which clients of tus name a file whatever they speak: tus-js-client sends no other one.
fn file(
    here: Here<'_>,
    creation: &Creation,
    name: Option<&str>,
) -> Result<(Shape, Vec<(String, String)>), Error> {
    let fields = &here.asked.head.headers;
    let path = name.map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
    let attached = headers::attached_name(fields)?;
    let metadata = fields
        .get("upload-metadata")
        .and_then(|text| text.to_str().ok());
    let metadata = metadata
        .map(|text| tus::metadata::read(text, here.ietf.metadata_bytes))
        .transpose()?;
    let (said, rest) = metadata
        .map(|metadata| metadata.split())
        .unwrap_or_default();
    let file = FileHead {
        field: None,
        name: path.or(attached).or(said.name),
        content_type: creation.content_type.clone().or(said.content_type),
    };
    Ok((Shape::File(file), rest))
}

async fn go(
    here: Here<'_>,
    mut upload: Box<Upload>,
    announced: Announced,
    body: Body,
) -> Response<Bytes> {
    upload.length = announced.creation.length;
    let mut about = Remembered::of(&upload);
    about.awaits_word = !told::version(here.asked).ends_by_length;
    (about.fields, about.digest) = (announced.fields, announced.digest);
    let unfinished = &here.inbound.unfinished;
    match unfinished.create(upload, about, announced.shape).await {
        Ok(status) => bring(here, &status, announced.creation.complete, body).await,
        Err(error) => told::refused(here, announced.protocol, &error),
    }
}

/// Takes in what the body holds of the upload that has begun.
async fn bring(here: Here<'_>, begun: &Status, complete: bool, body: Body) -> Response<Bytes> {
    let about = &begun.remembered;
    let location = here.asked.location(&begun.id, here.ietf.absolute_location);
    let early = Early::of(here.asked);
    if let Some(early) = &early {
        early.begun(&location, told::limit(here, about.protocol, Some(begun)));
    }
    if body.declared() == Some(0) && (begun.complete || !complete) {
        return told::located(answer(here, begun).await, &location);
    }
    let append = Append {
        last: told::version(here.asked).last(complete),
        untold: early.is_none() && about.progress_id.is_none(),
        on_kept: early.and_then(Early::on_kept),
        ..here.append(0, body)
    };
    match here.inbound.unfinished.append(&begun.id, append).await {
        Ok(status) => told::located(answer(here, &status).await, &location),
        Err(error) => broken(here, &begun.id, &error, &location).await,
    }
}

async fn answer(here: Here<'_>, status: &Status) -> Response<Bytes> {
    match status.complete {
        true => told::whole(here, status).await,
        false => told::resting(here, status, StatusCode::CREATED),
    }
}

/// A refusal of what a body brought. What is kept of it can be gone on with, unless the request contradicts itself.
async fn broken(here: Here<'_>, id: &UploadId, error: &Error, location: &str) -> Response<Bytes> {
    if let &Error::LengthMismatch { length, given } = error {
        told::invalid(here, id, Error::LengthMismatch { length, given }).await;
    }
    let answer = told::refused_at(here, id, error);
    match here.inbound.unfinished.look(id) {
        Some(_) => told::located(answer, location),
        None => answer,
    }
}
