//! Which names a container can find: those of the endpoints on its own networks, from their files. A directory that has
//! not changed is not read again.

use super::message::{Question, TYPE_A, TYPE_AAAA};
use crate::endpoint::{self, Endpoint};
use crate::network;
use crate::places::Places;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A directory's time stands still for as long as a tick of the kernel's clock: what was read within that of a change
/// may have missed the next one.
const CLOCK_TICK: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Names {
    places: Places,
    container: String,
    /// Further names of others that only this container has for them: `--link`.
    links: Vec<(String, String)>,
    read: BTreeMap<PathBuf, (SystemTime, Vec<Endpoint>)>,
    turn: usize,
}

impl Names {
    /// `links`: pairs of a name and what it stands for.
    pub fn new(places: Places, container: &str, links: &[(String, String)]) -> Names {
        let links = links.iter().map(|(alias, name)| (alias.to_ascii_lowercase(), name.to_ascii_lowercase()));
        Names { places, container: container.to_owned(), links: links.collect(), read: BTreeMap::new(), turn: 0 }
    }

    /// All networks of the container are internal: no question may leave them either (CVE-2024-29018).
    pub fn are_confined(&mut self) -> bool {
        let container = self.container.clone();
        let mut own = self.neighbours().into_iter().flatten().filter(|endpoint| endpoint.container == container);
        own.all(|endpoint| endpoint.internal)
    }

    /// `None` when the name is none of ours.
    pub fn answer(&mut self, question: &Question) -> Option<Vec<u8>> {
        if let Some(address) = question.reverse() {
            let name = self.name_of(address)?;
            return Some(question.pointer(&name));
        }
        let mut addresses = self.addresses(&question.name);
        let linked = self.links.iter().find(|(alias, _)| *alias == question.name).map(|(_, name)| name.clone());
        if let (true, Some(name)) = (addresses.is_empty(), linked) {
            addresses = self.addresses(&name);
        }
        if addresses.is_empty() {
            return None;
        }
        addresses.retain(|address| match question.kind {
            TYPE_A => address.is_ipv4(),
            TYPE_AAAA => address.is_ipv6(),
            _ => false,
        });
        // Each of several in turn comes first.
        self.turn = self.turn.wrapping_add(1);
        if !addresses.is_empty() {
            let first = self.turn % addresses.len();
            addresses.rotate_left(first);
        }
        Some(question.addresses(&addresses))
    }

    fn addresses(&mut self, name: &str) -> Vec<IpAddr> {
        let matches = |endpoint: &Endpoint| {
            let network = endpoint.network_name.to_ascii_lowercase();
            let qualified = name.strip_suffix(&network).and_then(|rest| rest.strip_suffix('.'));
            endpoint.names.iter().any(|own| own == name || Some(own.as_str()) == qualified)
        };
        let mut found = Vec::new();
        for endpoint in self.neighbours().into_iter().flatten().filter(|endpoint| matches(endpoint)) {
            found.extend([endpoint.ipv4.map(IpAddr::from), endpoint.ipv6.map(IpAddr::from)].into_iter().flatten());
        }
        found
    }

    fn name_of(&mut self, address: IpAddr) -> Option<String> {
        let has = |endpoint: &&Endpoint| {
            endpoint.ipv4.map(IpAddr::from) == Some(address) || endpoint.ipv6.map(IpAddr::from) == Some(address)
        };
        let mut neighbours = self.neighbours().into_iter().flatten();
        neighbours.find(has).map(|endpoint| format!("{}.{}", endpoint.name, endpoint.network_name))
    }

    /// The endpoints of each network that the container is on now.
    fn neighbours(&mut self) -> Vec<&[Endpoint]> {
        let mut directories = Vec::new();
        for entry in std::fs::read_dir(self.places.live()).into_iter().flatten().flatten() {
            let directory = entry.path().join("endpoints");
            if directory.join(format!("{}.json", self.container)).exists() {
                directories.push(directory);
            }
        }
        self.read.retain(|directory, _| directories.contains(directory));
        for directory in &directories {
            let changed = std::fs::metadata(directory).and_then(|found| found.modified()).unwrap_or(SystemTime::now());
            if self.read.get(directory).is_some_and(|(read, _)| *read == changed) {
                continue;
            }
            let settled = SystemTime::now().duration_since(changed).is_ok_and(|age| age > CLOCK_TICK);
            let mut endpoints = endpoint::list_in(directory).unwrap_or_default();
            // On the default network nobody has names.
            let is_own = |endpoint: &Endpoint| endpoint.container == self.container;
            endpoints.retain(|endpoint| endpoint.network_name != network::DEFAULT || is_own(endpoint));
            let stamp = if settled { changed } else { SystemTime::UNIX_EPOCH };
            self.read.insert(directory.clone(), (stamp, endpoints));
        }
        self.read.values().map(|(_, endpoints)| endpoints.as_slice()).collect()
    }
}
