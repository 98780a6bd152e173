//! Interim answers: what a server says of a request before its answer (RFC 9110, 15.2).

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

/// Sends interim answers ahead of the answer to one request.
///
/// A host whose connections can do that puts one into the request's extensions; without it none is sent. hyper's own
/// server cannot: it sends `100 Continue` alone.
#[derive(Clone)]
pub struct Interim(Arc<dyn Fn(StatusCode, HeaderMap) + Send + Sync>);

impl Interim {
    /// Gives each interim answer, a status of 102–199 with its fields, to `send`, which must not block. One that cannot be
    /// sent any more is dropped there.
    pub fn new(send: impl Fn(StatusCode, HeaderMap) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    /// Sends one, if that can still be done.
    pub fn send(&self, status: StatusCode, fields: HeaderMap) {
        (self.0)(status, fields);
    }
}

impl fmt::Debug for Interim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interim").finish_non_exhaustive()
    }
}
