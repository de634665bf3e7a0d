//! The engine's own program, which a container's processes meet for a moment: CVE-2019-5736.

use crate::harness::Brig;
use crate::harness::process::tool;
use crate::harness::sandbox::{is_docker, program};

/// Holds every program that is none of the image's by /proc/PID/exe and asks to write it, also when it no longer runs.
/// Writes nothing should it succeed.
const HUNTER: &str = r#"
while [ ! -e /stop ]; do
    for exe in /proc/[0-9]*/exe; do
        path=$(readlink $exe) || continue
        case $path in /bin/busybox) continue ;; esac
        {
            echo "$path" >>/seen
            n=0
            while [ $n -lt 50 ]; do
                n=$((n+1))
                (: >>/proc/self/fd/9) 2>/dev/null && echo "$path" >>/broken
            done
        } 9<$exe
    done
done 2>/dev/null
true
"#;

#[test]
fn nobody_inside_can_write_the_program() {
    if is_docker() {
        return;
    }
    let brig = Brig::new();
    let before = tool("sha256sum", &[&program()]);
    let hunter = brig.write("hunter", HUNTER);
    brig.ok(&format!("run -d --name box -v {hunter}:/hunter:ro bb sh /hunter"));
    // A script whose interpreter is the program that executes it, and the same by its name.
    brig.ok("exec box sh -c 'echo \"#!/proc/self/exe\" >/trap; chmod +x /trap'");
    for _ in 0..super::rounds(6) {
        brig.run("exec box /proc/self/exe version");
        brig.run("exec box /trap");
        brig.run("exec --privileged box /proc/self/exe version");
    }
    // One that stays for as long as it takes.
    let held = brig.command("exec -i box /proc/self/exe import -").start();
    crate::harness::process::wait_until("the hunter meets the program", || {
        let seen = brig.run("exec box cat /seen");
        (seen.code == 0 && !seen.text().is_empty()).then_some(())
    });
    held.signal("KILL");
    held.wait();
    brig.ok("exec box touch /stop");
    assert_eq!(brig.ok("wait box"), "0");
    let broken = brig.run("cp box:/broken -");
    assert_ne!(broken.code, 0, "programs of the host could be opened for writing: {}", broken.text());
    assert_eq!(tool("sha256sum", &[&program()]), before);
}
