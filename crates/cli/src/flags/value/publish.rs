//! `-p`: `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, each port a number or a range, the address of IPv6 in brackets.

use engine::options::{Protocol, Publish};
use std::net::IpAddr;

/// One for each port of the container.
pub fn parse(text: &str) -> Result<Vec<Publish>, String> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol: Protocol = protocol.to_ascii_lowercase().parse()?;
    let (address, ports) = split_address(rest)?;
    let (host, container) = match ports.rsplit_once(':') {
        Some((host, container)) => (host, container),
        None => ("", ports),
    };
    if container.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    let (first, last) = range(container).ok_or_else(|| format!("invalid containerPort: {container}"))?;
    let host_range = match host {
        "" => None,
        host => Some(range_from_zero(host).ok_or_else(|| format!("invalid hostPort: {host}"))?),
    };
    let count = last - first;
    let publish = |container_port, host_ports| Publish { protocol, container_port, host_address: address, host_ports };
    match host_range {
        None | Some((0, 0)) => Ok((first..=last).map(|port| publish(port, (0, 0))).collect()),
        // One port of the container, at the first of the host's that is free.
        Some(range) if count == 0 => Ok(vec![publish(first, range)]),
        Some((from, to)) if to - from == count => {
            Ok((0..=count).map(|at| publish(first + at, (from + at, from + at))).collect())
        }
        Some(_) => Err(format!("invalid ranges specified for container and host Ports: {container} and {host}")),
    }
}

fn split_address(text: &str) -> Result<(Option<IpAddr>, &str), String> {
    let invalid = |address: &str| format!("invalid IP address: {address}");
    if let Some(rest) = text.strip_prefix('[') {
        let (address, ports) = rest.split_once("]:").ok_or_else(|| invalid(text))?;
        return Ok((Some(address.parse().map_err(|_| invalid(address))?), ports));
    }
    match text.matches(':').count() {
        0 | 1 => Ok((None, text)),
        2 => {
            let (address, ports) = text.split_once(':').unwrap_or(("", text));
            let parsed = if address.is_empty() { None } else { Some(address.parse().map_err(|_| invalid(address))?) };
            Ok((parsed, ports))
        }
        _ => Err(format!("invalid publish value {text}: put an IPv6 address into brackets")),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    range_from_zero(text).filter(|(first, _)| *first > 0)
}

fn range_from_zero(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<String> {
        let all = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let address = |one: &Publish| one.host_address.map_or("*".to_owned(), |address| address.to_string());
        all.iter()
            .map(|one| {
                let (from, to) = one.host_ports;
                format!("{} {from}-{to} {}/{}", address(one), one.container_port, one.protocol)
            })
            .collect()
    }

    #[test]
    fn every_form() {
        assert_eq!(shown("80"), ["* 0-0 80/tcp"]);
        assert_eq!(shown("8080:80"), ["* 8080-8080 80/tcp"]);
        assert_eq!(shown("53:53/udp"), ["* 53-53 53/udp"]);
        assert_eq!(shown("127.0.0.1:8080:80/sctp"), ["127.0.0.1 8080-8080 80/sctp"]);
        assert_eq!(shown("127.0.0.1::80"), ["127.0.0.1 0-0 80/tcp"]);
        assert_eq!(shown("[::1]:8080:80"), ["::1 8080-8080 80/tcp"]);
        assert_eq!(shown("8000-8001:80-81"), ["* 8000-8000 80/tcp", "* 8001-8001 81/tcp"]);
        assert_eq!(shown("8000-8005:80"), ["* 8000-8005 80/tcp"]);
        assert_eq!(shown("80-81"), ["* 0-0 80/tcp", "* 0-0 81/tcp"]);
        for bad in
            ["", ":", "x", "80:", "0", "65536", "80/x", "x:80", "1.2.3:80:80", "::1:80:80", "80-79", "1-2:3-5", "+80"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-z:\\[\\]/.-]{0,30}") {
            let _ = parse(&text);
        }
    }
}
