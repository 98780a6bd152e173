//! What a page's file is, by the end of its name. Browsers are told to take our word for it (`nosniff`).

/// Ends of names in lower case, and what they stand for. Text is UTF-8, as the web's is.
const TYPES: [(&str, &str); 24] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("xml", "application/xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/vnd.microsoft.icon"),
    ("woff2", "font/woff2"),
    ("woff", "font/woff"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("wasm", "application/wasm"),
    ("pdf", "application/pdf"),
];

/// The media type of the file at `path`; what is not in the table is bytes, which browsers offer to save.
pub(super) fn of(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    let known = TYPES.iter().find(|(of, _)| end.eq_ignore_ascii_case(of));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_end_of_the_name_decides_and_nothing_else() {
        for (path, media_type) in [
            ("/index.html", "text/html; charset=utf-8"),
            ("/A.HTML", "text/html; charset=utf-8"),
            ("/jquery.form.min.js", "text/javascript; charset=utf-8"),
            ("/a.html/b", "application/octet-stream"),
            ("/html", "application/octet-stream"),
            ("/a.html.gz", "application/octet-stream"),
            ("/a.", "application/octet-stream"),
        ] {
            assert_eq!(of(path), media_type, "{path}");
        }
    }
}
