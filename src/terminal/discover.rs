//! How a server takes uploads: what it answers to OPTIONS.

use http::{HeaderMap, Method};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::http::{Client, Failed, refusal};
use super::url::Url;

/// Where uploads begin, and how they are sent there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    /// Where a POST begins one; of [`Way::Plain`] what lies below it is put.
    pub(crate) endpoint: Url,
    pub(crate) way: Way,
    /// The most bytes of one file.
    pub(crate) max_size: Option<u64>,
    /// The most bytes of one request.
    pub(crate) max_append: Option<u64>,
    /// By which checksums tus checks what it takes.
    pub(crate) checksums: Vec<String>,
}

/// A protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Resumable Uploads for HTTP.
    Ietf,
    /// tus 1.0.
    Tus,
    /// PUT, which cannot be gone on with.
    Plain,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoOffer {
    #[error(transparent)]
    Failed(#[from] Failed),
    /// The server does not let us.
    #[error("{server}: {why}")]
    Refused { server: String, why: String },
    /// Nothing there takes uploads.
    #[error("{0} takes no uploads, nor does what lies below it at files/")]
    Nothing(Url),
}

/// Asks at `url` itself, then at `files/` below it: a person may know the address of the page.
///
/// # Errors
/// [`NoOffer`].
pub(crate) async fn discover(client: &Client, url: &Url) -> Result<Offer, NoOffer> {
    let mut plain = None;
    for endpoint in likely(url) {
        let answer = client
            .short(Method::OPTIONS, &endpoint, HeaderMap::new())
            .await?;
        match answer.status().as_u16() {
            401 | 403 | 407 | 421 => {
                return Err(NoOffer::Refused {
                    server: endpoint.authority().to_owned(),
                    why: refusal(&answer),
                });
            }
            408 | 429 | 500.. => {
                return Err(NoOffer::Failed(Failed::Broken {
                    server: endpoint.authority().to_owned(),
                    why: refusal(&answer),
                }));
            }
            200..=299 => {}
            _ => continue,
        }
        match read(endpoint, answer.headers()) {
            Some(offer) if offer.way == Way::Plain => plain = plain.or(Some(offer)),
            Some(offer) => return Ok(offer),
            None => {}
        }
    }
    plain.ok_or_else(|| NoOffer::Nothing(url.clone()))
}

/// Where uploads may begin for whoever says `url`. Beside what takes forms is what takes files.
fn likely(url: &Url) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let endpoints = match path.rsplit_once('/') {
        Some((_, "files")) => [url.at(&format!("{path}/")), None],
        Some((base, "upload")) => [url.at(&format!("{base}/files/")), None],
        _ => [Some(url.clone()), url.below("files/")],
    };
    endpoints.into_iter().flatten().collect()
}

/// What an answer to OPTIONS offers; the newest protocol first. A path that takes no POST begins nothing that can be gone
/// on with.
fn read(endpoint: Url, fields: &HeaderMap) -> Option<Offer> {
    let lists = |name: &str, word: &str| {
        let values = fields
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut words = values.flat_map(|value| value.split(','));
        words.any(|given| given.trim().eq_ignore_ascii_case(word))
    };
    let begins = !fields.contains_key("allow") || lists("allow", "POST");
    let way = match () {
        () if begins && lists("accept-patch", "application/partial-upload") => Way::Ietf,
        () if begins && lists("tus-version", "1.0.0") && lists("tus-extension", "creation") => {
            Way::Tus
        }
        () if lists("allow", "PUT") => Way::Plain,
        () => return None,
    };
    let limits = limits(fields);
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    let tus_most = text("tus-max-size").and_then(|most| most.parse().ok());
    let checksums = text("tus-checksum-algorithm")
        .unwrap_or_default()
        .split(',');
    Some(Offer {
        endpoint,
        way,
        max_size: limits("max-size").or(tus_most),
        max_append: limits("max-append-size").filter(|most| *most > 0),
        checksums: checksums
            .map(|word| word.trim().to_ascii_lowercase())
            .collect(),
    })
}

/// The members of `Upload-Limit`, which are numbers.
fn limits(fields: &HeaderMap) -> impl Fn(&str) -> Option<u64> {
    let text = fields
        .get("upload-limit")
        .and_then(|value| value.to_str().ok());
    let limits = text.and_then(|text| Parser::new(text).parse::<Dictionary>().ok());
    move |name| match limits.as_ref()?.get(name)? {
        ListEntry::Item(item) => match item.bare_item {
            BareItem::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn offered(lines: &str) -> Option<(Way, Option<u64>, Option<u64>)> {
        let mut fields = HeaderMap::new();
        for line in lines.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            fields.append(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let offer = read("http://a/files/".parse().unwrap(), &fields)?;
        Some((offer.way, offer.max_size, offer.max_append))
    }

    #[test]
    fn a_page_and_what_takes_forms_lead_to_what_takes_files() {
        for (given, asked) in [
            ("http://a", &["http://a/", "http://a/files/"][..]),
            ("http://a/up/", &["http://a/up/", "http://a/up/files/"]),
            ("http://a/up/files", &["http://a/up/files/"]),
            ("http://a/up/files/", &["http://a/up/files/"]),
            ("http://a/up/upload?x=y", &["http://a/up/files/"]),
        ] {
            let likely = likely(&given.parse().unwrap());
            let likely: Vec<_> = likely.iter().map(Url::to_string).collect();
            assert_eq!(likely, asked, "{given}");
        }
    }

    #[test]
    fn the_newest_protocol_that_is_offered_is_taken() {
        for (lines, way) in [
            (
                "accept-patch: application/partial-upload, application/offset+octet-stream\nallow: POST\ntus-version: 1.0.0\ntus-extension: creation",
                Some(Way::Ietf),
            ),
            (
                "accept-patch: application/offset+octet-stream\ntus-version: 0.2.2,1.0.0\ntus-extension: creation,expiration",
                Some(Way::Tus),
            ),
            (
                "tus-version: 1.0.0\ntus-extension: expiration\nallow: PUT, POST",
                Some(Way::Plain),
            ),
            (
                "accept-patch: application/partial-upload\nallow: PUT, OPTIONS",
                Some(Way::Plain),
            ),
            ("allow: GET, HEAD", None),
            ("x: y", None),
        ] {
            assert_eq!(offered(lines).map(|offer| offer.0), way, "{lines}");
        }
    }

    #[test]
    fn limits_are_those_that_can_be_read() {
        let ietf = "accept-patch: application/partial-upload\nupload-limit: ";
        for (limit, most, at_once) in [
            (
                "max-size=9, max-append-size=4, max-age=86400",
                Some(9),
                Some(4),
            ),
            ("min-size=0", None, None),
            ("max-size=-1, max-append-size=0", None, None),
            ("max-size=\"9\"", None, None),
            ("max-size", None, None),
        ] {
            assert_eq!(
                offered(&format!("{ietf}{limit}")),
                Some((Way::Ietf, most, at_once)),
                "{limit}"
            );
        }
        let tus = "tus-version: 1.0.0\ntus-extension: creation\ntus-max-size: 7";
        assert_eq!(offered(tus), Some((Way::Tus, Some(7), None)));
    }
}
