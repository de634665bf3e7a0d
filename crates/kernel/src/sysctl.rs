//! Kernel parameters under `/proc/sys`, written through a procfs mount that we made ourselves, so that no
//! image can put another file in their place. Which parameters belong to which namespace is known here.

use crate::error::{Context, Error, Result};
use crate::namespace;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;

/// The namespace that confines parameter `name` (dots between the parts); `None` when it is the
/// whole machine's and must not be set for a container (namespaces(7), sysctl's documentation).
pub fn namespace_of(name: &str) -> Option<namespace::Kind> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        Some(namespace::Kind::Ipc)
    } else if name.starts_with("net.") {
        Some(namespace::Kind::Network)
    } else if name == "kernel.domainname" {
        Some(namespace::Kind::Uts)
    } else {
        None
    }
}

/// The path below `/proc/sys`. A name may use `/` between its parts, so that a part can hold a dot
/// (`net/ipv4/conf/eth0.1/forwarding`); whichever separator comes first counts. `None` for a name with parts that
/// lead elsewhere than they say (`net/../vm/overcommit_ratio`, CVE-2022-0811): what it belongs to could not be told.
pub fn path_of(name: &str) -> Option<String> {
    let path = with_slashes(name);
    path.split('/').all(|part| !matches!(part, "" | "." | "..")).then_some(path)
}

fn with_slashes(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'.' => {
            // As sysctl(8): with dots as separators, a slash stands for a dot.
            name.chars()
                .map(|c| match c {
                    '.' => '/',
                    '/' => '.',
                    c => c,
                })
                .collect()
        }
        _ => name.to_owned(),
    }
}

/// Writes parameter `path` (from [`path_of`]) in the namespaces of the calling process. `proc` is a procfs mount.
/// `ENOENT` when the kernel has no such parameter.
pub fn write(proc: impl AsFd, path: &str, value: &str) -> Result<()> {
    let file = format!("sys/{path}");
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let fd =
        rustix::fs::openat2(proc, &file, flags, Mode::empty(), resolve).during_at("open kernel parameter", &file)?;
    let written = rustix::io::write(&fd, value.as_bytes()).during_at("write kernel parameter", &file)?;
    // A short write means that the kernel stopped at something it does not take for a value.
    if written < value.len() {
        return Err(Error::at("write kernel parameter", &file, Errno::INVAL));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use namespace::Kind;
    use std::fs::File;

    #[test]
    fn parameters_belong_to_namespaces() {
        assert_eq!(namespace_of("net.ipv4.ip_forward"), Some(Kind::Network));
        assert_eq!(namespace_of("kernel.shmmax"), Some(Kind::Ipc));
        assert_eq!(namespace_of("fs.mqueue.msg_max"), Some(Kind::Ipc));
        assert_eq!(namespace_of("kernel.domainname"), Some(Kind::Uts));
        assert_eq!(namespace_of("kernel.core_pattern"), None);
        assert_eq!(namespace_of("vm.overcommit_memory"), None);
    }

    #[test]
    fn separators() {
        let check = |name, expected: Option<&str>| assert_eq!(path_of(name).as_deref(), expected, "{name}");
        check("net.ipv4.ip_forward", Some("net/ipv4/ip_forward"));
        check("net.ipv4.conf.eth0/1.forwarding", Some("net/ipv4/conf/eth0.1/forwarding"));
        check("net/ipv4/conf/eth0.1/forwarding", Some("net/ipv4/conf/eth0.1/forwarding"));
    }

    #[test]
    fn a_name_that_leads_elsewhere_has_no_path() {
        for name in
            ["net/../vm/overcommit_ratio", "net.//.vm", "fs/mqueue/../../vm/x", "net/./x", "net//x", "/net/x", ""]
        {
            assert_eq!(path_of(name), None, "{name}");
        }
    }

    #[test]
    fn paths_do_not_leave_proc() {
        let proc = File::open("/proc").unwrap();
        let error = write(&proc, "../../etc/hostname", "x").unwrap_err();
        assert_eq!(error.errno, Errno::XDEV);
        assert_eq!(write(&proc, "no/such", "x").unwrap_err().errno, Errno::NOENT);
    }
}
