//! Loop devices (loop(4)): a file as a read-only block device, for file systems that cannot be mounted from a file.
//! A device lives as long as somebody has it open or mounted; nothing has to be taken away. Called by `erofs`.

use crate::error::{Context, Error, Result, last_errno};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

// linux/loop.h.
const LOOP_GET_STATUS64: u64 = 0x4c05;
const LOOP_CONFIGURE: u64 = 0x4c0a;
const LOOP_CTL_GET_FREE: u64 = 0x4c82;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// loop_info64 of linux/loop.h.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// loop_config of linux/loop.h (Linux 5.8).
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// How often another process may be faster in taking the free device.
const ATTEMPTS: u32 = 100;

/// A device with a file in it, held open.
#[derive(Debug)]
pub struct LoopDevice {
    _fd: OwnedFd,
    number: u32,
}

impl LoopDevice {
    pub fn path(&self) -> String {
        device_path(self.number)
    }
}

fn device_path(number: u32) -> String {
    format!("/dev/loop{number}")
}

/// The device that has `image` already (of which the kernel then shares mounts), or a free one.
pub fn attach(image: &File) -> Result<LoopDevice> {
    if let Some(device) = find(image)? {
        return Ok(device);
    }
    let control = openat(CWD, "/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .during_at("open", "/dev/loop-control")?;
    for _ in 0..ATTEMPTS {
        // SAFETY: this ioctl takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
        let number = u32::try_from(number).map_err(|_| Error::new("find a free loop device", last_errno()))?;
        match configure(image, number) {
            // Taken by somebody else meanwhile, or by us a moment ago and not yet free again.
            Err(error) if matches!(error.errno, Errno::BUSY | Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(Error::new("find a free loop device", Errno::BUSY))
}

fn configure(image: &File, number: u32) -> Result<LoopDevice> {
    let path = device_path(number);
    let fd = openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during_at("open", &path)?;
    // Direct: or the kernel would keep every page twice.
    let flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    match set(&fd, image, flags) {
        Err(Errno::INVAL) => set(&fd, image, flags & !LO_FLAGS_DIRECT_IO),
        result => result,
    }
    .during_at("configure", &path)?;
    Ok(LoopDevice { _fd: fd, number })
}

fn set(device: &OwnedFd, image: &File, flags: u32) -> rustix::io::Result<()> {
    // SAFETY: all-zero bytes are valid for both structs, which hold integers only.
    let mut config: Config = unsafe { std::mem::zeroed() };
    config.fd = image.as_raw_fd() as u32;
    config.info.flags = flags;
    // SAFETY: LOOP_CONFIGURE reads one loop_config.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &raw const config) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// A device that has the whole of `image` read-only. While it is held it cannot get another file.
fn find(image: &File) -> Result<Option<LoopDevice>> {
    let wanted = rustix::fs::fstat(image).during("stat image")?;
    // No /sys: then a new one will do.
    let Ok(devices) = std::fs::read_dir("/sys/block") else { return Ok(None) };
    for entry in devices.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("loop")).and_then(|n| n.parse().ok());
        // The directory `loop` is there while the device has a file.
        let Some(number) = number.filter(|_| entry.path().join("loop").exists()) else { continue };
        let Ok(fd) = openat(CWD, device_path(number), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
            continue;
        };
        let Ok(info) = status(fd.as_fd()) else { continue };
        let is_same = (info.device, info.inode) == (wanted.st_dev, wanted.st_ino);
        let is_whole = info.offset == 0 && info.size_limit == 0 && info.flags & LO_FLAGS_READ_ONLY != 0;
        if is_same && is_whole {
            return Ok(Some(LoopDevice { _fd: fd, number }));
        }
    }
    Ok(None)
}

fn status(device: BorrowedFd<'_>) -> rustix::io::Result<Info> {
    // SAFETY: all-zero bytes are a valid Info.
    let mut info: Info = unsafe { std::mem::zeroed() };
    // SAFETY: LOOP_GET_STATUS64 writes one loop_info64.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_GET_STATUS64 as _, &raw mut info) };
    if result == 0 { Ok(info) } else { Err(last_errno()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erofs::tests::{Scratch, supports};
    use crate::erofs::{Support, mount_loop};

    #[test]
    fn one_device_for_one_file_and_none_afterwards() {
        if !supports(Support::Loop) {
            return;
        }
        let scratch = Scratch::new("loop");
        let image = scratch.image("i", &[1; 16]);
        let first = attach(&image).unwrap();
        assert_eq!(attach(&image).unwrap().number, first.number);
        let other = attach(&scratch.image("other", &[2; 16])).unwrap();
        assert_ne!(other.number, first.number);
        let (one, two) = (mount_loop(&image).unwrap(), mount_loop(&image).unwrap());
        let device = |fd| rustix::fs::fstat(fd).unwrap().st_dev;
        assert_eq!(device(one.as_fd()), device(two.as_fd()), "one file system");
        drop((one, two, first, other));
        // The kernel takes it away after the last close, in its own time.
        while find(&image).unwrap().is_some() {
            std::thread::yield_now();
        }
    }
}
