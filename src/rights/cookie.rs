//! The `dw` cookie: a random name by which a browser's uploads are told from its neighbours'.
//!
//! It is no login. Our page sets it; an upload that carries it belongs to it, and only a poll that carries it too finds
//! that upload by its progress id.

use std::fmt;

use http::{HeaderMap, HeaderValue, header};

use crate::upload::{Bits, Owner};

/// What the cookie is called.
const NAME: &str = "dw";

/// How long a browser keeps it. Whatever it opens lives for minutes; it only saves asking anew at each visit.
const MAX_AGE_SECONDS: u32 = 30 * 24 * 60 * 60;

/// The cookie's value: 128 random bits, written as 32 lower-case hex digits. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cookie(Bits);

impl Cookie {
    /// Draws a new one from the operating system's random source.
    #[must_use]
    pub fn random() -> Self {
        Self(Bits::random())
    }

    /// The first well-formed `dw` of the request. Others of that name, and whatever else stands in the header, are
    /// passed over: a cookie can be set by any page of a neighbouring name, and must not keep anybody from uploading.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .find_map(parse)
    }

    /// To whom an upload belongs that carries it. One-way: who learns of an owner has not learned the cookie.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::Cookie(Bits::image("cookie", self.0.0).0)
    }

    /// The `Set-Cookie` field's value; `base` is empty or a path without a slash at its end. `Lax` keeps it off what
    /// pages of other sites send.
    #[must_use]
    pub fn set(&self, base: &str, https: bool) -> HeaderValue {
        let secure = if https { "; Secure" } else { "" };
        let text = format!(
            "{NAME}={}; Path={base}/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax{secure}",
            self.0
        );
        HeaderValue::try_from(text).expect("hex digits and a checked path are header text")
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

fn parse(pair: &[u8]) -> Option<Cookie> {
    let pair = std::str::from_utf8(pair).ok()?;
    let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
    if name != NAME {
        return None;
    }
    value.parse().ok().map(Cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "00112233445566778899aabbccddeeff";
    const B: &str = "ffeeddccbbaa99887766554433221100";

    fn of(lines: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        Cookie::of(&headers).map(|cookie| cookie.0.to_string())
    }

    #[test]
    fn the_first_well_formed_one_counts_and_nothing_else_matters() {
        let (a, b) = (format!("dw={A}"), format!("dw={B}"));
        for (line, found) in [
            ("", None),
            ("dw=", None),
            ("dw", None),
            ("dw=short", None),
            (&*format!("dw={A}0"), None),
            (&*format!("dw={}", A.to_uppercase()), None),
            (&*format!("DW={A}"), None),
            (&*format!("adw={A}"), None),
            (&*format!("dw=\"{A}\""), None),
            (&*a, Some(A)),
            (&*format!("session=x; {a}"), Some(A)),
            (&*format!("{a};{b}"), Some(A)),
            (&*format!("dw=garbage; {b}"), Some(B)),
            (&*format!(";;;=; a;\t{b} ;"), Some(B)),
        ] {
            assert_eq!(of(&[line.as_bytes()]).as_deref(), found, "{line}");
        }
        let foreign = [b"x=\xff\xfe; y".as_slice(), a.as_bytes()];
        assert_eq!(of(&foreign).as_deref(), Some(A));
        let bytes_before = [b"x=\xff; ".as_slice(), b.as_bytes()].concat();
        assert_eq!(of(&[&bytes_before]).as_deref(), Some(B));
    }

    #[test]
    fn what_is_set_comes_back_and_stays_with_us() {
        let cookie = Cookie::random();
        let set = cookie.set("/up", false);
        let (pair, rest) = set.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(rest, "Path=/up/; Max-Age=2592000; HttpOnly; SameSite=Lax");
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, pair.parse().unwrap());
        assert_eq!(Cookie::of(&headers), Some(cookie));
        let secure = cookie.set("", true);
        let secure = secure.to_str().unwrap();
        assert!(
            secure.contains("; Path=/; ") && secure.ends_with("; Secure"),
            "{secure}"
        );
    }

    #[test]
    fn an_owner_does_not_show_the_cookie() {
        let cookie = Cookie::random();
        let Owner::Cookie(image) = cookie.owner() else {
            panic!("another owner")
        };
        assert_ne!(image, cookie.0.0);
        assert_eq!(cookie.owner(), cookie.owner());
        assert_ne!(cookie.owner(), Cookie::random().owner());
        assert_eq!(format!("{cookie:?}"), "Cookie(…)");
    }
}
