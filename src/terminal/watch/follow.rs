//! One address, followed over broken lines and restarts of its server until all of its uploads have ended.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::tell::{Telling, Untold};
use crate::terminal::End;
use crate::terminal::http::{Client, Failed, Pulse, nothing, refusal};
use crate::terminal::sse::{Event, Events, TooLong};
use crate::terminal::url::Url;

/// A stream has comments every 15 s at least, unless its server is told otherwise; one without is a dead line.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// The first bytes of a stream come at once, unless somebody on the way holds them back.
const FIRST: Duration = Duration::from_secs(10);

/// How often is asked where there is no stream to be had.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// How long after a stream's end the next is opened, unless it says so itself.
const RETRY: Duration = Duration::from_secs(2);

/// The shortest pause between two tries, whatever a server asks for.
const SHORTEST: Duration = Duration::from_millis(250);

/// The longest pause between two tries, whatever a server asks for.
const LONGEST: Duration = Duration::from_secs(30);

/// The most bytes of what was seen, which go into a request's head.
const LONGEST_ID: usize = 8 * 1024;

/// One address on its way to its end.
pub(super) struct Follow {
    client: Client,
    url: Url,
    telling: Telling,
    retry_for: Duration,
    /// Whether a stream never came through.
    polls: bool,
    seen: Option<String>,
    /// Since when nothing was heard of the server, and how often it was asked since.
    absent: Option<(Instant, u32)>,
}

/// What a visit has come to.
enum Visit {
    /// Nothing more is to come.
    Over,
    /// More is to come, later.
    Again(Duration),
}

/// Why a visit has come to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Failed(#[from] Failed),
    /// It answers, but not now; after how long it may, where it says so.
    #[error("{0}")]
    Busy(String, Option<Duration>),
    /// It would answer so again.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Untold(#[from] Untold),
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl Follow {
    pub(super) fn new(client: Client, url: Url, telling: Telling, retry_for: Duration) -> Self {
        Self {
            client,
            url,
            telling,
            retry_for,
            polls: false,
            seen: None,
            absent: None,
        }
    }

    /// Follows to the end.
    pub(super) async fn run(mut self) -> End {
        loop {
            let visited = match self.polls {
                false => self.stream().await,
                true => self.poll().await,
            };
            let pause = match visited {
                Ok(Visit::Over) => return self.telling.end(),
                Ok(Visit::Again(pause)) => pause,
                Err(trouble) => match self.after(&trouble) {
                    Ok(pause) => pause,
                    Err(end) => return end,
                },
            };
            sleep(pause).await;
        }
    }

    /// How long to wait after `trouble`, or what it ends in.
    fn after(&mut self, trouble: &Trouble) -> Result<Duration, End> {
        let asked_for = match trouble {
            Trouble::Failed(Failed::Unreachable { .. } | Failed::Broken { .. }) => None,
            Trouble::Busy(_, pause) => *pause,
            Trouble::Untold(Untold::Unread) => return Err(self.telling.end()),
            Trouble::Failed(Failed::Untrusted { .. })
            | Trouble::Refused(_)
            | Trouble::Untold(_)
            | Trouble::TooLong(_) => {
                self.telling.fail(&trouble.to_string());
                return Err(End::Refused);
            }
        };
        let (since, tries) = self.absent.unwrap_or((Instant::now(), 0));
        self.absent = Some((since, tries + 1));
        let pause = asked_for.unwrap_or(Duration::from_secs(1 << tries.min(5)));
        let pause = pause.clamp(SHORTEST, LONGEST);
        if since.elapsed() + pause > self.retry_for {
            self.telling.fail(&format!("{trouble}; given up"));
            return Err(End::Unreachable);
        }
        // Only the first time: what it has said stands until something new is told.
        self.telling
            .silent(&format!("No news: {trouble}. Asking again."));
        Ok(pause)
    }

    /// Reads a stream to its end.
    async fn stream(&mut self) -> Result<Visit, Trouble> {
        let answer = self.ask("text/event-stream").await?;
        match answer.status() {
            StatusCode::NO_CONTENT => {
                self.telling.over();
                return Ok(Visit::Over);
            }
            StatusCode::OK if is_of(&answer, "text/event-stream") => {}
            StatusCode::OK => {
                self.polls = true;
                return self.polled(answer).await;
            }
            _ => return Err(self.refused(answer).await),
        }
        let mut events = Events::after(self.seen.take());
        let read = self.read(answer.into_body(), &mut events).await;
        self.seen = events.last_id().map(str::to_owned);
        read?;
        if self.telling.all_ended() && self.is_one() {
            return Ok(Visit::Over);
        }
        let pause = events.retry().unwrap_or(RETRY);
        Ok(Visit::Again(pause.clamp(SHORTEST, LONGEST)))
    }

    async fn read(&mut self, mut body: Incoming, events: &mut Events) -> Result<(), Trouble> {
        let mut patience = FIRST;
        loop {
            let frame = match timeout(patience, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) if patience != FIRST => return Ok(()),
                Ok(Some(Err(cause))) if patience != FIRST => {
                    return Err(self.broken(&cause.to_string()).into());
                }
                Err(_) if patience != FIRST => {
                    return Err(self.broken("nothing was heard of it for a minute").into());
                }
                // Not a byte: somebody on the way keeps them.
                _ => {
                    self.polls = true;
                    return Ok(());
                }
            };
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            patience = SILENCE;
            self.heard();
            for event in events.take(&bytes)? {
                self.tell(&event)?;
            }
        }
    }

    fn tell(&mut self, event: &Event) -> Result<(), Untold> {
        match event.name.as_str() {
            "message" => self.telling.record(&event.data)?,
            "gone" => self.telling.gone(),
            _ => {}
        }
        Ok(())
    }

    fn heard(&mut self) {
        if self.absent.take().is_some() {
            self.telling.heard();
        }
    }

    /// Asks once for the records as they are now.
    async fn poll(&mut self) -> Result<Visit, Trouble> {
        let answer = self.ask("application/json").await?;
        match answer.status() {
            StatusCode::OK => self.polled(answer).await,
            _ => Err(self.refused(answer).await),
        }
    }

    async fn polled(&mut self, answer: Response<Incoming>) -> Result<Visit, Trouble> {
        let answer = self.client.whole(&self.url, answer).await?;
        let told: Value = serde_json::from_slice(answer.body())
            .map_err(|cause| Untold::NotOurs(cause.to_string()))?;
        let records = match told {
            Value::Array(records) => records,
            one => vec![one],
        };
        for record in records.iter().filter(|record| !record.is_null()) {
            self.telling.record(&record.to_string())?;
        }
        if records.iter().all(Value::is_null) {
            let nothing = "no upload of that name is known there yet".to_owned();
            return Err(Trouble::Busy(nothing, Some(POLL_EVERY)));
        }
        self.heard();
        match self.telling.all_ended() {
            true => Ok(Visit::Over),
            false => Ok(Visit::Again(POLL_EVERY)),
        }
    }

    async fn ask(&self, accept: &'static str) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::new(nothing());
        *request.method_mut() = Method::GET;
        let fields = request.headers_mut();
        fields.insert(ACCEPT, HeaderValue::from_static(accept));
        let seen = self.seen.as_deref().filter(|seen| seen.len() <= LONGEST_ID);
        if let Some(Ok(seen)) = seen.map(HeaderValue::from_str) {
            fields.insert(HeaderName::from_static("last-event-id"), seen);
        }
        self.client.ask(&self.url, request, &Pulse::new()).await
    }

    /// What an answer means that is no record.
    async fn refused(&mut self, answer: Response<Incoming>) -> Trouble {
        let status = answer.status();
        let pause = retry_after(answer.headers());
        let answer = match self.client.whole(&self.url, answer).await {
            Ok(answer) => answer,
            Err(failed) => return failed.into(),
        };
        let words = words_of(&answer);
        let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        match status.is_server_error() || later.contains(&status) {
            true => Trouble::Busy(words, pause),
            false => Trouble::Refused(words),
        }
    }

    fn broken(&self, why: &str) -> Failed {
        Failed::Broken {
            server: self.url.authority().to_owned(),
            why: why.to_owned(),
        }
    }

    /// Whether the address names one upload, so that its end is the end of all.
    fn is_one(&self) -> bool {
        !self.url.path().ends_with("/uploads")
    }
}

fn words_of(answer: &Response<Bytes>) -> String {
    match answer.status() {
        StatusCode::NOT_FOUND => "no upload of that name is known there".to_owned(),
        status if status.is_redirection() => {
            let to = answer.headers().get(http::header::LOCATION);
            let to = to.and_then(|to| to.to_str().ok()).unwrap_or_default();
            format!("the server says that it is elsewhere: {to}")
        }
        _ => refusal(answer),
    }
}

fn is_of(answer: &Response<Incoming>, media_type: &str) -> bool {
    let given = answer.headers().get(CONTENT_TYPE);
    let given = given
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    given.eq_ignore_ascii_case(media_type)
}

fn retry_after(fields: &HeaderMap) -> Option<Duration> {
    let seconds = fields.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
