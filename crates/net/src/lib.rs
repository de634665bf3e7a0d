//! Networks of containers: their definitions, addresses, bridges, firewall rules, published ports and names. Used by
//! `engine`, which says when; nothing here knows what a container is but an id, a name and a network namespace. All work
//! is done by netlink and files; no program is executed.

pub mod addresses;
mod allocation;
mod bridge;
pub mod dns;
pub mod endpoint;
mod error;
mod file;
pub mod firewall;
pub mod network;
mod places;
pub mod ports;
pub mod prefix;
pub mod subnets;
#[cfg(test)]
mod testing;

pub use endpoint::Endpoint;
pub use error::{Error, Result};
pub use network::{Driver, Network};
pub use places::Places;
pub use prefix::Prefix;
