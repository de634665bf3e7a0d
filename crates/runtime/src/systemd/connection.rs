//! A connection to systemd: to its own socket, which root may use, or else over the system bus. Authentication is
//! EXTERNAL (D-Bus specification, "Authentication Protocol"): the kernel says who we are.

use super::message::{Call, HEAD_BYTES, Kind, Message, Writer, length};
use crate::error::{Error, Result, invalid};
use kernel::Context;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

const PRIVATE: &str = "/run/systemd/private";
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
/// Longer than any job of systemd's that only makes or removes a group.
const ANSWER_SECONDS_MAX: i64 = 30;

pub(super) struct Connection {
    socket: OwnedFd,
    /// Empty without a bus.
    destination: &'static str,
    serial: u32,
    /// Signals that came before they were waited for.
    signals: Vec<Message>,
}

impl Connection {
    pub fn open() -> Result<Connection> {
        let (socket, destination) = match kernel::socket::connect_path(Path::new(PRIVATE)) {
            Ok(socket) => (socket, ""),
            Err(_) => (kernel::socket::connect_path(Path::new(SYSTEM_BUS))?, "org.freedesktop.systemd1"),
        };
        let mut connection = Connection { socket, destination, serial: 0, signals: Vec::new() };
        connection.authenticate()?;
        if !destination.is_empty() {
            let bus = "org.freedesktop.DBus";
            connection.call_to(bus, "/org/freedesktop/DBus", bus, "Hello", "", Writer::default())?;
            connection.call("Subscribe", "", Writer::default())?;
        }
        Ok(connection)
    }

    fn authenticate(&mut self) -> Result<()> {
        // The user id in decimal, its digits in hexadecimal.
        let user: String =
            rustix::process::geteuid().as_raw().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        // All in one, as systemd's own clients do: a call that comes in together with BEGIN lies there unseen until the next
        // one does (sd-bus waits for its socket, not for what it has read from it already). After OK there is no such moment.
        self.send(format!("\0AUTH EXTERNAL {user}\r\nBEGIN\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 512 {
            line.extend(self.receive(1)?);
        }
        if !line.starts_with(b"OK ") {
            let text = String::from_utf8_lossy(&line);
            return Err(invalid(format!("systemd refuses to talk to us: {}", text.trim_end())));
        }
        Ok(())
    }

    /// Calls `member` of systemd's manager; the texts of the answer.
    pub fn call(&mut self, member: &str, signature: &str, body: Writer) -> Result<Vec<String>> {
        let path = "/org/freedesktop/systemd1";
        self.call_to(self.destination, path, "org.freedesktop.systemd1.Manager", member, signature, body)
    }

    fn call_to(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: Writer,
    ) -> Result<Vec<String>> {
        self.serial += 1;
        let call = Call { destination, path, interface, member, signature };
        self.send(&call.message(self.serial, body))?;
        loop {
            let message = self.next()?;
            match message.kind {
                Kind::Answer if message.answers == self.serial => return Ok(message.texts()),
                Kind::Error if message.answers == self.serial => {
                    let text = message.texts().into_iter().next().unwrap_or_default();
                    return Err(invalid(format!("systemd, asked for {member}: {}: {text}", message.error)));
                }
                Kind::Signal => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// Waits for the end of `job`, an object path.
    pub fn wait_for_job(&mut self, job: &str) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.signals).into_iter();
        loop {
            let message = match waiting.next() {
                Some(message) => message,
                None => self.next()?,
            };
            if message.kind != Kind::Signal || message.member != "JobRemoved" {
                continue;
            }
            // Its number, path, unit and result.
            if let [_, path, unit, result] = message.texts().as_slice()
                && path == job
            {
                return match result.as_str() {
                    "done" => Ok(()),
                    other => Err(invalid(format!("systemd's job for {unit} ended as {other}"))),
                };
            }
        }
    }

    fn next(&mut self) -> Result<Message> {
        let broken = || invalid("systemd sent what is no message of D-Bus");
        let head: [u8; HEAD_BYTES] = self.receive(HEAD_BYTES)?.try_into().map_err(|_| broken())?;
        let rest = length(&head).and_then(|length| length.checked_sub(HEAD_BYTES)).ok_or_else(broken)?;
        let mut bytes = head.to_vec();
        bytes.extend(self.receive(rest)?);
        Message::parse(&bytes).ok_or_else(broken)
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::net::send(&self.socket, bytes, rustix::net::SendFlags::NOSIGNAL) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).during("write to systemd").map_err(Error::from),
            }
        }
        Ok(())
    }

    /// Exactly `count` bytes.
    fn receive(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut got = 0;
        while got < count {
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            let timeout = Timespec { tv_sec: ANSWER_SECONDS_MAX, tv_nsec: 0 };
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(0) => return Err(Errno::TIMEDOUT).during("wait for systemd").map_err(Error::from),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).during("wait for systemd").map_err(Error::from),
            }
            match rustix::io::read(&self.socket, &mut bytes[got..]) {
                Ok(0) => return Err(Errno::PIPE).during("read from systemd").map_err(Error::from),
                Ok(n) => got += n,
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(errno).during("read from systemd").map_err(Error::from),
            }
        }
        Ok(bytes)
    }
}
