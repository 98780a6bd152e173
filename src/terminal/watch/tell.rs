//! What a record changes on the screen, and what the uploads of one address have come to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::progress::State;
use crate::sizes::size_in_words;
use crate::terminal::End;
use crate::terminal::screen::{Numbers, Row, Screen};

/// The most uploads of one address: a server says how many it tells of, and this one may be any.
const MOST_UPLOADS: usize = 1_000;

/// The uploads of one address as they were told.
#[derive(Debug)]
pub(super) struct Telling {
    screen: Screen,
    json: bool,
    server: String,
    uploads: HashMap<String, Upload>,
    end: End,
}

#[derive(Debug)]
struct Upload {
    row: Arc<Row>,
    /// Where its bar stands.
    at: u64,
    /// What was told of it beside that.
    words: String,
    /// Whether it went back there, with nothing told of a break.
    went_back: bool,
    ended: bool,
}

/// As much of a record as is shown; what others leave out is not known.
#[derive(Deserialize)]
struct Record {
    watch: Option<String>,
    progress_id: Option<String>,
    #[serde(deserialize_with = "state")]
    state: State,
    length: Option<u64>,
    #[serde(default)]
    received: u64,
    offset: Option<u64>,
    rate: Option<f64>,
    eta: Option<f64>,
    #[serde(default)]
    files: Vec<File>,
    phase: Option<Phase>,
    error: Option<Failure>,
}

fn state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<State, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known = [
        State::Starting,
        State::Uploading,
        State::Interrupted,
        State::Processing,
        State::Done,
        State::Error,
    ];
    let state = known.into_iter().find(|state| state.as_str() == word);
    state.ok_or_else(|| D::Error::custom(format_args!("the state {word:?} is not known")))
}

#[derive(Deserialize)]
struct File {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Phase {
    name: Option<String>,
    done: Option<u64>,
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
    message: Option<String>,
}

/// Why nothing more can be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untold {
    /// Not what a Dumbwaiter says.
    #[error("what answers there is no Dumbwaiter: {0}")]
    NotOurs(String),
    #[error("more than {MOST_UPLOADS} uploads are told of at one address")]
    TooMany,
    /// Whoever read standard output has gone.
    #[error("nobody reads any more")]
    Unread,
}

impl Telling {
    pub(super) fn new(screen: Screen, json: bool, server: &str) -> Self {
        Self {
            screen,
            json,
            server: server.to_owned(),
            uploads: HashMap::new(),
            end: End::Well,
        }
    }

    /// Shows a record.
    pub(super) fn record(&mut self, data: &str) -> Result<(), Untold> {
        let not_ours = |cause: serde_json::Error| Untold::NotOurs(cause.to_string());
        let value: Value = serde_json::from_str(data).map_err(not_ours)?;
        let record: Record = Record::deserialize(&value).map_err(not_ours)?;
        if self.json {
            let printed = self.screen.result(&value.to_string());
            printed.map_err(|_| Untold::Unread)?;
        }
        let key = record.watch.clone().or(record.progress_id.clone());
        let key = key.unwrap_or_default();
        if !self.uploads.contains_key(&key) && self.uploads.len() >= MOST_UPLOADS {
            return Err(Untold::TooMany);
        }
        let screen = &self.screen;
        let upload = self
            .uploads
            .entry(key)
            .or_insert_with(|| Upload::new(screen.row(&name_of(&record))));
        if !upload.ended && upload.tell(&record) == End::Refused {
            self.end = End::Refused;
        }
        Ok(())
    }

    /// One that was asked for is not there, or no longer.
    pub(super) fn gone(&mut self) {
        let running = self.uploads.values_mut().filter(|upload| !upload.ended);
        let mut known = false;
        // Which one it is, its words do not say in the name that we know.
        for upload in running.take(1) {
            upload.row.failed("It is not known there any more.");
            (upload.ended, known) = (true, true);
        }
        if !known && self.uploads.is_empty() {
            self.fail("no upload of that name is known there");
        }
        self.end = End::Refused;
    }

    /// All has been told, the server says. What has not ended by then is forgotten there.
    pub(super) fn over(&mut self) {
        if self.uploads.is_empty() && self.end == End::Well {
            return self.gone();
        }
        for upload in self.uploads.values_mut().filter(|upload| !upload.ended) {
            upload
                .row
                .failed("It has ended, and how is not known there any more.");
            upload.ended = true;
            self.end = End::Refused;
        }
    }

    /// Why nothing new is told, for as long as that is so.
    pub(super) fn silent(&self, words: &str) {
        let mut running = self
            .uploads
            .values()
            .filter(|upload| !upload.ended)
            .peekable();
        if running.peek().is_none() {
            self.screen.say(&format!("{}: {words}", self.server));
        }
        for upload in running {
            upload.row.words(words);
        }
    }

    /// The server is there again: what was told last holds.
    pub(super) fn heard(&self) {
        for upload in self.uploads.values().filter(|upload| !upload.ended) {
            upload.row.words(&upload.words);
        }
    }

    /// Nothing more will be told.
    pub(super) fn fail(&self, words: &str) {
        self.screen.fail(&format!("{}: {words}", self.server));
    }

    /// Whether something was told, and all of that has ended.
    pub(super) fn all_ended(&self) -> bool {
        !self.uploads.is_empty() && self.uploads.values().all(|upload| upload.ended)
    }

    /// The worst that has become of one.
    pub(super) fn end(&self) -> End {
        self.end
    }
}

impl Upload {
    fn new(row: Arc<Row>) -> Self {
        Self {
            row,
            at: 0,
            words: String::new(),
            went_back: false,
            ended: false,
        }
    }

    fn tell(&mut self, record: &Record) -> End {
        let at = record.offset.unwrap_or(record.received);
        if at != self.at {
            self.went_back = at < self.at && record.state != State::Interrupted;
        }
        self.at = at;
        self.row.name(&name_of(record));
        self.ended = record.state.is_end();
        let numbers = Numbers {
            at,
            length: record.length,
            rate: record.rate.map(whole),
            eta: record
                .eta
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        };
        match record.state {
            State::Done => self.row.done_with(at, "Arrived"),
            State::Error => self.row.failed(&failure(record)),
            State::Starting | State::Uploading | State::Interrupted | State::Processing => {
                self.words = self.words_of(record);
                self.row.tell(numbers, &self.words);
            }
        }
        match record.state {
            State::Error => End::Refused,
            _ => End::Well,
        }
    }

    /// What the numbers do not say, in the page's words.
    fn words_of(&self, record: &Record) -> String {
        match record.state {
            State::Starting => "○ Waiting".to_owned(),
            State::Interrupted => match record.offset {
                Some(kept) => format!(
                    "❙❙ Waiting for the connection. {} are kept.",
                    size_in_words(kept)
                ),
                None => "❙❙ Waiting for the connection.".to_owned(),
            },
            State::Processing => phase(record.phase.as_ref()),
            _ if self.went_back => "Started again".to_owned(),
            _ => String::new(),
        }
    }
}

fn whole(number: f64) -> u64 {
    // Of what is below zero or no number it makes 0.
    number.round() as u64
}

fn phase(phase: Option<&Phase>) -> String {
    let name = phase.and_then(|phase| Some((phase, phase.name.as_deref()?)));
    let Some((phase, name)) = name else {
        return "All received, being stored".to_owned();
    };
    match (phase.done, phase.total) {
        (Some(done), Some(total)) if name == "joining" => {
            let (done, total) = (size_in_words(done), size_in_words(total));
            format!("{name} {done} of {total}")
        }
        (Some(done), Some(total)) => format!("{name} {done} of {total}"),
        _ => name.to_owned(),
    }
}

fn failure(record: &Record) -> String {
    match &record.error {
        Some(Failure {
            code,
            message: Some(message),
        }) => format!("{message} ({code})"),
        Some(Failure { code, .. }) => code.clone(),
        None => "It has failed.".to_owned(),
    }
}

/// The first file's, or what its client calls it.
fn name_of(record: &Record) -> String {
    let mut names = record.files.iter().filter_map(|file| file.name.as_deref());
    match (names.next(), names.count()) {
        (Some(name), 0) => name.to_owned(),
        (Some(name), more) => format!("{name} and {more} more"),
        (None, _) => match &record.progress_id {
            Some(id) => id.clone(),
            None => "upload".to_owned(),
        },
    }
}
