//! Asks the app over HTTP who may, before a body is read.
//!
//! ```text
//! question ─► kept? ─► a place among those who ask ─► POST URL, no body ─┬─ 2xx ─────► yes, and on what terms
//!                                                                        ├─ 401, 403 ► the app's answer is the client's
//!                                                                        └─ else, late ► as `--ask-failure` says
//! ```
//!
//! | file | what |
//! |---|---|
//! | `request.rs` | what the app is sent |
//! | `answer.rs` | what its answer grants |
//! | `kept.rs` | yeses that count for a while |
//!
//! A yes is kept for looks at progress and for what goes on with an upload, for the same sender alone. That an upload begins is
//! always asked, and so is whether its files may become visible; a no is never kept.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::app::head::check_loop;
use crate::error::Error;
use crate::net::{Client, Failed, Net, Patience, Upstream, whole};
use crate::rights::{Act, Ask, Asks, Grant, No};

mod answer;
mod kept;
mod request;

use answer::Word;
use kept::{Kept, Key};

/// How long nothing more is said of failures, once one was.
const QUIET: Duration = Duration::from_secs(1);

/// Whom to ask, and how long to wait.
#[derive(Clone, Debug)]
pub(crate) struct AskOptions {
    /// Where the app answers.
    pub(crate) url: Upstream,
    /// How long an answer may take, with the wait for a place.
    pub(crate) timeout: Duration,
    /// Whether those come in of whom the app could not be asked.
    pub(crate) lets_in_unasked: bool,
    /// How long a yes counts.
    pub(crate) keep: Duration,
    /// How many of them are kept.
    pub(crate) most_kept: usize,
    /// How many questions are asked at once.
    pub(crate) at_once: usize,
}

/// The app, asked over HTTP.
pub(crate) struct App {
    options: AskOptions,
    client: Client,
    places: Semaphore,
    kept: Mutex<Kept>,
    said: Mutex<Option<Instant>>,
}

/// The app has said neither yes nor no.
#[derive(Debug, thiserror::Error)]
enum Unasked {
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    #[error("{0}")]
    Failed(#[from] Failed),
    #[error("it answered with status {0}, which is neither yes nor no")]
    Status(u16),
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl App {
    pub(crate) fn new(net: &Net, options: AskOptions) -> Self {
        let patience = Patience {
            connect: options.timeout,
            head: options.timeout,
            silence: options.timeout,
            ..Patience::default()
        };
        Self {
            client: Client::new(net, patience),
            places: Semaphore::new(options.at_once.clamp(1, Semaphore::MAX_PERMITS)),
            kept: Mutex::new(Kept::new(options.keep, options.most_kept)),
            said: Mutex::default(),
            options,
        }
    }

    async fn put(&self, ask: &Ask) -> Result<Word, Unasked> {
        let late = |_| Unasked::Late(self.options.timeout);
        let put = self.put_at_once(ask);
        let word = tokio::time::timeout(self.options.timeout, put).await;
        word.map_err(late)?
    }

    async fn put_at_once(&self, ask: &Ask) -> Result<Word, Unasked> {
        // It is never closed; without a place the app is not asked.
        let _place = self.places.acquire().await;
        let request = request::of(ask, self.options.url.target());
        let answer = self.client.send(&self.options.url, request).await?;
        let most = answer::most_bytes(answer.status());
        let answer = whole(answer, most).await?;
        answer::read(ask.act, answer)
    }

    /// Where the app could not be asked, the rule for that decides.
    fn unasked(&self, why: &Unasked) -> Result<(), Error> {
        let lets_in = self.options.lets_in_unasked;
        if self.may_speak() {
            let cause = std::error::Error::source(why).map(ToString::to_string);
            let app = self.options.url.to_string();
            tracing::warn!(
                app,
                cause,
                lets_in,
                "the app could not be asked who may: {why}"
            );
        }
        match lets_in {
            true => Ok(()),
            false => Err(Error::AskFailed),
        }
    }

    /// Whether the log is to hear of a failure: an app that is gone would fill it.
    fn may_speak(&self) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = said.is_some_and(|at| at.elapsed() < QUIET);
        if !quiet {
            *said = Some(Instant::now());
        }
        !quiet
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Asks for App {
    async fn ask(&self, ask: Ask) -> Result<Grant, No> {
        check_loop(&ask.headers)?;
        let key = may_be_kept(&ask).then(|| Key::of(&ask));
        if let Some(grant) = key.as_ref().and_then(|key| self.kept().get(key)) {
            return Ok(grant);
        }
        match self.put(&ask).await {
            Ok(Word::Yes(grant)) => {
                if let Some(key) = key {
                    self.kept().put(key, &ask, grant.clone());
                }
                Ok(grant)
            }
            Ok(Word::No(answer)) => Err(No::Said(Box::new(answer))),
            Err(why) => {
                self.unasked(&why)?;
                Ok(Grant::default())
            }
        }
    }

    async fn ask_again(&self, ask: Ask) -> Result<(), Error> {
        let put = self.put(&ask).await;
        if !matches!(put, Ok(Word::Yes(_))) {
            // Whoever comes back for this upload is asked anew.
            self.kept().forget(ask.upload.as_deref());
        }
        match put {
            Ok(Word::Yes(grant)) => holds(&grant, ask.length),
            Ok(Word::No(answer)) => Err(answer::refusal(&answer)),
            Err(why) => self.unasked(&why),
        }
    }
}

/// A limit that is said at the end binds too.
fn holds(grant: &Grant, length: Option<u64>) -> Result<(), Error> {
    match (grant.max_size, length) {
        (Some(most), Some(length)) if length > most => {
            Err(Error::Refused(crate::handlers::too_large(most)))
        }
        _ => Ok(()),
    }
}

/// Whether a yes counts for more than one request: of looks at progress, and of what goes on with an upload.
fn may_be_kept(ask: &Ask) -> bool {
    match ask.act {
        Act::Watch => true,
        Act::Upload => ask.upload.is_some(),
        Act::Page | Act::Read | Act::Remove => false,
    }
}
