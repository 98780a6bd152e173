use std::os::unix::fs::PermissionsExt as _;

use super::keys::KeyError;
use super::*;

#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct Says {
    upload: String,
}

const ONE: &str = "0123456789abcdef0123456789abcdef";
const TWO: &str = "fedcba9876543210fedcba9876543210";

fn says() -> Says {
    Says {
        upload: "7".to_owned(),
    }
}

fn keys(text: &str) -> Keys {
    Keys::parse(text).unwrap()
}

fn signed(keys: &Keys) -> String {
    let token = keys.sign(Audience::Phase, Duration::from_secs(60), &says());
    token.unwrap()
}

fn read(keys: &Keys, token: &str) -> Result<Says, Forged> {
    keys.read(token, Audience::Phase).map(|read| read.says)
}

/// A token whose parts are these texts, signed by nobody.
fn unsigned(parts: &[&str]) -> String {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts: Vec<_> = parts.iter().map(|part| engine.encode(part)).collect();
    parts.join(".")
}

#[test]
fn what_is_signed_is_read_by_any_of_the_keys_and_by_no_other() {
    let (old, both, new) = (keys(ONE), keys(&format!("{TWO}\n{ONE}")), keys(TWO));
    assert_eq!(read(&both, &signed(&old)), Ok(says()));
    assert_eq!(read(&new, &signed(&both)), Ok(says()));
    assert_eq!(read(&new, &signed(&old)), Err(Forged::Signature));
    assert_eq!(read(&Keys::random(), &signed(&old)), Err(Forged::Signature));
}

#[test]
fn one_byte_that_differs_is_a_forgery() {
    let keys = keys(ONE);
    let token = signed(&keys);
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        // The last character of a part may hold bits that mean nothing; then it is refused as no Base64.
        assert!(read(&keys, &changed).is_err(), "byte {at}");
    }
}

#[test]
fn a_token_that_names_another_algorithm_is_a_forgery() {
    let claims = format!(r#"{{"aud":"phase","exp":{},"upload":"7"}}"#, now() + 60);
    for algorithm in ["none", "None", "HS384", "RS256", "nonsense"] {
        let head = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
        let token = unsigned(&[&head, &claims, ""]);
        assert!(read(&keys(ONE), &token).is_err(), "{algorithm}");
    }
    for token in ["", ".", "..", "a.b.c", &"a".repeat(MOST + 1)] {
        assert_eq!(read(&keys(ONE), token), Err(Forged::Malformed));
    }
}

#[test]
fn it_counts_for_one_purpose_and_until_it_expires() {
    let keys = keys(ONE);
    let token = signed(&keys);
    let other = keys.read::<Says>(&token, Audience::Ticket);
    assert_eq!(other, Err(Forged::Audience));
    let claims = |exp: u64| {
        let claims = serde_json::json!({"aud": "phase", "exp": exp, "upload": "7"});
        encode(&Header::new(Algorithm::HS256), &claims, keys.signs()).unwrap()
    };
    assert_eq!(read(&keys, &claims(now() + 60)), Ok(says()));
    assert_eq!(
        read(&keys, &claims(now() - LEEWAY - 2)),
        Err(Forged::Expired)
    );
    for claims in [
        serde_json::json!({"aud": "phase", "upload": "7"}),
        serde_json::json!({"exp": now() + 60, "upload": "7"}),
        serde_json::json!({"aud": "phase", "exp": now() + 60}),
    ] {
        let token = encode(&Header::new(Algorithm::HS256), &claims, keys.signs()).unwrap();
        assert!(read(&keys, &token).is_err(), "{claims}");
    }
}

#[test]
fn a_file_holds_a_key_a_line_and_is_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let open = |text: &str, mode: u32| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Keys::open(&path)
    };
    let found = open(&format!("# the new one\n\n  {TWO}  \r\n{ONE}\n"), 0o600).unwrap();
    assert_eq!(read(&found, &signed(&keys(ONE))), Ok(says()));
    assert_eq!(read(&keys(TWO), &signed(&found)), Ok(says()));
    assert!(found.are_shared() && !Keys::random().are_shared());
    assert!(matches!(open(ONE, 0o644), Err(KeyError::OpenToAll)));
    assert!(matches!(open("# none\n", 0o600), Err(KeyError::Empty)));
    let short = open(&format!("{ONE}\nshort"), 0o600);
    assert!(matches!(short, Err(KeyError::TooShort { line: 2 })));
    assert!(!format!("{found:?}").contains(&TWO[..8]));
}
