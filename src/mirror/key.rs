//! Under which key the app finds an upload.

use std::fmt::Write as _;
use std::str::FromStr;

use crate::progress::Progress;

/// The most bytes of a key (memcached's protocol, "Keys"); Django refuses longer ones too.
const MOST: usize = 250;

/// A key with places to be filled: `{prefix}:{version}:{addr}_{id}` is Django's around the article's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyTemplate(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Prefix,
    Version,
    Addr,
    Client,
    Id,
}

/// The text is no template of a key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotAKey {
    #[error("{{{0}}} is not known; there are {{prefix}} {{version}} {{addr}} {{client}} {{id}}")]
    Unknown(String),
    #[error("a brace is not closed")]
    Open,
    #[error("{{id}} must be in it: else all uploads would have one key")]
    WithoutId,
}

impl FromStr for KeyTemplate {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            parts.extend(Some(before).filter(|text| !text.is_empty()).map(word));
            let (name, after) = behind.split_once('}').ok_or(NotAKey::Open)?;
            parts.push(match name {
                "prefix" => Part::Prefix,
                "version" => Part::Version,
                "addr" => Part::Addr,
                "client" => Part::Client,
                "id" => Part::Id,
                other => return Err(NotAKey::Unknown(other.to_owned())),
            });
            rest = after;
        }
        parts.extend(Some(rest).filter(|text| !text.is_empty()).map(word));
        match parts.contains(&Part::Id) {
            true => Ok(Self(parts)),
            false => Err(NotAKey::WithoutId),
        }
    }
}

fn word(text: &str) -> Part {
    Part::Text(text.to_owned())
}

/// What is filled in besides the upload's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyFacts {
    /// Django's `KEY_PREFIX`.
    pub(crate) prefix: String,
    /// Django's `VERSION`.
    pub(crate) version: u32,
    /// Our address on the app's connections, which is its `REMOTE_ADDR`; `None` where the client's own is.
    pub(crate) addr: Option<String>,
}

impl KeyTemplate {
    /// The key of an upload; `None` where no cache would take it.
    pub(super) fn fill(&self, facts: &KeyFacts, progress: &Progress) -> Option<String> {
        let id = progress.progress_id()?.as_str();
        let client = progress.client().map(|client| client.to_canonical());
        let client = client.map_or_else(String::new, |client| client.to_string());
        let mut key = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Prefix => key.push_str(&facts.prefix),
                Part::Version => {
                    let _ = write!(key, "{}", facts.version);
                }
                Part::Addr => key.push_str(facts.addr.as_deref().unwrap_or(&client)),
                Part::Client => key.push_str(&client),
                Part::Id => key.push_str(id),
            }
        }
        let plain = key.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        (plain && key.len() <= MOST).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Tap, Tracker, TrackerOptions};
    use crate::upload::{Owner, ProgressId, Protocol, Upload};

    fn tap(id: &str) -> Tap {
        let client = "203.0.113.9".parse().unwrap();
        let mut upload = Upload::new(Protocol::Form, Owner::from_address(client));
        upload.address = client;
        upload.progress_id = ProgressId::parse(id);
        Tracker::start(TrackerOptions::default()).begin(&upload)
    }

    fn fill(template: &str, addr: Option<&str>, id: &str) -> Option<String> {
        let facts = KeyFacts {
            prefix: "site".to_owned(),
            version: 2,
            addr: addr.map(str::to_owned),
        };
        let template: KeyTemplate = template.parse().unwrap();
        template.fill(&facts, tap(id).progress())
    }

    #[test]
    fn a_template_is_filled_with_what_the_app_sees() {
        let django = "{prefix}:{version}:{addr}_{id}";
        for (template, addr, key) in [
            (django, Some("127.0.0.1"), "site:2:127.0.0.1_0.7"),
            (django, Some(""), "site:2:_0.7"),
            (django, None, "site:2:203.0.113.9_0.7"),
            ("up-{client}-{id}!", Some("::1"), "up-203.0.113.9-0.7!"),
        ] {
            assert_eq!(fill(template, addr, "0.7").as_deref(), Some(key));
        }
    }

    #[test]
    fn a_key_that_no_cache_takes_is_none() {
        let fits = "x".repeat(MOST - 4);
        assert!(fill(&format!("{{id}}{fits}"), None, "0.70").is_some());
        assert!(fill(&format!("{{id}}{fits}"), None, "0.700").is_none());
        assert!(fill("{id}", None, "two words").is_none());
        assert_eq!(fill("{id}", None, "料理").as_deref(), Some("料理"));
    }

    #[test]
    fn a_template_names_known_places_and_the_id() {
        for (text, error) in [
            ("", NotAKey::WithoutId),
            ("{addr}", NotAKey::WithoutId),
            ("{id", NotAKey::Open),
            ("{id}{user}", NotAKey::Unknown("user".to_owned())),
        ] {
            assert_eq!(text.parse::<KeyTemplate>(), Err(error), "{text}");
        }
    }
}
