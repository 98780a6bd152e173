//! Which record an address stands for, however people come by it.

use crate::terminal::url::Url;

/// Where the records are that `text` stands for. An upload that can be resumed or has been stored is known by its own
/// address, too: `…/files/ID` has its record at `…/uploads/ID`.
///
/// # Errors
/// In words, for what names no upload.
pub(crate) fn address_of(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|why| format!("{why}"))?;
    let (above, name) = url.path().rsplit_once('/').unwrap_or_default();
    let found = match (above.rsplit_once('/'), name) {
        (Some((_, "uploads")), "") => None,
        (Some((_, "uploads")), _) => Some(url.clone()),
        (Some((_, "files")), "") => None,
        (Some((base, "files")), _) => url.at(&format!("{base}/uploads/{name}")),
        (_, "uploads") if url.target().contains('?') => Some(url.clone()),
        _ => None,
    };
    found.ok_or_else(|| {
        format!(
            "{text} names no upload: it is …/uploads/NAME, …/files/ID or …/uploads?X-Progress-ID=ID"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_an_upload_leads_to_its_record() {
        for (text, leads) in [
            ("http://a/uploads/W", Some("http://a/uploads/W")),
            ("https://a/up/uploads/W", Some("https://a/up/uploads/W")),
            ("http://a/files/I", Some("http://a/uploads/I")),
            ("http://a/up/files/I", Some("http://a/up/uploads/I")),
            ("http://a/files/files/I", Some("http://a/files/uploads/I")),
            (
                "http://a/uploads?id=1&id=2",
                Some("http://a/uploads?id=1&id=2"),
            ),
            (
                "http://a/up/uploads?X-Progress-ID=1",
                Some("http://a/up/uploads?X-Progress-ID=1"),
            ),
            ("http://a/", None),
            ("http://a/uploads", None),
            ("http://a/uploads/", None),
            ("http://a/files/", None),
            ("http://a/other/I", None),
            ("a/uploads/W", None),
        ] {
            let led = address_of(text).map(|url| url.to_string());
            assert_eq!(led.ok().as_deref(), leads, "{text}");
        }
    }
}
