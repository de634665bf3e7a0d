//! Volumes on a real directory: their life, refusals, copy-up, and what kills and races leave.
//! Users of volumes need containers, so `volume is in use` is shown by the black-box tests.

use super::*;
use kernel::beneath::Root;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

struct Scratch {
    top: PathBuf,
    engine: Engine,
}

impl Scratch {
    fn new(name: &str) -> Scratch {
        let top = std::env::temp_dir().join(format!("brig-volumes-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&top);
        let engine = Engine::open(&top.join("root"), &top.join("state")).unwrap();
        std::fs::create_dir_all(top.join("rootfs/srv/sub")).unwrap();
        std::fs::write(top.join("rootfs/srv/a"), "image").unwrap();
        std::fs::write(top.join("rootfs/srv/sub/b"), "image").unwrap();
        std::fs::set_permissions(top.join("rootfs/srv"), PermissionsExt::from_mode(0o2750)).unwrap();
        Scratch { top, engine }
    }

    fn create(&self, name: &str) -> Result<Volume> {
        create(&self.engine, Some(name), "local", &BTreeMap::new(), &BTreeMap::new(), Lifetime::Named)
    }

    fn copy_up(&self, name: &str) {
        copy_up(&self.engine, name, &Root::open(&self.top.join("rootfs")).unwrap(), "/srv").unwrap();
    }

    fn volume(&self, path: &str) -> PathBuf {
        self.engine.paths().volumes().join(path)
    }

    fn names(&self) -> Vec<String> {
        list(&self.engine, &Filters::default()).unwrap().into_iter().map(|volume| volume.name).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.top);
    }
}

#[test]
fn made_listed_and_removed() {
    let scratch = Scratch::new("life");
    assert_eq!(scratch.names(), [""; 0]);
    let made = scratch.create("vol").unwrap();
    assert_eq!(inspect(&scratch.engine, "vol").unwrap(), made);
    assert_eq!(scratch.create("vol").unwrap(), made);
    assert_eq!(ensure(&scratch.engine, "vol").unwrap(), made.mountpoint);
    let anonymous = create(&scratch.engine, None, "", &BTreeMap::new(), &BTreeMap::new(), Lifetime::Named).unwrap();
    assert!(anonymous.is_anonymous() && anonymous.name.len() == 64);
    assert_eq!(scratch.names().len(), 2);
    let pruned = prune(&scratch.engine, false, &Filters::default()).unwrap();
    assert_eq!(pruned.names, [anonymous.name]);
    std::fs::write(made.mountpoint.join("x"), "12345").unwrap();
    assert_eq!(
        prune(&scratch.engine, true, &Filters::default()).unwrap(),
        Pruned { names: vec!["vol".into()], reclaimed_bytes: 5 }
    );
    assert_eq!(remove(&scratch.engine, "vol", false).unwrap_err().to_string(), "get vol: no such volume");
    remove(&scratch.engine, "vol", true).unwrap();
    assert_eq!(std::fs::read_dir(scratch.engine.paths().volumes()).unwrap().count(), 0);
}

#[test]
fn refusals() {
    let scratch = Scratch::new("refusals");
    for (name, text) in [
        ("a", "create a: volume name is too short, names should be at least two alphanumeric characters"),
        ("a/b", "create a/b: \"a/b\" includes invalid characters for a local volume name"),
        ("../x", "includes invalid characters"),
        (".x", "includes invalid characters"),
    ] {
        let error = scratch.create(name).unwrap_err().to_string();
        assert!(error.contains(text), "{name}: {error}");
        assert!(matches!(inspect(&scratch.engine, name), Err(Error::NotFound(_))));
        assert!(remove(&scratch.engine, name, false).is_err());
    }
    let options = [("type".to_owned(), "nfs".to_owned())].into();
    let with_options = create(&scratch.engine, Some("nfs"), "local", &BTreeMap::new(), &options, Lifetime::Named);
    assert!(matches!(with_options, Err(Error::Unsupported(_))));
    let other = create(&scratch.engine, Some("vol"), "foo", &BTreeMap::new(), &BTreeMap::new(), Lifetime::Named);
    assert!(other.unwrap_err().to_string().contains("plugin \"foo\" not found"));
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn filled_once_and_with_the_directorys_own_attributes() {
    let scratch = Scratch::new("fill");
    scratch.create("vol").unwrap();
    let inode = || std::fs::metadata(scratch.volume("vol/_data")).unwrap().ino();
    let before = inode();
    scratch.copy_up("vol");
    assert_eq!(inode(), before);
    assert_eq!(std::fs::read(scratch.volume("vol/_data/sub/b")).unwrap(), b"image");
    assert_eq!(std::fs::metadata(scratch.volume("vol/_data")).unwrap().mode() & 0o7777, 0o2750);
    std::fs::write(scratch.volume("vol/_data/a"), "user").unwrap();
    std::fs::remove_file(scratch.volume("vol/_data/sub/b")).unwrap();
    scratch.copy_up("vol");
    assert_eq!(std::fs::read(scratch.volume("vol/_data/a")).unwrap(), b"user");
    assert!(!scratch.volume("vol/_data/sub/b").exists());
    // Not into a volume that has files of its own, nor from a directory that is not there.
    scratch.create("own").unwrap();
    std::fs::write(scratch.volume("own/_data/x"), "").unwrap();
    scratch.copy_up("own");
    assert!(!scratch.volume("own/_data/a").exists());
    let root = Root::open(&scratch.top).unwrap();
    scratch.create("none").unwrap();
    copy_up(&scratch.engine, "none", &root, "/missing").unwrap();
    assert!(copy_up(&scratch.engine, "absent", &root, "/rootfs").is_err());
}

#[test]
fn a_kill_at_any_point_is_made_good() {
    let scratch = Scratch::new("kill");
    // While copying: the half is thrown away.
    scratch.create("copying").unwrap();
    std::fs::create_dir(scratch.volume("copying/copying")).unwrap();
    std::fs::write(scratch.volume("copying/copying/half"), "").unwrap();
    scratch.copy_up("copying");
    assert!(scratch.volume("copying/_data/a").exists() && !scratch.volume("copying/_data/half").exists());
    // While moving: the rest comes, and what a user made meanwhile stays.
    scratch.create("moving").unwrap();
    std::fs::create_dir(scratch.volume("moving/moving")).unwrap();
    for name in ["b", "c"] {
        std::fs::write(scratch.volume("moving/moving").join(name), "image").unwrap();
    }
    std::fs::write(scratch.volume("moving/_data/a"), "image").unwrap();
    std::fs::write(scratch.volume("moving/_data/b"), "user").unwrap();
    scratch.copy_up("moving");
    assert_eq!(std::fs::read(scratch.volume("moving/_data/b")).unwrap(), b"user");
    assert_eq!(std::fs::read(scratch.volume("moving/_data/c")).unwrap(), b"image");
    for name in ["copying", "moving"] {
        assert!(!scratch.volume(name).join("copying").exists() && !scratch.volume(name).join("moving").exists());
    }
    // While making and removing.
    let ghost = i32::MAX;
    for name in [format!(".new-{ghost}-x"), format!(".old-{ghost}-y")] {
        std::fs::create_dir(scratch.volume(&name)).unwrap();
    }
    prune(&scratch.engine, false, &Filters::default()).unwrap();
    assert_eq!(scratch.names(), ["copying", "moving"]);
    assert_eq!(std::fs::read_dir(scratch.engine.paths().volumes()).unwrap().count(), 2);
}

#[test]
fn what_a_former_process_of_this_number_left_is_in_nobodys_way() {
    let scratch = Scratch::new("number");
    let left = |kind: &str, call: u64| scratch.volume(&format!(".{kind}-{}-{call}-vol", std::process::id()));
    for call in 0..200 {
        for kind in ["new", "old"] {
            std::fs::create_dir_all(left(kind, call).join("_data")).unwrap();
        }
    }
    scratch.create("vol").unwrap();
    remove(&scratch.engine, "vol", false).unwrap();
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn racing_starts_fill_once() {
    let scratch = Scratch::new("race");
    scratch.create("vol").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| scratch.copy_up("vol"));
            scope.spawn(|| scratch.create("vol").unwrap());
        }
    });
    assert_eq!(std::fs::read(scratch.volume("vol/_data/sub/b")).unwrap(), b"image");
    assert!(!scratch.volume("vol/moving").exists());
}

#[test]
fn a_lock_on_a_removed_volume_is_not_a_lock() {
    let scratch = Scratch::new("ghost");
    scratch.create("vol").unwrap();
    let held = lock(&scratch.engine, "vol").unwrap().unwrap();
    take_away(&scratch.engine, "vol").unwrap();
    drop(held);
    assert!(lock(&scratch.engine, "vol").unwrap().is_none());
    scratch.create("vol").unwrap();
    assert!(lock(&scratch.engine, "vol").unwrap().is_some());
}

#[test]
fn what_a_power_cut_left_is_listed_and_pruned() {
    let scratch = Scratch::new("power-cut");
    let none = BTreeMap::new();
    let make = || create(&scratch.engine, None, "local", &none, &none, Lifetime::Volatile).unwrap().name;
    let (empty, missing, whole) = (make(), make(), make());
    std::fs::write(scratch.volume(&format!("{empty}/volume.json")), "").unwrap();
    std::fs::remove_file(scratch.volume(&format!("{missing}/volume.json"))).unwrap();
    let mut names = vec![empty.clone(), missing, whole.clone()];
    names.sort();
    assert_eq!(scratch.names(), names);
    assert!(inspect(&scratch.engine, &empty).unwrap().is_anonymous());
    assert_eq!(prune(&scratch.engine, false, &Filters::default()).unwrap().names, names);
    assert!(!scratch.volume(&whole).exists());
    // Damage of any other kind is for somebody to look at.
    let kept = make();
    std::fs::write(scratch.volume(&format!("{kept}/volume.json")), "{").unwrap();
    assert!(list(&scratch.engine, &Filters::default()).is_err());
}
