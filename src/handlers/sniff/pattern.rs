//! Lists of types that are taken.

use std::str::FromStr;

use super::types::{HTML, OLD_OFFICE, SVG, TEXT, UNKNOWN, XML};

/// One entry of an allow list: `image/png`, `image/*` or `*/*`.
///
/// A pattern with a star does not cover the types in which a browser runs scripts (`text/html`, `text/xml`,
/// `image/svg+xml`) nor files of no known type (`application/octet-stream`): whoever wants these names them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypePattern(String);

/// The text is not a pattern of types that can be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotATypePattern {
    /// It is not of the form `group/type`.
    #[error("not a media type: one like image/png, image/* or */* is expected")]
    Malformed,
    /// No file is ever found to be of this type, so the pattern would refuse every file.
    #[error("not a type that is told from a file's first bytes, such as image/jpeg or image/*")]
    NeverFound,
}

impl FromStr for TypePattern {
    type Err = NotATypePattern;

    fn from_str(text: &str) -> Result<Self, NotATypePattern> {
        let text = text.to_ascii_lowercase();
        let (group, kind) = text.split_once('/').ok_or(NotATypePattern::Malformed)?;
        let findable = match (group, kind) {
            ("", _) | (_, "") => return Err(NotATypePattern::Malformed),
            ("*", kind) => kind == "*",
            (group, "*") => GROUPS.contains(&group),
            _ if OLD_OFFICE.contains(&text.as_str()) => false,
            _ => OURS.contains(&text.as_str()) || infer::is_mime_supported(&text),
        };
        match findable {
            true => Ok(Self(text)),
            false => Err(NotATypePattern::NeverFound),
        }
    }
}

impl TypePattern {
    /// The pattern as it was given, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn covers(&self, found: &str) -> bool {
        match self.0.strip_suffix('*') {
            None => self.0 == found,
            Some(_) if ONLY_IN_FULL.contains(&found) => false,
            Some("*/") => true,
            Some(group) => found.starts_with(group),
        }
    }
}

/// What is found by our own rules, besides all that `infer` knows.
const OURS: [&str; 3] = [SVG, TEXT, UNKNOWN];
const ONLY_IN_FULL: [&str; 4] = [HTML, XML, SVG, UNKNOWN];
const GROUPS: [&str; 5] = ["application", "audio", "image", "text", "video"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_its_group_but_no_type_that_runs_scripts() {
        for (pattern, found, covered) in [
            ("image/*", "image/png", true),
            ("image/*", "video/mp4", false),
            ("image/*", SVG, false),
            ("IMAGE/SVG+xml", SVG, true),
            ("text/*", TEXT, true),
            ("text/*", HTML, false),
            ("text/html", HTML, true),
            ("*/*", "application/zip", true),
            ("*/*", HTML, false),
            ("application/*", UNKNOWN, false),
            ("application/octet-stream", UNKNOWN, true),
        ] {
            let pattern: TypePattern = pattern.parse().unwrap();
            assert_eq!(pattern.covers(found), covered, "{pattern:?} {found}");
        }
    }

    #[test]
    fn patterns_that_could_never_match_are_refused() {
        for (text, error) in [
            ("", NotATypePattern::Malformed),
            ("png", NotATypePattern::Malformed),
            ("image/", NotATypePattern::Malformed),
            ("/png", NotATypePattern::Malformed),
            ("*/png", NotATypePattern::NeverFound),
            ("imag/*", NotATypePattern::NeverFound),
            ("image/jpg", NotATypePattern::NeverFound),
            ("application/msword", NotATypePattern::NeverFound),
        ] {
            assert_eq!(text.parse::<TypePattern>(), Err(error), "{text:?}");
        }
    }
}
