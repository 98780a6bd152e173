//! An app behind: which requests are its, and which of those we have a hand in.
//!
//! ```text
//! below the base                       ─► ours, as ever
//! POST, PUT of a form at an upload path ─► received here, then handed to the app
//! one without files, where files are referred to ─► read here, rid of what only we may send, passed on
//! GET at a poll path                   ─► ours: the article's poll, at the app's own address
//! all else                             ─► the app's, as it came
//! ```
//!
//! What is the app's is under none of our rules: whom it lets in, for which hosts and origins, is its own affair. What is
//! received here is under the rules of who may upload, and under the limits.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;

use super::Lift;
use crate::app::{App, Pattern, head};
use crate::hand_off::Forms;
use crate::outbound::ResponseBody;
use crate::protocol::{Asked, answer};
use crate::receive::Body;
use crate::rights::Act;

/// The app behind, and which of its paths we have a hand in.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    pub(crate) app: App,
    /// Hands forms to it.
    pub(crate) forms: Forms,
    /// Where forms are received here.
    pub(crate) upload_paths: Arc<[Pattern]>,
    /// Where the article's poll is answered.
    pub(crate) poll_paths: Arc<[Pattern]>,
}

/// What of a request says where it goes.
type Head<'a> = (&'a Method, &'a str, &'a HeaderMap);

type Answering = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

/// What becomes of a request that is not below the base.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// To the app, as it came.
    Pass,
    /// Received here, then handed to the app.
    Upload,
    /// To the app, once it is known to hold nothing forged.
    Plain,
    /// Answered here.
    Poll,
}

impl Front {
    fn way(&self, (method, path, fields): Head<'_>) -> Way {
        let at = |paths: &[Pattern]| paths.iter().any(|pattern| pattern.matches(path));
        match *method {
            Method::POST | Method::PUT if at(&self.upload_paths) => match fields {
                form if is_of(form, FORM) => Way::Upload,
                form if self.forms.refer() && is_of(form, PLAIN) => Way::Plain,
                _ => Way::Pass,
            },
            Method::GET | Method::HEAD if at(&self.poll_paths) => Way::Poll,
            _ => Way::Pass,
        }
    }
}

/// A form with files.
const FORM: &str = "multipart/form-data";
/// A form without files.
const PLAIN: &str = "application/x-www-form-urlencoded";

/// Whether an app could read a body as of this type: in any `Content-Type` where there are several, and whatever stands
/// behind the type. PHP ends it at a comma or a blank too, and no app minds bytes that are not ASCII behind it.
fn is_of(fields: &HeaderMap, media_type: &str) -> bool {
    fields.get_all(header::CONTENT_TYPE).iter().any(|value| {
        let value = value.as_bytes().trim_ascii_start();
        let end = value.iter().position(|byte| b";, \t".contains(byte));
        let essence = &value[..end.unwrap_or(value.len())];
        essence.eq_ignore_ascii_case(media_type.as_bytes())
    })
}

impl Lift {
    /// What stands before the app, for a request that is not below our base and not answered here.
    pub(super) fn front_of<B>(&self, request: &Request<B>) -> Option<Front> {
        let front = self.front.as_ref()?;
        let elsewhere = self.below(request.uri().path()).is_none();
        let head = (request.method(), request.uri().path(), request.headers());
        (elsewhere && front.way(head) != Way::Poll).then(|| front.clone())
    }

    /// What path of ours one of the app's stands for.
    pub(super) fn stands_for(&self, head: &Parts) -> Option<&'static str> {
        let front = self.front.as_ref()?;
        let way = front.way((&head.method, head.uri.path(), &head.headers));
        (way == Way::Poll).then_some("/get_upload_progress")
    }

    /// Answers a request that goes to the app, whether at once or when all of it is here.
    pub(super) fn in_front<B>(self: Arc<Self>, front: Front, request: Request<B>) -> Answering
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let head = (request.method(), request.uri().path(), request.headers());
        let way = front.way(head);
        if way == Way::Upload || way == Way::Plain {
            let (mut asked, body) = self.read(request);
            return Box::pin(async move {
                Ok(match way {
                    Way::Upload => self.receive_for(&front, &mut asked, body).await,
                    _ => front.forms.pass(&self.inbound, &mut asked, body).await,
                })
            });
        }
        let (asked, body) = self.apart(request);
        let body = body.map_err(Into::into).boxed_unsync();
        Box::pin(async move { Ok(front.app.pass(&asked, body).await) })
    }

    /// Receives a form for the app.
    async fn receive_for(
        &self,
        front: &Front,
        asked: &mut Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        let let_in = match head::check_loop(&asked.head.headers) {
            Ok(()) => self.ask(Act::Upload, asked).await,
            looped => looped,
        };
        let Err(error) = let_in else {
            let (inbound, limits) = (&self.inbound, self.part_limits);
            return front.forms.post(inbound, limits, asked, body).await;
        };
        if let Some(said) = asked.said.take() {
            return said.map(Into::into);
        }
        let mut answer = answer::refused(&asked.head.headers, "", &error).map(Into::into);
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.rights.challenge(answer.headers_mut());
        }
        answer
    }
}
