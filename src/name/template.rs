//! The template by which files are named: text, folders and placeholders.
//!
//! | placeholder | stands for |
//! |---|---|
//! | `{filename}` | the client's name for the file, cleaned |
//! | `{stem}`, `{ext}` | what is before and behind its last dot |
//! | `{id}` | 32 hex digits of the upload's own: its watch name, since the id must not be seen in a name |
//! | `{date}` | the day it began, `2026-11-22`, in UTC |
//! | `{field}` | the form field that carries it |
//! | `{form.NAME}` | the value of the form's field NAME, wherever it comes in the form |
//! | `{digest}` | its digest in hex |
//!
//! `{filename|id}` takes the first that names something. A `/` between placeholders makes folders; one within a value
//! never does. `{{` and `}}` are braces.

use std::fmt;

use super::placeholder::{Key, Values};
use super::{SafePath, clean};
use crate::error::Error;

/// How stored files are named. The default is `{filename|id}`; the article's is `{form.id}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    text: String,
    components: Vec<Vec<Part>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    FirstOf(Vec<Key>),
}

/// Why a text is no template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// There is no such placeholder.
    #[error("there is no placeholder {{{given}}}; did you mean {{{nearest}}}?")]
    UnknownPlaceholder {
        /// The placeholder as given.
        given: String,
        /// The one most like it.
        nearest: &'static str,
    },
    /// A `{` without its `}`, or the other way round.
    #[error("a brace stands alone; write {{{{ or }}}} for a brace in a name")]
    LoneBrace,
    /// No text, or nothing before, between or behind slashes.
    #[error("a folder or file in it has no name")]
    EmptyComponent,
    /// Text that no name may hold or begin with.
    #[error(
        "{text:?} cannot stand in a name, which holds none of \\ < > : \" | ? * and begins with no dot"
    )]
    UnsafeText {
        /// The text between placeholders.
        text: String,
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`] tells what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut components = vec![Vec::new()];
        let mut rest = text;
        while !rest.is_empty() {
            rest = parse_next(rest, &mut components)?;
        }
        components.iter().try_for_each(|parts| check(parts))?;
        Ok(Self {
            text: text.to_owned(),
            components,
        })
    }

    /// Names a file.
    ///
    /// What is too long is shortened in the longest value, so that an id beside a long name stays whole.
    ///
    /// # Errors
    /// [`Error::UnusableName`] when all the alternatives of a placeholder name nothing.
    pub fn render(&self, values: &Values<'_>) -> Result<SafePath, Error> {
        let component = |parts: &Vec<Part>| render_component(parts, values);
        let components: Result<Vec<_>, _> = self.components.iter().map(component).collect();
        Ok(SafePath::join(&components?))
    }

    /// Must the digest be known before the file can be named?
    #[must_use]
    pub fn needs_digest(&self) -> bool {
        let needs = |part: &Part| match part {
            Part::Text(_) => false,
            Part::FirstOf(keys) => keys.contains(&Key::Digest),
        };
        self.components.iter().flatten().any(needs)
    }
}

impl Default for Template {
    fn default() -> Self {
        Self::parse("{filename|id}").expect("it is a template")
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads what `text` begins with into the last component and gives back what follows.
fn parse_next<'a>(
    text: &'a str,
    components: &mut Vec<Vec<Part>>,
) -> Result<&'a str, TemplateError> {
    for brace in ["{{", "}}"] {
        if let Some(rest) = text.strip_prefix(brace) {
            push_text(components, &brace[1..]);
            return Ok(rest);
        }
    }
    if let Some(rest) = text.strip_prefix('/') {
        components.push(Vec::new());
        return Ok(rest);
    }
    if let Some(rest) = text.strip_prefix('{') {
        let (keys, rest) = rest.split_once('}').ok_or(TemplateError::LoneBrace)?;
        let keys: Result<_, _> = keys.split('|').map(Key::parse).collect();
        last(components).push(Part::FirstOf(keys?));
        return Ok(rest);
    }
    let end = text.find(['{', '}', '/']).unwrap_or(text.len());
    if end == 0 {
        return Err(TemplateError::LoneBrace);
    }
    push_text(components, &text[..end]);
    Ok(&text[end..])
}

fn push_text(components: &mut [Vec<Part>], more: &str) {
    let parts = last(components);
    match parts.last_mut() {
        Some(Part::Text(text)) => text.push_str(more),
        _ => parts.push(Part::Text(more.to_owned())),
    }
}

fn last(components: &mut [Vec<Part>]) -> &mut Vec<Part> {
    components.last_mut().expect("there is one from the start")
}

fn check(parts: &[Part]) -> Result<(), TemplateError> {
    let unsafe_text = |text: &str| TemplateError::UnsafeText {
        text: text.to_owned(),
    };
    for part in parts {
        match part {
            Part::Text(text) if !text.chars().all(clean::is_plain) => {
                return Err(unsafe_text(text));
            }
            Part::Text(_) | Part::FirstOf(_) => {}
        }
    }
    match parts {
        [] => Err(TemplateError::EmptyComponent),
        [Part::Text(text)] if clean::component(text).as_ref() != Some(text) => {
            Err(unsafe_text(text))
        }
        [Part::Text(text), ..] if text.starts_with('.') => Err(unsafe_text(text)),
        _ => Ok(()),
    }
}

fn render_component(parts: &[Part], values: &Values<'_>) -> Result<String, Error> {
    let mut pieces = Vec::new();
    for part in parts {
        pieces.push(match part {
            Part::Text(text) => text.clone(),
            Part::FirstOf(keys) => first_of(keys, values)?,
        });
    }
    shorten(parts, &mut pieces);
    let name = pieces.concat();
    clean::component(&name).ok_or_else(|| Error::UnusableName {
        reason: format!("{name:?} holds nothing that can be a name"),
    })
}

fn first_of(keys: &[Key], values: &Values<'_>) -> Result<String, Error> {
    let mut reasons = Vec::new();
    for key in keys {
        match key.value(values) {
            Ok(value) => return Ok(value),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(Error::UnusableName {
        reason: reasons.join("; "),
    })
}

/// Cuts the longest values until the pieces together fit into a component.
fn shorten(parts: &[Part], pieces: &mut [String]) {
    let excess = |pieces: &[String]| {
        let length: usize = pieces.iter().map(String::len).sum();
        length.saturating_sub(SafePath::MAX_COMPONENT)
    };
    while excess(pieces) > 0 {
        let over = excess(pieces);
        let is_value = |i: &usize| matches!(parts[*i], Part::FirstOf(_));
        let values = (0..pieces.len()).filter(is_value);
        let Some(longest) = values.max_by_key(|i| pieces[*i].len()) else {
            return;
        };
        let (stem, extension) = clean::split_extension(&pieces[longest]);
        if stem.is_empty() {
            return;
        }
        pieces[longest] = format!(
            "{}{extension}",
            clean::cut(stem, stem.len().saturating_sub(over))
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::super::clean::tests::{assert_harmless, hostile};
    use super::*;
    use crate::upload::UploadId;

    const ID: &str = "00112233445566778899aabbccddeeff";
    /// What `{id}` stands for: the id's watch name.
    const NAME: &str = "ce94c7bc0fd4f41d8118b55a49247b94";

    fn render(template: &str, change: impl FnOnce(&mut Values<'_>)) -> String {
        let id = ID.parse().unwrap();
        let form = [
            ("id".to_owned(), "7".to_owned()),
            ("id".to_owned(), "8".to_owned()),
            ("up".to_owned(), "..".to_owned()),
        ];
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * 365);
        let mut values = Values {
            filename: Some("paella.tar.gz"),
            field: Some("picture"),
            form: &form,
            digest: Some("abcd"),
            ..Values::new(&id, at)
        };
        change(&mut values);
        match Template::parse(template).unwrap().render(&values) {
            Ok(path) => path.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_placeholder_stands_for_its_value() {
        for (template, name) in [
            ("{filename}", "paella.tar.gz"),
            ("{stem}-{ext}", "paella.tar-gz"),
            ("{id}", NAME),
            ("{date}", "1971-01-01"),
            ("{field}.{ext}", "picture.gz"),
            ("{digest}", "abcd"),
            // The article.
            ("{form.id}", "7"),
            ("dishes/{form.id}/{filename}", "dishes/7/paella.tar.gz"),
            ("{{{form.id}}}", "{7}"),
            ("{{id}}", "{id}"),
            ("plain name", "plain name"),
        ] {
            assert_eq!(render(template, |_| ()), name, "{template}");
        }
    }

    #[test]
    fn the_first_usable_alternative_names_the_file() {
        assert_eq!(render("{form.no|form.up|form.id}", |_| ()), "7");
        assert_eq!(render("{filename|id}", |v| v.filename = Some("..")), NAME);
        assert_eq!(render("{filename|id}", |v| v.filename = Some("")), NAME);
        assert_eq!(
            render("{ext|stem}", |v| v.filename = Some("paella")),
            "paella"
        );
        assert_eq!(Template::default().to_string(), "{filename|id}");
    }

    #[test]
    fn what_names_nothing_is_told_with_the_reason() {
        let why = |template, change: fn(&mut Values<'_>)| render(template, change);
        for (said, expected) in [
            (why("{form.dish}", |_| ()), "the form has no field \"dish\""),
            (
                why("{form.up}", |_| ()),
                "the form's field \"up\" holds nothing that can be a name",
            ),
            (
                why("{digest}", |v| v.digest = None),
                "there is no digest of the file",
            ),
            (
                why("{field}", |v| v.field = None),
                "there is no form field of the file",
            ),
            (
                why("{ext}", |v| v.filename = Some("paella")),
                "the file's name has no extension",
            ),
            (
                why("{filename|form.up}", |v| v.filename = None),
                "there is no name of the file; the form's field \"up\" holds nothing that can be a name",
            ),
        ] {
            assert_eq!(said, format!("the file cannot be named: {expected}"));
        }
    }

    #[test]
    fn a_value_never_makes_a_folder_and_never_leaves_it() {
        for (template, filename, name) in [
            ("a/{filename}", "../../b", "a/b"),
            ("a/{filename}", "/etc/cron.d/b", "a/b"),
            ("{filename}/x", ".dumbwaiter", "_dumbwaiter/x"),
            ("{ext}", "x.CON", "_CON"),
            ("C{stem}", "ON", "_CON"),
            ("e{filename}", "\u{301}", "é"),
        ] {
            assert_eq!(
                render(template, |v| v.filename = Some(filename)),
                name,
                "{filename}"
            );
        }
    }

    #[test]
    fn an_id_beside_a_long_name_stays_whole() {
        let long: &str = format!("{}.jpg", "料".repeat(90)).leak();
        let name = render("{filename}-{id}", |v| v.filename = Some(long));
        assert!(name.ends_with(&format!("料.jpg-{NAME}")), "{name}");
        let name = render("{stem}-{id}.{ext}", |v| v.filename = Some(long));
        assert!(name.ends_with(&format!("料-{NAME}.jpg")), "{name}");
    }

    #[test]
    fn what_is_no_template_is_refused_with_what_is_wrong() {
        let why = |text| Template::parse(text).unwrap_err().to_string();
        for (text, said) in [
            ("{file_name}", "did you mean {filename}?"),
            ("{Stem}", "did you mean {stem}?"),
            ("{form.}", "did you mean {form.NAME}?"),
            ("{filename|uid}", "did you mean {id}?"),
            ("{id", "a brace stands alone"),
            ("id}", "a brace stands alone"),
            ("", "has no name"),
            ("/{id}", "has no name"),
            ("{id}/", "has no name"),
            ("a//{id}", "has no name"),
            ("../{id}", "cannot stand in a name"),
            ("./{id}", "cannot stand in a name"),
            (".dumbwaiter/{id}", "cannot stand in a name"),
            (".{id}", "cannot stand in a name"),
            ("a\\{id}", "cannot stand in a name"),
            ("{id}: {filename}", "cannot stand in a name"),
            ("con/{id}", "cannot stand in a name"),
            ("a\u{202e}{id}", "cannot stand in a name"),
        ] {
            assert!(why(text).contains(said), "{text:?}: {}", why(text));
        }
    }

    #[test]
    fn only_a_template_with_the_digest_needs_it() {
        let needs = |text| Template::parse(text).unwrap().needs_digest();
        assert!(needs("x/{filename|digest}"));
        assert!(!needs("{filename}/digest"));
    }

    proptest! {
        #[test]
        fn whatever_the_client_says_the_path_stays_inside(
            texts in prop::collection::vec(hostile(), 3),
            template in prop::sample::select(vec![
                "{filename|id}", "{stem|id}-{id}.{ext|id}", "a/{form.x|id}/{field|id}{filename|id}", "e{form.x|id}",
                "CON{ext|id}", "{field|id}{form.x|id}{stem|id}",
            ]),
        ) {
            let id = UploadId::from_bytes([7; 16]);
            let form = [("x".to_owned(), texts[0].clone())];
            let values = Values {
                filename: Some(&texts[1]),
                field: Some(&texts[2]),
                form: &form,
                ..Values::new(&id, SystemTime::UNIX_EPOCH)
            };
            let template = Template::parse(template).unwrap();
            let path = template.render(&values).unwrap();
            prop_assert_eq!(path.components().count(), template.components.len());
            for suffixed in [path.with_suffix("-1"), path.with_suffix("-4294967295"), path] {
                suffixed.components().for_each(assert_harmless);
                prop_assert_eq!(SafePath::from_stored(suffixed.as_str()), Some(suffixed));
            }
        }

        #[test]
        fn a_template_that_parses_never_panics_and_never_leaves_the_folder(
            text in "([a-z.{}|/ \u{e9}]|\\{(stem|form\\.x|ext\\|id|date)\\}){0,12}",
        ) {
            let id = UploadId::from_bytes([7; 16]);
            let values = Values { filename: Some("a.b"), ..Values::new(&id, SystemTime::UNIX_EPOCH) };
            if let Ok(Ok(path)) = Template::parse(&text).map(|template| template.render(&values)) {
                path.components().for_each(assert_harmless);
            }
        }
    }
}
