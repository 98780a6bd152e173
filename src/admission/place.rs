//! What one upload holds as long as it is unfinished.

use std::sync::Arc;

use super::Shared;
use super::slots::{Running, Unfinished};
use crate::error::Error;
use crate::store::{Count, Share};
use crate::upload::OwnerKey;

/// An upload's place. It moves along with the upload; dropping it gives back everything but what [`Place::keep`] said
/// is there to stay.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    /// `None` while the upload waits to be resumed.
    running: Option<Running>,
    /// Apart from the running, since an upload that waits to be resumed is unfinished too.
    _unfinished: Unfinished,
    share: Share,
    /// Body bytes of the whole upload, where the client has said how many there are.
    length: Option<u64>,
    /// Body bytes so far.
    received: u64,
    /// How many there were when the request at hand began.
    before: u64,
    /// They come from uploads that are here, with no request.
    from_within: bool,
    /// Up to here nothing needs to be looked at.
    until: u64,
    /// What of it counts in all, and with the owner.
    in_all: u64,
    with_owner: u64,
}

impl Place {
    /// The place of an upload that does not run, and that counts nothing so far.
    pub(super) fn resting(shared: &Arc<Shared>, unfinished: Unfinished, owner: OwnerKey) -> Self {
        Self {
            share: shared.held.share(owner),
            shared: Arc::clone(shared),
            running: None,
            _unfinished: unfinished,
            length: None,
            received: 0,
            before: 0,
            from_within: false,
            until: 0,
            in_all: 0,
            with_owner: 0,
        }
    }

    /// Has the upload run, for one request, if there is room for what is still to come. If not, nothing has changed.
    /// `running` is `None` when it does already.
    pub(super) fn run(
        &mut self,
        running: Option<Running>,
        length: Option<u64>,
    ) -> Result<(), Error> {
        // Of unknown length is at least one byte.
        let all = length.unwrap_or(1).max(self.received);
        // Not even alone it would fit; what others have only declared does not matter.
        let there = self.shared.held.bytes();
        match self.shared.options.store_bytes {
            Some(most) if there.saturating_add(all - self.received) > most => {
                return self.shared.refuse(Error::StoreLimit);
            }
            _ => {}
        }
        self.count_with_owner(all)?;
        self.length = length;
        self.running = running.or(self.running.take());
        self.before = self.received;
        self.until = self.next_look();
        Ok(())
    }

    /// Says how long the upload will be, without asking whether there is room: it has been asked before.
    pub(super) fn declare(&mut self, length: Option<u64>) {
        self.length = length;
    }

    /// Says that the bytes to come are taken from other uploads: no bound of requests is theirs.
    pub(crate) fn comes_from_within(&mut self) {
        self.from_within = true;
        self.until = self.next_look();
    }

    /// How much of it has come with the request at hand.
    fn of_request(&self) -> u64 {
        match self.from_within {
            true => 0,
            false => self.received - self.before,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Body bytes so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Says that the upload goes on from `offset`: what came behind is gone, or was never more than that.
    pub fn restart_at(&mut self, offset: u64) {
        let Shared { options, held, .. } = &*self.shared;
        self.received = offset;
        self.before = self.before.min(offset);
        if options.store_bytes.is_some() {
            change(held.total(), &mut self.in_all, offset);
        }
        if options.owner_bytes.is_some() {
            let declared = self.length.unwrap_or(1);
            change(
                self.share.count(),
                &mut self.with_owner,
                declared.max(offset),
            );
        }
        self.until = self.next_look();
    }

    /// Says that nobody sends any more of the upload for now, and that `offset` bytes of it are stored: it runs no more,
    /// and goes on counting as unfinished.
    pub fn rest(&mut self, offset: u64) {
        self.restart_at(offset);
        self.running = None;
    }

    /// Counts body bytes that have come. Called for every write: one comparison and one relaxed load, unless
    /// something limits what has come.
    ///
    /// # Errors
    /// [`Error::UploadTooLarge`], [`Error::RequestTooLarge`], [`Error::DiskFull`], [`Error::StoreLimit`],
    /// [`Error::OwnerLimit`].
    pub fn take(&mut self, bytes: u64) -> Result<(), Error> {
        self.received += bytes;
        match self.received > self.until || self.shared.room.is_low() {
            true => self.look(),
            false => Ok(()),
        }
    }

    /// Says that `bytes` of the upload are stored for good; the others go on counting as under way.
    pub fn keep(&mut self, bytes: u64) {
        settle(self.shared.held.total(), &mut self.in_all, bytes);
        settle(self.share.count(), &mut self.with_owner, bytes);
    }

    #[cold]
    fn look(&mut self) -> Result<(), Error> {
        let Shared { options, room, .. } = &*self.shared;
        options.check_sizes(self.received, self.of_request())?;
        if room.sheds() {
            return Err(Error::DiskFull);
        }
        self.count_in_all()?;
        self.count_with_owner(self.received)?;
        self.until = self.next_look();
        Ok(())
    }

    fn count_in_all(&mut self) -> Result<(), Error> {
        let Some(most) = self.shared.options.store_bytes else {
            return Ok(());
        };
        let more = self.received - self.in_all;
        if !self.shared.held.total().add_within(more, most) {
            return self.shared.refuse(Error::StoreLimit);
        }
        self.in_all = self.received;
        Ok(())
    }

    fn count_with_owner(&mut self, bytes: u64) -> Result<(), Error> {
        let Some(most) = self.shared.options.owner_bytes else {
            return Ok(());
        };
        let more = bytes.saturating_sub(self.with_owner);
        if !self.share.count().add_within(more, most) {
            return self.shared.refuse(Error::OwnerLimit);
        }
        self.with_owner += more;
        Ok(())
    }

    fn next_look(&self) -> u64 {
        let options = &self.shared.options;
        let before = (!self.from_within).then_some(self.before);
        let most = options.most_bytes(before);
        match (options.store_bytes, options.owner_bytes) {
            (Some(_), _) => self.received,
            (None, Some(_)) => self.with_owner.max(self.received).min(most),
            (None, None) => most,
        }
    }
}

/// Of the bytes that are counted as under way, `stays` stay.
fn settle(count: &Count, under_way: &mut u64, stays: u64) {
    let counted = stays.min(*under_way);
    *under_way -= counted;
    count.add(stays - counted);
}

/// What counts of one upload is `to` from now on.
fn change(count: &Count, counted: &mut u64, to: u64) {
    count.sub(counted.saturating_sub(to));
    count.add(to.saturating_sub(*counted));
    *counted = to;
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.held.total().sub(self.in_all);
        self.share.count().sub(self.with_owner);
    }
}
