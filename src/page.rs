//! The page where a person drops a file: ours with the module and style sheet it uses, files of this crate, embedded; or
//! the files of a [`Site`] in its place.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

mod site;

pub use site::{Site, SiteError, SiteLimits};

/// Everything from our own origin, nothing inline, nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'self'; base-uri 'self'; frame-ancestors 'none'";

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

/// What stays where another page stands in for ours: the module, which any page may use, and the style sheet of answers.
const KEPT: [&str; 2] = ["/dumbwaiter.js", "/dumbwaiter.css"];

/// What `GET /` shows.
#[derive(Debug)]
pub(crate) enum Page {
    Nothing,
    Ours,
    Site(Site),
}

impl Page {
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// The file that stands at `path`, if one does.
    pub(crate) fn get(&self, path: &str, base: &str) -> Option<Response<Bytes>> {
        match self {
            Self::Nothing => None,
            Self::Ours => ours(path, base),
            Self::Site(site) => site
                .get(path, base)
                .or_else(|| KEPT.contains(&path).then(|| ours(path, base)).flatten()),
        }
    }

    /// Whether only those see `path` who may see the page. Of ours everybody knows the scripts.
    pub(crate) fn guards(&self, path: &str) -> bool {
        match self {
            Self::Nothing | Self::Ours => path == "/",
            Self::Site(site) => site.holds(path),
        }
    }
}

/// Whether it is a page, and not what one uses.
pub(crate) fn is_page(file: &Response<Bytes>) -> bool {
    let content_type = file.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|content_type| content_type == HTML)
}

/// The file of ours that stands at `path`. The page's URLs are relative, and `base` is what they begin with.
fn ours(path: &str, base: &str) -> Option<Response<Bytes>> {
    let (_, content_type, text) = FILES.iter().find(|(at, ..)| *at == path)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
    let text = match path {
        // A router's `nest("/up", …)` gives `/up` and `/up/` to us alike, as `/`.
        "/" if !base.is_empty() && base.bytes().all(plain) => text
            .replacen("<head>", &format!("<head>\n<base href=\"{base}/\">"), 1)
            .into(),
        _ => Bytes::from_static(text.as_bytes()),
    };
    Some(asset(content_type, POLICY, text))
}

/// A folder without its slash, the base say: its page's URLs are relative, so it must be asked for with one.
pub(crate) fn with_slash(folder: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    if let Ok(location) = HeaderValue::from_str(&format!("{folder}/")) {
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

fn asset(content_type: &'static str, policy: &'static str, text: Bytes) -> Response<Bytes> {
    let mut answer = Response::new(text);
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, policy),
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
