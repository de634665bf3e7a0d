//! Taking images out: `rmi` with docker's rules on names and users, and the sweep of blobs and
//! layers that nothing needs any more.
//!
//! A sweep marks from the index and from the containers' records, then removes the rest, all
//! under the exclusive lock. Whoever brings an image in, or makes a container of one, holds the
//! shared lock meanwhile. A removal never waits for them: if somebody is at work, only the names
//! go, and what is left over goes at a later sweep.

mod budget;
mod marks;

pub use budget::{Evicted, Shrunk};
pub(crate) use marks::Marks;

use crate::error::{Error, Result};
use crate::index::Entry;
use crate::ingest::partial;
use crate::layer;
use crate::store::{self, Store};
use kernel::lock::Lock;
use spec::{Digest, Reference};
use std::collections::HashSet;
use std::path::PathBuf;

/// A container that needs an image.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id in full.
    pub container: String,
    pub running: bool,
    /// The image's id, as it was when the container was made.
    pub image: Digest,
    /// The diff ids of the layers below it.
    pub layers: Vec<Digest>,
}

/// What a removal has done, in the order in which docker prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name went, as users write it.
    Untagged(String),
    /// An image went.
    Deleted(Digest),
}

/// What a prune has done.
#[derive(Debug)]
pub struct Pruned {
    pub removed: Vec<Removed>,
    /// Bytes on the disk.
    pub freed: u64,
    /// False while others bring images in: what was removed then goes from the disk at a later sweep.
    pub is_swept: bool,
}

/// What has left the store but still takes room on the disk, since a large file takes the kernel some 100 ms to delete.
/// Should it be dropped, or its holder killed, the next pull deletes it first.
#[must_use]
#[derive(Debug, Default)]
pub struct Remains(Vec<PathBuf>);

impl Remains {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What cannot be deleted now is tried again later. Others may be at the same remains.
    pub fn delete(self) {
        for directory in &self.0 {
            let _ = layer::remove_tree(directory);
        }
    }
}

/// Asks for all containers. It is called under the store's lock, so that none appears between
/// the answer and its use; it must not take that lock itself.
pub type Users<'a> = &'a dyn Fn() -> Result<Vec<User>>;

impl Store {
    /// Removes an image or one of its names, as `rmi` does:
    ///
    /// - by a name of several: only the name goes;
    /// - by its only name, or by id: the image goes, unless a container needs it;
    /// - by id with names in several repositories: only with `force`;
    /// - `force` also removes what a stopped container needs (its layers stay until it is gone), never what a running
    ///   one needs: by name that stays without one.
    pub fn remove(&self, text: &str, force: bool, users: Users<'_>) -> Result<(Vec<Removed>, Remains)> {
        let lock = self.try_lock_exclusive()?;
        let users = users()?;
        let removed = self.update(|entries| remove_from(entries, text, force, &users))?;
        if !removed.iter().any(|r| matches!(r, Removed::Deleted(_))) {
            return Ok((removed, Remains::default()));
        }
        match self.sweep(lock, &users) {
            Ok((_, remains)) => Ok((removed, remains)),
            // Another image is damaged, so nobody knows what is its; `prune` says so, and this removal has been done.
            Err(Error::Invalid { .. }) => Ok((removed, Remains::default())),
            Err(error) => Err(error),
        }
    }

    /// Removes images without a tag, or with `all` every one that no container needs, and leftovers (also of
    /// interrupted downloads, which a removal leaves alone).
    pub fn prune(&self, all: bool, users: Users<'_>) -> Result<Pruned> {
        let lock = self.try_lock_exclusive()?;
        let is_swept = lock.is_some();
        let users = users()?;
        let removed = self.update(|entries| {
            let used = |e: &Entry| users.iter().any(|user| user.image == e.id);
            let tagged = tagged(entries);
            let (keep, doomed) =
                std::mem::take(entries).into_iter().partition(|e| used(e) || (!all && tagged.contains(&e.id)));
            *entries = keep;
            Ok(records(&doomed, entries))
        })?;
        let (freed, remains) = self.sweep(lock, &users)?;
        remains.delete();
        let freed = freed + partial::remove_abandoned(&self.partial_path())?;
        Ok(Pruned { removed, freed, is_swept })
    }

    /// Removes what neither an image nor a container needs; `None` while somebody is at work. Returns the bytes that this
    /// frees on the disk.
    pub fn remove_unused(&self, users: Users<'_>) -> Result<Option<u64>> {
        let Some(lock) = self.try_lock_exclusive()? else { return Ok(None) };
        let (freed, remains) = self.sweep(Some(lock), &users()?)?;
        remains.delete();
        Ok(Some(freed))
    }

    /// Removes what neither the index nor a container needs; returns the bytes that this frees, some of them when the
    /// remains are deleted. Without the lock nothing happens. `Invalid` when an image is damaged, so that what it needs
    /// is not known: better to keep too much.
    fn sweep(&self, lock: Option<Lock>, users: &[User]) -> Result<(u64, Remains)> {
        let Some(lock) = lock else { return Ok((0, Remains::default())) };
        let marks = Marks::of(self, &self.entries()?, users)?;
        let mut freed = 0;
        for path in self.blobs()? {
            if !marks.blobs.contains(&*path.file_name().unwrap_or_default().to_string_lossy()) {
                freed += kernel::disk::allocated_bytes(&path)?;
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        let (layers, temporary) = self.layers().list()?;
        let (mut remains, leftovers): (Vec<_>, Vec<_>) =
            temporary.into_iter().partition(|path| layer::is_retired(path));
        for directory in leftovers {
            // Under the lock: without it an ingest might be given the same name.
            let _ = layer::remove_tree(&directory);
        }
        for hex in layers.iter().filter(|hex| !marks.layers.contains(*hex)) {
            let (doomed, size) = self.layers().retire(hex)?;
            freed += size;
            remains.push(doomed);
        }
        drop(lock);
        Ok((freed, Remains(remains)))
    }
}

/// Removes what killed ingests and removals have left, unless somebody is at work.
pub(crate) fn sweep_temporary(store: &Store) -> Result<()> {
    let (_, temporary) = store.layers().list()?;
    if temporary.is_empty() {
        return Ok(());
    }
    let Some(_lock) = store.try_lock_exclusive()? else { return Ok(()) };
    // Listed again: the first list may have been of somebody who has finished since.
    let (_, temporary) = store.layers().list()?;
    for directory in &temporary {
        // What cannot be removed now is tried again by the next one, and must not keep anybody from pulling.
        let _ = layer::remove_tree(directory);
    }
    Ok(())
}

/// `rmi` on the list of entries; nothing is changed on an error.
fn remove_from(entries: &mut Vec<Entry>, text: &str, force: bool, users: &[User]) -> Result<Vec<Removed>> {
    let found = store::find(entries, text)?;
    let (id, by_name) = (found.id.clone(), named(found, text));
    let names: Vec<Reference> = entries.iter().filter(|e| e.id == id).filter_map(|e| e.name.clone()).collect();
    match by_name {
        Some(name) => remove_name(entries, &id, &name, &names, text, force, users),
        None => {
            check_users(&id, force, users)?;
            if !force && !is_single_repository(&names) {
                let why = "image is referenced in multiple repositories";
                return Err(conflict(&id, "must be forced", why));
            }
            Ok(delete(entries, &id))
        }
    }
}

/// The images that have a tag. Others are dangling, as docker says, also when the digest that they were pulled by still
/// names them: that is how a newer pull of a tag leaves the older image.
pub(crate) fn tagged(entries: &[Entry]) -> HashSet<Digest> {
    let has_tag = |e: &&Entry| e.name.as_ref().is_some_and(|name| name.digest().is_none());
    entries.iter().filter(has_tag).map(|e| e.id.clone()).collect()
}

/// The name of an entry, if it was found by that and not by its id, nor by the digest of its manifest.
fn named(entry: &Entry, text: &str) -> Option<Reference> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let typed = Reference::parse(text).ok()?;
    let name = entry.name.clone()?;
    let by_id = entry.id.hex().starts_with(hex) && name != typed;
    // With a digest, the tag that was typed does not matter.
    let same = name.name() == typed.name() && name.digest() == typed.digest();
    (same && !by_id).then_some(name)
}

fn remove_name(
    entries: &mut Vec<Entry>,
    id: &Digest,
    name: &Reference,
    names: &[Reference],
    text: &str,
    force: bool,
    users: &[User],
) -> Result<Vec<Removed>> {
    let of_image = || users.iter().filter(|user| user.image == *id);
    if let Some(user) = of_image().next()
        && !force
        && is_single_repository(names)
    {
        let (container, image) = (short(&user.container), id.short());
        return Err(Error::InUse(format!(
            "conflict: unable to remove repository reference \"{text}\" (must force) - \
             container {container} is using its referenced image {image}"
        )));
    }
    // With the last tag of a repository go the digests that it was pulled by.
    let of_repository = |other: &Reference| other.name() == name.name();
    let tags_left = names.iter().any(|other| other != name && of_repository(other) && other.digest().is_none());
    let goes = |other: &Reference| other == name || (!tags_left && of_repository(other) && other.digest().is_some());
    let names_left = names.iter().any(|other| !goes(other));
    let stays = of_image().any(|user| user.running || !force);
    if !names_left && !stays {
        return Ok(delete(entries, id));
    }
    let mut removed = Vec::new();
    let mut last: Option<Entry> = None;
    entries.retain(|entry| match &entry.name {
        Some(other) if entry.id == *id && goes(other) => {
            removed.push(Removed::Untagged(other.familiar()));
            last = Some(Entry { name: None, ..entry.clone() });
            false
        }
        _ => true,
    });
    // A container still needs the image: it stays without a name, as in docker.
    if !names_left && let Some(nameless) = last {
        entries.push(nameless);
    }
    Ok(removed)
}

/// Docker's conflicts for a removal by id: a running container always, a stopped one unless
/// forced.
fn check_users(id: &Digest, force: bool, users: &[User]) -> Result<()> {
    let mut of_image = users.iter().filter(|user| user.image == *id);
    if let Some(user) = of_image.clone().find(|user| user.running) {
        let why = format!("image is being used by running container {}", short(&user.container));
        return Err(conflict(id, "cannot be forced", &why));
    }
    match of_image.next() {
        Some(user) if !force => {
            let why = format!("image is being used by stopped container {}", short(&user.container));
            Err(conflict(id, "must be forced", &why))
        }
        _ => Ok(()),
    }
}

fn conflict(id: &Digest, how: &str, why: &str) -> Error {
    Error::InUse(format!("conflict: unable to delete {} ({how}) - {why}", id.short()))
}

fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

/// One tag at most, and digests only of its repository: by id all of them go at once.
fn is_single_repository(names: &[Reference]) -> bool {
    let tags = names.iter().filter(|name| name.digest().is_none()).count();
    let one_repository = names.windows(2).all(|pair| pair[0].name() == pair[1].name());
    tags <= 1 && one_repository
}

fn delete(entries: &mut Vec<Entry>, id: &Digest) -> Vec<Removed> {
    let (doomed, keep): (Vec<Entry>, Vec<Entry>) = std::mem::take(entries).into_iter().partition(|e| e.id == *id);
    *entries = keep;
    records(&doomed, entries)
}

/// Names first, then each image of which no entry is left.
fn records(doomed: &[Entry], left: &[Entry]) -> Vec<Removed> {
    let names = doomed.iter().filter_map(|e| e.name.as_ref());
    let mut removed: Vec<Removed> = names.map(|name| Removed::Untagged(name.familiar())).collect();
    for entry in doomed {
        let deleted = Removed::Deleted(entry.id.clone());
        if !removed.contains(&deleted) && left.iter().all(|e| e.id != entry.id) {
            removed.push(deleted);
        }
    }
    removed
}

#[cfg(test)]
mod tests;
