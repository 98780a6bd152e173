//! nginx-upload-progress-module's report, byte for byte, so that pages made for it go on working.
//!
//! The module was asked beside us (0.9.2, nginx 1.22). We differ where it says what is not so: before the first body
//! byte it reports everything as received, and for a chunked body negative numbers (`"received" : -8193, "size" : -1`).
//! Ours is `starting` in both cases, its own word for an upload of which it has no numbers.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Response};

use super::{ProgressFormat, Watch, only_get};
use crate::error::Error;
use crate::problem::problem;
use crate::progress::{Numbers, State};
use crate::query::{self, GivenId};
use crate::upload::Owner;

/// The most bytes of a JSONP callback's name.
const MAX_CALLBACK: usize = 64;
/// An upload that was cut and may be resumed, as the module would see it: the client closed the request.
const INTERRUPTED: u16 = 499;

/// What the module can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Report {
    Starting,
    Uploading { received: u64, size: u64 },
    Done,
    Error { status: u16 },
}

impl Watch {
    /// `GET /progress`, with the id in the header or, failing that, the query: nginx-upload-progress-module's report in
    /// the form of [`ProgressFormat`]. An unknown id is `starting`.
    ///
    /// Other methods get 405, a request without id 404, a JSONP callback with other characters than a name's 400.
    #[must_use]
    pub fn nginx(&self, request: &Parts, owners: &[Owner]) -> Response<Bytes> {
        self.nginx_report(request, owners)
            .unwrap_or_else(|error| problem(&error))
    }

    fn nginx_report(&self, request: &Parts, owners: &[Owner]) -> Result<Response<Bytes>, Error> {
        only_get(request)?;
        let given = GivenId::in_header(&request.headers).or(GivenId::in_query(&request.uri));
        if given == GivenId::Absent {
            return Err(Error::NotFound);
        }
        let format = self.options.progress_format;
        let callback = match format {
            ProgressFormat::Jsonp => callback(request)?,
            _ => String::new(),
        };
        let report = self
            .progress_key(owners, given)
            .and_then(|key| self.tracker.find(&key))
            .map_or(Report::Starting, |found| {
                Report::of(found.progress.numbers())
            });
        Ok(response(format, report.body(format, &callback)))
    }
}

/// The name of the function to call, empty if none is given. The check is that of Apache's upload-progress module: what
/// we send is run as a script, so it must not be the asker's to write.
fn callback(request: &Parts) -> Result<String, Error> {
    let name = match query::first(&request.uri, "callback") {
        None => return Ok(String::new()),
        Some(name) => name.unwrap_or_default(),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._$".contains(&byte);
    match (1..=MAX_CALLBACK).contains(&name.len()) && name.bytes().all(plain) {
        true => Ok(name.into_owned()),
        false => Err(Error::BadRequest {
            what: "callback is 1 to 64 of the characters A-Z a-z 0-9 . _ $",
        }),
    }
}

fn response(format: ProgressFormat, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    let headers = response.headers_mut();
    let content_type = match format {
        ProgressFormat::Json => "application/json",
        ProgressFormat::Jsonp => "application/javascript",
        ProgressFormat::Xml => "text/xml",
        ProgressFormat::Java => "text/javascript",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        EXPIRES,
        HeaderValue::from_static("Thu, 01 Jan 1970 00:00:01 GMT"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if format == ProgressFormat::Jsonp {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

impl Report {
    fn of(numbers: Numbers) -> Self {
        match (numbers.state, numbers.length) {
            (State::Done, _) => Self::Done,
            (State::Error, _) => Self::Error {
                status: numbers.error.map_or(500, |(_, status)| status),
            },
            (State::Interrupted, _) => Self::Error {
                status: INTERRUPTED,
            },
            (State::Starting, _) | (_, None | Some(0)) => Self::Starting,
            (State::Uploading | State::Processing, Some(size)) => Self::Uploading {
                received: numbers.received,
                size,
            },
        }
    }

    fn body(self, format: ProgressFormat, callback: &str) -> String {
        match format {
            ProgressFormat::Json => format!("{}\r\n", self.json()),
            ProgressFormat::Jsonp => format!("{callback}({});\r\n", self.json()),
            ProgressFormat::Xml => self.xml(),
            ProgressFormat::Java => {
                format!("new Object({})\r\n", self.json().replace('"', "'"))
            }
        }
    }

    fn json(self) -> String {
        match self {
            Self::Starting => r#"{ "state" : "starting" }"#.to_owned(),
            Self::Done => r#"{ "state" : "done" }"#.to_owned(),
            Self::Error { status } => format!(r#"{{ "state" : "error", "status" : {status} }}"#),
            Self::Uploading { received, size } => {
                format!(r#"{{ "state" : "uploading", "received" : {received}, "size" : {size} }}"#)
            }
        }
    }

    fn xml(self) -> String {
        let inside = match self {
            Self::Starting => "<state>starting</state>".to_owned(),
            Self::Done => "<state>done</state>".to_owned(),
            Self::Error { status } => format!("<state>error</state><code>{status}</code>"),
            Self::Uploading { received, size } => format!(
                "<state>uploading</state><size>{size}</size><uploaded>{received}</uploaded>"
            ),
        };
        format!("<upload>{inside}</upload>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_reads_as_the_module_writes_it() {
        use Report::{Done, Error, Starting, Uploading};
        let uploading = Uploading {
            received: 35_587,
            size: 716_595,
        };
        for (report, json, java, xml) in [
            (
                Starting,
                "{ \"state\" : \"starting\" }\r\n",
                "new Object({ 'state' : 'starting' })\r\n",
                "<upload><state>starting</state></upload>",
            ),
            (
                uploading,
                "{ \"state\" : \"uploading\", \"received\" : 35587, \"size\" : 716595 }\r\n",
                "new Object({ 'state' : 'uploading', 'received' : 35587, 'size' : 716595 })\r\n",
                "<upload><state>uploading</state><size>716595</size><uploaded>35587</uploaded></upload>",
            ),
            (
                Done,
                "{ \"state\" : \"done\" }\r\n",
                "new Object({ 'state' : 'done' })\r\n",
                "<upload><state>done</state></upload>",
            ),
            (
                Error { status: 413 },
                "{ \"state\" : \"error\", \"status\" : 413 }\r\n",
                "new Object({ 'state' : 'error', 'status' : 413 })\r\n",
                "<upload><state>error</state><code>413</code></upload>",
            ),
        ] {
            assert_eq!(report.body(ProgressFormat::Json, ""), json);
            assert_eq!(report.body(ProgressFormat::Java, ""), java);
            assert_eq!(report.body(ProgressFormat::Xml, ""), xml);
            let called = format!("a.b({});\r\n", json.trim_end());
            assert_eq!(report.body(ProgressFormat::Jsonp, "a.b"), called);
        }
    }

    #[test]
    fn each_of_our_states_is_one_of_the_modules() {
        let report = |state, received, length, error| {
            Report::of(Numbers {
                state,
                received,
                length,
                error,
            })
        };
        let uploading = |received, size| Report::Uploading { received, size };
        for (state, received, length, error, expected) in [
            (State::Starting, 0, Some(10), None, Report::Starting),
            (State::Uploading, 4, Some(10), None, uploading(4, 10)),
            (State::Uploading, 4, None, None, Report::Starting),
            (State::Processing, 10, Some(10), None, uploading(10, 10)),
            (State::Processing, 0, Some(0), None, Report::Starting),
            (
                State::Interrupted,
                4,
                Some(10),
                None,
                Report::Error { status: 499 },
            ),
            (State::Done, 0, Some(0), None, Report::Done),
            (
                State::Error,
                4,
                None,
                Some(("x", 413)),
                Report::Error { status: 413 },
            ),
        ] {
            assert_eq!(
                report(state, received, length, error),
                expected,
                "{state:?}"
            );
        }
    }
}
