//! Definitions of networks: one file each, written to a temporary name and renamed. Making and removing holds one lock,
//! reading none. The default network `bridge` is made when it is first needed; `host` and `none` have no file.

use crate::addresses::PLACES_MAX;
use crate::bridge;
use crate::error::{Error, Result};
use crate::places::Places;
use crate::prefix::Prefix;
use crate::{endpoint, file, firewall, subnets};
use kernel::Context;
use kernel::lock::Lock;
use kernel::netlink::Socket;
use serde::{Deserialize, Serialize};
use spec::{ContainerId, Timestamp};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The network of containers that name none, as docker calls it; its interface is [`DEFAULT_INTERFACE`].
pub const DEFAULT: &str = "bridge";
pub const DEFAULT_INTERFACE: &str = "brig0";
/// Names that mean something else than a definition.
const RESERVED: [&str; 5] = ["host", "none", "default", "container", DEFAULT_INTERFACE];

pub const OPTION_MTU: &str = "com.docker.network.driver.mtu";
pub const OPTION_NAME: &str = "com.docker.network.bridge.name";
pub const OPTION_ICC: &str = "com.docker.network.bridge.enable_icc";
pub const OPTION_MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
pub const OPTION_HOST_ADDRESS: &str = "com.docker.network.bridge.host_binding_ipv4";
const BRIDGE_OPTIONS: [&str; 5] = [OPTION_MTU, OPTION_NAME, OPTION_ICC, OPTION_MASQUERADE, OPTION_HOST_ADDRESS];
const VIRTUAL_OPTIONS: [&str; 5] = ["parent", "macvlan_mode", "ipvlan_mode", "ipvlan_flag", OPTION_MTU];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    #[default]
    Bridge,
    Macvlan,
    Ipvlan,
    Host,
    Null,
}

impl Driver {
    pub fn name(self) -> &'static str {
        match self {
            Driver::Bridge => "bridge",
            Driver::Macvlan => "macvlan",
            Driver::Ipvlan => "ipvlan",
            Driver::Host => "host",
            Driver::Null => "null",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    pub name: String,
    pub created: Timestamp,
    pub driver: Driver,
    /// No way to or from the outside.
    pub internal: bool,
    pub attachable: bool,
    pub ipv6: bool,
    /// At most one of each family.
    pub pools: Vec<Pool>,
    pub labels: BTreeMap<String, String>,
    /// Of the driver, as typed.
    pub options: BTreeMap<String, String>,
    /// The bridge's name; empty for other drivers.
    pub interface: String,
    /// Name servers that its containers ask, unless they have some of their own; the host's if there are none.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    pub subnet: Prefix,
    /// `None`: the network leads nowhere else.
    pub gateway: Option<IpAddr>,
    /// Where addresses are given from; all of the subnet without it.
    pub range: Option<Prefix>,
    /// Addresses that somebody else has, by name.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

/// What `network create` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub name: String,
    pub driver: Driver,
    pub internal: bool,
    pub attachable: bool,
    pub ipv6: bool,
    pub subnets: Vec<Prefix>,
    pub gateways: Vec<IpAddr>,
    pub ranges: Vec<Prefix>,
    pub auxiliary: BTreeMap<String, IpAddr>,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub dns: Vec<IpAddr>,
}

impl Pool {
    /// Places count from here: far from the beginning of a large subnet those of a range have numbers of their own.
    fn base(&self) -> u64 {
        let offset = self.range.and_then(|range| self.subnet.offset(range.address())).unwrap_or(0);
        if offset > PLACES_MAX { offset - 1 } else { 0 }
    }

    /// The place of an address in the table of those given, from 1; `None` when it has none.
    pub fn place(&self, address: IpAddr) -> Option<u64> {
        self.subnet.offset(address)?.checked_sub(self.base()).filter(|place| (1..=PLACES_MAX).contains(place))
    }

    pub fn address(&self, place: u64) -> IpAddr {
        self.subnet.nth(self.base().saturating_add(place))
    }

    /// First and last place that are given without being asked for.
    pub fn places(&self) -> RangeInclusive<u64> {
        let range = self.range.unwrap_or(self.subnet);
        let offset = self.subnet.offset(range.address()).unwrap_or(0);
        // The last address of a subnet is for all of them.
        let end = offset.saturating_add(range.size() - 1).min(self.subnet.size().saturating_sub(2));
        (offset - self.base()).max(1)..=(end - self.base()).min(PLACES_MAX)
    }
}

impl Network {
    pub fn pool(&self, is_ipv6: bool) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.subnet.is_ipv6() == is_ipv6)
    }

    pub fn is_default(&self) -> bool {
        self.name == DEFAULT
    }

    pub fn mtu(&self) -> Option<u32> {
        self.options.get(OPTION_MTU).and_then(|mtu| mtu.parse().ok())
    }

    pub(crate) fn talks_inside(&self) -> bool {
        self.options.get(OPTION_ICC).is_none_or(|value| value != "false")
    }

    pub(crate) fn masquerades(&self) -> bool {
        !self.internal && self.options.get(OPTION_MASQUERADE).is_none_or(|value| value != "false")
    }

    /// Where ports are published when no address was typed; `None`: everywhere.
    pub fn host_address(&self) -> Option<IpAddr> {
        let address: IpAddr = self.options.get(OPTION_HOST_ADDRESS)?.parse().ok()?;
        (!address.is_unspecified()).then_some(address)
    }

    /// `host` or `none`, which are in every list and nowhere on disk.
    pub fn without_definition(name: &str) -> Option<Network> {
        let driver = match name {
            "host" => Driver::Host,
            "none" => Driver::Null,
            _ => return None,
        };
        // The same id on every machine and at every time.
        let id = name.bytes().cycle().take(32).map(|byte| format!("{byte:02x}")).collect();
        Some(Network { id, name: name.to_owned(), driver, ..Network::default() })
    }
}

/// By name, id or unambiguous prefix of an id.
pub fn find(places: &Places, name: &str) -> Result<Network> {
    let name = match name {
        "default" | DEFAULT_INTERFACE => DEFAULT,
        name => name,
    };
    if let Some(network) = Network::without_definition(name) {
        return Ok(network);
    }
    if is_name(name)
        && let Some(network) = file::read(&places.definitions().join(format!("{name}.json")))?
    {
        return Ok(network);
    }
    if name == DEFAULT {
        return make_default(places);
    }
    let mut matching = list(places)?.into_iter().filter(|network| !name.is_empty() && network.id.starts_with(name));
    match (matching.next(), matching.next()) {
        (Some(network), None) => Ok(network),
        (Some(_), Some(_)) => Err(Error::Conflict(format!("network {name} is ambiguous"))),
        (None, _) => Err(Error::NotFound(format!("network {name} not found"))),
    }
}

/// All with a definition, by name.
pub fn list(places: &Places) -> Result<Vec<Network>> {
    let entries = match std::fs::read_dir(places.definitions()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Ok(Err(error).during_at("list", places.definitions())?),
    };
    let mut networks: Vec<Network> = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        networks.extend(file::read(&path)?);
    }
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(networks)
}

fn make_default(places: &Places) -> Result<Network> {
    let request = Request { name: DEFAULT.to_owned(), ..Request::default() };
    Ok(create_unless_there(places, request)?.0)
}

/// Makes a definition; the bridge comes with the first container. `Conflict` when the name is taken.
pub fn create(places: &Places, request: Request) -> Result<Network> {
    if request.name == DEFAULT || RESERVED.contains(&request.name.as_str()) {
        let name = &request.name;
        return Err(Error::Conflict(format!("operation is not permitted on predefined {name} network")));
    }
    let name = request.name.clone();
    match create_unless_there(places, request)? {
        (network, true) => Ok(network),
        (_, false) => Err(Error::Conflict(format!("network with name {name} already exists"))),
    }
}

/// True when it was made by this call.
fn create_unless_there(places: &Places, request: Request) -> Result<(Network, bool)> {
    if !is_name(&request.name) {
        return Err(Error::Invalid(format!(
            "invalid network name {:?}: only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed",
            request.name
        )));
    }
    file::make_directory(places.definitions())?;
    let _lock = Lock::exclusive(&places.definitions().join(".lock"))?;
    let others = list(places)?;
    if let Some(there) = others.iter().find(|other| other.name == request.name) {
        return Ok((there.clone(), false));
    }
    check_options(&request)?;
    let id = ContainerId::random(kernel::random::bytes()?).as_str().to_owned();
    let interface = interface(places, &request, &id, &others)?;
    let pools = pools(&request, &others, &interface)?;
    let network = Network {
        id,
        name: request.name,
        created: Timestamp::now(),
        driver: request.driver,
        internal: request.internal,
        attachable: request.attachable,
        ipv6: request.ipv6 || pools.iter().any(|pool| pool.subnet.is_ipv6()),
        pools,
        labels: request.labels,
        options: request.options,
        interface,
        dns: request.dns,
    };
    file::write(&places.definitions().join(format!("{}.json", network.name)), &network)?;
    Ok((network, true))
}

/// Keeps a network from being removed while it is held. `NotFound` when it is gone.
pub(crate) fn hold(places: &Places, network: &Network) -> Result<Lock> {
    let lock = Lock::shared(&places.definitions().join(".lock"))?;
    match places.definitions().join(format!("{}.json", network.name)).exists() {
        true => Ok(lock),
        false => Err(Error::NotFound(format!("network {} not found", network.name))),
    }
}

/// Makes of bridges and rules again what somebody has changed or removed.
pub fn restore(places: &Places) -> Result<()> {
    let host = Socket::route()?;
    for network in list(places)?.iter().filter(|network| network.driver == Driver::Bridge) {
        if bridge::find(&host, network)?.is_some() {
            bridge::finish(&host, network)?;
        }
    }
    firewall::rebuild(&firewall::Session::default(), places)
}

/// Removes a definition, its bridge and its rules. `Conflict` while containers are on it.
pub fn remove(places: &Places, name: &str) -> Result<Network> {
    let network = find(places, name)?;
    if network.is_default() || matches!(network.driver, Driver::Host | Driver::Null) {
        let name = network.name;
        return Err(Error::Conflict(format!("{name} is a pre-defined network and cannot be removed")));
    }
    file::make_directory(places.definitions())?;
    let _lock = Lock::exclusive(&places.definitions().join(".lock"))?;
    let users = endpoint::list(places, &network)?;
    if let Some(user) = users.first() {
        let (id, name) = (&network.id, &network.name);
        return Err(Error::Conflict(format!(
            "error while removing network: network {name} has active endpoints (name:\"{}\" id:\"{}\"); id {id}",
            user.name,
            user.container.get(..12).unwrap_or_default()
        )));
    }
    // The definition when there is no bridge left that nobody would know: killed before, the same command ends it.
    let had_bridge = network.driver == Driver::Bridge && bridge::remove(&network)?;
    let path = places.definitions().join(format!("{}.json", network.name));
    std::fs::remove_file(&path).during_at("remove", &path)?;
    if had_bridge {
        firewall::rebuild(&firewall::Session::default(), places)?;
    }
    let live = places.of_network(&network.id);
    match std::fs::remove_dir_all(&live) {
        Err(error) if error.kind() != ErrorKind::NotFound => Ok(Err(error).during_at("remove", &live)?),
        _ => Ok(network),
    }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && name.len() <= 200 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn check_options(request: &Request) -> Result<()> {
    let known: &[&str] = match request.driver {
        Driver::Bridge => &BRIDGE_OPTIONS,
        _ => &VIRTUAL_OPTIONS,
    };
    if let Some(name) = request.options.keys().find(|name| !known.contains(&name.as_str())) {
        let (driver, known) = (request.driver.name(), known.join(", "));
        return Err(Error::Unsupported(format!(
            "option {name} of driver {driver} is not supported; there are {known}"
        )));
    }
    let mtu = request.options.get(OPTION_MTU);
    if let Some(mtu) = mtu.filter(|mtu| mtu.parse::<u32>().ok().is_none_or(|mtu| !(68..=65535).contains(&mtu))) {
        return Err(Error::Invalid(format!("invalid MTU {mtu}: use 68 to 65535")));
    }
    for name in [OPTION_ICC, OPTION_MASQUERADE] {
        if let Some(value) = request.options.get(name).filter(|value| !matches!(value.as_str(), "true" | "false")) {
            return Err(Error::Invalid(format!("invalid value {value:?} of {name}: use true or false")));
        }
    }
    match request.options.get(OPTION_HOST_ADDRESS).filter(|text| text.parse::<IpAddr>().is_err()) {
        Some(text) => Err(Error::Invalid(format!("invalid address {text:?} of {OPTION_HOST_ADDRESS}"))),
        None => Ok(()),
    }
}

fn interface(places: &Places, request: &Request, id: &str, others: &[Network]) -> Result<String> {
    if request.driver != Driver::Bridge {
        return Ok(String::new());
    }
    let name = match request.options.get(OPTION_NAME) {
        Some(name) => name.clone(),
        None if request.name == DEFAULT && places.is_usual() => DEFAULT_INTERFACE.to_owned(),
        None => format!("brig-{}", &id[..10]),
    };
    let fits = (1..=15).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && !matches!(name.as_str(), "." | "..");
    if !fits {
        return Err(Error::Invalid(format!(
            "invalid interface name {name:?}: use at most 15 letters, digits, - and _"
        )));
    }
    if let Some(other) = others.iter().find(|other| other.interface == name) {
        return Err(Error::Conflict(format!("bridge {name} belongs to network {}", other.name)));
    }
    if request.options.contains_key(OPTION_NAME) && Socket::route()?.link(&name)?.is_some() {
        return Err(Error::Conflict(format!("this machine has an interface {name} already: choose another name")));
    }
    Ok(name)
}

fn pools(request: &Request, others: &[Network], interface: &str) -> Result<Vec<Pool>> {
    let mut taken: Vec<Prefix> = others.iter().flat_map(|other| other.pools.iter().map(|pool| pool.subnet)).collect();
    let mut subnets = request.subnets.clone();
    for (at, subnet) in subnets.iter().enumerate() {
        if taken.iter().any(|other| other.overlaps(subnet)) {
            let text = "invalid pool request: Pool overlaps with other one on this address space";
            return Err(Error::Conflict(format!("{text}: {subnet}")));
        }
        if subnets[..at].iter().any(|other| other.is_ipv6() == subnet.is_ipv6()) {
            return Err(Error::Unsupported("one subnet of each family is what a network can have".into()));
        }
        if subnet.size() < 4 {
            return Err(Error::Invalid(format!("subnet {subnet} is too small: it needs room for a gateway and hosts")));
        }
    }
    // A bridge gets a route of its own; macvlan and ipvlan are on the network that the host is on.
    if request.driver == Driver::Bridge {
        let own: Vec<String> =
            others.iter().map(|other| other.interface.clone()).chain([interface.to_owned()]).collect();
        let host = subnets::of_host(&own)?;
        for subnet in &subnets {
            if let Some(route) = host.iter().find(|route| route.overlaps(subnet)) {
                return Err(Error::Conflict(format!("subnet {subnet} overlaps the route {route} of this machine")));
            }
        }
        taken.extend(host);
    }
    if !subnets.iter().any(|subnet| !subnet.is_ipv6()) {
        subnets.insert(0, subnets::choose(&taken)?);
    }
    if request.ipv6 && !subnets.iter().any(Prefix::is_ipv6) {
        subnets.push(subnets::choose_ipv6(&taken)?);
    }
    let outside = |address: &IpAddr| !subnets.iter().any(|subnet| subnet.contains(*address));
    if let Some(gateway) = request.gateways.iter().find(|gateway| outside(gateway)) {
        return Err(Error::Invalid(format!("no matching subnet for gateway {gateway}")));
    }
    if let Some(range) = request.ranges.iter().find(|range| !subnets.iter().any(|subnet| subnet.covers(range))) {
        return Err(Error::Invalid(format!("no matching subnet for range {range}")));
    }
    if let Some(address) = request.auxiliary.values().find(|address| outside(address)) {
        return Err(Error::Invalid(format!("no matching subnet for aux-address {address}")));
    }
    for subnet in &subnets {
        let own = |address: &&IpAddr| subnet.contains(**address);
        let mut gateways = request.gateways.iter().filter(own);
        let (gateway, second) = (gateways.next(), gateways.next());
        let is_end = |address: &IpAddr| {
            let place = subnet.offset(*address);
            place == Some(0) || (address.is_ipv4() && place == Some(subnet.size() - 1))
        };
        if let Some(gateway) = gateway.filter(|gateway| is_end(gateway)) {
            return Err(Error::Invalid(format!("gateway {gateway} is the first or last address of {subnet}")));
        }
        if second.is_some() || request.ranges.iter().filter(|range| subnet.covers(range)).count() > 1 {
            return Err(Error::Invalid(format!("subnet {subnet} has one gateway and one range at most")));
        }
    }
    Ok(subnets.into_iter().map(|subnet| pool(request, subnet)).collect())
}

fn pool(request: &Request, subnet: Prefix) -> Pool {
    let range = request.ranges.iter().copied().find(|range| subnet.covers(range));
    let asked = request.gateways.iter().copied().find(|gateway| subnet.contains(*gateway));
    let auxiliary = request.auxiliary.iter().filter(|(_, address)| subnet.contains(**address));
    Pool {
        subnet,
        gateway: asked.or(Some(subnet.nth(1))),
        range,
        auxiliary: auxiliary.map(|(name, address)| (name.clone(), *address)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TempDir, on_new_host};

    fn request(name: &str, subnets: &[&str]) -> Request {
        let subnets = subnets.iter().map(|text| text.parse().unwrap()).collect();
        Request { name: name.to_owned(), subnets, ..Request::default() }
    }

    #[test]
    fn made_found_and_removed() {
        on_new_host(|| {
            let dir = TempDir::new("networks");
            let places = Places::new(dir.path(), dir.path());
            let one = create(&places, request("one", &[])).unwrap();
            assert_eq!(one.pools[0].gateway, Some(one.pools[0].subnet.nth(1)));
            let two = create(&places, request("two", &[])).unwrap();
            assert!(!one.pools[0].subnet.overlaps(&two.pools[0].subnet));
            assert_eq!(find(&places, "one").unwrap(), one);
            assert_eq!(find(&places, &two.id[..8]).unwrap(), two);
            assert_eq!(find(&places, "bridge").unwrap().name, DEFAULT);
            assert_eq!(list(&places).unwrap().len(), 3);
            for (request, part) in [
                (request("one", &[]), "already exists"),
                (request("three", &[&one.pools[0].subnet.to_string()]), "overlaps"),
                (request("three", &["127.0.0.0/31"]), "small"),
                (request("three", &["10.9.0.0/24", "10.8.0.0/24"]), "one subnet"),
                (request("host", &[]), "predefined"),
                (request("../x", &[]), "invalid network name"),
                (Request { gateways: vec!["1.2.3.4".parse().unwrap()], ..request("three", &[]) }, "gateway"),
                (Request { options: [("x".into(), "y".into())].into(), ..request("three", &[]) }, "not supported"),
            ] {
                let error = create(&places, request).unwrap_err().to_string();
                assert!(error.contains(part), "{error}");
            }
            remove(&places, "one").unwrap();
            assert!(matches!(find(&places, "one"), Err(Error::NotFound(_))));
            assert!(remove(&places, "bridge").is_err() && remove(&places, "host").is_err());
        });
    }

    #[test]
    fn places_of_addresses() {
        let pool = |subnet: &str, range: &str| Pool {
            subnet: subnet.parse().unwrap(),
            gateway: None,
            range: range.parse().ok(),
            auxiliary: BTreeMap::new(),
        };
        for (pool, first, last) in [
            (pool("10.9.0.0/24", ""), "10.9.0.1", "10.9.0.254"),
            (pool("10.9.0.0/24", "10.9.0.128/25"), "10.9.0.128", "10.9.0.254"),
            (pool("10.9.0.0/24", "10.9.0.0/30"), "10.9.0.1", "10.9.0.3"),
            (pool("10.0.0.0/8", "10.200.0.0/16"), "10.200.0.0", "10.200.255.255"),
            (pool("fd00:9::/124", "fd00:9::8/125"), "fd00:9::8", "fd00:9::e"),
            (pool("fd00:9::/64", ""), "fd00:9::1", "fd00:9::1:0"),
            (pool("::/0", ""), "::1", "::1:0"),
        ] {
            let places = pool.places();
            let ends = [*places.start(), *places.end()].map(|place| pool.address(place).to_string());
            assert_eq!(ends, [first, last], "{pool:?}");
            for address in [first, last].map(|text| text.parse().unwrap()) {
                assert_eq!(pool.place(address).map(|place| pool.address(place)), Some(address));
            }
        }
        assert_eq!(pool("10.0.0.0/8", "10.200.0.0/16").place("10.0.0.9".parse().unwrap()), None);
    }

    #[test]
    fn default_networks_keep_off_the_routes_of_the_host() {
        on_new_host(|| {
            use kernel::netlink::{Batch, Bridge, Socket};
            let socket = Socket::route().unwrap();
            let mut batch = Batch::new();
            batch.add_bridge(&Bridge { name: "lan", mac: [2, 0, 0, 0, 0, 9], mtu: None });
            batch.set_up("lan");
            socket.run(&batch, "lan").unwrap();
            let index = socket.link("lan").unwrap().unwrap().index;
            let mut batch = Batch::new();
            batch.add_address(index, "172.30.0.77".parse().unwrap(), 20);
            socket.run(&batch, "address").unwrap();
            let dir = TempDir::new("routes");
            let places = Places::new(dir.path(), dir.path());
            let network = create(&places, request("one", &[])).unwrap();
            assert_eq!(network.pools[0].subnet.to_string(), "172.30.16.0/24");
            let error = create(&places, request("two", &["172.30.4.0/24"])).unwrap_err();
            assert!(error.to_string().contains("route"), "{error}");
        });
    }
}
