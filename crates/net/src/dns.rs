//! Names between containers: a resolver for each container on a user's network, at 127.0.0.11 inside as docker has it, run
//! by the container's own monitor (docs/decisions/the-monitor-resolves-names.md). It answers from the files of the
//! endpoints, so it has no state that could be stale, and sends everything else to the host's resolvers.

mod configuration;
pub mod message;
mod names;
mod resolver;
mod tcp;
#[cfg(test)]
mod tests;

pub use configuration::Configuration;
pub use names::Names;
pub use resolver::Resolver;

use std::net::Ipv4Addr;

/// Where it answers, in the container.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
