//! POST: a file in a form, or the first word on one that comes in chunks.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::{refused, text};
use crate::error::Error;
use crate::handlers::too_large;
use crate::protocol::lead::{Fields, Lead};
use crate::protocol::multipart::{Form, PartLimits};
use crate::protocol::tus::head::LENGTH;
use crate::protocol::{Asked, Inbound, headers};
use crate::receive::{Body, Shape, Split};
use crate::upload::{FileHead, Protocol, Remembered, Upload, UploadId};

/// Takes the form in; the answer is the upload's id.
pub(super) async fn post(
    inbound: &Inbound,
    limits: PartLimits,
    asked: &Asked,
    body: Body,
) -> Response<Bytes> {
    let upload = inbound.announce(Protocol::FilePond, asked, &body);
    let taken = match LENGTH.number(&asked.head.headers) {
        Ok(None) => whole(inbound, limits, asked, upload, body).await,
        Ok(Some(length)) => in_chunks(inbound, limits, asked, upload, length, body).await,
        Err(error) => Err(fail(inbound, &upload, error)),
    };
    match taken {
        Ok(id) => text(StatusCode::CREATED, id.to_string()),
        Err(error) => refused(&error),
    }
}

async fn whole(
    inbound: &Inbound,
    limits: PartLimits,
    asked: &Asked,
    upload: Box<Upload>,
    body: Body,
) -> Result<UploadId, Error> {
    let split = headers::form_boundary(&asked.head.headers, limits.boundary_bytes)
        .map(|boundary| -> Box<dyn Split> { Box::new(Form::new(&boundary, limits)) });
    let progress = inbound.take(upload, body, split).await?;
    inbound.accepted(asked, &progress.id()).await?;
    Ok(progress.id())
}

/// The form has what FilePond knows of the file besides its bytes. Its name comes with the first of them.
async fn in_chunks(
    inbound: &Inbound,
    limits: PartLimits,
    asked: &Asked,
    mut upload: Box<Upload>,
    length: u64,
    body: Body,
) -> Result<UploadId, Error> {
    // The handler that refuses it sees it with its first byte only.
    let most = inbound.receiver.chain.takes().bytes;
    if let Some(most) = most.filter(|most| length > *most) {
        return Err(fail(inbound, &upload, too_large(most).into()));
    }
    let fields = match fields(inbound, limits, asked, body).await {
        Ok(fields) if fields.file.is_none() => fields.pairs,
        Ok(_) => return Err(fail(inbound, &upload, TWO_THINGS)),
        Err(error) => return Err(fail(inbound, &upload, error)),
    };
    upload.length = Some(length);
    let mut about = Remembered::of(&upload);
    about.fields = fields;
    // An empty file comes in one empty chunk, which says its name.
    about.awaits_word = length == 0;
    let shape = Shape::Later(FileHead::default());
    let status = inbound.begin(upload, about, shape).await?;
    Ok(status.id)
}

const TWO_THINGS: Error = Error::BadRequest {
    what: "it has a file and an Upload-Length, with which a file is to come in chunks",
};

async fn fields(
    inbound: &Inbound,
    limits: PartLimits,
    asked: &Asked,
    body: Body,
) -> Result<Fields, Error> {
    let lead = Lead::new(inbound, limits, asked, body);
    let mut lead = lead.map_err(|(error, _)| error)?;
    let read = async move { lead.fields().await };
    inbound.data.run(Box::pin(read)).await
}

/// Who watches by a progress id of the client's own learns of this end too.
fn fail(inbound: &Inbound, upload: &Upload, error: Error) -> Error {
    inbound.tracker.begin(upload).fail(&error);
    error
}
