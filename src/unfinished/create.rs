//! An upload begins.

use std::sync::Arc;

use super::table::Entry;
use super::turn::Turn;
use super::{Shared, Status};
use crate::error::Error;
use crate::receive::Shape;
use crate::upload::{Concat, Remembered, Upload};

impl Shared {
    pub(super) async fn create(
        self: Arc<Self>,
        mut upload: Box<Upload>,
        mut about: Remembered,
        shape: Shape,
    ) -> Result<Status, Error> {
        settle(&mut upload, &mut about);
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
        let (id, mut head) = (upload.id, shape.head().cloned());
        if let (Some(head), Some(terms)) = (&mut head, &upload.terms) {
            head.name = terms.name.clone().or(head.name.take());
        }
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

/// What its terms say stands in place of what the client says. The types are those of whole files: a part has none.
fn settle(upload: &mut Upload, about: &mut Remembered) {
    let Some(terms) = &mut upload.terms else {
        return;
    };
    if about.concat == Some(Concat::Partial) {
        terms.types.clear();
    }
    terms.say(&mut about.fields);
    about.terms.clone_from(&upload.terms);
}
