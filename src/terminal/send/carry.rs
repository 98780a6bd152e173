//! One file on its way: begun or found again, sent, and looked for after each break, until it is there.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::source::{Pipe, Source, digest, is_another};
use super::talk::{Facts, Stand, Talk, Trouble};
use super::tries::Tries;
use super::{Ended, Shared};
use crate::progress::Rate;
use crate::sizes::limit_in_words;
use crate::terminal::End;
use crate::terminal::discover::Way;
use crate::terminal::notes::{Held, Note, Shape};
use crate::terminal::screen::Row;
use crate::terminal::url::Url;

/// How often its row is drawn anew.
const TICK: Duration = Duration::from_millis(200);

/// A file, and how far it has come.
struct Carried {
    shared: Arc<Shared>,
    row: Arc<Row>,
    facts: Facts,
    source: Source,
    /// The place of its note; standard input has none, nor what cannot be gone on with.
    held: Option<Held>,
    upload: Option<Url>,
    /// Where the server's bytes end, as far as that is known.
    offset: Option<u64>,
    /// The most that was ever known to be there.
    reached: u64,
    /// What the line has taken.
    at: Arc<AtomicU64>,
    tries: Tries,
    /// It has been begun anew once.
    again: bool,
}

/// Why it is not there.
type Lost = (End, String);

/// How often a file is begun anew that changes while it is sent.
const ANEW: usize = 3;

/// How a file's turn has ended.
enum Turn {
    Ended(Result<Url, Lost>),
    /// The file has become another one.
    Changed,
}

/// Sends one file.
pub(super) async fn carry(shared: Arc<Shared>, path: PathBuf) -> Ended {
    let name = name(&shared, &path);
    let row = shared.screen.row(&name);
    let mut sent = Err((End::Refused, "it does not stop changing".to_owned()));
    for _ in 0..=ANEW {
        let opened = Carried::open(Arc::clone(&shared), Arc::clone(&row), name.clone(), &path);
        let turn = match opened.await {
            Ok(carried) => carried.carry().await,
            Err(why) => Turn::Ended(Err((End::Refused, why))),
        };
        if let Turn::Ended(ended) = turn {
            sent = ended;
            break;
        }
        let why = "has changed while it was sent, and begins anew";
        shared.screen.say(&format!("{name} {why}"));
    }
    match sent {
        Ok(url) => {
            row.done(&url.to_string());
            Ok(url.to_string())
        }
        Err((end, why)) => {
            row.failed(&why);
            Err(end)
        }
    }
}

fn name(shared: &Shared, path: &Path) -> String {
    let own = || {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let own = own().filter(|_| path != Path::new("-"));
    shared
        .name
        .clone()
        .or(own)
        .unwrap_or_else(|| "stdin".to_owned())
}

impl Carried {
    async fn open(
        shared: Arc<Shared>,
        row: Arc<Row>,
        name: String,
        path: &Path,
    ) -> Result<Self, String> {
        let source = match path == Path::new("-") {
            true => Source::Pipe(Pipe::default()),
            false => {
                let (file, about) =
                    opened(path).map_err(|cause| format!("cannot be read: {cause}"))?;
                Source::File(Arc::new(file), Shape::of(&about))
            }
        };
        let held = match &source {
            Source::File(..) if shared.offer.way != Way::Plain => hold(&shared, path, &name)?,
            _ => None,
        };
        let facts = Facts {
            name,
            length: source.length(),
            digest: None,
        };
        let mut carried = Self {
            tries: Tries::new(shared.retry_for),
            shared,
            row,
            facts,
            source,
            held,
            upload: None,
            offset: None,
            reached: 0,
            at: Arc::default(),
            again: false,
        };
        carried.check_size()?;
        carried.add_up().await.map_err(|cause| cause.to_string())?;
        carried.find_again();
        Ok(carried)
    }

    fn check_size(&self) -> Result<(), String> {
        match (self.facts.length, self.shared.offer.max_size) {
            (Some(length), Some(most)) if length > most => Err(format!(
                "it is larger than the {} taken there",
                limit_in_words(most)
            )),
            _ => Ok(()),
        }
    }

    /// Adds it up, where the server is to check the whole of it.
    async fn add_up(&mut self) -> io::Result<()> {
        let of_pieces = self.shared.offer.way == Way::Tus;
        if let Source::File(file, shape) = &self.source
            && self.shared.checksum
            && !of_pieces
        {
            self.row.words("adding up");
            self.facts.digest = Some(digest(Arc::clone(file), shape.length).await?);
            self.row.words("");
            self.say(&format!("sha-256 {}", self.promised().unwrap_or_default()));
        }
        Ok(())
    }

    /// Goes on with what an earlier run has begun.
    fn find_again(&mut self) {
        let Some(note) = self.held.as_ref().and_then(Held::read) else {
            return;
        };
        if Some(note.shape) != self.shape() {
            return self.say("has changed since it was begun, and begins anew");
        }
        let promised = self.facts.digest.is_none() || note.digest == self.promised();
        let upload = note.upload.parse().ok().filter(|_| promised);
        match upload.filter(|_| note.way == way_in_words(self.shared.offer.way)) {
            Some(upload) => self.upload = Some(upload),
            None => self.say("was begun in another way, and begins anew"),
        }
    }

    fn shape(&self) -> Option<Shape> {
        match &self.source {
            Source::File(_, shape) => Some(*shape),
            Source::Pipe(_) => None,
        }
    }

    fn promised(&self) -> Option<String> {
        let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.facts.digest.map(hex)
    }

    async fn carry(mut self) -> Turn {
        let (row, at) = (Arc::clone(&self.row), Arc::clone(&self.at));
        let length = self.facts.length;
        let sent = tokio::select! {
            sent = self.send() => sent,
            never = draw(&row, &at, length) => never,
        };
        if matches!(sent, Turn::Ended(Ok(_))) {
            let bytes = at.load(Ordering::Relaxed);
            row.at(bytes, Some(bytes), None, None);
        }
        sent
    }

    async fn send(&mut self) -> Turn {
        loop {
            let trouble = match self.step().await {
                Ok(None) => continue,
                Ok(Some(url)) => {
                    self.forget();
                    return Turn::Ended(Ok(url));
                }
                Err(trouble) => trouble,
            };
            if trouble == Trouble::Changed || self.is_another() {
                self.forget();
                return Turn::Changed;
            }
            if let Err(lost) = self.overcome(trouble).await {
                return Turn::Ended(Err(lost));
            }
        }
    }

    fn is_another(&self) -> bool {
        match &self.source {
            Source::File(file, shape) => is_another(file, *shape),
            Source::Pipe(_) => false,
        }
    }

    /// Does what is to be done next; gives the file's address when nothing is.
    async fn step(&mut self) -> Result<Option<Url>, Trouble> {
        let shared = Arc::clone(&self.shared);
        let talk = Talk {
            client: &shared.client,
            offer: &shared.offer,
        };
        if shared.offer.way == Way::Plain {
            return self.put(talk).await.map(Some);
        }
        let Some(upload) = self.upload.clone() else {
            let upload = talk.create(&self.facts).await?;
            self.note(&upload);
            (self.upload, self.offset) = (Some(upload), Some(0));
            return Ok(None);
        };
        let stand = match self.offset {
            None => talk.look(&upload, self.facts.length).await?,
            Some(offset) => match self.append(talk, &upload, offset).await? {
                // It would be sent again for ever.
                Stand::At(reached) if reached <= offset => {
                    let why = "the server keeps nothing of what it takes".to_owned();
                    return Err(Trouble::Moved { why });
                }
                stand => stand,
            },
        };
        Ok(match stand {
            Stand::Done(url) => Some(url),
            Stand::At(offset) => {
                self.stands_at(offset);
                None
            }
        })
    }

    async fn append(
        &mut self,
        talk: Talk<'_>,
        upload: &Url,
        offset: u64,
    ) -> Result<Stand, Trouble> {
        // Where the whole cannot be promised at the beginning, each piece is.
        let checked = self.shared.checksum && self.facts.digest.is_none();
        let most = self.shared.offer.max_append;
        let piece = self
            .source
            .piece(offset, most, checked)
            .await
            .map_err(|cause| unreadable(&cause))?;
        if self.is_another() {
            return Err(Trouble::Changed);
        }
        self.at.store(offset, Ordering::Relaxed);
        self.row.words("");
        talk.append(upload, offset, &piece, checked, &self.at).await
    }

    async fn put(&mut self, talk: Talk<'_>) -> Result<Url, Trouble> {
        let piece = self
            .source
            .piece(0, None, false)
            .await
            .map_err(|cause| unreadable(&cause))?;
        if !piece.is_last {
            let why = "this server takes files only whole, and standard input has more than fits into memory";
            return Err(Trouble::Refused {
                why: why.to_owned(),
            });
        }
        self.at.store(0, Ordering::Relaxed);
        self.row.words("");
        talk.put(&self.facts, &piece, &self.at).await
    }

    fn stands_at(&mut self, offset: u64) {
        if self.offset.is_none() && offset > 0 {
            self.say(&format!("goes on at {offset} bytes"));
        }
        if offset > self.reached {
            self.reached = offset;
            self.tries.well();
        }
        self.at.store(offset, Ordering::Relaxed);
        self.offset = Some(offset);
    }

    /// What can be done about it.
    async fn overcome(&mut self, trouble: Trouble) -> Result<(), Lost> {
        self.offset = None;
        let (why, after) = match trouble {
            Trouble::Refused { why } => {
                self.forget();
                return Err((End::Refused, why));
            }
            Trouble::NotNow { why } => return Err((End::Refused, why)),
            Trouble::Changed => return Err((End::Refused, "it has changed".to_owned())),
            Trouble::Gone if self.upload.is_none() || self.again => {
                self.forget();
                return Err((End::Refused, "the server does not know of it".to_owned()));
            }
            Trouble::Gone => {
                self.again = true;
                self.upload = None;
                self.reached = 0;
                self.forget();
                self.say("is not there any more, and begins anew");
                return Ok(());
            }
            Trouble::Moved { why } => (why, None),
            Trouble::Later { why, after } => (why, after),
        };
        self.row.words(&format!("interrupted: {why}; trying again"));
        match self.tries.again(after).await {
            true => Ok(()),
            false => Err((
                End::Unreachable,
                format!("{why}; the same command goes on later"),
            )),
        }
    }

    fn note(&self, upload: &Url) {
        let (Some(held), Some(shape)) = (&self.held, self.shape()) else {
            return;
        };
        let note = Note {
            upload: upload.to_string(),
            way: way_in_words(self.shared.offer.way).to_owned(),
            file: self.facts.name.clone(),
            shape,
            digest: self.promised(),
        };
        if let Err(cause) = held.write(&note) {
            self.say(&format!("cannot be gone on with after a restart: {cause}"));
        }
    }

    fn forget(&self) {
        if let Some(held) = &self.held {
            held.forget();
        }
    }

    fn say(&self, words: &str) {
        self.shared
            .screen
            .say(&format!("{} {words}", self.facts.name));
    }
}

/// Draws its row again and again.
async fn draw<T>(row: &Row, at: &AtomicU64, length: Option<u64>) -> T {
    let mut ticks = tokio::time::interval(TICK);
    let mut last = at.load(Ordering::Relaxed);
    let mut rate = Rate::begin(last, Instant::now());
    loop {
        ticks.tick().await;
        let (bytes, now) = (at.load(Ordering::Relaxed), Instant::now());
        if bytes < last {
            rate = Rate::begin(bytes, now);
        }
        last = bytes;
        rate.advance(bytes, now);
        let eta = length
            .and_then(|length| rate.eta(length, now))
            .map(Duration::from_secs);
        row.at(bytes, length, rate.per_second(), eta);
    }
}

fn opened(path: &Path) -> io::Result<(File, Metadata)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    match about.is_file() {
        true => Ok((file, about)),
        false => Err(io::Error::other(
            "it is no file; what is no file can be piped: … | dumbwaiter send - URL",
        )),
    }
}

fn hold(shared: &Shared, path: &Path, name: &str) -> Result<Option<Held>, String> {
    let place = || -> anyhow::Result<Option<Held>> {
        let path = path.canonicalize()?;
        shared.notes.hold(&shared.offer.endpoint, &path, name)
    };
    match place() {
        Ok(Some(held)) => Ok(Some(held)),
        Ok(None) => Err("it is being sent there by another process already".to_owned()),
        Err(cause) => Err(format!("{cause:#}")),
    }
}

fn way_in_words(way: Way) -> &'static str {
    match way {
        Way::Ietf => "ietf",
        Way::Tus => "tus",
        Way::Plain => "put",
    }
}

fn unreadable(cause: &io::Error) -> Trouble {
    Trouble::Refused {
        why: cause.to_string(),
    }
}
