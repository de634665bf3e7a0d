//! Readiness (sd_notify(3)) of a container's program, told to whoever waits for ours: a socket of the container's own,
//! bound into it, from which only `READY=1` goes on. Nothing else that a container writes reaches the service manager.

use crate::container::{Container, NOTIFY_SOCKET};
use crate::error::{Error, Result};
use kernel::Context;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use spec::runtime::{Mount, Spec};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// In the state directory; in the container it is [`INSIDE`].
const DIRECTORY: &str = "notify";
const INSIDE: &str = "/run/notify";
/// How long a service manager may take to say that it has read everything.
const BARRIER_SECONDS_MAX: i64 = 30;

/// Adds the socket's directory and `NOTIFY_SOCKET` to the specification of the container whose state is in `directory`.
pub(crate) fn add_to(spec: &mut Spec, directory: &Path) {
    spec.mounts.push(Mount {
        destination: INSIDE.to_owned(),
        source: directory.join(DIRECTORY).to_string_lossy().into_owned(),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec(),
        ..Mount::default()
    });
    if let Some(process) = &mut spec.process {
        process.env.push(format!("NOTIFY_SOCKET={INSIDE}/{NOTIFY_SOCKET}"));
    }
}

pub(crate) fn make_directory(directory: &Path) -> Result<()> {
    let path = directory.join(DIRECTORY);
    Ok(rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)).during_at("make directory", &path)?)
}

/// The container's end, before its program starts. `None` if the container was made without one.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    host: PathBuf,
}

impl Notifier {
    /// `host` is the service manager's socket; one that begins with `@` is abstract.
    pub fn bind(container: &Container, host: &Path) -> Result<Option<Notifier>> {
        let directory = container.directory.join(DIRECTORY);
        if !directory.exists() {
            return Ok(None);
        }
        let path = directory.join(NOTIFY_SOCKET);
        // Left over from a start that failed.
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).map_err(|error| Error::file("bind", &path, &error))?;
        // The container's users are anybody.
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o777)).during_at("set access rights of", &path)?;
        Ok(Some(Notifier { socket, host: host.to_owned() }))
    }

    /// Waits until the program says that it is ready, and tells so, with the container's first process as the one to
    /// watch. Returns as well when the container has ended.
    pub fn forward(&self, container: &Container) -> Result<()> {
        let Some(init) = container.init() else { return Ok(()) };
        let Ok(pidfd) = init.open() else { return Ok(()) };
        loop {
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(kernel::Error::new("wait for readiness", errno).into()),
            }
            if !fds[0].revents().is_empty() {
                let mut bytes = [0; 4096];
                let count = self.socket.recv(&mut bytes).map_err(|error| Error::file("read", &self.host, &error))?;
                if let Some(line) = ready(&bytes[..count]) {
                    return self.tell(line, init.pid);
                }
            } else if !fds[1].revents().is_empty() {
                return Ok(());
            }
        }
    }

    fn tell(&self, ready: &[u8], pid: i32) -> Result<()> {
        let host = connect(&self.host)?;
        let send = |bytes: &[u8]| host.send(bytes).map_err(|error| Error::file("write to", &self.host, &error));
        send(&[ready, b"\n"].concat())?;
        send(format!("MAINPID={pid}\n").as_bytes())?;
        // Until it has read both: it closes the pipe's other end then (sd_notify_barrier(3)).
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).during("make pipe")?;
        kernel::socket::send_fd(&host, writer.as_fd(), b"BARRIER=1")?;
        drop(writer);
        let timeout = Timespec { tv_sec: BARRIER_SECONDS_MAX, tv_nsec: 0 };
        // A service manager that does not know barriers is no failure.
        let _ = rustix::event::poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&timeout));
        Ok(())
    }
}

/// The line that says so.
fn ready(message: &[u8]) -> Option<&[u8]> {
    message.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY="))
}

fn connect(path: &Path) -> Result<UnixDatagram> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    let connected = || {
        let socket = UnixDatagram::unbound()?;
        match path.as_os_str().as_bytes() {
            [b'@', name @ ..] => socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?,
            _ => socket.connect(path)?,
        }
        Ok(socket)
    };
    connected().map_err(|error| Error::file("connect to", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readiness_is_taken() {
        assert_eq!(ready(b"STATUS=x\nREADY=1\nMAINPID=7"), Some(&b"READY=1"[..]));
        assert_eq!(ready(b"STATUS=READY=1\nWATCHDOG=1"), None);
    }
}
