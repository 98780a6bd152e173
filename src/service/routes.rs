//! Path and method → a protocol or a watcher.

use bytes::Bytes;
use http::{Method, Response, header};

use super::{Lift, filepond, files};
use crate::error::Error;
use crate::outbound::ResponseBody;
use crate::page;
use crate::problem::{UPLOAD_LIMIT, upload_limit};
use crate::protocol::ietf::{self, Target};
use crate::protocol::tus::{self, Tus};
use crate::protocol::{Asked, answer, form, handed, remove};
use crate::receive::Body;
use crate::rights::{Act, Cookie};
use crate::watch::Uploads;

impl Lift {
    /// For what the rules are asked: what is not ours, and what everyone may see, is `None`.
    fn act(&self, path: &str, asks: Asks) -> Option<Act> {
        match (path, asks) {
            ("" | "/" | "/upload", Asks::Post) => Some(Act::Upload),
            ("/get_upload_progress" | "/progress" | "/uploads", Asks::Get) => Some(Act::Watch),
            (path, Asks::Get) if path.starts_with("/uploads/") => Some(Act::Watch),
            (path, Asks::Delete) if path.starts_with("/uploads/") => Some(Act::Remove),
            (path, Asks::Get) if self.page.guards(path) => Some(Act::Page),
            _ => None,
        }
    }

    pub(super) async fn answer(
        &self,
        path: String,
        asked: &mut Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        if let Some(name) = filepond::name(&path) {
            return self.filepond(name, asked, body).await;
        }
        let asks = Asks::of(&asked.head.method);
        let name = files::name(&path, &asked.head.method);
        let act = match name {
            Some(_) => files::act(&asked.head),
            None => self.act(&path, asks),
        };
        if let Some(act) = act
            && let Err(error) = self.ask(act, asked).await
        {
            return refuse(asked, &error);
        }
        if let Some(name) = name {
            return self.file(name, asked, body).await;
        }
        match (path.as_str(), asks) {
            ("" | "/" | "/upload", Asks::Post) => {
                let limits = self.part_limits;
                match self.upgraded(Target::Form(limits), asked, body).await {
                    Ok(answer) => answer,
                    Err(body) => form::post(&self.inbound, limits, asked, body)
                        .await
                        .map(Into::into),
                }
            }
            ("", Asks::Get) if self.page.is_there() => {
                page::with_slash(&asked.base, asked.head.uri.query()).map(Into::into)
            }
            (path, Asks::Delete) if path.starts_with("/uploads/") => {
                let name = path.strip_prefix("/uploads/").unwrap_or_default();
                remove::delete(&self.inbound, name, asked)
                    .await
                    .map(Into::into)
            }
            ("/get_upload_progress", Asks::Get) => self
                .watch
                .article(&asked.head, &asked.owners())
                .map(Into::into),
            ("/progress", Asks::Get) => self
                .watch
                .nginx(&asked.head, &asked.owners())
                .map(Into::into),
            (path, Asks::Get) if answer_of(path).is_some() => {
                let name = answer_of(path).unwrap_or_default();
                handed::answer(&self.inbound, name, asked)
                    .await
                    .map(Into::into)
            }
            (path, Asks::Get) if path == "/uploads" || path.starts_with("/uploads/") => {
                match self.watch.uploads(
                    &asked.head,
                    &asked.owners(),
                    &asked.base,
                    path.strip_prefix("/uploads/"),
                ) {
                    Uploads::Now(answer) => answer.map(Into::into),
                    Uploads::Live(answer) => answer.map(Into::into),
                }
            }
            ("/upload", Asks::Options) => self.options("POST, OPTIONS", None),
            ("*", Asks::Options) => self.options(
                "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
                self.tus.as_ref(),
            ),
            (path, asks) => {
                match self
                    .page
                    .get(path, asked.head.uri.query(), &asked.base, &self.page_limits)
                {
                    Some(file) if matches!(asks, Asks::Get) => {
                        with_cookie(file, asked).map(Into::into)
                    }
                    file => refuse(asked, &misplaced(path, file.is_some())),
                }
            }
        }
    }

    /// What a path takes, and how much of it.
    pub(super) fn options(&self, allow: &'static str, tus: Option<&Tus>) -> Response<ResponseBody> {
        let limits = self.inbound.admission.options();
        let mut answer = answer::options(allow, limits);
        let headers = answer.headers_mut();
        if let Some(tus) = tus {
            tus::offer(headers, tus);
            // Here every upload is one file.
            headers.insert(
                UPLOAD_LIMIT,
                upload_limit(tus.max_size, limits.request_bytes),
            );
        }
        if self.ietf.is_some() {
            ietf::offer(headers);
        }
        answer.map(Into::into)
    }
}

/// What a method asks for here.
#[derive(Clone, Copy)]
enum Asks {
    /// GET, and HEAD, whose answer loses its body on the way out.
    Get,
    Post,
    Delete,
    Options,
    Other,
}

impl Asks {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Get,
            Method::POST => Self::Post,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

/// A page gives a browser its cookie, so that what is sent from there belongs to it.
fn with_cookie(mut file: Response<Bytes>, asked: &Asked) -> Response<Bytes> {
    if page::is_page(&file) && asked.client.cookie().is_none() {
        let cookie = Cookie::random().set(&asked.base, asked.client.is_https());
        file.headers_mut().insert(header::SET_COOKIE, cookie);
        // Another visitor must not get it out of a cache on the way.
        let unshared = header::HeaderValue::from_static("no-store");
        file.headers_mut().insert(header::CACHE_CONTROL, unshared);
    }
    file
}

/// The upload whose answer is at that path.
fn answer_of(path: &str) -> Option<&str> {
    path.strip_prefix("/uploads/")?.strip_suffix("/answer")
}

/// What is wrong with a request that nobody takes: its method, where the path is ours, else its path.
fn misplaced(path: &str, is_page: bool) -> Error {
    let allow = match path {
        "/upload" => "POST, OPTIONS",
        "" | "/" if is_page => "GET, HEAD, POST",
        "" | "/" => "POST",
        "/get_upload_progress" | "/progress" | "/uploads" => "GET, HEAD",
        _ if is_page => "GET, HEAD",
        _ if path.starts_with("/uploads/") && path.ends_with("/phase") => "PUT",
        _ if path.starts_with("/uploads/") => "GET, HEAD, DELETE",
        _ => return Error::NotFound,
    };
    Error::MethodNotAllowed { allow }
}

pub(super) fn refuse(asked: &Asked, error: &Error) -> Response<ResponseBody> {
    answer::refused(&asked.head.headers, &asked.base, error).map(Into::into)
}
