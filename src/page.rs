//! The page where a person drops a file, and the module and style sheet it uses: files of this crate, embedded.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

/// Everything from our own origin, nothing inline, nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Path, media type and text of each file.
const FILES: [(&str, &str, &str); 6] = [
    ("/", HTML, include_str!("../client/page.html")),
    (
        "/dumbwaiter.js",
        SCRIPT,
        include_str!("../client/dumbwaiter.js"),
    ),
    ("/page.js", SCRIPT, include_str!("../client/page.js")),
    ("/rows.js", SCRIPT, include_str!("../client/rows.js")),
    ("/words.js", SCRIPT, include_str!("../client/words.js")),
    ("/dumbwaiter.css", STYLE, include_str!("../client/page.css")),
];

/// The file that stands at `path`, if one does.
pub(crate) fn get(path: &str) -> Option<Response<Bytes>> {
    let (_, content_type, text) = FILES.iter().find(|(at, ..)| *at == path)?;
    Some(asset(content_type, text))
}

/// The base without its slash: the page's URLs are relative, so it must be asked for with one.
pub(crate) fn with_slash(base: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    if let Ok(location) = HeaderValue::from_str(&format!("{base}/")) {
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

fn asset(content_type: &'static str, text: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(text.as_bytes()));
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: a plain form would then be posted with `Origin: null` (Fetch, "append a request Origin header").
        (header::REFERRER_POLICY, "same-origin"),
        // They belong together: after an update none of them may be an old one.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}
