//! What the parent and the container's first process say to each other, over one pair of connected
//! sockets that keep message borders (SOCK_SEQPACKET). The child's end is close-on-exec: its end of file
//! tells the parent that execve has succeeded.
//!
//! ```text
//! parent                         child
//!        <- Process + pidfd        only with an intermediate process, see spawn.rs
//!        -> Mapped                 only with a new user namespace
//!        -> Network + namespace    only with a new network that the parent makes
//!        <- Console + pty master   only with a terminal
//!        <- Hooks                  only with hooks before the pivot
//!        -> HooksDone + pid
//!        <- Ready                  everything is done but execve
//!        -> Start
//!        <- end of file            the program runs, or the process waits at its gate (`bundle.rs`)
//! ```
//!
//! At any point the child may send `Failed` and exit.

use crate::error::{Error, ExecError, ExecErrorKind, Result};
use kernel::Context;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Longer texts are cut off.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) enum Message {
    Process {
        pid: i32,
        pidfd: OwnedFd,
    },
    Mapped,
    /// The awaited cgroup can be entered.
    CgroupMade,
    Network(OwnedFd),
    Console(OwnedFd),
    Hooks,
    /// With the child's pid as the parent's namespace counts.
    HooksDone {
        pid: i32,
    },
    Ready,
    Start,
    Failed(Error),
}

/// One end. Dropping it is the end of file for the other.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

pub(crate) fn pair() -> Result<(Socket, Socket)> {
    let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .during("make socket pair")?;
    Ok((Socket(one), Socket(other)))
}

impl Socket {
    pub fn from_fd(fd: OwnedFd) -> Socket {
        Socket(fd)
    }

    pub fn send(&self, message: &Message) -> Result<()> {
        let mut bytes = encode(message);
        bytes.truncate(MESSAGE_BYTES_MAX);
        let sent = match message {
            Message::Process { pidfd: fd, .. } | Message::Network(fd) | Message::Console(fd) => {
                self.send_with(&bytes, fd.as_fd())
            }
            // Sent by the child, perhaps behind a seccomp filter that allows only the commonest calls.
            Message::Failed(_) => retry(|| rustix::io::write(&self.0, &bytes)),
            _ => retry(|| rustix::net::send(&self.0, &bytes, SendFlags::NOSIGNAL)),
        };
        match sent {
            Ok(_) => Ok(()),
            Err(Errno::PIPE | Errno::CONNRESET) => Err(Error::Ended),
            Err(errno) => Err(errno).during("send message about the container's start").map_err(Error::from),
        }
    }

    fn send_with(&self, bytes: &[u8], fd: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        let fds = [fd];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        retry(|| rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL))
    }

    /// The next message that carries no descriptor; `None` at the end of file. For the child.
    pub fn receive_plain(&self) -> Result<Option<Message>> {
        let mut bytes = [0; 64];
        let n = retry(|| rustix::io::read(&self.0, &mut bytes)).during("wait for the container's parent")?;
        if n == 0 { Ok(None) } else { decode(&bytes[..n], None).map(Some) }
    }

    /// The next message; `None` at the end of file.
    pub fn receive(&self) -> Result<Option<Message>> {
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut receive = || {
            retry(|| {
                let mut slices = [IoSliceMut::new(&mut bytes)];
                rustix::net::recvmsg(&self.0, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            })
        };
        let received = match receive() {
            // The other end went away with messages of ours unread. The kernel says so once, and before it hands out
            // what that end has sent: the reason, most likely.
            Err(Errno::CONNRESET) => receive(),
            received => received,
        };
        let n = received.during("wait for the container's first process")?.bytes;
        if n == 0 {
            return Ok(None);
        }
        let fd = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        decode(&bytes[..n], fd).map(Some)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn retry<T>(mut act: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match act() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn encode(message: &Message) -> Vec<u8> {
    match message {
        Message::Process { pid, .. } => with_number(b'P', *pid),
        Message::Mapped => vec![b'M'],
        Message::CgroupMade => vec![b'G'],
        Message::Network(_) => vec![b'N'],
        Message::Console(_) => vec![b'C'],
        Message::Hooks => vec![b'H'],
        Message::HooksDone { pid } => with_number(b'D', *pid),
        Message::Ready => vec![b'R'],
        Message::Start => vec![b'S'],
        Message::Failed(Error::Invalid(text)) => strings(vec![b'I'], &[text.as_bytes()]),
        Message::Failed(Error::Hook(text)) => strings(vec![b'K'], &[text.as_bytes()]),
        Message::Failed(Error::Ended) => vec![b'E'],
        Message::Failed(Error::Setup(error)) => {
            let path = error.path.as_ref().map_or(&b""[..], |path| path.as_os_str().as_bytes());
            strings(with_number(b'F', error.errno.raw_os_error()), &[error.action.as_bytes(), path])
        }
        Message::Failed(Error::Exec(error)) => {
            let kind = match error.kind {
                ExecErrorKind::NotFound => 'n',
                ExecErrorKind::Permission => 'p',
                ExecErrorKind::Other => 'o',
            };
            let mut bytes = with_number(b'X', error.errno.raw_os_error());
            bytes.push(kind as u8);
            let hint = error.hint.as_deref().unwrap_or_default();
            strings(bytes, &[error.program.as_bytes(), error.reason.as_bytes(), hint.as_bytes()])
        }
    }
}

fn with_number(tag: u8, number: i32) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(number.to_ne_bytes());
    bytes
}

/// Each ended by NUL, which occurs in none: the texts were C strings or are ours.
fn strings(mut bytes: Vec<u8>, strings: &[&[u8]]) -> Vec<u8> {
    for string in strings {
        bytes.extend(string.iter().filter(|b| **b != 0));
        bytes.push(0);
    }
    bytes
}

fn decode(bytes: &[u8], fd: Option<OwnedFd>) -> Result<Message> {
    decode_known(bytes, fd)
        .ok_or_else(|| Error::Setup(kernel::Error::new("understand the container's first process", Errno::BADMSG)))
}

fn decode_known(bytes: &[u8], fd: Option<OwnedFd>) -> Option<Message> {
    let (tag, rest) = bytes.split_first()?;
    Some(match tag {
        b'P' => Message::Process { pid: number(rest)?.0, pidfd: fd? },
        b'M' => Message::Mapped,
        b'G' => Message::CgroupMade,
        b'N' => Message::Network(fd?),
        b'C' => Message::Console(fd?),
        b'H' => Message::Hooks,
        b'D' => Message::HooksDone { pid: number(rest)?.0 },
        b'R' => Message::Ready,
        b'S' => Message::Start,
        b'E' => Message::Failed(Error::Ended),
        b'I' => Message::Failed(Error::Invalid(text(rest)?.0)),
        b'K' => Message::Failed(Error::Hook(text(rest)?.0)),
        b'F' => {
            let (errno, rest) = number(rest)?;
            let (action, rest) = text(rest)?;
            let path = rest.split(|b| *b == 0).next()?;
            let path = (!path.is_empty()).then(|| PathBuf::from(std::ffi::OsString::from_vec(path.to_owned())));
            Message::Failed(Error::Setup(kernel::Error { action, path, errno: Errno::from_raw_os_error(errno) }))
        }
        b'X' => Message::Failed(Error::Exec(exec_error(rest)?)),
        _ => return None,
    })
}

fn exec_error(bytes: &[u8]) -> Option<ExecError> {
    let (errno, rest) = number(bytes)?;
    let (kind, rest) = rest.split_first()?;
    let kind = match kind {
        b'n' => ExecErrorKind::NotFound,
        b'p' => ExecErrorKind::Permission,
        _ => ExecErrorKind::Other,
    };
    let (program, rest) = text(rest)?;
    let (reason, rest) = text(rest)?;
    let hint = text(rest)?.0;
    let hint = (!hint.is_empty()).then_some(hint);
    Some(ExecError { program, kind, errno: Errno::from_raw_os_error(errno), reason, hint })
}

fn number(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((i32::from_ne_bytes(*number), rest))
}

/// A last text that was cut off has no NUL.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.get(end + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(message: Message) -> Message {
        let (one, other) = pair().unwrap();
        one.send(&message).unwrap();
        other.receive().unwrap().unwrap()
    }

    #[test]
    fn errors_arrive_whole() {
        let setup = Error::Setup(kernel::Error::at("mount proc on", "/a b", Errno::PERM));
        let bare = Error::Setup(kernel::Error::new("pivot root", Errno::INVAL));
        let exec = Error::Exec(ExecError {
            program: "foo".into(),
            kind: ExecErrorKind::NotFound,
            errno: Errno::NOENT,
            reason: "executable file not found in $PATH".into(),
            hint: None,
        });
        for error in [setup, bare, exec, Error::Invalid("no".into()), Error::Hook("x".into()), Error::Ended] {
            match through(Message::Failed(error.clone())) {
                Message::Failed(arrived) => assert_eq!(arrived, error),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_descriptor_travels_along() {
        let (ours, _) = pair().unwrap();
        let pidfd = ours.0.try_clone().unwrap();
        assert!(matches!(through(Message::Process { pid: 7, pidfd }), Message::Process { pid: 7, .. }));
        assert!(matches!(through(Message::Console(ours.0)), Message::Console(_)));
    }

    #[test]
    fn end_of_file_and_nonsense() {
        let (one, other) = pair().unwrap();
        rustix::io::write(&one.0, b"?").unwrap();
        assert!(other.receive().is_err());
        drop(one);
        assert!(other.receive().unwrap().is_none());
    }
}
