//! `brig network create`, `ls`, `rm`, `prune`, `connect`, `disconnect` and `reload`, and `brig port`.
//! `network inspect` is with the other forms of inspect.

use super::each::each;
use super::prune as prunes;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Parsed};
use crate::globals::Place;
use crate::output;
use crate::output::context::{Row, joined};
use crate::output::listing::Listing;
use engine::network::{self, Filters, Network, Published, Reach};
use engine::{Container, Error};
use std::net::SocketAddr;

static LISTING: Listing = Listing {
    columns: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    type_name: "*formatter.networkContext",
};

/// Prints the id.
pub fn create(place: &Place, parsed: Parsed) -> Outcome {
    let request = flags::network::read_create(&parsed)?;
    let network = network::create(&place.engine()?, request)?;
    output::print(&format!("{}\n", network.id))
}

/// Prints the list.
pub fn ls(place: &Place, parsed: Parsed) -> Outcome {
    let asked = flags::network::read_ls(&parsed)?;
    let typed = asked.format.as_deref().unwrap_or_default();
    let columns = "{{.ID}}\\t{{.Name}}\\t{{.Driver}}\\t{{.Scope}}";
    let format = LISTING.format(if asked.quiet { "{{.ID}}" } else { typed }, columns)?;
    let filters = Filters::parse(&asked.filters)?;
    let engine = place.engine()?;
    let mut rows = Vec::new();
    for network in network::all(&engine)? {
        if filters.matches(&engine, &network)? {
            rows.push(row(&network, asked.no_trunc));
        }
    }
    output::print(&LISTING.render(&format, &rows)?)
}

fn row(network: &Network, no_trunc: bool) -> Row {
    let columns = [
        ("ID", network.id.get(..if no_trunc { 64 } else { 12 }).unwrap_or(&network.id).to_owned()),
        ("Name", network.name.clone()),
        ("Driver", network.driver.name().to_owned()),
        ("Scope", "local".to_owned()),
        ("IPv4", "true".to_owned()),
        ("IPv6", network.ipv6.to_string()),
        ("Internal", network.internal.to_string()),
        ("Labels", joined(&network.labels)),
        ("CreatedAt", network.created.to_string()),
    ];
    Row::new(columns, network.labels.clone())
}

/// Prints the names of those removed.
pub fn rm(place: &Place, parsed: Parsed) -> Outcome {
    let force = parsed.on("force");
    let engine = place.engine()?;
    each(&parsed.arguments, |name| match network::remove(&engine, name) {
        Err(Error::NotFound(_)) if force => Ok(()),
        result => Ok(result.map(drop)?),
    })
}

/// Prints the names of those removed.
pub fn prune(place: &Place, parsed: Parsed) -> Outcome {
    let filters = engine::prune::Filters::parse(&parsed.list("filter"))?;
    if !parsed.on("force")
        && !prunes::confirmed("This will remove all custom networks not used by at least one container.")?
    {
        return Ok(0);
    }
    let names = network::prune(&place.engine()?, &filters)?;
    let list: String = names.iter().map(|name| format!("{name}\n")).collect();
    output::print(&if names.is_empty() { String::new() } else { format!("Deleted Networks:\n{list}\n") })
}

/// Prints nothing.
pub fn connect(place: &Place, parsed: Parsed) -> Outcome {
    let attachment = flags::network::read_connect(&parsed)?;
    let engine = place.engine()?;
    let container = Container::find(&engine, &parsed.arguments[1])?;
    network::connect(&engine, &container, attachment)?;
    Ok(0)
}

/// Prints nothing.
pub fn disconnect(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    match Container::find(&engine, &parsed.arguments[1]) {
        Err(Error::NotFound(_)) if parsed.on("force") => Ok(0),
        container => {
            network::disconnect(&engine, &container?, &parsed.arguments[0])?;
            Ok(0)
        }
    }
}

/// Prints nothing.
pub fn reload(place: &Place, _parsed: Parsed) -> Outcome {
    network::reload(&place.engine()?)?;
    warn_of_drops();
    Ok(0)
}

/// Another firewall may drop what ours lets through, and nothing of ours can change that.
fn warn_of_drops() {
    for chain in network::foreign_drops().unwrap_or_default() {
        let remedy = match chain.as_str() {
            "ip filter FORWARD" => "iptables -I FORWARD -i brig+ -j ACCEPT; iptables -I FORWARD -o brig+ -j ACCEPT \
                 (beside docker in the chain DOCKER-USER instead)"
                .to_owned(),
            chain => format!(
                "nft insert rule {chain} iifname \"brig*\" accept; nft insert rule {chain} oifname \"brig*\" accept"
            ),
        };
        output::complain(&format!(
            "warning: {chain} drops forwarded packets that none of its rules accepts; where containers reach nothing \
             outside and are not reached from there: {remedy}"
        ));
    }
}

/// Prints `80/tcp -> 0.0.0.0:8080`, or where one port is.
pub fn port(place: &Place, parsed: Parsed) -> Outcome {
    let engine = place.engine()?;
    let container = Container::find(&engine, &parsed.first())?;
    let published = network::publishes(&engine, &container);
    let host = |one: &Published| SocketAddr::new(one.host_address, one.host_port);
    let own = |one: &Published| format!("{}/{}", one.container_port, one.protocol);
    let who = |one: &Published| match (parsed.on("who"), network::reach(one)) {
        (false, _) => "",
        (true, Reach::Machine) => "  (this machine only)",
        (true, Reach::Address) => "  (whoever reaches this address)",
        (true, Reach::Everywhere) => {
            "  (whoever reaches any address of this machine; firewall rules for INPUT do not apply)"
        }
    };
    if parsed.on("who") && !published.is_empty() {
        warn_of_drops();
    }
    let Some(wanted) = parsed.arguments.get(1) else {
        let lines = published.iter().map(|one| format!("{} -> {}{}\n", own(one), host(one), who(one)));
        return output::print(&lines.collect::<String>());
    };
    let wanted = if wanted.contains('/') { wanted.clone() } else { format!("{wanted}/tcp") };
    let lines: String =
        published.iter().filter(|one| own(one) == wanted).map(|one| format!("{}{}\n", host(one), who(one))).collect();
    if lines.is_empty() {
        return Err(Failure::message(format!("no public port '{wanted}' published for {}", parsed.first())));
    }
    output::print(&lines)
}
