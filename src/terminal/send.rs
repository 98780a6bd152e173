//! Files on their way up: several at once, each gone on with until it is there.
//!
//! | file | what |
//! |---|---|
//! | `carry.rs` | one file: begun or found again, sent, looked for after a break |
//! | `talk.rs` | what is said to the server, in each protocol; what its answers mean |
//! | `source.rs` | bytes of a file or of standard input, as bodies |
//! | `tries.rs` | how often, and for how long, something is tried again |

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::End;
use super::discover::{NoOffer, Offer, Way, discover};
use super::http::{Client, Failed, Patience};
use super::notes::Notes;
use super::screen::Screen;
use super::url::Url;
use tries::Tries;

mod carry;
mod source;
mod talk;
mod tries;

/// The most files that go at the same time.
pub(crate) const MOST_AT_ONCE: usize = 100;

/// What is to be sent, and how.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    /// The files; `-` is standard input.
    pub(crate) files: Vec<PathBuf>,
    /// Where they go: the address of a page, or where uploads begin.
    pub(crate) url: Url,
    /// How many go at the same time.
    pub(crate) at_once: usize,
    /// How long without any progress something is tried again.
    pub(crate) retry_for: Duration,
    /// Whether the server is to check what has come.
    pub(crate) checksum: bool,
    /// What the file is to be called there.
    pub(crate) name: Option<String>,
    /// What is shown to the server as the right to it.
    pub(crate) word: Option<String>,
    /// Whether nothing is said but what has failed.
    pub(crate) quiet: bool,
}

/// What all files share.
#[derive(Debug)]
struct Shared {
    client: Client,
    offer: Offer,
    notes: Notes,
    screen: Screen,
    retry_for: Duration,
    checksum: bool,
    name: Option<String>,
}

/// How a file has ended: where it is, or why not.
type Ended = Result<String, End>;

/// Sends all of them. Their addresses go to standard output, a line each, in the order in which they were named; an empty
/// line for one that is not there.
///
/// # Errors
/// When nothing can be begun on this machine.
pub(crate) fn run(sending: Sending) -> anyhow::Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let screen = Screen::new(sending.quiet);
        let ended = tokio::select! {
            ended = send(sending, screen.clone()) => ended,
            _ = tokio::signal::ctrl_c() => {
                screen.fail("stopped; the same command goes on");
                Ok(End::Stopped)
            }
        };
        screen.close();
        ended
    });
    // A read of standard input may wait for ever.
    runtime.shutdown_background();
    ended
}

async fn send(sending: Sending, screen: Screen) -> anyhow::Result<End> {
    let client = Client::new(sending.word.as_deref(), Patience::default())?;
    let notes = Notes::open()?;
    let offer = match find(&client, &sending, &screen).await {
        Ok(offer) => offer,
        Err(end) => return Ok(end),
    };
    if offer.way == Way::Plain {
        screen.say("this server takes files only whole: one that breaks off begins anew");
    }
    let shared = Arc::new(Shared {
        client,
        offer,
        notes,
        screen,
        retry_for: sending.retry_for,
        checksum: sending.checksum,
        name: sending.name,
    });
    Ok(all(shared, sending.files, sending.at_once).await)
}

/// Asks how uploads are taken there, again and again while there is no answer.
async fn find(client: &Client, sending: &Sending, screen: &Screen) -> Result<Offer, End> {
    let mut tries = Tries::new(sending.retry_for);
    loop {
        match discover(client, &sending.url).await {
            Ok(offer) => return Ok(offer),
            Err(NoOffer::Failed(why @ (Failed::Unreachable { .. } | Failed::Broken { .. }))) => {
                if !tries.again(None).await {
                    screen.fail(&format!("{why}; the same command goes on later"));
                    return Err(End::Unreachable);
                }
                screen.say(&format!("{why}; trying again"));
            }
            Err(why) => {
                screen.fail(&why.to_string());
                return Err(End::Refused);
            }
        }
    }
}

async fn all(shared: Arc<Shared>, files: Vec<PathBuf>, at_once: usize) -> End {
    let places = Arc::new(Semaphore::new(at_once));
    let screen = shared.screen.clone();
    let carried = files.into_iter().map(|file| {
        let (shared, places) = (Arc::clone(&shared), Arc::clone(&places));
        tokio::spawn(async move {
            let _place = places.acquire_owned().await;
            carry::carry(shared, file).await
        })
    });
    let carried: Vec<_> = carried.collect();
    let mut end = End::Well;
    for one in carried {
        let ended = one.await.unwrap_or(Err(End::Refused));
        let url = ended.as_deref().unwrap_or_default();
        // Whoever does not listen wants the files to go all the same.
        let _ = screen.result(url);
        end = end.or_worse(ended.err().unwrap_or(End::Well));
    }
    end
}
