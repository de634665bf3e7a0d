//! The executable out of the container's reach (CVE-2019-5736): this test program executes itself with the word
//! `sealed` and looks at what it has become.

use crate::Case;
use std::os::unix::process::CommandExt;
use std::process::Command;

pub const CASES: &[Case] = &[
    ("our executable is sealed by a mount", || check(|_| {})),
    ("our executable is sealed by a copy, without the right to mount", || check(as_nobody)),
];

fn check(change: impl FnOnce(&mut Command)) {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("own-name").args(["sealed", "an argument"]).env_clear().env("WORD", "kept");
    change(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, "[\"own-name\", \"sealed\", \"an argument\"] [(\"WORD\", \"kept\")]\n");
}

fn as_nobody(command: &mut Command) {
    command.uid(65534).gid(65534);
}

/// In the executed program: seals itself, checks it, prints what it was called with.
pub fn run() {
    kernel::self_exe::ensure_sealed().unwrap();
    // That a running program cannot be written (ETXTBSY) ends with it; these two do not.
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let is_copy = rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| !seals.is_empty());
    assert!(is_copy || kernel::pivot::is_read_only("/proc/self/exe").unwrap());
    println!("{:?} {:?}", std::env::args().collect::<Vec<_>>(), std::env::vars().collect::<Vec<_>>());
}
