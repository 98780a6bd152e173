//! A form given with its files where they lie: in the place of each file stand fields that name it, and before all others one
//! that says the same, signed.
//!
//! ```text
//! dumbwaiter.statement = JWT {method, path, upload, files: [{field, name, path, …}]}
//! title                = Paella            the client's fields, in their order
//! picture.name         = paella.jpg ┐
//! picture.path         = /srv/…     │
//! picture.content_type = image/jpeg ├      where the file was
//! picture.size         = 307200     │
//! picture.sha256       = …          ┘      with `--digest sha256`
//! ```
//!
//! The plain fields are for reading; what a file is, the app takes from the statement, which nobody else can make, which is
//! for this one request and for five minutes. What a client sends under such a name does not get through: see `forged`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use super::forged::{Forged, SAID, STATEMENT};
use crate::error::Error;
use crate::name;
use crate::protocol::Asked;
use crate::receive::{Body, Handed, Part};
use crate::signed::{Audience, Keys};
use crate::upload::{FileFacts, Owner, UploadId};

/// How long a statement counts.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

/// What a client says of a body that it will not be any more.
const OF_THE_BODY: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
];

/// By what stored files are referred to.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Sign the statement; the app knows them too.
    pub(crate) keys: Keys,
    /// The folder in which the store keeps its files, as the app sees it.
    pub(crate) folder: PathBuf,
}

/// Whether the app is asked for this, and under which path.
pub(super) struct Target<'a> {
    pub(super) method: &'a str,
    /// With the query.
    pub(super) path: &'a str,
}

/// A form made anew.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
    /// How many of the client's fields are not in it.
    pub(super) dropped: usize,
}

/// What is signed.
#[derive(Serialize)]
struct Statement<'a> {
    method: &'a str,
    path: &'a str,
    upload: String,
    /// Whom the app itself named.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    files: Vec<&'a File<'a>>,
}

/// What is said of a file.
#[derive(Serialize)]
struct File<'a> {
    field: &'a str,
    /// The client's name for it, cleaned.
    name: String,
    /// From the file system's root.
    path: String,
    content_type: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

impl Reference {
    /// The form of an upload whose files are stored; `names` is what the client called them.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be signed.
    pub(super) fn rewrite(
        &self,
        handed: &Handed,
        names: &[Option<String>],
        target: &Target<'_>,
    ) -> Result<Rewritten, Error> {
        let forged = forged(handed);
        let folder = self.folder.canonicalize();
        let folder = folder.as_deref().unwrap_or(&self.folder);
        let files = handed.files().iter().zip(names);
        let files: Vec<_> = files
            .map(|(facts, name)| File::new(folder, facts, name))
            .collect();
        let mut form = Form::new();
        form.field(STATEMENT, &self.state(handed, &files, target)?);
        let (mut dropped, mut stored) = (0, files.iter());
        for part in handed.parts() {
            match part {
                Part::Field((name, _)) if forged.is(name) => dropped += 1,
                Part::Field((name, value)) => form.field(name, value),
                Part::File(_) => stored.next().into_iter().for_each(|file| form.file(file)),
            }
        }
        Ok(form.end(dropped))
    }

    fn state(
        &self,
        handed: &Handed,
        files: &[File<'_>],
        target: &Target<'_>,
    ) -> Result<String, Error> {
        let upload = handed.upload();
        let says = Statement {
            method: target.method,
            path: target.path,
            upload: upload.id.to_string(),
            owner: match &upload.owner {
                Owner::Named(name) => Some(name),
                Owner::Cookie(_) | Owner::Address(_) => None,
            },
            files: files.iter().collect(),
        };
        self.keys.sign(Audience::Statement, GOOD_FOR, &says)
    }
}

/// The path and query without parameters that only we may send.
pub(super) fn target(handed: &Handed, target: PathAndQuery) -> PathAndQuery {
    without(&forged(handed), Some(handed.upload().id), target)
}

/// Takes out of a request's head what no longer holds of its body.
pub(super) fn clear(fields: &mut HeaderMap) {
    for name in OF_THE_BODY {
        fields.remove(name);
    }
}

/// Reads a form without files to its end, and takes out of it, and of the query, what only we may send.
///
/// # Errors
/// [`Error::LimitExceeded`] behind `most` bytes, [`Error::WrongContentType`] for one in which nothing can be found, and
/// those of the body.
pub(super) async fn plain(asked: &mut Asked, mut body: Body, most: usize) -> Result<Bytes, Error> {
    let head = std::sync::Arc::make_mut(&mut asked.head);
    if head.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Error::WrongContentType {
            expected: "application/x-www-form-urlencoded, in no encoding",
        });
    }
    let (mut text, mut frames) = (Vec::new(), Vec::new());
    while body.frames(&mut frames).await? {
        frames
            .drain(..)
            .for_each(|frame| text.extend_from_slice(&frame));
        if text.len() > most {
            return Err(Error::LimitExceeded {
                what: "bytes of fields",
                limit: most as u64,
            });
        }
    }
    let forged = Forged::default();
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    uri.path_and_query = uri
        .path_and_query
        .map(|target| without(&forged, None, target));
    head.uri = uri.try_into().unwrap_or_default();
    let (kept, dropped) = forged.without(&text);
    tell(None, dropped);
    clear(&mut head.headers);
    let kept = Bytes::from(kept.into_owned());
    head.headers
        .insert(header::CONTENT_LENGTH, kept.len().into());
    Ok(kept)
}

/// Says so in the log when a client sent what only we may send.
pub(super) fn tell(upload: Option<UploadId>, dropped: usize) {
    if dropped > 0 {
        let upload = upload.map(|id| id.short());
        tracing::warn!(
            upload,
            dropped,
            "fields that only this server may send are dropped"
        );
    }
}

fn forged(handed: &Handed) -> Forged {
    let files = handed.files().iter();
    Forged::beside(files.filter_map(|file| file.field.as_deref()))
}

fn without(forged: &Forged, upload: Option<UploadId>, target: PathAndQuery) -> PathAndQuery {
    let (kept, dropped) = forged.without(target.query().unwrap_or_default().as_bytes());
    tell(upload, dropped);
    let path = target.path().as_bytes();
    let kept = match (dropped, kept.is_empty()) {
        (0, _) => return target,
        (_, true) => PathAndQuery::try_from(path),
        (_, false) => PathAndQuery::try_from([path, b"?", &*kept].concat()),
    };
    kept.expect("a part of a query is one")
}

impl<'a> File<'a> {
    fn new(folder: &Path, facts: &'a FileFacts, name: &Option<String>) -> Self {
        let stored = facts.name.as_deref().unwrap_or_default();
        let last = stored.rsplit('/').next().unwrap_or_default();
        let given = name.as_deref().and_then(name::clean);
        let digest = facts.digest.as_deref();
        Self {
            field: facts.field.as_deref().unwrap_or_default(),
            name: given.unwrap_or_else(|| last.to_owned()),
            path: folder.join(stored).to_string_lossy().into_owned(),
            content_type: facts.content_type.as_deref().unwrap_or_default(),
            size: facts.length,
            sha256: digest.and_then(|digest| digest.strip_prefix("sha256:")),
        }
    }

    fn said(&self, what: &str) -> Option<String> {
        match what {
            "name" => Some(self.name.clone()),
            "path" => Some(self.path.clone()),
            "content_type" => Some(self.content_type.to_owned()),
            "size" => Some(self.size.to_string()),
            _ => self.sha256.map(str::to_owned),
        }
    }
}

/// A form as it is written, with a boundary that nobody knew before.
struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    fn new() -> Self {
        Self {
            boundary: format!("dumbwaiter-{}", UploadId::random()),
            body: Vec::new(),
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        let (boundary, name) = (&self.boundary, escaped(name));
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        for text in [&head, value, "\r\n"] {
            self.body.extend_from_slice(text.as_bytes());
        }
    }

    fn file(&mut self, file: &File<'_>) {
        for what in SAID {
            if let Some(value) = file.said(what) {
                self.field(&format!("{}.{what}", file.field), &value);
            }
        }
    }

    fn end(mut self, dropped: usize) -> Rewritten {
        let boundary = &self.boundary;
        self.body
            .extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let content_type =
            HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
        Rewritten {
            content_type: content_type.expect("a boundary is of letters and digits"),
            body: self.body.into(),
            dropped,
        }
    }
}

/// A name between quotes, as browsers write it (HTML, "multipart/form-data encoding algorithm"). A backslash too, which
/// some parsers take as a mark that the next character is meant.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => text.push_str("%22"),
            '\\' => text.push_str("%5C"),
            c if c.is_ascii_control() => text.push_str(&format!("%{:02X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Request;
    use http_body_util::{BodyDataStream, Full};
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::any;
    use crate::protocol::multipart::PartLimits;
    use crate::receive::Naming;
    use crate::rights::{Client, Trust};
    use crate::service::Dumbwaiter;
    use crate::signed::Signed;
    use crate::store::Memory;
    use crate::unfinished::tests::rig::line;

    const KEY: &str = "a key that the app knows too, of 32";

    /// What the app reads in a statement.
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Claims {
        method: String,
        path: String,
        upload: UploadId,
        owner: Option<String>,
        files: Vec<Claimed>,
    }

    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Claimed {
        field: String,
        name: String,
        path: String,
        content_type: String,
        size: u64,
        sha256: Option<String>,
    }

    fn asked(query: &str) -> Asked {
        let request = Request::post(format!("/upload{query}"))
            .header("Content-Type", "multipart/form-data; boundary=bnd");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let client = Client::of(&head.headers, ([127, 0, 0, 1], 1).into(), &Trust::default());
        Asked {
            owner: Owner::Named("anna".into()),
            terms: None,
            only: None,
            said: None,
            address: client.address(),
            base: String::new(),
            downloads: false,
            client,
            head: Arc::new(head),
        }
    }

    fn block_on<F: Future>(work: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(work)
    }

    fn text(name: &str, value: &str) -> String {
        format!("--bnd\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    fn file(field: &str, name: &str, content: &str) -> String {
        format!(
            "--bnd\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: image/jpeg\r\n\r\n\
         {content}\r\n"
        )
    }

    /// What the app would get: the target, the fields as a parser that is not ours reads them, and the statement.
    async fn referred(query: &str, parts: &[String]) -> (String, Vec<(String, String)>, Claims) {
        let body = format!("{}--bnd--\r\n", parts.concat());
        let service = Dumbwaiter::new(Memory::new()).into_service();
        let (line, incoming) = line();
        line.send(Bytes::from(body));
        drop(line);
        let asked = asked(query);
        let limits = PartLimits::default();
        let handed = any::hand(service.inbound(), limits, None, &asked, incoming).await;
        let mut handed = handed.unwrap();
        let names: Vec<_> = handed
            .files()
            .iter()
            .map(|file| file.name.clone())
            .collect();
        handed.store(&Naming::default()).await.unwrap();
        let whole = asked.head.uri.path_and_query().unwrap().clone();
        let sent = target(&handed, whole);
        let reference = Reference {
            keys: Keys::parse(KEY).unwrap(),
            folder: "/srv/uploads".into(),
        };
        let about = Target {
            method: "POST",
            path: sent.as_str(),
        };
        let form = reference.rewrite(&handed, &names, &about).unwrap();
        handed.done();
        let fields = read(&form).await;
        let said = fields
            .first()
            .filter(|(name, _)| name == STATEMENT)
            .unwrap();
        let signed: Signed<Claims> = reference.keys.read(&said.1, Audience::Statement).unwrap();
        (sent.to_string(), fields, signed.says)
    }

    async fn read(form: &Rewritten) -> Vec<(String, String)> {
        let boundary = multer::parse_boundary(form.content_type.to_str().unwrap()).unwrap();
        let body = BodyDataStream::new(Full::new(form.body.clone()));
        let mut parts = multer::Multipart::new(body, boundary);
        let mut fields = Vec::new();
        while let Some(part) = parts.next_field().await.unwrap() {
            assert_eq!(part.file_name(), None);
            let name = part.name().unwrap().to_owned();
            fields.push((name, part.text().await.unwrap()));
        }
        fields
    }

    /// The name that a framework gives a field, each by its own rule: as it is, PHP's, and those of nested parameters.
    fn framework_names(name: &str) -> [String; 4] {
        let php = name.trim_start_matches(' ').replace(['.', ' ', '['], "_");
        let nested = name.replace("][", ".").replace('[', ".").replace(']', "");
        [
            name.to_owned(),
            php,
            nested,
            name.replace('\\', "").to_lowercase(),
        ]
    }

    #[test]
    fn each_file_is_fields_in_its_place_and_a_signed_statement_says_the_same_first() {
        block_on(async {
            let parts = [
                text("title", "Paella \"of\" mine"),
                file("picture", "C:\\\\a\\paella.jpg", "rice"),
                text("odd \\ %22 name", ""),
                file("album[]", "", "x"),
                file("picture", "paella.jpg", "more rice"),
            ];
            let (target, fields, says) = referred("?a=1", &parts).await;
            let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
            let of = |file: &str| {
                ["name", "path", "content_type", "size"].map(|what| format!("{file}.{what}"))
            };
            let (picture, album) = (of("picture"), of("album[]"));
            let mut expected = vec!["dumbwaiter.statement", "title"];
            expected.extend(picture.iter().map(String::as_str));
            expected.push("odd %5C %22 name");
            expected.extend(album.iter().map(String::as_str));
            expected.extend(picture.iter().map(String::as_str));
            assert_eq!(names, expected);
            assert_eq!(fields[1].1, "Paella \"of\" mine");
            assert_eq!(target, "/upload?a=1");
            assert_eq!((&*says.method, &*says.path), ("POST", "/upload?a=1"));
            assert_eq!(says.owner.as_deref(), Some("anna"));
            let whole = says
                .files
                .iter()
                .map(|file| (&*file.field, &*file.name, file.size));
            let whole: Vec<_> = whole.collect();
            assert_eq!(whole[0], ("picture", "paella.jpg", 4));
            assert_eq!((whole[1].0, whole[1].2), ("album[]", 1));
            assert_eq!(whole[2], ("picture", "paella.jpg", 9));
            for (at, file) in [
                (2, &says.files[0]),
                (7, &says.files[1]),
                (11, &says.files[2]),
            ] {
                let said = &fields[at..at + 4];
                let size = file.size.to_string();
                assert_eq!(said[0].1, file.name);
                assert_eq!(said[1].1, file.path);
                assert_eq!((&*said[2].1, &*said[3].1), (&*file.content_type, &*size));
                assert!(!file.name.is_empty());
                assert!(file.path.starts_with("/srv/uploads/"), "{}", file.path);
            }
            assert_ne!(says.files[0].path, says.files[2].path);
        });
    }

    #[test]
    fn what_only_we_may_send_is_taken_out_of_form_and_query() {
        block_on(async {
            let parts = [
                text("dumbwaiter.statement", "forged"),
                text("picture.path", "/etc/passwd"),
                file("picture", "a", "x"),
                text("picture[size]", "9"),
                text("picture_path", "/etc/passwd"),
                text("picture_title", "mine"),
                text("other.path", "/etc/passwd"),
            ];
            let query = "?picture.path=/etc/passwd&picture%5Bname%5D=x&a=1&dumbwaiter.statement=x";
            let (target, fields, says) = referred(query, &parts).await;
            assert_eq!((&*target, &*says.path), ("/upload?a=1", "/upload?a=1"));
            let mine = fields
                .iter()
                .filter(|(name, _)| !name.starts_with("picture."));
            let mine: Vec<_> = mine.skip(1).collect();
            assert_eq!(mine, [&("picture_title".to_owned(), "mine".to_owned())]);
            let paths = fields.iter().filter(|(name, _)| name == "picture.path");
            let paths: Vec<_> = paths.map(|(_, path)| path).collect();
            assert_eq!(paths, [&says.files[0].path]);
        });
    }

    #[test]
    fn a_form_without_files_is_stated_too() {
        block_on(async {
            let (_, fields, says) = referred("", &[text("a", "1")]).await;
            assert_eq!(fields.len(), 2);
            assert_eq!(fields[1], ("a".to_owned(), "1".to_owned()));
            assert_eq!(says.files, []);
        });
    }

    /// Names made of what generated names are made of.
    fn name() -> impl Strategy<Value = String> {
        const TOKENS: [&str; 24] = [
            "dumbwaiter",
            "statement",
            "picture",
            "album",
            "path",
            "name",
            "size",
            "sha256",
            "content_type",
            "Path",
            ".",
            "[",
            "]",
            "_",
            " ",
            "%2e",
            "%5B",
            "%25",
            "\\",
            "\\\\",
            "%00",
            ";",
            "a",
            "料",
        ];
        let token = proptest::sample::select(&TOKENS[..]);
        proptest::collection::vec(token, 1..6).prop_map(|tokens| tokens.concat())
    }

    fn ours(files: &[&str]) -> Vec<String> {
        let said = |file: &&str| SAID.map(|what| format!("{file}.{what}"));
        let mut ours: Vec<_> = files.iter().flat_map(said).collect();
        ours.push(STATEMENT.to_owned());
        ours
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn whatever_fields_a_client_sends_no_name_of_ours_arrives_that_we_did_not_make(
            names in proptest::collection::vec(name(), 0..8),
            query in proptest::collection::vec(name(), 0..4),
            at in 0..8usize,
        ) {
            let mut parts: Vec<_> = names.iter().map(|name| text(name, "forged")).collect();
            parts.insert(at.min(parts.len()), file("picture", "a", "x"));
            parts.push(file("album[a]", "b", "y"));
            let encoded = |name: &String| {
                percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string() + "=forged"
            };
            let query: Vec<_> = query.iter().map(encoded).collect();
            let (target, fields, says) = block_on(referred(&format!("?{}", query.join("&")), &parts));
            prop_assert_eq!(says.files.len(), 2);
            let made = ours(&["picture", "album[a]"]);
            // Each framework reads the client's names and ours by the same rule.
        let taken: Vec<_> = made.iter().map(|name| framework_names(name)).collect();
        let is_taken = |name: &str| {
            let read = framework_names(name);
            taken.iter().any(|ours| ours.iter().zip(&read).any(|(ours, read)| ours == read))
        };
        for (name, value) in &fields {
                prop_assert!(value != "forged" || !is_taken(name), "{} arrived", name);
            }
            let of_ours = fields.iter().filter(|(name, _)| made.contains(name));
            prop_assert_eq!(of_ours.count(), 1 + 2 * 4);
            let pairs = target.split_once('?').map_or("", |(_, pairs)| pairs);
            for pair in pairs.split('&') {
                let name = pair.split('=').next().unwrap();
                let name = percent_decode(name);
                prop_assert!(!is_taken(&name), "{} arrived in the query", name);
            }
        }
    }

    fn percent_decode(name: &str) -> String {
        percent_encoding::percent_decode_str(name)
            .decode_utf8_lossy()
            .into_owned()
    }
}
