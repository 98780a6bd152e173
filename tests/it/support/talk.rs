//! What is said on a socket, byte for byte: a request, the whole reply to it, and what is stored then.
//!
//! Lines of a head are written without their CR; the order of a reply's fields, its `Date` and the `Vary: Origin`
//! that every reply has do not count, all else does.
//! `{id}` and the like stand for what the server has made up: the first reply that has one tells it, later ones, and
//! requests, say the same. `{time}` is a date to come, `{seconds}` and `{length}` are numbers. The body `{record}` is the record
//! of an upload that is done.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use super::{Reply, Server, eventually};

/// A talk with a server, and the names that have come up in it.
pub(crate) struct Talk<'a> {
    pub(crate) server: &'a Server,
    names: HashMap<String, String>,
}

impl<'a> Talk<'a> {
    pub(crate) fn with(server: &'a Server) -> Self {
        Self {
            server,
            names: HashMap::new(),
        }
    }

    /// What a name stands for.
    pub(crate) fn name(&self, name: &str) -> &str {
        &self.names[name]
    }

    /// Says what a name stands for: in a talk that goes on with another server.
    pub(crate) fn knows(&mut self, name: &str, value: &str) -> &mut Self {
        self.names.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sends a request on a connection of its own, and holds the reply to what is expected.
    pub(crate) fn says(&mut self, request: &str, reply: &str) -> &mut Self {
        let mut stream = self.server.connect();
        self.says_on(&mut stream, request, reply)
    }

    /// The same on a connection that goes on.
    pub(crate) fn says_on(
        &mut self,
        stream: &mut TcpStream,
        request: &str,
        reply: &str,
    ) -> &mut Self {
        stream.write_all(&self.bytes(request)).unwrap();
        let came = final_answer(stream, request);
        self.is(&came, request, reply);
        self
    }

    /// Sends a request on a connection of its own; the reply, whatever it is.
    pub(crate) fn answer(&self, request: &str) -> Reply {
        let mut stream = self.server.connect();
        stream.write_all(&self.bytes(request)).unwrap();
        final_answer(&mut stream, request)
    }

    /// Sends a request on a connection of its own: the reply goes well, and has these fields among others.
    pub(crate) fn has(&mut self, request: &str, fields: &str) -> &mut Self {
        let reply = self.answer(request);
        assert!(matches!(reply.status, 200..300), "{request}\n{reply:?}");
        for line in fields.lines() {
            let mut given = reply.head.lines();
            assert!(
                given.any(|given| given == line),
                "{line}\n{request}\n{reply:?}"
            );
        }
        self
    }

    /// Holds the next reply on a connection to what is expected, an interim one too; `request` is what it is to.
    pub(crate) fn hears(
        &mut self,
        line: &mut impl BufRead,
        request: &str,
        reply: &str,
    ) -> &mut Self {
        let came = Reply::next(line).unwrap();
        self.is(&came, request, reply);
        self
    }

    /// Sends a request for the upload of that name and `come` bytes of its body, and waits until the record says that
    /// `received` have come in all.
    pub(crate) fn begins(
        &self,
        name: &str,
        request: &str,
        come: usize,
        received: u64,
    ) -> TcpStream {
        let (_, body) = cut(request);
        let whole = self.bytes(request);
        let mut stream = self.server.connect();
        let begin = &whole[..whole.len() - body.len() + come];
        stream.write_all(begin).unwrap();
        eventually(
            || self.record(name),
            |record| record["received"] == received,
        );
        stream
    }

    /// Breaks the line of a request, and waits until the upload is interrupted at that offset.
    pub(crate) fn cuts(&mut self, name: &str, line: TcpStream, offset: u64) -> &mut Self {
        drop(line);
        eventually(
            || self.record(name),
            |record| record["state"] == "interrupted" && record["offset"] == offset,
        );
        self
    }

    /// The record of the upload of that name.
    pub(crate) fn record(&self, name: &str) -> serde_json::Value {
        let path = format!("/uploads/{}", self.name(name));
        self.server.get(&path).json()
    }

    /// The request as it goes on the wire.
    pub(crate) fn bytes(&self, request: &str) -> Vec<u8> {
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
    pub(crate) fn is(&mut self, came: &Reply, request: &str, expected: &str) {
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
        match &*body {
            "{record}" => assert_eq!(came.json()["state"], "done", "{request}"),
            body => assert_eq!(came.text(), body, "{request}"),
        }
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
        } else if matches!(name, "seconds" | "length") {
            assert!(value.parse::<u64>().unwrap() > 0, "{given}");
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
    pub(crate) fn kept(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        let id = self.name(name).to_owned();
        let file = self.server.under_way();
        let file = file.iter().find(|file| file.starts_with(&id));
        let file = file.unwrap_or_else(|| panic!("nothing is kept of {name}"));
        let found = std::fs::read(self.server.dir.join(".dumbwaiter/tmp").join(file)).unwrap();
        assert_eq!(found.get(..bytes.len()), Some(bytes), "{name}");
        self
    }

    /// Holds the folder to these files: name and content.
    pub(crate) fn stored(&mut self, files: &[(&str, &[u8])]) -> &mut Self {
        let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
        assert_eq!(self.server.files(), names);
        for (name, content) in files {
            assert_eq!(self.server.read(name), *content, "{name}");
        }
        self
    }
}

/// The reply behind all interim ones. That to HEAD has no body, whatever its fields say.
fn final_answer(stream: &mut TcpStream, request: &str) -> Reply {
    match request.trim_start().starts_with("HEAD") {
        true => Reply::read_head(stream),
        false => Reply::last(stream),
    }
}

/// The lines of a head, and the body; both without what the second line is indented by.
fn cut(text: &str) -> (Vec<String>, String) {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let indent = text.lines().nth(1).map_or(0, indent);
    let bare = |line: &str| line.get(indent.min(line.len())..).map(str::to_owned);
    let first = text.lines().next().map(str::to_owned);
    let rest = text.split('\n').skip(1).filter_map(bare);
    let mut lines = first.into_iter().chain(rest);
    let head = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let body: Vec<_> = lines.collect();
    (head, body.join("\n"))
}

/// A type of problems that has no name of its own: its title is the status's.
pub(crate) const BLANK: (&str, &str) = ("about:blank", "");

/// A refusal as problem details: status and reason, fields besides those that every refusal has, the problem's type and
/// title, code and words, and its members behind them.
pub(crate) fn problem(
    status: &str,
    fields: &str,
    (kind, title): (&str, &str),
    code: &str,
    detail: &str,
    members: &str,
) -> String {
    let (number, words) = status.split_once(' ').unwrap();
    let title = match (number, title) {
        // A status that HTTP does not know has no words.
        ("460", _) => "Refused",
        (_, "") => words,
        (_, title) => title,
    };
    let body = format!(
        r#"{{"type":"{kind}","title":"{title}","status":{number},"code":"{code}","detail":"{detail}"{members}}}"#
    );
    let fields = fields.trim();
    let lines = [
        &format!("HTTP/1.1 {status}"),
        "content-type: application/problem+json",
        "cache-control: no-store",
        "vary: Accept",
        &format!("content-length: {}", body.len()),
        fields,
    ];
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    format!("{}\n\n{body}", lines.join("\n"))
}
