//! An overlay made by a thread in a mount namespace of its own, for kernels that want lower directories to be
//! attached somewhere (before 6.15) or all of them in one short text (before 6.5): there the layers can be attached,
//! visible to nobody else, and the classic mount(2) takes a whole page of text. The overlay comes back as a
//! descriptor; the thread and its namespace are gone when the call returns. Called by `overlay`.

use super::{Upper, bind_read_only, is_on_one_file_system, mount_one_by_one, short, through_descriptor};
use crate::error::{Context, Error, Result};
use crate::mount::{self, Attributes, Mount, Propagation};
use crate::namespace::{self, Kind, Set};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags};
use std::fmt::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// As [`super::mount`]. Detached mounts among the lower directories are good for nothing else afterwards.
pub(super) fn mount(lower: &[PathBuf], upper: Option<Upper<'_>>, attributes: Attributes) -> Result<Mount> {
    aside(|| {
        enter()?;
        attach(lower)?;
        if let ([only], None) = (lower, upper) {
            return bind_read_only(only);
        }
        match mount_one_by_one(lower, upper, attributes) {
            Err(error) if error.errno == Errno::INVAL => mount_classically(lower, upper, attributes),
            result => result,
        }
    })
}

/// Runs `make` in a thread, which can leave our namespace (and, with it, our working directory) without us. Not in a
/// forked child: there a lock of the allocator that another thread held would stay locked.
fn aside(make: impl FnOnce() -> Result<Mount> + Send) -> Result<Mount> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, make).during("start thread")?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A namespace of one's own in which nothing that is mounted reaches the host.
fn enter() -> Result<()> {
    namespace::unshare(Set::NONE.with(Kind::Mount))?;
    mount::set_propagation(Path::new("/"), Propagation::Private, true)
}

/// Attaches what is detached, on top of the root: no path leads there, and none is needed.
fn attach(lower: &[PathBuf]) -> Result<()> {
    for path in lower.iter().filter(|path| super::is_descriptor(path)) {
        let fd = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).during_at("open", path)?;
        match rustix::mount::move_mount(&fd, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH) {
            // A plain directory.
            Err(Errno::INVAL) => {}
            result => result.during_at("attach layer", path)?,
        }
    }
    Ok(())
}

/// mount(2) with layers named by nothing but their descriptors' numbers, so that hundreds fit into the page of text
/// that it takes. On /proc, which is not needed any more then.
fn mount_classically(lower: &[PathBuf], upper: Option<Upper<'_>>, attributes: Attributes) -> Result<Mount> {
    let mut held = Vec::new();
    let mut data = String::from("redirect_dir=nofollow,metacopy=off");
    if !is_on_one_file_system(lower, upper) {
        data.push_str(",xino=on");
    }
    if let Some(upper) = upper {
        let (directory, work) = (short(upper.directory, &mut held)?, short(upper.work, &mut held)?);
        let volatile = if upper.volatile { ",volatile" } else { "" };
        let _ = write!(data, ",upperdir={},workdir={}{volatile}", escaped(&directory)?, escaped(&work)?);
    }
    let mut separator = ",lowerdir=";
    for path in lower {
        through_descriptor(path, &mut held)?;
        let number = held.last().map_or(-1, AsRawFd::as_raw_fd);
        let _ = write!(data, "{separator}{number}");
        separator = ":";
    }
    let target = Path::new("/proc");
    rustix::process::chdir("/proc/self/fd").during_at("change to", "/proc/self/fd")?;
    let data = std::ffi::CString::new(data).map_err(|_| Error::new("mount overlay", Errno::INVAL))?;
    rustix::mount::mount("overlay", target, "overlay", MountFlags::empty(), Some(data.as_c_str()))
        .during(&format!("mount overlay of {} layers", lower.len()))?;
    let overlay = Mount::bind(target, false)?;
    overlay.set_attributes(attributes, Attributes::NONE, None, false)?;
    Ok(overlay)
}

/// Commas end an option; the kernel knows `\` before them and before itself.
fn escaped(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::at("mount overlay on", path, Errno::ILSEQ))?;
    Ok(text.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erofs::tests::{Scratch, supports};
    use crate::erofs::{self, Support};
    use std::os::fd::AsFd;

    struct Stack {
        scratch: Scratch,
        held: Vec<Mount>,
        lower: Vec<PathBuf>,
    }

    /// `images` EROFS layers and below them `directories` directories, with a file named for each.
    fn stack(name: &str, images: u8, directories: u8) -> Stack {
        let scratch = Scratch::new(name);
        let image = |n: u8| erofs::mount(&scratch.image(&format!("image{n}"), &[n + 1; 16])).unwrap();
        let held: Vec<Mount> = (0..images).map(image).collect();
        let mut lower: Vec<PathBuf> =
            held.iter().map(|mount| PathBuf::from(format!("/proc/self/fd/{}", mount.as_fd().as_raw_fd()))).collect();
        for n in 0..directories {
            let path = scratch.0.join(format!("direc:to,ry{n}"));
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join(format!("only{n}")), "x").unwrap();
            lower.push(path);
        }
        for name in ["up,per", "work"] {
            std::fs::create_dir(scratch.0.join(name)).unwrap();
        }
        Stack { scratch, held, lower }
    }

    impl Stack {
        fn check(&self, make: impl FnOnce(&[PathBuf], Option<Upper<'_>>) -> Result<Mount>) {
            let (directory, work) = (self.scratch.0.join("up,per"), self.scratch.0.join("work"));
            let overlay =
                make(&self.lower, Some(Upper { directory: &directory, work: &work, volatile: true })).unwrap();
            assert!(rustix::fs::statat(&overlay, "only0", rustix::fs::AtFlags::empty()).is_ok());
            rustix::fs::mkdirat(&overlay, "new", Mode::RWXU).unwrap();
            assert!(directory.join("new").is_dir());
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
            assert!(!mounts.contains("brig-apart"), "nothing is seen of it: {mounts}");
        }
    }

    #[test]
    fn detached_layers_whatever_the_kernel() {
        if supports(Support::File) || supports(Support::Loop) {
            stack("apart-direct", 3, 2).check(|lower, upper| super::super::mount(lower, upper, false));
            stack("apart-thread", 3, 2).check(|lower, upper| mount(lower, upper, Attributes::NONE));
            let one = stack("apart-one", 1, 0);
            let bound = mount(&one.lower, None, Attributes::NONE).unwrap();
            assert_eq!(rustix::fs::mkdirat(&bound, "x", Mode::RWXU).unwrap_err(), Errno::ROFS);
            drop(one.held);
        }
    }

    #[test]
    fn the_classic_way_takes_hundreds_of_layers() {
        if rustix::process::geteuid().is_root() {
            stack("apart-classic", 0, 200).check(|lower, upper| {
                aside(|| {
                    enter()?;
                    mount_classically(lower, upper, Attributes::NONE)
                })
            });
            stack("apart-many", 0, 200).check(|lower, upper| super::super::mount(lower, upper, false));
        }
    }

    #[test]
    fn the_threads_error_arrives() {
        if rustix::process::geteuid().is_root() {
            let error = mount(&["/nonexistent/a".into(), "/nonexistent/b".into()], None, Attributes::NONE).unwrap_err();
            assert_eq!(error.errno, Errno::NOENT);
        }
    }
}
