//! What is said of the draft: its requests and the replies to them, in each interop version.

pub(super) use crate::support::talk::Talk;
use crate::support::talk::{BLANK, problem};

/// Every version that is spoken; that of the final document says no number.
pub(super) const ALL: [Version; 6] = [
    Version(Some(3)),
    Version(Some(5)),
    Version(Some(6)),
    Version(Some(7)),
    Version(Some(8)),
    Version(Some(9)),
];
/// What a request says that names no version.
pub(super) const NONE: Version = Version(None);
/// The newest one.
pub(super) const NEWEST: Version = Version(Some(9));

/// A version's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Version(pub(super) Option<u8>);

impl Version {
    /// A request in this version, with further fields.
    pub(super) fn request(self, line: &str, fields: &str, body: &str) -> String {
        let version = match self.0 {
            Some(number) => format!("Upload-Draft-Interop-Version: {number}\n"),
            None => String::new(),
        };
        let fields = match fields.trim() {
            "" => String::new(),
            fields => format!("{fields}\n"),
        };
        let method = line.split(' ').next().unwrap();
        let said = fields.to_ascii_lowercase();
        let is_long = said.contains("content-length:") || said.contains("transfer-encoding:");
        let length = match method {
            "POST" | "PUT" | "PATCH" if !is_long => format!("Content-Length: {}\n", body.len()),
            _ => String::new(),
        };
        format!("{line} HTTP/1.1\nHost: a\n{version}{length}{fields}\n{body}")
    }

    /// Whether it is the whole upload or what ends it: the field of a request. `Upload-Incomplete`, which says the
    /// opposite, until version 4.
    pub(super) fn complete(self, is_complete: bool) -> String {
        let (name, said) = match self.0 {
            Some(..5) => ("Upload-Incomplete", !is_complete),
            _ => ("Upload-Complete", is_complete),
        };
        format!("{name}: ?{}", u8::from(said))
    }

    /// The same field of a reply.
    pub(super) fn is_complete(self, is_complete: bool) -> String {
        self.complete(is_complete).to_ascii_lowercase()
    }

    /// `Upload-Limit` of an upload that has so long to live.
    pub(super) fn limit(self) -> &'static str {
        match self.0 {
            Some(6) => "upload-limit: expires={seconds}\n",
            _ => "upload-limit: max-age={seconds}\n",
        }
    }

    /// The content type of an append; before version 6 there was none of its own.
    pub(super) fn kind(self) -> &'static str {
        match self.0 {
            Some(..6) => "X-Kind: none",
            _ => "Content-Type: application/partial-upload",
        }
    }

    /// The request that begins an upload with these bytes; `ends` when they are all of it.
    pub(super) fn create(self, fields: &str, ends: bool, body: &str) -> String {
        let fields = format!("{}\n{fields}", self.complete(ends));
        self.request("POST /files/", &fields, body)
    }

    /// The request that goes on with the upload of that name.
    pub(super) fn append(self, name: &str, offset: u64, ends: bool, body: &str) -> String {
        self.append_with(name, offset, ends, "", body)
    }

    /// The same with further fields.
    pub(super) fn append_with(
        self,
        name: &str,
        offset: u64,
        ends: bool,
        fields: &str,
        body: &str,
    ) -> String {
        let fields = format!(
            "{}\n{}\nUpload-Offset: {offset}\n{fields}",
            self.kind(),
            self.complete(ends)
        );
        self.request(&format!("PATCH /files/{{{name}}}"), &fields, body)
    }

    /// A request without a body.
    pub(super) fn ask(self, method: &str, name: &str) -> String {
        self.request(&format!("{method} /files/{{{name}}}"), "", "")
    }

    /// The reply that tells where a new upload is that goes on.
    pub(super) fn created(self, name: &str, offset: u64) -> String {
        format!(
            "HTTP/1.1 201 Created\nlocation: /files/{{{name}}}\nupload-offset: {offset}\n{}\n{}cache-control: no-store\n\
             content-length: 0\n",
            self.is_complete(false),
            self.limit()
        )
    }

    /// The reply to an append after which more is to come.
    pub(super) fn appended(self, offset: u64) -> String {
        format!(
            "HTTP/1.1 204 No Content\nupload-offset: {offset}\n{}\n{}cache-control: no-store\n",
            self.is_complete(false),
            self.limit()
        )
    }

    /// The reply to the request that has ended an upload of one file: what its target says, which is the record.
    pub(super) fn completed(self, name: &str, offset: u64) -> String {
        format!(
            "HTTP/1.1 201 Created\nlocation: /files/{{{name}}}\nupload-offset: {offset}\n{}\ncontent-type: application/json\n\
             cache-control: no-store\nvary: Accept\nx-content-type-options: nosniff\n\
             content-length: {{length}}\n\n{{record}}",
            self.is_complete(true)
        )
    }

    /// The reply to the append that has ended a form: there is no one file that `Location` could say.
    pub(super) fn form(self, offset: u64) -> String {
        let one = self.completed("id", offset);
        one.replace("location: /files/{id}\n", "")
    }

    /// What the reply to a HEAD has besides what it says of the file: how the upload has ended.
    pub(super) fn ended(self, length: u64) -> String {
        format!(
            "upload-offset: {length}\nupload-length: {length}\n{}\nupload-limit: min-size=0\ncache-control: no-store",
            self.is_complete(true)
        )
    }

    /// The reply to a HEAD while the upload goes on: the offset, and the length as far as it is known.
    pub(super) fn told(self, offset: u64, length: Option<u64>) -> String {
        let length = length.map_or_else(String::new, |length| format!("upload-length: {length}\n"));
        format!(
            "HTTP/1.1 204 No Content\nupload-offset: {offset}\n{length}{}\n{}cache-control: no-store\n",
            self.is_complete(false),
            self.limit()
        )
    }

    /// Where the upload stands, as a refusal of its bytes tells it.
    pub(super) fn stands(self, offset: u64) -> String {
        format!(
            "connection: close\nupload-offset: {offset}\n{}\n{}",
            self.is_complete(false),
            self.limit().trim_end()
        )
    }

    /// The reply to an append that begins somewhere else than at the kept bytes' end.
    pub(super) fn mismatch(self, expected: u64, provided: u64) -> String {
        problem(
            "409 Conflict",
            &self.stands(expected),
            (
                "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
                "Mismatching upload offset",
            ),
            "offset_mismatch",
            &format!("offset {provided} is not the kept {expected}"),
            &format!(r#","expected-offset":{expected},"provided-offset":{provided}"#),
        )
    }
}

/// The refusal where two lengths are said, or the bytes that come have another.
pub(super) fn inconsistent(fields: &str, length: u64, given: u64) -> String {
    problem(
        "400 Bad Request",
        fields,
        (
            "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
            "Inconsistent upload length",
        ),
        "length_mismatch",
        &format!("the upload's length is {length}, not {given}"),
        "",
    )
}

/// The reply to a request that is refused in words of our own.
pub(super) fn refused(status: &str, fields: &str, code: &str, detail: &str) -> String {
    problem(status, fields, BLANK, code, detail, "")
}

/// The reply where there is no such upload, or no longer.
pub(super) fn not_found(fields: &str) -> String {
    const WORDS: &str = "there is nothing here under that name";
    refused("404 Not Found", fields, "not_found", WORDS)
}

/// What ends an upload, answered.
pub(super) const GONE: &str = "HTTP/1.1 204 No Content\ncache-control: no-store";

/// The digest of these bytes as a record tells it.
pub(super) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let sum = sha2::Sha256::digest(bytes);
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
