//! Makes one component of a path from whatever a client sent.

use unicode_normalization::UnicodeNormalization;

use super::SafePath;

/// What follows the last dot counts as an extension up to this many bytes, the dot included.
const MAX_EXTENSION: usize = 32;

/// The safe form of `text`; `None` when nothing in it can be a name. What is safe already stays as it is.
///
/// Of a path only the last part counts, since Internet Explorer sends whole ones.
pub(super) fn component(text: &str) -> Option<String> {
    let last = text.rsplit(is_separator).find(|part| !part.is_empty())?;
    let kept = last.chars().filter(|c| !is_dropped(*c));
    let replaced = |c| if is_replaced(c) { '_' } else { c };
    // ASCII is composed as it is, and most names are ASCII.
    let mut name: String = match last.is_ascii() {
        true => kept.map(replaced).collect(),
        false => kept.nfc().map(replaced).collect(),
    };
    // One rule's result may fall under another: a name that is cut may end in a blank, one without it be reserved.
    loop {
        let next = tidy(&name)?;
        if next == name {
            return Some(name);
        }
        name = next;
    }
}

/// May `c` stand in a name as it is?
pub(super) fn is_plain(c: char) -> bool {
    !is_separator(c) && !is_dropped(c) && !is_replaced(c)
}

fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// Control characters; line and paragraph separators; marks that turn the direction of reading, with which
/// `gpj.exe` shows as `exe.jpg`.
fn is_dropped(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that no name on a Windows share can hold.
fn is_replaced(c: char) -> bool {
    matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
}

fn tidy(name: &str) -> Option<String> {
    let name = name
        .trim_start()
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if name.chars().all(|c| c == '.') {
        return None;
    }
    let harmless = match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if is_reserved(name) => format!("_{name}"),
        None => name.to_owned(),
    };
    Some(fit(&harmless))
}

/// Names of devices on Windows, with any extension
/// (learn.microsoft.com, "Naming Files, Paths, and Namespaces").
fn is_reserved(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or(name).trim_end();
    let base = base.to_ascii_uppercase();
    let port = |base: &str| {
        let number = base
            .strip_prefix("COM")
            .or_else(|| base.strip_prefix("LPT"));
        let mut digits = number.unwrap_or_default().chars();
        matches!(
            (digits.next(), digits.next()),
            (Some('0'..='9' | '¹' | '²' | '³'), None)
        )
    };
    matches!(
        base.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) || port(&base)
}

/// `name`, shortened before its extension to what a component may have.
fn fit(name: &str) -> String {
    let (stem, extension) = split_extension(name);
    let room = SafePath::MAX_COMPONENT - extension.len();
    format!("{}{extension}", cut(stem, room))
}

/// The first characters of `text`, at most `most` bytes of them.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut ends = (0..=most.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// A name without its extension, and the extension with its dot, if there is one.
pub(super) fn split_extension(name: &str) -> (&str, &str) {
    let dot = name.rfind('.').unwrap_or_default();
    let (stem, extension) = name.split_at(dot);
    let is_one =
        (2..=MAX_EXTENSION).contains(&extension.len()) && !extension.contains(char::is_whitespace);
    match !stem.is_empty() && is_one {
        true => (stem, extension),
        false => (name, ""),
    }
}

#[cfg(test)]
pub(in crate::name) mod tests {
    use proptest::prelude::*;
    use unicode_normalization::is_nfc;

    use super::*;

    #[test]
    fn hostile_names_become_harmless_ones() {
        for (sent, stored) in [
            ("paella.jpg", "paella.jpg"),
            ("寿司 (2).jpg", "寿司 (2).jpg"),
            // TRAPS, "Path by id or name".
            ("../../etc/passwd", "passwd"),
            ("..%2F..%2Fetc", "_.%2F..%2Fetc"),
            ("/etc/passwd", "passwd"),
            (r"..\..\windows\win.ini", "win.ini"),
            (r"C:\Users\me\paella.jpg", "paella.jpg"),
            (r"\\server\share\paella.jpg", "paella.jpg"),
            ("C:paella.jpg", "C_paella.jpg"),
            ("paella.jpg/", "paella.jpg"),
            ("paella.jpg::$DATA", "paella.jpg__$DATA"),
            ("a\0b.jpg", "ab.jpg"),
            (".\0.", ""),
            ("CON", "_CON"),
            ("con.jpg", "_con.jpg"),
            ("nul .tar.gz", "_nul .tar.gz"),
            ("COM1", "_COM1"),
            ("lpt¹.txt", "_lpt¹.txt"),
            ("COM12", "COM12"),
            ("console", "console"),
            ("conout$", "_conout$"),
            // TRAPS, "File names".
            ("a%22b.jpg", "a%22b.jpg"),
            ("a\r\nb.jpg", "ab.jpg"),
            ("a\u{7f}\u{85}b", "ab"),
            ("a\u{2028}b", "ab"),
            ("exe.\u{202e}gpj", "exe.gpj"),
            ("\u{200e}\u{200f}\u{61c}\u{2066}a\u{2069}", "a"),
            ("e\u{301}.jpg", "é.jpg"),
            ("e\0\u{301}.jpg", "é.jpg"),
            ("what? <b>*|\".jpg", "what_ _b____.jpg"),
            (".htaccess", "_htaccess"),
            (".dumbwaiter", "_dumbwaiter"),
            (" .dumbwaiter", "_dumbwaiter"),
            ("\0.dumbwaiter", "_dumbwaiter"),
            ("..hidden", "_.hidden"),
            ("paella.jpg. . ", "paella.jpg"),
            ("  paella.jpg", "paella.jpg"),
            ("", ""),
            (".", ""),
            ("..", ""),
            ("....", ""),
            (". .", ""),
            ("a/..", ""),
            ("/", ""),
            ("\\", ""),
            (" \t\u{3000}", ""),
            ("\u{202e}", ""),
        ] {
            assert_eq!(component(sent).unwrap_or_default(), stored, "{sent:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_whole_characters() {
        let long = component(&format!("{}.jpg", "料".repeat(200))).unwrap();
        assert_eq!(long, format!("{}.jpg", "料".repeat(83)));
        let plain = component(&"é".repeat(200)).unwrap();
        assert_eq!(plain.len(), 254);
        let no_extension = component(&format!("a.{}", "x".repeat(300))).unwrap();
        assert_eq!(no_extension.len(), 255);
    }

    #[test]
    fn a_name_that_is_reserved_only_once_it_is_cut_is_harmless_too() {
        let sent = format!("CON{}x", " ".repeat(300));
        assert_eq!(component(&sent).as_deref(), Some("_CON"));
    }

    /// Text with far more of what matters than chance would give.
    pub(in crate::name) fn hostile() -> impl Strategy<Value = String> {
        let bits = prop::sample::select(vec![
            ".",
            "..",
            "/",
            "\\",
            " ",
            "\0",
            "\u{202e}",
            "\u{301}",
            "\u{338}",
            "e",
            "<",
            "CON",
            "com1",
            "\u{1100}",
            "\u{1161}",
            "\u{3000}",
            ".dumbwaiter",
            "料",
        ]);
        let bit = prop_oneof![
            bits.prop_map(String::from),
            any::<String>(),
            "[a-z ]{100,200}"
        ];
        prop::collection::vec(bit, 0..8).prop_map(|bits| bits.concat())
    }

    pub(in crate::name) fn assert_harmless(name: &str) {
        assert!(!name.is_empty() && name.len() <= 255, "{name:?}");
        assert!(name.chars().all(is_plain), "{name:?}");
        assert!(
            !name.starts_with(['.', ' ']) && !name.ends_with(['.', ' ']),
            "{name:?}"
        );
        assert!(is_nfc(name) && !is_reserved(name), "{name:?}");
        assert_eq!(component(name).as_deref(), Some(name), "cleaning twice");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_harmless_name_or_none(text in hostile()) {
            if let Some(name) = component(&text) {
                assert_harmless(&name);
            }
        }
    }
}
