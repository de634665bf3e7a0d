//! Questions over TCP: two bytes of length before each message (RFC 1035, 4.2.2). One question at a time; one that is not
//! ours goes to a server over a connection of its own, and the answer comes back as it is.

use super::message::{Question, refusal};
use super::names::Names;
use kernel::epoll::{Epoll, Interest};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

/// A message with its length.
const BYTES_MAX: usize = 2 + 65535;

#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    token: u64,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    upstream: Option<Upstream>,
    upstream_token: u64,
}

#[derive(Debug)]
struct Upstream {
    stream: TcpStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    query: Vec<u8>,
    /// Its number among the servers.
    server: usize,
}

impl Client {
    pub fn new(stream: TcpStream, token: u64, upstream_token: u64, epoll: &Epoll) -> kernel::Result<Client> {
        let nonblocking = stream.set_nonblocking(true);
        kernel::Context::during(nonblocking, "make socket non-blocking")?;
        epoll.add(&stream, token, Interest::IN)?;
        Ok(Client { stream, token, incoming: Vec::new(), outgoing: Vec::new(), upstream: None, upstream_token })
    }

    pub fn has(&self, token: u64) -> bool {
        self.token == token || self.upstream_token == token
    }

    /// Goes on as far as it can; false when the connection is over.
    pub fn work(&mut self, epoll: &Epoll, names: &mut Names, servers: &[IpAddr]) -> bool {
        self.try_work(epoll, names, servers).unwrap_or(false)
    }

    fn try_work(&mut self, epoll: &Epoll, names: &mut Names, servers: &[IpAddr]) -> std::io::Result<bool> {
        let open = receive(&mut self.stream, &mut self.incoming)?;
        if let Some(mut upstream) = self.upstream.take() {
            match upstream.work() {
                Ok(Some(answer)) => put_message(&mut self.outgoing, &answer),
                Ok(None) => {
                    let interest =
                        if upstream.outgoing.is_empty() { Interest::IN } else { Interest::IN | Interest::OUT };
                    modify(epoll.modify(&upstream.stream, self.upstream_token, interest))?;
                    self.upstream = Some(upstream);
                }
                Err(_) => {
                    let next = upstream.server + 1;
                    let query = std::mem::take(&mut upstream.query);
                    // Closed first: it has the token that the next one gets.
                    drop(upstream);
                    self.upstream = self.send_on(query, servers, next, epoll);
                    if self.upstream.is_none() {
                        return Ok(false);
                    }
                }
            }
        }
        while self.upstream.is_none()
            && let Some(query) = take_message(&mut self.incoming)
        {
            let Some(question) = Question::parse(&query) else {
                let Some(refusal) = refusal(&query) else { return Ok(false) };
                put_message(&mut self.outgoing, &refusal);
                continue;
            };
            if let Some(answer) = names.answer(&question) {
                put_message(&mut self.outgoing, &answer);
                continue;
            }
            let upstream = question.may_be_sent_on().then(|| self.send_on(query, servers, 0, epoll)).flatten();
            match upstream {
                Some(upstream) => self.upstream = Some(upstream),
                None => put_message(&mut self.outgoing, &question.failure()),
            }
        }
        send(&mut self.stream, &mut self.outgoing)?;
        // One that has sent all its questions still waits for answers.
        let mut interest = if open { Interest::IN } else { Interest::empty() };
        if !self.outgoing.is_empty() {
            interest |= Interest::OUT;
        }
        modify(epoll.modify(&self.stream, self.token, interest))?;
        let waits = self.upstream.is_some() || !self.outgoing.is_empty();
        Ok((open || waits) && self.incoming.len() <= BYTES_MAX)
    }

    /// Asks the first of the servers from number `first` on that can be asked.
    fn send_on(&self, query: Vec<u8>, servers: &[IpAddr], first: usize, epoll: &Epoll) -> Option<Upstream> {
        let (server, stream) = servers.iter().enumerate().skip(first).find_map(|(number, server)| {
            let family = if server.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(family, SocketType::STREAM, flags, None).ok()?;
            match connect(&socket, &SocketAddr::new(*server, 53)) {
                Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Some((number, TcpStream::from(socket))),
                Err(_) => None,
            }
        })?;
        let mut outgoing = Vec::new();
        put_message(&mut outgoing, &query);
        epoll.add(&stream, self.upstream_token, Interest::IN | Interest::OUT).ok()?;
        Some(Upstream { stream, outgoing, incoming: Vec::new(), query, server })
    }
}

impl Upstream {
    /// The answer when it is complete.
    fn work(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        send(&mut self.stream, &mut self.outgoing)?;
        let is_open = receive(&mut self.stream, &mut self.incoming)?;
        match take_message(&mut self.incoming) {
            None if !is_open => Err(ErrorKind::UnexpectedEof.into()),
            answer => Ok(answer),
        }
    }
}

fn modify(result: kernel::Result<()>) -> std::io::Result<()> {
    result.map_err(|error| std::io::Error::from(error.errno))
}

/// False at the end.
fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut bytes = [0; 4096];
    while buffer.len() <= BYTES_MAX {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(length) => buffer.extend_from_slice(&bytes[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn send(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    while !buffer.is_empty() {
        match stream.write(buffer) {
            Ok(length) => drop(buffer.drain(..length)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn take_message(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*buffer.first()?, *buffer.get(1)?]));
    if buffer.len() < length + 2 {
        return None;
    }
    let message = buffer[2..length + 2].to_vec();
    buffer.drain(..length + 2);
    Some(message)
}

pub(super) fn put_message(buffer: &mut Vec<u8>, message: &[u8]) {
    buffer.extend((message.len().min(65535) as u16).to_be_bytes());
    buffer.extend(&message[..message.len().min(65535)]);
}
