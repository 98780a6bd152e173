//! What the app's answer grants: in fields of its head, in a small JSON object, or both; the object counts.
//!
//! | field of the head | in the object | what |
//! |---|---|---|
//! | `Dumbwaiter-Owner` | `owner` | to whom the upload belongs |
//! | `Dumbwaiter-Max-Size` | `max_size` | most bytes in its files |
//! | `Dumbwaiter-Name` | `name` | what its files are called; percent-encoded in the head |
//! | `Dumbwaiter-Types` | `types` | types of file taken |
//! | `Dumbwaiter-Fields` | `fields` | fields that it has besides; `a=1&b=2` in the head |
//!
//! What cannot be read, or is not known, is no yes: a limit that is written wrongly would else be none.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::Unasked;
use crate::app::head::to_client;
use crate::error::{Error, Refusal};
use crate::rights::{Act, Grant};
use crate::upload::Owner;

/// The most bytes read of a yes, and of a no, which goes to the client.
const YES: usize = 16 * 1024;
const NO: usize = 64 * 1024;

/// What the app says.
#[derive(Debug)]
pub(super) enum Word {
    Yes(Grant),
    No(Response<Bytes>),
}

/// What a yes says besides.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Said {
    owner: Option<String>,
    max_size: Option<u64>,
    name: Option<String>,
    types: Option<Vec<String>>,
    fields: Option<BTreeMap<String, String>>,
}

/// How much is read of an answer.
pub(super) fn most_bytes(status: StatusCode) -> usize {
    match status.is_success() {
        true => YES,
        false => NO,
    }
}

/// Reads a whole answer. A redirect is a no only where a browser shows a page: it would else follow it, and take what it
/// finds there for the answer to its upload.
pub(super) fn read(act: Act, answer: Response<Bytes>) -> Result<Word, Unasked> {
    let status = answer.status();
    let leads_away = status.is_redirection() && act == Act::Page;
    match status {
        _ if status.is_success() => granted(&answer).map(Word::Yes).map_err(Unasked::Unreadable),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Word::No(passed(answer))),
        _ if leads_away => Ok(Word::No(passed(answer))),
        _ => Err(Unasked::Status(status.as_u16())),
    }
}

/// The app's answer as the client gets it.
fn passed(answer: Response<Bytes>) -> Response<Bytes> {
    let (mut head, body) = answer.into_parts();
    head.headers = to_client(&head.headers);
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, body)
}

/// The same where the client is answered in the words of its protocol.
pub(super) fn refusal(answer: &Response<Bytes>) -> Error {
    let status = answer.status().as_u16();
    let code = match status {
        401 => "unauthorized",
        _ => "forbidden",
    };
    Error::Refused(Refusal {
        code,
        status,
        message: "the app does not let it happen any more".to_owned(),
    })
}

fn granted(answer: &Response<Bytes>) -> Result<Grant, String> {
    let in_head = Said::of(answer.headers())?;
    let in_body = match is_json(answer.headers()) && !answer.body().is_empty() {
        true => Said::read(answer.body())?,
        false => Said::default(),
    };
    in_body.or(in_head).grant()
}

fn is_json(headers: &HeaderMap) -> bool {
    let of = |value: &header::HeaderValue| {
        Some(value.to_str().ok()?.split(';').next()?.trim() == "application/json")
    };
    headers.get(header::CONTENT_TYPE).and_then(of) == Some(true)
}

impl Said {
    fn read(object: &[u8]) -> Result<Self, String> {
        // A list would be taken for the values of an object, one after the other.
        match object.trim_ascii_start().first() {
            Some(b'{') => serde_json::from_slice(object).map_err(|why| why.to_string()),
            _ => Err("it is no object".to_owned()),
        }
    }

    fn of(headers: &HeaderMap) -> Result<Self, String> {
        let text = |name: &str| match headers.get(name).map(|value| value.to_str()) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text.to_owned())),
            Some(Err(_)) => Err(format!("{name} is no ASCII text")),
        };
        let size = text("dumbwaiter-max-size")?.map(|text| text.parse());
        let types = text("dumbwaiter-types")?;
        let types = types.map(|text| text.split(',').map(|of| of.trim().to_owned()).collect());
        Ok(Self {
            owner: text("dumbwaiter-owner")?
                .map(|text| decoded(&text))
                .transpose()?,
            max_size: size
                .transpose()
                .map_err(|_| "Dumbwaiter-Max-Size is no number")?,
            name: text("dumbwaiter-name")?
                .map(|text| decoded(&text))
                .transpose()?,
            types,
            fields: text("dumbwaiter-fields")?
                .map(|text| pairs(&text))
                .transpose()?,
        })
    }

    fn or(self, other: Self) -> Self {
        Self {
            owner: self.owner.or(other.owner),
            max_size: self.max_size.or(other.max_size),
            name: self.name.or(other.name),
            types: self.types.or(other.types),
            fields: self.fields.or(other.fields),
        }
    }

    fn grant(self) -> Result<Grant, String> {
        let owner = |name: String| Owner::named(&name).ok_or("owner is no name of 1 to 200 bytes");
        let types = self.types.unwrap_or_default().into_iter();
        let types: Result<Vec<_>, String> = types
            .map(|of| of.parse().map_err(|_| format!("{of:?} is no type of file")))
            .collect();
        Ok(Grant {
            owner: self.owner.map(owner).transpose()?,
            max_size: self.max_size,
            name: self.name.filter(|name| !name.is_empty()),
            types: types?,
            fields: self.fields.unwrap_or_default().into_iter().collect(),
        })
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| format!("{text:?} is no UTF-8"))?;
    Ok(decoded.into_owned())
}

/// Names and values as a form's address has them.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decoded(&text.replace('+', " "));
        Ok((plain(name)?, plain(value)?))
    };
    text.split('&')
        .filter(|text| !text.is_empty())
        .map(pair)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yes(fields: &[(&'static str, &str)], body: &'static str) -> Result<Grant, String> {
        let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
        for (name, value) in fields {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        match read(Act::Upload, answer) {
            Ok(Word::Yes(grant)) => Ok(grant),
            Ok(Word::No(_)) => panic!("200 is no refusal"),
            Err(why) => Err(why.to_string()),
        }
    }

    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    #[test]
    fn a_yes_says_the_same_in_its_head_and_in_json() {
        let head = yes(
            &[
                ("dumbwaiter-owner", "anna"),
                ("dumbwaiter-max-size", "5000"),
                ("dumbwaiter-name", "%E6%96%99.jpg"),
                ("dumbwaiter-types", "image/*, application/pdf"),
                ("dumbwaiter-fields", "a=1&b=x+y%26"),
            ],
            "",
        );
        let body = yes(
            &[JSON],
            r#"{"owner": "anna", "max_size": 5000, "name": "料.jpg", "types": ["image/*", "application/pdf"],
                "fields": {"a": "1", "b": "x y&"}}"#,
        );
        let head = head.unwrap();
        assert_eq!(head, body.unwrap());
        assert_eq!(head.owner, Some(Owner::Named("anna".into())));
        assert_eq!((head.max_size, head.types.len()), (Some(5000), 2));
        assert_eq!(head.fields[1], ("b".into(), "x y&".into()));
    }

    #[test]
    fn what_is_said_in_both_counts_as_the_object_says_it() {
        let fields = [
            JSON,
            ("dumbwaiter-max-size", "9"),
            ("dumbwaiter-owner", "b"),
        ];
        let grant = yes(&fields, r#"{"max_size": 5}"#).unwrap();
        assert_eq!(grant.max_size, Some(5));
        assert_eq!(grant.owner, Some(Owner::Named("b".into())));
    }

    #[test]
    fn a_limit_that_cannot_be_read_is_no_yes() {
        for (fields, body) in [
            (&[JSON][..], r#"{"maxsize": 5}"#),
            (&[JSON], r#"{"max_size": "5"}"#),
            (&[JSON], r#"{"max_size": -5}"#),
            (&[JSON], r#"{"types": ["pictures"]}"#),
            (&[JSON], r#"{"owner": ""}"#),
            (&[JSON], r#"{"owner": "a\u0000"}"#),
            (&[JSON], "{"),
            (&[JSON], "[]"),
            (&[("dumbwaiter-max-size", "5MB")], ""),
            (&[("dumbwaiter-types", "pictures")], ""),
            (&[("dumbwaiter-owner", "%ff")], ""),
        ] {
            assert!(yes(fields, body).is_err(), "{fields:?} {body}");
        }
        let plain = yes(&[("content-type", "text/html")], "{");
        assert_eq!(plain, Ok(Grant::default()), "a page is no object");
    }

    #[test]
    fn only_401_and_403_are_a_no_and_a_redirect_where_a_page_is_shown() {
        let kind = |act, status: u16| {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = status.try_into().unwrap();
            match read(act, answer) {
                Ok(Word::Yes(_)) => "yes",
                Ok(Word::No(_)) => "no",
                Err(_) => "unasked",
            }
        };
        for (status, upload, page) in [
            (200, "yes", "yes"),
            (204, "yes", "yes"),
            (302, "unasked", "no"),
            (400, "unasked", "unasked"),
            (401, "no", "no"),
            (403, "no", "no"),
            (404, "unasked", "unasked"),
            (500, "unasked", "unasked"),
        ] {
            assert_eq!(
                (kind(Act::Upload, status), kind(Act::Page, status)),
                (upload, page),
                "{status}"
            );
        }
    }
}
