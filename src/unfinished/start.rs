//! What the store has from before: taken up at start, and swept from then on.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::Request;
use tokio::sync::Notify;

use super::table::{Entry, Table};
use super::{ResumeOptions, Shared, Unfinished};
use crate::admission::Admission;
use crate::error::Error;
use crate::lock::Locks;
use crate::progress::{Files, Tracker};
use crate::receive::{Kept, Naming, Receiver};
use crate::store::Checkpoint;
use crate::threads::DataThreads;
use crate::upload::{Concat, FileHead, Upload, UploadId};

/// How many are read from the store at once; each may have as many fields as a form may have.
const AT_ONCE: usize = 100;
/// The longest time between two sweeps; a tenth of the time for which uploads are kept if that is shorter.
const ROUND: Duration = Duration::from_secs(60);
/// The shortest.
const REST: Duration = Duration::from_millis(100);

impl Unfinished {
    /// Takes up what the store has, before anybody is served.
    pub(crate) fn start(
        options: ResumeOptions,
        receiver: Receiver,
        naming: Naming,
        admission: Admission,
        tracker: Tracker,
        data: DataThreads,
    ) -> Self {
        let shared = Arc::new(Shared {
            table: Mutex::new(Table::new(options.max_parked)),
            options,
            receiver,
            naming,
            admission,
            tracker,
            data,
            locks: Locks::default(),
            let_go: Notify::new(),
        });
        if shared.receiver.store.resumes() {
            shared.load();
            shared.data.spawn(keep_sweeping(Arc::downgrade(&shared)));
        }
        Self { shared }
    }
}

impl Shared {
    /// Reads the store's list on a data thread, and waits for it.
    fn load(self: &Arc<Self>) {
        let (told, tell) = sync_channel(1);
        let this = Arc::clone(self);
        self.data.spawn(async move {
            if let Err(error) = this.take_all_up().await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(
                    cause,
                    "cannot read what was left unfinished: it cannot be resumed"
                );
            }
            let _ = told.send(());
        });
        // An error means that it has panicked, which has been reported.
        let _ = tell.recv();
    }

    async fn take_all_up(&self) -> Result<(), Error> {
        let mut last = None;
        loop {
            let listed = self
                .receiver
                .store
                .list_unfinished(last.as_ref(), AT_ONCE)
                .await?;
            let Some((id, _)) = listed.last() else {
                return Ok(());
            };
            last = Some(*id);
            for (id, checkpoint) in listed {
                self.take_up(id, checkpoint);
            }
        }
    }

    fn take_up(&self, id: UploadId, mut checkpoint: Checkpoint) {
        let Some(about) = checkpoint.upload.take() else {
            tracing::warn!(
                upload = id.short(),
                "a checkpoint does not say of what it is: it stays unused"
            );
            return;
        };
        let kept = Kept::new(checkpoint.offset, checkpoint.at);
        let (request, ()) = Request::new(()).into_parts();
        let upload = about.upload(id, Arc::new(request));
        let place = self.admission.restore(&upload, kept.offset());
        let is_form = checkpoint.form.is_some();
        let head = checkpoint.take_open().map(|file| file.facts.head());
        let complete = about.concat == Some(Concat::Partial) && about.length == Some(kept.offset());
        if !complete {
            self.revive(&upload, checkpoint, head.as_ref(), &about.fields);
        }
        let (progress, head) = (self.tracker.by_id(&id), head.filter(|_| !is_form));
        let entry = Entry::new(about, head, Arc::new(kept), progress);
        self.table().restore(id, entry, place);
    }

    /// Lists its record, as far as the checkpoint knows it.
    fn revive(
        &self,
        upload: &Upload,
        checkpoint: Checkpoint,
        open: Option<&FileHead>,
        given: &[(String, String)],
    ) {
        let complete: Vec<_> = checkpoint
            .files
            .into_iter()
            .map(|file| file.facts)
            .collect();
        let mut fields = given.to_vec();
        fields.extend(checkpoint.form.unwrap_or_default().fields);
        let files = Files {
            complete: &complete,
            open,
        };
        let offset = checkpoint.offset;
        self.tracker.revive(upload, offset, files, &fields);
    }

    fn round(&self) -> Duration {
        let tenth = self
            .options
            .expire_after
            .map(|time| (time / 10).clamp(REST, ROUND));
        tenth.unwrap_or(ROUND)
    }
}

/// Goes on as long as somebody else has the uploads.
async fn keep_sweeping(shared: Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        shared.sweep().await;
        let round = shared.round();
        drop(shared);
        tokio::time::sleep(round).await;
    }
}
