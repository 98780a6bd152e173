//! Answers of one moment: the article's poll, and records as JSON.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};

use super::asked::{Ask, Last};
use super::{PollUnknown, Uploads, Watch, fresh, json, only_get, sse};
use crate::accept::prefer;
use crate::error::Error;
use crate::problem::problem;
use crate::progress::{Key, Numbers, Record, State};
use crate::query::{self, GivenId};
use crate::upload::Owner;

/// What is said while nothing can be: not a length of 0, by which the article's page divides.
const NOTHING_YET: &str = r#"{"uploaded": 0, "length": 1}"#;
/// The most bytes of an array of records.
const MAX_ARRAY: usize = 4 * 1024 * 1024;

impl Watch {
    /// `GET /get_upload_progress?X-Progress-ID=ID`, the article's poll: `{"uploaded": N, "length": M}`, and `null` when
    /// the upload is done or the id unknown. The numbers are body bytes.
    ///
    /// `uploaded` stays below `length` until the upload is done, so that the page shows no 100 % while work remains.
    /// After a failure the last numbers stay with `state` and `error` beside them. An unknown length is 0 of 1.
    #[must_use]
    pub fn article(&self, request: &Parts, owners: &[Owner]) -> Response<Bytes> {
        self.article_body(request, owners)
            .map_or_else(|error| problem(&error), json)
    }

    fn article_body(&self, request: &Parts, owners: &[Owner]) -> Result<String, Error> {
        only_get(request)?;
        let given = match GivenId::in_query(&request.uri) {
            GivenId::Absent => return Err(Error::MissingProgressId),
            given => given,
        };
        let Some(key) = self.progress_key(owners, given) else {
            return Ok("null".to_owned());
        };
        Ok(match self.tracker.find(&key) {
            Some(found) => article_numbers(found.progress.numbers()),
            None => self.article_unknown(&key).to_owned(),
        })
    }

    fn article_unknown(&self, key: &Key) -> &'static str {
        let waits = self.options.poll_unknown == PollUnknown::Wait;
        match waits && self.is_awaited(key) {
            true => NOTHING_YET,
            false => "null",
        }
    }

    /// `GET /uploads/NAME`, with `NAME` an id or a watch name, or `GET /uploads?id=A&id=B&X-Progress-ID=C` for several:
    /// the record, or an array with `null` for what is unknown; with `Accept: text/event-stream` an [`EventStream`] of
    /// them all. `base` is the path under which everything stands, `owners` is everybody that the asker is.
    ///
    /// A single unknown name is [`Error::NotFound`], and not being allowed looks the same.
    ///
    /// [`EventStream`]: super::EventStream
    #[must_use]
    pub fn uploads(
        &self,
        request: &Parts,
        owners: &[Owner],
        base: &str,
        name: Option<&str>,
    ) -> Uploads {
        let live = request.method == Method::GET && wants_stream(request);
        let answer = only_get(request).and_then(|()| {
            let asks = self.asks(request, owners, name)?;
            if live {
                return self.live(request, asks, base);
            }
            let body = match name {
                Some(_) => self
                    .record(&asks[0], base)
                    .ok_or(Error::NotFound)?
                    .to_json(),
                None => self.records(&asks, base)?,
            };
            Ok(Uploads::Now(json(body)))
        });
        answer.unwrap_or_else(|error| Uploads::Now(problem(&error)))
    }

    /// What is asked for, in order: never empty, never more than the bound.
    fn asks(
        &self,
        request: &Parts,
        owners: &[Owner],
        name: Option<&str>,
    ) -> Result<Vec<Ask>, Error> {
        if let Some(name) = name {
            return Ok(vec![Ask::by_name(Some(name))]);
        }
        let asks: Vec<_> = query::pairs(&request.uri)
            .filter_map(|(name, value)| match &*name {
                "id" => Some(Ask::by_name(value.as_deref())),
                other if query::is_progress_id(other) => {
                    let key = self.progress_key(owners, GivenId::from_value(value.as_deref()));
                    Some(Ask::by_progress_id(value.as_deref(), key))
                }
                _ => None,
            })
            .take(self.options.max_ids.saturating_add(1))
            .collect();
        match asks.len() {
            0 => Err(Error::BadRequest {
                what: "it names no upload: give id or X-Progress-ID",
            }),
            many if many > self.options.max_ids => Err(Error::BadRequest {
                what: "it asks for too many uploads at once",
            }),
            _ => Ok(asks),
        }
    }

    fn record(&self, ask: &Ask, base: &str) -> Option<Record> {
        let found = self.tracker.find(ask.key.as_ref()?)?;
        Some(found.progress.record(found.holder, base))
    }

    /// An array in one piece, for which every other poll has to wait: bounded, unlike a stream, which tells much bit by
    /// bit.
    fn records(&self, asks: &[Ask], base: &str) -> Result<String, Error> {
        let mut array = String::from("[");
        for (index, ask) in asks.iter().enumerate() {
            let record = self.record(ask, base).map(|record| record.to_json());
            array.push_str(if index == 0 { "" } else { "," });
            array.push_str(record.as_deref().unwrap_or("null"));
            if array.len() > MAX_ARRAY {
                return Err(Error::LimitExceeded {
                    what: "bytes in records; ask for fewer uploads at once, or for a stream",
                    limit: MAX_ARRAY as u64,
                });
            }
        }
        array.push(']');
        Ok(array)
    }

    fn live(&self, request: &Parts, asks: Vec<Ask>, base: &str) -> Result<Uploads, Error> {
        let last = Last::of(&request.headers, asks.len());
        let place = std::sync::Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::TooManyWatchers)?;
        let opened = sse::open(&self.tracker, &self.options, asks, last, base, place);
        Ok(match opened {
            Some(stream) => Uploads::Live(sse::response(stream)),
            // The one answer that stops EventSource.
            None => Uploads::Now(fresh(http::StatusCode::NO_CONTENT, Bytes::new())),
        })
    }
}

pub(super) fn wants_stream(request: &Parts) -> bool {
    let offers = ["application/json", sse::EVENT_STREAM];
    prefer(&request.headers, &offers) == Some(sse::EVENT_STREAM)
}

/// The article's numbers, with the spaces of Python's `json.dumps`.
fn article_numbers(numbers: Numbers) -> String {
    if numbers.state == State::Done {
        return "null".to_owned();
    }
    let (uploaded, length) = numbers.for_the_article();
    let state = match (numbers.state, numbers.error) {
        (State::Error, Some((code, _))) => {
            format!(
                r#", "state": "error", "error": {}"#,
                serde_json::Value::from(code)
            )
        }
        (State::Interrupted, _) => r#", "state": "interrupted""#.to_owned(),
        _ => String::new(),
    };
    format!(r#"{{"uploaded": {uploaded}, "length": {length}{state}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn article_shows_each_state_by_the_books() {
        use State::{Done, Error, Interrupted, Processing, Starting, Uploading};
        let failed = Some(("client_gone", 499));
        for (state, received, length, error, body) in [
            (
                Starting,
                0,
                Some(10),
                None,
                r#"{"uploaded": 0, "length": 10}"#,
            ),
            (Starting, 0, None, None, NOTHING_YET),
            (
                Uploading,
                4,
                Some(10),
                None,
                r#"{"uploaded": 4, "length": 10}"#,
            ),
            (
                Uploading,
                10,
                Some(10),
                None,
                r#"{"uploaded": 9, "length": 10}"#,
            ),
            (
                Uploading,
                1,
                Some(1),
                None,
                r#"{"uploaded": 0, "length": 1}"#,
            ),
            (Uploading, 4, None, None, NOTHING_YET),
            (
                Interrupted,
                4,
                Some(10),
                None,
                r#"{"uploaded": 4, "length": 10, "state": "interrupted"}"#,
            ),
            (
                Processing,
                10,
                Some(10),
                None,
                r#"{"uploaded": 9, "length": 10}"#,
            ),
            (Processing, 0, Some(0), None, NOTHING_YET),
            (Done, 10, Some(10), None, "null"),
            (
                Error,
                4,
                Some(10),
                failed,
                r#"{"uploaded": 4, "length": 10, "state": "error", "error": "client_gone"}"#,
            ),
            (
                Error,
                4,
                None,
                failed,
                r#"{"uploaded": 0, "length": 1, "state": "error", "error": "client_gone"}"#,
            ),
        ] {
            let numbers = Numbers {
                state,
                received,
                length,
                error,
            };
            assert_eq!(article_numbers(numbers), body, "{numbers:?}");
        }
    }
}
