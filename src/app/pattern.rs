//! Paths of the app's that are named in the configuration.

use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// A path of the app's: `/upload`, `/albums/*/pictures/`, `/api/**`. `*` stands for any one segment, or for a part of one;
/// `**` at the end for whatever follows, or nothing.
///
/// A request's path is compared as the app reads it, with `%75` for `u`, and once more as some apps do, without empty
/// segments, `.`, `..` and what stands behind `;`: otherwise what is spelled in another way would get to the same view as
/// something that is not ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    segments: Vec<String>,
    and_below: bool,
}

/// The text is no such path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a path such as /upload, /albums/*/pictures or /api/** is expected, without a query")]
pub(crate) struct NotAPattern;

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let path = text.strip_prefix('/').ok_or(NotAPattern)?;
        let above = path
            .strip_suffix("**")
            .filter(|above| above.is_empty() || above.ends_with('/'));
        let and_below = above.is_some();
        let path = above.map_or(path, |above| above.strip_suffix('/').unwrap_or(above));
        if path.contains(['?', '#', '%']) || path.contains("**") || path.contains(char::is_control)
        {
            return Err(NotAPattern);
        }
        let all = path.split('/').map(str::to_owned);
        Ok(Self {
            segments: all.filter(|_| !(and_below && path.is_empty())).collect(),
            and_below,
        })
    }
}

impl Pattern {
    /// Whether it stands for `path`, as a request's head has it.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let path = percent_decode_str(path).decode_utf8_lossy();
        path.strip_prefix('/')
            .is_some_and(|path| self.is(path) || self.is(&short(path)))
    }

    fn is(&self, path: &str) -> bool {
        let mut rest = path.split('/');
        let begins = self.segments.iter().all(|segment| {
            let given = rest.next();
            given.is_some_and(|given| stands_for(segment, given))
        });
        begins && (self.and_below || rest.next().is_none())
    }
}

/// A path as an app reads it that goes through its segments first (RFC 3986, 5.2.4).
fn short(path: &str) -> String {
    let mut kept = Vec::new();
    let mut is_open = true;
    for segment in path.split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        is_open = matches!(name, "" | "." | "..");
        match name {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    if is_open && !kept.is_empty() {
        kept.push("");
    }
    kept.join("/")
}

/// Whether a segment with `*` in it stands for `given`.
fn stands_for(segment: &str, given: &str) -> bool {
    let Some((first, rest)) = segment.split_once('*') else {
        return segment == given;
    };
    // An empty segment is none: `/albums//pictures` is another path.
    let Some(mut given) = given.strip_prefix(first).filter(|_| !given.is_empty()) else {
        return false;
    };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return given.ends_with(piece);
        }
        match given.find(piece) {
            Some(at) => given = &given[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_paths_that_the_app_reads_as_it() {
        for (pattern, path, stands) in [
            ("/upload", "/upload", true),
            ("/upload", "/%75pload", true),
            ("/upload", "/upload/", false),
            ("/upload", "/uploads", false),
            ("/upload", "//upload", true),
            ("/upload", "/./upload", true),
            ("/upload", "/a/../upload", true),
            ("/upload", "/../%2e%2E/upload", true),
            ("/upload", "/upload;a=1", true),
            ("/upload", "/a/upload", false),
            ("/upload", "/upload/..", false),
            ("/upload/", "/upload/.", true),
            ("/upload/", "/upload/a/..", true),
            ("/upload", "upload", false),
            ("/upload/", "/upload/", true),
            ("/upload/", "/upload%2F", true),
            ("/", "/", true),
            ("/", "/a", false),
            ("/", "/a/..", true),
            ("/a/*/b", "/a/7/b", true),
            ("/a/*/b", "/a//b", false),
            ("/a/*/b", "/a/7/8/b", false),
            ("/a/*.php", "/a/x.php", true),
            ("/a/*.php", "/a/x.php5", false),
            ("/v*/x*y*z", "/v1/x-y-z", true),
            ("/v*/x*y*z", "/v1/x-z-y", false),
            ("/api/**", "/api", true),
            ("/api/**", "/api/", true),
            ("/api/**", "/api/a/b", true),
            ("/api/**", "/apix", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/ä", "/%C3%A4", true),
        ] {
            let read: Pattern = pattern.parse().unwrap();
            assert_eq!(read.matches(path), stands, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "", "upload", "/a?b", "/a#b", "/**/b", "/a**", "/%61", "/a\nb",
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(NotAPattern), "{text}");
        }
    }
}
