//! A form given as it came: its skeleton from memory, its files from where they lie, one after the other into a body of known
//! length.
//!
//! ```text
//! skeleton ─┐
//! files ────┴─► pump (data thread) ──at most two pieces──► Replayed (pulled by the connection) ─► the app
//! ```

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::net::Sent;
use crate::query;
use crate::receive::{Handed, Skeleton, Span};

/// Bytes read from a file at a time.
const CHUNK: usize = 256 * 1024;
/// How many such pieces wait for a slow app, besides the one that is being read.
const AHEAD: usize = 1;

/// The body of the form with this skeleton, and what brings it.
pub(super) fn body(skeleton: &Skeleton) -> (Pump, Sent) {
    let (pieces, come) = mpsc::channel(AHEAD);
    let pump = Pump {
        spans: skeleton.spans(),
        pieces,
    };
    let body = Replayed {
        left: skeleton.length(),
        come,
    };
    (pump, body.boxed_unsync())
}

/// Brings a form's bytes, on a data thread. Dropped before its end, it breaks the body off.
#[derive(Debug)]
pub(super) struct Pump {
    spans: Vec<Span>,
    pieces: mpsc::Sender<Bytes>,
}

impl Pump {
    /// Reads what the body wants, until all of it is there or nobody wants it any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn run(self, handed: &mut Handed) -> Result<(), Error> {
        for span in self.spans {
            let wanted = match span {
                Span::Bytes(bytes) => self.pieces.send(bytes).await.is_ok(),
                Span::File { index, length } => {
                    send_file(&self.pieces, handed, index, length).await?
                }
            };
            if !wanted {
                break;
            }
        }
        Ok(())
    }
}

/// Says whether more is wanted.
async fn send_file(
    pieces: &mpsc::Sender<Bytes>,
    handed: &mut Handed,
    index: usize,
    length: u64,
) -> Result<bool, Error> {
    let mut at = 0;
    while at < length {
        // Room first: what is read waits for nobody.
        let Ok(room) = pieces.reserve().await else {
            return Ok(false);
        };
        let most = usize::try_from(length - at).map_or(CHUNK, |left| left.min(CHUNK));
        let piece = handed.read(index, at, most).await?;
        if piece.is_empty() {
            return Err(Error::store("a file of the form has become shorter"));
        }
        at += piece.len() as u64;
        room.send(piece);
        tokio::task::yield_now().await;
    }
    Ok(true)
}

/// A form on its way to the app.
#[derive(Debug)]
struct Replayed {
    come: mpsc::Receiver<Bytes>,
    /// Bytes still to come.
    left: u64,
}

impl Body for Replayed {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.come.poll_recv(cx).map(|piece| match piece {
            Some(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            None => Some(Err("the form breaks off".into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The path and query that the app is asked for. The progress id moves from there to a header field, unless it is to be
/// kept: a progress handler in the app (snippet 678) that finds it in the query would begin at 0 again under our key.
pub(super) fn target(uri: &Uri, keep_query: bool, fields: &mut HeaderMap) -> PathAndQuery {
    let whole = || uri.path_and_query().cloned();
    let whole = whole().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let Some(query) = whole.query().filter(|_| !keep_query) else {
        return whole;
    };
    let is_id = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        query::decode(name).is_some_and(|name| query::is_progress_id(&name))
    };
    let Some(id) = query.split('&').find(is_id) else {
        return whole;
    };
    let value = id.split_once('=').map_or("", |(_, value)| value);
    if let Ok(value) = HeaderValue::try_from(value) {
        fields.insert("x-progress-id", value);
    }
    let rest: Vec<_> = query.split('&').filter(|pair| !is_id(pair)).collect();
    let moved = match rest.is_empty() {
        true => whole.path().to_owned(),
        false => format!("{}?{}", whole.path(), rest.join("&")),
    };
    moved.parse().unwrap_or(whole)
}

#[cfg(test)]
mod tests;
