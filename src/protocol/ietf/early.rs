//! 104 (Upload Resumption Supported): what is told of an upload while its bytes come.
//!
//! Only a client that says which draft it was written against gets any, and only where nothing seems to stand between:
//! nginx 1.22 takes a 104 from behind it for the answer.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::version::{INTEROP, Version};
use super::{Asked, field, told};
use crate::interim::Interim;
use crate::problem::UPLOAD_LIMIT;
use crate::receive::OnKept;

/// The means to tell a client before its answer.
#[derive(Clone, Debug)]
pub(super) struct Early {
    interim: Interim,
    number: u8,
    progress: bool,
}

impl Early {
    /// `None` where the client must not be told, or cannot be.
    pub(super) fn of(asked: &Asked) -> Option<Self> {
        let version = Version::of(&asked.head.headers);
        let interim = asked.head.extensions.get::<Interim>();
        let number = version.number.filter(|_| asked.client.is_straight())?;
        Some(Self {
            interim: interim?.clone(),
            number,
            progress: version.progress,
        })
    }

    /// An upload has begun: where it is, and what bounds it.
    pub(super) fn begun(&self, location: &str, limit: HeaderValue) {
        let mut fields = HeaderMap::new();
        told::set(&mut fields, header::LOCATION, location);
        fields.insert(UPLOAD_LIMIT, limit);
        self.send(fields);
    }

    /// Tells how far it is, each time that more of it is kept.
    pub(super) fn on_kept(self) -> Option<OnKept> {
        if !self.progress {
            return None;
        }
        Some(Box::new(move |offset| {
            let mut fields = HeaderMap::new();
            told::set(&mut fields, field::OFFSET, offset);
            self.send(fields);
        }))
    }

    fn send(&self, mut fields: HeaderMap) {
        told::set(&mut fields, INTEROP, self.number);
        let status = StatusCode::from_u16(104).expect("three digits are a status");
        self.interim.send(status, fields);
    }
}
