//! Which network a new one gets: the first of small default pools that no route of the host, in any table, and no other
//! network of ours overlaps, so that a VPN or the LAN is never shadowed.

use crate::error::{Error, Result};
use crate::prefix::Prefix;
use kernel::netlink::Socket;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where new networks come from, and the size of each. Not docker's first ones (172.17 and on), so that both find room.
const POOLS: [(Ipv4Addr, u8); 3] =
    [(Ipv4Addr::new(172, 30, 0, 0), 16), (Ipv4Addr::new(10, 210, 0, 0), 16), (Ipv4Addr::new(192, 168, 192, 0), 18)];
const LENGTH: u8 = 24;
/// Shorter prefixes stand for "everything" (a VPN's halves of the default route).
const ROUTE_LENGTH_MIN: u8 = 7;

/// Networks of the host's routes and addresses in any table, but default routes; those of `own` interfaces left out.
pub fn of_host(own: &[String]) -> Result<Vec<Prefix>> {
    let socket = Socket::route()?;
    let links = socket.links()?;
    let own: Vec<u32> = links.iter().filter(|link| own.contains(&link.name)).map(|link| link.index).collect();
    let routes = socket.routes()?.into_iter().filter(|route| route.interface.is_none_or(|one| !own.contains(&one)));
    let prefixes = routes.filter_map(|route| Prefix::new(route.destination?, route.length));
    Ok(prefixes.filter(is_telling).collect())
}

fn is_telling(prefix: &Prefix) -> bool {
    let local = match prefix.address() {
        IpAddr::V4(address) => address.is_multicast() || address.is_loopback() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast() || address.is_loopback() || address.is_unicast_link_local(),
    };
    prefix.length() >= ROUTE_LENGTH_MIN && !local
}

/// The first free one. `Exhausted` when all pools overlap something.
pub fn choose(taken: &[Prefix]) -> Result<Prefix> {
    let candidates = POOLS.iter().flat_map(|(base, length)| {
        let count = 1u32 << (LENGTH - length);
        (0..count).filter_map(|at| Prefix::new(Ipv4Addr::from(u32::from(*base) + (at << (32 - LENGTH))).into(), LENGTH))
    });
    let mut free = candidates.filter(|candidate| !taken.iter().any(|other| other.overlaps(candidate)));
    free.next().ok_or_else(|| {
        Error::Exhausted(
            "all default address pools overlap routes of this machine or other networks: give one with --subnet".into(),
        )
    })
}

/// A unique local network (RFC 4193) of random bits.
pub fn choose_ipv6(taken: &[Prefix]) -> Result<Prefix> {
    loop {
        let random: [u8; 7] = kernel::random::bytes()?;
        let mut bytes = [0; 16];
        bytes[0] = 0xfd;
        bytes[1..8].copy_from_slice(&random);
        if let Some(prefix) = Prefix::new(Ipv6Addr::from(bytes).into(), 64)
            && !taken.iter().any(|other| other.overlaps(&prefix))
        {
            return Ok(prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_passed_over() {
        let taken = |list: &[&str]| -> Vec<Prefix> { list.iter().map(|text| text.parse().unwrap()).collect() };
        assert_eq!(choose(&[]).unwrap().to_string(), "172.30.0.0/24");
        assert_eq!(choose(&taken(&["172.30.0.0/24"])).unwrap().to_string(), "172.30.1.0/24");
        assert_eq!(choose(&taken(&["172.16.0.0/12"])).unwrap().to_string(), "10.210.0.0/24");
        assert_eq!(choose(&taken(&["172.16.0.0/12", "10.0.0.0/8"])).unwrap().to_string(), "192.168.192.0/24");
        assert!(choose(&taken(&["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"])).is_err());
        assert!(!is_telling(&"128.0.0.0/1".parse().unwrap()));
        assert!(is_telling(&"10.0.0.0/8".parse().unwrap()));
        assert_eq!(choose_ipv6(&[]).unwrap().length(), 64);
    }
}
