//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a container, written afresh for each
//! start into its run folder and mounted from there.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::network;
use crate::options::{Network, Options};
use crate::record::Record;
use kernel::Context;
use std::fmt::Write;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

/// Larger host files than this are cut: they are copied for every start.
const FILE_SIZE_MAX: u64 = 1 << 20;

const LOCAL_HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

pub fn write(engine: &Engine, record: &Record, run: &Path) -> Result<()> {
    let hostname = &record.process.hostname;
    put(run, "hostname", format!("{hostname}\n").as_bytes())?;
    let network = &record.options.namespaces.network;
    if let Network::Container(name) = network {
        // One network, one set of names: the other's files as they are now.
        let other = engine.paths().run(Container::find(engine, name)?.id());
        for file in ["hosts", "resolv.conf"] {
            put(run, file, &host_file(&other.join(file)))?;
        }
        return Ok(());
    }
    if *network == Network::Host && record.options.networking.extra_hosts.is_empty() {
        put(run, "hosts", &host_file(Path::new("/etc/hosts")))?;
    } else {
        put(run, "hosts", hosts(engine, record, &[])?.as_bytes())?;
    }
    put(run, "resolv.conf", &resolv_conf(record))
}

/// Writes `hosts` again, in place, since it is mounted already, with the addresses that the container has now.
pub fn write_hosts(engine: &Engine, record: &Record, connected: &[(net::Network, net::Endpoint)]) -> Result<()> {
    put(&engine.paths().run(&record.id), "hosts", hosts(engine, record, connected)?.as_bytes())
}

/// As `write_hosts`: a container that has come to a network with names asks there.
pub fn write_resolv_conf(engine: &Engine, record: &Record) -> Result<()> {
    put(&engine.paths().run(&record.id), "resolv.conf", &resolv_conf(record))
}

fn hosts(engine: &Engine, record: &Record, connected: &[(net::Network, net::Endpoint)]) -> Result<String> {
    let options = &record.options;
    let hostname = &record.process.hostname;
    let mut text = match options.namespaces.network {
        Network::Host => String::from_utf8_lossy(&host_file(Path::new("/etc/hosts"))).into_owned(),
        _ => LOCAL_HOSTS.to_owned(),
    };
    for extra in &options.networking.extra_hosts {
        let (name, address) = extra.split_once(':').unwrap_or((extra, ""));
        let address = match address {
            "host-gateway" => host_gateway(engine, options, connected)?,
            address => address.trim_start_matches('[').trim_end_matches(']').to_owned(),
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    host_names(options, connected, &mut text);
    // With a resolver it knows them, and follows their addresses.
    for link in options.networking.links.iter().filter(|_| !has_resolver(record)) {
        match link_line(engine, link, &mut text) {
            // Later on the other one may well have stopped.
            Err(error) if connected.is_empty() => return Err(error),
            _ => {}
        }
    }
    match options.namespaces.network {
        Network::Host => {}
        // Without any address the name still has to resolve: many programs look themselves up.
        _ if connected.is_empty() => _ = writeln!(text, "127.0.1.1\t{hostname}"),
        _ => {
            for (_, endpoint) in connected {
                let addresses = [endpoint.ipv4.map(IpAddr::from), endpoint.ipv6.map(IpAddr::from)];
                for address in addresses.into_iter().flatten() {
                    let _ = writeln!(text, "{address}\t{hostname}");
                }
            }
        }
    }
    Ok(text)
}

/// Of a bridge it is the host's; of other networks it is somebody else's.
fn gateway(network: &net::Network) -> Option<IpAddr> {
    network.pool(false).filter(|_| network.driver == net::Driver::Bridge)?.gateway
}

/// The names under which programs look for the machine, unless they were given otherwise.
fn host_names(options: &Options, connected: &[(net::Network, net::Endpoint)], text: &mut String) {
    let is_free =
        |name: &&str| !options.networking.extra_hosts.iter().any(|extra| extra.split(':').next() == Some(*name));
    let names: Vec<&str> = ["host.containers.internal", "host.docker.internal"].into_iter().filter(is_free).collect();
    if let (false, Some(address)) = (names.is_empty(), connected.iter().find_map(|(network, _)| gateway(network))) {
        let _ = writeln!(text, "{address}\t{}", names.join(" "));
    }
}

/// The address by which a container reaches its host.
fn host_gateway(engine: &Engine, options: &Options, connected: &[(net::Network, net::Endpoint)]) -> Result<String> {
    if options.namespaces.network == Network::Host {
        return Ok("127.0.0.1".to_owned());
    }
    let own = connected.iter().find_map(|(network, _)| gateway(network));
    let default = || network::find(engine, network::DEFAULT).map(|network| gateway(&network));
    let address = match own {
        Some(address) => Some(address),
        None => default()?,
    };
    Ok(address.map(|address| address.to_string()).unwrap_or_default())
}

/// `--link CONTAINER:ALIAS`: its address under the alias, its host name and its name.
fn link_line(engine: &Engine, link: &str, text: &mut String) -> Result<()> {
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    let other = Container::find(engine, name)?;
    let endpoints = network::of_container(engine, &other)?;
    let address = endpoints.iter().find_map(|(_, endpoint)| endpoint.as_ref()?.ipv4).ok_or_else(|| {
        Error::Conflict(format!("Cannot link to a non running container: /{} AS {alias}", other.name()))
    })?;
    let _ = writeln!(text, "{address}\t{alias} {} {}", other.record.process.hostname, other.name());
    Ok(())
}

/// The host's resolvers, or those that were asked for. What the host reaches at its own loopback only, a container cannot.
fn resolv_conf(record: &Record) -> Vec<u8> {
    let asked = &record.options.networking;
    let network = &record.options.namespaces.network;
    let untouched = asked.dns.is_empty() && asked.dns_search.is_empty() && asked.dns_options.is_empty();
    if untouched && *network != Network::Attached {
        return host_file(Path::new("/etc/resolv.conf"));
    }
    let host = net::dns::Configuration::of_host();
    let mut servers: Vec<String> = match asked.dns.is_empty() {
        false => asked.dns.iter().map(ToString::to_string).collect(),
        true => host.reachable().iter().map(ToString::to_string).collect(),
    };
    if has_resolver(record) {
        servers = vec![net::dns::ADDRESS.to_string()];
    }
    let or_host = |asked: &[String], host: &[String]| if asked.is_empty() { host.to_vec() } else { asked.to_vec() };
    let search = or_host(&asked.dns_search, &host.search);
    let mut options = or_host(&asked.dns_options, &host.options);
    if has_resolver(record) && !options.iter().any(|option| option.starts_with("ndots:")) {
        // Names of containers have no dots.
        options.push("ndots:0".to_owned());
    }
    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !search.is_empty() && search != ["."] {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text.into_bytes()
}

/// True for a container that finds others by name: on a network that a user made.
pub fn has_resolver(record: &Record) -> bool {
    let is_default = |name: &str| matches!(name, network::DEFAULT | "default" | net::network::DEFAULT_INTERFACE);
    record.options.namespaces.network == Network::Attached
        && record.options.networking.attachments.iter().any(|one| !is_default(&one.network))
}

fn put(run: &Path, name: &str, text: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = run.join(name);
    std::fs::write(&path, text).during_at("write", &path)?;
    // Readable for every user in the container, whatever the caller's umask.
    Ok(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).during_at("change mode of", &path)?)
}

/// Empty when the host has none.
fn host_file(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(FILE_SIZE_MAX).read_to_end(&mut text);
    }
    text
}
