//! `dumbwaiter adopt FOLDER`: uploads of a tusd become ours, under the same ids.
//!
//! ```text
//! FOLDER/ID, ID.info ─► begun here as ID ─► its bytes, as if a client sent them ─┬─► all there ─► stored, visible
//!                                                                               └─► else ─► a checkpoint, to be gone on with
//!                                                                 durable ─► ID, ID.info are removed
//! ```
//!
//! Whatever stops it on the way, it can be run again: what is here already is not begun twice, and goes on where its last
//! checkpoint stands. What cannot be taken over is told and left as it is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use self::tusd::{Found, Left};
use super::Config;
use crate::admission::AdmissionOptions;
use crate::error::Error;
use crate::protocol::Inbound;
use crate::receive::{Body, PaceOptions, Shape};
use crate::service::Service;
use crate::store::{Disk, DiskOptions, Durability};
use crate::unfinished::{Append, ResumeOptions, Status};
use crate::upload::{Concat, Owner, Protocol, Remembered, Upload};

mod tusd;

/// Takes over what is in `folder`.
///
/// # Errors
/// When the folder for our files cannot be opened or is full, or when anything had to be left.
pub(super) fn run(config: &Config, folder: &Path) -> anyhow::Result<()> {
    let names = tusd::names(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let service = config.adopter()?;
    let adopter = Adopter {
        inbound: service.inbound(),
        folder: folder.to_owned(),
        metadata_bytes: usize::try_from(config.max_metadata).unwrap_or(usize::MAX),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (all, left) = (names.len(), runtime.block_on(adopter.all(names))?);
    match left {
        0 => Ok(()),
        left => bail!("{left} of {all} uploads are left in {}", folder.display()),
    }
}

impl Config {
    /// What takes uploads over: with the handlers, names and sizes of the server, but nobody to be fair to, no client that
    /// could be too slow, and nothing that grows too old meanwhile.
    fn adopter(&self) -> anyhow::Result<Service> {
        let options = DiskOptions {
            // The only other copy is removed next.
            durability: Durability::Sync,
            ..self.disk()
        };
        let store = Disk::open_with(&self.dir, options)
            .with_context(|| format!("cannot store uploads in {}", self.dir.display()))?;
        let lift = self.dumbwaiter(store, None);
        Ok(lift
            .admission(AdmissionOptions {
                upload_bytes: self.max_upload_size,
                store_bytes: self.max_store_size,
                keep_free: self.keep_free,
                keep_free_inodes: self.keep_free_inodes,
                unfinished: usize::MAX,
                unfinished_in_all: usize::MAX,
                ..AdmissionOptions::default()
            })
            .pace(PaceOptions::NONE)
            .resume(ResumeOptions {
                expire_after: None,
                ..self.resume()
            })
            .into_service())
    }
}

struct Adopter<'s> {
    inbound: &'s Inbound,
    folder: PathBuf,
    metadata_bytes: usize,
}

impl Adopter<'_> {
    /// Takes all of them over, and tells of each; gives back how many had to be left.
    async fn all(&self, names: Vec<String>) -> anyhow::Result<usize> {
        let mut left = 0;
        for name in names {
            match self.one(&name).await {
                Ok(words) => say(&format!("adopted {name} {words}")),
                Err(Left::Full) => bail!(
                    "the disk is full: make room and run this again; {name} and what follows it is left"
                ),
                Err(Left::Because(why)) => {
                    left += 1;
                    say(&format!("left {name}: {why}"));
                }
            }
        }
        Ok(left)
    }

    async fn one(&self, name: &str) -> Result<String, Left> {
        let found = Found::read(&self.folder, name, self.metadata_bytes)?;
        let status = match self.known(&found).await? {
            Some(status) => status,
            None => self.begin(&found).await?,
        };
        let status = self.go_on(&found, status).await?;
        // What is told here is durable.
        found.remove()?;
        self.words(&status).await
    }

    /// What an earlier run has taken over already.
    async fn known(&self, found: &Found) -> Result<Option<Status>, Left> {
        match self.inbound.unfinished.settle(&found.id).await {
            Ok(status) => Ok(Some(status)),
            Err(Error::NotFound) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    async fn begin(&self, found: &Found) -> Result<Status, Left> {
        if found.bytes.is_none() {
            return Err("its bytes are not there".into());
        }
        let mut upload = Box::new(Upload::new(Protocol::Tus, nobody()));
        upload.id = found.id;
        upload.length = found.length;
        upload.started_at = found.started_at;
        let mut about = Remembered::of(&upload);
        let (head, fields) = found.metadata.split();
        about.fields = fields;
        about.metadata = Some(found.metadata.given.clone()).filter(|given| !given.is_empty());
        about.concat = found.is_partial.then_some(Concat::Partial);
        Ok(self
            .inbound
            .unfinished
            .create(upload, about, Shape::File(head))
            .await?)
    }

    /// Brings the bytes that are not here yet.
    async fn go_on(&self, found: &Found, status: Status) -> Result<Status, Left> {
        let Some(bytes) = &found.bytes else {
            // An earlier run was stopped between the removals.
            return Ok(status);
        };
        let there = bytes.length;
        if status.offset > there || (status.complete && status.offset < there) {
            let here = status.offset;
            return Err(format!("{here} bytes of it are here already, and there {there}").into());
        }
        if status.offset == there {
            return Ok(status);
        }
        let (head, ()) = http::Request::new(()).into_parts();
        let append = Append::new(
            status.offset,
            Body::new(bytes.behind(status.offset)?),
            status.remembered.address,
            Arc::new(head),
        );
        let status = self.inbound.unfinished.append(&found.id, append).await?;
        match status.offset == there {
            true => Ok(status),
            false => Err("not all of its bytes could be taken".into()),
        }
    }

    /// What has become of it.
    async fn words(&self, status: &Status) -> Result<String, Left> {
        let Status { id, offset, .. } = status;
        let stored = self.inbound.receiver.store.stored(id).await?;
        let file = stored.and_then(|files| files.into_iter().next());
        if let Some(name) = file.and_then(|file| file.name) {
            return Ok(format!("as {name}"));
        }
        Ok(match (status.complete, status.length) {
            (true, _) => format!("as a part of {offset} bytes"),
            (false, Some(length)) => format!("with {offset} of {length} bytes"),
            (false, None) => format!("with {offset} bytes"),
        })
    }
}

/// Whoever does not listen any more wants the work done all the same.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// tusd knows no owners: whoever has the id has the upload, as with every tus upload.
fn nobody() -> Owner {
    Owner::from_address(std::net::Ipv4Addr::UNSPECIFIED.into())
}

impl From<Error> for Left {
    fn from(e: Error) -> Self {
        match e {
            Error::DiskFull | Error::StoreLimit => Self::Full,
            e => Self::Because(causes(&e)),
        }
    }
}

/// The whole chain of causes.
fn causes(e: &Error) -> String {
    let causes = std::iter::successors(Some(e as &dyn std::error::Error), |e| e.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
