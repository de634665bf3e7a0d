//! Layers as lower directories of an overlay: EROFS images are mounted (detached, visible nowhere), directories are
//! taken as they are. Containers that run at the same time share mounts, and with them the page cache: each monitor
//! holds those of its container, and links in the folder of the engine's state lead to a few of them.
//!
//! ```text
//! <state>/layers/<diff id>.<0 to 3>  →  /proc/<pid>/fd/<n>       a mount that a monitor holds
//! ```
//!
//! A link is believed as far as the kernel confirms what is behind it (see `kernel::erofs::find`), so one that a
//! killed monitor left does no harm: it is written over. Nothing stays mounted when no container runs.

use crate::erofs;
use crate::error::{Error, Result};
use crate::layer::{self, Layers};
use crate::store::Store;
use kernel::erofs::Support;
use kernel::mount::Mount;
use spec::Digest;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Number of an image's root directory.
const ROOT: u64 = 64;

/// How many monitors are noted for a layer. When all of them have gone, the next start mounts anew.
const LINKS_MAX: usize = 4;

/// Lower directories of an overlay, and what must be held until it is mounted.
#[derive(Debug, Default)]
pub struct Stack {
    /// Top first. Names of mounts are good in this process only, and while this value lives.
    pub directories: Vec<PathBuf>,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    diff_id: Digest,
    mount: Holding,
}

#[derive(Debug)]
enum Holding {
    Own(Mount),
    /// Of a mount that a monitor holds: it may end at any time.
    Borrowed(OwnedFd),
}

impl Store {
    /// The layers of an image (given lowest first, as its configuration has them) or container. `mounts` is the
    /// folder of the links; without it nothing is shared. A layer that occurs twice is taken once, at its higher
    /// place: it would hide everything of its lower one, and overlay takes no directory twice.
    pub fn stack(&self, diff_ids: &[Digest], mounts: Option<&Path>) -> Result<Stack> {
        let mounts = mounts.filter(|_| kernel::erofs::mounts_can_be_borrowed());
        let mut stack = Stack::default();
        for (index, diff_id) in diff_ids.iter().enumerate().rev() {
            if !diff_ids[index + 1..].contains(diff_id) {
                stack.add(self.layers(), diff_id, mounts)?;
            }
        }
        Ok(stack)
    }
}

impl Stack {
    fn add(&mut self, layers: &Layers, diff_id: &Digest, mounts: Option<&Path>) -> Result<()> {
        let borrowed = mounts.and_then(|mounts| find(mounts, diff_id));
        let mount = match borrowed {
            Some(fd) => Holding::Borrowed(fd),
            None => match layers.open_image(diff_id)? {
                Some(image) => Holding::Own(mount(&image, diff_id)?),
                None if !layers.contains(diff_id) => {
                    let why = "is missing: `brig image check --repair` brings it, or pull or load its image again";
                    return Err(Error::invalid(format!("layer {diff_id}"), why));
                }
                None => {
                    self.directories.push(layers.directory(diff_id));
                    return Ok(());
                }
            },
        };
        self.directories.push(PathBuf::from(format!("/proc/self/fd/{}", mount.number())));
        self.held.push(Held { diff_id: diff_id.clone(), mount });
        Ok(())
    }

    /// Whether a mount among them is somebody else's: should that process end before the overlay is made, the kernel
    /// says `EINVAL`, and a stack of one's own will do.
    pub fn is_borrowed(&self) -> bool {
        self.held.iter().any(|held| matches!(held.mount, Holding::Borrowed(_)))
    }

    /// Lets others find the mounts, as long as the result lives. For a process that goes on while the overlay is in
    /// use; called after the fork that made it. What cannot be noted is not shared, and that is all.
    pub fn register(self, mounts: &Path) -> Registered {
        let mut registered = Registered::default();
        if !kernel::erofs::mounts_can_be_borrowed() || self.held.is_empty() {
            return registered;
        }
        let _ = std::fs::create_dir_all(mounts);
        for Held { diff_id, mount } in self.held {
            let Some(link) = free_link(mounts, &diff_id) else { continue };
            let own = match mount {
                Holding::Own(mount) => mount,
                // Ours must outlive its owner's.
                Holding::Borrowed(fd) => match Mount::bind_fd(&fd, false) {
                    Ok(mount) => mount,
                    Err(_) => continue,
                },
            };
            if let Some(target) = write_link(&link, &own) {
                registered.links.push((link, target));
                registered.mounts.push(own);
            }
        }
        registered
    }
}

impl Holding {
    fn number(&self) -> i32 {
        match self {
            Holding::Own(mount) => std::os::fd::AsFd::as_fd(mount).as_raw_fd(),
            Holding::Borrowed(fd) => fd.as_raw_fd(),
        }
    }
}

/// Mounts that others may find; dropping it takes their links away.
#[derive(Debug, Default)]
pub struct Registered {
    links: Vec<(PathBuf, PathBuf)>,
    mounts: Vec<Mount>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        for (link, target) in &self.links {
            // Somebody may have written over it, having looked a moment before it was there.
            if std::fs::read_link(link).is_ok_and(|is| is == *target) {
                let _ = std::fs::remove_file(link);
            }
        }
    }
}

fn mount(image: &File, diff_id: &Digest) -> Result<Mount> {
    let mounted = match layer::forced()? {
        Some(Support::File) => kernel::erofs::mount_file(image),
        Some(Support::Loop) => kernel::erofs::mount_loop(image),
        Some(Support::None) | None => kernel::erofs::mount(image),
    };
    mounted.map_err(|error| match erofs::record(image) {
        // Cut or overwritten: that says more than the kernel does.
        Err(Error::Invalid { why, .. }) => Error::invalid(
            format!("layer {}", diff_id.short()),
            format_args!("{why}: pull its image again after removing it"),
        ),
        _ => Error::Io(error),
    })
}

/// Makes sure that no new container borrows a mount of the layer: what is mounted there is older than what the store has
/// now. Containers that run keep theirs.
pub fn forget(mounts: &Path, diff_id: &Digest) {
    for number in 0..LINKS_MAX {
        let _ = std::fs::remove_file(link(mounts, diff_id, number));
    }
}

fn link(mounts: &Path, diff_id: &Digest, number: usize) -> PathBuf {
    mounts.join(format!("{}.{number}", diff_id.hex()))
}

fn find(mounts: &Path, diff_id: &Digest) -> Option<OwnedFd> {
    let uuid = erofs::uuid(diff_id);
    (0..LINKS_MAX).find_map(|number| kernel::erofs::find(&link(mounts, diff_id, number), &uuid, ROOT))
}

/// The first that leads to no mount of the layer.
fn free_link(mounts: &Path, diff_id: &Digest) -> Option<PathBuf> {
    let uuid = erofs::uuid(diff_id);
    let mut links = (0..LINKS_MAX).map(|number| link(mounts, diff_id, number));
    links.find(|link| kernel::erofs::find(link, &uuid, ROOT).is_none())
}

/// Makes or replaces a link to `mount` as others see it; returns where it leads.
fn write_link(link: &Path, mount: &Mount) -> Option<PathBuf> {
    let number = std::os::fd::AsFd::as_fd(mount).as_raw_fd();
    let target = PathBuf::from(format!("/proc/{}/fd/{number}", std::process::id()));
    let temporary = link.with_extension(format!("tmp{}", std::process::id()));
    // Left by a killed process of our number.
    let _ = std::fs::remove_file(&temporary);
    symlink(&target, &temporary).ok()?;
    if std::fs::rename(&temporary, link).is_err() {
        let _ = std::fs::remove_file(&temporary);
        return None;
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, add_image, is_root};
    use kernel::overlay;
    use rustix::fs::{Mode, OFlags};

    /// Whether layers are mounted here at all, and can be shared.
    fn shares(scratch: &Scratch) -> bool {
        let forced = layer::forced().unwrap();
        let support = forced.unwrap_or_else(|| kernel::erofs::probe(scratch.path()));
        is_root() && support == Support::File && kernel::erofs::mounts_can_be_borrowed()
    }

    fn read(stack: &Stack, name: &str) -> Option<Vec<u8>> {
        let mount = overlay::mount(&stack.directories, None, true).unwrap();
        let file = rustix::fs::openat(&mount, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        Some(std::io::read_to_string(File::from(file)).unwrap().into_bytes())
    }

    fn links(path: &Path) -> usize {
        std::fs::read_dir(path).map_or(0, Iterator::count)
    }

    #[test]
    fn a_layer_that_occurs_twice_is_taken_at_its_higher_place() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new("twice");
        let store = Store::open(scratch.path()).unwrap();
        let image = add_image(&store, "a", &[("who", b"one"), ("one", b"")], &[("who", b"two"), ("two", b"")]);
        let [one, two] = &image.config.rootfs.diff_ids[..] else { panic!("two layers") };
        let stack = store.stack(&[one.clone(), two.clone(), one.clone()], None).unwrap();
        assert_eq!(stack.directories.len(), 2);
        assert_eq!(read(&stack, "who").unwrap(), b"one");
        assert!(read(&stack, "two").is_some());
    }

    #[test]
    fn mounts_are_shared_while_somebody_holds_them() {
        let scratch = Scratch::new("shared");
        if !shares(&scratch) {
            return;
        }
        let store = Store::open(scratch.path()).unwrap();
        let image = add_image(&store, "a", &[("one", b"1")], &[("two", b"2")]);
        let ids = &image.config.rootfs.diff_ids;
        let mounts = scratch.path().join("mounts");
        let device = |stack: &Stack| rustix::fs::stat(&stack.directories[0]).unwrap().st_dev;

        let first = store.stack(ids, Some(&mounts)).unwrap();
        assert!(!first.is_borrowed());
        let first_device = device(&first);
        let first = first.register(&mounts);
        assert_eq!(links(&mounts), 2);
        let second = store.stack(ids, Some(&mounts)).unwrap();
        assert!(second.is_borrowed());
        assert_eq!(device(&second), first_device, "one file system, one page cache");
        assert_eq!(read(&second, "one").unwrap(), b"1");
        let second = second.register(&mounts);
        assert_eq!(links(&mounts), 4);
        drop(first);
        let third = store.stack(ids, Some(&mounts)).unwrap();
        assert_eq!(device(&third), first_device, "it lives on in those who had borrowed it");
        drop(second);
        assert_eq!(links(&mounts), 0);
        let gone = overlay::mount(&third.directories, None, true).unwrap_err();
        assert_eq!(gone.errno, rustix::io::Errno::INVAL, "as `is_borrowed` says");
        assert_eq!(read(&store.stack(ids, None).unwrap(), "two").unwrap(), b"2");
    }

    #[test]
    fn wrong_links_do_no_harm() {
        let scratch = Scratch::new("links");
        if !shares(&scratch) {
            return;
        }
        let store = Store::open(scratch.path()).unwrap();
        let image = add_image(&store, "a", &[("one", b"1")], &[]);
        let other = add_image(&store, "b", &[("one", b"2")], &[]);
        let ids = &image.config.rootfs.diff_ids;
        let mounts = scratch.path().join("mounts");
        std::fs::create_dir(&mounts).unwrap();
        let other = store.stack(&other.config.rootfs.diff_ids, None).unwrap();
        let wrong = format!("/proc/{}/fd/{}", std::process::id(), other.held[0].mount.number());
        for (number, target) in ["/proc/1/fd/0", "/proc/999999999/fd/5", &wrong, "/"].iter().enumerate() {
            symlink(target, link(&mounts, &ids[0], number)).unwrap();
        }
        let stack = store.stack(ids, Some(&mounts)).unwrap();
        assert!(!stack.is_borrowed());
        assert_eq!(read(&stack, "one").unwrap(), b"1");
        let registered = stack.register(&mounts);
        assert!(store.stack(ids, Some(&mounts)).unwrap().is_borrowed(), "a stale one is written over");
        drop(registered);
        assert_eq!(links(&mounts), 3);
    }

    #[test]
    fn a_mounted_layer_survives_its_removal() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new("unlinked");
        let store = Store::open(scratch.path()).unwrap();
        let image = add_image(&store, "a", &[("one", &[1; 100_000])], &[]);
        let stack = store.stack(&image.config.rootfs.diff_ids, None).unwrap();
        if stack.held.is_empty() {
            return;
        }
        store.remove("a", false, &|| Ok(Vec::new())).unwrap().1.delete();
        assert_eq!(std::fs::read_dir(scratch.path().join("layers")).unwrap().count(), 0);
        assert_eq!(read(&stack, "one").unwrap(), [1; 100_000]);
        assert!(store.stack(&image.config.rootfs.diff_ids, None).is_err(), "it is missing");
    }
}
