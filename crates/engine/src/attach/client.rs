//! The client's end of a connection to a monitor.

use super::frame::{Decoder, Event, Request};
use super::{SOCKET, Streams};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use kernel::Context;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Dropping it detaches; the container goes on.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    decoder: Decoder,
    /// Encoded requests that the socket has not taken yet.
    outgoing: Vec<u8>,
}

/// What a look at the connection gave.
#[derive(Debug)]
pub enum Received {
    Event(Event),
    /// Nothing complete yet.
    Pending,
    /// The monitor has gone without a word: it was killed.
    Lost,
}

/// Connects to the monitor of a running container.
pub fn attach(engine: &Engine, container: &Container, streams: Streams) -> Result<Client> {
    container.require_running()?;
    connect(engine, container, streams)
}

/// As `attach`, also between two starts by a restart policy.
pub(crate) fn connect(engine: &Engine, container: &Container, streams: Streams) -> Result<Client> {
    let socket = kernel::socket::connect_to(&engine.paths().run(container.id()), SOCKET)?;
    let mut client = Client::new(socket);
    client.send(&Request::Hello(streams))?;
    Ok(client)
}

impl Client {
    /// Around a socket whose other end knows already which streams are wanted.
    pub(crate) fn new(socket: OwnedFd) -> Client {
        Client { socket, decoder: Decoder::default(), outgoing: Vec::new() }
    }

    /// Waits until the command has been executed, or says why it could not be.
    pub(crate) fn wait_started(&mut self) -> Result<()> {
        match self.wait_event()? {
            Some(Event::Started) => Ok(()),
            Some(Event::Failed { kind, text }) => Err(kind.into_error(text)),
            Some(other) => Err(Error::Failed(format!("the monitor answered {other:?} before the start"))),
            None => Err(Error::Failed(
                "the container's monitor was killed during the start: start the container again".into(),
            )),
        }
    }

    /// Waits for the container's end; `None` when the monitor was killed.
    pub(crate) fn wait_exit(&mut self) -> Result<Option<i32>> {
        loop {
            match self.wait_event()? {
                Some(Event::Exit(code)) => return Ok(Some(code)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Tells the monitor that a user stops the container, and waits until it knows.
    pub(crate) fn forbid_restart(&mut self) -> Result<()> {
        self.send(&Request::NoRestart)?;
        self.wait_done()
    }

    /// Tells the monitor that the container's networks have changed, and waits until it has done its part.
    pub(crate) fn tell_of_networks(&mut self) -> Result<()> {
        self.send(&Request::Networks)?;
        self.wait_done()
    }

    fn wait_done(&mut self) -> Result<()> {
        while let Some(event) = self.wait_event()? {
            // An exit that comes first may be followed by a restart: only the answer counts.
            if matches!(event, Event::Done) {
                break;
            }
        }
        Ok(())
    }

    /// Blocks until the whole request is sent: only where no output of the container is on its way to us.
    fn send(&mut self, request: &Request) -> Result<()> {
        request.encode(&mut self.outgoing);
        self.push(SendFlags::NOSIGNAL)
    }

    /// Sends what the socket takes now; the rest goes with `flush`. Never blocks: a container that
    /// answers input with output would otherwise wait for us while we wait for it.
    pub(super) fn queue(&mut self, request: &Request) -> Result<()> {
        request.encode(&mut self.outgoing);
        self.flush()
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.push(SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    fn push(&mut self, flags: SendFlags) -> Result<()> {
        let mut sent = 0;
        while sent < self.outgoing.len() {
            match send(&self.socket, &self.outgoing[sent..], flags) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The monitor is gone, which the next read finds out.
                Err(Errno::PIPE | Errno::CONNRESET) => sent = self.outgoing.len(),
                Err(errno) => return Err(kernel::Error::new("send to the container's monitor", errno).into()),
            }
        }
        self.outgoing.drain(..sent);
        Ok(())
    }

    fn wait_event(&mut self) -> Result<Option<Event>> {
        loop {
            match self.next()? {
                Received::Event(event) => return Ok(Some(event)),
                Received::Lost => return Ok(None),
                Received::Pending => {}
            }
            if !self.receive()? {
                return Ok(None);
            }
        }
    }

    /// The next event among what has been received.
    pub(super) fn next(&mut self) -> Result<Received> {
        match self.decoder.next_event() {
            Ok(Some(event)) => Ok(Received::Event(event)),
            Ok(None) => Ok(Received::Pending),
            Err(_) => Ok(Received::Lost),
        }
    }

    /// Waits for bytes; false at the end of the connection.
    pub(super) fn receive(&mut self) -> Result<bool> {
        let mut buffer = [0; 65536];
        match rustix::io::read(&self.socket, &mut buffer) {
            Ok(0) | Err(Errno::CONNRESET) => Ok(false),
            Ok(count) => {
                self.decoder.push(&buffer[..count]);
                Ok(true)
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(true),
            Err(errno) => Err(errno).during("read from the container's monitor").map_err(Error::from),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
