//! Networks as `docker network inspect` shows them, and a container's `NetworkSettings`. Called by `brig inspect`,
//! `brig network inspect` and the lists that show ports.

use engine::network::{self, Driver, Endpoint, Network, Published};
use engine::{Container, Engine};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The object, with those that are connected now.
pub fn inspect(network: &Network, endpoints: &[Endpoint]) -> Value {
    let containers: Map<String, Value> = endpoints
        .iter()
        .map(|endpoint| {
            let prefixed = |address: Option<IpAddr>| address.map(|one| format!("{one}/{}", length(network, one)));
            let value = json!({
                "Name": endpoint.name,
                "EndpointID": endpoint.id,
                "MacAddress": mac(&endpoint.mac),
                "IPv4Address": prefixed(endpoint.ipv4.map(IpAddr::from)).unwrap_or_default(),
                "IPv6Address": prefixed(endpoint.ipv6.map(IpAddr::from)).unwrap_or_default(),
            });
            (endpoint.container.clone(), value)
        })
        .collect();
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created.to_string(),
        "Scope": "local",
        "Driver": network.driver.name(),
        "EnableIPv4": true,
        "EnableIPv6": network.ipv6,
        "IPAM": { "Driver": "default", "Options": {}, "Config": pools(network) },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": options(network),
        "Labels": network.labels,
    })
}

fn pools(network: &Network) -> Value {
    if matches!(network.driver, Driver::Host | Driver::Null) {
        return Value::Null;
    }
    let pools = network.pools.iter().map(|pool| {
        let mut object = json!({ "Subnet": pool.subnet.to_string() });
        if let Value::Object(fields) = &mut object {
            if let Some(range) = pool.range {
                fields.insert("IPRange".to_owned(), range.to_string().into());
            }
            if let Some(gateway) = pool.gateway {
                fields.insert("Gateway".to_owned(), gateway.to_string().into());
            }
            if !pool.auxiliary.is_empty() {
                fields.insert("AuxiliaryAddresses".to_owned(), json!(pool.auxiliary));
            }
        }
        object
    });
    Value::Array(pools.collect())
}

/// As typed, and the default bridge's name as docker has it there.
fn options(network: &Network) -> Value {
    let mut options = network.options.clone();
    if network.name == network::DEFAULT {
        options.insert("com.docker.network.bridge.name".to_owned(), network.interface.clone());
    }
    json!(options)
}

fn length(network: &Network, address: IpAddr) -> u8 {
    network.pool(address.is_ipv6()).map_or(0, |pool| pool.subnet.length())
}

/// `02:42:ac:11:00:02`
pub fn mac(mac: &[u8; 6]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// A container's `NetworkSettings`.
pub fn settings(engine: &Engine, container: &Container) -> Value {
    let connected = network::of_container(engine, container).unwrap_or_default();
    let mut networks = Map::new();
    for (network, one) in &connected {
        networks.insert(network.name.clone(), endpoint(container, network, one.as_ref()));
    }
    for name in network::names_of(container).into_iter().filter(|name| matches!(name.as_str(), "host" | "none")) {
        if let Ok(network) = network::find(engine, &name) {
            networks.insert(name, endpoint(container, &network, None));
        }
    }
    // Docker repeats those of the default network on top.
    let top = connected.iter().find(|(network, _)| network.name == network::DEFAULT);
    let top = top.map_or_else(|| empty(""), |(network, one)| endpoint(container, network, one.as_ref()));
    let sandbox = network::namespace_file(container).unwrap_or_default();
    json!({
        "Bridge": "",
        "SandboxID": if container.is_running() { container.id().as_str() } else { "" },
        "SandboxKey": sandbox,
        "Ports": ports(container, &network::publishes(engine, container)),
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": top["EndpointID"],
        "Gateway": top["Gateway"],
        "GlobalIPv6Address": top["GlobalIPv6Address"],
        "GlobalIPv6PrefixLen": top["GlobalIPv6PrefixLen"],
        "IPAddress": top["IPAddress"],
        "IPPrefixLen": top["IPPrefixLen"],
        "IPv6Gateway": top["IPv6Gateway"],
        "MacAddress": top["MacAddress"],
        "Networks": networks,
    })
}

/// Of a container that runs: every exposed port, with its host ports if it is published.
fn ports(container: &Container, published: &[Published]) -> Value {
    let mut ports = Map::new();
    if container.is_running() {
        for exposed in &container.record.process.exposed_ports {
            ports.insert(exposed.clone(), Value::Null);
        }
    }
    for one in published {
        let key = format!("{}/{}", one.container_port, one.protocol);
        let binding = json!({ "HostIp": one.host_address.to_string(), "HostPort": one.host_port.to_string() });
        match ports.entry(key).or_insert(Value::Null) {
            Value::Array(bindings) => bindings.push(binding),
            other => *other = json!([binding]),
        }
    }
    Value::Object(ports)
}

fn empty(network: &str) -> Value {
    json!({
        "IPAMConfig": null,
        "Links": null,
        "Aliases": null,
        "MacAddress": "",
        "DriverOpts": null,
        "GwPriority": 0,
        "NetworkID": network,
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": null,
    })
}

fn endpoint(container: &Container, network: &Network, endpoint: Option<&Endpoint>) -> Value {
    let mut object = empty(if matches!(network.driver, Driver::Host | Driver::Null) { "" } else { &network.id });
    let attachments = &container.record.options.networking.attachments;
    if let Some(asked) = attachments.iter().find(|one| one.network == network.name) {
        if !asked.aliases.is_empty() {
            object["Aliases"] = json!(asked.aliases);
        }
        if asked.ipv4.is_some() || asked.ipv6.is_some() {
            let mut config = Map::new();
            config.extend(asked.ipv4.map(|one| ("IPv4Address".to_owned(), Value::from(one.to_string()))));
            config.extend(asked.ipv6.map(|one| ("IPv6Address".to_owned(), Value::from(one.to_string()))));
            object["IPAMConfig"] = Value::Object(config);
        }
    }
    let Some(endpoint) = endpoint else { return object };
    let gateway = |is_ipv6| network.pool(is_ipv6).and_then(|pool| pool.gateway).filter(|_| !network.internal);
    object["MacAddress"] = mac(&endpoint.mac).into();
    object["EndpointID"] = endpoint.id.as_str().into();
    if let Some(address) = endpoint.ipv4 {
        object["IPAddress"] = address.to_string().into();
        object["IPPrefixLen"] = length(network, address.into()).into();
        object["Gateway"] = gateway(false).map(|one| one.to_string()).unwrap_or_default().into();
    }
    if let Some(address) = endpoint.ipv6 {
        object["GlobalIPv6Address"] = address.to_string().into();
        object["GlobalIPv6PrefixLen"] = length(network, address.into()).into();
        object["IPv6Gateway"] = gateway(true).map(|one| one.to_string()).unwrap_or_default().into();
    }
    if !endpoint.names.is_empty() {
        object["DNSNames"] = json!(endpoint.names);
    }
    object
}

/// The column of `ps`: `0.0.0.0:8080->80/tcp, 443/tcp`.
pub fn column(container: &Container, published: &[Published]) -> String {
    if !container.is_running() {
        return String::new();
    }
    let mut words: Vec<String> = Vec::new();
    for one in published {
        let host = std::net::SocketAddr::new(one.host_address, one.host_port);
        words.push(format!("{host}->{}/{}", one.container_port, one.protocol));
    }
    let is_published =
        |exposed: &str| published.iter().any(|one| format!("{}/{}", one.container_port, one.protocol) == exposed);
    words.extend(container.record.process.exposed_ports.iter().filter(|exposed| !is_published(exposed)).cloned());
    words.join(", ")
}
