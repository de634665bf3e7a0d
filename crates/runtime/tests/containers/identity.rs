//! Who the program is: user, groups, capabilities, limits, filter, signals, descriptors.

use crate::Case;
use crate::stage::{Stage, piped, read_all};
use spec::runtime::{Rlimit, Seccomp, SeccompRule};

pub const CASES: &[Case] = &[
    ("user, groups and umask", user_and_groups),
    ("capabilities of root", root_capabilities),
    ("capabilities of a user", user_capabilities),
    ("no new privileges", no_new_privileges),
    ("a filter without no_new_privs", filter),
    ("a filter compiled ahead", compiled_filter),
    ("a filter under the reaper", filter_and_reaper),
    ("limits", limits),
    ("the oom score", oom_score),
    ("signals are as new", signals),
    ("no descriptor is inherited", descriptors),
    ("pipes belong to the user", pipes),
];

fn user_and_groups() {
    let mut stage = Stage::script("id; umask; touch /tmp/x; stat -c '%u:%g %a' /tmp/x");
    stage.process().user.uid = 1000;
    stage.process().user.gid = 1001;
    stage.process().user.additional_gids = vec![5, 6];
    stage.process().user.umask = Some(0o077);
    stage.check_output("uid=1000 gid=1001 groups=5,6\n0077\n1000:1001 600");
    Stage::script("umask").check_output("0022");
}

fn status(stage: &Stage, field: &str) -> String {
    let output = stage.output();
    let line = output.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_else(|| panic!("{output}"));
    line.trim_start_matches(':').trim().to_owned()
}

fn root_capabilities() {
    let stage = Stage::script("cat /proc/self/status");
    // chown, kill, setgid, setuid, net_bind_service, mknod
    for (field, wanted) in
        [("CapBnd", "00000000080004e1"), ("CapPrm", "00000000080004e1"), ("CapEff", "00000000080004e1")]
    {
        assert_eq!(status(&stage, field), wanted, "{field}");
    }
    assert_eq!(status(&stage, "CapInh"), "0000000000000000");
    assert_eq!(status(&stage, "CapAmb"), "0000000000000000");
    let mut none = Stage::script("cat /proc/self/status");
    none.process().capabilities = None;
    assert_eq!(status(&none, "CapBnd"), "0000000000000000");
    assert_eq!(status(&none, "CapEff"), "0000000000000000");
}

fn user_capabilities() {
    let mut stage = Stage::script("cat /proc/self/status");
    stage.process().user.uid = 1000;
    assert_eq!(status(&stage, "CapEff"), "0000000000000000");
    assert_eq!(status(&stage, "CapPrm"), "0000000000000000");
    assert_eq!(status(&stage, "CapBnd"), "00000000080004e1");
    let bind = vec!["CAP_NET_BIND_SERVICE".to_owned()];
    let capabilities = stage.process().capabilities.as_mut().unwrap();
    capabilities.ambient = bind.clone();
    capabilities.inheritable = bind;
    assert_eq!(status(&stage, "CapAmb"), "0000000000000400");
    assert_eq!(status(&stage, "CapEff"), "0000000000000400");
    // What we do not have (this machine's root may lack some) is left out and is no error.
    let all = kernel::capability::Capability::known().map(|c| c.name().to_owned()).collect::<Vec<_>>();
    let mut stage = Stage::script("cat /proc/self/status");
    let capabilities = stage.process().capabilities.as_mut().unwrap();
    capabilities.bounding = all.clone();
    capabilities.permitted = all.clone();
    capabilities.effective = all;
    let own = kernel::capability::Process::current().unwrap().permitted;
    assert_eq!(status(&stage, "CapEff"), format!("{:016x}", own.0));
}

fn no_new_privileges() {
    let mut stage = Stage::script("cat /proc/self/status");
    assert_eq!(status(&stage, "NoNewPrivs"), "0");
    stage.process().no_new_privileges = true;
    assert_eq!(status(&stage, "NoNewPrivs"), "1");
}

fn no_mkdir() -> Seccomp {
    let names = vec!["mkdir".to_owned(), "mkdirat".to_owned()];
    let rule = SeccompRule { names, action: "SCMP_ACT_ERRNO".into(), errno_ret: Some(95), args: Vec::new() };
    Seccomp { default_action: "SCMP_ACT_ALLOW".into(), syscalls: vec![rule], ..Seccomp::default() }
}

const FILTERED: &str =
    "mkdir /tmp/x 2>&1 | grep -o 'not supported'; grep -E '^(Seccomp|CapEff|CapPrm):' /proc/self/status | tr -d '\\t'";

fn filter() {
    let mut stage = Stage::script(FILTERED);
    stage.linux().seccomp = Some(no_mkdir());
    let wanted = "not supported\nCapPrm:00000000080004e1\nCapEff:00000000080004e1\nSeccomp:2";
    stage.check_output(wanted);
    stage.process().no_new_privileges = true;
    stage.check_output(wanted);
    stage.process().user.uid = 1000;
    stage.process().no_new_privileges = false;
    stage.check_output("not supported\nCapPrm:0000000000000000\nCapEff:0000000000000000\nSeccomp:2");
}

fn compiled_filter() {
    let stage = Stage::script(FILTERED);
    let program = runtime::seccomp::compile(&no_mkdir()).unwrap();
    let mount = stage.rootfs();
    let (output, stdio) = piped();
    let created = runtime::create(runtime::Create {
        spec: &stage.spec,
        rootfs: runtime::Rootfs::Detached(&mount),
        mount_point: &stage.directory.join("../point"),
        stdio,
        cgroup: None,
        seccomp: Some(&program),
        reaper: false,
        bundle: None,
    });
    let running = created.unwrap().start().unwrap();
    assert!(read_all(output).starts_with("not supported\n"));
    running.pidfd.wait().unwrap();
}

/// As docker's default profile, which answers clone3 with "no such call".
fn filter_and_reaper() {
    let mut stage = Stage::script("grep Seccomp: /proc/1/status /proc/self/status; exit 4");
    let mut profile = no_mkdir();
    let names = vec!["clone3".to_owned()];
    profile.syscalls.push(SeccompRule {
        names,
        action: "SCMP_ACT_ERRNO".into(),
        errno_ret: Some(38),
        args: Vec::new(),
    });
    stage.linux().seccomp = Some(profile);
    let (output, code) = stage.run_with(true);
    assert_eq!((output.matches("\t2").count(), code), (2, 4), "{output}");
}

fn limits() {
    let mut stage = Stage::script("ulimit -n; ulimit -Hn; ulimit -c");
    let limit = |kind: &str, soft, hard| Rlimit { kind: kind.into(), soft, hard };
    // 6 descriptors are fewer than are open while the container is made.
    stage.process().rlimits = vec![limit("RLIMIT_NOFILE", 64, 128), limit("RLIMIT_CORE", 0, 0)];
    stage.check_output("64\n128\n0");
    let mut tight = Stage::script("ulimit -n");
    tight.process().rlimits = vec![limit("RLIMIT_NOFILE", 6, 6)];
    tight.check_output("6");
}

fn oom_score() {
    let mut stage = Stage::script("cat /proc/self/oom_score_adj");
    stage.process().oom_score_adj = Some(321);
    stage.check_output("321");
}

fn signals() {
    let mut stage = Stage::new();
    stage.process().args = ["cat", "/proc/self/status"].map(String::from).to_vec();
    for field in ["SigBlk", "SigIgn"] {
        assert_eq!(status(&stage, field), "0000000000000000", "{field}");
    }
    let (output, _) = stage.run_with(true);
    assert!(output.contains("SigBlk:\t0000000000000000") && output.contains("SigIgn:\t0000000000000000"), "{output}");
}

fn descriptors() {
    // Without close-on-exec, as a careless caller leaves it.
    let leaked = rustix::io::dup(std::fs::File::open("/").unwrap()).unwrap();
    Stage::script("ls /proc/self/fd | tr '\\n' ' '").check_output("0 1 2 3");
    let (output, _) = Stage::script("ls /proc/self/fd | tr '\\n' ' '").run_with(true);
    assert_eq!(output, "0 1 2 3 ");
    drop(leaked);
}

fn pipes() {
    let mut stage = Stage::script("echo x > /dev/stdout; stat -L -c %u /dev/stdout");
    stage.process().user.uid = 1000;
    stage.check_output("x\n1000");
}
