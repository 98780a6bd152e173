//! An upload begins.

use std::sync::Arc;

use super::table::Entry;
use super::turn::Turn;
use super::{Shared, Status};
use crate::error::Error;
use crate::receive::Shape;
use crate::upload::{Remembered, Upload};

impl Shared {
    pub(super) async fn create(
        self: Arc<Self>,
        upload: Box<Upload>,
        about: Remembered,
        shape: Shape,
    ) -> Result<Status, Error> {
        let tap = self.tracker.begin(&upload);
        let place = match self.admission.begin(&upload, None).await {
            Ok(place) => place,
            Err(error) => {
                tap.fail(&error);
                return Err(error);
            }
        };
        for (name, value) in &about.fields {
            tap.field(name, value);
        }
        let (id, head) = (upload.id, shape.head().cloned());
        let lock = self.lock(&id).await?;
        let mut received =
            self.receiver_for(&about)
                .begin_resumable(upload, about.clone(), shape, self.window());
        let kept = Arc::clone(received.kept());
        let entry = Entry::new(about, head, kept, Some(Arc::clone(tap.progress())));
        let writer = self.table().begin(id, entry);
        received.begins(tap, place);
        let turn = Turn::new(self, id, lock, writer);
        match received.open().await {
            Ok(()) => turn.close(received, Ok(())).await,
            Err(error) => turn.fail(received, error).await,
        }
    }
}
