//! A store that writes to one unnamed file and nothing else: valgrind knows too few system calls for the real one.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use dumbwaiter::name::OnConflict;
use dumbwaiter::store::{Checkpoint, Open, Placed, Reader, Session, Store};
use dumbwaiter::upload::{FileFacts, FileHead};
use dumbwaiter::{Error, UploadId};

pub(crate) struct Sink(File);

impl Sink {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempfile_in(folder)?))
    }
}

#[async_trait]
impl Store for Sink {
    async fn open(&self, _: &UploadId, _: Open) -> Result<Box<dyn Session>, Error> {
        Ok(Box::new(Self(self.0.try_clone().map_err(Error::store)?)))
    }

    async fn stored(&self, _: &UploadId) -> Result<Option<Vec<FileFacts>>, Error> {
        Ok(None)
    }

    async fn read(&self, _: &UploadId, _: usize) -> Result<Option<Box<dyn Reader>>, Error> {
        Ok(None)
    }

    async fn remove(&self, _: &UploadId) -> Result<bool, Error> {
        Ok(false)
    }

    fn resumes(&self) -> bool {
        true
    }
}

#[async_trait]
impl Session for Sink {
    fn resumed(&self) -> Option<&Checkpoint> {
        None
    }

    async fn begin_file(&mut self, _: &FileHead, _: Option<u64>) -> Result<(), Error> {
        Ok(())
    }

    async fn write(&mut self, frames: &mut Vec<Bytes>) -> Result<(), Error> {
        let mut slices: Vec<_> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let written = self.0.write_vectored(slices).map_err(Error::store)?;
            IoSlice::advance_slices(&mut slices, written);
        }
        frames.clear();
        Ok(())
    }

    async fn discard_file(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<u64, Error> {
        Ok(checkpoint.offset)
    }

    async fn commit(
        self: Box<Self>,
        files: Vec<Placed>,
        _: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        Ok(files.into_iter().map(|placed| placed.facts).collect())
    }

    async fn keep(&mut self, _: usize, file: Placed, _: OnConflict) -> Result<FileFacts, Error> {
        Ok(file.facts)
    }

    async fn abandon(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
