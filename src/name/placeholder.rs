//! What a template's placeholders stand for.

use std::time::SystemTime;

use super::{TemplateError, clean};
use crate::upload::UploadId;

/// What is known of a file when it is named. All of it may come from the client; none of it needs to be clean.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The upload's id.
    pub id: &'a UploadId,
    /// The file's name as the client sent it.
    pub filename: Option<&'a str>,
    /// The form field that carries the file.
    pub field: Option<&'a str>,
    /// The form's fields that are no files, name and value; of one name the first counts.
    pub form: &'a [(String, String)],
    /// The file's digest in hex, without the algorithm.
    pub digest: Option<&'a str>,
    /// When the upload began.
    pub at: SystemTime,
}

impl<'a> Values<'a> {
    /// What is known of every upload: its id and when it began.
    #[must_use]
    pub fn new(id: &'a UploadId, at: SystemTime) -> Self {
        Self {
            id,
            filename: None,
            field: None,
            form: &[],
            digest: None,
            at,
        }
    }
}

/// A placeholder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Filename,
    Stem,
    Ext,
    Id,
    Date,
    Field,
    Digest,
    Form(String),
}

impl Key {
    const PLAIN: [(&'static str, Self); 7] = [
        ("filename", Self::Filename),
        ("stem", Self::Stem),
        ("ext", Self::Ext),
        ("id", Self::Id),
        ("date", Self::Date),
        ("field", Self::Field),
        ("digest", Self::Digest),
    ];

    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let plain = Self::PLAIN.iter().find(|(name, _)| *name == text);
        let form = text.strip_prefix("form.").filter(|name| !name.is_empty());
        match (plain, form) {
            (Some((_, key)), _) => Ok(key.clone()),
            (None, Some(name)) => Ok(Self::Form(name.to_owned())),
            (None, None) => Err(TemplateError::UnknownPlaceholder {
                given: text.to_owned(),
                nearest: nearest(text),
            }),
        }
    }

    /// The cleaned value, or why there is none.
    pub(super) fn value(&self, values: &Values<'_>) -> Result<String, String> {
        match self {
            Self::Filename => filename(values),
            Self::Stem => filename(values).map(|name| clean::split_extension(&name).0.to_owned()),
            Self::Ext => match clean::split_extension(&filename(values)?).1 {
                "" => Err("the file's name has no extension".to_owned()),
                extension => Ok(extension[1..].to_owned()),
            },
            // Names are shown to whoever may watch, and in the folder: the id itself would give the upload away.
            Self::Id => Ok(values.id.watch().to_string()),
            Self::Date => date(values.at),
            Self::Field => usable(values.field, "form field of the file"),
            Self::Digest => usable(values.digest, "digest of the file"),
            Self::Form(name) => {
                let field = values.form.iter().find(|(field, _)| field == name);
                let (_, value) = field.ok_or_else(|| format!("the form has no field {name:?}"))?;
                clean::component(value).ok_or_else(|| {
                    format!("the form's field {name:?} holds nothing that can be a name")
                })
            }
        }
    }
}

fn filename(values: &Values<'_>) -> Result<String, String> {
    usable(values.filename, "name of the file")
}

fn usable(value: Option<&str>, what: &str) -> Result<String, String> {
    let value = value.ok_or_else(|| format!("there is no {what}"))?;
    clean::component(value).ok_or_else(|| format!("the {what} holds nothing that can be a name"))
}

fn date(at: SystemTime) -> Result<String, String> {
    let at = jiff::Timestamp::try_from(at).map_err(|_| "the clock is out of range".to_owned())?;
    Ok(at.strftime("%Y-%m-%d").to_string())
}

fn nearest(text: &str) -> &'static str {
    let names = Key::PLAIN.iter().map(|(name, _)| *name);
    let known = names.chain(["form.NAME"]);
    let likeness = |name: &&str| strsim::damerau_levenshtein(name.trim_end_matches("NAME"), text);
    known.min_by_key(likeness).unwrap_or("filename")
}
