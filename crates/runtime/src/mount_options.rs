//! The `options` of a mount in the specification, as mount(8) names them, sorted into what the kernel takes
//! separately: attributes of the mount, propagation, and data for the file system.

use crate::error::{Result, invalid};
use kernel::mount::{Attributes, Propagation};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub set: Attributes,
    pub clear: Attributes,
    /// Whether an attribute was named at all, and whether one of the access time was set (not only cleared).
    pub has_attributes: bool,
    pub sets_access_time: bool,
    /// Those with an `r` before (`rro`), which hold for all mounts below a bind too.
    pub recursive_set: Attributes,
    pub recursive_clear: Attributes,
    /// And whether it holds for all mounts below.
    pub propagation: Option<(Propagation, bool)>,
    /// `bind` is `Some(false)`, `rbind` is `Some(true)`.
    pub bind: Option<bool>,
    /// Change what is mounted there already.
    pub remount: bool,
    /// Map owners: `idmap` is `Some(false)`, `ridmap`, for all mounts below too, is `Some(true)`.
    pub map_ids: Option<bool>,
    /// Fill a tmpfs with what it covers.
    pub copy_up: bool,
    /// Of the file system as a whole (`sync`, `dirsync`, …), as fsconfig(2) names them; a bind has none.
    pub superblock: Vec<&'static str>,
    /// For the file system, in order.
    pub data: Vec<(String, Option<String>)>,
}

impl Options {
    pub fn parse(options: &[String]) -> Result<Options> {
        let mut parsed = Options::default();
        // Some write several into one entry, as in fstab.
        for option in options.iter().flat_map(|entry| split(entry)) {
            parsed.add(option)?;
        }
        Ok(parsed)
    }

    fn add(&mut self, option: &str) -> Result<()> {
        if let Some(propagation) = propagation(option) {
            self.propagation = Some(propagation);
        } else if let Some((set, clear)) = attribute(option) {
            self.set = self.set.without(clear).with(set);
            self.clear = self.clear.without(set).with(clear);
            self.has_attributes = true;
            self.sets_access_time |= matches!(option, "noatime" | "nodiratime" | "relatime" | "strictatime");
        } else if let Some((set, clear)) = option.strip_prefix('r').and_then(recursive_attribute) {
            self.recursive_set = self.recursive_set.without(clear).with(set);
            self.recursive_clear = self.recursive_clear.without(set).with(clear);
        } else if let Some(flag) = superblock_flag(option) {
            self.superblock.push(flag);
        } else {
            match option {
                "bind" => self.bind = Some(self.bind.unwrap_or(false)),
                "rbind" => self.bind = Some(true),
                "tmpcopyup" => self.copy_up = true,
                // Whether the kernel's log hears of it is no property of the mount.
                "defaults" | "silent" | "loud" | "" => {}
                "remount" => self.remount = true,
                "idmap" => self.map_ids = Some(false),
                "ridmap" => self.map_ids = Some(true),
                "iversion" | "noiversion" => {
                    return Err(invalid(format!(
                        "mount option {option:?} is not supported: file systems decide it themselves"
                    )));
                }
                _ => self.add_data(option),
            }
        }
        Ok(())
    }

    /// For a mount that is new, and so has none below: what holds for all of them holds for it.
    pub fn of_one_mount(mut self) -> Options {
        self.set = self.set.without(self.recursive_clear).with(self.recursive_set);
        self.clear = self.clear.without(self.recursive_set).with(self.recursive_clear);
        self
    }

    fn add_data(&mut self, option: &str) {
        match option.split_once('=') {
            Some((key, value)) => self.data.push((key.to_owned(), Some(value.to_owned()))),
            None => self.data.push((option.to_owned(), None)),
        }
    }

    pub fn has_data(&self, key: &str) -> bool {
        self.data.iter().any(|(k, _)| k == key)
    }
}

/// Takes what is for a file system out of the options of a bind mount, which has none of its own: the kernel would leave it
/// without effect. Returns what was taken out; nothing of other mounts.
pub fn sift_bind(mount: &mut spec::runtime::Mount) -> Vec<String> {
    let is_bind = |options: &[String]| Options::parse(options).is_ok_and(|options| options.bind.is_some());
    if mount.kind != "bind" && !is_bind(&mount.options) {
        return Vec::new();
    }
    let is_data =
        |option: &String| Options::parse(std::slice::from_ref(option)).is_ok_and(|options| !options.data.is_empty());
    let single = mount.options.iter().flat_map(|entry| split(entry)).map(str::to_owned);
    let (data, kept) = single.partition(is_data);
    mount.options = kept;
    data
}

/// A comma separates, but not within the quotes of a security context.
fn split(entry: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    entry.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

fn propagation(option: &str) -> Option<(Propagation, bool)> {
    let kind = |name| match name {
        "private" => Some(Propagation::Private),
        "shared" => Some(Propagation::Shared),
        "slave" => Some(Propagation::Slave),
        "unbindable" => Some(Propagation::Unbindable),
        _ => None,
    };
    match kind(option) {
        Some(found) => Some((found, false)),
        None => option.strip_prefix('r').and_then(kind).map(|found| (found, true)),
    }
}

fn superblock_flag(option: &str) -> Option<&'static str> {
    const FLAGS: [&str; 7] = ["async", "sync", "dirsync", "lazytime", "nolazytime", "mand", "nomand"];
    FLAGS.iter().find(|flag| **flag == option).copied()
}

/// What to set and what to clear.
fn attribute(option: &str) -> Option<(Attributes, Attributes)> {
    use Attributes as A;
    Some(match option {
        "ro" => (A::READ_ONLY, A::NONE),
        "rw" => (A::NONE, A::READ_ONLY),
        "nosuid" => (A::NOSUID, A::NONE),
        "suid" => (A::NONE, A::NOSUID),
        "nodev" => (A::NODEV, A::NONE),
        "dev" => (A::NONE, A::NODEV),
        "noexec" => (A::NOEXEC, A::NONE),
        "exec" => (A::NONE, A::NOEXEC),
        "nodiratime" => (A::NODIRATIME, A::NONE),
        "diratime" => (A::NONE, A::NODIRATIME),
        "nosymfollow" => (A::NOSYMFOLLOW, A::NONE),
        "symfollow" => (A::NONE, A::NOSYMFOLLOW),
        // One choice of three: the others' bits are cleared with it.
        "noatime" => (A::NOATIME, A::ATIME_MASK.without(A::NOATIME)),
        "strictatime" => (A::STRICTATIME, A::ATIME_MASK.without(A::STRICTATIME)),
        "relatime" => (A::NONE, A::ATIME_MASK),
        "atime" => (A::NONE, A::NOATIME),
        "nostrictatime" => (A::NONE, A::STRICTATIME),
        "norelatime" => (A::NONE, A::NONE),
        _ => return None,
    })
}

/// For mount_setattr(2), where to clear one choice of access time is to go back to the default.
fn recursive_attribute(option: &str) -> Option<(Attributes, Attributes)> {
    match option {
        "atime" | "nostrictatime" | "norelatime" => attribute("relatime"),
        option => attribute(option),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Options {
        Options::parse(&options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn attributes_and_data_are_told_apart() {
        let options = parse(&["nosuid", "strictatime", "mode=755", "size=65536k"]);
        assert_eq!(options.set, Attributes::NOSUID.with(Attributes::STRICTATIME));
        assert_eq!(options.data[1], ("size".into(), Some("65536k".into())));
        assert!(options.has_data("mode"));
    }

    #[test]
    fn the_last_of_a_pair_wins() {
        assert!(parse(&["ro", "rw"]).set.is_empty());
        assert_eq!(parse(&["rw", "ro"]).clear, Attributes::NONE);
        assert_eq!(parse(&["noatime", "strictatime"]).set, Attributes::STRICTATIME);
    }

    #[test]
    fn binds_and_propagation() {
        let options = parse(&["rbind", "rprivate", "rro", "ro"]);
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.propagation, Some((Propagation::Private, true)));
        assert_eq!(options.recursive_set, Attributes::READ_ONLY);
        assert_eq!(parse(&["slave"]).propagation, Some((Propagation::Slave, false)));
    }

    #[test]
    fn one_entry_may_hold_several() {
        let options = parse(&["ro,nosuid,context=\"a,b\""]);
        assert_eq!(options.set, Attributes::READ_ONLY.with(Attributes::NOSUID));
        assert_eq!(options.data, [("context".into(), Some("\"a,b\"".into()))]);
    }

    #[test]
    fn binds_have_no_data() {
        let mount = |kind: &str, options: &[&str]| spec::runtime::Mount {
            kind: kind.into(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            ..spec::runtime::Mount::default()
        };
        let check = |mut mount: spec::runtime::Mount, taken: &[&str], kept: &[&str]| {
            assert_eq!(sift_bind(&mut mount), taken);
            assert_eq!(mount.options, kept);
        };
        check(mount("", &["ro,mode=755", "rbind", "size=1k"]), &["mode=755", "size=1k"], &["ro", "rbind"]);
        check(mount("bind", &["discard", "sync"]), &["discard"], &["sync"]);
        check(mount("tmpfs", &["mode=755"]), &[], &["mode=755"]);
    }

    #[test]
    fn recursion_is_no_prefix_of_a_plain_word() {
        // `relatime` starts with an r and is plain.
        assert_eq!(parse(&["relatime"]).clear, Attributes::ATIME_MASK);
        assert!(parse(&["relatime"]).recursive_clear.is_empty());
        assert!(parse(&["remount"]).remount);
        assert_eq!(parse(&["rbind", "ridmap"]).map_ids, Some(true));
        assert_eq!(parse(&["sync", "silent", "size=1k"]).superblock, ["sync"]);
        assert!(Options::parse(&["iversion".to_owned()]).is_err());
    }
}
