//! What a bundle may lack or ask for in vain, and containers that share what others have of their own: mount namespaces, and
//! cgroups that cannot be made. What would show on the machine happens in a mount namespace of the test's.

use super::bundle::Bundle;
use crate::harness::process::{Output, Process, wait_until};
use serde_json::json;
use std::process::Command;

/// Runs `script` in a shell with a mount namespace of its own; `$R` is the runtime with its flags.
fn apart(bundle: &Bundle, script: &str) -> Output {
    let bare = bundle.bare();
    let words = std::iter::once(bare.get_program()).chain(bare.get_args());
    let runtime: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", script]).env("R", runtime.join(" "));
    command.env("C", &bundle.id).current_dir(&bundle.dir);
    Process::start(command, script).finish()
}

#[test]
fn without_a_process_it_is_created_and_its_start_fails() {
    let bundle = Bundle::new(&["true"]);
    bundle.configure(|config| drop(config.as_object_mut().expect("an object").remove("process")));
    bundle.run("run @").expect(1).says("process property must not be empty");
    bundle.detached("create @");
    assert_eq!(bundle.status(), "created");
    bundle.run("start @").expect(0);
    bundle.wait_for("stopped");
    wait_until("the reason is told", || {
        bundle.read("errors").contains("the specification has no process").then_some(())
    });
    bundle.run("delete @").expect(0);
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let bundle = Bundle::new(&["cat", "/proc/self/mountinfo"]);
    bundle.configure(|config| {
        let bind = |at: &str| json!({"destination": at, "source": "/etc", "options": ["mode=755", "bind", "slave"]});
        let tmpfs = |at: &str| json!({"destination": at, "type": "tmpfs", "source": "tmpfs"});
        let mounts = config["mounts"].as_array_mut().expect("a list");
        mounts.extend([bind("/one"), tmpfs("/two"), bind("/three")]);
    });
    let output = bundle.run("run @").expect(0).says("ignoring options of file systems: mode=755").text();
    let points: Vec<&str> = output.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    let place = |point: &str| points.iter().position(|found| *found == point);
    // As listed, for those who compare.
    assert!(
        place("/proc") < place("/one") && place("/one") < place("/two") && place("/two") < place("/three"),
        "{output}"
    );
    if !std::path::Path::new("/sys/module/apparmor").exists() {
        bundle.configure(|config| config["process"]["apparmorProfile"] = json!("none-such"));
        bundle.run("run @").expect(0).says("ignoring apparmor profile");
    }
}

#[test]
fn the_callers_mount_namespace() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.configure(|config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.retain(|namespace| namespace["type"] != "mount");
    });
    bundle.run("run @").expect(1).says("unable to restrict sys entries without a private MNT namespace");
    bundle.configure(|config| {
        config["linux"]["maskedPaths"] = json!([]);
        config["linux"]["readonlyPaths"] = json!([]);
    });
    let script = "$R run -d $C >out 2>&1 </dev/null || { cat out; exit 1; }
        grep -q \"$PWD/rootfs/proc\" /proc/self/mountinfo || echo no mounts
        $R exec $C sh -c 'ls -d /bin/busybox; ls -d /usr; readlink /proc/self/ns/mnt'
        readlink /proc/self/ns/mnt; $R delete -f $C";
    let output = apart(&bundle, script).expect(0).text();
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines.len() == 3 && lines[0] == "/bin/busybox" && lines[1] == lines[2], "{output}");
}

#[test]
fn another_mount_namespace_becomes_the_containers() {
    let bundle = Bundle::new(&["sh", "-c", "readlink /proc/self/ns/mnt; ls -d /bin/busybox /usr"]);
    bundle.configure(|config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.retain(|namespace| namespace["type"] != "mount");
        namespaces.push(json!({"type": "mount", "path": "/proc/HOLDER/ns/mnt"}));
    });
    let script = "unshare -m --propagation private sleep 1000 & holder=$!
        until [ $(readlink /proc/$holder/ns/mnt) != $(readlink /proc/self/ns/mnt) ]; do :; done
        sed -i s/HOLDER/$holder/ config.json
        readlink /proc/$holder/ns/mnt; $R run $C; kill $holder";
    let output = apart(&bundle, script).expect(0);
    let lines: Vec<&str> = std::str::from_utf8(&output.stdout).expect("text").lines().collect();
    assert!(lines.len() == 3 && lines[0] == lines[1] && lines[2] == "/bin/busybox", "{lines:?}");
}

#[test]
fn without_a_right_to_cgroups() {
    let bundle = Bundle::new(&["sh", "-c", "exit 7"]);
    bundle.configure(|config| drop(config["linux"].as_object_mut().expect("an object").remove("resources")));
    let closed = "for mount in $(awk '$5 ~ \"^/sys/fs/cgroup\" {print $5}' /proc/self/mountinfo); do
        mount -o remount,bind,ro $mount; done";
    apart(&bundle, &format!("{closed}; $R run $C")).expect(1).says("unable to apply cgroup configuration");
    apart(&bundle, &format!("{closed}; $R --rootless true run $C")).expect(7);
    bundle.configure(|config| config["linux"]["resources"] = json!({"memory": {"limit": 100_000_000}}));
    apart(&bundle, &format!("{closed}; $R --rootless true run $C")).expect(1).says("unable to apply cgroup");
    assert_eq!(bundle.left(), Vec::<String>::new());
}

#[test]
fn who_is_not_root_is_told_so() {
    let bundle = Bundle::new(&["true"]);
    let words = "setpriv --reuid 65534 --regid 65534 --clear-groups $R run $C";
    apart(&bundle, words).expect(1).says("containers need root");
}
