//! Unix stream sockets between our own processes. Sockets on disk are reached through a
//! descriptor of their directory, because `sun_path` holds only 108 bytes (unix(7)).

use crate::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen as listen_on, recvmsg,
    sendmsg, socket_with, socketpair,
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Two connected stream sockets, close-on-exec.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).during("make socket pair")
}

/// Listens on `directory`/`name`, replacing an old socket; non-blocking.
pub fn listen(directory: &Path, name: &str) -> Result<OwnedFd> {
    let path = directory.join(name);
    match rustix::fs::unlink(&path) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(crate::Error::at("remove old socket", &path, errno)),
    }
    let socket = new(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    with_address(directory, name, |address| bind(&socket, address)).during_at("bind", &path)?;
    listen_on(&socket, 64).during_at("listen on", &path)?;
    Ok(socket)
}

/// Connects to the socket `directory`/`name`; ECONNREFUSED when its owner is gone.
pub fn connect_to(directory: &Path, name: &str) -> Result<OwnedFd> {
    let socket = new(SocketFlags::CLOEXEC)?;
    with_address(directory, name, |address| connect(&socket, address)).during_at("connect to", directory.join(name))?;
    Ok(socket)
}

/// Connects to the stream socket at `path`, however long that is.
pub fn connect_path(path: &Path) -> Result<OwnedFd> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.file_name().and_then(std::ffi::OsStr::to_str) {
        Some(name) => connect_to(directory, name),
        None => Err(crate::Error::at("connect to", path, rustix::io::Errno::INVAL)),
    }
}

/// Sends `fd` together with `text`, which must not be empty (unix(7), SCM_RIGHTS).
pub fn send_fd(socket: impl AsFd, fd: BorrowedFd<'_>, text: &[u8]) -> Result<()> {
    let fds = [fd];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[std::io::IoSlice::new(text)], &mut ancillary, SendFlags::NOSIGNAL)
        .during("send descriptor")
        .map(drop)
}

/// The first descriptor that comes with the next message; `None` when it brings none, or nothing is there to be read.
pub fn receive_fd(socket: impl AsFd) -> Result<Option<OwnedFd>> {
    let mut text = [0; 4096];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [std::io::IoSliceMut::new(&mut text)];
    match recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        received => received.during("receive descriptor")?,
    };
    // All others are closed at once.
    let fds = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    Ok(fds.flatten().next())
}

/// The next waiting connection, non-blocking, or `None`.
pub fn accept(listener: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(fd) => Ok(Some(fd)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => Ok(None),
        Err(errno) => Err(crate::Error::new("accept connection", errno)),
    }
}

fn new(flags: SocketFlags) -> Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).during("make socket")
}

fn with_address<T>(
    directory: &Path,
    name: &str,
    act: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, directory, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{name}", directory.as_fd().as_raw_fd());
    act(&SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_arrives() {
        let (ours, theirs) = pair().unwrap();
        send_fd(&theirs, theirs.as_fd(), b"name").unwrap();
        let arrived = receive_fd(&ours).unwrap().unwrap();
        rustix::io::write(&arrived, b"x").unwrap();
        assert_eq!(rustix::io::read(&ours, &mut [0; 4]).unwrap(), 1);
        rustix::io::write(&theirs, b"plain").unwrap();
        assert!(receive_fd(&ours).unwrap().is_none());
    }

    #[test]
    fn reaches_a_socket_whose_path_is_too_long() {
        let directory = std::env::temp_dir().join(format!("brig-socket-{}-{}", std::process::id(), "x".repeat(150)));
        std::fs::create_dir(&directory).unwrap();
        let listener = listen(&directory, "s").unwrap();
        assert!(accept(listener.as_fd()).unwrap().is_none());
        let client = connect_to(&directory, "s").unwrap();
        let server = accept(listener.as_fd()).unwrap().unwrap();
        rustix::io::write(&client, b"x").unwrap();
        assert_eq!(rustix::io::read(&server, &mut [0; 4]).unwrap(), 1);
        drop(listener);
        assert_eq!(connect_to(&directory, "s").unwrap_err().errno, rustix::io::Errno::CONNREFUSED);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
