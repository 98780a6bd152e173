//! Which of the forms that we can give does a client like best: the `Accept` field (RFC 9110, 12.5.1).

use http::{HeaderMap, header};

/// The index of the offered media type with the highest quality; among equals the first offered, except that a type
/// the client names goes before one that only a wildcard covers. Without a usable `Accept` the first.
#[must_use]
pub fn prefer(headers: &HeaderMap, offered: &[&str]) -> usize {
    let ranges = ranges(headers);
    let quality = |offer: &str| {
        let fits = ranges.iter().filter(|range| range.covers(offer));
        // The most specific range decides: `text/*;q=0.3, text/html` gives text/html its 1.
        fits.max_by_key(|range| range.specificity()).map_or((0.0, 0), |range| (range.quality, range.specificity()))
    };
    let mut best = (0, (0.0, 0));
    for (index, offer) in offered.iter().enumerate() {
        let (quality, specificity) = quality(offer);
        if (quality, specificity) > best.1 {
            best = (index, (quality, specificity));
        }
    }
    best.0
}

/// One media range of an `Accept` field.
struct Range {
    kind: String,
    subtype: String,
    quality: f32,
}

impl Range {
    fn covers(&self, offer: &str) -> bool {
        let Some((kind, subtype)) = offer.split_once('/') else { return false };
        (self.kind == "*" || self.kind == kind) && (self.subtype == "*" || self.subtype == subtype)
    }

    fn specificity(&self) -> u8 {
        u8::from(self.kind != "*") + u8::from(self.subtype != "*")
    }
}

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let fields = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(',')).filter_map(range).collect()
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let quality = parts.filter_map(|part| part.strip_prefix("q=")).find_map(|q| q.parse().ok()).unwrap_or(1.0);
    Some(Range { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), quality })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_clients_get_what_they_can_read() {
        let offered = ["application/json", "application/xml", "text/xml", "text/html"];
        for (who, accept, expected) in [
            ("curl", "*/*", "application/json"),
            ("jQuery dataType xml", "application/xml, text/xml, */*; q=0.01", "application/xml"),
            ("jQuery dataType json", "application/json, text/javascript, */*; q=0.01", "application/json"),
            ("a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", "text/html"),
            ("one that forbids", "application/json;q=0, text/*", "text/xml"),
            ("one that is specific", "text/*;q=0.3, text/html;q=0.7, application/xml;q=0.5", "text/html"),
            ("one we cannot please", "image/png", "application/json"),
            ("nonsense", ";;,/", "application/json"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(offered[prefer(&headers, &offered)], expected, "{who}");
        }
        assert_eq!(prefer(&HeaderMap::new(), &offered), 0);
    }
}
