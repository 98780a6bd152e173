//! What an upload knows of its body between two reads: fields, files, and what is under way, to and from a checkpoint.

use super::{Current, Received};
use crate::error::Error;
use crate::store::{Checkpoint, FilePoint, FormPoint, Opened};
use crate::upload::FileFacts;

impl Received {
    /// What there is besides files; nothing of a body that is one file, begun with the upload.
    pub(super) fn form_point(&self) -> Option<FormPoint> {
        let resumable = self.resumable();
        if resumable.is_plain {
            return None;
        }
        Some(FormPoint {
            fields: self.fields[resumable.about.fields.len()..].to_vec(),
            field_bytes: self.field_bytes as u64,
            files: self.begun as u64,
            open: self.current.opened(),
        })
    }

    /// Takes up what a checkpoint says.
    pub(super) fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<(), Error> {
        let file = checkpoint.take_open();
        let open = match checkpoint.form {
            Some(form) => self.restore_form(*form),
            None if file.is_none() => Opened::Skipped,
            None => Opened::File,
        };
        self.current = match open {
            Opened::Nothing => Current::Nothing,
            Opened::Skipped => Current::Skipped,
            Opened::Field { name, value } => Current::Field { name, value },
            Opened::Head(head) => Current::Head(head),
            Opened::File => {
                let point = file.ok_or_else(|| Error::NotResumable {
                    why: "its checkpoint does not speak of the file that is under way".into(),
                })?;
                self.restore_file(point, &checkpoint.handlers)?
            }
        };
        self.files = checkpoint
            .files
            .into_iter()
            .map(|point| point.facts)
            .collect();
        Ok(())
    }

    fn restore_form(&mut self, form: FormPoint) -> Opened {
        self.fields.extend(form.fields);
        self.field_bytes = usize::try_from(form.field_bytes).unwrap_or(usize::MAX);
        self.begun = usize::try_from(form.files).unwrap_or(usize::MAX);
        form.open
    }

    fn restore_file(&mut self, point: FilePoint, states: &[Vec<u8>]) -> Result<Current, Error> {
        let chain = &self.receiver.chain;
        let handlers = chain.restore(&self.upload, &point.facts.head(), states)?;
        self.handlers.push(handlers);
        Ok(Current::File(FileFacts {
            length: point.stored,
            ..point.facts
        }))
    }
}

impl Current {
    fn opened(&self) -> Opened {
        match self {
            Self::Nothing => Opened::Nothing,
            Self::Skipped => Opened::Skipped,
            Self::Field { name, value } => Opened::Field {
                name: name.clone(),
                value: value.clone(),
            },
            Self::Head(head) => Opened::Head(head.clone()),
            Self::File(_) => Opened::File,
        }
    }
}
