//! What the model knows of one upload, and what it expects.

use tokio::task::JoinHandle;

use super::super::rig::Line;
use crate::error::Error;
use crate::unfinished::Status;
use crate::upload::UploadId;

pub(super) struct Known {
    pub(super) id: UploadId,
    pub(super) length: Option<u64>,
    /// Whether it waits for a word that it is complete.
    pub(super) awaits: bool,
    /// What has been sent of it, as far as it stands.
    pub(super) sent: Vec<u8>,
    /// How much of it somebody has been told is there.
    pub(super) told: u64,
    pub(super) open: Option<Open>,
    pub(super) end: Option<End>,
}

/// A request under way.
pub(super) struct Open {
    pub(super) line: Line,
    pub(super) answer: JoinHandle<Result<Status, Error>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Done,
    Gone,
}

impl Known {
    pub(super) fn stands(&self) -> u64 {
        self.sent.len() as u64
    }

    pub(super) fn is_whole(&self) -> bool {
        self.length == Some(self.stands()) && !self.awaits
    }

    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// With which error a request is refused before its body, by what its head says.
    pub(super) fn refusal(
        &self,
        offset: u64,
        declared: u64,
        says: Option<u64>,
    ) -> Option<&'static str> {
        if self.end == Some(End::Gone) {
            return Some("not_found");
        }
        if offset != self.stands() {
            return Some("offset_mismatch");
        }
        match (self.length, says) {
            (Some(length), Some(says)) if length != says => return Some("length_mismatch"),
            (None, Some(says)) if says < offset => return Some("bad_request"),
            _ => {}
        }
        let length = self.length.or(says);
        let too_long = length.is_some_and(|length| offset + declared > length);
        too_long.then_some("length_mismatch")
    }

    /// A client is told that the upload stands at `offset`.
    pub(super) fn tell(&mut self, offset: u64) {
        assert!(
            (self.told..=self.stands()).contains(&offset),
            "told {offset}, of {} sent and {} told before",
            self.stands(),
            self.told
        );
        self.told = offset;
    }

    /// After a request of which all was taken.
    pub(super) fn took(&mut self, status: &Status) {
        assert_eq!(status.offset, self.stands());
        assert_eq!(status.length, self.length);
        assert_eq!(status.complete, self.is_whole());
        self.tell(status.offset);
        if status.complete {
            self.end = Some(End::Done);
        }
    }
}
