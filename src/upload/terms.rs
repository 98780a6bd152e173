//! What whoever let an upload in has settled about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// On what terms an upload was let in: the limits and the words of the app, or of its ticket.
///
/// They are settled when the upload begins and bind it to its end, whichever requests bring it, also after a restart.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Terms {
    /// The most bytes that its files may have, all of them together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// What its files are called, whatever the client says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The types that its files may be of, as [`TypePattern`](crate::handlers::TypePattern)s are written; none given, any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Fields that it has besides its client's, in place of those of the same name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// The app is asked again before its files are visible: nobody stores it without a request that may.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) asks_again: bool,
    /// The ticket that one upload alone may use.
    #[serde(skip)]
    pub(crate) once: Option<Once>,
}

impl Terms {
    /// Whether the field of that name is the app's to say.
    pub(crate) fn says(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }

    /// Puts its fields in place of those of the same name.
    pub(crate) fn say(&self, fields: &mut Vec<(String, String)>) {
        fields.retain(|(name, _)| !self.says(name));
        fields.splice(0..0, self.fields.iter().cloned());
    }
}

/// What can be used once.
#[derive(Clone, Default, Debug)]
pub(crate) struct Once(Arc<AtomicBool>);

impl Once {
    /// Whether this is the first time.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl PartialEq for Once {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Once {}
