//! An upload begins, with its first bytes or all of them ("Upload Creation").

use bytes::Bytes;
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::append::end_overrun;
use super::early::Early;
use super::head::{Appending, Creation};
use super::{Here, told};
use crate::error::Error;
use crate::protocol::multipart::{Form, PartLimits};
use crate::protocol::{headers, tus};
use crate::receive::{Body, Digests, Shape};
use crate::unfinished::{Append, Status};
use crate::upload::{FileHead, Protocol, Remembered, Upload};

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
    let Announced {
        creation,
        shape,
        fields,
        digest,
    } = announced;
    let (id, protocol) = (upload.id, upload.protocol);
    upload.length = creation.length;
    let mut about = Remembered::of(&upload);
    (about.awaits_word, about.fields) = (true, fields);
    about.digest = digest;
    let named = upload.progress_id.is_some();
    let unfinished = &here.inbound.unfinished;
    let status = match unfinished.create(upload, about, shape).await {
        Ok(status) => status,
        Err(error) => return told::refused(here, protocol, &error),
    };
    let location = here.asked.location(&id, here.ietf.absolute_location);
    let early = Early::of(here.asked);
    if let Some(early) = &early {
        early.begun(&location, told::limit(here, protocol, Some(&status)));
    }
    if body.declared() == Some(0) && !creation.complete {
        return told::located(told::resting(here, &status, StatusCode::CREATED), &location);
    }
    let declared = body.declared();
    let append = Append {
        last: Some(creation.complete),
        untold: early.is_none() && !named,
        on_kept: early.and_then(Early::on_kept),
        ..here.append(0, body)
    };
    match unfinished.append(&id, append).await {
        Ok(status) => told::located(begun(here, &status).await, &location),
        Err(error) => {
            let appending = Appending {
                offset: 0,
                complete: creation.complete,
                length: creation.length,
            };
            end_overrun(here, &id, appending, declared, &error).await;
            let answer = told::refused_at(here, &id, &error);
            // What is kept can be gone on with.
            match unfinished.look(&id) {
                Some(_) => told::located(answer, &location),
                None => answer,
            }
        }
    }
}

async fn begun(here: Here<'_>, status: &Status) -> Response<Bytes> {
    match status.complete {
        true => told::whole(here, status).await,
        false => told::resting(here, status, StatusCode::CREATED),
    }
}
