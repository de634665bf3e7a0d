//! The environment of a container's processes as runc has it: of variables given twice the last one counts, and HOME
//! is looked up in the container's own `/etc/passwd` where it is missing or empty.

use kernel::beneath::Root;
use rustix::fs::{Mode, OFlags};
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

/// So much of a passwd file is read.
const PASSWD_BYTES_MAX: u64 = 1 << 20;

/// `variables` without those that a later one overrides, and with HOME. `root` is the container's root directory.
pub fn complete(variables: &[String], user: u32, root: &Path) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut kept: Vec<&String> = variables.iter().rev().filter(|variable| seen.insert(name_of(variable))).collect();
    kept.reverse();
    let mut complete: Vec<String> = kept.into_iter().filter(|variable| *variable != "HOME=").cloned().collect();
    if !complete.iter().any(|variable| name_of(variable) == "HOME") {
        complete.push(format!("HOME={}", home(user, root).unwrap_or_else(|| "/".to_owned())));
    }
    complete
}

fn name_of(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

fn home(user: u32, root: &Path) -> Option<String> {
    let found = Root::open(root).ok()?.open_file("/etc/passwd", OFlags::PATH, Mode::empty()).ok()?;
    // Not a pipe or a device, which could keep us waiting.
    let file = kernel::beneath::open_regular(found).ok()?;
    let mut text = Vec::new();
    std::fs::File::from(file).take(PASSWD_BYTES_MAX).read_to_end(&mut text).ok()?;
    home_in(&String::from_utf8_lossy(&text), user)
}

fn home_in(passwd: &str, user: u32) -> Option<String> {
    let entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = entries.into_iter().find(|fields| fields.get(2).is_some_and(|uid| uid.parse() == Ok(user)))?;
    found.get(5).filter(|home| !home.is_empty()).map(|home| (*home).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[&str], expected: &[&str]) {
        let variables: Vec<String> = variables.iter().map(|v| (*v).to_owned()).collect();
        assert_eq!(complete(&variables, 7, Path::new("/nonexistent")), expected);
    }

    #[test]
    fn the_last_one_counts_and_home_is_there() {
        check(&[], &["HOME=/"]);
        check(&["A=1", "B=2", "A=3"], &["B=2", "A=3", "HOME=/"]);
        check(&["HOME=/x", "HOME="], &["HOME=/"]);
        check(&["HOME=/x"], &["HOME=/x"]);
    }

    #[test]
    fn home_is_the_sixth_field() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nu:x:7:7::/home/u:\n";
        assert_eq!(home_in(passwd, 7).as_deref(), Some("/home/u"));
        assert_eq!(home_in(passwd, 8), None);
    }
}
