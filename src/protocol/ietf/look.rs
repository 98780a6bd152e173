//! HEAD, GET: how far an upload is ("Offset Retrieval").

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};

use super::{Here, told};
use crate::error::Error;
use crate::upload::{Protocol, UploadId};

/// Tells how far the unfinished upload is that `name` is the id of. `None` where there is none: then a stored file is
/// meant.
///
/// A HEAD has whoever writes to it let go, since its client goes on behind what it hears. A GET may be a person's who
/// looks at the address, and disturbs nobody.
pub(crate) async fn look(here: Here<'_>, name: &str) -> Option<Response<Bytes>> {
    let id = name.parse().ok()?;
    let seen = here.inbound.unfinished.look(&id)?;
    let owned = here.inbound.check_owner(here.asked, id).await;
    let found = match owned {
        Ok(()) if here.asked.head.method == Method::HEAD => {
            here.inbound.unfinished.settle(&id).await
        }
        owned => owned.map(|()| seen),
    };
    match found {
        // It has just come to its end.
        Ok(status) if status.complete && here.inbound.unfinished.look(&id).is_none() => None,
        Ok(status) => {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            told::all(answer.headers_mut(), here, &status);
            Some(answer)
        }
        Err(error) => Some(told::refused(here, Protocol::Ietf, &error)),
    }
}

/// Adds to what HEAD says of a stored file how its upload ended; where no file may be told of, that alone is the answer.
/// Nothing where it was not begun as one that can be resumed.
pub(crate) async fn ended(here: Here<'_>, name: &str) -> Option<HeaderMap> {
    let id: UploadId = name.parse().ok()?;
    here.inbound.check_owner(here.asked, id).await.ok()?;
    match here.inbound.unfinished.settle(&id).await {
        Ok(status) => {
            let mut fields = HeaderMap::new();
            told::all(&mut fields, here, &status);
            Some(fields)
        }
        Err(Error::NotFound) => None,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(
                upload = id.short(),
                cause,
                "cannot tell how an upload ended"
            );
            None
        }
    }
}
