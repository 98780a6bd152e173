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
    #[error("a brace stands alone")]
    Open,
    #[error("a key holds no spaces and no control characters")]
    Unusable,
    #[error("{{id}} must be in it: else all uploads would have one key")]
    WithoutId,
}

impl FromStr for KeyTemplate {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            parts.extend(word(before)?);
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
        parts.extend(word(rest)?);
        match parts.contains(&Part::Id) {
            true => Ok(Self(parts)),
            false => Err(NotAKey::WithoutId),
        }
    }
}

fn word(text: &str) -> Result<Option<Part>, NotAKey> {
    if text.contains('}') {
        return Err(NotAKey::Open);
    }
    let text = part_of_a_key(text)?;
    Ok((!text.is_empty()).then_some(Part::Text(text)))
}

/// Text that may stand in a key; it may be empty.
///
/// # Errors
/// [`NotAKey::Unusable`].
pub(crate) fn part_of_a_key(text: &str) -> Result<String, NotAKey> {
    match is_plain(text) {
        true => Ok(text.to_owned()),
        false => Err(NotAKey::Unusable),
    }
}

/// Without what Django refuses in a key, and what would end it in memcached's protocol.
fn is_plain(text: &str) -> bool {
    !text.bytes().any(|byte| byte <= b' ' || byte == 0x7f)
}

/// What is filled in besides the upload's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyFacts {
    /// Django's `KEY_PREFIX`.
    pub(crate) prefix: String,
    /// Django's `VERSION`.
    pub(crate) version: u32,
}

impl KeyTemplate {
    /// The key of an upload; `None` where no cache would take it.
    /// `addr` is what the app sees as `REMOTE_ADDR`, where that is not the client's own address.
    pub(super) fn fill(
        &self,
        facts: &KeyFacts,
        addr: Option<&str>,
        progress: &Progress,
    ) -> Option<String> {
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
                Part::Addr => key.push_str(addr.unwrap_or(&client)),
                Part::Client => key.push_str(&client),
                Part::Id => key.push_str(id),
            }
        }
        (is_plain(&key) && key.len() <= MOST).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        };
        let template: KeyTemplate = template.parse().unwrap();
        template.fill(&facts, addr, tap(id).progress())
    }

    #[test]
    fn a_template_is_filled_with_what_the_app_sees() {
        let django = "{prefix}:{version}:{addr}_{id}";
        for (template, addr, key) in [
            (django, Some("127.0.0.1"), "site:2:127.0.0.1_0.7"),
            (django, Some(""), "site:2:_0.7"),
            (django, None, "site:2:203.0.113.9_0.7"),
            ("up-{client}-{id}!", Some("::1"), "up-203.0.113.9-0.7!"),
            ("{id}:{id}", None, "0.7:0.7"),
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
            ("{id}}", NotAKey::Open),
            ("a } {id}", NotAKey::Open),
            ("up {id}", NotAKey::Unusable),
            ("{id}\n", NotAKey::Unusable),
            ("{id}\u{7f}", NotAKey::Unusable),
            ("{id}{user}", NotAKey::Unknown("user".to_owned())),
        ] {
            assert_eq!(text.parse::<KeyTemplate>(), Err(error), "{text}");
        }
    }

    #[test]
    fn what_a_client_writes_is_never_taken_for_a_place_to_be_filled() {
        let id = "{addr}{prefix}{id}";
        assert_eq!(fill("{id}-{addr}", Some("a"), id), Some(format!("{id}-a")));
    }

    #[test]
    fn a_prefix_that_no_key_can_hold_is_refused() {
        assert_eq!(part_of_a_key("site:é"), Ok("site:é".to_owned()));
        for text in ["a b", "a\r\nflush_all", "\u{7f}", "\0"] {
            assert_eq!(part_of_a_key(text), Err(NotAKey::Unusable), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_one_that_caches_and_django_take_or_none(text in "[\\x20-\\x7e€é]{1,66}|[!-~]{190,200}|[!-~€é]{1,66}") {
            prop_assume!(ProgressId::parse(&text).is_some());
            let key = fill("{prefix}:{version}:{addr}_{id}", Some("::1"), &text);
            let whole = format!("site:2:::1_{text}");
            let fits = whole.len() <= 250 && !whole.chars().any(|c| c <= ' ' || c == '\u{7f}');
            prop_assert_eq!(key, fits.then_some(whole));
        }
    }
}
