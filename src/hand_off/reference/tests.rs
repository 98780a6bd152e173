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
    #![proptest_config(ProptestConfig::with_cases(256))]

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
        let read = |name: &str| framework_names(name);
        let taken: Vec<_> = made.iter().flat_map(|name| read(name)).collect();
        let is_taken = |name: &str| read(name).iter().any(|name| taken.contains(name));
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
