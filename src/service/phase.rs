//! `PUT /uploads/ID/phase`: the app reports what it does with an upload that it has in hand, and how that ends.
//!
//! | the app sends | it means |
//! |---|---|
//! | `{"name": "scanning", "done": 3, "total": 10}` | a step, told to all who watch; `done` and `total` may be left out |
//! | `{"state": "done"}`, or `{"name": "done"}` | its last word: all is well |
//! | `{"state": "error", "message": "a virus"}`, or `{"name": "error", …}` | its last word: it does not take the upload |
//!
//! The caller is no browser: who may is shown by the token that came with the upload, and neither `Host` nor `Origin` counts.

use http::header::AUTHORIZATION;
use http::{Method, Response, StatusCode};

use super::Lift;
use crate::error::Error;
use crate::hand_off::{Report, Word};
use crate::outbound::ResponseBody;
use crate::progress::Phase;
use crate::protocol::{Asked, answer, remove};
use crate::receive::Body;
use crate::upload::UploadId;

/// The most bytes of a report.
const REPORT: usize = 4 * 1024;

/// A report as it is sent.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    state: Option<String>,
    name: Option<String>,
    done: Option<u64>,
    total: Option<u64>,
    message: Option<String>,
}

impl Lift {
    /// The upload on which a request reports.
    pub(super) fn reported(&self, asked: &Asked) -> Option<UploadId> {
        let path = self.below(asked.head.uri.path())?;
        let name = path.strip_prefix("/uploads/")?.strip_suffix("/phase")?;
        (asked.head.method == Method::PUT).then(|| name.parse().ok())?
    }

    /// Takes the app's report.
    pub(super) async fn report(
        &self,
        id: &UploadId,
        asked: &Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        match self.take_report(id, asked, body).await {
            Ok(()) => remove::empty(StatusCode::NO_CONTENT).map(Into::into),
            Err(error) => answer::refused(&asked.head.headers, "", &error).map(Into::into),
        }
    }

    async fn take_report(&self, id: &UploadId, asked: &Asked, body: Body) -> Result<(), Error> {
        let working = self.working.as_ref().ok_or(Error::NotFound)?;
        let given = asked.head.headers.get(AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok()?.split_once(' '));
        let token = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or(Error::NotFound)?;
        let patience = self.inbound.receiver.pace.stall;
        let text = read(body);
        let text = match patience {
            None => text.await?,
            Some(time) => {
                let late = |_| Error::Stalled {
                    seconds: time.as_secs(),
                };
                tokio::time::timeout(time, text).await.map_err(late)??
            }
        };
        working.report(id, token.trim(), parse(&text)?)
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, Error> {
    let (mut text, mut frames) = (Vec::new(), Vec::new());
    while body.frames(&mut frames).await? {
        for frame in frames.drain(..) {
            text.extend_from_slice(&frame);
        }
        if text.len() > REPORT {
            return Err(Error::LimitExceeded {
                what: "bytes in a report",
                limit: REPORT as u64,
            });
        }
    }
    Ok(text)
}

fn parse(text: &[u8]) -> Result<Report, Error> {
    let malformed = || Error::BadRequest {
        what: "a report is {\"name\", \"done\", \"total\"}, {\"state\": \"done\"} or {\"state\": \"error\", \"message\"}",
    };
    let sent: Sent = serde_json::from_slice(text).map_err(|_| malformed())?;
    match (sent.state.as_deref(), sent.name) {
        (Some("done"), _) => Ok(Report::Last(Word::Done)),
        (None, Some(name)) if name == "done" => Ok(Report::Last(Word::Done)),
        (Some("error"), _) => Ok(Report::Last(refusal(sent.message))),
        (None, Some(name)) if name == "error" => Ok(Report::Last(refusal(sent.message))),
        (None, Some(name)) if !name.is_empty() => Ok(Report::Step(Phase {
            name,
            done: sent.done,
            total: sent.total,
        })),
        _ => Err(malformed()),
    }
}

fn refusal(message: Option<String>) -> Word {
    Word::Error(message.unwrap_or_else(|| "the app did not take the upload".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_step_or_the_last_word() {
        let step = |name: &str, done, total| {
            Some(Report::Step(Phase {
                name: name.to_owned(),
                done,
                total,
            }))
        };
        let error = |message: &str| Some(Report::Last(Word::Error(message.to_owned())));
        let done = || Some(Report::Last(Word::Done));
        for (text, expected) in [
            (
                r#"{"name": "scanning", "done": 3, "total": 10}"#,
                step("scanning", Some(3), Some(10)),
            ),
            (r#"{"name": "waiting"}"#, step("waiting", None, None)),
            (r#"{"state": "done"}"#, done()),
            (r#"{"name": "done"}"#, done()),
            (
                r#"{"state": "error", "message": "a virus"}"#,
                error("a virus"),
            ),
            (
                r#"{"name": "error", "message": "a virus"}"#,
                error("a virus"),
            ),
            (
                r#"{"state": "error"}"#,
                error("the app did not take the upload"),
            ),
            (r#"{"state": "processing"}"#, None),
            (r#"{"name": ""}"#, None),
            (r#"{"name": "a", "done": -1}"#, None),
            (r#"{"nmae": "a"}"#, None),
            ("{}", None),
            ("", None),
            ("[]", None),
        ] {
            assert_eq!(parse(text.as_bytes()).ok(), expected, "{text}");
        }
    }
}
