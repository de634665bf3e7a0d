//! The resolver's sockets: two inside the container (UDP and TCP), and on the host one for each question that was sent on.
//! Everything is non-blocking and behind one descriptor, which whoever owns the resolver watches. Nothing waits for a
//! clock: a client that asks again makes the next of the host's resolvers be asked, and old questions make room for new ones.

use super::ADDRESS;
use super::configuration::Configuration;
use super::message::{Question, answers, refusal};
use super::names::Names;
use super::tcp;
use crate::error::Result;
use kernel::Context;
use kernel::epoll::{Epoll, Interest};
use kernel::netlink::{Socket, within};
use kernel::nftables::expression::{Expression as E, Meta, Payload};
use kernel::nftables::{Base, Family, Hook, Table, Transaction};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

const TOKEN_UDP: u64 = 0;
const TOKEN_TCP: u64 = 1;
const TOKEN_FIRST: u64 = 2;
/// Questions that wait for an answer from outside. The oldest makes room.
const PENDING_MAX: usize = 128;
const CLIENTS_MAX: usize = 32;
/// Datagrams in one go: others want their turn too.
const DATAGRAMS_MAX: usize = 64;
/// The number by which a client knows the answer again.
const NUMBER_BYTES: usize = 2;
/// EDNS lets answers be this large.
const MESSAGE_BYTES: usize = 4096;

/// A resolver for one container.
#[derive(Debug)]
pub struct Resolver {
    epoll: Epoll,
    udp: UdpSocket,
    tcp: TcpListener,
    names: Names,
    /// Instead of the host's.
    servers: Vec<IpAddr>,
    pending: VecDeque<Pending>,
    clients: Vec<tcp::Client>,
    next_token: u64,
}

/// A question that was sent on.
#[derive(Debug)]
struct Pending {
    token: u64,
    socket: UdpSocket,
    client: SocketAddr,
    query: Vec<u8>,
    /// Which of the servers was asked.
    server: usize,
}

impl Resolver {
    /// Opens the sockets in the container's network namespace. Ports of its own choice, to which 127.0.0.11:53 is
    /// redirected inside: the container may well be a name server itself and bind port 53.
    pub fn open(namespace: BorrowedFd<'_>, names: Names, servers: Vec<IpAddr>) -> Result<Resolver> {
        let (udp, tcp) = within(namespace, || {
            let udp = UdpSocket::bind((ADDRESS, 0)).during("open resolver in container")?;
            let tcp = TcpListener::bind((ADDRESS, 0)).during("open resolver in container")?;
            let port = |address: std::io::Result<SocketAddr>| address.during("ask for port").map(|at| at.port());
            redirect(port(udp.local_addr())?, port(tcp.local_addr())?)?;
            Ok((udp, tcp))
        })?;
        udp.set_nonblocking(true).during("make socket non-blocking")?;
        tcp.set_nonblocking(true).during("make socket non-blocking")?;
        let epoll = Epoll::new()?;
        epoll.add(&udp, TOKEN_UDP, Interest::IN)?;
        epoll.add(&tcp, TOKEN_TCP, Interest::IN)?;
        let (pending, clients) = (VecDeque::new(), Vec::new());
        Ok(Resolver { epoll, udp, tcp, names, servers, pending, clients, next_token: TOKEN_FIRST })
    }

    /// Readable when there is something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Does what there is to do, and does not wait.
    pub fn work(&mut self) {
        for event in self.epoll.wait(Some(Duration::ZERO)).unwrap_or_default() {
            match event.token {
                TOKEN_UDP => self.take_questions(),
                TOKEN_TCP => self.accept(),
                token if self.pending.iter().any(|one| one.token == token) => self.take_answer(token),
                token => self.serve(token),
            }
        }
    }

    fn take_questions(&mut self) {
        let mut buffer = [0; MESSAGE_BYTES];
        for _ in 0..DATAGRAMS_MAX {
            let Ok((length, client)) = self.udp.recv_from(&mut buffer) else { return };
            self.take_question(&buffer[..length], client);
        }
    }

    fn take_question(&mut self, query: &[u8], client: SocketAddr) {
        let Some(question) = Question::parse(query) else {
            let _ = refusal(query).map(|refusal| self.udp.send_to(&refusal, client));
            return;
        };
        if let Some(answer) = self.names.answer(&question) {
            let _ = self.udp.send_to(&answer, client);
            return;
        }
        // Asked again, perhaps from another socket by another number: the server that was asked is slow or gone.
        let is_same = |one: &Pending| one.query.get(NUMBER_BYTES..) == query.get(NUMBER_BYTES..);
        let before = self.pending.iter().rposition(is_same);
        let server = before.and_then(|at| self.pending.get(at)).map_or(0, |one| one.server + 1);
        self.pending.retain(|one| one.client != client || one.query != query);
        if !question.may_be_sent_on() || !self.send_on(query, client, server) {
            let _ = self.udp.send_to(&question.failure(), client);
        }
    }

    /// False when no server can be asked.
    fn send_on(&mut self, query: &[u8], client: SocketAddr, first: usize) -> bool {
        let servers = self.servers();
        for at in first..first + servers.len() {
            let Some(server) = servers.get(at % servers.len()) else { return false };
            // A socket of its own, and so a port that nobody can guess.
            let Ok(socket) = UdpSocket::bind(any(*server)) else { continue };
            let sent = socket.connect((*server, 53)).and_then(|()| socket.set_nonblocking(true));
            if sent.and_then(|()| socket.send(query)).is_err() {
                continue;
            }
            let token = self.token();
            if self.epoll.add(&socket, token, Interest::IN).is_err() {
                return false;
            }
            if self.pending.len() == PENDING_MAX {
                self.pending.pop_front();
            }
            self.pending.push_back(Pending { token, socket, client, query: query.to_vec(), server: at });
            return true;
        }
        false
    }

    fn servers(&mut self) -> Vec<IpAddr> {
        if self.names.are_confined() {
            return Vec::new();
        }
        if self.servers.is_empty() { Configuration::of_host().servers } else { self.servers.clone() }
    }

    fn take_answer(&mut self, token: u64) {
        let Some(at) = self.pending.iter().position(|one| one.token == token) else { return };
        let mut buffer = [0; MESSAGE_BYTES];
        match self.pending[at].socket.recv(&mut buffer) {
            Ok(length) if answers(&self.pending[at].query, &buffer[..length]) => {
                let _ = self.udp.send_to(&buffer[..length], self.pending[at].client);
                self.pending.remove(at);
            }
            // Not the answer; that may still come.
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // Nobody is there: the next, each once.
            Err(_) => {
                let Some(one) = self.pending.remove(at) else { return };
                let more = one.server + 1 < self.servers().len();
                if !(more && self.send_on(&one.query, one.client, one.server + 1))
                    && let Some(question) = Question::parse(&one.query)
                {
                    let _ = self.udp.send_to(&question.failure(), one.client);
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.tcp.accept() {
            if self.clients.len() == CLIENTS_MAX {
                self.clients.remove(0);
            }
            let token = self.token();
            let upstream = self.token();
            if let Ok(client) = tcp::Client::new(stream, token, upstream, &self.epoll) {
                self.clients.push(client);
            }
        }
    }

    fn serve(&mut self, token: u64) {
        let Some(at) = self.clients.iter().position(|client| client.has(token)) else { return };
        let servers = self.servers();
        if !self.clients[at].work(&self.epoll, &mut self.names, &servers) {
            self.clients.remove(at);
        }
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }
}

pub fn any(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        IpAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    }
}

/// In the namespace that the thread is in: 127.0.0.11:53 is where the two sockets are. A monitor that takes over replaces
/// what the one before has made; not the first, since closing the socket after a deletion takes the kernel some 10 ms.
fn redirect(udp: u16, tcp: u16) -> kernel::Result<()> {
    let table = Table { family: Family::Ipv4, name: "brig-dns" };
    let socket = Socket::netfilter()?;
    let mut new = Transaction::new();
    new.add_new_table(table);
    redirections(&mut new, table, udp, tcp);
    match new.commit(&socket) {
        Err(error) if error.errno == Errno::EXIST => {}
        result => return result,
    }
    let mut other = Transaction::new();
    other.delete_table(table);
    other.add_table(table);
    redirections(&mut other, table, udp, tcp);
    other.commit(&socket)
}

fn redirections(change: &mut Transaction, table: Table<'_>, udp: u16, tcp: u16) {
    change.add_base_chain(table, "output", Base { kind: "nat", hook: Hook::Output, priority: -100 });
    for (protocol, port) in [(17u8, udp), (6, tcp)] {
        let address = ADDRESS.octets();
        let to = port.to_be_bytes();
        let rule = [
            E::Payload { base: Payload::Network, offset: 16, length: 4, to: 0 },
            E::Equal { register: 0, value: &address },
            E::Meta { key: Meta::L4Protocol, to: 0 },
            E::Equal { register: 0, value: &[protocol] },
            E::Payload { base: Payload::Transport, offset: 2, length: 2, to: 0 },
            E::Equal { register: 0, value: &[0, 53] },
            E::Immediate { to: 8, value: &address },
            E::Immediate { to: 9, value: &to },
            E::DestinationNat { is_ipv6: false, address: 8, port: 9 },
        ];
        change.add_rule(table, "output", &rule);
    }
}
