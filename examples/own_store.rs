//! A store of one's own, around another one: every file that becomes visible gets a line in a catalogue.
//! `cargo run --example own_store`, then `curl -T notes.txt 127.0.0.1:7171/files/` and `cat catalogue.txt`;
//! `cargo run --example own_store -- check` tries whether it keeps all that a store promises.
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use dumbwaiter::name::OnConflict;
use dumbwaiter::store::{
    Checkpoint, Disk, Finished, HandOffs, Held, Open, Placed, Reader, Session, Space, Store,
    conformance,
};
use dumbwaiter::upload::{FileFacts, FileHead, OwnerKey, Remembered};
use dumbwaiter::{Dumbwaiter, Error, UploadId};

struct Catalogued<S> {
    store: S,
    catalogue: Arc<File>,
}

// The seam is `async_trait`'s; whoever implements it uses that too.
#[async_trait::async_trait]
impl<S: Store> Store for Catalogued<S> {
    async fn open(&self, id: &UploadId, how: Open) -> Result<Box<dyn Session>, Error> {
        let session = self.store.open(id, how).await?;
        let catalogue = Arc::clone(&self.catalogue);
        Ok(Box::new(Writing { session, catalogue }))
    }

    async fn stored(&self, id: &UploadId) -> Result<Option<Vec<FileFacts>>, Error> {
        self.store.stored(id).await
    }

    async fn read(&self, id: &UploadId, index: usize) -> Result<Option<Box<dyn Reader>>, Error> {
        self.store.read(id, index).await
    }

    // All but the last of the rest have defaults, which would hide what the store inside knows.
    async fn space(&self) -> Result<Option<Space>, Error> {
        self.store.space().await
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.store.held()
    }

    fn hand_offs(&self) -> Option<Arc<dyn HandOffs>> {
        self.store.hand_offs()
    }

    async fn list(&self, after: Option<&UploadId>, most: usize) -> Result<Vec<Finished>, Error> {
        self.store.list(after, most).await
    }

    fn resumes(&self) -> bool {
        self.store.resumes()
    }

    async fn unfinished(&self, id: &UploadId) -> Result<Option<Checkpoint>, Error> {
        self.store.unfinished(id).await
    }

    async fn list_unfinished(
        &self,
        after: Option<&UploadId>,
        most: usize,
    ) -> Result<Vec<(UploadId, Checkpoint)>, Error> {
        self.store.list_unfinished(after, most).await
    }

    async fn read_unfinished(
        &self,
        id: &UploadId,
        index: usize,
    ) -> Result<Option<Box<dyn Reader>>, Error> {
        self.store.read_unfinished(id, index).await
    }

    async fn remembered(&self, id: &UploadId) -> Result<Option<Remembered>, Error> {
        self.store.remembered(id).await
    }

    async fn remove(&self, id: &UploadId) -> Result<bool, Error> {
        self.store.remove(id).await
    }
}

struct Writing {
    session: Box<dyn Session>,
    catalogue: Arc<File>,
}

impl Writing {
    /// On a data thread, where writing may block. One write, so that two uploads never share a line. The file is stored
    /// already: a catalogue that lacks it must not make that an error.
    fn note(catalogue: &File, facts: &FileFacts) {
        let name = facts.name.as_deref().unwrap_or_default();
        let line = format!("{} bytes in {name}\n", facts.length);
        let mut catalogue = catalogue;
        if let Err(error) = catalogue.write_all(line.as_bytes()) {
            eprintln!("the catalogue lacks {name}: {error}");
        }
    }
}

#[async_trait::async_trait]
impl Session for Writing {
    fn resumed(&self) -> Option<&Checkpoint> {
        self.session.resumed()
    }

    fn belongs_to(&mut self, owner: OwnerKey) {
        self.session.belongs_to(owner);
    }

    async fn begin_file(&mut self, head: &FileHead, expect: Option<u64>) -> Result<(), Error> {
        self.session.begin_file(head, expect).await
    }

    async fn write(&mut self, frames: &mut Vec<Bytes>) -> Result<(), Error> {
        self.session.write(frames).await
    }

    async fn read_back(&mut self, offset: u64, max: usize) -> Result<Bytes, Error> {
        self.session.read_back(offset, max).await
    }

    async fn read_file(&mut self, index: usize, offset: u64, max: usize) -> Result<Bytes, Error> {
        self.session.read_file(index, offset, max).await
    }

    async fn discard_file(&mut self) -> Result<(), Error> {
        self.session.discard_file().await
    }

    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<u64, Error> {
        self.session.checkpoint(checkpoint).await
    }

    fn settled(&mut self, upload: &Remembered) {
        self.session.settled(upload);
    }

    fn due(&mut self, note: Vec<u8>) {
        self.session.due(note);
    }

    async fn commit(
        self: Box<Self>,
        files: Vec<Placed>,
        on_conflict: OnConflict,
    ) -> Result<Vec<FileFacts>, Error> {
        let stored = self.session.commit(files, on_conflict).await?;
        for facts in &stored {
            Self::note(&self.catalogue, facts);
        }
        Ok(stored)
    }

    async fn keep(
        &mut self,
        index: usize,
        file: Placed,
        on_conflict: OnConflict,
    ) -> Result<FileFacts, Error> {
        let stored = self.session.keep(index, file, on_conflict).await?;
        Self::note(&self.catalogue, &stored);
        Ok(stored)
    }

    async fn abandon(self: Box<Self>) -> Result<(), Error> {
        self.session.abandon().await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut open = OpenOptions::new();
    let catalogue = open.create(true).append(true).open("catalogue.txt")?;
    let store = Catalogued {
        store: Disk::open("uploads")?,
        catalogue: Arc::new(catalogue),
    };
    let address = std::env::args().nth(1);
    if address.as_deref() == Some("check") {
        conformance::all(&store).await;
        println!("it keeps every promise");
        return Ok(());
    }
    let lift = Dumbwaiter::new(store).into_service();
    let address = address.as_deref().unwrap_or("127.0.0.1:7171");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, axum::Router::new().fallback_service(lift)).await?)
}
