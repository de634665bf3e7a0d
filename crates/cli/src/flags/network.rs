//! `brig network create`, `ls`, `rm`, `prune`, `connect`, `disconnect` and `reload`; `network inspect` is in `inspect.rs`.
//! What they do is in `command/network.rs`.

use super::value::{network as value, pair};
use super::{Command, Example, Flag, Misuse, Parsed, Positional, shared};
use engine::network::{Driver, OPTION_ICC, Prefix, Request};
use engine::options::Attachment;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `network create`.
pub static CREATE: Command = Command {
    name: "network create",
    usage: &["[OPTIONS] NETWORK"],
    about: "Make a network",
    details: "",
    aliases: &[],
    flags: &[&[
        Flag::switch("attachable", "Accepted for docker's sake: every network can be joined by hand"),
        Flag::value("aux-address", "map", "Address that somebody else on the network has (NAME=ADDRESS)"),
        Flag::value("driver", "string", "Kind of network (bridge|macvlan|ipvlan)").short('d').default("\"bridge\""),
        Flag::value("dns", "list", "Name server for containers that have none of their own"),
        Flag::value("gateway", "list", "Address of the way out, in the subnet"),
        Flag::switch("internal", "Let nothing in or out"),
        Flag::value("ip-range", "list", "Part of the subnet from which containers get addresses"),
        Flag::switch("ipv6", "Give IPv6 addresses as well"),
        Flag::switch("isolate", "Keep the containers of the network apart, too"),
        Flag::value("label", "list", "Label for the network (KEY=VALUE)"),
        Flag::value("opt", "map", "Setting for the driver (KEY=VALUE)").short('o'),
        Flag::value("subnet", "list", "Subnet in CIDR notation"),
    ]],
    absent: &["config-from", "config-only", "ingress", "ipam-driver", "ipam-opt", "ipv4", "scope"],
    positional: Positional::exactly(1),
    flags_first: false,
    examples: &[
        Example { about: "A network whose containers find each other by name", line: "brig network create web" },
        Example { about: "One with a subnet of your choice", line: "brig network create --subnet 10.9.0.0/24 lab" },
    ],
};

/// `network ls`.
pub static LS: Command = Command {
    name: "network ls",
    usage: &["[OPTIONS]"],
    about: "Show the networks there are",
    aliases: &["network list"],
    flags: &[&[
        shared::LIST_FILTER,
        shared::LIST_FORMAT,
        shared::NO_TRUNC,
        Flag::switch("quiet", "Print the IDs and nothing else").short('q'),
    ]],
    absent: &[],
    positional: Positional::NONE,
    examples: &[Example { about: "Those that you made", line: "brig network ls --filter type=custom" }],
    ..CREATE
};

/// `network rm`.
pub static RM: Command = Command {
    name: "network rm",
    usage: &["NETWORK [NETWORK...]"],
    about: "Delete networks on which no container runs",
    aliases: &["network remove"],
    flags: &[&[Flag::switch("force", "Do not complain about a network that does not exist").short('f')]],
    absent: &[],
    positional: Positional::at_least(1),
    examples: &[Example { about: "Remove a network", line: "brig network rm web" }],
    ..CREATE
};

/// `network prune`.
pub static PRUNE: Command = Command {
    name: "network prune",
    usage: &["[OPTIONS]"],
    about: "Clear away networks that no container names",
    aliases: &[],
    flags: &[&shared::PRUNE],
    absent: &[],
    positional: Positional::NONE,
    examples: &[Example { about: "Without asking", line: "brig network prune -f" }],
    ..CREATE
};

/// `network connect`.
pub static CONNECT: Command = Command {
    name: "network connect",
    usage: &["[OPTIONS] NETWORK CONTAINER"],
    about: "Connect a container to a network",
    aliases: &[],
    flags: &[&[
        Flag::value("alias", "list", "Further name of the container on the network"),
        Flag::value("ip", "ip", "Address to have"),
        Flag::value("ip6", "ip", "IPv6 address to have"),
    ]],
    absent: &["driver-opt", "gw-priority", "link", "link-local-ip"],
    positional: Positional::exactly(2),
    examples: &[Example { about: "Under one more name", line: "brig network connect --alias db web database" }],
    ..CREATE
};

/// `network disconnect`.
pub static DISCONNECT: Command = Command {
    name: "network disconnect",
    usage: &["[OPTIONS] NETWORK CONTAINER"],
    about: "Disconnect a container from a network",
    aliases: &[],
    flags: &[&[Flag::switch("force", "Do not complain about a container that does not exist").short('f')]],
    absent: &[],
    positional: Positional::exactly(2),
    examples: &[Example { about: "While it runs", line: "brig network disconnect web database" }],
    ..CREATE
};

/// `network reload`.
pub static RELOAD: Command = Command {
    name: "network reload",
    usage: &[""],
    about: "Put brig's firewall rules back after somebody has flushed them",
    aliases: &[],
    flags: &[],
    absent: &["all", "latest"],
    positional: Positional::NONE,
    examples: &[Example { about: "After nft flush ruleset", line: "brig network reload" }],
    ..CREATE
};

/// `port`.
pub static PORT: Command = Command {
    name: "port",
    usage: &["[OPTIONS] CONTAINER [PORT[/PROTOCOL]]"],
    about: "Show where a container's ports are published",
    aliases: &["container port"],
    flags: &[&[Flag::switch("who", "Say from where each can be reached")]],
    absent: &["all", "latest"],
    positional: Positional::between(1, 2),
    examples: &[Example { about: "Where port 80 is", line: "brig port web 80" }],
    ..CREATE
};

/// Reads the flags of `network create`.
pub fn read_create(parsed: &Parsed) -> Result<Request, Misuse> {
    let mut options: BTreeMap<String, String> = parsed.each("opt", pair::option)?.into_iter().collect();
    if parsed.on("isolate") {
        options.insert(OPTION_ICC.to_owned(), "false".to_owned());
    }
    Ok(Request {
        name: parsed.first(),
        driver: parsed.meaning("driver", driver)?.unwrap_or_default(),
        internal: parsed.on("internal"),
        attachable: parsed.on("attachable"),
        ipv6: parsed.on("ipv6"),
        subnets: parsed.each("subnet", prefix)?,
        gateways: parsed.each("gateway", value::address)?,
        ranges: parsed.each("ip-range", prefix)?,
        auxiliary: parsed.each("aux-address", auxiliary)?.into_iter().collect(),
        labels: parsed.each("label", pair::label)?.into_iter().collect(),
        options,
        dns: parsed.each("dns", value::address)?,
    })
}

fn driver(text: &str) -> Result<Driver, String> {
    match text {
        "bridge" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan),
        "ipvlan" => Ok(Driver::Ipvlan),
        _ => Err(format!("plugin {text:?} not found: use bridge, macvlan or ipvlan")),
    }
}

fn prefix(text: &str) -> Result<Prefix, String> {
    text.parse()
}

fn auxiliary(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = pair::option(text)?;
    Ok((name, value::address(&address)?))
}

/// What `network ls` was asked for.
pub struct Ls {
    pub filters: Vec<String>,
    pub format: Option<String>,
    pub no_trunc: bool,
    pub quiet: bool,
}

/// Reads the flags of `network ls`.
pub fn read_ls(parsed: &Parsed) -> Result<Ls, Misuse> {
    Ok(Ls {
        filters: parsed.each("filter", pair::filter)?,
        format: parsed.text("format"),
        no_trunc: parsed.on("no-trunc"),
        quiet: parsed.on("quiet"),
    })
}

/// Reads the flags of `network connect`.
pub fn read_connect(parsed: &Parsed) -> Result<Attachment, Misuse> {
    let mut attachment = Attachment { network: parsed.first(), aliases: parsed.list("alias"), ..Attachment::default() };
    for address in [parsed.one("ip", value::address)?, parsed.one("ip6", value::address)?].into_iter().flatten() {
        match address {
            IpAddr::V4(address) => attachment.ipv4 = Some(address),
            IpAddr::V6(address) => attachment.ipv6 = Some(address),
        }
    }
    Ok(attachment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse::tests::words;

    #[test]
    fn what_a_network_can_be() {
        let line = "--subnet 10.9.0.0/24 --gateway 10.9.0.7 --ip-range 10.9.0.128/25 --aux-address a=10.9.0.9 --internal -o a=b x";
        let request = read_create(&words(&CREATE, line).unwrap()).unwrap();
        assert_eq!((request.name.as_str(), request.subnets.len(), request.internal), ("x", 1, true));
        assert_eq!((request.auxiliary.len(), request.options.len(), request.driver), (1, 1, Driver::Bridge));
        for bad in ["--subnet x n", "-d nope n", "--gateway x n", "--aux-address a n"] {
            assert!(read_create(&words(&CREATE, bad).unwrap()).is_err(), "{bad}");
        }
        let attachment = read_connect(&words(&CONNECT, "--ip 10.0.0.1 --alias a net box").unwrap()).unwrap();
        assert_eq!((attachment.network.as_str(), attachment.ipv4.is_some()), ("net", true));
    }
}
