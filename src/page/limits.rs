//! What the page says before anything is sent: which files are taken, and where they go.
//!
//! It is written into the page itself. So it stands there without script too, costs no request, and the browser's own
//! file dialog offers what is taken (`accept`). A script reads the same numbers from the form (`client/limits.js`); a
//! program asks `OPTIONS /upload`.

use std::time::Duration;

use crate::admission::AdmissionOptions;
use crate::handlers::Taken;
use crate::receive::Limits;
use crate::sizes::limit_in_words;

/// What of the server's limits a person should know.
#[derive(Clone, Default, Debug)]
pub(crate) struct PageLimits {
    taken: Taken,
    upload: Option<u64>,
    files: usize,
    keep: Option<Duration>,
}

impl PageLimits {
    /// What is left of all limits for the page, where each file is an upload of its own.
    pub(crate) fn new(
        taken: Taken,
        admission: &AdmissionOptions,
        form: Limits,
        keep: Option<Duration>,
    ) -> Self {
        let sizes = [admission.upload_bytes, admission.request_bytes];
        Self {
            taken,
            upload: sizes.into_iter().flatten().min(),
            files: form.files,
            keep,
        }
    }

    /// Fills in the page's gaps. A form that a browser sends by itself is one upload with all its files.
    pub(super) fn write(&self, page: &str) -> String {
        let types: Vec<_> = self.taken.types.iter().map(|one| one.as_str()).collect();
        let number = |name, number: Option<u64>| {
            number.map_or(String::new(), |bytes| format!(" {name}=\"{bytes}\""))
        };
        let numbers = number("data-max-file-size", self.taken.bytes)
            + &number("data-max-upload-size", self.upload);
        let words = format!(
            "<p><strong>{}</strong></p>\n<noscript><p>{}</p></noscript>\n<p>{}</p>",
            self.each(),
            self.together(),
            self.place()
        );
        page.replacen(" data-limits", &numbers, 1)
            .replacen("accept=\"\"", &format!("accept=\"{}\"", types.join(",")), 1)
            .replacen("<!--limits-->", &words, 1)
    }

    fn each(&self) -> String {
        let types = words_of_types(&self.taken);
        match [self.taken.bytes, self.upload].into_iter().flatten().min() {
            Some(most) => format!("{types}, up to {} each.", limit_in_words(most)),
            None if types == ANY => format!("{ANY} and size."),
            None => format!("{types} of any size."),
        }
    }

    fn together(&self) -> String {
        let files = match self.files {
            1 => "One file at once".to_owned(),
            files => format!("At most {files} files at once"),
        };
        match self.upload {
            Some(most) => format!("{files}, {} together.", limit_in_words(most)),
            None => format!("{files}."),
        }
    }

    fn place(&self) -> String {
        let place = "They go to whoever runs this server";
        match self.keep {
            Some(time) => format!(
                "{place}, and are removed there after {}.",
                words_of_time(time)
            ),
            None => format!("{place}."),
        }
    }
}

/// "Pictures, sound and PDF files".
fn words_of_types(taken: &Taken) -> String {
    let (mut groups, mut kinds): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let group_of = |pattern: &str| format!("{}/*", pattern.split('/').next().unwrap_or_default());
    for pattern in &taken.types {
        let group = group_of(pattern.as_str());
        // Its group is told, and covers it.
        if pattern.as_str() != group && taken.types.iter().any(|one| one.as_str() == group) {
            continue;
        }
        let (word, is_group) = word_of_type(pattern.as_str());
        let words = if is_group { &mut groups } else { &mut kinds };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if taken.types.is_empty() || groups.contains(&ANY.to_owned()) {
        return ANY.to_owned();
    }
    if let Some(last) = kinds.last_mut() {
        last.push_str(" files");
    }
    groups.append(&mut kinds);
    let last = groups.pop().unwrap_or_default();
    capital(&match groups.is_empty() {
        true => last,
        false => format!("{} and {last}", groups.join(", ")),
    })
}

const ANY: &str = "Files of any type";

const GROUPS: [(&str, &str); 6] = [
    ("*/*", ANY),
    ("application/*", "documents and archives"),
    ("audio/*", "sound"),
    ("image/*", "pictures"),
    ("text/*", "plain text"),
    ("video/*", "videos"),
];

/// Types whose own names say little.
const NAMES: [(&str, &str); 9] = [
    ("application/octet-stream", "other"),
    ("application/x-ole-storage", "old Office"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "PowerPoint",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "Excel",
    ),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "Word",
    ),
    ("application/vnd.oasis.opendocument.presentation", "ODP"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ODS"),
    ("application/vnd.oasis.opendocument.text", "ODT"),
    ("text/plain", "plain text"),
];

/// What a person calls a type, and whether that stands without "files" behind it.
fn word_of_type(pattern: &str) -> (String, bool) {
    if let Some((_, word)) = GROUPS.iter().find(|(name, _)| *name == pattern) {
        return ((*word).to_owned(), true);
    }
    if let Some((_, word)) = NAMES.iter().find(|(name, _)| *name == pattern) {
        return ((*word).to_owned(), false);
    }
    let kind = pattern.rsplit('/').next().unwrap_or_default();
    let kind = kind.trim_start_matches("x-").trim_end_matches("+xml");
    let last = kind.rsplit('.').next().unwrap_or(kind);
    (last.to_ascii_uppercase(), false)
}

/// The largest unit that says it without a remainder.
fn words_of_time(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let seconds = time.as_secs().max(1);
    let (unit, name) = UNITS
        .into_iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit))
        .unwrap_or((1, "second"));
    match seconds / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: Option<u64>, types: &[&str]) -> Taken {
        Taken {
            bytes,
            types: types.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn limits(taken: Taken, upload: Option<u64>) -> PageLimits {
        PageLimits {
            taken,
            upload,
            files: 1000,
            keep: None,
        }
    }

    #[test]
    fn which_files_are_taken_is_told_in_words() {
        for (bytes, upload, types, words) in [
            (None, None, &[][..], "Files of any type and size."),
            (
                Some(20_000_000),
                None,
                &[],
                "Files of any type, up to 20 MB each.",
            ),
            (None, None, &["image/*"], "Pictures of any size."),
            (
                Some(7_000_000),
                Some(5_000_000),
                &["image/*", "video/*", "application/pdf"],
                "Pictures, videos and PDF files, up to 5.0 MB each.",
            ),
            (
                None,
                None,
                &["application/pdf", "image/*"],
                "Pictures and PDF files of any size.",
            ),
            (
                None,
                None,
                &["image/png", "*/*"],
                "Files of any type and size.",
            ),
            (
                None,
                None,
                &["text/plain", "text/*", "image/png"],
                "Plain text and PNG files of any size.",
            ),
            (
                None,
                None,
                &["image/svg+xml", "application/x-tar"],
                "SVG and TAR files of any size.",
            ),
        ] {
            assert_eq!(limits(taken(bytes, types), upload).each(), words);
        }
    }

    #[test]
    fn a_form_without_script_is_one_upload() {
        let mut limits = limits(Taken::default(), Some(5_000_000));
        assert_eq!(
            limits.together(),
            "At most 1000 files at once, 5.0 MB together."
        );
        (limits.upload, limits.files) = (None, 1);
        assert_eq!(limits.together(), "One file at once.");
    }

    #[test]
    fn a_request_is_an_upload_here_so_the_smaller_bound_is_told() {
        for (upload, request, told) in [
            (None, None, None),
            (Some(5), None, Some(5)),
            (None, Some(7), Some(7)),
            (Some(5), Some(7), Some(5)),
            (Some(7), Some(5), Some(5)),
        ] {
            let admission = AdmissionOptions {
                upload_bytes: upload,
                request_bytes: request,
                ..AdmissionOptions::default()
            };
            let limits = PageLimits::new(Taken::default(), &admission, Limits::default(), None);
            assert_eq!(limits.upload, told, "{upload:?} {request:?}");
        }
    }

    #[test]
    fn what_is_removed_later_is_said() {
        for (seconds, words) in [
            (7 * 86_400, "7 days"),
            (86_400, "1 day"),
            (90_000, "25 hours"),
            (3_600, "1 hour"),
            (90, "90 seconds"),
            (0, "1 second"),
        ] {
            assert_eq!(words_of_time(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn the_page_has_a_place_for_each_of_them() {
        let page = limits(taken(Some(7), &["audio/mpeg", "image/*"]), Some(9))
            .write(include_str!("../../client/page.html"));
        for text in [
            "data-max-file-size=\"7\" data-max-upload-size=\"9\"",
            "accept=\"audio/mpeg,image/*\"",
            "Pictures and MPEG files, up to 7 bytes each.",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert!(!page.contains("data-limits") && !page.contains("<!--limits-->"));
    }
}
