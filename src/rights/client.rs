//! What is known of the one who asks, found once for each request.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::HOST;
use http::request::Parts;

use super::authority::Authority;
use super::cookie::Cookie;
use super::forwarded::{self, Forwarding};
use super::network::{Network, any_holds};
use crate::upload::Owner;

/// Whose word about others counts.
#[derive(Clone, Default, Debug)]
pub struct Trust {
    /// The proxies in front. Forwarding fields of anybody else are not read.
    pub proxies: Vec<Network>,
    /// Which fields they write.
    pub forwarding: Forwarding,
}

/// Who asks: from which address, with which cookie, and how trusted proxies say that the server was addressed.
#[derive(Clone, Debug)]
pub struct Client {
    address: IpAddr,
    certain: bool,
    direct: bool,
    straight: bool,
    cookie: Option<Cookie>,
    https: bool,
    pub(super) host: Option<Authority>,
    prefix: String,
    /// The trusted proxies between, the nearest first.
    proxies: Vec<IpAddr>,
}

impl Client {
    /// Reads the request's fields as `trust` allows. `peer` is the other end of the connection.
    ///
    /// Nothing here fails: a field that cannot be read counts as not sent, and an address that cannot be read ends the
    /// walk at the proxy that wrote it.
    #[must_use]
    pub fn of(headers: &HeaderMap, peer: SocketAddr, trust: &Trust) -> Self {
        let peer = peer.ip().to_canonical();
        let mut client = Self {
            address: peer,
            certain: true,
            direct: peer.is_loopback() && !forwarded::is_forwarded(headers),
            straight: !forwarded::is_forwarded(headers) && !any_holds(&trust.proxies, peer),
            cookie: Cookie::of(headers),
            https: false,
            host: None,
            prefix: String::new(),
            proxies: Vec::new(),
        };
        if any_holds(&trust.proxies, peer) {
            client.walk(headers, trust);
            client.prefix = forwarded::prefix(headers)
                .and_then(parse_base)
                .unwrap_or_default();
        }
        client
    }

    fn walk(&mut self, headers: &HeaderMap, trust: &Trust) {
        for hop in trust.forwarding.hops(headers) {
            if !any_holds(&trust.proxies, self.address) {
                return;
            }
            self.https = hop
                .proto
                .is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
            self.host = hop.host.and_then(|host| Authority::parse(&host));
            let Some(address) = hop.address else {
                self.certain = false;
                return;
            };
            self.proxies.push(self.address);
            self.address = address;
        }
    }

    /// The client's address: the rightmost one that no trusted proxy has. IPv4-mapped IPv6 is IPv4.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The same, unless a trusted proxy named somebody whom we could not read: then it is only the proxy's.
    #[must_use]
    pub fn certain_address(&self) -> Option<IpAddr> {
        self.certain.then_some(self.address)
    }

    /// To whom an upload of this client belongs: to its cookie if it sent one, else to its address.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.cookie.map_or_else(
            || Owner::from_address(self.address),
            |cookie| cookie.owner(),
        )
    }

    /// Everybody that this client is, the most telling first: whose uploads it finds by progress id. Leaving its cookie
    /// out would find what belongs to its address too, so that is no further right.
    #[must_use]
    pub fn owners(&self) -> Vec<Owner> {
        let cookie = self.cookie.map(|cookie| cookie.owner());
        cookie
            .into_iter()
            .chain([Owner::from_address(self.address)])
            .collect()
    }

    /// Its `dw` cookie.
    #[must_use]
    pub fn cookie(&self) -> Option<Cookie> {
        self.cookie
    }

    /// Whether the client speaks TLS, with a trusted proxy.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The trusted proxies that it came through, the nearest to us first.
    #[cfg(feature = "server")]
    pub(crate) fn proxies(&self) -> &[IpAddr] {
        &self.proxies
    }

    /// The host by which it addresses us, where a trusted proxy says so.
    #[cfg(feature = "server")]
    pub(crate) fn named_host(&self) -> Option<&Authority> {
        self.host.as_ref()
    }

    /// Scheme and host by which it addresses us, as a trusted proxy says or the request itself; `None` where neither does.
    pub(crate) fn addressed(&self, head: &Parts) -> Option<String> {
        let target = head.uri.authority().map(http::uri::Authority::as_str);
        let field = || head.headers.get(HOST)?.to_str().ok();
        let host = self.host.clone();
        let host = host.or_else(|| Authority::parse(target.or_else(field)?))?;
        let scheme = if self.https { "https" } else { "http" };
        let port = host.port.map(|port| format!(":{port}"));
        Some(format!(
            "{scheme}://{}{}",
            host.host,
            port.unwrap_or_default()
        ))
    }

    /// What a trusted proxy has taken off the path: empty, or a path with a leading and no trailing slash.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the request came straight from it, as far as can be seen: no proxy says that it stands between, and the other
    /// end of the connection is none that is known.
    pub(crate) fn is_straight(&self) -> bool {
        self.straight
    }

    /// Whether it runs on this machine, as far as can be seen: no proxy says that it stands between.
    pub(super) fn is_direct(&self) -> bool {
        self.direct
    }
}

/// Reads a path under which everything stands, and gives it with a leading slash and without one at the end; the root
/// is empty. Only letters, digits and `-._~` may stand between the slashes, so that it fits into every URL, header and
/// page as it is.
#[must_use]
pub fn parse_base(text: &str) -> Option<String> {
    if ["", "/"].contains(&text) {
        return Some(String::new());
    }
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let plain = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(unreserved);
    inner.split('/').all(plain).then(|| format!("/{inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, fields: &[(&'static str, &str)], forwarding: Forwarding) -> Client {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let proxies = ["10.0.0.0/8", "::1", "127.0.0.1"].map(|text| text.parse().unwrap());
        let trust = Trust {
            proxies: proxies.into(),
            forwarding,
        };
        Client::of(&headers, SocketAddr::new(peer.parse().unwrap(), 1), &trust)
    }

    #[test]
    fn what_a_proxy_has_passed_on_did_not_come_straight() {
        let straight = |peer, fields: &[(&'static str, &str)]| {
            client(peer, fields, Forwarding::XForwarded).is_straight()
        };
        assert!(straight(
            "203.0.113.9",
            &[("x-progress-id", "7"), ("forwarder", "x")]
        ));
        // Whatever it says, a proxy that is known stands between.
        assert!(!straight("10.0.0.1", &[]));
        assert!(!straight("::ffff:127.0.0.1", &[]));
        for field in [
            "via",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-prefix",
            "x-forwarded-port",
        ] {
            assert!(!straight("203.0.113.9", &[(field, "x")]), "{field}");
        }
    }

    #[test]
    fn the_rightmost_address_that_no_trusted_proxy_has_is_the_clients() {
        for (peer, field, address, certain) in [
            ("203.0.113.9", "1.1.1.1", "203.0.113.9", true),
            ("10.0.0.1", "1.1.1.1", "1.1.1.1", true),
            ("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1", true),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1", true),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1", true),
            (
                "10.0.0.1",
                "6.6.6.6, 1.1.1.1, ::ffff:10.0.0.2",
                "1.1.1.1",
                true,
            ),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", true),
            ("10.0.0.1", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2", false),
            ("10.0.0.1", "nonsense", "10.0.0.1", false),
            ("10.0.0.1", "nonsense, 1.1.1.1", "1.1.1.1", true),
            ("::1", "2001:db8::1", "2001:db8::1", true),
        ] {
            let found = client(peer, &[("x-forwarded-for", field)], Forwarding::XForwarded);
            let expected: IpAddr = address.parse().unwrap();
            assert_eq!(found.address(), expected, "{peer} {field}");
            assert_eq!(
                found.certain_address(),
                certain.then_some(expected),
                "{peer} {field}"
            );
        }
    }

    #[test]
    fn only_the_fields_that_the_proxies_write_are_read() {
        let both = [
            ("x-forwarded-for", "1.1.1.1"),
            ("forwarded", "for=2.2.2.2;proto=https;host=b"),
            ("x-forwarded-host", "a"),
        ];
        let of_x = client("10.0.0.1", &both, Forwarding::XForwarded);
        assert_eq!(of_x.address().to_string(), "1.1.1.1");
        assert_eq!((of_x.is_https(), of_x.host), (false, Authority::parse("a")));
        let of_forwarded = client("10.0.0.1", &both, Forwarding::Forwarded);
        assert_eq!(of_forwarded.address().to_string(), "2.2.2.2");
        assert_eq!(
            (of_forwarded.is_https(), of_forwarded.host),
            (true, Authority::parse("b"))
        );
    }

    #[test]
    fn scheme_host_and_prefix_count_from_trusted_peers_alone() {
        let fields = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "up.example"),
            ("x-forwarded-prefix", "/in/"),
        ];
        let trusted = client("10.0.0.1", &fields, Forwarding::XForwarded);
        assert!(trusted.is_https());
        assert_eq!(
            (trusted.prefix(), trusted.host.clone()),
            ("/in", Authority::parse("up.example"))
        );
        let stranger = client("203.0.113.9", &fields, Forwarding::XForwarded);
        assert!(!stranger.is_https());
        assert_eq!((stranger.prefix(), stranger.host.clone()), ("", None));
    }

    #[test]
    fn a_prefix_that_could_be_anything_but_a_path_is_not_taken() {
        for (prefix, base) in [
            ("/a/b", "/a/b"),
            ("a", "/a"),
            ("/", ""),
            ("//evil.example", ""),
            ("/\\evil", ""),
            ("/a/../b", ""),
            ("/a\"><script>", ""),
            ("https://evil.example", ""),
            ("/a b", ""),
            ("/a%2f", ""),
            ("/x, /y", "/y"),
        ] {
            let found = client(
                "10.0.0.1",
                &[("x-forwarded-prefix", prefix)],
                Forwarding::XForwarded,
            );
            assert_eq!(found.prefix(), base, "{prefix}");
        }
    }

    #[test]
    fn a_client_is_its_cookie_first_and_its_address_too() {
        let cookie = format!("dw={}", "0".repeat(32));
        let with = client(
            "203.0.113.9",
            &[("cookie", &cookie)],
            Forwarding::XForwarded,
        );
        let without = client(
            "203.0.113.9",
            &[("cookie", "dw=no")],
            Forwarding::XForwarded,
        );
        assert!(matches!(with.owner(), Owner::Cookie(_)));
        assert_eq!(with.owners(), [with.owner(), without.owner()]);
        assert_eq!(without.owners(), [without.owner()]);
    }
}
