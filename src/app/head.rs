//! What the app is told of a request, and the client of an answer: one function each, for whatever goes to the app.
//!
//! What concerns one connection alone stays there (RFC 9110, 7.6.1). What says who asks is ours to say: the app believes us,
//! so nothing of it that a stranger made up comes through. Nor does any name with `_` in it: many apps read that as `-`, and
//! gunicorn takes `SCRIPT_NAME`, of a proxy that it believes, for the part of the path that is not to be looked at. What
//! begins with `Dumbwaiter-` is between us and the app, and nobody else says it, either way.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::Error;
use crate::protocol::Asked;
use crate::rights::Client;

/// Marks what has been through a server of ours.
const THROUGH: HeaderName = HeaderName::from_static("dumbwaiter-through");

/// This process, in that mark. It is no secret.
static INSTANCE: LazyLock<HeaderValue> = LazyLock::new(|| {
    let name = format!("{:016x}", getrandom::u64().unwrap_or_default());
    HeaderValue::try_from(name).expect("hexadecimal digits are visible")
});

/// The fields for the app: the client's without those that concern its connection, or its body's length, and what is known
/// of the client.
pub(crate) fn to_app(asked: &Asked) -> HeaderMap {
    let theirs = &asked.head.headers;
    let mut fields = trailers_to_app(theirs);
    tell(asked, &mut fields);
    for mark in theirs.get_all(THROUGH) {
        fields.append(THROUGH, mark.clone());
    }
    fields.append(THROUGH, INSTANCE.clone());
    fields
}

/// Of fields that stand before a body or behind it, those that the app may have: behind it nobody says who asks either.
pub(super) fn trailers_to_app(theirs: &HeaderMap) -> HeaderMap {
    through(theirs, |name| {
        !is_claim(name) && ![header::CONTENT_LENGTH, header::EXPECT].contains(name)
    })
}

/// The fields for the client, out of the app's, before a body or behind it.
pub(crate) fn to_client(theirs: &HeaderMap) -> HeaderMap {
    through(theirs, |name| !is_ours(&dashed(name)))
}

/// Whether a request has not been through this process.
///
/// # Errors
/// [`Error::Loop`].
pub(crate) fn check_loop(fields: &HeaderMap) -> Result<(), Error> {
    match fields
        .get_all(THROUGH)
        .iter()
        .any(|mark| *mark == *INSTANCE)
    {
        true => Err(Error::Loop),
        false => Ok(()),
    }
}

/// Those that `pass` and that concern more than one connection.
fn through(fields: &HeaderMap, pass: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named = fields.get_all(header::CONNECTION).iter();
    let named: Vec<&str> = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let hop = |name: &HeaderName| {
        is_of_one_hop(name)
            || named
                .iter()
                .any(|other| name.as_str().eq_ignore_ascii_case(other))
    };
    let mut passed = HeaderMap::with_capacity(fields.keys_len() + 8);
    for (name, value) in fields {
        if !hop(name) && pass(name) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

/// Whether a field concerns one connection, whether or not `Connection` says so (RFC 9110, 7.6.1; RFC 9112, 7).
fn is_of_one_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a field says who asks, or could be taken for what we say: it is not the client's to say. `Proxy` becomes the
/// address of a proxy where an app's fields become its environment.
fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.contains('_')
        || is_ours(name)
        || name.starts_with("x-forwarded")
        || matches!(name, "forwarded" | "x-real-ip" | "host" | "proxy")
}

fn is_ours(dashed: &str) -> bool {
    dashed.starts_with("dumbwaiter-")
}

/// A name as apps read it that know no difference between `-` and `_`.
fn dashed(name: &HeaderName) -> std::borrow::Cow<'_, str> {
    match name.as_str() {
        plain if plain.contains('_') => plain.replace('_', "-").into(),
        plain => plain.into(),
    }
}

/// Says who asks, by which scheme and for which host, as far as we know.
fn tell(asked: &Asked, fields: &mut HeaderMap) {
    let client = &asked.client;
    let proto = if client.is_https() { "https" } else { "http" };
    let host = host(asked);
    let named = host.as_ref().and_then(|host| host.to_str().ok());
    let mut say = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.insert(name, value);
        }
    };
    say(
        "x-forwarded-for",
        list(client, |address| address.to_string()),
    );
    say("x-real-ip", client.address().to_string());
    say("x-forwarded-proto", proto.to_owned());
    say(
        "x-forwarded-port",
        port(named, client.is_https()).to_owned(),
    );
    say("forwarded", forwarded(client, proto, named));
    if !client.prefix().is_empty() {
        say("x-forwarded-prefix", client.prefix().to_owned());
    }
    if let Some(host) = &host {
        fields.insert("x-forwarded-host", host.clone());
        fields.insert(header::HOST, host.clone());
    }
}

/// The host that the client asked for: as a trusted proxy says, or the request itself.
fn host(asked: &Asked) -> Option<HeaderValue> {
    let said = asked.client.named_host().map(ToString::to_string);
    let target = || asked.head.uri.authority().map(ToString::to_string);
    match said.or_else(target) {
        Some(host) => HeaderValue::try_from(host).ok(),
        None => asked.head.headers.get(header::HOST).cloned(),
    }
}

/// The port in the host, or the one that goes without saying.
fn port(host: Option<&str>, https: bool) -> &str {
    let usual = if https { "443" } else { "80" };
    let behind = host.and_then(|host| host.rsplit_once(':'));
    let port = behind
        .map(|(_, port)| port)
        .filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    port.unwrap_or(usual)
}

/// The client, then the trusted proxies as they were passed, each written by `write`.
fn list(client: &Client, write: impl Fn(IpAddr) -> String) -> String {
    let all = std::iter::once(client.address()).chain(client.proxies().iter().rev().copied());
    all.map(write).collect::<Vec<_>>().join(", ")
}

/// The same as RFC 7239 has it: what we know of host and scheme stands beside the client.
fn forwarded(client: &Client, proto: &str, host: Option<&str>) -> String {
    let node = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("for={address}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    let all = list(client, node);
    let (first, rest) = all
        .split_once(',')
        .map_or((&*all, ""), |(first, rest)| (first, rest));
    let mut said = format!("{first};proto={proto}");
    let plain = |host: &&str| !host.contains(['"', '\\']);
    if let Some(host) = host.filter(plain) {
        let _ = write!(said, ";host=\"{host}\"");
    }
    if !rest.is_empty() {
        let _ = write!(said, ",{rest}");
    }
    said
}
