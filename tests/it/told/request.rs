//! What the app is told, and how it knows that we say it.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{KEY, PATH, Pair, body, told_id};
use crate::support::app::Seen;
use crate::support::{Reply, Server, form, part};

#[test]
fn the_app_is_told_what_came_and_nothing_of_the_clients_request() {
    let pair = Pair::start(&["--digest", "sha256", "--name", "{id}/{filename}"]);
    let request = "PUT /files/paella.jpg HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\
        Cookie: session=secret\r\nAuthorization: Bearer secret\r\nDumbwaiter-Statement: forged\r\nX-Own: secret\r\n\r\nhello";
    let reply = pair.server.send(request.as_bytes());
    assert_eq!((reply.status, reply.text()), (200, "ok"));
    let seen = pair.app.only();
    assert_eq!((seen.method(), seen.target()), ("POST", PATH));
    assert!(!seen.head.contains("secret"), "{}", seen.head);
    let id = told_id(&seen);
    assert_eq!(seen.header("dumbwaiter-upload"), Some(&*id));
    assert_eq!(
        seen.header("dumbwaiter-phase"),
        Some(&*format!("/uploads/{id}/phase"))
    );
    assert!(seen.header("dumbwaiter-token").unwrap().len() > 50);
    // What anybody may see in a file's name is no right to the upload.
    let watch = pair.record(&id)["watch"].as_str().unwrap().to_owned();
    let name = format!("{watch}/paella.jpg");
    let file = pair.dir.canonicalize().unwrap().join(&name);
    let sum = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let expected = json!({
        "upload": id, "watch": watch, "owner": null, "protocol": "put", "fields": {},
        "files": [{
            "field": null, "name": name, "path": file, "content_type": "image/jpeg",
            "size": 5, "digest": sum, "url": format!("/files/{id}"),
        }],
    });
    assert_eq!(body(&seen), expected);
    assert_eq!(std::fs::read(file).unwrap(), b"hello");
}

#[test]
fn the_fields_of_a_form_and_all_its_files_are_told() {
    let pair = Pair::start(&["--base", "/up", "--downloads", "off"]);
    let sent = form(&[
        part("dish", None, b"paella"),
        part("photo", Some("a.jpg"), b"one"),
        part("dish", None, b"flan"),
        part("photo", Some("b.jpg"), b"three"),
    ]);
    let reply = pair.server.post("/up/upload", "", &sent);
    assert_eq!(reply.status, 201, "{reply:?}");
    let told = body(&pair.app.only());
    assert_eq!(told["protocol"], "form");
    assert_eq!(told["fields"], json!({"dish": ["paella", "flan"]}));
    let files = told["files"].as_array().unwrap();
    let facts = |file: &Value| {
        (
            file["field"].clone(),
            file["name"].clone(),
            file["size"].clone(),
        )
    };
    let facts: Vec<_> = files.iter().map(facts).collect();
    let file = |name: &str, size: u64| (json!("photo"), json!(name), json!(size));
    assert_eq!(facts, [file("a.jpg", 3), file("b.jpg", 5)]);
    assert!(files.iter().all(|file| file["url"].is_null()));
}

/// A form of fields alone stores nothing, so there is nothing to tell of.
#[test]
fn an_upload_without_files_is_not_told_of() {
    let pair = Pair::start(&[]);
    let reply = pair
        .server
        .post("/upload", "", &form(&[part("dish", None, b"paella")]));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(pair.put("a", "x").status, 200);
    assert_eq!(pair.app.only().target(), PATH);
}

#[test]
fn the_statement_is_signed_over_the_body_for_this_path_and_for_minutes() {
    let pair = Pair::start(&[]);
    pair.put("a.txt", "hello");
    let seen = pair.app.only();
    let claims = statement(&seen, KEY).unwrap();
    let (id, sum) = (told_id(&seen), Sha256::digest(&seen.body));
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, expected) in [
        ("iss", "dumbwaiter"),
        ("jti", &id),
        ("upload", &id),
        ("method", "POST"),
        ("path", PATH),
        ("sha256", &sum),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    let lasts = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lasts, 300);
    assert!(statement(&seen, "another key of thirty-two bytes.").is_none());
}

fn statement(seen: &Seen, key: &str) -> Option<Value> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&["hand-off"]);
    let token = seen.header("dumbwaiter-statement").unwrap();
    let key = DecodingKey::from_secret(key.as_bytes());
    Some(decode::<Value>(token, &key, &rules).ok()?.claims)
}

#[test]
fn without_a_key_that_the_app_shares_the_server_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let started = std::process::Command::new(env!("CARGO_BIN_EXE_dumbwaiter"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--hand-off",
            "http://127.0.0.1:1",
        ])
        .arg("--dir")
        .arg(folder.path().join("uploads"))
        .env_remove("DUMBWAITER_APP_KEY")
        .output()
        .unwrap();
    let said = String::from_utf8(started.stderr).unwrap();
    assert_eq!(started.status.code(), Some(1), "{said}");
    assert!(said.contains("--app-key-file"), "{said}");
}

#[test]
fn a_server_that_tells_nobody_has_no_answers() {
    let server = Server::start(&[]);
    let put: Reply = server.send(super::put("a", "x").as_bytes());
    let id = put.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/uploads/{id}/answer")).status, 404);
}
