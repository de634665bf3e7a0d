//! /proc and /dev: mounts over them and files in the place of devices, by images and by volumes whose owner races the
//! start. CVE-2019-16884, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881.

use super::rounds;
use super::swap::Swap;
use crate::harness::Brig;
use crate::harness::image::busybox_tar;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// Files of the host through which a write becomes root's program, or an outage.
const PRECIOUS: [&str; 4] =
    ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/panic", "/proc/sys/kernel/sysrq"];

fn precious() -> Vec<Option<String>> {
    PRECIOUS.iter().map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[test]
fn nothing_is_mounted_over_proc() {
    let brig = Brig::new();
    let before = precious();
    for place in ["/proc", "/proc/self/attr", "/proc/sys", "/x/../proc/self"] {
        let line = format!("import -c 'VOLUME {place}' - evil");
        brig.command(&line).send(busybox_tar()).expect(0);
        brig.fails("run --rm evil true", 125, "/proc");
    }
    let directory = brig.mkdir("own");
    brig.fails(&format!("run --rm -v {directory}:/proc/self bb true"), 125, "/proc");
    brig.fails("run --rm --tmpfs /proc/sys bb true", 125, "/proc");
    // By a link of the image, or of a volume.
    symlink("/proc/sys", format!("{directory}/link")).expect("our own directory");
    brig.fails(&format!("run --rm -v {directory}:/vol --tmpfs /vol/link bb true"), 125, "/proc");
    assert_eq!(brig.ok("ps -aq"), "");
    assert_eq!(precious(), before);
}

/// A directory with what a container's /dev needs, some of it links that lead elsewhere.
fn false_dev(brig: &Brig, links: &[(&str, &str)]) -> String {
    let directory = brig.mkdir("dev");
    for name in ["pts", "shm", "mqueue"] {
        std::fs::create_dir_all(format!("{directory}/{name}")).expect("our own directory");
    }
    for (name, target) in links {
        symlink(target, format!("{directory}/{name}")).expect("our own directory");
    }
    directory
}

/// Each masked file must read as empty, and what is read-only must stay so, whatever lies at /dev/null.
const MASKED: &str = "for file in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do
        [ ! -e $file ] || [ $(head -c 10 $file | wc -c) = 0 ] || echo $file shows something
    done
    for file in core_pattern modprobe panic sysrq; do
        (: >>/proc/sys/kernel/$file) 2>&- && echo $file can be written
    done
    [ -w /proc/sysrq-trigger ] && (: >>/proc/sysrq-trigger) 2>&- && echo sysrq-trigger can be written
    awk '$(NF-2) == \"devpts\" && $5 !~ /^\\/dev\\// { print \"a terminal at \" $5 }' /proc/self/mountinfo
    true";

#[test]
fn a_false_null_device_uncovers_nothing() {
    let brig = Brig::new();
    let before = precious();
    let script = brig.write("masked", MASKED);
    let directory = false_dev(&brig, &[("null", "/proc/sys/kernel/core_pattern"), ("zero", "/etc/passwd")]);
    let run = || brig.run(&format!("run --rm -v {script}:/masked -v {directory}:/dev bb sh /masked"));
    let still = run();
    assert!(still.code == 125 || still.text().is_empty(), "{}", still.text());
    // And while it is now a device, now a link.
    let device = PathBuf::from(&directory).join("device");
    let number = rustix::fs::makedev(1, 3);
    let (kind, mode) = (rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::from_raw_mode(0o666));
    rustix::fs::mknodat(rustix::fs::CWD, &device, kind, mode, number).expect("root may");
    let swap = Swap::start(&device, &PathBuf::from(&directory).join("null"));
    let mut started = 0;
    for _ in 0..rounds(25) {
        let output = run();
        assert!(output.code == 125 || output.text().is_empty(), "{}", output.text());
        started += u32::from(output.code == 0);
    }
    drop(swap);
    assert!(started > 0, "no container was started with the device in its place");
    assert_eq!(precious(), before);
}

#[test]
fn a_false_console_lands_nowhere_else() {
    let brig = Brig::new();
    let before = precious();
    let script = brig.write("masked", MASKED);
    let directory = false_dev(&brig, &[("console", "/proc/sys/kernel/core_pattern")]);
    // A terminal needs a devpts, and this /dev brings none.
    let run = || {
        let line = format!("run --rm -t -v {script}:/masked -v {directory}:/dev -v /dev/pts:/dev/pts bb sh /masked");
        let (code, shown) = brig.command(&line).terminal().finish();
        assert!(code == 125 || shown.is_empty(), "{code}: {shown}");
        code
    };
    assert_eq!(run(), 125, "a link at /dev/console is refused");
    let (file, console) = (PathBuf::from(&directory).join("file"), PathBuf::from(&directory).join("console"));
    std::fs::write(&file, "").expect("our own directory");
    let swap = Swap::start(&file, &console);
    for _ in 0..rounds(25) {
        run();
    }
    drop(swap);
    std::fs::remove_file(&console).expect("ours");
    std::fs::write(&console, "").expect("our own directory");
    assert_eq!(run(), 0, "a file at /dev/console is as good as any");
    assert_eq!(precious(), before);
}

/// What is asked of /proc at the start is written to /proc, though a volume turns into it and back.
#[test]
fn writes_to_proc_cannot_be_led_astray() {
    let brig = Brig::new();
    let before = precious();
    let directory = brig.mkdir("volume");
    let (place, link) = (PathBuf::from(&directory).join("race"), PathBuf::from(&directory).join("link"));
    std::fs::create_dir(&place).expect("our own directory");
    for target in ["/proc", "/proc/self", "/proc/sys/net"] {
        let _ = std::fs::remove_file(&link);
        symlink(target, &link).expect("our own directory");
        let swap = Swap::start(&place, &link);
        let mut started = 0;
        for _ in 0..rounds(12) {
            let output = brig.run(&format!(
                "run --rm --network none -v {directory}:/vol --tmpfs /vol/race --sysctl net.ipv4.ip_forward=1 \
                 --oom-score-adj 700 bb cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj"
            ));
            assert!(output.code == 125 || output.text() == "1\n700", "{target}: {} {}", output.text(), output.stderr);
            started += u32::from(output.code == 0);
        }
        drop(swap);
        assert!(started > 0, "{target}: no container was started");
        // Which of the two is where is left to chance.
        if std::fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
            std::fs::rename(&place, brig.dir.join("aside")).expect("ours");
            std::fs::rename(&link, &place).expect("ours");
            std::fs::remove_file(brig.dir.join("aside")).expect("ours");
        }
    }
    assert_eq!(precious(), before);
}
