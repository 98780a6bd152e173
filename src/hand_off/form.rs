//! The life of a form that is received for the app behind: taken in, given to the app, answered as the app answers.
//!
//! ```text
//! receive ─► processing ─► given: replay, or files stored and referred to ─► the app's answer
//!               │                                                              ├─ 2xx, 3xx: done
//!               │                                                              ├─ one by which it refuses: error, the files go
//!               │                                                              └─ any other: error, stored files stay
//!               ├─ no answer: error, stored files go after a while
//!               └─ cancelled, or the server stops: the request to the app is dropped
//! ```
//!
//! A form is given at most once, within the client's own request: its cookies and tokens are sent on and never kept. Once
//! all of it is here the client may go: the app is given it all the same, and the record tells how it ended.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::replay::{self, Pump};
use crate::app::{App, head};
use crate::error::Error;
use crate::net::{Answered, Sent};
use crate::outbound::ResponseBody;
use crate::protocol::multipart::PartLimits;
use crate::protocol::{Asked, Inbound, answer, any};
use crate::receive::{Body, Handed};
use crate::upload::UploadId;

const UPLOAD: HeaderName = HeaderName::from_static("dumbwaiter-upload");

/// How a form is given to the app.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Give {
    /// As it came, byte for byte.
    #[default]
    Replay,
    /// With fields that name the stored files in place of the files, and one signed statement over all of them.
    Reference,
}

/// How forms are handed off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FormOptions {
    /// In which of the two ways.
    pub(crate) give: Give,
    /// The statuses by which the app refuses an upload; default 400–499.
    pub(crate) refuses: Vec<RangeInclusive<u16>>,
    /// How long stored files stay of an upload that the app refused, or did not answer; default 10 s.
    pub(crate) grace: Duration,
    /// Whether the app is asked with the progress id in the query, where the client has it; default no.
    pub(crate) keep_query: bool,
    /// The most bytes of a form beside its files, with [`Give::Replay`]; default 1 MiB.
    pub(crate) skeleton_bytes: usize,
}

impl Default for FormOptions {
    fn default() -> Self {
        Self {
            give: Give::default(),
            refuses: vec![400..=499],
            grace: Duration::from_secs(10),
            keep_query: false,
            skeleton_bytes: 1024 * 1024,
        }
    }
}

/// Hands forms to the app behind; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Forms(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: App,
    options: FormOptions,
}

/// What the client is answered.
type Told = Result<Response<ResponseBody>, Error>;

impl Forms {
    pub(crate) fn new(app: App, options: FormOptions) -> Self {
        Self(Arc::new(Inner { app, options }))
    }

    /// Takes a form in, gives it to the app, and answers as the app does. Whether the sender may upload has been asked.
    pub(crate) async fn post(
        &self,
        inbound: &Inbound,
        limits: PartLimits,
        asked: &Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        let told = self.hand(inbound, limits, asked, body).await;
        told.unwrap_or_else(|error| {
            answer::refused(&asked.head.headers, &asked.base, &error).map(Into::into)
        })
    }

    async fn hand(&self, inbound: &Inbound, limits: PartLimits, asked: &Asked, body: Body) -> Told {
        head::check_loop(&asked.head.headers)?;
        let options = &self.0.options;
        let skeleton = (options.give == Give::Replay).then_some(options.skeleton_bytes);
        let handed = any::hand(inbound, limits, skeleton, asked, body).await?;
        let (tell, told) = oneshot::channel();
        let life = Life {
            head: RequestHead::new(self, asked, &handed),
            forms: self.clone(),
            tell: Some(tell),
        };
        // On its own from here: all bytes have come, and the client need not wait.
        inbound.data.spawn(Box::pin(life.run(handed)));
        told.await.unwrap_or_else(|gone| Err(Error::store(gone)))
    }
}

/// What the app is asked, but for the body.
struct RequestHead {
    method: Method,
    target: http::uri::PathAndQuery,
    fields: HeaderMap,
}

impl RequestHead {
    fn new(forms: &Forms, asked: &Asked, handed: &Handed) -> Self {
        let mut fields = forms.0.app.head(asked);
        // What stands behind the body is not sent on.
        fields.remove(TRAILER);
        let keep_query = forms.0.options.keep_query;
        let target = replay::target(&asked.head.uri, keep_query, &mut fields);
        if let Ok(id) = HeaderValue::try_from(handed.upload().id.to_string()) {
            fields.insert(UPLOAD, id);
        }
        Self {
            method: asked.head.method.clone(),
            target,
            fields,
        }
    }

    fn with(&self, body: Sent, length: u64) -> Request<Sent> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone().into();
        *request.headers_mut() = self.fields.clone();
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
        request
    }
}

/// A form that has come, on its way through the app.
struct Life {
    forms: Forms,
    head: RequestHead,
    /// To the client, until it has been answered.
    tell: Option<oneshot::Sender<Told>>,
}

impl Life {
    async fn run(mut self, mut handed: Handed) {
        let halted = handed.halted();
        let worked = tokio::select! {
            biased;
            worked = self.work(&mut handed) => worked,
            why = halted => Err(why),
        };
        match worked {
            Ok(answer) => self.end_as(handed, answer),
            Err(error) => self.fail(handed, error).await,
        }
    }

    /// Gives the form to the app; gives the head of its answer, and the rest unless that is with the client already.
    async fn work(&mut self, handed: &mut Handed) -> Result<Answer, Error> {
        let Some(skeleton) = handed.skeleton() else {
            return Err(Error::store("nothing is known of how the form came"));
        };
        let length = skeleton.length();
        let (pump, body) = replay::body(skeleton);
        self.give(handed, pump, self.head.with(body, length)).await
    }

    async fn give(
        &mut self,
        handed: &mut Handed,
        pump: Pump,
        request: Request<Sent>,
    ) -> Result<Answer, Error> {
        let app = self.forms.0.app.clone();
        let (mut pump, mut sent) = (pin!(pump.run(handed)), pin!(app.send(request)));
        let answer = tokio::select! {
            biased;
            pumped = &mut pump => {
                pumped?;
                return Ok(Answer::new(sent.await?));
            }
            answer = &mut sent => answer?,
        };
        // It has answered before it has read all. It may read on, as long as it does.
        let status = answer.status();
        self.answer(Ok(app.answer(answer)));
        let _ = timeout(app.patience().silence, pump).await;
        Ok(Answer { status, rest: None })
    }

    /// The app has spoken: the record ends first, so that whoever has the answer finds it told.
    fn end_as(mut self, handed: Handed, answer: Answer) {
        match self.forms.0.options.verdict(answer.status) {
            Ok(()) => handed.done(),
            Err(error) => {
                log(&handed, &error);
                // One that fails when it has taken the files may need them: those stay.
                let goes = matches!(error, Error::AppRefused { .. });
                self.end(handed, &error, goes);
            }
        }
        if let Some(rest) = answer.rest {
            let rest = self.forms.0.app.answer(rest);
            self.answer(Ok(rest));
        }
    }

    /// The app has not spoken.
    async fn fail(mut self, handed: Handed, error: Error) {
        log(&handed, &error);
        if matches!(error, Error::Cancelled)
            && let Some(removal) = handed.remove()
        {
            removed(handed.upload().id, removal.await);
        }
        // A server that stops leaves what is stored.
        let goes = !matches!(error, Error::Cancelled | Error::ShuttingDown);
        self.end(handed, &error, goes);
        self.answer(Err(error));
    }

    /// Ends the record. Stored files that are to go do so after a while: the app may still have them in hand.
    fn end(&self, handed: Handed, error: &Error, goes: bool) {
        let (id, grace) = (handed.upload().id, self.forms.0.options.grace);
        if let Some(removal) = handed.remove().filter(|_| goes) {
            tokio::spawn(async move {
                tokio::time::sleep(grace).await;
                removed(id, removal.await);
            });
        }
        handed.fail(error);
    }

    /// Answers the client, if it is still there.
    fn answer(&mut self, told: Told) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(told);
        }
    }
}

/// What the app said.
struct Answer {
    status: StatusCode,
    /// What the client is yet to be answered.
    rest: Option<Response<Answered>>,
}

impl Answer {
    fn new(answer: Response<Answered>) -> Self {
        Self {
            status: answer.status(),
            rest: Some(answer),
        }
    }
}

impl FormOptions {
    /// What a status of the app's means for the upload.
    fn verdict(&self, status: StatusCode) -> Result<(), Error> {
        let status = status.as_u16();
        if self.refuses.iter().any(|range| range.contains(&status)) {
            return Err(Error::AppRefused { status });
        }
        match status {
            200..=399 => Ok(()),
            _ => Err(Error::AppFailed { status }),
        }
    }
}

fn log(handed: &Handed, error: &Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let upload = handed.upload().id.short();
    tracing::warn!(
        upload,
        code = error.code(),
        cause,
        "the app has not taken the upload"
    );
}

fn removed(id: UploadId, how: Result<bool, Error>) {
    if let Err(error) = how {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let upload = id.short();
        tracing::warn!(
            upload,
            cause,
            "what the app has not taken could not be removed"
        );
    }
}
