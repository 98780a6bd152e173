//! Which of several answers a client would rather have (RFC 9110, section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// How a media range matches a type: the higher, the more specific, and the more it says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Any,
    Group,
    Exact,
}

/// The one of `offers` that the client likes best: by quality, then by how exactly it is named, then by our order.
/// `None` when it takes none of them. A request without `Accept` takes anything.
#[must_use]
pub(crate) fn prefer<'a>(headers: &HeaderMap, offers: &[&'a str]) -> Option<&'a str> {
    if !headers.contains_key(ACCEPT) {
        return offers.first().copied();
    }
    let ranges: Vec<_> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(parse)
        .collect();
    let liked = |offer: &&&str| likes(&ranges, offer);
    let mut best: Option<(&'a str, (u16, Match))> = None;
    for offer in offers {
        if let Some(like) = liked(&offer)
            && best.is_none_or(|(_, most)| like > most)
        {
            best = Some((offer, like));
        }
    }
    best.map(|(offer, _)| offer)
}

/// A media range and its quality in thousandths. Parameters other than `q` are passed over.
fn parse(range: &str) -> Option<(&str, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let range = parts.next().filter(|range| range.contains('/'))?;
    let quality = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    Some((range, quality.map_or(1000, thousandths)))
}

/// `0.5` is 500; what is no number between 0 and 1 counts as 1, as if it had not been said.
fn thousandths(quality: &str) -> u16 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    match whole {
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or(1000),
        _ => 1000,
    }
}

/// Quality and exactness of the most specific range that matches; `None` when that says no.
fn likes(ranges: &[(&str, u16)], offer: &str) -> Option<(u16, Match)> {
    ranges
        .iter()
        .filter_map(|(range, quality)| Some((matches(range, offer)?, *quality)))
        .max()
        .filter(|(_, quality)| *quality > 0)
        .map(|(exactness, quality)| (quality, exactness))
}

fn matches(range: &str, offer: &str) -> Option<Match> {
    let group = |media: &str| {
        media
            .split('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    if range.eq_ignore_ascii_case(offer) {
        Some(Match::Exact)
    } else if range == "*/*" {
        Some(Match::Any)
    } else if range.ends_with("/*") && group(range) == group(offer) {
        Some(Match::Group)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_answer_is_given() {
        const JSON: &str = "application/json";
        const XML: &str = "application/xml";
        const HTML: &str = "text/html";
        const STREAM: &str = "text/event-stream";
        for (accept, offers, best) in [
            ("*/*", &[JSON, STREAM][..], Some(JSON)),
            ("text/event-stream", &[JSON, STREAM], Some(STREAM)),
            ("Text/Event-Stream", &[JSON, STREAM], Some(STREAM)),
            ("text/event-stream, */*", &[JSON, STREAM], Some(STREAM)),
            ("text/*", &[JSON, STREAM], Some(STREAM)),
            (
                "application/json, text/event-stream",
                &[JSON, STREAM],
                Some(JSON),
            ),
            (
                "application/json;q=0.5, text/event-stream",
                &[JSON, STREAM],
                Some(STREAM),
            ),
            ("text/event-stream;q=0, */*", &[JSON, STREAM], Some(JSON)),
            (
                "text/event-stream ; Q=0.1 , */*; q=0.2",
                &[JSON, STREAM],
                Some(JSON),
            ),
            ("*/*;q=0", &[JSON, STREAM], None),
            ("image/png", &[JSON, STREAM], None),
            ("", &[JSON, STREAM], None),
            (
                "application/xml, text/xml, */*; q=0.01",
                &[JSON, XML, HTML],
                Some(XML),
            ),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                &[JSON, XML, HTML],
                Some(HTML),
            ),
            (
                "application/json, text/javascript, */*; q=0.01",
                &[JSON, XML, HTML],
                Some(JSON),
            ),
            (
                "application/json;q=nonsense, text/html;q=0.9",
                &[JSON, HTML],
                Some(JSON),
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(prefer(&headers, offers), best, "{accept}");
        }
        assert_eq!(prefer(&HeaderMap::new(), &[JSON, STREAM]), Some(JSON));
    }

    #[test]
    fn several_fields_count_as_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "text/plain".parse().unwrap());
        headers.append(ACCEPT, "text/event-stream".parse().unwrap());
        assert_eq!(
            prefer(&headers, &["text/event-stream"]),
            Some("text/event-stream")
        );
    }
}
