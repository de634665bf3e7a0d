//! Device nodes by number: making them beneath a directory descriptor and recognising them by
//! what they are rather than by their name. Called by `runtime` for a container's `/dev`.

use crate::error::{Context, Result};
use rustix::fs::{FileType, Mode};
use std::ffi::OsStr;
use std::os::fd::AsFd;

/// `/dev/null` is this character device on every Linux (admin-guide/devices.txt).
pub const NULL: Number = Number { major: 1, minor: 3 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub major: u32,
    pub minor: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Character(Number),
    Block(Number),
    Fifo,
}

/// Makes a node called `name` in `directory`. The mode is subject to the umask. `EPERM` without
/// CAP_MKNOD in the initial user namespace, `EEXIST` when the name is taken.
pub fn make(directory: impl AsFd, name: &OsStr, kind: Kind, mode: u32) -> Result<()> {
    let (file_type, number) = match kind {
        Kind::Character(number) => (FileType::CharacterDevice, number),
        Kind::Block(number) => (FileType::BlockDevice, number),
        Kind::Fifo => (FileType::Fifo, Number { major: 0, minor: 0 }),
    };
    let device = rustix::fs::makedev(number.major, number.minor);
    rustix::fs::mknodat(directory, name, file_type, Mode::from_raw_mode(mode), device).during_at("make device", name)
}

/// What device an open descriptor (`O_PATH` is enough) means; `None` for anything else.
pub fn kind_of(fd: impl AsFd) -> Result<Option<Kind>> {
    let stat = rustix::fs::fstat(fd).during("stat device")?;
    let number = Number { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) };
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => Some(Kind::Character(number)),
        FileType::BlockDevice => Some(Kind::Block(number)),
        FileType::Fifo => Some(Kind::Fifo),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn recognises_null_and_what_is_not() {
        let null = kind_of(File::open("/dev/null").unwrap()).unwrap();
        assert_eq!(null, Some(Kind::Character(NULL)));
        assert_eq!(kind_of(File::open("/proc/self/status").unwrap()).unwrap(), None);
        assert_eq!(kind_of(File::open("/").unwrap()).unwrap(), None);
    }

    #[test]
    fn a_fifo_needs_no_privilege() {
        let directory = std::env::temp_dir().join(format!("brig-device-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let fd = File::open(&directory).unwrap();
        make(&fd, OsStr::new("pipe"), Kind::Fifo, 0o600).unwrap();
        let again = make(&fd, OsStr::new("pipe"), Kind::Fifo, 0o600).unwrap_err();
        assert_eq!(again.errno, rustix::io::Errno::EXIST);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
