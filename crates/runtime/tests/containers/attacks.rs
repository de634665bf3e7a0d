//! Images and volumes that try to lead the set-up astray. Each is named by what it once worked against.

use crate::Case;
use crate::stage::{Stage, mount};
use std::os::unix::fs::symlink;

pub const CASES: &[Case] = &[
    ("mount destinations cannot leave the root", destinations),
    ("nothing is mounted over /proc (CVE-2019-16884)", over_proc),
    ("/proc may not be a link (CVE-2019-19921)", proc_is_a_link),
    ("a link to /proc/self/fd as working directory (CVE-2024-21626)", leaked_directory),
    ("a link in the place of /dev/null (CVE-2025-31133)", false_null),
    ("a link in the place of /dev/console (CVE-2025-52565)", false_console),
    ("/dev as a link", dev_is_a_link),
];

fn destinations() {
    let mut stage = Stage::script("cat /target/file; ls /outside 2>/dev/null || true");
    let (source, secret) = (stage.directory.join("source"), stage.directory.join("secret"));
    for directory in [&source, &secret] {
        std::fs::create_dir(directory).unwrap();
    }
    std::fs::write(source.join("file"), "bound\n").unwrap();
    let source = source.to_str().unwrap().to_owned();
    // Absolute, and upwards: both mean places in the container.
    symlink(&secret, stage.upper("absolute")).unwrap();
    symlink("../../../../../../../target", stage.upper("upwards")).unwrap();
    stage.mount("bind", &source, "/absolute/in", &["rbind"]);
    stage.mount("bind", &source, "/upwards", &["rbind"]);
    stage.mount("bind", &source, "/../../outside", &["rbind"]);
    stage.check_output("bound\nfile");
    assert_eq!(std::fs::read_dir(&secret).unwrap().count(), 0);
    assert!(stage.upper(secret.strip_prefix("/").unwrap().to_str().unwrap()).join("in").exists());
}

fn over_proc() {
    let refuse = |destination: &str, prepare: &dyn Fn(&Stage)| {
        let mut stage = Stage::new();
        prepare(&stage);
        let source = stage.directory.to_str().unwrap().to_owned();
        stage.mount("bind", &source, destination, &["rbind"]);
        let error = stage.error();
        assert!(error.to_string().contains("/proc"), "{destination}: {error}");
    };
    refuse("/proc", &|_| {});
    refuse("/proc/sys", &|_| {});
    refuse("/proc/self/attr", &|_| {});
    refuse("/x/../proc/sys", &|_| {});
    refuse("/link", &|stage| symlink("/proc/sys", stage.upper("link")).unwrap());
    refuse("/link/attr", &|stage| symlink("/proc/self", stage.upper("link")).unwrap());
    // What lxcfs does is fine.
    let mut stage = Stage::script("cat /proc/uptime");
    std::fs::write(stage.directory.join("uptime"), "1 2").unwrap();
    let source = stage.directory.join("uptime").to_str().unwrap().to_owned();
    stage.mount("bind", &source, "/proc/uptime", &["bind"]);
    stage.check_output("1 2");
}

fn proc_is_a_link() {
    let stage = Stage::new();
    std::fs::create_dir(stage.upper("elsewhere")).unwrap();
    symlink("/elsewhere", stage.upper("proc")).unwrap();
    let error = stage.error();
    assert!(error.to_string().contains("/proc"), "{error}");
}

fn leaked_directory() {
    for fd in 3..14 {
        let mut stage = Stage::script("pwd");
        stage.process().cwd = format!("/proc/self/fd/{fd}");
        // Where no such descriptor is left: an error. Never a directory of the host.
        stage.error();
        let mut stage = Stage::script("pwd; ls /");
        symlink(format!("/proc/self/fd/{fd}"), stage.upper("link")).unwrap();
        stage.process().cwd = "/link".into();
        stage.error();
    }
}

/// The image's own /dev, without a tmpfs over it: what lies in a device's place is replaced.
fn false_null() {
    let mut stage = Stage::script("stat -c '%F %t:%T' /dev/null; wc -c < /proc/timer_list; cat /etc/plain");
    stage.spec.mounts.retain(|mount| !mount.destination.starts_with("/dev"));
    std::fs::create_dir(stage.upper("dev")).unwrap();
    symlink("/etc/plain", stage.upper("dev/null")).unwrap();
    stage.check_output("character special file 1:3\n0\ntext");
}

fn false_console() {
    let mut stage = Stage::new();
    stage.spec.mounts.retain(|mount| mount.destination != "/dev");
    std::fs::create_dir(stage.upper("dev")).unwrap();
    for target in ["../../../../../../../etc/hostname", "/proc/sys/kernel/core_pattern"] {
        let _ = std::fs::remove_file(stage.upper("dev/console"));
        symlink(target, stage.upper("dev/console")).unwrap();
        let before = std::fs::read("/etc/hostname").ok();
        let error = stage.create(runtime::Stdio::Terminal { width: 0, height: 0 }).unwrap_err();
        assert!(error.to_string().contains("/dev/console"), "{error}");
        assert_eq!(std::fs::read("/etc/hostname").ok(), before);
    }
}

fn dev_is_a_link() {
    let mut stage = Stage::script("stat -c %t:%T /dev/null; cat /proc/self/mountinfo | grep -c ' /real '");
    std::fs::create_dir(stage.upper("real")).unwrap();
    symlink("/real", stage.upper("dev")).unwrap();
    stage.spec.mounts.retain(|mount| !mount.destination.starts_with("/dev"));
    stage.spec.mounts.push(mount("tmpfs", "tmpfs", "/dev", &["nosuid", "mode=755"]));
    stage.check_output("1:3\n1");
}
