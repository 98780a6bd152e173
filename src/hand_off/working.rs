//! The uploads that the app has in hand: what it reports of each is told, and its last word ends the wait.
//!
//! ```text
//! begin(id, phases) ─► Lease ── token ──► the app ──► PUT /uploads/ID/phase ─► report ─┬─ a step: told in the record
//!                        └── last_word ◄──────────────────────────────────────────────┴─ done or error
//! ```
//!
//! Who reports shows the token that it got with the upload; it is for that upload alone. A row goes with its lease.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{Error, Refusal};
use crate::progress::{Phase, Phases};
use crate::signed::{Audience, Keys};
use crate::upload::UploadId;

/// Bounds on what the app has in hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WorkingOptions {
    /// The most uploads at once; default 10,000.
    pub(crate) most: usize,
    /// The longest wait for the app's last word; default 1 hour.
    pub(crate) time: Duration,
}

/// The table of them; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Working {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keys: Keys,
    options: WorkingOptions,
    rows: Mutex<HashMap<UploadId, Row>>,
}

#[derive(Clone, Debug)]
struct Row {
    phases: Phases,
    word: watch::Sender<Option<Word>>,
}

/// What a token says.
#[derive(Serialize, Deserialize)]
struct About {
    upload: UploadId,
}

/// The app's last word on an upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// It has all of it.
    Done,
    /// It does not take it, for this reason.
    Error(String),
}

impl Word {
    /// What it means for the upload.
    ///
    /// # Errors
    /// The app's own, with the code `app_error`.
    pub(crate) fn verdict(self) -> Result<(), Error> {
        match self {
            Self::Done => Ok(()),
            Self::Error(message) => Err(Refusal {
                code: "app_error",
                status: 422,
                message,
            }
            .into()),
        }
    }
}

/// What the app reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// What it does now.
    Step(Phase),
    /// Nothing more comes.
    Last(Word),
}

impl Working {
    pub(crate) fn new(keys: Keys, options: WorkingOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                keys,
                options,
                rows: Mutex::default(),
            }),
        }
    }

    /// The app gets this upload, and may report on it for as long as the lease is there.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`] when it has too many in hand.
    pub(crate) fn begin(&self, id: UploadId, phases: Phases) -> Result<Lease, Error> {
        let token = self.token(id)?;
        let (word, said) = watch::channel(None);
        let mut rows = self.shared.rows();
        if rows.len() >= self.shared.options.most {
            return Err(Error::TooManyUploads);
        }
        rows.insert(id, Row { phases, word });
        Ok(Lease {
            id,
            token,
            said,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Counts until the app should have had its last word, however long it takes to answer before.
    fn token(&self, id: UploadId) -> Result<HeaderValue, Error> {
        const ANSWERING: Duration = Duration::from_secs(24 * 60 * 60);
        let lasts = self.shared.options.time.saturating_add(ANSWERING);
        let about = About { upload: id };
        let token = self.shared.keys.sign(Audience::Phase, lasts, &about)?;
        let mut value = HeaderValue::try_from(token).map_err(Error::store)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Takes a report of the app's on upload `id`, which it shows by `token` that it may give.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the app has no such upload in hand or the token is not for it.
    pub(crate) fn report(&self, id: &UploadId, token: &str, report: Report) -> Result<(), Error> {
        let read = self.shared.keys.read::<About>(token, Audience::Phase);
        if !read.is_ok_and(|read| read.says.upload == *id) {
            return Err(Error::NotFound);
        }
        let row = self.shared.rows().get(id).cloned();
        let row = row.ok_or(Error::NotFound)?;
        match report {
            // Behind the last word nothing changes.
            _ if row.word.borrow().is_some() => {}
            Report::Step(phase) => row.phases.phase(phase),
            Report::Last(word) => {
                row.word.send_replace(Some(word));
            }
        }
        Ok(())
    }

    /// How many uploads the app has in hand.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shared.rows().len()
    }
}

impl Shared {
    fn rows(&self) -> MutexGuard<'_, HashMap<UploadId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload in the app's hands; dropping it takes the app's right to report.
#[derive(Debug)]
pub(crate) struct Lease {
    id: UploadId,
    token: HeaderValue,
    said: watch::Receiver<Option<Word>>,
    shared: Arc<Shared>,
}

impl Lease {
    /// What lets the app report: for its eyes alone.
    pub(crate) fn token(&self) -> HeaderValue {
        self.token.clone()
    }

    /// The app's last word, if it has had it.
    pub(crate) fn word(&self) -> Option<Word> {
        self.said.borrow().clone()
    }

    /// Waits for the app's last word.
    ///
    /// # Errors
    /// [`Error::ProcessingTimeout`] when it does not come in time.
    pub(crate) async fn last_word(&mut self) -> Result<Word, Error> {
        let time = self.shared.options.time;
        let said = timeout(time, self.said.wait_for(Option::is_some)).await;
        match said {
            Ok(Ok(word)) => Ok(word.clone().expect("it was waited for")),
            // The row, and the sender with it, is there as long as this is.
            Ok(Err(_)) | Err(_) => Err(Error::ProcessingTimeout {
                seconds: time.as_secs(),
            }),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut rows = self.shared.rows();
        // A newer lease on the same upload has a row of its own.
        let is_ours = |row: &Row| row.word.subscribe().same_channel(&self.said);
        if rows.get(&self.id).is_some_and(is_ours) {
            rows.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Holder, Tap, Tracker, TrackerOptions};
    use crate::upload::{Owner, Protocol, Upload};

    const SOON: Duration = Duration::from_millis(20);

    fn upload() -> (Tap, UploadId) {
        let owner = Owner::Named("a".into());
        let upload = Upload::new(Protocol::Form, owner);
        let tracker = Tracker::start(TrackerOptions::default());
        let tap = tracker.begin(&upload);
        tap.processing();
        (tap, upload.id)
    }

    fn working(most: usize) -> Working {
        Working::new(Keys::random(), WorkingOptions { most, time: SOON })
    }

    fn step(name: &str) -> Report {
        Report::Step(Phase {
            name: name.to_owned(),
            done: Some(3),
            total: Some(10),
        })
    }

    fn text(token: &HeaderValue) -> String {
        token.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn steps_are_told_until_the_last_word_which_is_waited_for() {
        let ((tap, id), working) = (upload(), working(1));
        let mut lease = working.begin(id, tap.phases()).unwrap();
        let token = text(&lease.token());
        working.report(&id, &token, step("scanning")).unwrap();
        let phase = tap.progress().record(Holder::Id, "").phase.unwrap();
        assert_eq!((phase.name.as_str(), phase.done), ("scanning", Some(3)));
        assert_eq!(lease.word(), None);
        let last = Report::Last(Word::Error("a virus".to_owned()));
        working.report(&id, &token, last).unwrap();
        working
            .report(&id, &token, Report::Last(Word::Done))
            .unwrap();
        let word = lease.last_word().await.unwrap();
        assert_eq!(word.verdict().unwrap_err().to_string(), "a virus");
        drop(lease);
        assert_eq!(working.len(), 0);
        let late = working.report(&id, &token, step("late"));
        assert!(matches!(late, Err(Error::NotFound)));
    }

    #[tokio::test]
    async fn a_token_is_for_its_own_upload_alone() {
        let (one, other, working) = (upload(), upload(), working(2));
        let first = working.begin(one.1, one.0.phases()).unwrap();
        let second = working.begin(other.1, other.0.phases()).unwrap();
        let elsewhere = super::tests::working(2).token(one.1).unwrap();
        for token in [text(&second.token()), text(&elsewhere), String::new()] {
            let told = working.report(&one.1, &token, step("forged"));
            assert!(matches!(told, Err(Error::NotFound)), "{token}");
        }
        assert_eq!(one.0.progress().record(Holder::Id, "").phase, None);
        drop(first);
    }

    #[tokio::test]
    async fn there_are_at_most_so_many_and_each_for_so_long() {
        let (one, other, working) = (upload(), upload(), working(1));
        let mut lease = working.begin(one.1, one.0.phases()).unwrap();
        let full = working.begin(other.1, other.0.phases());
        assert!(matches!(full, Err(Error::TooManyUploads)));
        let late = lease.last_word().await;
        assert!(matches!(late, Err(Error::ProcessingTimeout { .. })));
        drop(lease);
        assert!(working.begin(other.1, other.0.phases()).is_ok());
    }

    #[test]
    fn an_older_lease_takes_nothing_from_a_newer_one() {
        let ((tap, id), working) = (upload(), working(2));
        let old = working.begin(id, tap.phases()).unwrap();
        let new = working.begin(id, tap.phases()).unwrap();
        drop(old);
        assert_eq!(working.len(), 1);
        drop(new);
        assert_eq!(working.len(), 0);
    }
}
