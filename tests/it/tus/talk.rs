//! What is said of tus: the protocol's requests, and the replies to them.

pub(super) use crate::support::talk::Talk;
use crate::support::talk::{BLANK, problem};

/// The reply to a request that is refused: status and reason, fields besides those that every refusal of tus has, code,
/// words.
pub(super) fn refused(status: &str, fields: &str, code: &str, detail: &str) -> String {
    let fields = format!("tus-resumable: 1.0.0\n{fields}");
    problem(status, &fields, BLANK, code, detail, "")
}

/// The request that begins an upload, with further fields.
pub(super) fn post(fields: &str) -> String {
    request("POST /files/", fields, "")
}

/// The request that goes on with the upload of that name.
pub(super) fn patch(name: &str, offset: u64, body: &str) -> String {
    let fields = format!(
        "Content-Type: application/offset+octet-stream\nUpload-Offset: {offset}\nContent-Length: {}",
        body.len()
    );
    request(&format!("PATCH /files/{{{name}}}"), &fields, body)
}

/// A request of tus without a body.
pub(super) fn ask(method: &str, name: &str) -> String {
    request(&format!("{method} /files/{{{name}}}"), "", "")
}

/// A request of tus.
pub(super) fn request(line: &str, fields: &str, body: &str) -> String {
    let length = fields.to_ascii_lowercase();
    let empty = line.starts_with("POST")
        && !length.contains("content-length:")
        && !length.contains("transfer-encoding:");
    let empty = if empty { "Content-Length: 0\n" } else { "" };
    let fields = match fields.trim() {
        "" => String::new(),
        fields => format!("{fields}\n"),
    };
    format!("{line} HTTP/1.1\nHost: a\nTus-Resumable: 1.0.0\n{empty}{fields}\n{body}")
}

/// The reply that tells where a new upload is; with further fields.
pub(super) fn created(name: &str, offset: u64) -> String {
    format!(
        "HTTP/1.1 201 Created\ntus-resumable: 1.0.0\nlocation: /files/{{{name}}}\nupload-offset: {offset}\n\
         upload-expires: {{time}}\ncache-control: no-store\ncontent-length: 0\n"
    )
}

/// The reply to a PATCH that went well.
pub(super) fn appended(offset: u64) -> String {
    format!(
        "HTTP/1.1 204 No Content\ntus-resumable: 1.0.0\nupload-offset: {offset}\nupload-expires: {{time}}\n\
         cache-control: no-store\n"
    )
}

/// The reply to the PATCH that brought the last byte.
pub(super) fn completed(offset: u64) -> String {
    format!(
        "HTTP/1.1 204 No Content\ntus-resumable: 1.0.0\nupload-offset: {offset}\ncache-control: no-store\n"
    )
}

/// The reply to a HEAD, with the fields that tell of this upload.
pub(super) fn told(fields: &str) -> String {
    format!(
        "HTTP/1.1 204 No Content\ntus-resumable: 1.0.0\ncache-control: no-store\nupload-limit: min-size=0\n{fields}\n"
    )
}
