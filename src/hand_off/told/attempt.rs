//! One turn: what is asked, and what follows from the answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};

use super::Shared;
use super::note::{How, Note, Said, Stage, Verdict};
use super::queue::Turn;
use super::request::{self, Facts};
use crate::error::Error;
use crate::hand_off::working::Lease;
use crate::net::{Answered, Failed};
use crate::progress::{Files, Phase, Tap};
use crate::upload::{FileFacts, Upload, UploadId};

/// By which the app says that it works on.
const PROCESSING: HeaderName = HeaderName::from_static("dumbwaiter-processing");
/// Those of its answer's fields that are kept: what the body is, and where it sends the client.
const KEPT: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::LOCATION,
    header::LINK,
];

/// What records say while the app is told.
pub(super) fn phase() -> Phase {
    Phase {
        name: "handing off".to_owned(),
        done: None,
        total: None,
    }
}

/// What has come of an attempt.
pub(super) enum Came {
    /// The app has it.
    Taken(Said),
    /// The app has it, and works on it.
    Works(Said, Lease),
    /// The app does not want it.
    Refused(Said, StatusCode),
    /// It is to be tried again, not before that time has passed where the app says so.
    Again(Error, Option<Duration>),
    /// Somebody ends the upload.
    Cancelled,
    /// The server stops.
    Stops,
}

/// One whose turn it is, with what is known of it.
pub(super) struct Job {
    pub(super) turn: Turn,
    pub(super) note: Note,
    pub(super) files: Vec<FileFacts>,
}

impl Shared {
    /// Does what is due of one upload.
    pub(super) async fn take(self: Arc<Self>, mut turn: Turn) {
        let (tap, known) = match turn.first.take() {
            Some((tap, files)) => (Some(tap), Some(files)),
            None => (None, None),
        };
        let job = match self.notes.due_of(&turn.id).await {
            Ok(Some(due)) => Note::read(&due.note).map(|note| Job {
                turn,
                note,
                files: known.unwrap_or(due.files),
            }),
            // It has been removed meanwhile.
            Ok(None) => return self.vanished(&turn, tap),
            Err(error) => return self.put_off(&turn, tap, &error),
        };
        match job {
            Ok(job) => self.go_on(job, tap).await,
            // Whoever wrote it knows it better; it stays for him.
            Err(error) => tell_unreadable(&error),
        }
    }

    async fn go_on(self: Arc<Self>, job: Job, tap: Option<Tap>) {
        match job.note.stage {
            Stage::Untold => {
                let tap = tap.unwrap_or_else(|| self.take_up(&job));
                let came = self.attempt(&job, &tap).await;
                self.follow(job, tap, came).await;
            }
            Stage::Working { until } => {
                let tap = tap.unwrap_or_else(|| self.take_up(&job));
                match self.working.begin(job.turn.id, tap.phases()) {
                    Ok(lease) => self.wait_for_word(job, tap, lease, until).await,
                    Err(error) => self.again(&job, tap, &error, None),
                }
            }
            Stage::Leaving { .. } => self.remove(&job).await,
        }
    }

    /// Goes on with the upload's record.
    pub(super) fn take_up(&self, job: &Job) -> Tap {
        let upload = upload(&job.turn.id, &job.note);
        let length = job.note.about.length.unwrap_or_default();
        let files = Files {
            complete: &job.files,
            open: None,
        };
        let fields = &job.note.about.fields;
        self.tracker.revive(&upload, length, files, fields);
        let tap = self.tracker.resume(&upload, length);
        tap.processing();
        tap.phase(phase());
        tap
    }

    /// Tells the app once.
    async fn attempt(&self, job: &Job, tap: &Tap) -> Came {
        let lease = match self.working.begin(job.turn.id, tap.phases()) {
            Ok(lease) => lease,
            Err(error) => return Came::Again(error, None),
        };
        let halted = tap.halted();
        let told = tokio::time::timeout(self.options.timeout, self.tell(job, &lease));
        tokio::select! {
            told = told => match told {
                Ok(Ok(answer)) => self.judge(&answer, lease),
                Ok(Err(error)) => Came::Again(error, None),
                Err(_) => Came::Again(Error::AppTimeout { seconds: self.options.timeout.as_secs() }, None),
            },
            why = halted => match why {
                Error::Cancelled => Came::Cancelled,
                _ => Came::Stops,
            },
            () = job.turn.cancel.asked() => Came::Cancelled,
        }
    }

    async fn tell(&self, job: &Job, lease: &Lease) -> Result<Response<Bytes>, Error> {
        let facts = Facts {
            id: job.turn.id,
            about: &job.note.about,
            files: &job.files,
        };
        let request = request::make(&self.options, &facts, lease)?;
        let answered = match self.client.send(&self.options.url, request).await {
            Ok(answer) => self.read(answer).await,
            Err(failed) => Err(failed),
        };
        answered.map_err(|failed| {
            let cause = std::error::Error::source(&failed).map(ToString::to_string);
            tracing::debug!(upload = job.turn.id.short(), %failed, cause, "the app was not told");
            failed.into()
        })
    }

    /// The answer with its body, unless that is too large to be kept: then it is as good without.
    async fn read(&self, answer: Response<Answered>) -> Result<Response<Bytes>, Failed> {
        let most = self.options.answer_bytes;
        let (status, headers) = (answer.status(), answer.headers().clone());
        match crate::net::whole(answer, most).await {
            Err(Failed::TooLarge(_)) => {
                tracing::warn!(most, "the app's answer is too large: its body is left out");
                let mut answer = Response::new(Bytes::new());
                *answer.status_mut() = status;
                *answer.headers_mut() = headers;
                answer.headers_mut().remove(header::CONTENT_TYPE);
                Ok(answer)
            }
            read => read,
        }
    }

    /// What an answer means.
    fn judge(&self, answer: &Response<Bytes>, lease: Lease) -> Came {
        let status = answer.status();
        let said = || Said::new(status, &kept(answer.headers()), answer.body());
        let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        let refuses = |status: u16| self.options.refuses.iter().any(|all| all.contains(&status));
        if status.is_success() || status.is_redirection() {
            return match works(answer.headers()) {
                true => Came::Works(said(), lease),
                false => Came::Taken(said()),
            };
        }
        if !again && refuses(status.as_u16()) {
            return Came::Refused(said(), status);
        }
        let failed = Error::AppFailed {
            status: status.as_u16(),
        };
        Came::Again(failed, retry_after(answer.headers()))
    }

    async fn follow(self: Arc<Self>, job: Job, tap: Tap, came: Came) {
        let verdict = |how| Verdict::new(&job.note.about, how).write();
        match came {
            Came::Taken(said) => {
                let answer = verdict(How::Taken(said));
                self.done(job, tap, Some(answer)).await;
            }
            Came::Works(said, lease) => {
                let answer = verdict(How::Taken(said));
                self.works(job, tap, lease, answer).await;
            }
            Came::Refused(said, status) => {
                let answer = verdict(How::Refused(said));
                let why = Error::AppRefused {
                    status: status.as_u16(),
                };
                self.refused(job, tap, why, Some(answer)).await;
            }
            Came::Again(why, after) => match job.note.left(self.options.give_up) {
                Some(_) => self.again(&job, tap, &why, after),
                None => self.give_up(job, tap, &why).await,
            },
            Came::Cancelled => self.cancelled(job, tap).await,
            Came::Stops => self.stops(&job, tap),
        }
    }

    /// The app has an upload, and works on it until it says what became of it.
    async fn works(self: Arc<Self>, job: Job, tap: Tap, lease: Lease, answer: Vec<u8>) {
        let until = super::note::seconds(SystemTime::now())
            .saturating_add(self.options.processing.as_secs());
        let note = job.note.at(Stage::Working { until });
        match self.settle(&job.turn, Some(&note), Some(answer)).await {
            Ok(true) => self.wait_for_word(job, tap, lease, until).await,
            Ok(false) => self.vanished(&job.turn, Some(tap)),
            Err(error) => self.again(&job, tap, &error, None),
        }
    }
}

/// The upload as its record knows it.
pub(super) fn upload(id: &UploadId, note: &Note) -> Upload {
    let (head, ()) = Request::new(()).into_parts();
    note.about.upload(*id, Arc::new(head))
}

fn tell_unreadable(error: &Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(cause, "what is due of an upload cannot be read: it stays");
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let kept = |name| Some((name, headers.get(name)?.clone()));
    let kept = KEPT.iter().filter_map(kept);
    kept.map(|(name, value)| (name.clone(), value)).collect()
}

fn works(headers: &HeaderMap) -> bool {
    headers.get(PROCESSING).is_some_and(|value| value == "?1")
}

/// RFC 9110, 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            Some(at.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}
