//! What a stored file may be called.

/// A path below a store's root that is safe to make: one or more cleaned components.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SafePath(String);

impl SafePath {
    /// The path, components joined by `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What to do when the name is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnConflict {
    /// Find a free name near it.
    #[default]
    Rename,
    /// Put the new file in the old one's place.
    Replace,
    /// Refuse the upload.
    Reject,
}
