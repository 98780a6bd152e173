//! The page where a person drops a file: ours with the modules, style sheet and icons it uses, files of this crate,
//! embedded; or the files of a [`Site`] in its place.
//!
//! Two things are written into our page when it is asked for, so that they hold without script too: what the server
//! takes, and the drawing that the icons are made from.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

mod lift;
mod limits;
mod site;

pub(crate) use limits::PageLimits;
pub use site::{Site, SiteError, SiteLimits};

/// Everything from our own origin, nothing inline, nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'self'; base-uri 'self'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A module under its own name.
macro_rules! module {
    ($name:literal) => {
        (
            concat!("/", $name, ".js"),
            SCRIPT,
            include_str!(concat!("../client/", $name, ".js")),
        )
    };
}

/// Path, media type and text of each file.
const FILES: [(&str, &str, &str); 20] = [
    ("/", HTML, include_str!("../client/page.html")),
    ("/dumbwaiter.css", STYLE, include_str!("../client/page.css")),
    module!("copy"),
    module!("dom"),
    module!("dumbwaiter"),
    module!("dumbwaiter.de"),
    module!("dumbwaiter.en"),
    module!("dumbwaiter.es"),
    module!("dumbwaiter.fr"),
    module!("dumbwaiter.words"),
    module!("intake"),
    module!("lift"),
    module!("limits"),
    module!("page"),
    module!("row"),
    module!("say"),
    module!("thumbs"),
    module!("total"),
    module!("unfinished"),
    module!("words"),
];

/// What any page may use, those of other origins too: the module and its languages. A browser loads a module of another
/// origin only with a leave to read it (HTML, "fetch a single module script"), whatever the page then sends.
const PUBLIC: [&str; 6] = [
    "/dumbwaiter.js",
    "/dumbwaiter.de.js",
    "/dumbwaiter.en.js",
    "/dumbwaiter.es.js",
    "/dumbwaiter.fr.js",
    "/dumbwaiter.words.js",
];

/// What else stays where another page stands in for ours: what answers to forms without script look like; so do their
/// icons.
const KEPT: [&str; 2] = ["/dumbwaiter.css", "/favicon.ico"];

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
    pub(crate) fn get(
        &self,
        path: &str,
        query: Option<&str>,
        base: &str,
        limits: &PageLimits,
    ) -> Option<Response<Bytes>> {
        let ours = || ours(path, base, limits);
        match self {
            Self::Nothing => None,
            Self::Ours => ours(),
            Self::Site(site) => site
                .get(path, query, base)
                .or_else(|| is_kept(path).then(ours).flatten()),
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

fn is_kept(path: &str) -> bool {
    PUBLIC.contains(&path) || KEPT.contains(&path) || path.starts_with("/lift-")
}

/// The file of ours that stands at `path`. The page's URLs are relative, and `base` is what they begin with.
fn ours(path: &str, base: &str, limits: &PageLimits) -> Option<Response<Bytes>> {
    if let Some(icon) = lift::icon(path) {
        return Some(asset(SVG, POLICY, icon.into()));
    }
    let (_, content_type, text) = FILES.iter().find(|(at, ..)| *at == path)?;
    let text = match path {
        "/" => page(text, base, limits).into(),
        _ => Bytes::from_static(text.as_bytes()),
    };
    let mut answer = asset(content_type, POLICY, text);
    if PUBLIC.contains(&path) {
        share(answer.headers_mut());
    }
    Some(answer)
}

/// Lets pages of every origin load it, also those that embed nothing which does not say so (HTML, "COEP").
fn share(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
}

fn page(text: &str, base: &str, limits: &PageLimits) -> String {
    let text = limits
        .write(text)
        .replacen("<!--lift-->", lift::DRAWING.trim_end(), 1);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
    match !base.is_empty() && base.bytes().all(plain) {
        // A router's `nest("/up", …)` gives `/up` and `/up/` to us alike, as `/`.
        true => text.replacen("<head>", &format!("<head>\n<base href=\"{base}/\">"), 1),
        false => text,
    }
}

/// A folder without its slash, the base say: its page's URLs are relative, so it must be asked for with one. The query
/// is the page's own and goes along.
pub(crate) fn with_slash(folder: &str, query: Option<&str>) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    if let Ok(location) = HeaderValue::from_str(&format!("{folder}/{query}")) {
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
