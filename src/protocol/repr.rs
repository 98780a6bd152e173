//! `Repr-Digest` of a stored file, for whoever wants it (RFC 9530).
//!
//! Nothing is computed for it: the digest is the one that the handler for it has left with the file, and only SHA-256
//! has a name in both worlds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::Asked;
use crate::receive::REPR_DIGEST;

const WANT: HeaderName = HeaderName::from_static("want-repr-digest");

/// Adds the field, if the request wants one and the file's digest, `algorithm:hex`, can be said in it.
pub(super) fn tell(answer: &mut HeaderMap, asked: &Asked, digest: Option<&str>) {
    let value = || field(&asked.head.headers, digest?);
    if let Some(value) = value() {
        answer.insert(REPR_DIGEST, value);
    }
}

fn field(asked: &HeaderMap, digest: &str) -> Option<HeaderValue> {
    let hex = digest.strip_prefix("sha256:").filter(|_| wants(asked))?;
    let digits = hex.as_bytes().chunks(2);
    let bytes = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    HeaderValue::try_from(format!("sha-256=:{}:", STANDARD.encode(bytes))).ok()
}

/// Whether SHA-256 is wanted at all: 0 means that it is not (RFC 9530, 4). What cannot be read is as if it were not there.
fn wants(asked: &HeaderMap) -> bool {
    let fields = asked.get_all(WANT).iter().map(HeaderValue::as_bytes);
    let all = fields.collect::<Vec<_>>().join(&b", "[..]);
    let Ok(wanted) = Parser::new(&all).parse::<Dictionary>() else {
        return false;
    };
    match wanted.get("sha-256") {
        Some(ListEntry::Item(item)) => {
            matches!(item.bare_item, BareItem::Integer(weight) if (1..=10).contains(&i64::from(weight)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_told_to_who_wants_it() {
        let known = "sha256:df06c20fbdad5fd7b0130a343d89a105a70d2f1590a7698aeb3d660cc41238be";
        let told = "sha-256=:3wbCD72tX9ewEwo0PYmhBacNLxWQp2mK6z1mDMQSOL4=:";
        for (want, digest, expected) in [
            ("sha-256=1", known, Some(told)),
            ("sha-512=10, sha-256=3;a", known, Some(told)),
            ("sha-256=0", known, None),
            ("sha-256=11", known, None),
            ("sha-256=-1", known, None),
            ("sha-256", known, None),
            ("sha-512=10", known, None),
            ("", known, None),
            ("sha-256=1,", known, None),
            ("sha-256=1", "blake3:df06", None),
            ("sha-256=1", "sha256:zz", None),
            ("sha-256=1", "sha256:\u{fc}", None),
        ] {
            let mut asked = HeaderMap::new();
            asked.insert(WANT, HeaderValue::from_static(want));
            let value = field(&asked, digest);
            let value = value.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(value, expected, "{want} {digest}");
        }
        assert!(field(&HeaderMap::new(), known).is_none());
    }
}
