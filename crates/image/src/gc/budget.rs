//! A budget for the store: when it takes more room on the disk than it may, leftovers go first, then images that no
//! container needs, those without a tag before others, and of these the one whose last use is longest ago.
//!
//! An image's last use is the time of modification of its manifest: set when it comes in, gets a name, or a container is
//! made of it. That costs a system call and no lock, and is lost with nothing worse than another order.

use super::{Marks, User, Users};
use crate::error::{Error, Result};
use crate::index::Entry;
use crate::ingest::partial;
use crate::store::{Image, Store};
use kernel::disk::allocated_bytes;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
use spec::{Digest, Reference};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// An image that had to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    pub id: Digest,
    pub names: Vec<Reference>,
    /// Bytes on the disk that went with it.
    pub freed: u64,
}

/// What was done about a store that was too large. All sizes in bytes on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    pub evicted: Vec<Evicted>,
    /// What the store takes now; may still be too much, when containers need it.
    pub left: u64,
}

/// An image as the budget sees it.
struct Candidate {
    id: Digest,
    has_tag: bool,
    used: SystemTime,
    needs: Marks,
}

impl Store {
    /// Notes that the image is being used. A failure is not reported: see the module.
    pub fn note_use(&self, image: &Image) {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: now };
        let _ = utimensat(CWD, self.blob_path(&image.manifest_digest), &times, AtFlags::empty());
    }

    /// Removes leftovers and images until the store takes at most `bytes_max`, but neither the images in `keep` nor what
    /// a container needs. `None` when there is nothing to do, or somebody is bringing images in: that one will do it.
    /// `Invalid` when an image is damaged, so that what it needs is not known.
    pub fn shrink(&self, bytes_max: u64, keep: &[Digest], users: Users<'_>) -> Result<Option<Shrunk>> {
        if self.allocated_bytes()? <= bytes_max {
            return Ok(None);
        }
        let Some(lock) = self.try_lock_exclusive()? else { return Ok(None) };
        partial::remove_abandoned(&self.partial_path())?;
        let users = users()?;
        let evicted = self.update(|entries| {
            let evicted = self.choose(entries, bytes_max, keep, &users)?;
            entries.retain(|entry| evicted.iter().all(|gone| gone.id != entry.id));
            Ok(evicted)
        })?;
        let (_, remains) = self.sweep(Some(lock), &users)?;
        remains.delete();
        Ok(Some(Shrunk { evicted, left: self.allocated_bytes()? }))
    }

    fn allocated_bytes(&self) -> Result<u64> {
        Ok(allocated_bytes(self.images_path())? + allocated_bytes(self.layers().path())?)
    }

    fn choose(&self, entries: &[Entry], bytes_max: u64, keep: &[Digest], users: &[User]) -> Result<Vec<Evicted>> {
        let candidates = self.candidates(entries)?;
        let sizes = self.sizes()?;
        let mut holders: HashMap<&Path, usize> = HashMap::new();
        let of_users = users.iter().flat_map(|user| &user.layers).map(|id| self.layers().path().join(id.hex()));
        let of_users: Vec<PathBuf> = of_users.collect();
        let of_images: Vec<Vec<PathBuf>> = candidates.iter().map(|candidate| self.parts(&candidate.needs)).collect();
        for part in of_users.iter().chain(of_images.iter().flatten()) {
            *holders.entry(part).or_default() += 1;
        }
        let size = |part: &Path| sizes.get(part).copied().unwrap_or(0);
        // What nobody holds goes with the sweep.
        let unheld: u64 = sizes.iter().filter(|(part, _)| !holders.contains_key(part.as_path())).map(|(_, n)| n).sum();
        let mut left = self.allocated_bytes()?.saturating_sub(unheld);
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by_key(|index| (candidates[*index].has_tag, candidates[*index].used));
        let mut evicted = Vec::new();
        for index in order {
            let id = &candidates[index].id;
            if left <= bytes_max {
                break;
            }
            if keep.contains(id) || users.iter().any(|user| user.image == *id) {
                continue;
            }
            let mut freed = 0;
            for part in &of_images[index] {
                let count = holders.entry(part).or_default();
                *count -= 1;
                if *count == 0 {
                    freed += size(part);
                }
            }
            left = left.saturating_sub(freed);
            let names = entries.iter().filter(|entry| entry.id == *id).filter_map(|entry| entry.name.clone());
            evicted.push(Evicted { id: id.clone(), names: names.collect(), freed });
        }
        Ok(evicted)
    }

    /// Every image once, with all of its manifests.
    fn candidates(&self, entries: &[Entry]) -> Result<Vec<Candidate>> {
        let tagged = super::tagged(entries);
        let mut candidates: Vec<Candidate> = Vec::new();
        for entry in entries {
            let position = candidates.iter().position(|candidate| candidate.id == entry.id).unwrap_or_else(|| {
                let (id, used) = (entry.id.clone(), SystemTime::UNIX_EPOCH);
                let has_tag = tagged.contains(&id);
                candidates.push(Candidate { id, has_tag, used, needs: Marks::default() });
                candidates.len() - 1
            });
            let candidate = &mut candidates[position];
            candidate.needs.add(self, entry)?;
            let path = self.blob_path(&entry.manifest.digest);
            let used = path.metadata().and_then(|metadata| metadata.modified()).map_err(Error::io("stat", &path))?;
            candidate.used = candidate.used.max(used);
        }
        Ok(candidates)
    }

    /// Where the parts of an image are, if they are. Blobs may be of either algorithm.
    fn parts(&self, marks: &Marks) -> Vec<PathBuf> {
        let blobs = self.images_path().join("blobs");
        let of_algorithm = |algorithm: &'static str| {
            let directory = blobs.join(algorithm);
            marks.blobs.iter().map(move |hex| directory.join(hex))
        };
        let layers = marks.layers.iter().map(|hex| self.layers().path().join(hex));
        layers.chain(of_algorithm("sha256")).chain(of_algorithm("sha512")).collect()
    }

    /// What each layer and blob takes.
    fn sizes(&self) -> Result<HashMap<PathBuf, u64>> {
        let mut sizes = HashMap::new();
        let (layers, temporary) = self.layers().list()?;
        let layers = layers.iter().map(|hex| self.layers().path().join(hex));
        for path in layers.chain(temporary).chain(self.blobs()?) {
            let bytes = allocated_bytes(&path)?;
            sizes.insert(path, bytes);
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, add_image};
    use std::fs::File;
    use std::time::Duration;

    fn used_at(store: &Store, image: &Image, seconds: u64) {
        let file = File::options().write(true).open(store.blob_path(&image.manifest_digest)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    fn names(shrunk: &Shrunk) -> Vec<String> {
        let name = |evicted: &Evicted| evicted.names.first().map_or_else(String::new, Reference::familiar);
        shrunk.evicted.iter().map(name).collect()
    }

    #[test]
    fn the_image_used_longest_ago_goes_first() {
        let scratch = Scratch::new("budget");
        let store = Store::open(scratch.path()).unwrap();
        let add = |name: &str, byte: u8| add_image(&store, name, &[("s", &[9; 50_000])], &[("x", &[byte; 100_000])]);
        let (a, b, c, d) = (add("a", 1), add("b", 2), add("c", 3), add("d", 4));
        // The older d is nameless.
        let new = add("d", 5);
        for (image, seconds) in [(&a, 400), (&b, 200), (&c, 300), (&d, 500), (&new, 100)] {
            used_at(&store, image, seconds);
        }
        let user = User {
            container: "c0ffee".repeat(10),
            running: false,
            image: c.id.clone(),
            layers: c.config.rootfs.diff_ids.clone(),
        };
        let users = || Ok(vec![user.clone()]);
        let total = store.allocated_bytes().unwrap();
        assert_eq!(store.shrink(total, &[], &users).unwrap(), None);
        let first = store.shrink(total - 1, &[], &users).unwrap().unwrap();
        assert_eq!(names(&first), [""], "the nameless one");
        assert_eq!(first.left, store.allocated_bytes().unwrap());
        assert!(first.evicted[0].freed >= 100_000 && first.evicted[0].freed < 150_000, "{first:?}");
        assert_eq!(first.left + first.evicted[0].freed, total);
        let busy = store.use_images().unwrap();
        assert_eq!(store.shrink(0, &[], &users).unwrap(), None, "somebody is at work");
        drop(busy);
        store.note_use(&new);
        let second = store.shrink(first.left - 150_000, &[], &users).unwrap().unwrap();
        assert_eq!(names(&second), ["b:latest", "a:latest"], "c has a container, the new d was used just now");
        let rest = store.shrink(0, std::slice::from_ref(&new.id), &users).unwrap().unwrap();
        assert!(rest.evicted.is_empty() && rest.left > 0);
        assert_eq!(store.list().unwrap().len(), 2);
        assert!(store.check(&mut |_, _, _| (), &users).unwrap().damages.is_empty());
    }

    #[test]
    fn leftovers_go_before_images() {
        let scratch = Scratch::new("budget-left");
        let store = Store::open(scratch.path()).unwrap();
        add_image(&store, "a", &[("x", &[1; 50_000])], &[]);
        let total = store.allocated_bytes().unwrap();
        std::fs::create_dir(store.partial_path()).unwrap();
        std::fs::write(store.partial_path().join("00"), [1; 80_000]).unwrap();
        let orphan = scratch.path().join(format!("layers/{}", "ab".repeat(32)));
        std::fs::create_dir(&orphan).unwrap();
        std::fs::write(orphan.join("image.erofs"), [1; 80_000]).unwrap();
        let shrunk = store.shrink(total + 10_000, &[], &|| Ok(Vec::new())).unwrap().unwrap();
        assert!(shrunk.evicted.is_empty() && shrunk.left <= total + 10_000, "{shrunk:?}");
        assert!(!orphan.exists());
    }
}
