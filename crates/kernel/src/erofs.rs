//! EROFS images as read-only mounts (Documentation/filesystems/erofs.rst), made detached: nothing of them is visible
//! on the host. From Linux 6.12 on the kernel reads an image from its file; before, through a loop device. Called by
//! `image/mounts.rs`.
//!
//! A mount made from a file has a page cache of its own. Who wants to share one opens the mount that another process
//! holds ([`find`]); through loop devices the kernel shares by itself.

use crate::error::{Context, Error, Result};
use crate::loop_device;
use crate::mount::{Attributes, Filesystem, Mount};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// EROFS_SUPER_MAGIC_V1.
pub const MAGIC: u32 = 0xe0f5_e1e2;

/// How this kernel mounts an image that lies in some directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Straight from the file.
    File,
    /// Through a loop device.
    Loop,
    /// Not at all.
    None,
}

/// Tries, with a tiny image in `directory`: it depends on the file system there too. About 1 ms.
pub fn probe(directory: &Path) -> Support {
    let Ok(image) = tiny_image(directory) else { return Support::None };
    let works = |support: &Support| match support {
        Support::File => mount_file(&image).is_ok(),
        Support::Loop => mount_loop(&image).is_ok(),
        Support::None => true,
    };
    let better = if mounts_can_be_borrowed() { Support::File } else { Support::Loop };
    let order = [better, Support::File, Support::Loop, Support::None];
    order.into_iter().find(works).unwrap_or(Support::None)
}

/// From its file where that can be shared or where there is no other way, else through a loop device.
pub fn mount(image: &File) -> Result<Mount> {
    // When neither works the error of the better way says more. Where mounts cannot be borrowed, only loop devices share.
    if mounts_can_be_borrowed() {
        mount_file(image).or_else(|error| mount_loop(image).map_err(|_| error))
    } else {
        mount_loop(image).or_else(|error| mount_file(image).map_err(|_| error))
    }
}

/// Mounts what is in `image` from Linux 6.12 on. Before, `ENOTBLK`; also where the file system below cannot serve.
pub fn mount_file(image: &File) -> Result<Mount> {
    mount_source(&format!("/proc/self/fd/{}", image.as_raw_fd()))
}

/// Mounts what is in `image` through a loop device, which goes with the last mount of it.
pub fn mount_loop(image: &File) -> Result<Mount> {
    // Held until the mount is made: the device goes when nobody has it.
    let device = loop_device::attach(image)?;
    mount_source(&device.path())
}

fn mount_source(source: &str) -> Result<Mount> {
    // The flag is for the superblock, which would else want to write to a loop device.
    Filesystem::open("erofs")?.set_string("source", source)?.set_flag("ro")?.mount(Attributes::READ_ONLY)
}

/// Whether a detached mount that another process holds can be used (Linux 6.15): see [`find`].
pub fn mounts_can_be_borrowed() -> bool {
    crate::machine::kernel_is_at_least(6, 15)
}

/// The mount of an image that another process holds, if `path` (a link to its `/proc/PID/fd/N`) still leads to it:
/// the root, inode `root`, of an EROFS with this `uuid`. What a reused number leads to is something else. The
/// descriptor is good as a lower directory of an overlay while the other holds the mount; [`Mount::bind_fd`] makes
/// a mount of one's own of it (Linux 6.15).
pub fn find(path: &Path, uuid: &[u8; 16], root: u64) -> Option<OwnedFd> {
    let fd = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    is_image(fd.as_fd(), uuid, root).then_some(fd)
}

fn is_image(fd: BorrowedFd<'_>, uuid: &[u8; 16], root: u64) -> bool {
    let Ok(stat) = rustix::fs::fstatfs(fd) else { return false };
    // SAFETY: fsid_t is two ints, for which every bit pattern of a u64 of the same size is valid.
    let id: u64 = unsafe { std::mem::transmute_copy(&stat.f_fsid) };
    stat.f_type as u32 == MAGIC
        && id == file_system_id(uuid)
        && rustix::fs::fstat(fd).is_ok_and(|stat| stat.st_ino == root)
}

/// `f_fsid` of a file-backed mount: the kernel's uuid_to_fsid, both halves of the uuid laid over each other.
fn file_system_id(uuid: &[u8; 16]) -> u64 {
    let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| uuid[at + i]));
    let id = half(0) ^ half(8);
    // fsid_t is an array of two ints, the low half first.
    if cfg!(target_endian = "little") { id } else { id.rotate_left(32) }
}

/// Offset of the superblock in an image.
const SUPERBLOCK: usize = 1024;
/// Where the tiny image has its root directory; inode numbers count in 32 bytes.
const TINY_ROOT: u16 = 64;

/// A nameless file in `directory` with the smallest valid image: one block, an empty root directory.
fn tiny_image(directory: &Path) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR).during_at("make temporary file in", directory)?;
    let written = rustix::io::write(&file, &tiny_image_bytes(&[7; 16])).during_at("write in", directory)?;
    if written == BLOCK { Ok(File::from(file)) } else { Err(Error::at("write in", directory, Errno::NOSPC)) }
}

const BLOCK: usize = 4096;

/// struct erofs_super_block, erofs_inode_compact and erofs_dirent (fs/erofs/erofs_fs.h), all little-endian.
fn tiny_image_bytes(uuid: &[u8; 16]) -> [u8; BLOCK] {
    let mut image = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(SUPERBLOCK, &MAGIC.to_le_bytes());
    put(SUPERBLOCK + 12, &[12]); // log2 of the block size
    put(SUPERBLOCK + 14, &TINY_ROOT.to_le_bytes());
    put(SUPERBLOCK + 16, &1_u64.to_le_bytes()); // inodes
    put(SUPERBLOCK + 36, &1_u32.to_le_bytes()); // blocks
    put(SUPERBLOCK + 48, uuid);
    let root = usize::from(TINY_ROOT) * 32;
    put(root, &4_u16.to_le_bytes()); // compact, data behind the inode
    put(root + 4, &0o40755_u16.to_le_bytes());
    put(root + 6, &2_u16.to_le_bytes()); // links
    put(root + 8, &27_u32.to_le_bytes()); // size: two entries of 12 bytes and "." and ".."
    for (index, name_offset) in [(0, 24), (1, 25)] {
        let at = root + 32 + 12 * index;
        put(at, &u64::from(TINY_ROOT).to_le_bytes());
        put(at + 8, &[name_offset, 0, 2]); // type 2: a directory
    }
    put(root + 32 + 24, b"...");
    image
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    pub(crate) struct Scratch(pub PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("brig-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }

        /// A file with the tiny image of this uuid.
        pub(crate) fn image(&self, name: &str, uuid: &[u8; 16]) -> File {
            let path = self.0.join(name);
            std::fs::write(&path, tiny_image_bytes(uuid)).unwrap();
            File::open(path).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    pub(crate) fn supports(wanted: Support) -> bool {
        let works =
            |mount: fn(&File) -> Result<Mount>| tiny_image(&std::env::temp_dir()).is_ok_and(|i| mount(&i).is_ok());
        rustix::process::geteuid().is_root()
            && match wanted {
                Support::File => works(mount_file),
                Support::Loop => works(mount_loop),
                Support::None => true,
            }
    }

    const UUID: [u8; 16] = *b"0123456789abcdef";

    #[test]
    fn what_is_probed_can_be_mounted() {
        let scratch = Scratch::new("erofs-probe");
        let support = probe(&scratch.0);
        let image = scratch.image("i", &UUID);
        if support == Support::None {
            return;
        }
        let mount = mount(&image).unwrap();
        assert_eq!(rustix::fs::fstat(&mount).unwrap().st_ino, u64::from(TINY_ROOT));
        let denied = rustix::fs::mkdirat(&mount, "x", Mode::RWXU).unwrap_err();
        assert_eq!(denied, Errno::ROFS);
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing but the image");
        assert_eq!(probe(Path::new("/nonexistent")), Support::None);
    }

    #[test]
    fn a_mount_of_another_process_is_found_by_what_it_is() {
        if !supports(Support::File) {
            return;
        }
        let scratch = Scratch::new("erofs-find");
        let mount = mount_file(&scratch.image("i", &UUID)).unwrap();
        let link = scratch.0.join("link");
        let point = |fd: i32| {
            let _ = std::fs::remove_file(&link);
            symlink(format!("/proc/{}/fd/{fd}", std::process::id()), &link).unwrap();
        };
        let root = u64::from(TINY_ROOT);
        point(mount.as_fd().as_raw_fd());
        assert!(find(&link, &UUID, root).is_some());
        assert!(find(&link, b"another image's!", root).is_none());
        assert!(find(&link, &UUID, root + 1).is_none());
        let other = File::open(&scratch.0).unwrap();
        point(other.as_raw_fd());
        assert!(find(&link, &UUID, root).is_none());
        point(9999);
        assert!(find(&link, &UUID, root).is_none());
        if crate::machine::kernel_is_at_least(6, 15) {
            point(mount.as_fd().as_raw_fd());
            let own = Mount::bind_fd(find(&link, &UUID, root).unwrap(), false).unwrap();
            drop(mount);
            assert!(is_image(own.as_fd(), &UUID, root));
            assert!(find(&link, &UUID, root).is_none(), "its holder has let go of it");
        }
    }

    #[test]
    fn rubbish_is_no_image() {
        if rustix::process::geteuid().is_root() {
            let scratch = Scratch::new("erofs-rubbish");
            std::fs::write(scratch.0.join("i"), [1; 8192]).unwrap();
            assert!(mount(&File::open(scratch.0.join("i")).unwrap()).is_err());
        }
    }
}
