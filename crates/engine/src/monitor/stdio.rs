//! The container's standard streams on the monitor's side: two FIFOs and a pipe for input, or
//! one terminal. Output is logged and handed to clients before it is consumed (see
//! `kernel::fifo`): a monitor killed in between repeats it rather than losing it.

use super::clients::Clients;
use super::log::LogWriter;
use super::watch::Watched;
use crate::error::Result;
use crate::logs::Stream;
use kernel::epoll::{Epoll, Interest};
use kernel::fifo::{self, Peek, Peeked};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use spec::Timestamp;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

pub const TOKEN_STDOUT: u64 = 2;
pub const TOKEN_STDERR: u64 = 3;
pub const TOKEN_STDIN: u64 = 4;

/// Room for output while the monitor is busy or being replaced.
const PIPE_BYTES: usize = 256 << 10;
const READ_BYTES: usize = 64 << 10;

/// The monitor's ends.
#[derive(Debug)]
pub struct Stdio {
    stdout: Option<Watched>,
    stderr: Option<Watched>,
    stdin: Option<Watched>,
    terminal: bool,
    peek: Peek,
    buffer: Vec<u8>,
    /// Input that the container has not taken yet.
    pending: Vec<u8>,
    /// Input ends after what is pending.
    ending: bool,
}

/// Makes the FIFOs and returns the container's ends with our own.
pub fn make(run: &Path, uid: u32, gid: u32, with_input: bool) -> Result<(runtime::Stdio, Stdio)> {
    use kernel::Context;
    for name in ["stdout", "stderr"] {
        fifo::make(&run.join(name), uid, gid)?;
    }
    // Ours first: what the container writes must find a reader.
    let mut ours = reopen(run)?;
    let stdout = fifo::open_both(&run.join("stdout"))?;
    let stderr = fifo::open_both(&run.join("stderr"))?;
    let stdin = if with_input {
        let (read, write) = fifo::pipe()?;
        // The container's user may open /dev/stdin anew.
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::fchown(&read, Some(uid), Some(gid)).during("change owner of pipe")?;
        fifo::set_nonblocking(&write)?;
        ours.stdin = Some(Watched::new(write, TOKEN_STDIN));
        read
    } else {
        openat(CWD, "/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during_at("open", "/dev/null")?
    };
    Ok((runtime::Stdio::Fds { stdin, stdout, stderr }, ours))
}

/// Our ends of FIFOs that are there: after a monitor was killed. Input is lost with its pipe.
pub fn reopen(run: &Path) -> Result<Stdio> {
    let open = |name: &str, token| -> Result<Option<Watched>> {
        let reader = fifo::open_reader(&run.join(name))?;
        fifo::enlarge(&reader, PIPE_BYTES);
        Ok(Some(Watched::new(reader, token)))
    };
    Ok(Stdio { stdout: open("stdout", TOKEN_STDOUT)?, stderr: open("stderr", TOKEN_STDERR)?, ..Stdio::none()? })
}

impl Stdio {
    /// No streams: a terminal that is gone with the monitor that had it.
    pub fn none() -> Result<Stdio> {
        Ok(Stdio {
            stdout: None,
            stderr: None,
            stdin: None,
            terminal: false,
            peek: Peek::new()?,
            buffer: vec![0; READ_BYTES],
            pending: Vec::new(),
            ending: false,
        })
    }

    /// A terminal's master is both output and input.
    pub fn terminal(console: OwnedFd) -> Result<Stdio> {
        use kernel::Context;
        fifo::set_nonblocking(&console)?;
        let input = console.try_clone().during("duplicate terminal")?;
        Ok(Stdio {
            stdout: Some(Watched::new(console, TOKEN_STDOUT)),
            stdin: Some(Watched::new(input, TOKEN_STDIN)),
            terminal: true,
            ..Stdio::none()?
        })
    }

    pub fn resize(&self, width: u16, height: u16) {
        if let (true, Some(console)) = (self.terminal, &self.stdout) {
            let _ = kernel::pty::set_size(console, width, height);
        }
    }

    /// Asks epoll for what is wanted: output unless clients are behind, room for input while some is pending.
    pub fn settle(&mut self, epoll: &Epoll, read_output: bool) -> Result<()> {
        let output = if read_output { Interest::IN } else { Interest::empty() };
        for stream in [&mut self.stdout, &mut self.stderr].into_iter().flatten() {
            stream.want(epoll, output)?;
        }
        let input = if self.pending.is_empty() { Interest::empty() } else { Interest::OUT };
        self.stdin.as_mut().map_or(Ok(()), |stdin| stdin.want(epoll, input))
    }

    /// Moves what one stream holds to the log and the clients. True while there may be more.
    pub fn pump(&mut self, token: u64, log: &mut Option<LogWriter>, clients: &mut Clients) -> Result<bool> {
        let stderr = token == TOKEN_STDERR;
        let slot = if stderr { &mut self.stderr } else { &mut self.stdout };
        let Some(stream) = slot.as_ref() else { return Ok(false) };
        let peeked = if self.terminal {
            read_terminal(stream, &mut self.buffer)?
        } else {
            self.peek.look(stream.as_fd(), &mut self.buffer)?
        };
        let count = match peeked {
            Peeked::Data(count) => count,
            Peeked::Empty => return Ok(false),
            Peeked::End => {
                *slot = None;
                return Ok(false);
            }
        };
        let data = &self.buffer[..count];
        if let Some(log) = log {
            let kind = if stderr { Stream::Stderr } else { Stream::Stdout };
            // A full disk must not stop the container: what cannot be logged is still shown.
            let _ = log.write(kind, Timestamp::now(), data);
        }
        clients.output(stderr, data);
        if !self.terminal {
            self.peek.consume(stream.as_fd(), count)?;
        }
        Ok(true)
    }

    /// Takes input for the container; none is taken without an input.
    pub fn input(&mut self, data: &[u8]) {
        if self.stdin.is_some() && !self.ending {
            self.pending.extend_from_slice(data);
            self.feed();
        }
    }

    /// The client has no more input. A terminal stays open: its user ends it with a key.
    pub fn end_input(&mut self) {
        if !self.terminal {
            self.ending = true;
            self.feed();
        }
    }

    /// More input may be taken.
    pub fn takes_input(&self) -> bool {
        self.pending.len() < READ_BYTES
    }

    /// Writes pending input as far as the container takes it.
    pub fn feed(&mut self) {
        if let Some(stdin) = &self.stdin {
            while !self.pending.is_empty() {
                match rustix::io::write(stdin, &self.pending) {
                    Ok(count) => drop(self.pending.drain(..count)),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return,
                    Err(_) => {
                        self.pending.clear();
                        self.ending = true;
                    }
                }
            }
        }
        if self.ending {
            self.stdin = None;
        }
    }
}

/// EIO: every process of the container has closed the terminal.
fn read_terminal(stream: &Watched, buffer: &mut [u8]) -> Result<Peeked> {
    match rustix::io::read(stream, buffer) {
        Ok(0) | Err(Errno::IO) => Ok(Peeked::End),
        Ok(count) => Ok(Peeked::Data(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Peeked::Empty),
        Err(errno) => Err(kernel::Error::new("read terminal", errno).into()),
    }
}
