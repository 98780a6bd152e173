//! POST: an upload begins, with its first bytes or without ("Creation", "Creation With Upload", "Concatenation").

use bytes::Bytes;
use http::{Response, StatusCode, header};

use super::head::{self, Creation};
use super::{Asked, Inbound, Tus, told};
use crate::error::Error;
use crate::receive::{Body, Check, Digests, Shape};
use crate::unfinished::{Append, Status};
use crate::upload::{Concat, FileHead, Protocol, Remembered, Upload, UploadId};

/// Begins an upload, and takes in what the body holds of it.
pub(super) async fn post(
    inbound: &Inbound,
    tus: &Tus,
    asked: &Asked,
    body: Body,
) -> Response<Bytes> {
    let upload = inbound.announce(Protocol::Tus, asked, &body);
    let read = match Announced::read(tus, asked, &body) {
        Ok(read) => check_parts(inbound, asked, &read).await.map(|()| read),
        Err(error) => Err(error),
    };
    match read {
        Ok(read) => begin(inbound, tus, asked, upload, read, body).await,
        Err(error) => {
            // Who watches by a progress id of the client's own learns of this end too.
            inbound.tracker.begin(&upload).fail(&error);
            told::refused(asked, &error)
        }
    }
}

/// What a POST's head says.
struct Announced {
    creation: Creation,
    /// Whether bytes of the upload follow.
    brings: bool,
    check: Option<Check>,
    /// What the whole upload must add up to.
    digest: Option<String>,
}

impl Announced {
    fn read(tus: &Tus, asked: &Asked, body: &Body) -> Result<Self, Error> {
        let headers = &asked.head.headers;
        head::check_version(headers)?;
        let options = &tus.options;
        let creation = Creation::of(headers, options.metadata_bytes, options.partials)?;
        let brings = body.declared() != Some(0);
        if brings {
            head::check_content_type(headers)?;
        }
        match (&creation.concat, creation.length, body.declared()) {
            (Some(Concat::Final { .. }), ..) if brings => return Err(Error::FinalUpload),
            (_, Some(length), Some(given)) if given > length => {
                return Err(Error::LengthMismatch { length, given });
            }
            _ => {}
        }
        let check = head::check(headers)?;
        let digest = Digests::of_upload(headers)?;
        if digest.is_some() && creation.concat == Some(Concat::Partial) {
            return Err(Error::BadRequest {
                what: "what all of an upload adds up to is said where its parts are put together",
            });
        }
        Ok(Self {
            creation,
            brings,
            check,
            digest,
        })
    }
}

/// Parts that are somebody else's are unknown.
async fn check_parts(inbound: &Inbound, asked: &Asked, read: &Announced) -> Result<(), Error> {
    if let Some(Concat::Final { parts, .. }) = &read.creation.concat {
        for part in parts {
            inbound.check_owner(asked, *part).await?;
        }
    }
    Ok(())
}

async fn begin(
    inbound: &Inbound,
    tus: &Tus,
    asked: &Asked,
    mut upload: Box<Upload>,
    read: Announced,
    body: Body,
) -> Response<Bytes> {
    let (id, is_nameless) = (upload.id, upload.progress_id.is_none());
    upload.length = read.creation.length;
    let (mut about, file) = remembered(&upload, read.creation);
    about.digest = read.digest;
    let unfinished = &inbound.unfinished;
    let begun = match about.concat {
        Some(crate::upload::Concat::Final { .. }) => unfinished.join(upload, about, file).await,
        _ => unfinished.create(upload, about, Shape::File(file)).await,
    };
    let begun = match begun {
        Ok(status) => inbound.unless_refused(asked, status).await,
        Err(error) => Err(error),
    };
    let status = match begun {
        Ok(status) => status,
        Err(error) => return told::refused(asked, &error),
    };
    if !read.brings {
        return created(tus, asked, &status);
    }
    let append = Append {
        check: read.check,
        // Whoever has given it a name of his own can find it by that.
        untold: is_nameless,
        ..Append::new(0, body, asked.address, asked.head.clone())
    };
    match inbound.append(asked, &id, append).await {
        Ok(status) => created(tus, asked, &status),
        Err(error) => {
            let mut answer = told::refused_at(inbound, asked, &id, &error);
            // What is kept can be gone on with.
            if unfinished.look(&id).is_some() {
                locate(&mut answer, tus, asked, &id);
            }
            answer
        }
    }
}

/// What is kept of the upload besides its bytes, and what is said of its file.
fn remembered(upload: &Upload, creation: Creation) -> (Remembered, FileHead) {
    let mut about = Remembered::of(upload);
    about.concat = creation.concat;
    let Some(metadata) = creation.metadata else {
        return (about, FileHead::default());
    };
    let (file, fields) = metadata.split();
    about.fields = fields;
    about.metadata = Some(metadata.given);
    (about, file)
}

fn created(tus: &Tus, asked: &Asked, status: &Status) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::CREATED;
    locate(&mut answer, tus, asked, &status.id);
    let headers = answer.headers_mut();
    told::offset(headers, status);
    told::expires(headers, status);
    told::no_store(headers);
    answer
}

/// Says where the upload is.
fn locate(answer: &mut Response<Bytes>, tus: &Tus, asked: &Asked, id: &UploadId) {
    let url = asked.location(id, tus.options.absolute_location);
    told::set(answer.headers_mut(), header::LOCATION, url);
}
