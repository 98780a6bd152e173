//! To whom an upload belongs.

use std::net::{IpAddr, Ipv6Addr};

use super::bits::{Bits, NotAnId, written_in_hex};

/// To whom an upload belongs. A progress id means something only together with its owner.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Owner {
    /// A name that the app gave: whoever it says its user is.
    Named(Box<str>),
    /// A browser, by a one-way image of its `dw` cookie. Nobody else has it, so what it finds shows everything.
    Cookie([u8; 16]),
    /// The client's address, as in the article: IPv4-mapped addresses are IPv4, IPv6 counts by /64. Behind one NAT
    /// many share it, so what it finds shows numbers only.
    Address(IpAddr),
}

impl Owner {
    /// The owner of that name; `None` where it has no text, more than 200 bytes, or control characters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let fits = (1..=200).contains(&name.len()) && !name.chars().any(char::is_control);
        fits.then(|| Self::Named(name.into()))
    }

    /// The owner that stands behind a peer's address.
    #[must_use]
    pub fn from_address(address: IpAddr) -> Self {
        Self::Address(network(address))
    }
}

/// By what addresses are told apart: IPv4-mapped addresses are IPv4, IPv6 counts by /64.
#[must_use]
#[doc(hidden)]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// An owner in 128 bits, by which bytes and uploads are counted and which a store keeps with what it stores.
///
/// It follows one-way from the owner, so that records that stay for years hold no addresses in plain text. What it was
/// made of must never change, else what is stored would belong to nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OwnerKey(Bits);

written_in_hex!(OwnerKey);

impl Owner {
    /// The key under which this owner's uploads and bytes are counted.
    #[must_use]
    pub fn key(&self) -> OwnerKey {
        let words = match self {
            Self::Named(name) => format!("name {name}"),
            Self::Cookie(image) => format!("cookie {}", u128::from_be_bytes(*image)),
            Self::Address(address) => format!("address {address}"),
        };
        OwnerKey(Bits::image("owner", words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_owner_is_the_same_in_every_version() {
        let owner = Owner::from_address([127, 0, 0, 1].into());
        let json = serde_json::to_string(&owner.key()).unwrap();
        assert_eq!(json, "\"b2bd70fc986da678633c668658150a8e\"");
        assert_eq!(
            serde_json::from_str::<OwnerKey>(&json).unwrap(),
            owner.key()
        );
        assert!(serde_json::from_str::<OwnerKey>("\"127.0.0.1\"").is_err());
        assert_ne!(
            owner.key(),
            Owner::from_address([127, 0, 0, 2].into()).key()
        );
    }

    #[test]
    fn owner_of_a_mapped_address_is_the_ipv4_owner_and_of_ipv6_its_network() {
        let owner = |text: &str| Owner::from_address(text.parse().unwrap());
        assert_eq!(owner("::ffff:127.0.0.1"), owner("127.0.0.1"));
        assert_eq!(owner("2001:db8::1"), owner("2001:db8::ffff:1"));
        assert_ne!(owner("2001:db8:0:1::1"), owner("2001:db8:0:2::1"));
    }
}
