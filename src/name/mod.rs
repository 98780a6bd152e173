//! What a stored file may be called: a [`Template`] makes a name from what the client said, and whatever the client
//! said, the name is a [`SafePath`], which stays below the store's folder.
//!
//! ```
//! # use dumbwaiter::{UploadId, name::{Template, Values}};
//! # let id = UploadId::random();
//! let template = Template::parse("dishes/{date}/{filename|id}")?;
//! let path = template.render(&Values {
//!     filename: Some(r"C:\Users\me\paella.jpg"),
//!     ..Values::new(&id, std::time::UNIX_EPOCH)
//! })?;
//! assert_eq!(path.as_str(), "dishes/1970-01-01/paella.jpg");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Cleaning rather than refusing, because the person with the phone did not choose the name `IMG:0001?.jpg` for us; and
//! cleaning here rather than in a store, so that every store takes the same names.

mod clean;
mod placeholder;
mod template;

use std::fmt;

use crate::error::Error;

pub use placeholder::Values;
pub use template::{Template, TemplateError};

/// A path below a store's root that is safe to make: one or more cleaned components.
///
/// No component is empty, longer than [`SafePath::MAX_COMPONENT`] bytes, begins with a dot or holds a separator, a
/// control or a bidi character; none is a name that Windows reserves, since folders are shared. So nothing hides,
/// nothing climbs out, and the store's own folder `.dumbwaiter` cannot be named.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SafePath(String);

impl SafePath {
    /// The most bytes in one component (`NAME_MAX` of Linux file systems).
    pub const MAX_COMPONENT: usize = 255;

    /// The most components in a path that an app has made. Each folder that has to be made takes a descriptor for a while and
    /// a sync, and the text may be a client's.
    pub const MAX_COMPONENTS: usize = 64;

    /// Takes a path that the app has made: components joined by `/`, below the store's folder. It is checked, not cleaned:
    /// whoever builds it from a client's text learns that this is no name, instead of storing under another one.
    ///
    /// # Errors
    /// [`Error::UnusableName`] says which component cannot be one, and why: an absolute path, `..`, a name that begins with
    /// a dot, a character that no name may hold, more than [`SafePath::MAX_COMPONENTS`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.split('/').nth(Self::MAX_COMPONENTS).is_some() {
            let most = Self::MAX_COMPONENTS;
            return Err(Error::UnusableName {
                reason: format!("a place has at most {most} components"),
            });
        }
        text.split('/').try_for_each(|name| {
            let why = match clean::component(name) {
                _ if text.starts_with('/') => {
                    "a place is a path below the store, without a slash at its begin"
                }
                _ if name.is_empty() => "a component of it is empty",
                _ if matches!(name, "." | "..") => "it must not lead elsewhere by dots",
                _ if name.starts_with('.') => {
                    "a name that begins with a dot is hidden or the store's own"
                }
                _ if name.len() > Self::MAX_COMPONENT => "a name has 255 bytes at most",
                Some(clean) if clean == name => return Ok(()),
                _ => "a component of it holds, is or ends in what no name may",
            };
            Err(Error::UnusableName {
                reason: format!("{text:?} is no place below the store: {why}"),
            })
        })?;
        Ok(Self(text.to_owned()))
    }

    /// Takes back a path that was stored before. It is checked, not cleaned, and only for what could lead out of the
    /// folder or hide: a name stays reachable when the rules for new ones grow. `None` when it is none of ours.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let stays_inside = |name: &str| {
            (1..=Self::MAX_COMPONENT).contains(&name.len())
                && !name.starts_with('.')
                && !name.contains(char::is_control)
        };
        text.split('/')
            .all(stays_inside)
            .then(|| Self(text.to_owned()))
    }

    /// Joins components that have been cleaned.
    fn join(components: &[String]) -> Self {
        Self(components.join("/"))
    }

    /// The path, components joined by `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders in which the file is, outermost first, then its own name.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.components()
            .next_back()
            .expect("a split has at least one item")
    }

    /// The same path with `suffix` before the extension: `photo.jpg` and `-1` make `photo-1.jpg`. A long name is
    /// shortened to make room for the suffix.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let name = self.file_name();
        let folders = &self.0[..self.0.len() - name.len()];
        let (stem, extension) = clean::split_extension(name);
        let room = Self::MAX_COMPONENT.saturating_sub(suffix.len() + extension.len());
        let suffixed = format!("{}{suffix}{extension}", clean::cut(stem, room));
        match clean::component(&suffixed) {
            Some(name) => Self(format!("{folders}{name}")),
            None => self.clone(),
        }
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The safe form of a client's name for a file, one component of a path; `None` when nothing in it can be a name.
#[must_use]
pub(crate) fn clean(text: &str) -> Option<String> {
    clean::component(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SafePath {
        SafePath::from_stored(text).unwrap()
    }

    #[test]
    fn a_path_knows_its_components() {
        let path = path("dishes/2026/paella.jpg");
        assert_eq!(path.file_name(), "paella.jpg");
        assert_eq!(
            path.components().collect::<Vec<_>>(),
            ["dishes", "2026", "paella.jpg"]
        );
        assert_eq!(path.to_string(), path.as_str());
    }

    #[test]
    fn a_suffix_goes_before_the_extension() {
        for (name, suffixed) in [
            ("photo.jpg", "photo-1.jpg"),
            ("a/b.c/photo.jpg", "a/b.c/photo-1.jpg"),
            ("a.b/photo", "a.b/photo-1"),
            ("a.tar.gz", "a.tar-1.gz"),
            ("Mr. Smith and family", "Mr. Smith and family-1"),
        ] {
            assert_eq!(path(name).with_suffix("-1").as_str(), suffixed);
        }
    }

    #[test]
    fn a_suffix_has_room_in_the_longest_name() {
        let longest = path(&format!("x/{}.jpg", "é".repeat(125)));
        let suffixed = longest.with_suffix("-1000");
        assert!(suffixed.file_name().ends_with("é-1000.jpg"), "{suffixed}");
        assert!(suffixed.file_name().len() <= 255);
    }

    #[test]
    fn a_stored_path_that_is_not_ours_is_not_taken_back() {
        let long = "x".repeat(256);
        for bad in [
            "",
            "/",
            "/etc",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "a/.",
            ".dumbwaiter/x",
            "a\0",
            &long,
        ] {
            assert_eq!(SafePath::from_stored(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_place_that_the_app_makes_is_taken_as_it_is_or_refused_with_the_reason() {
        for good in ["12", "dishes/12.jpg", "料理/a b (1).jpg", "a..b", "a/b/c/d"] {
            assert_eq!(SafePath::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        for (bad, why) in [
            ("", "empty"),
            ("/etc/passwd", "slash"),
            ("a//b", "empty"),
            ("a/", "empty"),
            ("..", "dots"),
            ("a/../../b", "dots"),
            ("./a", "dots"),
            (".dumbwaiter/records.redb", "dot"),
            ("a/.hidden", "dot"),
            (&long, "255"),
            ("a\\b", "no name may"),
            ("a\0b", "no name may"),
            ("C:/a", "no name may"),
            ("CON", "no name may"),
            ("a.", "no name may"),
            ("\u{202e}gpj.exe", "no name may"),
        ] {
            let refused = SafePath::parse(bad).unwrap_err();
            assert_eq!(refused.code(), "unusable_name", "{bad:?}");
            assert!(refused.to_string().contains(why), "{bad:?}: {refused}");
        }
    }
}
