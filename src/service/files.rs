//! What lies below `/files/`: stored files, raw bodies, uploads that can be resumed.
//!
//! | request | to |
//! |---|---|
//! | `POST /files/`; `PATCH`, `DELETE`, HEAD `/files/ID`, with `Tus-Resumable` | tus |
//! | the same with `Upload-Complete` or another sign of it; a plain DELETE; HEAD and GET of an unfinished upload | IETF |
//! | `GET /files/ID`, HEAD | the stored file; HEAD says of its upload too how it ended |
//! | `PUT /files/NAME` | a raw body; with `Upload-Complete` IETF |
//! | `OPTIONS` | what there is, one answer for all |

use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::Lift;
use super::routes::refuse;
use crate::error::Error;
use crate::outbound::ResponseBody;
use crate::protocol::ietf::{self, Here, Target};
use crate::protocol::{Asked, get, put, remove, tus};
use crate::receive::Body;
use crate::rights::Act;

/// Whether a path lies there. Some clients of tus leave out the slash.
pub(super) fn is_file(path: &str) -> bool {
    path == "/files" || path.starts_with("/files/")
}

/// The name behind `/files/`, which may be empty; `None` where another place is meant.
pub(super) fn name<'a>(path: &'a str, method: &Method) -> Option<&'a str> {
    let begins = path == "/files" && matches!(*method, Method::POST | Method::OPTIONS);
    path.strip_prefix("/files/").or(begins.then_some(""))
}

/// For what the rules are asked. What goes on with an upload is asked as what begins one.
pub(super) fn act(head: &Parts) -> Option<Act> {
    match head.method {
        Method::PUT | Method::POST | Method::PATCH => Some(Act::Upload),
        Method::HEAD if tus::is_spoken(head) || ietf::is_spoken(&head.headers) => Some(Act::Upload),
        Method::GET | Method::HEAD => Some(Act::Read),
        Method::DELETE => Some(Act::Remove),
        _ => None,
    }
}

impl Lift {
    pub(super) async fn file(
        &self,
        name: &str,
        asked: &Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        let speaks_tus = tus::is_spoken(&asked.head);
        match (&asked.head.method, &self.tus, self.here(asked)) {
            (&Method::OPTIONS, tus, _) => self.options(self.allow(name), tus.as_ref()),
            (&Method::HEAD, Some(_), _) if speaks_tus => {
                tus::look(&self.inbound, name, asked).await.map(Into::into)
            }
            (&Method::GET | &Method::HEAD, _, here) => self.seen(name, asked, here).await,
            (&Method::PUT, _, _) => match self.upgraded(Target::Put(name), asked, body).await {
                Ok(answer) => answer,
                Err(body) => put::put(&self.inbound, name, asked, body)
                    .await
                    .map(Into::into),
            },
            (method, Some(tus), Some(here)) if self.takes(name, method) => {
                match speaks_tus || !speaks_ietf(&asked.head) {
                    true => tus::answer(&self.inbound, tus, name, asked, body).await,
                    false => resumable(here, name, body).await,
                }
                .map(Into::into)
            }
            _ => refuse(
                asked,
                &Error::MethodNotAllowed {
                    allow: self.allow(name),
                },
            ),
        }
    }

    /// What the protocol of the IETF is given, where uploads can be resumed.
    fn here<'a>(&'a self, asked: &'a Asked) -> Option<Here<'a>> {
        Some(Here {
            inbound: &self.inbound,
            ietf: self.ietf.as_ref()?,
            asked,
        })
    }

    /// Answers a request that says whether it is complete, and so can be resumed where it is sent. Gives back the body of
    /// every other one, and of one that is complete where nothing can be resumed.
    pub(super) async fn upgraded(
        &self,
        target: Target<'_>,
        asked: &Asked,
        body: Body,
    ) -> Result<Response<ResponseBody>, Body> {
        let complete = ietf::says_complete(&asked.head.headers);
        match (complete, self.here(asked)) {
            (Some(_), Some(here)) => {
                // On the heap: those that are not upgraded keep no room for it.
                let answer = Box::pin(ietf::begin(here, target, body)).await;
                Ok(answer.map(Into::into))
            }
            (Some(false), None) => {
                let why = "what has come of an upload is not kept".to_owned();
                Ok(refuse(asked, &Error::NotResumable { why }))
            }
            _ => Err(body),
        }
    }

    /// How far an upload is, while there is something to be added; else the stored file. What HEAD says of that has in it
    /// how its upload ended.
    async fn seen(
        &self,
        name: &str,
        asked: &Asked,
        here: Option<Here<'_>>,
    ) -> Response<ResponseBody> {
        let Some(here) = here else {
            return self.stored(name, asked).await;
        };
        if let Some(answer) = ietf::look(here, name).await {
            return answer.map(Into::into);
        }
        let ended = match asked.head.method {
            Method::HEAD => ietf::ended(here, name).await,
            _ => None,
        };
        let mut answer = match (&ended, self.downloads) {
            (Some(_), false) => remove::empty(StatusCode::NO_CONTENT).map(Into::into),
            _ => self.stored(name, asked).await,
        };
        // Where the file is gone there is nothing to tell of.
        if answer.status() != StatusCode::NOT_FOUND {
            answer.headers_mut().extend(ended.unwrap_or_default());
        }
        answer
    }

    async fn stored(&self, name: &str, asked: &Asked) -> Response<ResponseBody> {
        match self.downloads {
            true => get::get(&self.inbound, name, asked).await.map(Into::into),
            false => refuse(asked, &Error::NotFound),
        }
    }

    fn takes(&self, name: &str, method: &Method) -> bool {
        self.allow(name).split(", ").any(|taken| method == taken)
    }

    /// The methods that are taken: where uploads begin, and where one of them is.
    fn allow(&self, name: &str) -> &'static str {
        match (self.tus.is_some(), name.is_empty()) {
            (false, _) => "GET, HEAD, PUT, OPTIONS",
            (true, true) => "POST, PUT, OPTIONS",
            (true, false) => "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
        }
    }
}

/// Whether a head without `Tus-Resumable` is one of the IETF's protocol. A DELETE needs no sign of it; what shows none
/// otherwise is refused by tus, in words that name both.
fn speaks_ietf(head: &Parts) -> bool {
    head.method == Method::DELETE || ietf::is_spoken(&head.headers)
}

async fn resumable(here: Here<'_>, name: &str, body: Body) -> Response<bytes::Bytes> {
    match here.asked.head.method {
        Method::DELETE => ietf::delete(here, name).await,
        Method::POST => ietf::begin(here, Target::Files, body).await,
        _ => ietf::patch(here, name, body).await,
    }
}
