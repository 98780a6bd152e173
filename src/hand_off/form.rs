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

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::redirect;
use super::reference::{self, Reference, Target};
use super::replay::{self, Pump};
use super::working::{Word, Working};
use crate::app::{App, head};
use crate::error::Error;
use crate::net::{self, Answered, Sent};
use crate::outbound::ResponseBody;
use crate::protocol::multipart::PartLimits;
use crate::protocol::{Asked, Inbound, answer, any};
use crate::receive::{Body, Handed, Naming};
use crate::upload::UploadId;

const UPLOAD: HeaderName = HeaderName::from_static("dumbwaiter-upload");
const PHASE: HeaderName = HeaderName::from_static("dumbwaiter-phase");
const TOKEN: HeaderName = HeaderName::from_static("dumbwaiter-token");
const PROCESSING: HeaderName = HeaderName::from_static("dumbwaiter-processing");

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
#[derive(Clone, Debug)]
pub(crate) struct FormOptions {
    /// By what stored files are referred to, with [`Give::Reference`].
    pub(crate) reference: Option<Reference>,
    /// The statuses by which the app refuses an upload; default 400–499.
    pub(crate) refuses: Vec<RangeInclusive<u16>>,
    /// How long stored files stay of an upload that the app refused, or did not answer; default 10 s.
    pub(crate) grace: Duration,
    /// Whether the app is asked with the progress id in the query, where the client has it; default no.
    pub(crate) keep_query: bool,
    /// The most bytes of a form beside its files, with [`Give::Replay`]; default 1 MiB.
    pub(crate) skeleton_bytes: usize,
}

/// Hands forms to the app behind; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Forms(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: App,
    working: Working,
    options: FormOptions,
}

/// What the client is answered.
type Told = Result<Response<ResponseBody>, Error>;

impl Forms {
    pub(crate) fn new(app: App, working: Working, options: FormOptions) -> Self {
        Self(Arc::new(Inner {
            app,
            working,
            options,
        }))
    }

    /// Whether forms are given with their files referred to: then no form at an upload path goes to the app unread.
    pub(crate) fn refer(&self) -> bool {
        self.0.options.reference.is_some()
    }

    /// Passes a form without files on, without what only we may send.
    pub(crate) async fn pass(
        &self,
        inbound: &Inbound,
        asked: &mut Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        let receiver = &inbound.receiver;
        let most = receiver.limits.field_bytes;
        let read = reference::plain(asked, body, most);
        let read = match receiver.pace.stall {
            None => read.await,
            Some(time) => timeout(time, read).await.unwrap_or_else(|_| {
                let seconds = time.as_secs();
                Err(Error::Stalled { seconds })
            }),
        };
        match read {
            Ok(form) => self.0.app.pass(asked, net::text(form)).await,
            Err(error) => answer::refused(&asked.head.headers, "", &error).map(Into::into),
        }
    }

    /// Takes a form in, gives it to the app, and answers as the app does. Whether the sender may upload has been asked.
    pub(crate) async fn post(
        &self,
        inbound: &Inbound,
        limits: PartLimits,
        asked: &Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        let fields = &asked.head.headers;
        let told = self.hand(inbound, limits, asked, body).await;
        let mut told =
            told.unwrap_or_else(|error| answer::refused(fields, "", &error).map(Into::into));
        if redirect::is_asked(fields) {
            redirect::tell(&mut told);
        }
        told
    }

    async fn hand(&self, inbound: &Inbound, limits: PartLimits, asked: &Asked, body: Body) -> Told {
        head::check_loop(&asked.head.headers)?;
        let options = &self.0.options;
        let skeleton = options
            .reference
            .is_none()
            .then_some(options.skeleton_bytes);
        let handed = any::hand(inbound, limits, skeleton, asked, body).await?;
        let (tell, told) = oneshot::channel();
        let life = Life {
            head: RequestHead::new(self, asked, &handed),
            forms: self.clone(),
            naming: inbound.naming.clone(),
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
        let mut target = replay::target(&asked.head.uri, keep_query, &mut fields);
        if forms.0.options.reference.is_some() {
            target = reference::target(handed, target);
            reference::clear(&mut fields);
        }
        let id = handed.upload().id.to_string();
        if let Ok(phase) = HeaderValue::try_from(format!("{}/uploads/{id}/phase", base(asked))) {
            fields.insert(PHASE, phase);
        }
        if let Ok(id) = HeaderValue::try_from(id) {
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
    /// What stored files are called.
    naming: Naming,
    head: RequestHead,
    /// To the client, until it has been answered.
    tell: Option<oneshot::Sender<Told>>,
}

impl Life {
    async fn run(mut self, mut handed: Handed) {
        let halted = handed.halted();
        let worked = match self.ready(&mut handed).await {
            Ok(form) => tokio::select! {
                biased;
                why = halted => Err(why),
                worked = self.work(&mut handed, form) => worked,
            },
            Err(error) => Err(error),
        };
        handed.count_again().await;
        match worked {
            Ok(answer) => self.end_as(handed, answer),
            Err(error) => self.fail(handed, error).await,
        }
    }

    /// Makes ready what is given: files that are referred to are stored before the app hears of them. That is not to be
    /// dropped half-way.
    async fn ready(&mut self, handed: &mut Handed) -> Result<Option<Bytes>, Error> {
        handed.may_still().await?;
        let Some(reference) = self.forms.0.options.reference.clone() else {
            return Ok(None);
        };
        let names = handed.files().iter().map(|file| file.name.clone());
        let names: Vec<_> = names.collect();
        handed.store(&self.naming).await?;
        let target = self.forms.0.app.target(&self.head.target);
        let target = Target {
            method: self.head.method.as_str(),
            path: target.as_str(),
        };
        let form = reference.rewrite(handed, &names, &target)?;
        reference::tell(Some(handed.upload().id), form.dropped);
        self.head.fields.insert(CONTENT_TYPE, form.content_type);
        Ok(Some(form.body))
    }

    /// Gives the form to the app, and waits for its word on it.
    async fn work(&mut self, handed: &mut Handed, form: Option<Bytes>) -> Result<Answer, Error> {
        let working = &self.forms.0.working;
        let mut lease = working.begin(handed.upload().id, handed.phases())?;
        self.head.fields.insert(TOKEN, lease.token());
        let mut answer = match form {
            Some(form) => {
                let length = form.len() as u64;
                let request = self.head.with(net::text(form), length);
                send(&self.forms.0.app, handed.upload().id, request).await?
            }
            None => self.replay(handed).await?,
        };
        let word = match answer.is_processing {
            true => {
                handed.release();
                self.pass_on(answer.rest.take());
                Some(lease.last_word().await?)
            }
            // It may have had its last word before it answered.
            false => lease.word(),
        };
        answer.word = word.map_or(Ok(()), Word::verdict);
        Ok(answer)
    }

    async fn replay(&mut self, handed: &mut Handed) -> Result<Answer, Error> {
        let Some(skeleton) = handed.skeleton() else {
            return Err(Error::store("nothing is known of how the form came"));
        };
        let length = skeleton.length();
        let (pump, body) = replay::body(skeleton);
        let request = self.head.with(body, length);
        self.give(handed, pump, request).await
    }

    async fn give(
        &mut self,
        handed: &mut Handed,
        pump: Pump,
        request: Request<Sent>,
    ) -> Result<Answer, Error> {
        let app = self.forms.0.app.clone();
        let mut sent = pin!(send(&app, handed.upload().id, request));
        let mut pump = pin!(pump.run(handed));
        let mut answer = tokio::select! {
            biased;
            pumped = &mut pump => {
                pumped?;
                return sent.await;
            }
            answer = &mut sent => answer?,
        };
        // It has answered before it has read all. It may read on, as long as it does.
        self.pass_on(answer.rest.take());
        let _ = timeout(app.patience().silence, pump).await;
        Ok(answer)
    }

    /// The app has spoken: the record ends first, so that whoever has the answer finds it told.
    fn end_as(mut self, handed: Handed, answer: Answer) {
        let verdict = self.forms.0.options.verdict(answer.status);
        match verdict.and(answer.word) {
            Ok(()) => handed.done(),
            Err(error) => self.end(handed, &error),
        }
        self.pass_on(answer.rest);
    }

    /// The app has not spoken, or not for the upload.
    async fn fail(mut self, handed: Handed, error: Error) {
        if matches!(error, Error::Cancelled)
            && let Some(removal) = handed.remove()
        {
            removed(handed.upload().id, removal.await);
        }
        self.end(handed, &error);
        self.answer(Err(error));
    }

    /// Ends the record. Stored files that are to go do so after a while: the app may still have them in hand.
    fn end(&self, handed: Handed, error: &Error) {
        let (id, grace) = (handed.upload().id, self.forms.0.options.grace);
        if let Some(removal) = handed.remove().filter(|_| is_let_go(error)) {
            tokio::spawn(async move {
                tokio::time::sleep(grace).await;
                removed(id, removal.await);
            });
        }
        handed.fail(error);
    }

    fn pass_on(&mut self, answer: Option<Response<Answered>>) {
        if let Some(answer) = answer {
            let answer = self.forms.0.app.answer(answer);
            self.answer(Ok(answer));
        }
    }

    /// Answers the client, if it is still there.
    fn answer(&mut self, told: Told) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(told);
        }
    }
}

/// Sends it, and tells the log why there is no answer: the client is told less.
async fn send(app: &App, upload: UploadId, request: Request<Sent>) -> Result<Answer, Error> {
    let answer = app.send(request).await.inspect_err(|failed| {
        let (upload, cause) = (upload.short(), failed.words());
        tracing::warn!(upload, cause, "the app has not answered");
    });
    Ok(Answer::new(answer?))
}

/// What the app said.
struct Answer {
    status: StatusCode,
    /// It takes the upload, and says later what has become of it.
    is_processing: bool,
    /// What it has said by other means.
    word: Result<(), Error>,
    /// What the client is yet to be answered.
    rest: Option<Response<Answered>>,
}

impl Answer {
    fn new(answer: Response<Answered>) -> Self {
        let said = answer.headers().get(PROCESSING);
        let is_processing = said.is_some_and(|said| said.as_bytes().trim_ascii() == b"?1");
        Self {
            status: answer.status(),
            is_processing: is_processing && answer.status().is_success(),
            word: Ok(()),
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

/// Whether stored files go after this. One that fails when it has taken the upload may need them, and a server that stops
/// leaves what is stored.
fn is_let_go(error: &Error) -> bool {
    !matches!(
        error,
        Error::AppFailed { .. }
            | Error::ProcessingTimeout { .. }
            | Error::Cancelled
            | Error::ShuttingDown
    )
}

/// The path below which the app finds us: without what a proxy has put before it.
fn base(asked: &Asked) -> &str {
    let base = asked.base.strip_prefix(asked.client.prefix());
    base.filter(|base| !base.is_empty()).unwrap_or(&asked.base)
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
