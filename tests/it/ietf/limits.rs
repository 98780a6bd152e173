//! "Upload-Limit", and how a client finds out what there is: OPTIONS, and refusals by size.

use super::talk::{ALL, NEWEST, NONE, Talk, Version, inconsistent, refused};
use crate::support::Server;

/// All that bounds an upload of one file, or a form, in every version's words.
const ARGS: [&str; 6] = [
    "--max-upload-size",
    "1000",
    "--max-file-size",
    "900",
    "--max-request-size",
    "50",
];

/// "OPTIONS": MUST have `Upload-Limit`, and says which bytes are appended; where nothing is bounded it says so all the same.
#[test]
fn options_tells_limits_and_what_is_appended() {
    let bounded = Server::start(&ARGS);
    let server = Server::start(&[]);
    for path in [
        "/files/",
        "/files",
        "/files/00112233445566778899aabbccddeeff",
        "/upload",
    ] {
        for version in [&ALL[..], &[NONE]].concat() {
            let ask = version.request(&format!("OPTIONS {path}"), "", "");
            let reply = Talk::with(&server).answer(&ask);
            assert_eq!(
                (reply.status, reply.header("upload-limit")),
                (204, Some("min-size=0"))
            );
            let most = if path == "/upload" { "1000" } else { "900" };
            let reply = Talk::with(&bounded).answer(&ask);
            let limit = format!("max-size={most}, max-append-size=50");
            assert_eq!(
                reply.header("upload-limit"),
                Some(&*limit),
                "{path} {version:?}"
            );
            if path != "/upload" {
                let kinds = "application/partial-upload, application/offset+octet-stream";
                assert_eq!(reply.header("accept-patch"), Some(kinds), "{path}");
            }
        }
    }
}

/// `OPTIONS *` asks the server and no target of it.
#[test]
fn options_of_the_whole_server_tells_limits_too() {
    for (args, limit) in [
        (&[][..], "min-size=0"),
        (&ARGS[..], "max-size=900, max-append-size=50"),
    ] {
        let server = Server::start(args);
        let reply = Talk::with(&server).answer("OPTIONS * HTTP/1.1\nHost: a\n\n");
        assert_eq!(
            (reply.status, reply.header("upload-limit")),
            (204, Some(limit))
        );
    }
}

/// An upload's own limits are told where it begins, goes on and is asked for, with how long it is kept: `expires` until
/// version 6, then `max-age`.
#[test]
fn an_uploads_limits_are_told_with_its_location_and_offset() {
    let server = Server::start(&ARGS);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        let age = if version == Version(Some(6)) {
            "expires"
        } else {
            "max-age"
        };
        let limit = format!("upload-limit: max-size=900, max-append-size=50, {age}={{seconds}}\n");
        let with = |reply: String| reply.replace(version.limit(), &limit);
        talk.says(
            &version.create("", false, "he"),
            &with(version.created("id", 2)),
        );
        talk.says(
            &version.append("id", 2, false, "y"),
            &with(version.appended(3)),
        );
        talk.says(&version.ask("HEAD", "id"), &with(version.told(3, None)));
        let conflict = with(version.mismatch(3, 9) + "\n");
        let conflict = conflict.trim_end_matches('\n');
        talk.says(&version.append("id", 9, false, "x"), conflict);
        let wrong = version.append_with("id", 3, true, "Upload-Length: 9", "x");
        let wrong_length = with(inconsistent(&version.stands(3), 9, 4));
        talk.says(&wrong, &wrong_length);
    }
}

/// Nothing is kept for ever by chance: `max-age` counts down from what is configured, and is not told where nothing expires.
#[test]
fn the_age_is_what_is_left_of_it() {
    let server = Server::start(&["--expire-after", "1h"]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "he"), &NONE.created("id", 2));
    let reply = talk.answer(&NONE.ask("HEAD", "id"));
    let left = reply
        .header("upload-limit")
        .unwrap()
        .strip_prefix("max-age=")
        .unwrap();
    assert!(
        (3000..=3600).contains(&left.parse::<u64>().unwrap()),
        "{left}"
    );
    let server = Server::start(&["--expire-after", "none"]);
    let mut talk = Talk::with(&server);
    let never = |reply: String| reply.replace(NONE.limit(), "upload-limit: min-size=0\n");
    talk.says(&NONE.create("", false, "he"), &never(NONE.created("id", 2)));
    talk.says(&NONE.append("id", 2, false, "y"), &never(NONE.appended(3)));
    talk.says(&NONE.ask("HEAD", "id"), &never(NONE.told(3, None)));
}

/// 413 SHOULD carry `Upload-Limit`: an upload that is said to be too large, or becomes it, and a request that is.
#[test]
fn a_refusal_by_size_tells_what_may_be_sent() {
    let server = Server::start(&ARGS);
    let limit = "upload-limit: max-size=900, max-append-size=50";
    let in_all = |fields: &str| {
        refused(
            "413 Payload Too Large",
            &format!("{limit}\n{fields}"),
            "upload_too_large",
            "the upload is larger than the 1000 bytes taken here",
        )
    };
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(
            &version.create("Upload-Length: 1001", false, ""),
            &in_all(""),
        );
        let reply = talk.answer(&version.create("Upload-Length: 901", false, ""));
        assert_eq!(
            (reply.status, reply.header("upload-limit")),
            (413, limit.strip_prefix("upload-limit: "))
        );
        assert_eq!(reply.json()["code"], "file_too_large");
        let much = "x".repeat(51);
        for ends in [false, true] {
            let reply = talk.answer(&version.create("", ends, &much));
            assert_eq!(
                (reply.status, reply.header("upload-limit")),
                (413, limit.strip_prefix("upload-limit: "))
            );
            assert_eq!(reply.json()["code"], "request_too_large");
        }
        assert!(server.under_way().is_empty(), "nothing was begun");
        talk.says(
            &version.create("", false, ""),
            &version
                .created("id", 0)
                .replace("upload-limit: ", &format!("{limit}, ")),
        );
        let reply = talk.answer(&version.append("id", 0, false, &much));
        assert_eq!(
            (reply.status, reply.header("upload-offset")),
            (413, Some("0"))
        );
        assert!(
            reply
                .header("upload-limit")
                .unwrap()
                .starts_with("max-size=900, max-append-size=50")
        );
        talk.says(&version.ask("DELETE", "id"), super::talk::GONE);
    }
}

/// What says no length grows past the limit at last: refused there, and what was too much is not kept.
#[test]
fn an_upload_of_unknown_length_ends_at_the_limit() {
    let server = Server::start(&["--max-upload-size", "10"]);
    let mut talk = Talk::with(&server);
    let limited = |reply: String| reply.replace("upload-limit: ", "upload-limit: max-size=10, ");
    talk.says(
        &NEWEST.create("", false, "hello "),
        &limited(NEWEST.created("id", 6)),
    );
    let reply = talk.answer(&NEWEST.append("id", 6, false, "world"));
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (413, &"upload_too_large".into())
    );
    assert!(
        reply
            .header("upload-limit")
            .unwrap()
            .starts_with("max-size=10"),
        "{reply:?}"
    );
    assert!(server.files().is_empty());
}

/// As large as the limit is taken, in requests as large as theirs.
#[test]
fn what_keeps_to_the_limits_is_taken() {
    let server = Server::start(&["--max-upload-size", "10", "--max-request-size", "5"]);
    let mut talk = Talk::with(&server);
    let limited = |reply: String| {
        reply.replace(
            "upload-limit: ",
            "upload-limit: max-size=10, max-append-size=5, ",
        )
    };
    talk.says(
        &NEWEST.create("", false, "hello"),
        &limited(NEWEST.created("id", 5)),
    );
    talk.says(
        &NEWEST.append("id", 5, true, "world"),
        &NEWEST.completed("id", 10),
    );
    assert_eq!(server.read(&server.files()[0]), b"helloworld");
}
