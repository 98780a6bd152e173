//! What is typed behind `send` and `watch`. A server's options, its variables and its file do not count there.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::server::units::{count, time};
use crate::terminal::http::word_of;
use crate::terminal::send::{self, Sending};
use crate::terminal::url::Url;
use crate::terminal::watch::{self, Watching};

/// The variables that hold a token and a ticket, for those who do not want a file of them.
pub(super) const WORDS: [&str; 2] = ["DUMBWAITER_SEND_TOKEN", "DUMBWAITER_SEND_TICKET"];

/// What `send` takes.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[command(
    after_help = "The address of each file goes to standard output, a line each. An upload that breaks off is gone on \
        with, also by the same command later.\nA token or a ticket may stand in DUMBWAITER_SEND_TOKEN or \
        DUMBWAITER_SEND_TICKET too.\nExit codes: 0 all are there, 1 one was refused or cannot be read, 2 the command \
        makes no sense, 3 the server could not be reached, 130 Ctrl-C."
)]
pub struct SendArgs {
    /// The files; - is standard input
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,

    /// Where they go: the address of the server's page, or where uploads begin
    #[arg(value_name = "URL", required = true)]
    pub url: String,

    /// Most files that go at the same time
    #[arg(long, value_name = "N", default_value = "3", value_parser = at_once)]
    pub at_once: usize,

    /// How long something is tried again while no byte gets through
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub retry_for: Duration,

    /// Have the server check what has come, by SHA-256
    #[arg(long)]
    pub checksum: bool,

    /// What the file is to be called there, where it is one alone
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// File whose first line is a token of the server
    #[arg(long, value_name = "FILE", conflicts_with = "ticket_file")]
    pub token_file: Option<PathBuf>,

    /// File whose first line is a ticket, which an app has given out
    #[arg(long, value_name = "FILE")]
    pub ticket_file: Option<PathBuf>,

    /// Say nothing but what has failed
    #[arg(long)]
    pub quiet: bool,
}

impl SendArgs {
    /// Sends all of them.
    ///
    /// # Errors
    /// For what makes no sense, as a [`clap::Error`]; for a file of a token that cannot be read.
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let url = self.url.parse::<Url>().map_err(|why| usage(&why))?;
        let files = &self.files;
        let pipes = files.iter().filter(|file| file.as_os_str() == "-").count();
        if self.name.is_some() && files.len() > 1 || pipes > 1 {
            return Err(
                usage(&"--name is for one file alone, and there is one standard input").into(),
            );
        }
        let sending = Sending {
            files: files.clone(),
            url,
            at_once: self.at_once,
            retry_for: self.retry_for,
            checksum: self.checksum,
            name: self.name.clone(),
            word: self.word()?,
            quiet: self.quiet,
        };
        Ok(send::run(sending)?.into())
    }

    /// The right to upload, from a file or a variable.
    fn word(&self) -> anyhow::Result<Option<String>> {
        match self.token_file.as_ref().or(self.ticket_file.as_ref()) {
            Some(path) => word_of(path).map(Some),
            None => Ok(WORDS
                .iter()
                .filter_map(|name| std::env::var(name).ok())
                .find(|word| !word.is_empty())),
        }
    }
}

/// What `watch` takes.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[command(
    after_help = "Ends when all uploads have. Exit codes: 0 all have arrived, 1 one failed or is not known there, \
        2 the command makes no sense, 3 the server could not be reached, 130 Ctrl-C."
)]
pub struct WatchArgs {
    /// Addresses of uploads: …/uploads/NAME with its id or its watch name, …/files/ID, …/uploads?X-Progress-ID=ID
    #[arg(value_name = "URL", required = true, num_args = 1..=watch::MOST_URLS)]
    pub urls: Vec<String>,

    /// Say nothing but what has failed
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,

    /// Print each record as it comes, one line of JSON each, and draw nothing
    #[arg(long)]
    pub json: bool,

    /// How long a server that cannot be reached is asked again
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub retry_for: Duration,
}

impl WatchArgs {
    /// Watches until all have ended.
    ///
    /// # Errors
    /// For an address that is none, as a [`clap::Error`].
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let urls = self.urls.iter().map(|text| watch::address_of(text));
        let urls: Result<Vec<_>, _> = urls.collect();
        let urls = urls.map_err(|why| usage(&why))?;
        let watching = Watching {
            urls,
            quiet: self.quiet,
            json: self.json,
            retry_for: self.retry_for,
        };
        Ok(watch::run(watching)?.into())
    }
}

/// Reads how many files go at the same time: each may have a piece of 8 MiB in memory.
fn at_once(text: &str) -> Result<usize, &'static str> {
    match count(text) {
        Ok(number) if number <= send::MOST_AT_ONCE => Ok(number),
        _ => Err("a whole number from 1 to 100 is expected"),
    }
}

/// What was typed makes no sense: exit code 2.
fn usage(why: &impl ToString) -> clap::Error {
    clap::Error::raw(
        clap::error::ErrorKind::ValueValidation,
        format!("{}\n", why.to_string()),
    )
}
