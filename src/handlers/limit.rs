//! The most bytes that one file may have.
//!
//! A raw body that declares more is refused before its first byte, all else at the first byte too many:
//!
//! ```text
//! PUT, Content-Length 12,000,000  ─► new_file: 413           nothing was read
//! form, or length unknown         ─► chunk … chunk: 413      at byte 10,000,001
//! ```
//!
//! In a form the body is longer than its files, so there only counting decides.

use bytes::Bytes;

use crate::error::{Error, Refusal};
use crate::handlers::{Resume, Stop, Taken, UploadHandler};
use crate::sizes::limit_in_words;
use crate::upload::{FileHead, Protocol, Upload};

/// Refuses an upload with `file_too_large`, 413, when one of its files is longer than the limit.
#[derive(Clone, Debug)]
pub struct Limit {
    most: u64,
    seen: u64,
}

impl Limit {
    /// A handler that takes files of at most `most` bytes.
    #[must_use]
    pub fn bytes(most: u64) -> Self {
        Self { most, seen: 0 }
    }

    fn check(&self, length: u64) -> Result<(), Stop> {
        match length > self.most {
            true => Err(Stop::Refuse(too_large(self.most))),
            false => Ok(()),
        }
    }
}

/// The refusal of a file that has more bytes than that.
pub(crate) fn too_large(most: u64) -> Refusal {
    Refusal {
        code: "file_too_large",
        status: 413,
        message: format!(
            "the file is larger than the {} taken here",
            limit_in_words(most)
        ),
    }
}

impl UploadHandler for Limit {
    fn takes(&self, files: &mut Taken) {
        files.bytes = Some(files.bytes.map_or(self.most, |most| most.min(self.most)));
    }

    fn new_file(&mut self, upload: &Upload, _: &FileHead) -> Result<(), Stop> {
        match (upload.protocol, upload.length) {
            // What a form declares is more than its files.
            (Protocol::Form | Protocol::FilePond, _) | (_, None) => Ok(()),
            (_, Some(length)) => self.check(length),
        }
    }

    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        self.seen += chunk.len() as u64;
        self.check(self.seen)?;
        Ok(chunk)
    }

    fn resume(&self) -> Resume {
        Resume::Saved(self.seen.to_be_bytes().to_vec())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        let seen = state
            .try_into()
            .map_err(|_| Error::store("not a saved byte count"))?;
        self.seen = u64::from_be_bytes(seen);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{Chain, FileHandlers};
    use crate::upload::Owner;

    fn begin(limit: u64, protocol: Protocol, length: Option<u64>) -> Result<FileHandlers, Stop> {
        let mut chain = Chain::default();
        chain.push(move || Limit::bytes(limit));
        let mut upload = Upload::new(protocol, Owner::from_address([127, 0, 0, 1].into()));
        upload.length = length;
        let (handlers, begun) = chain.begin(&upload, &FileHead::default());
        begun.map(|()| handlers)
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Stop>) -> Refusal {
        match result.unwrap_err() {
            Stop::Refuse(refusal) => refusal,
            Stop::SkipFile => panic!("refused, not skipped"),
        }
    }

    #[test]
    fn a_file_of_the_limit_passes_and_one_byte_more_is_refused() {
        let mut handlers = begin(5, Protocol::Form, Some(500)).unwrap();
        assert_eq!(handlers.chunk(Bytes::from("abc")).unwrap(), "abc");
        assert_eq!(handlers.chunk(Bytes::from("de")).unwrap(), "de");
        let refusal = refusal(handlers.chunk(Bytes::from("f")));
        assert_eq!((refusal.code, refusal.status), ("file_too_large", 413));
        assert_eq!(
            refusal.message,
            "the file is larger than the 5 bytes taken here"
        );
    }

    #[test]
    fn a_raw_body_that_declares_too_much_is_refused_before_its_first_byte() {
        assert!(begin(5, Protocol::Put, Some(5)).is_ok());
        assert!(begin(5, Protocol::Put, None).is_ok());
        let refusal = refusal(begin(10_000_000, Protocol::Put, Some(10_000_001)));
        assert_eq!(
            refusal.message,
            "the file is larger than the 10 MB taken here"
        );
    }

    #[test]
    fn the_smallest_of_several_limits_is_told_beforehand() {
        let mut chain = Chain::default();
        assert_eq!(chain.takes(), Taken::default());
        for most in [7, 5, 9] {
            chain.push(move || Limit::bytes(most));
        }
        assert_eq!(chain.takes().bytes, Some(5));
    }

    #[test]
    fn the_count_goes_on_after_an_interruption() {
        let mut before = begin(5, Protocol::Form, None).unwrap();
        before.chunk(Bytes::from("abcd")).unwrap();
        let [Resume::Saved(state)] = &before.resume()[..] else {
            panic!("a count is saved");
        };
        let mut after = begin(5, Protocol::Form, None).unwrap();
        after.handlers[0].restore(state).unwrap();
        assert!(after.chunk(Bytes::from("e")).is_ok());
        assert!(after.chunk(Bytes::from("f")).is_err());
        assert!(Limit::bytes(5).restore(b"four").is_err());
    }
}
