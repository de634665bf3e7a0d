//! The container's `/dev`: the devices that every program may count on, those of the specification, the links
//! beside them, and the terminal. Called by `init.rs` after the mounts, beneath the container's root.

use crate::error::{Error, Result};
use crate::mounts::bind_file_target;
use kernel::Context;
use kernel::beneath::Root;
use kernel::device::{self, Kind, Number};
use kernel::mount::{Attributes, Mount, Propagation};
use kernel::pty::Pty;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

/// config-linux.md, default devices; `/dev/ptmx` and `/dev/console` are made below.
const DEVICES: [(&str, Number); 6] = [
    ("/dev/null", device::NULL),
    ("/dev/zero", Number { major: 1, minor: 5 }),
    ("/dev/full", Number { major: 1, minor: 7 }),
    ("/dev/random", Number { major: 1, minor: 8 }),
    ("/dev/urandom", Number { major: 1, minor: 9 }),
    ("/dev/tty", Number { major: 5, minor: 0 }),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

pub(crate) struct Device {
    pub path: PathBuf,
    pub kind: Kind,
    pub mode: u32,
    pub user: u32,
    pub group: u32,
}

/// How the root is connected with the mounts that it comes from until the process is in it, for what it shall be in the end:
/// sharing starts last, because pivot_root(2) refuses shared mounts.
pub(crate) fn propagation_before(wanted: Propagation) -> Propagation {
    match wanted {
        Propagation::Slave | Propagation::Shared => Propagation::Slave,
        Propagation::Private | Propagation::Unbindable => Propagation::Private,
    }
}

/// The default devices and those of the specification, which win over a default of the same path.
pub(crate) fn plan(devices: &[spec::runtime::Device]) -> Result<Vec<Device>> {
    let mut planned: Vec<Device> = DEVICES
        .iter()
        .filter(|(path, _)| !devices.iter().any(|device| device.path == *path))
        .map(|(path, number)| Device {
            path: path.into(),
            kind: Kind::Character(*number),
            mode: 0o666,
            user: 0,
            group: 0,
        })
        .collect();
    for device in devices {
        planned.push(plan_one(device)?);
    }
    Ok(planned)
}

fn plan_one(device: &spec::runtime::Device) -> Result<Device> {
    let invalid = |what: &str| crate::error::invalid(format!("device {}: {what}", device.path));
    if !device.path.starts_with('/') {
        return Err(invalid("the path is not absolute"));
    }
    let part = |number: i64| u32::try_from(number).map_err(|_| invalid("the number is out of range"));
    let number = Number { major: part(device.major)?, minor: part(device.minor)? };
    let kind = match device.kind {
        'c' | 'u' => Kind::Character(number),
        'b' => Kind::Block(number),
        'p' => Kind::Fifo,
        other => return Err(invalid(&format!("unknown type {other:?}; c, b, u and p are known"))),
    };
    let (user, group) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
    // Without a mode runc takes 0666 less nothing: access is the device cgroup's matter.
    Ok(Device { path: device.path.clone().into(), kind, mode: device.file_mode.unwrap_or(0o666) & 0o7777, user, group })
}

/// Makes all devices. The umask must be 0.
pub(crate) fn make_devices(root: &Root, devices: &[Device]) -> Result<()> {
    let dev = root.create_dir_all("/dev", Mode::from_raw_mode(0o755))?;
    for planned in devices {
        // Nearly all lie directly in /dev, which is looked up once.
        let parent = planned.path.parent().unwrap_or(Path::new("/"));
        let made = if parent == Path::new("/dev") {
            make_device(root, &dev, planned)
        } else {
            let parent = root.create_dir_all(parent, Mode::from_raw_mode(0o755))?;
            make_device(root, &parent, planned)
        };
        made.map_err(|error| match error {
            Error::Setup(error) => kernel::Error::at("make device", &planned.path, error.errno).into(),
            other => other,
        })?;
    }
    Ok(())
}

fn make_device(root: &Root, parent: &OwnedFd, planned: &Device) -> Result<()> {
    let name = planned.path.file_name().ok_or_else(|| kernel::Error::new("make device", Errno::INVAL))?;
    match device::make(parent, name, planned.kind, planned.mode) {
        Ok(()) => {}
        Err(error) if error.errno == Errno::EXIST => {
            if is_device(parent, name, planned.kind)? {
                return Ok(());
            }
            // An image's file or link in a device's place would be written to in its stead.
            rustix::fs::unlinkat(parent, name, AtFlags::empty()).during("remove file in place of device")?;
            device::make(parent, name, planned.kind, planned.mode)?;
        }
        Err(error) if error.errno == Errno::PERM => return bind_device(root, planned),
        Err(error) => return Err(error.into()),
    }
    if (planned.user, planned.group) != (0, 0) {
        let (user, group) = (rustix::fs::Uid::from_raw(planned.user), rustix::fs::Gid::from_raw(planned.group));
        rustix::fs::chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW).during("set owner")?;
    }
    Ok(())
}

fn is_device(parent: &OwnedFd, name: &std::ffi::OsStr, kind: Kind) -> Result<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).during("open device")?;
    Ok(device::kind_of(fd)? == Some(kind))
}

/// In a user namespace nodes cannot be made; the host's node of the same path is bound instead.
fn bind_device(root: &Root, planned: &Device) -> Result<()> {
    let mount = Mount::bind(&planned.path, false)?;
    if device::kind_of(&mount)? != Some(planned.kind) {
        return Err(kernel::Error::at("bind device", &planned.path, Errno::NODEV).into());
    }
    mount.set_attributes(Attributes::NONE, Attributes::NONE, Some(Propagation::Private), false)?;
    Ok(mount.attach_to(bind_file_target(root, &planned.path)?)?)
}

/// `/dev/fd` and its kin. What an image has under these names stays.
pub(crate) fn make_links(root: &Root) -> Result<()> {
    let dev = root.open_dir("/dev")?;
    for (name, target) in LINKS {
        link(&dev, name, target)?;
    }
    // Only where the kernel offers it (CONFIG_PROC_KCORE), or it would dangle.
    if rustix::fs::stat("/proc/kcore").is_ok() {
        link(&dev, "core", "/proc/kcore")?;
    }
    Ok(())
}

fn link(dev: &OwnedFd, name: &str, target: &str) -> Result<()> {
    match rustix::fs::symlinkat(target, dev, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).during_at("make link", Path::new("/dev").join(name)).map_err(Error::from),
    }
}

/// A terminal from the container's own devpts, owned by `user`. A size of 0 by 0 leaves the kernel's.
pub(crate) fn open_terminal(devpts: impl AsFd, width: u16, height: u16, user: u32) -> Result<Pty> {
    let stat = rustix::fs::fstatfs(&devpts).during_at("stat file system", "/dev/pts")?;
    if stat.f_type as u64 != DEVPTS_SUPER_MAGIC {
        let remedy = "open a terminal: there is no devpts on";
        return Err(kernel::Error::at(remedy, "/dev/pts", Errno::NODEV).into());
    }
    let pty = kernel::pty::open(devpts)?;
    if (width, height) != (0, 0) {
        kernel::pty::set_size(&pty.master, width, height)?;
    }
    let owner = rustix::fs::Uid::from_raw(user);
    rustix::fs::fchown(&pty.slave, Some(owner), None).during("set owner of the terminal")?;
    Ok(pty)
}

/// Puts the terminal on `/dev/console`, where programs for whole machines write to. Whoever can write to the container's
/// /dev may have put a link there, which could lead into /proc (CVE-2025-52565): the name itself is opened, once.
pub(crate) fn bind_console(root: &Root, slave: &OwnedFd) -> Result<()> {
    let path = Path::new("/dev/console");
    let (dev, name) = root.parent_of(path)?;
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
    let target = match rustix::fs::openat(&dev, &name, create, Mode::RUSR | Mode::WUSR) {
        Err(Errno::EXIST) => {
            rustix::fs::openat(&dev, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        }
        made => made,
    };
    let target = target.during_at("open", path)?;
    let found = rustix::fs::fstat(&target).during_at("stat", path)?;
    if rustix::fs::FileType::from_raw_mode(found.st_mode).is_symlink() {
        return Err(kernel::Error::at("put the terminal on a link,", path, Errno::LOOP).into());
    }
    let mount = Mount::bind_fd(slave, false)?;
    mount.attach_to(target).map_err(|error| kernel::Error::at(error.action, path, error.errno))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(kind: char, path: &str, minor: i64) -> spec::runtime::Device {
        spec::runtime::Device { kind, path: path.into(), major: 10, minor, file_mode: None, uid: None, gid: None }
    }

    #[test]
    fn the_specification_wins_over_a_default() {
        let planned = plan(&[device('c', "/dev/null", 1), device('p', "/dev/x/pipe", 0)]).unwrap();
        assert_eq!(planned.len(), 7);
        let null: Vec<_> = planned.iter().filter(|d| d.path == Path::new("/dev/null")).collect();
        assert_eq!(null.len(), 1);
        assert_eq!(null[0].kind, Kind::Character(Number { major: 10, minor: 1 }));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [device('x', "/dev/a", 0), device('c', "dev/a", 0), device('b', "/dev/a", -1)] {
            assert!(plan(&[bad]).is_err());
        }
    }
}
