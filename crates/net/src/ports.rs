//! Published ports: what was asked for, and the sockets that reserve host ports. A socket that is bound and does not listen
//! keeps the port from everybody else on this machine, finds one that is taken before the start, and lets the kernel
//! choose a free one; it goes with its process, so no kill leaves a port taken. Packets never come to it: the firewall
//! has sent them on before.

use crate::error::{Error, Result};
use kernel::Context;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, bind, getsockname, ipproto, listen, shutdown, socket_with,
    sockopt,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// In a packet's header.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "sctp" => Ok(Protocol::Sctp),
            _ => Err(format!("invalid proto: {text}: use tcp, udp or sctp")),
        }
    }
}

/// What was asked for one port of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    pub protocol: Protocol,
    pub container_port: u16,
    /// `None`: the network's default, which is everywhere.
    #[serde(default)]
    pub host_address: Option<IpAddr>,
    /// First and last that may be taken; (0, 0): any.
    pub host_ports: (u16, u16),
}

/// A port that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub protocol: Protocol,
    pub container_port: u16,
    /// `0.0.0.0` or `::` is every address of the family.
    pub host_address: IpAddr,
    pub host_port: u16,
}

impl Published {
    /// What no two can have.
    pub fn host(&self) -> (Protocol, IpAddr, u16) {
        (self.protocol, self.host_address, self.host_port)
    }
}

/// Keeps host ports while it lives.
#[derive(Debug, Default)]
pub struct Reservations(#[expect(dead_code, reason = "held for their drop")] Vec<OwnedFd>);

/// Reserves a host port for each of `asked`, in each family that the container has. All or nothing.
pub fn reserve(
    asked: &[Publish],
    has_ipv4: bool,
    has_ipv6: bool,
    default: Option<IpAddr>,
) -> Result<(Vec<Published>, Reservations)> {
    let mut published: Vec<Published> = Vec::new();
    let mut sockets = Vec::new();
    for publish in asked {
        let addresses = match publish.host_address.or(default) {
            Some(IpAddr::V6(Ipv6Addr::LOCALHOST)) => {
                return Err(Error::Unsupported(
                    "cannot publish at ::1: the kernel does not let that reach a container; use 127.0.0.1".into(),
                ));
            }
            Some(address) if if address.is_ipv6() { has_ipv6 } else { has_ipv4 } => vec![address],
            Some(address) => {
                let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
                return Err(Error::Invalid(format!(
                    "cannot publish at {address}: the container has no {family} address on its network"
                )));
            }
            None => everywhere(has_ipv4, has_ipv6),
        };
        let mut chosen = None;
        for address in addresses {
            let range = chosen.map_or(publish.host_ports, |port| (port, port));
            let (port, socket) = reserve_one(publish, address, range)?;
            // Both families get the same number.
            chosen = Some(port);
            sockets.extend(socket);
            published.push(Published {
                protocol: publish.protocol,
                container_port: publish.container_port,
                host_address: address,
                host_port: port,
            });
        }
    }
    Ok((published, Reservations(sockets)))
}

/// Binds the sockets again of ports that are published already, after the one who held them was killed. What somebody
/// has taken meanwhile stays theirs.
pub fn reserve_again(published: &[Published]) -> Reservations {
    let sockets = published.iter().filter_map(|one| open(one.protocol, one.host_address, one.host_port).ok().flatten());
    Reservations(sockets.map(|(_, socket)| socket).collect())
}

fn everywhere(has_ipv4: bool, has_ipv6: bool) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    if has_ipv4 || !has_ipv6 {
        addresses.push(Ipv4Addr::UNSPECIFIED.into());
    }
    if has_ipv6 {
        addresses.push(Ipv6Addr::UNSPECIFIED.into());
    }
    addresses
}

/// The first free port of the range.
fn reserve_one(publish: &Publish, address: IpAddr, range: (u16, u16)) -> Result<(u16, Option<OwnedFd>)> {
    for port in range.0..=range.1 {
        match open(publish.protocol, address, port)? {
            Some((port, socket)) => return Ok((port, Some(socket))),
            // Without the protocol on this machine nobody else can have the port either.
            None if publish.protocol == Protocol::Sctp && port != 0 => return Ok((port, None)),
            None if publish.protocol == Protocol::Sctp => {
                return Err(Error::Invalid("a random host port for sctp needs the kernel's sctp module".into()));
            }
            None => {}
        }
    }
    Err(Error::PortInUse { host: SocketAddr::new(address, range.0).to_string() })
}

/// `None` when the port is taken, or the machine does not know the protocol.
fn open(protocol: Protocol, address: IpAddr, port: u16) -> Result<Option<(u16, OwnedFd)>> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = match socket_with(family, kind, SocketFlags::CLOEXEC, Some(number)) {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT | Errno::AFNOSUPPORT) => return Ok(None),
        Err(Errno::MFILE) => {
            return Err(Error::Failed(
                "too many published ports for this process: raise the limit of open files".into(),
            ));
        }
        socket => socket.during("open socket")?,
    };
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true).during("keep socket to IPv6")?;
    }
    match bind(&socket, &SocketAddr::new(address, port)) {
        Ok(()) => {}
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp && port != 0 => {
            if !bind_beside_the_past(&socket, SocketAddr::new(address, port))? {
                return Ok(None);
            }
        }
        Err(Errno::ADDRINUSE) => return Ok(None),
        Err(Errno::ADDRNOTAVAIL) => {
            return Err(Error::Invalid(format!(
                "cannot assign requested address {address}: this machine does not have it"
            )));
        }
        Err(errno) => return Err(kernel::Error::new(format!("bind {}", SocketAddr::new(address, port)), errno).into()),
    }
    let own = getsockname(&socket).during("ask for port")?;
    let bound = SocketAddr::try_from(own).during("ask for port")?;
    Ok(Some((bound.port(), socket)))
}

/// Connections of a server that has ended keep its port for a minute, but from nobody who may reuse addresses. That may not
/// be said of the reservation itself, or a second one of the same port would find nothing in its way; only who listens is
/// in the way of such a one, and leaves the port marked when it stops listening.
fn bind_beside_the_past(socket: &OwnedFd, to: SocketAddr) -> Result<bool> {
    sockopt::set_socket_reuseaddr(socket, true).during("reuse address")?;
    let taken = bind(socket, &to).and_then(|()| listen(socket, 0));
    match taken {
        Err(Errno::ADDRINUSE) => return Ok(false),
        taken => taken.during("reserve port")?,
    }
    shutdown(socket, Shutdown::Both).during("stop listening")?;
    sockopt::set_socket_reuseaddr(socket, false).during("keep address")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::on_new_host;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    fn publish(address: &str, ports: (u16, u16)) -> Publish {
        let host_address = (!address.is_empty()).then(|| address.parse().unwrap());
        Publish { protocol: Protocol::Tcp, container_port: 80, host_address, host_ports: ports }
    }

    #[test]
    fn a_port_belongs_to_one() {
        on_new_host(|| {
            let take = |address: &str, ports| reserve(&[publish(address, ports)], true, false, None);
            let (one, held) = take("", (8080, 8080)).unwrap();
            assert_eq!((one[0].host_port, one[0].host_address.to_string().as_str()), (8080, "0.0.0.0"));
            for address in ["", "127.0.0.1"] {
                let error = take(address, (8080, 8080)).unwrap_err();
                assert!(matches!(&error, Error::PortInUse { .. }), "{error}");
            }
            assert_eq!(take("", (8080, 8081)).unwrap().0[0].host_port, 8081);
            assert_ne!(take("", (0, 0)).unwrap().0[0].host_port, 0);
            drop(held);
            assert_eq!(take("127.0.0.1", (8080, 8080)).unwrap().0[0].host_port, 8080);
            assert!(take("192.0.2.1", (80, 80)).unwrap_err().to_string().contains("does not have it"));
            let (both, _held) = reserve(&[publish("", (0, 0))], true, true, None).unwrap();
            assert_eq!((both.len(), both[0].host_port), (2, both[1].host_port));
        });
    }

    /// std's listeners reuse addresses, as most servers do.
    #[test]
    fn a_port_whose_server_has_ended_is_free_for_one() {
        on_new_host(|| {
            let take = |address: &str| reserve(&[publish(address, (9091, 9091))], true, false, None);
            let server = TcpListener::bind("127.0.0.1:9091").unwrap();
            let mut client = TcpStream::connect("127.0.0.1:9091").unwrap();
            assert!(take("").is_err(), "it listens");
            // The server closes first, and waits.
            let connection = server.accept().unwrap();
            drop((server, connection));
            client.read_to_end(&mut Vec::new()).unwrap();
            drop(client);
            let waits = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
            assert!(waits.contains(":2383 ") && waits.contains(" 06 "), "{waits}");
            let (_, held) = take("").unwrap();
            for address in ["", "127.0.0.1"] {
                assert!(take(address).is_err(), "taken at {address:?}");
            }
            assert!(TcpListener::bind("127.0.0.1:9091").is_err());
            assert!(TcpStream::connect("127.0.0.1:9091").is_err(), "nobody listens");
            drop(held);
            take("127.0.0.1").unwrap();
        });
    }
}
