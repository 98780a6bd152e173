//! What is said on a socket, byte for byte: a request, the whole reply to it, and what is stored then.
//!
//! Lines of a head are written without their CR; the order of a reply's fields, its `Date` and the `Vary: Origin`
//! that every reply has do not count, all else does.
//! `{id}` and the like stand for what the server has made up: the first reply that has one tells it, later ones, and
//! requests, say the same. `{time}` is a date to come.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::SystemTime;

use crate::support::{Reply, Server};

/// A talk with a server, and the names that have come up in it.
pub(super) struct Talk<'a> {
    pub(super) server: &'a Server,
    names: HashMap<String, String>,
}

impl<'a> Talk<'a> {
    pub(super) fn with(server: &'a Server) -> Self {
        Self {
            server,
            names: HashMap::new(),
        }
    }

    /// What a name stands for.
    pub(super) fn name(&self, name: &str) -> &str {
        &self.names[name]
    }

    /// Sends a request on a connection of its own, and holds the reply to what is expected.
    pub(super) fn says(&mut self, request: &str, reply: &str) -> &mut Self {
        let mut stream = self.server.connect();
        self.says_on(&mut stream, request, reply)
    }

    /// The same on a connection that goes on.
    pub(super) fn says_on(
        &mut self,
        stream: &mut TcpStream,
        request: &str,
        reply: &str,
    ) -> &mut Self {
        stream.write_all(&self.bytes(request)).unwrap();
        let came = read(stream, request);
        self.is(&came, request, reply);
        self
    }

    /// The request as it goes on the wire.
    pub(super) fn bytes(&self, request: &str) -> Vec<u8> {
        let (head, body) = cut(request);
        let text = format!("{}\r\n\r\n{body}", head.join("\r\n"));
        let names = self.names.iter();
        names
            .fold(text, |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            })
            .into_bytes()
    }

    /// Holds a reply to what is expected.
    pub(super) fn is(&mut self, came: &Reply, request: &str, expected: &str) {
        let (mut expected, body) = cut(expected);
        let mut lines: Vec<_> = came.head.trim_end().lines().collect();
        lines.retain(|line| !line.starts_with("date: ") && *line != "vary: Origin");
        let sort = |lines: &mut Vec<String>| lines[1..].sort();
        let mut given: Vec<_> = lines.into_iter().map(str::to_owned).collect();
        for line in &mut expected {
            if let Some(known) = given.iter().find_map(|given| self.stands_for(line, given)) {
                *line = known;
            }
        }
        sort(&mut given);
        sort(&mut expected);
        assert_eq!(given, expected, "{request}\n{}", came.text());
        assert_eq!(came.text(), body, "{request}");
    }

    /// The line that was expected, with what its names stand for, if `given` is one that it may be.
    fn stands_for(&mut self, expected: &str, given: &str) -> Option<String> {
        let (before, rest) = expected.split_once('{')?;
        let (name, after) = rest.split_once('}')?;
        let value = given.strip_prefix(before)?;
        let value = match after.is_empty() {
            true => value,
            false => &value[..value.find(&after[..1])?],
        };
        if name == "time" {
            let at = httpdate::parse_http_date(value).unwrap();
            assert!(at > SystemTime::now(), "{given}");
        } else {
            let id = value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(id || self.names.contains_key(name), "{given}");
            let known = self.names.entry(name.to_owned());
            let known = known.or_insert_with(|| value.to_owned());
            assert_eq!(known, value, "{given}");
        }
        let line = format!("{before}{value}{after}");
        match line.contains('{') {
            true => self.stands_for(&line, given),
            false => Some(line),
        }
    }

    /// Holds what is kept of an unfinished upload to `bytes`.
    pub(super) fn kept(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        let id = self.name(name).to_owned();
        let file = self.server.under_way();
        let file = file.iter().find(|file| file.starts_with(&id));
        let file = file.unwrap_or_else(|| panic!("nothing is kept of {name}"));
        let found = std::fs::read(self.server.dir.join(".dumbwaiter/tmp").join(file)).unwrap();
        assert_eq!(found.get(..bytes.len()), Some(bytes), "{name}");
        self
    }

    /// Holds the folder to these files: name and content.
    pub(super) fn stored(&mut self, files: &[(&str, &[u8])]) -> &mut Self {
        let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
        assert_eq!(self.server.files(), names);
        for (name, content) in files {
            assert_eq!(self.server.read(name), *content, "{name}");
        }
        self
    }
}

/// A reply whose 204 or HEAD has no body, whatever its fields say.
fn read(stream: &mut TcpStream, request: &str) -> Reply {
    match request.trim_start().starts_with("HEAD") {
        true => Reply::read_head(stream),
        false => Reply::read(stream),
    }
}

/// The lines of a head, and the body; both without what the second line is indented by.
fn cut(text: &str) -> (Vec<String>, String) {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let indent = text.lines().nth(1).map_or(0, indent);
    let bare = |line: &str| line.get(indent.min(line.len())..).map(str::to_owned);
    let first = text.lines().next().map(str::to_owned);
    let rest = text.lines().skip(1).filter_map(bare);
    let mut lines = first.into_iter().chain(rest);
    let head = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let body: Vec<_> = lines.collect();
    (head, body.join("\n"))
}

/// The reply to a request that is refused: status and reason, fields besides those that every refusal of tus has, code,
/// words.
pub(super) fn refused(status: &str, fields: &str, code: &str, detail: &str) -> String {
    let (number, title) = status.split_once(' ').unwrap();
    // A status that HTTP does not know has no words.
    let words = if number == "460" { "Refused" } else { title };
    let body = format!(
        r#"{{"type":"about:blank","title":"{words}","status":{number},"code":"{code}","detail":"{detail}"}}"#
    );
    let fields = fields.trim();
    let lines = [
        &format!("HTTP/1.1 {status}"),
        "tus-resumable: 1.0.0",
        "content-type: application/problem+json",
        "cache-control: no-store",
        "vary: Accept",
        &format!("content-length: {}", body.len()),
        fields,
    ];
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    format!("{}\n\n{body}", lines.join("\n"))
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
