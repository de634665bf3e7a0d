//! The connections of a monitor: the command that started the container, `attach`, `wait` and
//! `stop`. A client that reads slowly makes the container wait, as a pipe would; one that has
//! gone is forgotten.

use super::watch::Watched;
use crate::attach::Streams;
use crate::attach::frame::{Decoder, Event, Request};
use crate::error::Result;
use kernel::epoll::{Epoll, Interest};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use std::os::fd::OwnedFd;

/// Tokens from here on belong to clients.
pub const TOKEN_FIRST: u64 = 100;
/// With more than this unsent to any client, the container's output is left in its pipe.
const BACKLOG_BYTES_MAX: usize = 256 << 10;

#[derive(Debug, Default)]
pub struct Clients {
    all: Vec<Client>,
    next_token: u64,
}

#[derive(Debug)]
struct Client {
    token: u64,
    socket: Watched,
    streams: Streams,
    decoder: Decoder,
    outgoing: Vec<u8>,
    gone: bool,
}

impl Clients {
    /// A connection whose first request will say what it wants.
    pub fn add(&mut self, socket: OwnedFd) {
        self.add_with(socket, Streams::NONE);
    }

    /// The command that started the container: its streams are known.
    pub fn add_with(&mut self, socket: OwnedFd, streams: Streams) {
        let token = TOKEN_FIRST + self.next_token;
        self.next_token += 1;
        let socket = Watched::new(socket, token);
        self.all.push(Client {
            token,
            socket,
            streams,
            decoder: Decoder::default(),
            outgoing: Vec::new(),
            gone: false,
        });
    }

    /// Output of the container, to those who want it.
    pub fn output(&mut self, stderr: bool, data: &[u8]) {
        let wants = |client: &Client| if stderr { client.streams.stderr } else { client.streams.stdout };
        // Mostly nobody is there, and nothing need be copied.
        if !self.all.iter().any(wants) {
            return;
        }
        let event = if stderr { Event::Stderr(data.to_vec()) } else { Event::Stdout(data.to_vec()) };
        self.all.iter_mut().filter(|client| wants(client)).for_each(|client| client.queue(&event));
    }

    pub fn everyone(&mut self, event: &Event) {
        self.all.iter_mut().for_each(|client| client.queue(event));
    }

    pub fn answer(&mut self, token: u64, event: &Event) {
        self.all.iter_mut().filter(|client| client.token == token).for_each(|client| client.queue(event));
    }

    /// True while somebody has so much unsent that no more output should be read.
    pub fn are_behind(&self) -> bool {
        self.all.iter().any(|client| client.outgoing.len() > BACKLOG_BYTES_MAX)
    }

    pub fn are_flushed(&self) -> bool {
        self.all.iter().all(|client| client.outgoing.is_empty())
    }

    /// Somebody attached may still send input.
    pub fn have_input(&self) -> bool {
        self.all.iter().any(|client| client.streams.stdin)
    }

    /// Sends what can be sent, drops who is gone, and asks epoll for what is wanted next. Requests are
    /// read only while `accept_input`: the container's own input may be full.
    pub fn settle(&mut self, epoll: &Epoll, accept_input: bool) -> Result<()> {
        for client in &mut self.all {
            client.flush();
        }
        self.all.retain(|client| !client.gone);
        for client in &mut self.all {
            let mut interest = Interest::empty();
            if accept_input || !client.streams.stdin {
                interest |= Interest::IN;
            }
            if !client.outgoing.is_empty() {
                interest |= Interest::OUT;
            }
            client.socket.want(epoll, interest)?;
        }
        Ok(())
    }

    /// The requests of client `token`; called when epoll reports it.
    pub fn receive(&mut self, token: u64) -> Vec<Request> {
        let Some(client) = self.all.iter_mut().find(|client| client.token == token) else { return Vec::new() };
        client.receive()
    }

    pub fn forget_all(&mut self) {
        self.all.clear();
    }
}

impl Client {
    fn queue(&mut self, event: &Event) {
        event.encode(&mut self.outgoing);
        self.flush();
    }

    fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.outgoing.len() {
            match send(&self.socket, &self.outgoing[sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.gone = true;
                    sent = self.outgoing.len();
                }
            }
        }
        self.outgoing.drain(..sent);
    }

    fn receive(&mut self) -> Vec<Request> {
        let mut buffer = [0; 65536];
        match rustix::net::recv(&self.socket, &mut buffer[..], rustix::net::RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.gone = true,
            Ok((count, _)) => self.decoder.push(&buffer[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.gone = true,
        }
        let mut requests = Vec::new();
        loop {
            match self.decoder.next_request() {
                Ok(Some(Request::Hello(streams))) => self.streams = streams,
                Ok(Some(request)) => requests.push(request),
                Ok(None) => return requests,
                Err(_) => {
                    self.gone = true;
                    return requests;
                }
            }
        }
    }
}
