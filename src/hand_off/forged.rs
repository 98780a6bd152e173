//! Names that only we may give: a client's field or parameter of such a name never gets to the app.
//!
//! The app's framework reads a name in its own way: PHP makes `_` of a dot, others take `a[path]` for `a.path`, a backslash
//! for nothing, capitals for small letters. So a name counts as forged when any of them could read one of ours in it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The form's field that holds the statement.
pub(super) const STATEMENT: &str = "dumbwaiter.statement";

/// What we say of a file F, each as the field `F.` and this.
pub(super) const SAID: [&str; 5] = ["name", "path", "content_type", "size", "sha256"];

/// What all our own names begin with.
const OURS: &str = "dumbwaiter";

/// How often a name may have been percent-encoded.
const ENCODED: usize = 3;

/// Knows the names that a client may not give.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Forged {
    /// The names of the form's file fields, as they are compared.
    files: Vec<String>,
}

impl Forged {
    /// For a form with files in these fields.
    pub(super) fn beside<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        let mut files: Vec<_> = files.flat_map(readings).collect();
        files.sort_unstable();
        files.dedup();
        Self { files }
    }

    /// Whether a framework could read a name of ours in this one.
    pub(super) fn is(&self, name: &str) -> bool {
        readings(name).iter().any(|name| self.is_read(name))
    }

    fn is_read(&self, name: &str) -> bool {
        let bare = name.trim_end_matches('[');
        bare.ends_with(".path")
            || bare.ends_with("[path")
            || begins(name, OURS, &['.', '[', '_', ' '])
            || self.files.iter().any(|file| is_of(name, file))
    }

    /// A query, or a form in the same spelling, without the pairs of such names, and how many they were. Some frameworks
    /// end a pair with `;` too.
    pub(super) fn without<'a>(&self, pairs: &'a [u8]) -> (Cow<'a, [u8]>, usize) {
        let mut kept = Vec::with_capacity(pairs.len());
        let mut dropped = 0;
        for pair in pairs.split_inclusive(|byte| b"&;".contains(byte)) {
            let name = pair.split(|byte| b"=&;".contains(byte)).next();
            let name = String::from_utf8_lossy(name.unwrap_or_default());
            match self.is(&name.replace('+', " ")) {
                true => dropped += 1,
                false => kept.extend_from_slice(pair),
            }
        }
        if dropped == 0 {
            return (Cow::Borrowed(pairs), 0);
        }
        if kept.ends_with(b"&") {
            kept.pop();
        }
        (Cow::Owned(kept), dropped)
    }
}

/// Whether `name` says something of the file in the field `file`.
fn is_of(name: &str, file: &str) -> bool {
    if begins(name, file, &['.', '[']) {
        return true;
    }
    let plain = in_php(name);
    SAID.iter()
        .any(|said| plain == in_php(&format!("{file}.{said}")))
}

fn begins(name: &str, with: &str, then: &[char]) -> bool {
    name.strip_prefix(with)
        .is_some_and(|rest| rest.starts_with(then))
}

/// A name as PHP's variables have it.
fn in_php(name: &str) -> String {
    name.replace(['.', ' ', '['], "_")
}

/// How a name may be read: encoded or not, in small letters, without what frameworks drop.
fn readings(name: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut name = name.to_owned();
    for _ in 0..=ENCODED {
        let plain = name.replace('\\', "");
        let whole = plain.split('\0').next().unwrap_or_default();
        let blank = |c: char| c.is_whitespace() || c.is_control();
        // Rack and others pass over brackets that open or close nothing.
        let bare = whole.trim_matches(blank).replace(']', "");
        all.push(bare.trim_start_matches('[').to_lowercase());
        let decoded = percent_decode_str(&name).decode_utf8_lossy().into_owned();
        if decoded == name {
            break;
        }
        name = decoded;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(files: &[&str]) -> Forged {
        Forged::beside(files.iter().copied())
    }

    #[test]
    fn a_name_that_some_framework_reads_as_ours_is_forged() {
        let forged = beside(&["picture", "dish[photo]", "My.File"]);
        for name in [
            "dumbwaiter.statement",
            "Dumbwaiter.Statement",
            "dumbwaiter_statement",
            "dumbwaiter[statement]",
            "dumbwaiter.anything",
            " dumbwaiter.statement",
            "dumb\\waiter.statement",
            "dumbwaiter%2Estatement",
            "dumbwaiter%252Estatement",
            "picture.path",
            "picture.anything",
            "PICTURE.size",
            "picture[path]",
            "picture[anything][deep]",
            "picture[path",
            "picture_path",
            "picture content_type",
            "picture.path\0x",
            "picture_sha256\0x",
            "picture.path ",
            "dish[photo].path",
            "dish[photo][path]",
            "my.file.name",
            "my_file_name",
            "elsewhere.path",
            "elsewhere[path]",
            "elsewhere[path",
            "elsewhere[path][]",
            "elsewhere.path[]",
            "picture].size",
            "[picture[size]",
            "picture_]size",
        ] {
            assert!(forged.is(name), "{name:?}");
        }
    }

    #[test]
    fn other_names_are_the_clients_own() {
        let forged = beside(&["picture", "pictures[]", "dish[photo]"]);
        for name in [
            "",
            "picture",
            "pictures[]",
            "picture_caption",
            "picture-path",
            "pictures",
            "path",
            "my_path",
            "xpath",
            "name",
            "size",
            "dish[title]",
            "dish[photo]",
            "dumbwaiters",
            "csrfmiddlewaretoken",
            "X-Progress-ID",
        ] {
            assert!(!forged.is(name), "{name:?}");
        }
    }

    #[test]
    fn a_query_keeps_all_else_as_it_was_spelt() {
        let forged = beside(&["picture"]);
        for (query, kept, dropped) in [
            ("", "", 0),
            ("a=1&b=%20+&&c", "a=1&b=%20+&&c", 0),
            ("a=1&picture.path=/etc/passwd&b=2", "a=1&b=2", 1),
            ("picture%2epath=x", "", 1),
            ("a=1&picture+path=x", "a=1", 1),
            ("a=1;picture.path=x&b=2", "a=1;b=2", 1),
            (
                "dumbwaiter.statement=a&x.path&a=picture.path",
                "a=picture.path",
                2,
            ),
        ] {
            let (left, count) = forged.without(query.as_bytes());
            assert_eq!((&*left, count), (kept.as_bytes(), dropped), "{query}");
        }
    }
}
