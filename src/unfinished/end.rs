//! Uploads that end from outside: cancelled by who may, or too old.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::table::Entry;
use super::turn::Turn;
use super::{Append, Shared};
use crate::error::Error;
use crate::lock::Lock;
use crate::progress::{Files, Progress, State, Why};
use crate::receive::Body;
use crate::upload::{FileHead, Upload, UploadId};

/// How long a record is waited for that is about to say how its upload has ended.
const TELLING: Duration = Duration::from_secs(1);

impl Shared {
    /// Ends an upload with all that is stored of it; `false` when it has been completed meanwhile, or is none. Whoever
    /// comes behind is told that it is not there: none of them can take it from its end.
    pub(super) async fn end(self: Arc<Self>, id: UploadId, why: &Error) -> Result<bool, Error> {
        let Some(progress) = self.announce_end(&id, why) else {
            return Ok(false);
        };
        if let Some(progress) = &progress {
            // A writer that runs ends it itself.
            progress.halt(Why::Cancelled);
        }
        let lock = self.lock_at_last(&id).await?;
        let Some(mut taken) = self.table().take(&id) else {
            return Ok(self.has_ended(&id, progress.as_deref()).await);
        };
        let mut turn = Turn::new(Arc::clone(&self), id, lock, taken.writer);
        let removed = match taken.parked.take().filter(|_| !turn.lock().is_forced()) {
            Some(mut open) => open.abandon().await,
            None => self.remove(&id).await,
        };
        if let Err(error) = removed {
            turn.change(Entry::goes_on);
            turn.give_back(None, taken.place);
            return Err(error);
        }
        let told = turn.end();
        drop(taken.place);
        if let Some((upload, kept, head, fields)) = told {
            let files = Files::open(head.as_ref());
            self.tracker.revive(&upload, kept, files, &fields);
            self.tracker.resume(&upload, kept).fail(why);
        }
        Ok(true)
    }

    /// From now on nobody begins a turn at the upload, unless all of it is being stored. Its record is given back; `None`
    /// when there is nothing to end.
    fn announce_end(&self, id: &UploadId, why: &Error) -> Option<Option<Arc<Progress>>> {
        let mut table = self.table();
        let entry = table.get_mut(id).filter(|entry| !entry.is_ending())?;
        // Somebody has come back just in time.
        if matches!(why, Error::Expired) && entry.has_writer() {
            return None;
        }
        entry.announce_end();
        Some(entry.progress.clone())
    }

    /// Whether its writer has ended it. One that has just forgotten it is about to say so in its record.
    async fn has_ended(&self, id: &UploadId, progress: Option<&Progress>) -> bool {
        let Some(progress) = progress else {
            return false;
        };
        let told = async {
            while self.table().get(id).is_none() && !progress.state().is_end() {
                tokio::task::yield_now().await;
            }
        };
        let _ = tokio::time::timeout(TELLING, told).await;
        progress.state() == State::Error
    }

    /// Takes the upload, however many come behind.
    async fn lock_at_last(&self, id: &UploadId) -> Result<Lock, Error> {
        loop {
            match self.lock(id).await {
                Err(Error::Superseded) => tokio::task::yield_now().await,
                taken => return taken,
            }
        }
    }

    /// Ends what is too old, and goes on with what can go on by itself.
    pub(super) async fn sweep(self: &Arc<Self>) {
        for id in self.too_old() {
            match self.on_its_own(Arc::clone(self).expire(id)).await {
                Ok(()) => {}
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(
                        upload = id.short(),
                        cause,
                        "cannot end an upload that is too old"
                    );
                }
            }
            tokio::task::yield_now().await;
        }
        for id in self.left_whole() {
            // Its record says what came of it. A handler that panics at it ends no sweep.
            let _ = self.on_its_own(Arc::clone(self).store_whole(id)).await;
        }
        let forlorn = self.table().forlorn();
        for id in forlorn {
            self.end_forlorn(id).await;
        }
        self.join_ready();
    }

    async fn expire(self: Arc<Self>, id: UploadId) -> Result<(), Error> {
        // Somebody may just have come back, or need it now.
        match self.look(&id) {
            Some(_) => Ok(()),
            None => self.end(id, &Error::Expired).await.map(drop),
        }
    }

    /// Those that nobody has touched for too long, and that nobody waits for.
    fn too_old(&self) -> Vec<UploadId> {
        let table = self.table();
        let old = table
            .iter()
            .filter(|(_, entry)| !entry.has_writer() && self.is_expired(entry.kept.at()));
        let mut old: Vec<_> = old.map(|(id, _)| *id).collect();
        if !old.is_empty() {
            let needed = table.needed();
            old.retain(|id| !needed.contains(id));
        }
        old
    }

    /// Whether all bytes of it are there, and nobody makes it visible: a crash came in between.
    pub(super) fn is_left_whole(&self, id: &UploadId) -> bool {
        let table = self.table();
        table.get(id).is_some_and(|entry| {
            let awaits = entry.about.concat.is_some() || entry.about.awaits_word;
            entry.is_whole() && !awaits && !entry.has_writer()
        })
    }

    fn asks_again(&self, id: &UploadId) -> bool {
        let asks = |entry: &Entry| entry.about.terms.as_ref().is_some_and(|t| t.asks_again);
        self.table().get(id).is_some_and(asks)
    }

    fn left_whole(&self) -> Vec<UploadId> {
        let ids: Vec<_> = self.table().iter().map(|(id, _)| *id).collect();
        // Whether it may still be stored, only a request can be asked.
        let whole = |id: &UploadId| self.is_left_whole(id) && !self.asks_again(id);
        ids.into_iter().filter(whole).collect()
    }

    /// Stores what is whole, as a request without bytes would.
    pub(super) async fn store_whole(self: Arc<Self>, id: UploadId) -> Result<(), Error> {
        let lock = self.lock(&id).await?;
        let Some(status) = self.look(&id).filter(|_| self.is_left_whole(&id)) else {
            return Ok(());
        };
        let append = Append::by_itself(&status, Body::new(http_body_util::Empty::new()));
        self.go_on(id, lock, append).await.map(drop)
    }
}

impl Append {
    /// What no client brings.
    pub(super) fn by_itself(status: &super::Status, body: Body) -> Self {
        let (head, ()) = Request::new(()).into_parts();
        Self::new(
            status.offset,
            body,
            status.remembered.address,
            Arc::new(head),
        )
    }
}

/// What a record is made of: the upload, how much is kept, its file, its fields.
type Told = (Upload, u64, Option<FileHead>, Vec<(String, String)>);

impl Turn {
    /// Nothing is stored of the upload any more. Gives what its record is to be told of; nothing for a part that is
    /// complete, whose record has ended already.
    fn end(&mut self) -> Option<Told> {
        let (id, mut told) = (self.id(), None);
        self.change(|entry| {
            let (head, ()) = Request::new(()).into_parts();
            let upload = entry.about.upload(id, Arc::new(head));
            let (kept, fields) = (entry.kept.offset(), entry.about.fields.clone());
            told =
                Some((upload, kept, entry.head.clone(), fields)).filter(|_| !entry.is_complete());
        });
        self.forget();
        told
    }
}
