//! Mounts and directories made beneath a shared volume while its owner swaps directories for links: CVE-2021-30465,
//! CVE-2023-27561, CVE-2024-45310.

use super::rounds;
use super::swap::Shared;
use crate::harness::Brig;

/// Starts containers with `mounts` while the place of the mounts is being swapped. None may fail in any way but by an
/// error, and none sees what lies behind the link.
#[track_caller]
fn race(mounts: &[&str], look: &str) {
    let brig = Brig::new();
    let shared = Shared::new(&brig);
    let other = brig.mkdir("other");
    std::fs::write(format!("{other}/file"), "bound").expect("our own directory");
    let volume = shared.volume.display();
    let mounts = mounts.join(" ").replace("OTHER", &other);
    let swap = shared.swap();
    let (mut started, mut refused) = (0, 0);
    for _ in 0..rounds(25) {
        let output = brig.run(&format!("run --rm --network none -v {volume}:/vol {mounts} bb {look}"));
        let said = format!("{}{}", output.text(), output.stderr);
        assert!(!said.contains("of the host"), "a file of the host is seen inside: {said}");
        match output.code {
            125 => refused += 1,
            _ => started += 1,
        }
        shared.assert_untouched();
    }
    let count = swap.count();
    drop(swap);
    assert!(
        started > 0 && count > u64::from(rounds(25)),
        "only {count} swaps for {started} starts and {refused} refusals"
    );
    shared.assert_untouched();
    assert_eq!(brig.ok("ps -aq"), "");
}

#[test]
fn a_mount_in_a_volume_that_is_being_swapped() {
    race(&["-v OTHER:/vol/race"], "sh -c 'cat /vol/race/flag; ls /vol/race; true'");
}

#[test]
fn a_memory_file_system_in_a_volume_that_is_being_swapped() {
    race(&["--tmpfs /vol/race"], "sh -c 'touch /vol/race/made; cat /vol/race/flag; true'");
}

#[test]
fn directories_made_for_a_mount_stay_in_the_volume() {
    race(&["-v OTHER:/vol/race/deep/er/x"], "true");
}

#[test]
fn a_file_made_for_a_mount_stays_in_the_volume() {
    race(&["-v OTHER/file:/vol/race/made/file"], "true");
}

#[test]
fn a_working_directory_stays_in_the_volume() {
    race(&["-w /vol/race/work"], "sh -c 'cat flag ../flag; true'");
}
