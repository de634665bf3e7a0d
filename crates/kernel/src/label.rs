//! Labels of the kernel's mandatory access control (AppArmor profiles, SELinux contexts) for the next program that the
//! calling process executes, and for its keyrings. Written through `/proc/self/attr` of a procfs that is known to be
//! one: an image's file in its place would make a write without effect (CVE-2019-16884).

use crate::error::{Context, Error, Result};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

const PROC_SUPER_MAGIC: u64 = 0x9fa0;

pub fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether SELinux is built in and has a policy.
pub fn has_selinux() -> bool {
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.contains("\tselinuxfs\n"));
    known && std::fs::read("/proc/self/attr/current").is_ok_and(|text| text != b"kernel\0" && !text.is_empty())
}

/// The profile that execve changes to. `ENOENT` when it is not loaded. `/proc` must be the host's.
pub fn set_apparmor_on_exec(profile: &str) -> Result<()> {
    let text = format!("exec {profile}");
    // The file of AppArmor's own is there since Linux 5.8; the other is shared, and another module's where several run.
    let written = match write("apparmor/exec", &text) {
        Err(error) if error.errno == Errno::NOENT => write("exec", &text),
        written => written,
    };
    written.map_err(|error| Error::new(format!("apply apparmor profile {profile:?}"), error.errno))
}

/// The context of the program after execve. `EINVAL` for one that the policy does not know.
pub fn set_selinux_on_exec(context: &str) -> Result<()> {
    write("exec", context).map_err(|error| Error::new(format!("apply selinux label {context:?}"), error.errno))
}

/// The context of session keyrings made from now on.
pub fn set_selinux_keys(context: &str) -> Result<()> {
    write("keycreate", context).map_err(|error| Error::new(format!("label keyrings {context:?}"), error.errno))
}

fn write(name: &str, text: &str) -> Result<()> {
    let path = format!("thread-self/attr/{name}");
    rustix::io::write(open(&path)?, text.as_bytes()).during_at("write", &path).map(drop)
}

fn open(path: &str) -> Result<OwnedFd> {
    let proc = rustix::fs::openat(CWD, "/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .during_at("open", "/proc")?;
    if rustix::fs::fstatfs(&proc).during_at("stat file system", "/proc")?.f_type as u64 != PROC_SUPER_MAGIC {
        return Err(Error::at("write labels: no procfs on", "/proc", Errno::NODEV));
    }
    // Nothing mounted on the way; the one link is procfs's own.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve).during_at("open", path)
}
