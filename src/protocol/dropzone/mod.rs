//! Dropzone's chunks: each is a form of its own at `POST /upload`, one after the other.
//!
//! ```text
//! POST /upload   dzuuid, dzchunkindex, …, the form's own fields, the chunk ─► chunk.rs   what it is a part of, and where
//!                                                                          ─► taken up   200, the last one with the record
//! ```
//!
//! `dzuuid` is the upload's progress id: together with its owner it finds the upload again, also after a restart. The first
//! chunk begins it; nothing of a chunk that breaks off is kept, since Dropzone sends it again from its first byte. A chunk
//! that is there already is answered once more, as its answer was lost.
//!
//! A request is one of these when its first field is `dzuuid`. All other uploads have a record as soon as their head is
//! here, so only a request whose head may be Dropzone's is looked into before. [`Watchful`] refuses chunks among the
//! others, which would be stored one by one.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};

use super::lead::Lead;
use super::multipart::PartLimits;
use super::{Asked, Inbound, answer, handed};
use crate::error::{Error, Refusal};
use crate::progress::{Holder, Progress};
use crate::query::GivenId;
use crate::receive::{Body, Shape};
use crate::unfinished::{Append, Status};
use crate::upload::{FileHead, Protocol, Remembered, Upload, UploadId};
use chunk::Chunk;

mod chunk;
mod watchful;

pub(super) use watchful::Watchful;

/// Its first field.
const UUID: &str = "dzuuid";

/// A form whose first field has been read, and says that it is a chunk.
pub(super) struct Begun(Lead);

/// Looks for a chunk in the body, which comes back where there is none.
pub(super) async fn begun(
    inbound: &Inbound,
    limits: PartLimits,
    asked: &Asked,
    body: Body,
) -> Result<Begun, Body> {
    if !may_be_one(&asked.head) {
        return Err(body);
    }
    let mut lead = Lead::new(inbound, limits, asked, body).map_err(|(_, body)| body)?;
    let look = async move { (lead.begins_with(UUID).await, lead) };
    match inbound.data.run(Box::pin(look)).await {
        (true, lead) => Ok(Begun(lead)),
        (false, lead) => Err(lead.give_back()),
    }
}

/// Whether it has what Dropzone sends (its `defaultHeaders`) and nothing by which somebody could watch it before its first
/// byte. A look at its body would tell a client to go on that waits for that word.
fn may_be_one(head: &Parts) -> bool {
    let headers = &head.headers;
    let is_json = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept == "application/json");
    let is_watched =
        GivenId::in_query(&head.uri).or(GivenId::in_header(headers)) != GivenId::Absent;
    is_json
        && !is_watched
        && headers.contains_key("x-requested-with")
        && !headers.contains_key(header::EXPECT)
}

/// Takes a chunk in.
pub(super) async fn post(inbound: &Inbound, asked: &Asked, begun: Begun) -> Response<Bytes> {
    match take(inbound, asked, begun.0).await {
        Ok(status) => told(inbound, asked, &status).await,
        Err(error) => answer::refused(&asked.head.headers, &asked.base, &error),
    }
}

async fn told(inbound: &Inbound, asked: &Asked, status: &Status) -> Response<Bytes> {
    let mut told = match status.complete {
        true => handed::usual(inbound, asked, inbound.finished(&status.id, asked).await).await,
        false => answer::so_far(status),
    };
    if told.status().is_success() {
        *told.status_mut() = StatusCode::OK;
    }
    told
}

async fn take(inbound: &Inbound, asked: &Asked, mut lead: Lead) -> Result<Status, Error> {
    let read = async move { (lead.fields().await, lead) };
    let (fields, lead) = inbound.data.run(Box::pin(read)).await;
    let mut fields = fields?;
    let chunk = Chunk::take(&mut fields.pairs)?;
    let file = fields.file.ok_or(Error::BadRequest {
        what: "its form has no file behind the fields of a chunk",
    })?;
    let body = lead.into_file(chunk.length);
    let id = match find(inbound, asked, &chunk).await? {
        Some(status) if chunk.is_there(status.offset) => {
            inbound.pass_over(body).await;
            return Ok(status);
        }
        Some(status) if chunk.offset > status.offset => return Err(Error::ParallelChunks),
        Some(status) => status.id,
        None if chunk.offset > 0 => return Err(Error::ParallelChunks),
        None => {
            let upload = inbound.announce(Protocol::Dropzone, asked, &body);
            begin(inbound, upload, &chunk, file, fields.pairs).await?
        }
    };
    append(inbound, asked, &chunk, id, body).await
}

/// The upload of which it is a chunk, where it has begun.
async fn find(inbound: &Inbound, asked: &Asked, chunk: &Chunk) -> Result<Option<Status>, Error> {
    let owners = asked.owners();
    let named = |owner| inbound.tracker.by_progress_id(owner, &chunk.uuid);
    let Some(progress) = owners.iter().find_map(named) else {
        return Ok(None);
    };
    asked.check_only(&progress.id())?;
    let status = match inbound.known(&progress.id()).await {
        Ok(status) => status,
        Err(Error::NotFound) => return ended(&progress, chunk),
        Err(error) => return Err(error),
    };
    match status.remembered.protocol == Protocol::Dropzone && status.length == Some(chunk.total) {
        true => Ok(Some(status)),
        false => Err(Error::BadRequest {
            what: "its dzuuid is that of another upload",
        }),
    }
}

/// What has ended it is told again: Dropzone shows what it is told last.
fn ended(progress: &Arc<Progress>, chunk: &Chunk) -> Result<Option<Status>, Error> {
    let error = progress.record(Holder::Id, "").error;
    match error.filter(|_| chunk.offset > 0) {
        Some(error) => Err(Error::Refused(Refusal {
            code: error.code,
            status: error.status,
            message: error.message.unwrap_or_default(),
        })),
        None => Ok(None),
    }
}

async fn begin(
    inbound: &Inbound,
    mut upload: Box<Upload>,
    chunk: &Chunk,
    file: FileHead,
    fields: Vec<(String, String)>,
) -> Result<UploadId, Error> {
    upload.progress_id = Some(chunk.uuid.clone());
    upload.length = Some(chunk.total);
    let mut about = Remembered::of(&upload);
    about.fields = fields;
    // An empty file is there when its chunk has come.
    about.awaits_word = chunk.total == 0;
    let shape = Shape::File(file);
    let status = inbound.begin(upload, about, shape).await?;
    Ok(status.id)
}

async fn append(
    inbound: &Inbound,
    asked: &Asked,
    chunk: &Chunk,
    id: UploadId,
    body: Body,
) -> Result<Status, Error> {
    let append = Append {
        whole: true,
        ..Append::new(chunk.offset, body, asked.address, asked.head.clone())
    };
    match inbound.unfinished.append(&id, append).await {
        // An older request has brought it at the last moment.
        Err(Error::OffsetMismatch { expected, .. }) if chunk.is_there(expected) => {
            inbound.known(&id).await
        }
        Err(Error::OffsetMismatch { .. }) => Err(Error::ParallelChunks),
        appended => appended,
    }
}
