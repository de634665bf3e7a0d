//! CRIU, the program that saves processes and brings them back (criu(8)), as a service of one connection: `criu swrk`
//! with a socket, requests in its protocol (rpc.proto), notifications answered. What is asked is `checkpoint.rs`'s and
//! `restore.rs`'s.

use crate::error::{Error, Result, invalid};
use crate::protobuf::{self, Message};
use kernel::clone::{self, Child};
use kernel::exec::{self, Strings};
use kernel::{Context, cgroup};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
};
use std::ffi::CString;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Longest answer; CRIU's own limit is smaller.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// criu_req_type
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
    Notify = 6,
}

/// What CRIU tells while it works.
#[derive(Debug)]
pub(crate) struct Notification {
    pub script: String,
    pub pid: i32,
    pub fd: Option<OwnedFd>,
}

pub(crate) struct Service {
    socket: OwnedFd,
    child: Child,
}

/// Where CRIU runs.
#[derive(Default)]
pub(crate) struct Surroundings<'a> {
    pub entry: Option<cgroup::Entry>,
    /// Left open for it, with their numbers.
    pub inherited: Vec<BorrowedFd<'a>>,
}

impl Service {
    /// Starts it. The caller must have one thread.
    pub fn start(surroundings: &Surroundings<'_>) -> Result<Service> {
        let program = find()?;
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
            .during("make socket pair")?;
        let number = theirs.as_raw_fd().to_string();
        let arguments = Strings::new(["criu", "swrk", &number]).expect("these hold no NUL");
        let variables = std::env::vars_os().map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='));
        let environment = Strings::new(variables).expect("what came to us as NUL-ended strings holds no NUL");
        let child = clone::fork(|| {
            let run = || {
                if let Some(entry) = &surroundings.entry {
                    entry.enter().during("enter the cgroup")?;
                }
                for fd in surroundings.inherited.iter().copied().chain([theirs.as_fd()]) {
                    rustix::io::fcntl_setfd(fd, FdFlags::empty()).during("leave descriptor open")?;
                }
                exec::reset_signals()?;
                // It is in its cgroup now.
                rustix::net::send(&theirs, b"r", SendFlags::NOSIGNAL).during("tell that CRIU starts")?;
                Err(kernel::Error::new("execute criu", exec::execve(&program, &arguments, &environment)))
            };
            let result: kernel::Result<()> = run();
            if let Err(error) = result {
                // When this fails the parent is gone.
                let _ = rustix::net::send(&theirs, format!("e{error}").as_bytes(), SendFlags::NOSIGNAL);
            }
            1
        })?;
        drop(theirs);
        let service = Service { socket: ours, child };
        match service.receive()?.0.as_slice() {
            b"r" => Ok(service),
            [b'e', text @ ..] => Err(invalid(String::from_utf8_lossy(text).into_owned())),
            _ => Err(invalid("criu was killed while it was starting")),
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.pid
    }

    /// Sends the request and answers notifications until it is carried out. The restored process's pid, for
    /// [`Kind::Restore`].
    pub fn call(
        self,
        kind: Kind,
        options: &Message,
        mut notified: impl FnMut(Notification) -> Result<()>,
    ) -> Result<Option<i32>> {
        let request = Message::default().number(1, kind as i64).message(2, options);
        self.send(&request)?;
        loop {
            let (bytes, fd) = self.receive()?;
            if bytes.is_empty() {
                return Err(invalid("criu ended without an answer"));
            }
            let unreadable = || invalid("criu's answer cannot be understood");
            let answer = protobuf::fields(&bytes).ok_or_else(unreadable)?;
            if protobuf::number(&answer, 2) != Some(1) {
                let errno = protobuf::number(&answer, 7).unwrap_or(0) as i32;
                let text = protobuf::block(&answer, 9).unwrap_or_default();
                let text = String::from_utf8_lossy(text);
                return Err(invalid(format!("criu failed: type {kind:?} errno {errno} {text}").trim_end()));
            }
            if protobuf::number(&answer, 1) != Some(Kind::Notify as u64) {
                let restored = protobuf::block(&answer, 4).and_then(protobuf::fields);
                let pid = restored.and_then(|fields| protobuf::number(&fields, 1)).map(|pid| pid as i32);
                self.end();
                return Ok(pid);
            }
            let inner = protobuf::block(&answer, 5).and_then(protobuf::fields).ok_or_else(unreadable)?;
            let script = String::from_utf8_lossy(protobuf::block(&inner, 1).unwrap_or_default()).into_owned();
            let pid = protobuf::number(&inner, 2).unwrap_or(0) as i32;
            notified(Notification { script, pid, fd })?;
            self.send(&Message::default().number(1, Kind::Notify as i64).switch(3, true))?;
        }
    }

    /// How it ends is of no interest: it has answered.
    fn end(&self) {
        // In vain only when it has closed its end, as it should.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = self.child.pidfd.wait();
    }

    fn send(&self, message: &Message) -> Result<()> {
        let sent = rustix::net::send(&self.socket, message.bytes(), SendFlags::NOSIGNAL);
        Ok(sent.during("send request to criu").map(drop)?)
    }

    fn receive(&self) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        let mut bytes = vec![0; ANSWER_BYTES_MAX];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            match rustix::net::recvmsg(&self.socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok((Vec::new(), None)),
                received => break received.during("wait for criu")?,
            }
        };
        let fd = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        bytes.truncate(received.bytes);
        Ok((bytes, fd))
    }
}

impl Drop for Service {
    /// One that has failed may hang, and it is in the container's cgroup. One that has ended is gone already.
    fn drop(&mut self) {
        let _ = self.child.pidfd.send_signal(9);
        let _ = self.child.pidfd.wait();
    }
}

/// The program in our PATH.
fn find() -> Result<CString> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    let found = std::env::split_paths(&path).map(|directory| directory.join("criu")).find(|file| file.is_file());
    let found = found.ok_or_else(|| invalid("criu is not installed: checkpoint and restore need it"))?;
    CString::new(found.as_os_str().as_bytes()).map_err(|_| invalid("PATH holds a zero byte"))
}

/// A directory for CRIU, made if absent; its descriptor's number goes into requests.
pub(crate) fn directory(path: &Path) -> Result<OwnedFd> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::Kernel(kernel::Error::at("make directory", path, errno))),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty()).during_at("open", path)?)
}

/// criu_cg_mode
pub(crate) fn cgroup_mode(name: &str) -> Result<i64> {
    match name {
        "" | "soft" => Ok(3),
        "ignore" => Ok(0),
        "full" => Ok(4),
        "strict" => Ok(5),
        _ => Err(invalid("Invalid manage-cgroups-mode value")),
    }
}

/// The file of settings that counts more than ours: `org.criu.config`, or runc's. None if that is empty.
pub(crate) fn settings(annotations: &std::collections::BTreeMap<String, String>) -> Option<String> {
    let named = annotations.get("org.criu.config").cloned();
    Some(named.unwrap_or_else(|| "/etc/criu/runc.conf".to_owned())).filter(|path| !path.is_empty())
}

/// With the place of the log, where the reason is.
pub(crate) fn explain(error: Error, directory: &Path, log: &str) -> Error {
    let path: PathBuf = directory.join(log);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let reason = text.lines().rfind(|line| line.contains("Error")).unwrap_or_default();
    invalid(format!("{error}: {reason} (log file: {})", path.display()))
}
