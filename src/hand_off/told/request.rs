//! The request by which the app is told: `POST`, JSON, signed.

use std::path::Path;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::TellOptions;
use crate::error::Error;
use crate::hand_off::working::Lease;
use crate::net::{self, Sent};
use crate::progress::Fields;
use crate::signed::{Audience, Keys};
use crate::upload::{FileFacts, Owner, Remembered, UploadId};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STATEMENT: HeaderName = HeaderName::from_static("dumbwaiter-statement");
const UPLOAD: HeaderName = HeaderName::from_static("dumbwaiter-upload");
const PHASE: HeaderName = HeaderName::from_static("dumbwaiter-phase");
const TOKEN: HeaderName = HeaderName::from_static("dumbwaiter-token");
/// How long a statement counts.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

/// What is told of.
pub(super) struct Facts<'a> {
    pub(super) id: UploadId,
    pub(super) about: &'a Remembered,
    pub(super) files: &'a [FileFacts],
}

/// The request's body.
#[derive(Serialize)]
struct Told<'a> {
    upload: String,
    watch: String,
    /// Whom the app itself named.
    owner: Option<&'a str>,
    protocol: &'static str,
    fields: Fields,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    field: Option<&'a str>,
    /// Below the store's folder.
    name: Option<&'a str>,
    /// From the file system's root.
    path: Option<String>,
    content_type: Option<&'a str>,
    size: u64,
    digest: Option<&'a str>,
    url: Option<String>,
}

/// What is signed: that this body is ours, for this path, now.
#[derive(Serialize)]
struct Statement<'a> {
    method: &'static str,
    path: &'a str,
    upload: &'a str,
    /// Of the body, in hexadecimal digits.
    sha256: String,
}

/// The request, whose URI is the URL's own path and query.
///
/// # Errors
/// [`Error::Store`] when it cannot be signed.
pub(super) fn make(
    options: &TellOptions,
    facts: &Facts<'_>,
    lease: &Lease,
) -> Result<Request<Sent>, Error> {
    let body = body(options, facts);
    let target = options.url.target();
    let id = facts.id.to_string();
    let statement = statement(&options.keys, &id, target.as_str(), &body)?;
    let phase = format!("{}/uploads/{id}/phase", options.base);
    let mut request = Request::new(net::text(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.into();
    let headers = request.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    for (name, value) in [
        (KEY, id.clone()),
        (UPLOAD, id),
        (STATEMENT, statement),
        (PHASE, phase),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(TOKEN, lease.token());
    Ok(request)
}

fn body(options: &TellOptions, facts: &Facts<'_>) -> Vec<u8> {
    let about = facts.about;
    let url = |index| options.downloads.then(|| url(options, facts.id, index));
    let files = facts.files.iter().enumerate();
    let told = Told {
        upload: facts.id.to_string(),
        watch: facts.id.watch().to_string(),
        owner: match &about.owner {
            Owner::Named(name) => Some(name),
            Owner::Cookie(_) | Owner::Address(_) => None,
        },
        protocol: about.protocol.as_str(),
        fields: Fields::of(&about.fields),
        files: files
            .map(|(index, facts)| File::new(&options.folder, facts, url(index)))
            .collect(),
    };
    serde_json::to_vec(&told).expect("it has string keys only and no fallible part")
}

impl<'a> File<'a> {
    fn new(folder: &Path, facts: &'a FileFacts, url: Option<String>) -> Self {
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        Self {
            field: facts.field.as_deref(),
            name: facts.name.as_deref(),
            path: facts.name.as_deref().map(path),
            content_type: facts.content_type.as_deref(),
            size: facts.length,
            digest: facts.digest.as_deref(),
            url,
        }
    }
}

fn url(options: &TellOptions, id: UploadId, index: usize) -> String {
    let base = &options.base;
    match index {
        0 => format!("{base}/files/{id}"),
        n => format!("{base}/files/{id}/{n}"),
    }
}

/// Signed under the upload's id, so that whoever is told twice knows it.
fn statement(keys: &Keys, id: &str, path: &str, body: &[u8]) -> Result<String, Error> {
    let sum = Sha256::digest(body);
    let says = Statement {
        method: "POST",
        path,
        upload: id,
        sha256: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    keys.sign_as(Audience::HandOff, GOOD_FOR, id.to_owned(), &says)
}
