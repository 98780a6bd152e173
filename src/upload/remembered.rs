//! What of an upload outlives its requests.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Owner, ProgressId, Protocol, Terms, Upload, UploadId};

/// What is settled about an upload that can be resumed. It is kept with each of its checkpoints, and with its files once
/// it has come to its end, so that whoever asks for it then is told the same as before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Remembered {
    /// The way in.
    pub protocol: Protocol,
    /// To whom it belongs. Of an address, only that it was one is left at its end.
    pub owner: Owner,
    /// Where it came from when it was begun; 0.0.0.0 once it has come to its end.
    pub address: IpAddr,
    /// The client's name for it.
    pub progress_id: Option<ProgressId>,
    /// Body bytes in all; `None` until the client says it.
    pub length: Option<u64>,
    /// When it was begun.
    pub started_at: SystemTime,
    /// What the client said of it besides its files' names and types, as a form's fields do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// tus: `Upload-Metadata`, to the byte as the client gave it.
    pub metadata: Option<String>,
    /// tus: what it is to those with which it is put together.
    pub concat: Option<Concat>,
    /// Complete only when a request says that its last byte is the last one, even if all of its length is there: the one
    /// that came last said that more is to come, or none has said anything yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_word: bool,
    /// What all of its body bytes must add up to, where its client says so: a `Repr-Digest` (RFC 9530).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// On what terms it was let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Box<Terms>>,
}

/// What an upload is to those with which it is put together (tus 1.0, "Concatenation").
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Concat {
    /// A part of one to come. It is never visible by itself.
    Partial,
    /// It is put together of others.
    Final {
        /// The others, in their order; one may come twice.
        parts: Vec<UploadId>,
        /// `Upload-Concat`, to the byte as the client gave it.
        given: String,
    },
}

impl Remembered {
    /// What is remembered of `upload`: no metadata, and nothing to be put together with.
    #[must_use]
    pub fn of(upload: &Upload) -> Self {
        Self {
            protocol: upload.protocol,
            owner: upload.owner.clone(),
            address: upload.address,
            progress_id: upload.progress_id.clone(),
            length: upload.length,
            started_at: upload.started_at,
            fields: Vec::new(),
            metadata: None,
            concat: None,
            awaits_word: false,
            digest: None,
            terms: upload.terms.clone(),
        }
    }

    /// The same without addresses: what stays for as long as a file, maybe for years, holds none.
    #[must_use]
    pub(crate) fn without_addresses(self) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let owner = match self.owner {
            Owner::Address(_) => Owner::Address(nowhere),
            owner => owner,
        };
        Self {
            owner,
            address: nowhere,
            ..self
        }
    }

    /// The upload as a request with this head goes on with it.
    #[must_use]
    pub(crate) fn upload(&self, id: UploadId, head: Arc<http::request::Parts>) -> Upload {
        Upload {
            id,
            progress_id: self.progress_id.clone(),
            owner: self.owner.clone(),
            address: self.address,
            protocol: self.protocol,
            length: self.length,
            started_at: self.started_at,
            head,
            terms: self.terms.clone(),
        }
    }
}
