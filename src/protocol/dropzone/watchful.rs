//! A form parser that refuses what would be stored as one file for each chunk.

use bytes::Bytes;

use super::UUID;
use crate::error::Error;
use crate::protocol::multipart::Form;
use crate::receive::{Piece, Split};

/// The parser of a form that is no chunk.
pub(in crate::protocol) struct Watchful {
    form: Form,
    has_begun: bool,
}

impl Watchful {
    pub(in crate::protocol) fn new(form: Form) -> Self {
        Self {
            form,
            has_begun: false,
        }
    }

    fn check(&mut self, pieces: &[Piece]) -> Result<(), Error> {
        let Some(first) = pieces.first().filter(|_| !self.has_begun) else {
            return Ok(());
        };
        self.has_begun = true;
        match first {
            Piece::Field(name) if name == UUID => Err(Error::BadRequest {
                what: "Dropzone's chunks need its defaultHeaders and no X-Progress-ID, since dzuuid is theirs",
            }),
            _ => Ok(()),
        }
    }
}

impl Split for Watchful {
    fn split(&mut self, frame: Bytes, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        let known = pieces.len();
        self.form.split(frame, pieces)?;
        self.check(&pieces[known..])
    }

    fn finish(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        self.form.finish(pieces)
    }

    fn save(&self) -> Vec<u8> {
        self.form.save()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        self.form.restore(state)
    }
}
