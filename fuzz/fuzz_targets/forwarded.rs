//! Forwarding fields: whatever a client puts into them, the address that a trusted proxy adds at the end is the
//! client's, and a prefix that is taken is a plain path.
//!
//! `cargo fuzz run -s none forwarded -- -max_total_time=20`

#![no_main]

use std::net::{IpAddr, SocketAddr};

use dumbwaiter::rights::{Client, Forwarding, Trust, parse_base};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const REAL: &str = "203.0.113.9";

fn client(forwarding: Forwarding, fields: &[(&'static str, &[u8])]) -> Option<Client> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value).ok()?);
    }
    let proxies = vec!["10.0.0.0/8".parse().expect("a network")];
    let peer = SocketAddr::from(([10, 0, 0, 1], 1));
    Some(Client::of(
        &headers,
        peer,
        &Trust {
            proxies,
            forwarding,
        },
    ))
}

fuzz_target!(|input: &[u8]| {
    let real: IpAddr = REAL.parse().expect("an address");
    let added = [input, b", ", REAL.as_bytes()].concat();
    if let Some(client) = client(
        Forwarding::XForwarded,
        &[("x-forwarded-for", &added), ("forwarded", input)],
    ) {
        assert_eq!(client.certain_address(), Some(real));
    }
    // A line that a client has broken says nothing: then nobody's address is certain, and never one of its choice.
    let added = [input, b", for=", REAL.as_bytes()].concat();
    if let Some(client) = client(
        Forwarding::Forwarded,
        &[("forwarded", &added), ("x-forwarded-for", input)],
    ) {
        assert!([Some(real), None].contains(&client.certain_address()));
        assert!(client.address() == real || client.certain_address().is_none());
    }
    for forwarding in [Forwarding::XForwarded, Forwarding::Forwarded] {
        let fields = [
            "x-forwarded-for",
            "forwarded",
            "x-forwarded-prefix",
            "x-forwarded-host",
            "x-forwarded-proto",
        ];
        if let Some(client) = client(forwarding, &fields.map(|name| (name, input))) {
            let prefix = client.prefix();
            assert_eq!(parse_base(prefix).as_deref(), Some(prefix));
            assert!(!prefix.starts_with("//") && !prefix.ends_with('/'));
        }
    }
});
