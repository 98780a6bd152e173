//! What is said to the server of one file, in the protocol that it offers, and what its answers mean.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::source::Piece;
use crate::terminal::discover::{Offer, Way};
use crate::terminal::http::{Client, Failed, Pulse, nothing, refusal};
use crate::terminal::url::Url;

/// What stands as it is in a file's name (RFC 8187, 3.2.1), as far as it occurs in most.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// What is said of a file.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) length: Option<u64>,
    /// SHA-256, where the server is to check the whole of it.
    pub(super) digest: Option<[u8; 32]>,
}

/// What goes wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// The same may do better later, at the earliest when the server says.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// The upload stands elsewhere than was thought.
    Moved { why: String },
    /// There is no such upload.
    Gone,
    /// The file is no longer what it was.
    Changed,
    /// The right or the room is missing, or the way there; what is there stays.
    NotNow { why: String },
    /// It would be so again.
    Refused { why: String },
}

/// How an upload stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stand {
    /// The server has so many bytes of it.
    At(u64),
    /// It has all, and the file is there.
    Done(Url),
}

const UNSAID: &str = "the server does not say how far the upload is";

/// What the server has is not what was sent.
fn more_than(sent: u64, reached: u64) -> Trouble {
    Trouble::Refused {
        why: format!("the server has {reached} bytes of it, and only {sent} were sent"),
    }
}

/// One client and one server.
#[derive(Clone, Copy)]
pub(super) struct Talk<'a> {
    pub(super) client: &'a Client,
    pub(super) offer: &'a Offer,
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        let why = failed.to_string();
        match failed {
            // The line may lead elsewhere for now: what was noted stays.
            Failed::Untrusted { .. } => Self::NotNow { why },
            Failed::Unreachable { .. } | Failed::Broken { .. } => Self::Later { why, after: None },
        }
    }
}

impl Talk<'_> {
    /// Begins an upload; tells where it is.
    pub(super) async fn create(self, facts: &Facts) -> Result<Url, Trouble> {
        let mut fields = self.speaks();
        match self.offer.way {
            Way::Tus => {
                match facts.length {
                    Some(length) => set(&mut fields, "upload-length", &length.to_string()),
                    None => set(&mut fields, "upload-defer-length", "1"),
                }
                let name = STANDARD.encode(&facts.name);
                set(&mut fields, "upload-metadata", &format!("filename {name}"));
            }
            Way::Ietf | Way::Plain => {
                set(&mut fields, "upload-complete", "?0");
                if let Some(length) = facts.length {
                    set(&mut fields, "upload-length", &length.to_string());
                }
                let name = utf8_percent_encode(&facts.name, NAME);
                set(
                    &mut fields,
                    "content-disposition",
                    &format!("attachment; filename*=UTF-8''{name}"),
                );
                promise(&mut fields, facts);
            }
        }
        let endpoint = &self.offer.endpoint;
        let answer = self.client.short(Method::POST, endpoint, fields).await?;
        match answer.status() {
            StatusCode::CREATED => located(endpoint, &answer).ok_or(Trouble::Refused {
                why: "the server does not say where the upload is".to_owned(),
            }),
            _ => Err(trouble(&answer)),
        }
    }

    /// Asks how far an upload is.
    pub(super) async fn look(self, upload: &Url, length: Option<u64>) -> Result<Stand, Trouble> {
        let answer = self
            .client
            .short(Method::HEAD, upload, self.speaks())
            .await?;
        if !answer.status().is_success() {
            return Err(trouble(&answer));
        }
        // Perhaps it is another who answers, as a hotel's page does: what was noted stays.
        let offset = number(answer.headers(), "upload-offset").ok_or(Trouble::NotNow {
            why: UNSAID.to_owned(),
        })?;
        let complete = match self.offer.way {
            Way::Tus => length == Some(offset),
            Way::Ietf | Way::Plain => is(answer.headers(), "upload-complete", "?1"),
        };
        match (complete, length) {
            (_, Some(length)) if offset > length => Err(more_than(length, offset)),
            (true, Some(length)) if offset < length => Err(Trouble::Refused {
                why: format!("the server has ended it at {offset} of its {length} bytes"),
            }),
            (true, _) => Ok(Stand::Done(upload.clone())),
            (false, _) => Ok(Stand::At(offset)),
        }
    }

    /// Sends a piece that begins at `offset`. `at` counts what the line has taken.
    pub(super) async fn append(
        self,
        upload: &Url,
        offset: u64,
        piece: &Piece,
        checked: bool,
        at: &Arc<AtomicU64>,
    ) -> Result<Stand, Trouble> {
        let mut fields = self.speaks();
        set(&mut fields, "upload-offset", &offset.to_string());
        let end = offset + piece.length;
        match self.offer.way {
            Way::Tus => {
                set(
                    &mut fields,
                    "content-type",
                    "application/offset+octet-stream",
                );
                if piece.is_last {
                    set(&mut fields, "upload-length", &end.to_string());
                }
                if checked && let Some(bytes) = piece.bytes() {
                    let sum = STANDARD.encode(Sha256::digest(bytes));
                    set(&mut fields, "upload-checksum", &format!("sha256 {sum}"));
                }
            }
            Way::Ietf | Way::Plain => {
                set(&mut fields, "content-type", "application/partial-upload");
                set(
                    &mut fields,
                    "upload-complete",
                    if piece.is_last { "?1" } else { "?0" },
                );
                if checked && let Some(bytes) = piece.bytes() {
                    let sum = STANDARD.encode(Sha256::digest(bytes));
                    set(&mut fields, "content-digest", &format!("sha-256=:{sum}:"));
                }
            }
        }
        let answer = self.bring(Method::PATCH, upload, fields, piece, at).await?;
        if !answer.status().is_success() {
            return Err(trouble(&answer));
        }
        let stand = self.stand(&answer, end, piece.is_last)?;
        Ok(stand.unwrap_or_else(|| Stand::Done(result(upload, &answer))))
    }

    /// Where an upload stands after a piece up to `end` was taken; `None` when it is complete. A success that says neither
    /// that nor how far it is may be anybody's.
    fn stand(
        self,
        answer: &Response<Bytes>,
        end: u64,
        is_last: bool,
    ) -> Result<Option<Stand>, Trouble> {
        let says =
            |word| self.offer.way != Way::Tus && is(answer.headers(), "upload-complete", word);
        match number(answer.headers(), "upload-offset") {
            Some(reached) if reached > end => Err(more_than(end, reached)),
            Some(reached) if is_last && reached == end && !says("?0") => Ok(None),
            Some(reached) => Ok(Some(Stand::At(reached))),
            None if is_last && says("?1") => Ok(None),
            None if !is_last && says("?0") => Ok(Some(Stand::At(end))),
            None => Err(Trouble::Moved {
                why: UNSAID.to_owned(),
            }),
        }
    }

    /// Sends all of a file in one request, which cannot be gone on with.
    pub(super) async fn put(
        self,
        facts: &Facts,
        piece: &Piece,
        at: &Arc<AtomicU64>,
    ) -> Result<Url, Trouble> {
        let name = utf8_percent_encode(&facts.name, NAME).to_string();
        let place = self.offer.endpoint.below(&name).ok_or(Trouble::Refused {
            why: "its name cannot be sent".to_owned(),
        })?;
        let mut fields = HeaderMap::new();
        promise(&mut fields, facts);
        let answer = self.bring(Method::PUT, &place, fields, piece, at).await?;
        match answer.status().is_success() {
            true => Ok(result(&place, &answer)),
            false => Err(trouble(&answer)),
        }
    }

    async fn bring(
        self,
        method: Method,
        url: &Url,
        fields: HeaderMap,
        piece: &Piece,
        at: &Arc<AtomicU64>,
    ) -> Result<Response<Bytes>, Trouble> {
        let pulse = Pulse::new();
        let body = match piece.length {
            0 => nothing(),
            _ => piece.body(at, &pulse),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.headers_mut() = fields;
        let answered = async {
            let answer = self.client.ask(url, request, &pulse).await?;
            self.client.whole(url, answer).await
        };
        match answered.await {
            Err(_) if piece.has_changed() => Err(Trouble::Changed),
            answered => Ok(answered?),
        }
    }

    /// What every request says. No draft is named in that of the IETF: a server would answer that early, by 104, and a proxy
    /// that does not know of such answers takes one for the last.
    fn speaks(self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        if self.offer.way == Way::Tus {
            set(&mut fields, "tus-resumable", "1.0.0");
        }
        fields
    }
}

/// Says what the whole file must add up to (RFC 9530).
fn promise(fields: &mut HeaderMap, facts: &Facts) {
    if let Some(digest) = facts.digest {
        let text = STANDARD.encode(digest);
        set(fields, "repr-digest", &format!("sha-256=:{text}:"));
    }
}

/// Puts a field in that is made of what a header field can have.
fn set(fields: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.insert(HeaderName::from_static(name), value);
    }
}

fn number(fields: &HeaderMap, name: &str) -> Option<u64> {
    fields.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn is(fields: &HeaderMap, name: &str, value: &str) -> bool {
    fields.get(name).is_some_and(|given| given == value)
}

fn located(from: &Url, answer: &Response<Bytes>) -> Option<Url> {
    from.leads_to(answer.headers().get(header::LOCATION)?.to_str().ok()?)
}

/// Where the file is: as the record says, or its field, else where the upload was.
fn result(upload: &Url, answer: &Response<Bytes>) -> Url {
    let record: Option<serde_json::Value> = serde_json::from_slice(answer.body()).ok();
    let url = record.as_ref().and_then(|record| record["url"].as_str());
    let url = url.and_then(|url| upload.leads_to(url));
    url.or_else(|| located(upload, answer))
        .unwrap_or_else(|| upload.clone())
}

/// What a refusal means.
fn trouble(answer: &Response<Bytes>) -> Trouble {
    let why = refusal(answer);
    let code: Option<serde_json::Value> = serde_json::from_slice(answer.body()).ok();
    let code = code.as_ref().and_then(|problem| problem["code"].as_str());
    let after = number(answer.headers(), "retry-after").map(Duration::from_secs);
    match (answer.status().as_u16(), code) {
        (401, _) => Trouble::NotNow {
            why: format!("{why}; give a token by --token-file or DUMBWAITER_SEND_TOKEN"),
        },
        // Somebody between here and there may say so, who knows of no upload.
        (300..=399 | 403 | 407 | 421 | 507 | 511, _) => Trouble::NotNow { why },
        (404 | 410, _) => Trouble::Gone,
        // Bytes that were damaged on the way, or a request of ours that the server still hears.
        (400, Some("superseded")) | (460, _) => Trouble::Moved { why },
        (409, _) if answer.headers().contains_key("upload-offset") => Trouble::Moved { why },
        (408 | 423 | 425 | 429 | 500 | 502..=504 | 520..=530, _) => Trouble::Later { why, after },
        _ => Trouble::Refused { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        status: u16,
        fields: &[(&'static str, &'static str)],
        body: &'static str,
    ) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in fields {
            answer
                .headers_mut()
                .insert(*name, HeaderValue::from_static(value));
        }
        answer
    }

    #[test]
    fn what_may_do_better_is_tried_again_and_what_would_not_is_not() {
        let word = |trouble: Trouble| match trouble {
            Trouble::Later { after, .. } => format!("later {after:?}"),
            Trouble::Moved { .. } => "moved".to_owned(),
            Trouble::Gone => "gone".to_owned(),
            Trouble::Changed => "changed".to_owned(),
            Trouble::NotNow { .. } => "not now".to_owned(),
            Trouble::Refused { .. } => "refused".to_owned(),
        };
        for (status, fields, body, means) in [
            (503, &[("retry-after", "5")][..], "", "later Some(5s)"),
            (500, &[], "", "later None"),
            (
                429,
                &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")],
                "",
                "later None",
            ),
            (404, &[], "", "gone"),
            (410, &[], "", "gone"),
            (409, &[("upload-offset", "7")], "", "moved"),
            (
                409,
                &[],
                r#"{"code":"name_taken","detail":"a file named so is there"}"#,
                "refused",
            ),
            (400, &[], r#"{"code":"superseded"}"#, "moved"),
            (400, &[], r#"{"code":"digest_mismatch"}"#, "refused"),
            (460, &[], "", "moved"),
            (413, &[], "", "refused"),
            (507, &[], "", "not now"),
            (401, &[], "", "not now"),
            (403, &[], "", "not now"),
            (302, &[("location", "http://login.example/")], "", "not now"),
            (407, &[], "", "not now"),
            (511, &[], "", "not now"),
            (502, &[], "", "later None"),
            (522, &[], "", "later None"),
            (501, &[], "", "refused"),
            (200, &[], "", "refused"),
        ] {
            assert_eq!(
                word(trouble(&answer(status, fields, body))),
                means,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn where_the_file_is_comes_from_the_record_else_the_head_else_it_is_the_upload() {
        let upload: Url = "http://a/files/1".parse().unwrap();
        let at = |location: &'static str, body: &'static str| {
            let fields = &[("location", location)][..usize::from(!location.is_empty())];
            result(&upload, &answer(201, fields, body)).to_string()
        };
        assert_eq!(at("/files/2", r#"{"url":"/files/3"}"#), "http://a/files/3");
        assert_eq!(at("/files/2", r#"{"url":null}"#), "http://a/files/2");
        assert_eq!(at("http://b/files/2", "no record"), "http://a/files/1");
        assert_eq!(at("", ""), "http://a/files/1");
    }
}
