use http::HeaderValue;

use super::*;

/// Of "a dish of paella", as `openssl dgst -binary | base64` has them.
const SHA_256: &str = "sha-256=:3wbCD72tX9ewEwo0PYmhBacNLxWQp2mK6z1mDMQSOL4=:";
const SHA_512: &str = "sha-512=:+8KH5TKDbOHR5+cNJPFT4oeZhQxPI5Qp4ensrBZyEz8l8/UCi1o8/sCeqUjOb3Ch+Zh+MO98UqwSSO8zd9KniQ==:";
const DISH: &[u8] = b"a dish of paella";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn read(value: &str) -> Digests {
    Digests::read(value.as_bytes()).unwrap().unwrap()
}

fn fits(digests: &Digests, bytes: &[u8]) -> bool {
    let mut adding = Adding::towards(digests);
    adding.update(bytes);
    adding.verify(digests).is_ok()
}

#[test]
fn digests_are_those_of_the_usual_tools() {
    let both = format!("{SHA_256}, {SHA_512}");
    for value in [SHA_256, SHA_512, &both] {
        assert!(fits(&read(value), DISH), "{value}");
        assert!(!fits(&read(value), b"a dish of paellb"), "{value}");
    }
    let nothing = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    assert!(fits(&read(nothing), b""));
}

#[test]
fn all_of_several_must_fit() {
    let other = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    assert!(!fits(&read(&format!("{other}, {SHA_512}")), DISH));
    assert!(fits(&read(&format!("{SHA_512},{SHA_256};a=1")), DISH));
}

#[test]
fn what_is_read_is_written_in_one_way() {
    let both = format!("{SHA_256}, {SHA_512}");
    for value in [
        both.clone(),
        format!("{SHA_512},\t{SHA_256}"),
        format!("md5=:AAAA:, {SHA_256};q=1, {SHA_512}, unixsum=30637"),
    ] {
        assert_eq!(read(&value).to_string(), both);
    }
    let lines = headers(&[("repr-digest", SHA_512), ("repr-digest", SHA_256)]);
    assert_eq!(Digests::of_upload(&lines).unwrap(), Some(both));
}

#[test]
fn what_all_of_an_upload_adds_up_to_is_said_before_its_bytes() {
    let behind = headers(&[("trailer", "Expires, Repr-Digest")]);
    let refused = Digests::of_upload(&behind).unwrap_err();
    assert_eq!(refused.code(), "bad_request");
    let other = headers(&[("trailer", "Content-Digest")]);
    assert_eq!(Digests::of_upload(&other).unwrap(), None);
}

#[test]
fn algorithms_that_are_not_known_are_passed_over() {
    for value in [
        "",
        "md5=:AAAA:",
        "unixsum=30637",
        "sha=:AAAA:, id-sha-256=?1",
    ] {
        assert_eq!(Digests::read(value.as_bytes()).unwrap(), None, "{value:?}");
    }
    assert_eq!(Digests::of(&HeaderMap::new(), &CONTENT).unwrap(), None);
}

#[test]
fn what_is_no_digest_is_refused() {
    for value in [
        "sha-256",
        "sha-256=",
        "sha-256=1",
        "sha-256=?1",
        "sha-256=::",
        "sha-256=:AAAA:",
        "sha-256=(:AAAA:)",
        "sha-256=\"3wbCD72tX9ewEwo0PYmhBacNLxWQp2mK6z1mDMQSOL4=\"",
        "sha-256=:!!!!:",
        "sha-512=:3wbCD72tX9ewEwo0PYmhBacNLxWQp2mK6z1mDMQSOL4=:",
        "SHA-256=:3wbCD72tX9ewEwo0PYmhBacNLxWQp2mK6z1mDMQSOL4=:",
        ",",
        "sha-256=:3wbCD72tX9ewEwo0PYmhBacNLxWQp2mK6z1mDMQSOL4=:,",
        "\u{fc}",
    ] {
        let error = Digests::read(value.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "bad_request", "{value:?}");
    }
}

#[test]
fn sums_go_on_from_a_saved_state_at_any_byte() {
    let bytes: Vec<u8> = (0..300_u32).map(|i| (i % 251) as u8).collect();
    let expected = read(&format!("{SHA_256}, {SHA_512}"));
    let sums = |adding: Adding| -> Vec<Vec<u8>> { adding.0.into_iter().map(Sum::finish).collect() };
    let mut uncut = Adding::towards(&expected);
    uncut.update(&bytes);
    let uncut = sums(uncut);
    for cut in 0..=bytes.len() {
        let mut before = Adding::towards(&expected);
        before.update(&bytes[..cut]);
        let saved = before.save();
        assert_eq!(saved.len(), 312);
        let mut after = Adding::restore(&expected, &saved).unwrap();
        after.update(&bytes[cut..]);
        assert_eq!(sums(after), uncut, "cut at {cut}");
    }
}

#[test]
fn a_state_that_is_not_ours_is_refused() {
    let both = read(&format!("{SHA_256}, {SHA_512}"));
    let saved = Adding::towards(&both).save();
    for state in [&[][..], b"abc", &[0xff; 312], &saved[1..], &saved[..311]] {
        assert!(Adding::restore(&both, state).is_none(), "{state:?}");
    }
    let longer = [&saved[..], &[0]].concat();
    assert!(Adding::restore(&both, &longer).is_none());
    assert!(Adding::restore(&read(SHA_256), &saved).is_none());
}

#[test]
fn a_digest_may_stand_behind_the_body() {
    let announced = headers(&[("trailer", "Expires, Content-Digest")]);
    let both = format!("{SHA_256}, {SHA_512}");
    let other = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    for (behind, code) in [
        (Some(SHA_512), None),
        (Some(&both[..]), None),
        (Some("md5=:AAAA:"), None),
        (Some(other), Some("digest_mismatch")),
        (Some("sha-256=1"), Some("bad_request")),
        (None, Some("bad_request")),
    ] {
        let mut checked = Checked::default();
        assert!(checked.also(&announced, &CONTENT).unwrap());
        assert!(!checked.also(&announced, &REPR).unwrap());
        checked.update(DISH);
        let behind = behind.map(|value| headers(&[("content-digest", value)]));
        let verified = checked.verify(behind.as_ref());
        assert_eq!(verified.err().map(|error| error.code()), code, "{behind:?}");
    }
}

#[test]
fn both_fields_are_held_against_the_same_bytes() {
    let other = "sha-512=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==:";
    for (repr, fits) in [(SHA_512, true), (other, false)] {
        let both = headers(&[("content-digest", SHA_256), ("repr-digest", repr)]);
        let mut checked = Checked::default();
        assert!(checked.also(&both, &CONTENT).unwrap() && checked.also(&both, &REPR).unwrap());
        checked.update(DISH);
        assert_eq!(checked.verify(None).is_ok(), fits);
    }
}
