//! A body that waits until the app wants it: `Expect: 100-continue` (RFC 9110, 10.1.1).
//!
//! Our server says `100 Continue` when a body is first asked for. So nothing is asked for until the app has said the same; if
//! it answers at once, a 401 say, the body never comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::net::Sent;

/// How long the app may take to say that it wants the body. Many say nothing: then it is sent all the same, and RFC 9110
/// forbids to wait for ever. Other proxies wait for a second too.
const WAIT: Duration = Duration::from_secs(1);

/// Passes on what the client expects, if it does: then the body waits.
pub(super) fn pass(
    version: Version,
    expects: Option<&HeaderValue>,
    request: Request<Sent>,
) -> Request<Sent> {
    // RFC 9110, 10.1.1: of an HTTP/1.0 client it means nothing; nor of one that sends nothing.
    let expects = expects.filter(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let (Some(expects), Version::HTTP_11, false) =
        (expects, version, request.body().is_end_stream())
    else {
        return request;
    };
    let wanted = Arc::new(Notify::new());
    let told = Arc::clone(&wanted);
    let mut request = request.map(|body| {
        let waits = Box::pin(async move {
            tokio::select! {
                () = wanted.notified() => {}
                () = sleep(WAIT) => {}
            }
        });
        Waiting {
            body,
            waits: Some(waits),
        }
        .boxed_unsync()
    });
    request
        .headers_mut()
        .insert(header::EXPECT, expects.clone());
    hyper::ext::on_informational(&mut request, move |answer| {
        if answer.status() == StatusCode::CONTINUE {
            told.notify_one();
        }
    });
    request
}

/// A body of which nothing is asked for yet.
struct Waiting {
    body: Sent,
    waits: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Body for Waiting {
    type Data = Bytes;
    type Error = <Sent as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(waits) = &mut self.waits {
            ready!(waits.as_mut().poll(cx));
            self.waits = None;
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
