//! `Upload-Metadata`: `key base64, key2 base64`.
//!
//! The text is kept to the byte, since HEAD must give it back as it was; its pairs are read once, to name the file and to
//! stand in the record. Clients agree on two of the keys only in part: `filename` and `filetype` are tus-js-client's and
//! most others', `name` and `type` are Uppy's.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::head::{METADATA, bad};
use crate::error::Error;
use crate::upload::FileHead;

/// Some clients leave the padding out, which makes no other reading possible.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the client says of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// The field's value as it came.
    pub given: String,
    /// Its pairs, decoded, in their order. Bytes that are no UTF-8 become U+FFFD.
    pub pairs: Vec<(String, String)>,
}

/// Reads the field's value, of at most `most` bytes.
///
/// An empty value is no pairs (TRAPS, "Empty metadata"); a key without a value has an empty one.
///
/// # Errors
/// [`Error::LimitExceeded`]; [`Error::BadRequest`] when a key is empty, stands twice, or has other characters than those
/// of printable ASCII, or when a value is no base64 (tus 1.0, "Upload-Metadata").
pub fn read(text: &str, most: usize) -> Result<Metadata, Error> {
    if text.len() > most {
        return Err(Error::LimitExceeded {
            what: "bytes in Upload-Metadata",
            limit: most as u64,
        });
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut keys = std::collections::HashSet::new();
    for item in text.split(',').filter(|_| !text.is_empty()) {
        let (key, value) = pair(item.trim_matches(' '))?;
        if !keys.insert(key) {
            return Err(bad("its Upload-Metadata has a key twice"));
        }
        pairs.push((key.to_owned(), value));
    }
    Ok(Metadata {
        given: text.to_owned(),
        pairs,
    })
}

fn pair(item: &str) -> Result<(&str, String), Error> {
    let (key, value) = item.split_once(' ').unwrap_or((item, ""));
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(METADATA.bad());
    }
    let value = BASE64.decode(value).map_err(|_| METADATA.bad())?;
    Ok((key, String::from_utf8_lossy(&value).into_owned()))
}

impl Metadata {
    /// What of the pairs is said of the file, and what is left: fields, as those of a form.
    #[must_use]
    pub fn split(&self) -> (FileHead, Vec<(String, String)>) {
        let mut fields = self.pairs.clone();
        let mut take = |keys: [&str; 2]| {
            let at = keys
                .iter()
                .find_map(|key| fields.iter().position(|(known, _)| known == key))?;
            // What a client sends empty it does not know.
            Some(fields.remove(at).1).filter(|value| !value.is_empty())
        };
        let head = FileHead {
            field: None,
            name: take(["filename", "name"]),
            content_type: take(["filetype", "type"]),
        };
        (head, fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<String, &'static str> {
        let metadata = read(text, 200).map_err(|error| error.code())?;
        assert_eq!(metadata.given, text);
        let pairs = metadata.pairs.iter();
        Ok(pairs
            .map(|(key, value)| format!("{key}={value};"))
            .collect())
    }

    #[test]
    fn pairs_are_read_as_clients_write_them() {
        for (text, expected) in [
            // tuspy sends the field with nothing in it.
            ("", ""),
            // tus-js-client has no space behind the comma, the protocol's example has one.
            (
                "filename cGFlbGxhLmpwZw==,filetype aW1hZ2UvanBlZw==",
                "filename=paella.jpg;filetype=image/jpeg;",
            ),
            ("a YQ==, b Yg==", "a=a;b=b;"),
            ("is_confidential", "is_confidential=;"),
            ("a ,b Yg==", "a=;b=b;"),
            ("a YQ", "a=a;"),
            ("a YQ=", "a=a;"),
            ("a 5paZ55CG", "a=料理;"),
            ("a /w==", "a=\u{fffd};"),
            ("a[b];=\"' YQ==", "a[b];=\"'=a;"),
        ] {
            assert_eq!(pairs(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_two_readings_or_none_is_refused() {
        for text in [
            " ",
            ",",
            "a YQ==,",
            ",a YQ==",
            "a YQ==,,b Yg==",
            "a YQ==,a Yg==",
            "a YQ== Yg==",
            "a  YQ==",
            "a\tYQ==",
            "a Y",
            "a YQ===",
            "a YR==",
            "a Y-_=",
            "a =",
        ] {
            assert_eq!(pairs(text), Err("bad_request"), "{text}");
        }
        assert_eq!(pairs(&"a".repeat(201)), Err("limit_exceeded"));
        assert!(pairs(&"a".repeat(200)).is_ok());
    }

    #[test]
    fn a_file_is_named_by_either_key_and_the_rest_are_fields() {
        for (text, name, kind, fields) in [
            ("filename YQ==,filetype Yg==", Some("a"), Some("b"), ""),
            ("name YQ==,type Yg==", Some("a"), Some("b"), ""),
            // Uppy sends both.
            (
                "relativePath bnVsbA==,name YQ==,filename Yg==",
                Some("b"),
                None,
                "relativePath name ",
            ),
            ("filename ,name YQ==", None, None, "name "),
            ("id MTI=", None, None, "id "),
            ("Filename YQ==", None, None, "Filename "),
        ] {
            let (head, rest) = read(text, 200).unwrap().split();
            assert_eq!(head.name.as_deref(), name, "{text}");
            assert_eq!(head.content_type.as_deref(), kind, "{text}");
            let keys: String = rest.iter().map(|(key, _)| format!("{key} ")).collect();
            assert_eq!(keys, fields, "{text}");
        }
    }
}
