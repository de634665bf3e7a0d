//! Docker's rules for `rmi`, and that a sweep takes exactly what nobody needs.

use super::*;
use crate::store::Image;
use crate::testing::{Scratch, add_image};
use std::collections::BTreeSet;

const NOBODY: Users<'_> = &|| Ok(Vec::new());

fn store(scratch: &Scratch) -> Store {
    Store::open(scratch.path()).unwrap()
}

fn user(image: &Image, running: bool) -> User {
    let layers = image.config.rootfs.diff_ids.clone();
    User { container: "c0ffee".repeat(10), running, image: image.id.clone(), layers }
}

fn tag(store: &Store, image: &Image, name: &str) {
    store.tag(image, &Reference::parse(name).unwrap()).unwrap();
}

fn shown(removed: &[Removed]) -> Vec<String> {
    let line = |removed: &Removed| match removed {
        Removed::Untagged(name) => format!("Untagged: {name}"),
        Removed::Deleted(id) => format!("Deleted: {}", id.short()),
    };
    removed.iter().map(line).collect()
}

/// Gives the image also the name with its digest, as a pull does.
fn name_digest(store: &Store, image: &Image, repository: &str) -> Reference {
    let name = Reference::parse(repository).unwrap().with_digest(image.manifest_digest.clone());
    let entry = store.entries().unwrap().into_iter().find(|entry| entry.id == image.id).unwrap();
    let entry = Entry { name: Some(name.clone()), ..entry };
    let put = |entries: &mut Vec<Entry>| {
        crate::index::put(entries, entry);
        Ok(())
    };
    store.update(put).unwrap();
    name
}

/// A removal whose remains are deleted at once.
fn remove(store: &Store, text: &str, force: bool, users: Users<'_>) -> Result<Vec<Removed>> {
    let (removed, remains) = store.remove(text, force, users)?;
    remains.delete();
    Ok(removed)
}

/// Names of all blobs and layers.
fn files(scratch: &Scratch) -> BTreeSet<String> {
    let list = |path: &str| std::fs::read_dir(scratch.path().join(path)).unwrap();
    let both = list("images/blobs/sha256").chain(list("layers"));
    both.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_last_name_takes_the_image_along() {
    let scratch = Scratch::new("rmi");
    let store = store(&scratch);
    let kept = add_image(&store, "kept", &[("shared", b"1")], &[("own", b"2")]);
    let before = files(&scratch);
    let image = add_image(&store, "a", &[("shared", b"1")], &[("other", b"3")]);
    tag(&store, &image, "b:x");
    assert_eq!(shown(&remove(&store, "a", false, NOBODY).unwrap()), ["Untagged: a:latest"]);
    assert!(store.resolve("a").unwrap_err().is_not_found());
    let deleted = format!("Deleted: {}", image.id.short());
    assert_eq!(shown(&remove(&store, "b:x", false, NOBODY).unwrap()), ["Untagged: b:x".to_owned(), deleted]);
    assert_eq!(files(&scratch), before, "the shared layer stays, everything else goes");
    assert_eq!(kept.layers(&store).iter().filter(|path| path.exists()).count(), 2);
    assert!(remove(&store, "b:x", false, NOBODY).unwrap_err().is_not_found());
}

#[test]
fn by_id() {
    let scratch = Scratch::new("rmi-id");
    let store = store(&scratch);
    let image = add_image(&store, "a", &[("x", b"1")], &[]);
    tag(&store, &image, "b");
    let conflict = remove(&store, image.id.short(), false, NOBODY).unwrap_err().to_string();
    let expected = format!(
        "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
        image.id.short()
    );
    assert_eq!(conflict, expected);
    let removed = remove(&store, image.id.short(), true, NOBODY).unwrap();
    assert_eq!(shown(&removed)[..2], ["Untagged: a:latest", "Untagged: b:latest"]);
    assert!(files(&scratch).is_empty() && store.list().unwrap().is_empty());
}

#[test]
fn digests_of_a_repository_go_with_its_last_tag() {
    let scratch = Scratch::new("rmi-digest");
    let store = store(&scratch);
    let image = add_image(&store, "a:1", &[("x", b"1")], &[]);
    let digest = name_digest(&store, &image, "a");
    tag(&store, &image, "a:2");
    tag(&store, &image, "c");
    assert_eq!(shown(&remove(&store, "a:1", false, NOBODY).unwrap()), ["Untagged: a:1"]);
    let removed = shown(&remove(&store, "a:2", false, NOBODY).unwrap());
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert!(removed.contains(&format!("Untagged: {}", digest.familiar())));
    assert_eq!(store.resolve("c").unwrap().names.len(), 1);
}

#[test]
fn a_digest_goes_by_itself() {
    let scratch = Scratch::new("rmi-by-digest");
    let store = store(&scratch);
    let image = add_image(&store, "a:1", &[("x", b"1")], &[]);
    tag(&store, &image, "a:2");
    let digest = name_digest(&store, &image, "a").familiar();
    assert_eq!(shown(&remove(&store, &digest, false, NOBODY).unwrap()), [format!("Untagged: {digest}")]);
    assert_eq!(store.resolve("a:1").unwrap().names.len(), 2);
    // No name any more, but still what the image is: then all of it is meant.
    let removed = shown(&remove(&store, &digest, true, NOBODY).unwrap());
    assert_eq!(removed.len(), 3, "{removed:?}");
    assert!(files(&scratch).is_empty());
}

#[test]
fn containers_hold_their_image() {
    let scratch = Scratch::new("rmi-used");
    let store = store(&scratch);
    let image = add_image(&store, "a", &[("x", b"1")], &[]);
    let before = files(&scratch);
    let (stopped, running) = (vec![user(&image, false)], vec![user(&image, true)]);
    let with = |users: &[User], text: &str, force: bool| {
        let users = users.to_vec();
        remove(&store, text, force, &move || Ok(users.clone()))
    };
    let short = image.id.short();
    for (users, text, force, expected) in [
        (
            &stopped,
            "a",
            false,
            format!(
                "conflict: unable to remove repository reference \"a\" (must force) - container c0ffeec0ffee is using its referenced image {short}"
            ),
        ),
        (
            &stopped,
            short,
            false,
            format!(
                "conflict: unable to delete {short} (must be forced) - image is being used by stopped container c0ffeec0ffee"
            ),
        ),
        (
            &running,
            short,
            true,
            format!(
                "conflict: unable to delete {short} (cannot be forced) - image is being used by running container c0ffeec0ffee"
            ),
        ),
    ] {
        assert_eq!(with(users, text, force).unwrap_err().to_string(), expected);
    }
    assert_eq!(shown(&with(&running, "a", true).unwrap()), ["Untagged: a:latest"]);
    assert_eq!(files(&scratch), before);
    assert!(store.image(&image.id).unwrap().names.is_empty());
    with(&stopped, short, true).unwrap();
    let layer = image.config.rootfs.diff_ids[0].hex().to_owned();
    assert_eq!(files(&scratch), BTreeSet::from([layer]), "the container's layer outlives its image");
    store.prune(false, NOBODY).unwrap();
    assert!(files(&scratch).is_empty());
    // Also by its last name.
    add_image(&store, "a", &[("x", b"1")], &[]);
    let removed = with(&stopped, "a", true).unwrap();
    assert_eq!(shown(&removed), ["Untagged: a:latest".to_owned(), format!("Deleted: {short}")]);
}

#[test]
fn prune() {
    let scratch = Scratch::new("prune");
    let store = store(&scratch);
    let old = add_image(&store, "a", &[("x", b"1")], &[]);
    let new = add_image(&store, "a", &[("x", b"22")], &[]);
    // That is all that a newer pull of its tag leaves it.
    let digest = name_digest(&store, &old, "a");
    let used = add_image(&store, "used", &[("x", b"333")], &[]);
    let Pruned { removed, freed, is_swept } = store.prune(false, NOBODY).unwrap();
    assert!(is_swept);
    assert_eq!(removed, [Removed::Untagged(digest.familiar()), Removed::Deleted(old.id)]);
    assert!(freed > 0);
    let users = user(&used, false);
    let removed = store.prune(true, &move || Ok(vec![users.clone()])).unwrap().removed;
    assert_eq!(shown(&removed), ["Untagged: a:latest".to_owned(), format!("Deleted: {}", new.id.short())]);
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn nothing_is_swept_while_somebody_is_at_work() {
    let scratch = Scratch::new("busy");
    let store = store(&scratch);
    add_image(&store, "a", &[("x", b"1")], &[]);
    let before = files(&scratch);
    let lease = store.use_images().unwrap();
    remove(&store, "a", false, NOBODY).unwrap();
    assert_eq!(files(&scratch), before);
    assert!(store.list().unwrap().is_empty());
    drop(lease);
    store.prune(false, NOBODY).unwrap();
    assert!(files(&scratch).is_empty());
}

#[test]
fn leftovers_of_the_killed_are_swept() {
    let scratch = Scratch::new("killed");
    let store = store(&scratch);
    let leftover = scratch.path().join("layers/.tmp-1-0/0/diff");
    std::fs::create_dir_all(&leftover).unwrap();
    let busy = store.ingest().unwrap();
    assert!(!leftover.exists());
    std::fs::create_dir_all(&leftover).unwrap();
    let second = store.ingest().unwrap();
    assert!(leftover.exists(), "somebody else may own it");
    drop((busy, second));
    store.ingest().unwrap();
    assert!(!leftover.exists());
}

#[test]
fn remains_that_nobody_deletes_go_with_the_next_ingest() {
    let scratch = Scratch::new("remains");
    let store = store(&scratch);
    add_image(&store, "a", &[("x", b"1")], &[]);
    let (_, remains) = store.remove("a", false, NOBODY).unwrap();
    assert!(!remains.is_empty());
    assert!(store.layers().list().unwrap().0.is_empty(), "under its name the layer is gone at once");
    drop(remains);
    assert_eq!(files(&scratch).len(), 1);
    drop(store.ingest().unwrap());
    assert!(files(&scratch).is_empty());
}
