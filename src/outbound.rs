//! The body of our answers: whole, a file as it is read, a stream of events, or what the app behind answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::error::Error;
#[cfg(feature = "server")]
use crate::net::Answered;
use crate::protocol::get::FileBody;
use crate::watch::EventStream;

/// The body of an answer. It fails only when a stored file, or the app's answer, cannot be read to its end.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    File(FileBody),
    Events(Box<EventStream>),
    #[cfg(feature = "server")]
    App(Box<Answered>),
}

impl From<Bytes> for ResponseBody {
    fn from(whole: Bytes) -> Self {
        FileBody::Whole(whole).into()
    }
}

impl From<FileBody> for ResponseBody {
    fn from(file: FileBody) -> Self {
        Self(Kind::File(file))
    }
}

impl From<EventStream> for ResponseBody {
    fn from(events: EventStream) -> Self {
        Self(Kind::Events(Box::new(events)))
    }
}

#[cfg(feature = "server")]
impl From<Answered> for ResponseBody {
    fn from(answered: Answered) -> Self {
        Self(Kind::App(Box::new(answered)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.get_mut().0 {
            Kind::File(file) => Pin::new(file).poll_frame(cx),
            Kind::Events(events) => Pin::new(events.as_mut())
                .poll_frame(cx)
                .map_err(|never| match never {}),
            #[cfg(feature = "server")]
            Kind::App(answered) => Pin::new(answered.as_mut())
                .poll_frame(cx)
                .map_err(Error::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::File(file) => file.is_end_stream(),
            Kind::Events(events) => events.is_end_stream(),
            #[cfg(feature = "server")]
            Kind::App(answered) => answered.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::File(file) => file.size_hint(),
            Kind::Events(events) => events.size_hint(),
            #[cfg(feature = "server")]
            Kind::App(answered) => answered.size_hint(),
        }
    }
}
