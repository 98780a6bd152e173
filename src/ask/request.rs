//! What the app is sent: the head of the client's request as the app would see it, and what we know of the upload.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::app::head::to_app;
use crate::net::{Sent, nothing};
use crate::protocol::Asked;
use crate::rights::{Act, Ask};

/// Fields of the client's that speak of a body, of a part of an answer, or of another method: the question has none.
const LEFT_OUT: [HeaderName; 9] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::ACCEPT_ENCODING,
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    HeaderName::from_static("x-http-method-override"),
];

/// What cannot stand in a field's value as it is, besides what is no ASCII.
const NOT_IN_A_FIELD: &AsciiSet = &NOT_IN_A_LIST.add(b',');

/// The same where commas stand between several.
const NOT_IN_A_LIST: &AsciiSet = &CONTROLS.add(b'%').add(b' ').add(b'"');

/// A POST to `target` without a body.
pub(super) fn of(ask: &Ask, target: PathAndQuery) -> Request<Sent> {
    let mut request = Request::new(nothing());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(target);
    let mut fields = to_app(&asked(ask));
    for name in LEFT_OUT {
        fields.remove(name);
    }
    let mut say = |name: &'static str, value: Option<String>| {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            fields.insert(name, value);
        }
    };
    let escaped = |text: &String| utf8_percent_encode(text, NOT_IN_A_FIELD).to_string();
    say("dumbwaiter-act", Some(word(ask.act).to_owned()));
    say("dumbwaiter-method", Some(ask.method.to_string()));
    say("dumbwaiter-path", Some(path(&ask.uri)));
    say(
        "dumbwaiter-length",
        ask.length.map(|bytes| bytes.to_string()),
    );
    say("dumbwaiter-name", ask.name.as_ref().map(escaped));
    // A name that is none is said too: without it the question would be about no upload, and get the answer to that.
    let plain = |text: &String| utf8_percent_encode(text, NOT_IN_A_LIST).to_string();
    say("dumbwaiter-upload", ask.upload.as_ref().map(plain));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    *request.headers_mut() = fields;
    request
}

/// The request as it came.
fn asked(ask: &Ask) -> Asked {
    let mut request = Request::new(());
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = ask.uri.clone();
    *request.headers_mut() = ask.headers.clone();
    let (head, ()) = request.into_parts();
    Asked {
        head: Arc::new(head),
        owner: ask.client.owner(),
        client: ask.client.clone(),
        terms: None,
        only: None,
        said: None,
        address: ask.address,
        base: String::new(),
        downloads: false,
    }
}

fn path(uri: &Uri) -> String {
    uri.path_and_query()
        .map_or("/", PathAndQuery::as_str)
        .to_owned()
}

/// The word by which the app is told what somebody wants to do.
pub(super) fn word(act: Act) -> &'static str {
    match act {
        Act::Upload => "upload",
        Act::Page => "page",
        Act::Watch => "watch",
        Act::Read => "read",
        Act::Remove => "remove",
    }
}
