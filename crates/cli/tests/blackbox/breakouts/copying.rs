//! `cp` between host and container while the container works against it: CVE-2018-15664, CVE-2019-14271.

use super::rounds;
use super::swap::Shared;
use crate::harness::Brig;

#[test]
fn a_copy_stays_beneath_the_root_while_directories_are_swapped() {
    let brig = Brig::new();
    let shared = Shared::new(&brig);
    brig.ok(&format!("run -d --name box -v {}:/vol bb sleep 1000", shared.volume.display()));
    let gift = brig.write("gift", "gift");
    let swap = shared.swap();
    let mut inside = 0;
    for round in 0..rounds(40) {
        let out = brig.dir.join(format!("out{round}"));
        let copied = brig.run(&format!("cp box:/vol/race/flag {}", out.display()));
        if copied.code == 0 {
            assert_eq!(std::fs::read_to_string(&out).expect("it was copied"), "of the volume");
            inside += 1;
        }
        brig.run(&format!("cp {gift} box:/vol/race/gift"));
        shared.assert_untouched();
    }
    assert!(swap.count() > u64::from(rounds(40)), "too few swaps; {inside} copies came from the volume");
}

/// A copy looks up nothing by the means of the image: its libraries and its settings may be anything. A FIFO stops
/// whoever opens it.
#[test]
fn a_copy_opens_no_library_of_the_image() {
    let brig = Brig::new();
    brig.ok("run -d --name box bb sleep 1000");
    let script = "mkdir -p /lib/x86_64-linux-gnu /lib64 /usr/lib/x86_64-linux-gnu /usr/share/zoneinfo
        for name in libnss_files.so.2 libnss_dns.so.2 libnss_compat.so.2 libc.so.6 libnss_systemd.so.2; do
            mkfifo /lib/$name /lib64/$name /lib/x86_64-linux-gnu/$name /usr/lib/x86_64-linux-gnu/$name
        done
        mkfifo /etc/nsswitch.conf /etc/ld.so.preload /etc/ld.so.cache /etc/localtime /usr/share/zoneinfo/UTC
        echo text >/file";
    let script = brig.write("script", script);
    brig.ok(&format!("cp {script} box:/script"));
    brig.ok("exec box sh /script");
    let gift = brig.write("gift", "gift");
    for state in ["running", "exited"] {
        brig.ok(&format!("cp box:/file {}/out", brig.dir.display()));
        brig.ok(&format!("cp {gift} box:/gift"));
        brig.ok("cp box:/file -");
        brig.ok("diff box");
        if state == "running" {
            brig.ok("exec -u alice box true");
            brig.ok("top box");
            brig.ok("stop -t 0 box");
        }
    }
}
