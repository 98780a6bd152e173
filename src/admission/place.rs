//! What one upload holds while it runs.

use std::sync::Arc;

use super::Shared;
use super::slots::{Running, Unfinished};
use crate::error::Error;
use crate::store::{Count, Share};
use crate::upload::Upload;

/// An upload's place. It moves along with the upload; dropping it gives back everything but what [`Place::keep`] said
/// is there to stay.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    _running: Running,
    /// Apart from the running, since an upload that waits to be resumed is unfinished too.
    _unfinished: Unfinished,
    share: Share,
    /// Body bytes so far.
    received: u64,
    /// Up to here nothing needs to be looked at.
    until: u64,
    /// What of it counts in all, and with the owner.
    in_all: u64,
    with_owner: u64,
}

impl Place {
    pub(super) fn new(
        shared: &Arc<Shared>,
        running: Running,
        unfinished: Unfinished,
        upload: &Upload,
    ) -> Result<Self, Error> {
        let mut place = Self {
            share: shared.held.share(upload.owner.key()),
            shared: Arc::clone(shared),
            _running: running,
            _unfinished: unfinished,
            received: 0,
            until: 0,
            in_all: 0,
            with_owner: 0,
        };
        // Of unknown length is at least one byte.
        let declared = upload.length.unwrap_or(1);
        // Not even alone it would fit; what others have only declared does not matter.
        let there = shared.held.bytes();
        match shared.options.store_bytes {
            Some(most) if there.saturating_add(declared) > most => {
                return shared.refuse(Error::StoreLimit);
            }
            _ => {}
        }
        place.count_with_owner(declared)?;
        place.until = place.next_look();
        Ok(place)
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
        options.check_size(self.received)?;
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
        let most = options.most_bytes();
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

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.held.total().sub(self.in_all);
        self.share.count().sub(self.with_owner);
    }
}
