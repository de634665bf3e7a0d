//! Our own executable out of a container's reach (CVE-2019-5736). Early in `run`, `start` and `exec` brig
//! executes itself again through a read-only, detached bind mount of its executable, so that a
//! container which gets hold of `/proc/PID/exe` of our processes cannot write the file behind it.

use crate::error::{Context, Error, Result};
use crate::exec::{self, Strings};
use crate::mount::{Attributes, Mount};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

const EXE: &str = "/proc/self/exe";
/// Set for the second execution only; one that finds itself unsealed in spite of it must not try again.
const MARKER: &str = "_BRIG_SEALED";

/// Returns when the running executable cannot be written through `/proc/self/exe`; if that takes executing
/// it again, with the same arguments and environment, it does not return. Must be called before the
/// program has done anything, and before it has a second thread.
pub fn ensure_sealed() -> Result<()> {
    let marked = std::env::var_os(MARKER).is_some();
    if marked {
        // SAFETY: the doc comment demands that there is one thread.
        unsafe { std::env::remove_var(MARKER) };
    }
    if is_sealed()? {
        return Ok(());
    }
    if marked {
        return Err(Error::at("run from a read-only copy of", EXE, Errno::ROFS));
    }
    let (arguments, environment) = own_strings();
    let errno = match read_only_mount() {
        Ok(mount) => exec::execve_fd(&mount, &arguments, &environment),
        // Not allowed to mount (no CAP_SYS_ADMIN): a copy in memory costs a few milliseconds more.
        Err(error) if matches!(error.errno, Errno::PERM | Errno::ACCESS | Errno::NOSYS) => {
            exec::execve_fd(sealed_copy()?, &arguments, &environment)
        }
        Err(error) => return Err(error),
    };
    Err(Error::at("execute again", EXE, errno))
}

/// True on a read-only mount, and in a memfd sealed against writing.
fn is_sealed() -> Result<bool> {
    if crate::pivot::is_read_only(EXE)? {
        return Ok(true);
    }
    let exe = open_exe()?;
    // EINVAL: an ordinary file, which has no seals.
    Ok(rustix::fs::fcntl_get_seals(&exe).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}

fn open_exe() -> Result<OwnedFd> {
    rustix::fs::open(EXE, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during_at("open", EXE)
}

fn read_only_mount() -> Result<Mount> {
    let mount = Mount::bind(Path::new(EXE), false)?;
    let attributes = Attributes::READ_ONLY.with(Attributes::NOSUID);
    mount.set_attributes(attributes, Attributes::NONE, None, false)?;
    Ok(mount)
}

fn sealed_copy() -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 can be told to want MFD_EXEC said; older ones do not know the flag.
    let memfd = match rustix::fs::memfd_create("brig", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create("brig", flags),
        result => result,
    };
    let mut copy = File::from(memfd.during("create memfd")?);
    std::io::copy(&mut File::from(open_exe()?), &mut copy).during_at("copy", EXE)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(copy.as_fd(), seals).during("seal memfd")?;
    Ok(copy.into())
}

fn own_strings() -> (Strings, Strings) {
    let arguments = std::env::args_os().map(OsStringExt::into_vec);
    let environment = std::env::vars_os().map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        entry
    });
    let marker = std::iter::once(format!("{MARKER}=1").into_bytes());
    // Both came to us as NUL-ended strings, so no NUL can be inside.
    let strings = "own arguments and environment hold no NUL";
    (Strings::new(arguments).expect(strings), Strings::new(environment.chain(marker)).expect(strings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_mount_of_ourselves_cannot_be_written() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mount = read_only_mount().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&mount.as_fd()));
        let error = std::fs::OpenOptions::new().write(true).open(path).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::EROFS | libc::ETXTBSY)), "{error}");
    }

    #[test]
    fn a_sealed_copy_cannot_be_written() {
        let copy = sealed_copy().unwrap();
        assert_eq!(rustix::io::pwrite(&copy, b"x", 0).unwrap_err(), Errno::PERM);
    }
}
