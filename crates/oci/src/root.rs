//! The directory of all containers' state, a directory for each: which there are, and the name of a new one taken.
//!
//! ```text
//! <root>/<id>/state.json   what the container is and its first process
//! <root>/<id>/lock         flock of whoever changes it
//! <root>/<id>/exec.fifo    the gate of a container that is created and not started
//! <root>/#<id>             what is being removed
//! ```

use crate::container::Container;
use crate::error::{Error, Result, invalid};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Before the name of a container whose directory is being removed. No container's name begins so.
pub(crate) const REMOVED: &str = "#";

#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    /// Who makes the cgroups of new containers.
    pub(crate) driver: Driver,
    pub(crate) cgroups: Cgroups,
}

/// What becomes of a new container for which we have no right to make a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    Required,
    /// It goes on without one, unless its specification names one or sets limits.
    WherePermitted,
}

impl Cgroups {
    /// Who is root only in a user namespace may well have no right to cgroups.
    pub fn by_user_namespace() -> Cgroups {
        if kernel::namespace::is_initial_user() { Cgroups::Required } else { Cgroups::WherePermitted }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Cgroupfs,
    /// `cgroupsPath` is then `slice:prefix:name`.
    Systemd,
}

impl Root {
    pub fn at(path: &Path, driver: Driver, cgroups: Cgroups) -> Root {
        Root { path: path.to_owned(), driver, cgroups }
    }

    /// The names of all containers, also of those that are half made or half gone, in order.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("list", &self.path, &error)),
        };
        let directory = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let names = entries.flatten().filter(directory).filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| check_name(name).is_ok()).collect();
        names.sort();
        Ok(names)
    }

    /// What removals that were killed have left.
    pub(crate) fn removed(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let is_removed =
            |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(REMOVED.as_bytes());
        entries.filter(is_removed).map(|entry| entry.path()).collect()
    }

    /// The container `id`, as it was when its state was written last.
    pub fn open(&self, id: &str) -> Result<Container> {
        Container::load(id, self.directory(id)?)
    }

    pub fn directory(&self, id: &str) -> Result<PathBuf> {
        check_name(id)?;
        Ok(self.path.join(id))
    }

    /// Makes the directory of a new container: who makes it owns the name.
    pub(crate) fn reserve(&self, id: &str) -> Result<PathBuf> {
        let directory = self.directory(id)?;
        let at = |path: &Path, errno| Error::Kernel(kernel::Error::at("make directory", path, errno));
        // A second try for a root that is not there yet.
        for _ in 0..2 {
            match rustix::fs::mkdir(&directory, Mode::from_raw_mode(0o711)) {
                Ok(()) => return Ok(directory),
                Err(Errno::EXIST) => return Err(Error::Exists),
                Err(Errno::NOENT) => {
                    std::fs::create_dir_all(&self.path)
                        .map_err(|error| Error::file("make directory", &self.path, &error))?;
                    rustix::fs::chmod(&self.path, Mode::from_raw_mode(0o700)).map_err(|errno| at(&self.path, errno))?;
                }
                Err(errno) => return Err(at(&directory, errno)),
            }
        }
        Err(at(&directory, Errno::NOENT))
    }
}

/// One path component of letters, digits and `_+-.`, as runc has it.
pub(crate) fn check_name(id: &str) -> Result<()> {
    let known = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    match id {
        "" => Err(invalid("container id cannot be empty")),
        "." | ".." => Err(invalid("invalid container ID format")),
        _ if id.len() <= 1024 && id.chars().all(known) => Ok(()),
        _ => Err(invalid("invalid container ID format")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_plain_component() {
        for (name, good) in [("a", true), ("a-b_c.d+1", true), ("", false), (".", false), ("..", false), ("a/b", false)]
        {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }
}
