//! What lies below `/files/`: stored files, raw bodies, uploads that can be resumed.
//!
//! | request | to |
//! |---|---|
//! | `GET /files/ID`, HEAD | the stored file |
//! | `PUT /files/NAME` | a raw body |
//! | `POST /files/`; `PATCH`, `DELETE /files/ID`; HEAD with `Tus-Resumable`, or of an unfinished upload | tus |
//! | `OPTIONS` | what there is, one answer for all |

use http::request::Parts;
use http::{Method, Response};

use super::Lift;
use super::routes::refuse;
use crate::error::Error;
use crate::outbound::ResponseBody;
use crate::protocol::{Asked, get, put, tus};
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
        Method::HEAD if tus::is_spoken(head) => Some(Act::Upload),
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
        let allow = self.allow(name);
        match asked.head.method {
            Method::GET => self.stored(name, asked).await,
            Method::HEAD => match self.look(name, asked).await {
                Some(answer) => answer,
                None => self.stored(name, asked).await,
            },
            Method::PUT => put::put(&self.inbound, name, asked, body)
                .await
                .map(Into::into),
            Method::OPTIONS => {
                tus::options(&self.inbound, self.tus.as_ref(), allow).map(Into::into)
            }
            ref method => match &self.tus {
                Some(tus) if allow.split(", ").any(|taken| method == taken) => {
                    tus::answer(&self.inbound, tus, name, asked, body)
                        .await
                        .map(Into::into)
                }
                _ => refuse(asked, &Error::MethodNotAllowed { allow }),
            },
        }
    }

    /// How far an upload is, where the request means that rather than a stored file.
    async fn look(&self, name: &str, asked: &Asked) -> Option<Response<ResponseBody>> {
        self.tus.as_ref()?;
        let told = tus::look(&self.inbound, name, asked).await?;
        Some(told.map(Into::into))
    }

    async fn stored(&self, name: &str, asked: &Asked) -> Response<ResponseBody> {
        match self.downloads {
            true => get::get(&self.inbound, name, asked).await.map(Into::into),
            false => refuse(asked, &Error::NotFound),
        }
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
