//! Networks in CIDR notation, and whether an address lies in one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address. IPv4-mapped IPv6 counts as IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// The text is no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an address or a network such as 10.0.0.0/8 or 2001:db8::/32 is expected")]
pub struct NotANetwork;

impl Network {
    /// Whether `address` lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(given)) => same_start(
                first.to_bits().into(),
                given.to_bits().into(),
                32,
                self.bits,
            ),
            (IpAddr::V6(first), IpAddr::V6(given)) => {
                same_start(first.to_bits(), given.to_bits(), 128, self.bits)
            }
            _ => false,
        }
    }
}

fn same_start(a: u128, b: u128, width: u8, bits: u8) -> bool {
    // A shift by the whole width would be none.
    (a ^ b).checked_shr((width - bits).into()).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| NotANetwork)?)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let first = given.to_canonical();
        let (width, mapped) = match (first, given) {
            (IpAddr::V4(_), IpAddr::V6(_)) => (32, 96),
            (IpAddr::V4(_), IpAddr::V4(_)) => (32, 0),
            (IpAddr::V6(_), _) => (128, 0),
        };
        let bits = match bits {
            None => width,
            Some(bits) => bits.checked_sub(mapped).ok_or(NotANetwork)?,
        };
        match bits <= width {
            true => Ok(Self { first, bits }),
            false => Err(NotANetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// Whether one of `networks` holds `address`.
#[must_use]
pub(crate) fn any_holds(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_like_it() {
        for (network, address, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "192.0.2.200", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "192.0.2.1", false),
            ("::1", "::1", true),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                holds,
                "{network} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/-1",
            "here",
            "::ffff:10.0.0.0/8",
            "fe80::1%eth0",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(NotANetwork), "{bad}");
        }
    }
}
