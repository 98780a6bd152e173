//! What is typed behind `send` and `watch`. A server's options, its variables and its file do not count there.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::server::units::time;
use crate::terminal::watch::{self, Watching};

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

/// What was typed makes no sense: exit code 2.
fn usage(why: &impl ToString) -> clap::Error {
    clap::Error::raw(
        clap::error::ErrorKind::ValueValidation,
        format!("{}\n", why.to_string()),
    )
}
