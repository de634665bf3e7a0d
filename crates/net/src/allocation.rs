//! Which addresses of a network a container gets: the next free ones, or those that were asked for.

use crate::addresses::{PLACES_MAX, Table};
use crate::endpoint::{self, Request};
use crate::error::{Error, Result};
use crate::network::{Network, Pool};
use crate::places::Places;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One of each family that the network has.
pub fn addresses(
    places: &Places,
    network: &Network,
    request: &Request<'_>,
) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>)> {
    let ipv4 =
        give(places, network, request, Family { is_ipv6: false, asked: request.ipv4.map(IpAddr::from), like: None })?;
    // With the same last number, if that can be: easier to read for people.
    let place = ipv4.and_then(|address| network.pool(false)?.place(address));
    let ipv6 =
        give(places, network, request, Family { is_ipv6: true, asked: request.ipv6.map(IpAddr::from), like: place })?;
    let ipv4 = ipv4.and_then(|address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let ipv6 = ipv6.and_then(|address| match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    });
    Ok((ipv4, ipv6))
}

/// What is wanted of one family.
struct Family {
    is_ipv6: bool,
    asked: Option<IpAddr>,
    /// The place that is given if it is free and nobody asked for another.
    like: Option<u64>,
}

/// `None` when the network does not have the family.
fn give(places: &Places, network: &Network, request: &Request<'_>, family: Family) -> Result<Option<IpAddr>> {
    let Family { is_ipv6, asked, like } = family;
    let pool = match (network.pool(is_ipv6), asked) {
        (Some(pool), _) => pool,
        (None, None) => return Ok(None),
        (None, Some(address)) => return Err(outside(address)),
    };
    let table = Table::of(&places.of_network(&network.id), is_ipv6);
    if let Some(address) = asked {
        check(pool, address)?;
        match pool.place(address) {
            Some(place) => table.take_this(request.container, place)?,
            None => check_far(places, network, address)?,
        }
        return Ok(Some(address));
    }
    let own = pool.gateway.iter().chain(pool.auxiliary.values());
    let reserved: Vec<u64> = own.filter_map(|address| pool.place(*address)).collect();
    let free = |place: &u64| pool.places().contains(place) && !reserved.contains(place);
    let place = match like.filter(free).filter(|place| table.take_this(request.container, *place).is_ok()) {
        Some(place) => place,
        None => table.take(request.container, pool.places(), |place| reserved.contains(&place))?,
    };
    Ok(Some(pool.address(place)))
}

/// The addresses of the network itself, its gateway and those reserved by name are nobody's.
fn check(pool: &Pool, address: IpAddr) -> Result<()> {
    let place = pool.subnet.offset(address);
    let is_end = place == Some(0) || (address.is_ipv4() && place == Some(pool.subnet.size() - 1));
    if !pool.subnet.contains(address) {
        return Err(outside(address));
    }
    if is_end || Some(address) == pool.gateway {
        return Err(Error::Conflict(format!("Address already in use: {address} is the network's own")));
    }
    match pool.auxiliary.iter().find(|(_, one)| **one == address) {
        Some((name, _)) => {
            Err(Error::Conflict(format!("Address already in use: {address} is the auxiliary address {name}")))
        }
        None => Ok(()),
    }
}

/// An address without a place in the table. Two who ask for the same one in the same moment both get it.
fn check_far(places: &Places, network: &Network, address: IpAddr) -> Result<()> {
    let IpAddr::V6(address) = address else {
        return Err(Error::Unsupported(format!(
            "{address} is beyond the {PLACES_MAX} addresses that this network gives: use --ip-range at its creation"
        )));
    };
    if endpoint::list(places, network)?.iter().any(|endpoint| endpoint.ipv6 == Some(address)) {
        return Err(Error::Conflict("Address already in use".into()));
    }
    Ok(())
}

fn outside(address: IpAddr) -> Error {
    Error::Invalid(format!("invalid address {address}: it is in no subnet of the network"))
}
