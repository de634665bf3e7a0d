//! `--network` and what goes with it: `NAME`, `NAME:ip=…,mac=…,alias=…` as podman has it, `name=NAME,alias=…` as docker
//! has it; MAC addresses and addresses alone.

use engine::options::{Attachment, Network};
use std::net::IpAddr;

/// One `--network`.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// `none`, `host`, `container:NAME`, `ns:PATH`.
    Mode(Network),
    Attachment(Attachment),
}

/// Whether the network exists is the engine's to find out.
pub fn parse(text: &str) -> Result<Choice, String> {
    match text {
        "" => return Err("a network's name is missing".to_owned()),
        "none" => return Ok(Choice::Mode(Network::None)),
        "host" => return Ok(Choice::Mode(Network::Host)),
        "default" => return attachment("bridge", ""),
        "slirp4netns" | "pasta" | "private" => return Err(format!("network {text} is not supported by brig")),
        _ => {}
    }
    if let Some(name) = text.strip_prefix("container:") {
        return match name {
            "" => Err("invalid container format container:<name|id>".to_owned()),
            name => Ok(Choice::Mode(Network::Container(name.to_owned()))),
        };
    }
    if let Some(path) = text.strip_prefix("ns:") {
        return match path.starts_with('/') {
            true => Ok(Choice::Mode(Network::Ns(path.to_owned()))),
            false => Err("a namespace is named by an absolute path: ns:/PATH".to_owned()),
        };
    }
    if text.split(',').any(|pair| pair.starts_with("name=")) {
        let name = text.split(',').find_map(|pair| pair.strip_prefix("name=")).unwrap_or_default();
        return attachment(name, text);
    }
    match text.split_once(':') {
        Some((name, settings)) => attachment(name, settings),
        None => attachment(text, ""),
    }
}

fn attachment(name: &str, settings: &str) -> Result<Choice, String> {
    if name.is_empty() {
        return Err("a network's name is missing".to_owned());
    }
    let mut found = Attachment { network: name.to_owned(), ..Attachment::default() };
    for pair in settings.split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} must be formatted as key=value"))?;
        match key {
            "name" => {}
            "ip" | "ip6" => match address(value)? {
                IpAddr::V4(address) => found.ipv4 = Some(address),
                IpAddr::V6(address) => found.ipv6 = Some(address),
            },
            "mac" | "mac-address" => found.mac = Some(mac(value)?),
            "alias" => found.aliases.push(value.to_owned()),
            "interface_name" | "interface-name" => found.interface = Some(interface(value)?),
            _ => return Err(format!("invalid field key {key}: use ip, ip6, mac, alias or interface_name")),
        }
    }
    Ok(Choice::Attachment(found))
}

fn interface(text: &str) -> Result<String, String> {
    let fits = (1..=15).contains(&text.len()) && !matches!(text, "lo" | "." | "..") && !text.contains(['/', ':', ' ']);
    if fits { Ok(text.to_owned()) } else { Err(format!("invalid interface name {text:?}")) }
}

pub fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("invalid IP address: {text}"))
}

/// Six bytes in hexadecimal between colons, not of a group (IEEE 802).
pub fn mac(text: &str) -> Result<[u8; 6], String> {
    let invalid = || format!("{text} is not a valid mac address");
    let parts: Vec<u8> = text
        .split([':', '-'])
        .map(|part| if part.len() == 2 { u8::from_str_radix(part, 16).ok() } else { None })
        .collect::<Option<_>>()
        .ok_or_else(invalid)?;
    let bytes = <[u8; 6]>::try_from(parts).map_err(|_| invalid())?;
    if bytes[0] & 1 != 0 || bytes == [0; 6] { Err(invalid()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let name = |text| match parse(text) {
            Ok(Choice::Attachment(one)) => one,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(name("web").network, "web");
        assert_eq!(name("default").network, "bridge");
        let long = name("name=web,alias=a,alias=b,ip=10.0.0.1");
        assert_eq!((long.network.as_str(), long.aliases.len(), long.ipv4.is_some()), ("web", 2, true));
        let short = name("web:ip=fd00::1,mac=02:00:00:00:00:01,alias=a");
        assert_eq!((short.ipv6.is_some(), short.mac), (true, Some([2, 0, 0, 0, 0, 1])));
        assert_eq!(parse("container:x"), Ok(Choice::Mode(Network::Container("x".into()))));
        assert_eq!(parse("ns:/x"), Ok(Choice::Mode(Network::Ns("/x".into()))));
        for bad in ["", "container:", "ns:x", "web:ip=x", "web:x=y", "web:mac=01:00:00:00:00:01", "web:alias", "pasta"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
