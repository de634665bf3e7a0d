//! `--tmpfs TARGET[:OPTIONS]`: options of mount(8) and tmpfs(5).
//! Unknown ones are refused here, because the kernel's own error would not name them.

use engine::options::{Mount, MountSource, Typed};

const WORDS: [&str; 28] = [
    "defaults",
    "rw",
    "ro",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "unbindable",
    "runbindable",
];
const KEYS: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// One tmpfs; its options stay as typed.
pub fn parse(text: &str) -> Result<Mount, String> {
    let (target, list) = text.split_once(':').unwrap_or((text, ""));
    if !target.starts_with('/') {
        return Err(format!("invalid mount path: '{target}' mount path must be absolute"));
    }
    let options: Vec<String> = list.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    for option in &options {
        let known = match option.split_once('=') {
            Some((key, value)) => KEYS.contains(&key) && !value.is_empty(),
            None => WORDS.contains(&option.as_str()),
        };
        if !known {
            return Err(format!("invalid tmpfs option {option:?}"));
        }
    }
    let read_only =
        options.iter().rev().find(|option| *option == "ro" || *option == "rw").is_some_and(|option| option == "ro");
    Ok(Mount {
        target: target.to_owned(),
        read_only,
        source: MountSource::Tmpfs { size_bytes: None, mode: None, options },
        typed: Typed::Tmpfs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        let mount = parse("/t:size=1m,ro,mode=1777").unwrap();
        assert!(mount.read_only);
        assert_eq!(mount.target, "/t");
        assert_eq!(parse("/a:foo"), Err("invalid tmpfs option \"foo\"".into()));
        for text in ["", "a", "/a:size", "/a:size=", "/a:lowerdir=/etc"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
