//! Damage of each kind is found, named with the images that need the part, and nothing else is.

use super::*;
use crate::testing::{Scratch, add_image};
use std::io::Write;
use std::path::PathBuf;

const NOBODY: Users<'_> = &|| Ok(Vec::new());

fn store(scratch: &Scratch) -> Store {
    Store::open(scratch.path()).unwrap()
}

fn damages(store: &Store) -> Vec<(Part, usize)> {
    let report = store.check(&mut |_, _, _| (), NOBODY).unwrap();
    report.damages.into_iter().map(|damage| (damage.part, damage.images.len())).collect()
}

/// Changes one byte in the middle.
fn spoil(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    File::create(path).unwrap().write_all(&bytes).unwrap();
}

#[test]
fn a_sound_store_has_no_damage() {
    let scratch = Scratch::new("check");
    let store = store(&scratch);
    add_image(&store, "a", &[("d/", b""), ("d/x", &[7; 9000]), ("d/link -> x", b"")], &[("y", b"2")]);
    add_image(&store, "b", &[("z", b"3")], &[]);
    let report = store.check(&mut |_, _, _| (), NOBODY).unwrap();
    assert!(report.damages.is_empty(), "{:?}", report.damages);
    assert_eq!((report.images, report.layers), (2, 3));
    assert!(report.unused.is_empty(), "{:?}", report.unused);
    assert_eq!(std::fs::read_dir(scratch.path().join("layers")).unwrap().count(), 3, "nothing temporary stays");
}

#[test]
fn damaged_parts_are_found_with_the_images_that_need_them() {
    let scratch = Scratch::new("check-damage");
    let store = store(&scratch);
    let a = add_image(&store, "a", &[("x", &[7; 9000])], &[("y", b"2")]);
    let b = add_image(&store, "b", &[("x", &[7; 9000])], &[("z", b"3")]);
    let shared = &a.config.rootfs.diff_ids[0];
    let place = store.layers().place(shared);
    let file: PathBuf = if place.is_dir() { place.join("x") } else { place };
    let (sound, modified) = (std::fs::read(&file).unwrap(), file.metadata().unwrap().modified().unwrap());
    spoil(&file);
    assert_eq!(damages(&store), [(Part::Layer(shared.clone()), 2)]);
    std::fs::write(&file, &sound).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    let layer = Part::Layer(b.config.rootfs.diff_ids[1].clone());
    let aside = store.set_aside([&layer]).unwrap();
    assert_eq!(damages(&store), [(layer, 1)]);
    drop(aside);
    spoil(&store.blob_path(&a.id));
    std::fs::remove_file(store.blob_path(&b.manifest_digest)).unwrap();
    assert_eq!(damages(&store), [(Part::Blob(a.id.clone()), 1), (Part::Blob(b.manifest_digest.clone()), 1)]);
}

#[test]
fn what_was_replaced_does_not_come_back() {
    let scratch = Scratch::new("check-aside");
    let store = store(&scratch);
    let image = add_image(&store, "a", &[("x", b"1")], &[]);
    let part = Part::Blob(image.id.clone());
    let path = store.blob_path(&image.id);
    let aside = store.set_aside([&part]).unwrap();
    assert!(!path.exists());
    std::fs::write(&path, "new").unwrap();
    drop(aside);
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    drop(store.set_aside([&part]).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
}

#[test]
fn what_nobody_needs_is_told_and_removed() {
    let scratch = Scratch::new("check-unused");
    let store = store(&scratch);
    let image = add_image(&store, "a", &[("x", b"1")], &[("y", b"2")]);
    // As a killed removal leaves it: no name, everything else still there.
    let forget = |entries: &mut Vec<Entry>| {
        entries.clear();
        Ok(())
    };
    store.update(forget).unwrap();
    let parts = |users: Users<'_>| -> Vec<Part> {
        let report = store.check(&mut |_, _, _| (), users).unwrap();
        assert!(report.unused.iter().all(|(_, bytes)| *bytes > 0));
        report.unused.into_iter().map(|(part, _)| part).collect()
    };
    let layers: Vec<Part> = image.config.rootfs.diff_ids.iter().cloned().map(Part::Layer).collect();
    let all = parts(NOBODY);
    assert_eq!(all.iter().filter(|part| layers.contains(part)).count(), 2);
    assert!(all.contains(&Part::Blob(image.id.clone())) && all.contains(&Part::Blob(image.manifest_digest.clone())));
    let user = crate::gc::User {
        container: "c0ffee".repeat(10),
        running: false,
        image: image.id.clone(),
        layers: vec![image.config.rootfs.diff_ids[0].clone()],
    };
    let users = || Ok(vec![user.clone()]);
    assert!(!parts(&users).contains(&layers[0]));
    assert!(store.remove_unused(&users).unwrap().is_some_and(|freed| freed > 0));
    assert!(parts(&users).is_empty());
    assert_eq!(parts(NOBODY), [layers[0].clone()], "it was the container's");
}
