//! A process of a container for whose end somebody waits: signals that we get go on to it, the terminal is relayed, and
//! its exit code becomes ours. Made before the process, so that no signal in between is lost.

use crate::runtime::failure::Failure;
use kernel::Context;
use kernel::prctl;
use kernel::signal::{Signal, SignalFd, SignalSet, set_mask};
use kernel::terminal::{self, Raw, is_terminal};
use runtime::Running;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;
use std::os::fd::{AsFd, OwnedFd};

/// So much is carried at once.
const CHUNK_BYTES: usize = 16 * 1024;

pub struct Foreground {
    signals: SignalFd,
}

impl Foreground {
    pub fn new() -> Result<Foreground, Failure> {
        set_mask(SignalSet::ALL)?;
        Ok(Foreground { signals: SignalFd::new(SignalSet::ALL)? })
    }

    /// Orphans of the container become our children, and are reaped here.
    pub fn subreaper() -> Result<Foreground, Failure> {
        prctl::become_subreaper()?;
        Foreground::new()
    }

    /// Until the process ends: its exit code, 128 plus the signal that ended it.
    pub fn wait(&self, running: &Running) -> Result<u8, Failure> {
        let relay = running.console.as_ref().map(Relay::new).transpose()?;
        match relay {
            None => self.wait_for_end(running),
            Some(relay) => self.relay_until_end(running, relay),
        }
    }

    fn wait_for_end(&self, running: &Running) -> Result<u8, Failure> {
        loop {
            if let Some(code) = reap(running.pid) {
                return Ok(code);
            }
            poll(&mut [PollFd::new(&self.signals, PollFlags::IN)])?;
            self.forward(running, None);
        }
    }

    fn relay_until_end(&self, running: &Running, mut relay: Relay<'_>) -> Result<u8, Failure> {
        loop {
            if let Some(code) = reap(running.pid) {
                relay.drain();
                return Ok(code);
            }
            let [from_stdin, from_console, into_console] = {
                let wanted = relay.wanted();
                let (stdin, console) = (rustix::stdio::stdin(), relay.console.as_fd());
                let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&console, wanted.console)];
                if wanted.stdin {
                    fds.push(PollFd::new(&stdin, PollFlags::IN));
                }
                poll(&mut fds)?;
                let (console, stdin) = (fds[1].revents(), fds.get(2).is_some_and(|fd| !fd.revents().is_empty()));
                [stdin, console.intersects(!PollFlags::OUT), console.contains(PollFlags::OUT)]
            };
            if from_stdin {
                relay.read_stdin();
            }
            if into_console {
                relay.write_console();
            }
            if from_console {
                relay.read_console();
            }
            self.forward(running, Some(relay.console));
        }
    }

    fn forward(&self, running: &Running, console: Option<&OwnedFd>) {
        while let Some(signal) = self.signals.read() {
            match signal {
                Signal::CHLD | Signal::PIPE | Signal::URG => {}
                Signal::WINCH if console.is_some() => resize(console),
                // Fails when it has just ended, which the next round sees.
                signal => drop(running.pidfd.send_signal(signal.number())),
            }
        }
    }
}

/// Takes in all that have ended; the process's code if it is among them.
fn reap(pid: i32) -> Option<u8> {
    let mut code = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((ended, status))) if ended.as_raw_nonzero().get() == pid => {
                let number = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
                code = Some(u8::try_from(number.unwrap_or(255) & 0xff).unwrap_or(255));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}

fn poll(fds: &mut [PollFd<'_>]) -> Result<(), Failure> {
    match rustix::event::poll(fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(kernel::Error::new("wait for the container", errno).into()),
    }
}

fn resize(console: Option<&OwnedFd>) {
    if let (Some(console), Some((width, height))) = (console, size()) {
        // The container keeps its old size when this fails; nothing depends on it.
        let _ = kernel::pty::set_size(console, width, height);
    }
}

fn size() -> Option<(u16, u16)> {
    terminal::size(rustix::stdio::stdin()).or_else(|| terminal::size(rustix::stdio::stdout()))
}

/// Our standard input and output on one side, the master of the container's terminal on the other.
struct Relay<'a> {
    console: &'a OwnedFd,
    /// Read and not yet taken by the container.
    pending: Vec<u8>,
    stdin_open: bool,
    console_open: bool,
    /// Our own terminal, in raw mode.
    _raw: Option<Raw<'static>>,
}

struct Wanted {
    stdin: bool,
    console: PollFlags,
}

impl<'a> Relay<'a> {
    fn new(console: &'a OwnedFd) -> Result<Relay<'a>, Failure> {
        kernel::fifo::set_nonblocking(console)?;
        resize(Some(console));
        let stdin = rustix::stdio::stdin();
        let raw = is_terminal(stdin).then(|| Raw::enter(stdin)).transpose()?;
        Ok(Relay { console, pending: Vec::new(), stdin_open: true, console_open: true, _raw: raw })
    }

    fn wanted(&self) -> Wanted {
        let mut console = PollFlags::empty();
        if self.console_open {
            console |= PollFlags::IN;
        }
        if !self.pending.is_empty() {
            console |= PollFlags::OUT;
        }
        Wanted { stdin: self.stdin_open && self.pending.is_empty(), console }
    }

    fn read_stdin(&mut self) {
        let mut bytes = [0; CHUNK_BYTES];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(0) => self.stdin_open = false,
            Ok(count) => self.pending.extend_from_slice(&bytes[..count]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.stdin_open = false,
        }
    }

    fn write_console(&mut self) {
        match rustix::io::write(self.console, &self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Nobody has the terminal open any more.
            Err(_) => self.pending.clear(),
        }
    }

    fn read_console(&mut self) -> bool {
        let mut bytes = [0; CHUNK_BYTES];
        match rustix::io::read(self.console, &mut bytes) {
            Ok(count) if count > 0 => {
                // A reader that has gone away does not end the container.
                let _ = write_all(&bytes[..count]);
                true
            }
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            // EIO: nobody has the terminal open, and after the process's end nobody will.
            _ => {
                self.console_open = false;
                false
            }
        }
    }

    /// What was written before the end.
    fn drain(&mut self) {
        while self.read_console() {}
    }
}

fn write_all(mut bytes: &[u8]) -> kernel::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let stdout = rustix::stdio::stdout();
                let _ = rustix::event::poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None);
            }
            written => bytes = &bytes[written.during("write to standard output")?..],
        }
    }
    Ok(())
}
