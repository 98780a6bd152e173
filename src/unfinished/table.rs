//! What is known of every unfinished upload, in memory. The store has the truth; this is what it says, in one place.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::Status;
use crate::admission::Place;
use crate::progress::Progress;
use crate::receive::{Kept, Received};
use crate::upload::{Concat, FileHead, Remembered, UploadId};

/// All of them, and those that stay open between two requests.
#[derive(Default, Debug)]
pub(super) struct Table {
    entries: HashMap<UploadId, Entry>,
    /// Those that are put together of others.
    finals: HashSet<UploadId>,
    /// The open ones, by how long they have waited.
    parked: BTreeMap<u64, UploadId>,
    most_parked: usize,
    /// Counted up with each writer and each parking.
    count: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) about: Remembered,
    /// Of an upload that is one file, once it has begun.
    pub(super) head: Option<FileHead>,
    pub(super) kept: Arc<Kept>,
    pub(super) progress: Option<Arc<Progress>>,
    /// With its writer while there is one.
    place: Option<Place>,
    parked: Option<(u64, Box<Received>)>,
    writer: Option<Writer>,
    /// All bytes are there, and the writer makes them visible: nothing can be taken from it any more.
    storing: bool,
    /// Somebody ends it: nobody who comes from now on finds it.
    ending: bool,
}

/// Who has the upload; a newer one makes an older one a stranger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Writer(u64);

/// What a writer takes with it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) writer: Writer,
    /// `None` when an older writer has not let go of it.
    pub(super) place: Option<Place>,
    pub(super) parked: Option<Box<Received>>,
}

impl Entry {
    pub(super) fn new(
        about: Remembered,
        head: Option<FileHead>,
        kept: Arc<Kept>,
        progress: Option<Arc<Progress>>,
    ) -> Self {
        Self {
            about,
            head,
            kept,
            progress,
            place: None,
            parked: None,
            writer: None,
            storing: false,
            ending: false,
        }
    }

    /// Whether all bytes of it are there.
    pub(super) fn is_whole(&self) -> bool {
        self.about.length == Some(self.kept.offset())
    }

    /// Whether it is a part that waits to be put together with others.
    pub(super) fn is_complete(&self) -> bool {
        self.about.concat == Some(Concat::Partial) && self.is_whole()
    }

    pub(super) fn has_writer(&self) -> bool {
        self.writer.is_some()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending
    }

    /// It is being ended, unless it is being stored: that cannot be stopped.
    pub(super) fn announce_end(&mut self) {
        self.ending = !self.storing;
    }

    /// It could not be ended.
    pub(super) fn goes_on(&mut self) {
        self.ending = false;
    }
}

impl Table {
    pub(super) fn new(most_parked: usize) -> Self {
        Self {
            most_parked,
            ..Self::default()
        }
    }

    pub(super) fn get(&self, id: &UploadId) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &UploadId) -> Option<&mut Entry> {
        self.entries.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&UploadId, &Entry)> {
        self.entries.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Lists an upload that is being begun.
    pub(super) fn begin(&mut self, id: UploadId, mut entry: Entry) -> Writer {
        let writer = self.next_writer();
        entry.writer = Some(writer);
        self.insert(id, entry);
        writer
    }

    /// Lists one that was there before.
    pub(super) fn restore(&mut self, id: UploadId, mut entry: Entry, place: Place) {
        entry.place = Some(place);
        self.insert(id, entry);
    }

    fn insert(&mut self, id: UploadId, entry: Entry) {
        if matches!(entry.about.concat, Some(Concat::Final { .. })) {
            self.finals.insert(id);
        }
        self.entries.insert(id, entry);
    }

    /// Gives the upload to a new writer, with the checkpoint that it starts from; what it cannot have, an older one has.
    /// `None` when there is none, or it is being stored.
    pub(super) fn take(&mut self, id: &UploadId) -> Option<Taken> {
        let writer = self.next_writer();
        let entry = self.entries.get_mut(id).filter(|entry| !entry.storing)?;
        entry.writer = Some(writer);
        let parked = entry.parked.take().map(|(since, received)| {
            self.parked.remove(&since);
            received
        });
        Some(Taken {
            writer,
            place: entry.place.take(),
            parked,
        })
    }

    /// What this writer has; `None` when a newer one has taken it.
    pub(super) fn of(&mut self, id: &UploadId, writer: Writer) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(id);
        entry.filter(|entry| entry.writer == Some(writer))
    }

    /// From now on nothing is taken from this writer; `false` when a newer one has taken it already.
    #[must_use]
    pub(super) fn begin_store(&mut self, id: &UploadId, writer: Writer) -> bool {
        let entry = self.of(id, writer);
        entry.map(|entry| entry.storing = true).is_some()
    }

    /// It could not be stored.
    pub(super) fn has_not_stored(&mut self, id: &UploadId, writer: Writer) {
        if let Some(entry) = self.of(id, writer) {
            entry.storing = false;
        }
    }

    pub(super) fn is_storing(&self, id: &UploadId) -> bool {
        self.get(id).is_some_and(|entry| entry.storing)
    }

    /// The writer lets go. What comes back is to be dropped, which takes a disk.
    #[must_use]
    pub(super) fn let_go(
        &mut self,
        id: &UploadId,
        writer: Writer,
        place: Option<Place>,
        open: Option<Box<Received>>,
    ) -> Option<Box<Received>> {
        let Some(entry) = self.of(id, writer) else {
            return open;
        };
        entry.writer = None;
        entry.storing = false;
        entry.place = place;
        self.park(*id, open?)
    }

    fn park(&mut self, id: UploadId, open: Box<Received>) -> Option<Box<Received>> {
        if self.most_parked == 0 {
            return Some(open);
        }
        let full = self.parked.len() >= self.most_parked;
        let oldest = full.then(|| self.parked.pop_first()).flatten();
        let oldest = oldest.and_then(|(_, oldest)| self.entries.get_mut(&oldest));
        let gone = oldest.and_then(|entry| entry.parked.take());
        self.count += 1;
        self.parked.insert(self.count, id);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.parked = Some((self.count, open));
        }
        gone.map(|(_, open)| open)
    }

    /// Forgets an upload that has come to its end with this writer.
    pub(super) fn forget(&mut self, id: &UploadId, writer: Writer) -> Option<Entry> {
        self.of(id, writer)?;
        self.finals.remove(id);
        self.entries.remove(id)
    }

    /// The uploads of which `id` is put together, when all of them are there, and how many bytes they have; nothing
    /// unless it waits for them.
    pub(super) fn parts_of(&self, id: &UploadId) -> Option<(Vec<UploadId>, u64)> {
        let entry = self.get(id).filter(|entry| !entry.has_writer())?;
        let Some(Concat::Final { parts, .. }) = &entry.about.concat else {
            return None;
        };
        let lengths = parts.iter().map(|part| {
            let part = self.get(part).filter(|part| part.is_complete())?;
            Some(part.kept.offset())
        });
        Some((parts.clone(), lengths.sum::<Option<u64>>()?))
    }

    /// Those that can be put together now.
    pub(super) fn ready(&self) -> Vec<UploadId> {
        let ready = |id: &&UploadId| self.parts_of(id).is_some();
        self.finals.iter().filter(ready).copied().collect()
    }

    /// Those of them of which `part` is one. Of all that wait for others nothing is looked up.
    pub(super) fn ready_with(&self, part: &UploadId) -> Vec<UploadId> {
        let with = self.finals.iter().filter(|id| self.waits_for(id, part));
        let ready = |id: &&UploadId| self.parts_of(id).is_some();
        with.filter(ready).copied().collect()
    }

    /// Whether others wait for it, to be put together of it.
    pub(super) fn is_needed(&self, part: &UploadId) -> bool {
        self.finals.iter().any(|id| self.waits_for(id, part))
    }

    fn waits_for(&self, id: &UploadId, part: &UploadId) -> bool {
        self.parts(id).contains(part)
    }

    /// Of what an upload is put together, if it is.
    fn parts(&self, id: &UploadId) -> &[UploadId] {
        match self.get(id).map(|entry| &entry.about.concat) {
            Some(Some(Concat::Final { parts, .. })) => parts,
            _ => &[],
        }
    }

    /// Whether it waits for a part that is not there any more.
    pub(super) fn is_forlorn(&self, id: &UploadId) -> bool {
        let lacks = |part: &UploadId| !self.entries.contains_key(part);
        self.rests(id) && self.parts(id).iter().any(lacks)
    }

    /// All of which that is so.
    pub(super) fn forlorn(&self) -> Vec<UploadId> {
        let forlorn = |id: &&UploadId| self.is_forlorn(id);
        self.finals.iter().filter(forlorn).copied().collect()
    }

    /// Those that wait for `part`, perhaps among others.
    pub(super) fn waiting_for(&self, part: &UploadId) -> Vec<UploadId> {
        let waits = |id: &&UploadId| self.rests(id) && self.waits_for(id, part);
        self.finals.iter().filter(waits).copied().collect()
    }

    fn rests(&self, id: &UploadId) -> bool {
        self.get(id).is_some_and(|entry| !entry.has_writer())
    }

    /// Which uploads others wait for, to be put together of them.
    pub(super) fn needed(&self) -> HashSet<UploadId> {
        let parts = self.finals.iter().flat_map(|id| self.parts(id));
        parts.copied().collect()
    }

    fn next_writer(&mut self) -> Writer {
        self.count += 1;
        Writer(self.count)
    }

    /// An upload as its client may know it.
    pub(super) fn status(
        &self,
        id: &UploadId,
        expire_after: Option<std::time::Duration>,
    ) -> Option<Status> {
        let entry = self.get(id)?;
        Some(Status {
            id: *id,
            offset: entry.kept.offset(),
            length: entry.about.length,
            complete: entry.is_complete(),
            remembered: entry.about.clone(),
            expires_at: expire_after.map(|time| entry.kept.at() + time),
        })
    }
}
