//! Networks as `10.0.0.0/24`: reading, comparing, counting addresses in them. Pure arithmetic.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network. The bits behind `length` are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// `None` when `length` is more than the address has; bits behind it are cleared.
    pub fn new(address: IpAddr, length: u8) -> Option<Prefix> {
        match address {
            IpAddr::V4(v4) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Some(Prefix { address: Ipv4Addr::from(u32::from(v4) & mask).into(), length })
            }
            IpAddr::V6(v6) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Some(Prefix { address: Ipv6Addr::from(u128::from(v6) & mask).into(), length })
            }
            _ => None,
        }
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn length(&self) -> u8 {
        self.length
    }

    pub fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv6() == address.is_ipv6()
            && Prefix::new(address, self.length).is_some_and(|prefix| prefix.address == self.address)
    }

    /// All of `other`.
    pub fn covers(&self, other: &Prefix) -> bool {
        other.length >= self.length && self.contains(other.address)
    }

    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// How many addresses, as far as a number of this size goes.
    pub fn size(&self) -> u64 {
        let bits = if self.is_ipv6() { 128 } else { 32 } - u32::from(self.length);
        1u64.checked_shl(bits).unwrap_or(u64::MAX)
    }

    /// The address `offset` places behind the first; the caller stays below `size`.
    pub fn nth(&self, offset: u64) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4).wrapping_add(offset as u32)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6).wrapping_add(u128::from(offset))).into(),
        }
    }

    /// The place of an address of this network.
    pub fn offset(&self, address: IpAddr) -> Option<u64> {
        if !self.contains(address) {
            return None;
        }
        match (self.address, address) {
            (IpAddr::V4(base), IpAddr::V4(one)) => Some(u64::from(u32::from(one) - u32::from(base))),
            (IpAddr::V6(base), IpAddr::V6(one)) => u64::try_from(u128::from(one) - u128::from(base)).ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// `ADDRESS/BITS`; bits behind the length are cleared.
    fn from_str(text: &str) -> Result<Prefix, String> {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            Prefix::new(address.parse().ok()?, length.parse().ok().filter(|_| plain)?)
        });
        parsed.ok_or_else(|| format!("invalid CIDR address: {text}"))
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Prefix, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn arithmetic() {
        assert_eq!(prefix("10.1.2.3/24").to_string(), "10.1.2.0/24");
        assert_eq!(prefix("0.0.0.0/0").size(), 1 << 32);
        assert_eq!(prefix("fd00::/64").nth(5).to_string(), "fd00::5");
        assert_eq!(prefix("10.0.0.0/24").offset("10.0.0.9".parse().unwrap()), Some(9));
        assert_eq!(prefix("10.0.0.0/24").offset("10.0.1.9".parse().unwrap()), None);
        assert!(prefix("10.0.0.0/8").overlaps(&prefix("10.9.0.0/16")));
        assert!(prefix("10.9.0.0/16").overlaps(&prefix("10.0.0.0/8")));
        assert!(!prefix("10.9.0.0/16").overlaps(&prefix("10.8.0.0/16")));
        assert!(!prefix("::/0").overlaps(&prefix("0.0.0.0/0")));
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "fd00::/129", "x/8"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(bytes in any::<[u8; 16]>(), length in 0u8..=128) {
            let one = Prefix::new(IpAddr::from(bytes), length).unwrap();
            prop_assert_eq!(one.to_string().parse::<Prefix>().unwrap(), one);
            prop_assert!(one.contains(IpAddr::from(bytes)) && one.covers(&one));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Prefix>();
        }
    }
}
