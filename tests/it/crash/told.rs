//! What clients were told, and must find again.

use std::net::SocketAddr;

use super::content::{files, is_part};
use crate::support::pieces::Pieces;
use crate::support::tus::Tus;

/// All that the clients of one folder were told.
#[derive(Clone, Default, Debug)]
pub(super) struct Told {
    /// Uploads whose last answer came.
    pub(super) stored: Vec<Stored>,
    /// Uploads by tus that have been created and not been finished, as far as their client knows.
    pub(super) open: Vec<Open>,
    /// Uploads in pieces by any other way that have been created and not been finished, as far as their client knows.
    pub(super) pieces: Vec<Pieces>,
    /// Complete parts of other uploads; they stay until somebody deletes them.
    pub(super) parts: Vec<Open>,
    /// Paths of uploads that were ended by their client.
    pub(super) gone: Vec<String>,
}

/// A finished upload: the names of its files and where each is to be had.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) files: Vec<(String, String)>,
}

/// An upload under way.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) name: String,
    pub(super) tus: Tus,
    /// The server to which a request was cut that may still be on its way.
    pub(super) cut_at: Option<SocketAddr>,
}

impl Open {
    pub(super) fn new(name: String, tus: Tus) -> Self {
        Self {
            name,
            tus,
            cut_at: None,
        }
    }
}

impl Told {
    pub(super) fn store(&mut self, names: &[String], urls: Vec<String>) {
        assert_eq!(names.len(), urls.len());
        let files = names.iter().cloned().zip(urls).collect();
        self.stored.push(Stored { files });
    }

    /// An upload by tus has been finished.
    pub(super) fn close(&mut self, index: usize) {
        let open = self.open.swap_remove(index);
        match is_part(&open.name) {
            true => self.parts.push(open),
            false => self.store(&[open.name], vec![open.tus.url]),
        }
    }

    /// An upload in pieces has been finished.
    pub(super) fn close_pieces(&mut self, index: usize) {
        let pieces = self.pieces.swap_remove(index);
        let files = files(&pieces.name);
        self.store(&files, pieces.urls(files.len()));
    }

    /// A watcher has seen an offset.
    pub(super) fn saw(&mut self, id: &str, offset: u64) {
        if let Some(pieces) = self.pieces.iter_mut().find(|pieces| pieces.id() == id) {
            pieces.told = pieces.told.max(offset);
        }
        if let Some(open) = self.open.iter_mut().find(|open| open.tus.id() == id) {
            open.tus.told = open.tus.told.max(offset);
        }
    }
}
