//! Uploads under way, whoever sends them: a bar for each until all have ended.
//!
//! ```text
//! address ─► follow: stream of records ─────────────► tell: what each record changes ─► screen, or lines of JSON
//!                    └─ broken off: back, with what was seen; held back on its way: polls
//! ```

mod address;
mod follow;
mod tell;

use std::time::Duration;

use tokio::task::JoinSet;

use super::End;
use super::http::{Client, Patience};
use super::screen::Screen;
use super::url::Url;
use follow::Follow;
use tell::Telling;

pub(crate) use address::address_of;

/// The most addresses at once: each has a connection of its own.
pub(crate) const MOST_URLS: usize = 100;

/// What is to be watched, and how it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Watching {
    pub(crate) urls: Vec<Url>,
    pub(crate) quiet: bool,
    pub(crate) json: bool,
    /// How long a server that cannot be reached is asked again.
    pub(crate) retry_for: Duration,
}

/// Watches until all uploads have ended; of their ends the worst is told.
///
/// # Errors
/// When this system has no threads or timers left.
pub(crate) fn run(watching: Watching) -> anyhow::Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let screen = Screen::new(watching.quiet || watching.json);
        let ended = tokio::select! {
            ended = until_all_have_ended(watching, &screen) => ended,
            pressed = tokio::signal::ctrl_c() => pressed.map(|()| End::Stopped).map_err(Into::into),
        };
        screen.close();
        ended
    })
}

async fn until_all_have_ended(watching: Watching, screen: &Screen) -> anyhow::Result<End> {
    let patience = Patience {
        silence: follow::SILENCE,
        ..Patience::default()
    };
    let client = Client::new(None, patience)?;
    let mut followed = JoinSet::new();
    for url in watching.urls {
        let telling = Telling::new(screen.clone(), watching.json, url.authority());
        let follow = Follow::new(client.clone(), url, telling, watching.retry_for);
        followed.spawn(follow.run());
    }
    let mut worst = End::Well;
    while let Some(end) = followed.join_next().await {
        worst = worst.or_worse(end?);
    }
    Ok(worst)
}
