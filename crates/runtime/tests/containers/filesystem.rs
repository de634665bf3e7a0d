//! Mounts and their flags, devices, masks, read-only paths and root, working directory.

use crate::Case;
use crate::stage::{Stage, mount};
use spec::runtime::Device;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

pub const CASES: &[Case] = &[
    ("mounts have their flags", flags),
    ("binds of directories and files", binds),
    ("a read-only bind, recursive or not", read_only_binds),
    ("a tmpfs keeps the directory's permissions", tmpfs_permissions),
    ("a tmpfs is filled on request", tmpfs_copy_up),
    ("default devices and links", devices),
    ("devices of the specification", own_devices),
    ("masked and read-only paths", masks),
    ("a read-only root", read_only_root),
    ("the root is the only thing left", only_root),
    ("the working directory is made", working_directory),
    ("a directory of the host as root", path_as_root),
    ("cgroups of the container", cgroups),
];

/// Mount options and file system type of a mount point, from the container's mountinfo.
fn mount_line(output: &str, point: &str) -> String {
    let line = output.lines().rfind(|line| line.split(' ').nth(4) == Some(point));
    line.unwrap_or_else(|| panic!("no {point} in\n{output}")).to_owned()
}

fn flags() {
    let mut stage = Stage::script("cat /proc/self/mountinfo");
    stage.mount("tmpfs", "t", "/t", &["noexec", "size=1m", "noatime", "mode=700"]);
    let output = stage.output();
    for (point, options, kind) in [
        ("/", "rw,relatime", "- overlay"),
        ("/proc", "rw,nosuid,nodev,noexec,relatime", "- proc proc"),
        ("/dev", "rw,nosuid", "- tmpfs tmpfs"),
        ("/dev/pts", "rw,nosuid,noexec,relatime", "- devpts devpts rw,gid=5,mode=620,ptmxmode=666"),
        ("/dev/mqueue", "rw,nosuid,nodev,noexec,relatime", "- mqueue"),
        ("/dev/shm", "rw,nosuid,nodev,noexec,relatime", "- tmpfs shm rw,size=65536k"),
        ("/sys", "ro,nosuid,nodev,noexec,relatime", "- sysfs sysfs"),
        ("/t", "rw,noexec,noatime", "- tmpfs t rw,size=1024k,mode=700"),
    ] {
        let line = mount_line(&output, point);
        assert_eq!(line.split(' ').nth(5), Some(options), "{line}");
        assert!(line.contains(kind), "{line}");
        assert!(!line.contains("shared:") && !line.contains("master:"), "{line}");
    }
}

fn binds() {
    let mut stage = Stage::script(
        "cat /data/file /etc/hosts /link/file; echo new > /data/written; stat -c %a /etc/hosts; cat /deep/er/file",
    );
    let source = stage.directory.join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "one\n").unwrap();
    std::fs::create_dir(stage.upper("real")).unwrap();
    std::os::unix::fs::symlink("/real", stage.upper("link")).unwrap();
    let (directory, file) = (source.to_str().unwrap().to_owned(), source.join("file").to_str().unwrap().to_owned());
    stage.mount("bind", &directory, "/data", &["rbind", "rprivate"]);
    stage.mount("", &file, "/etc/hosts", &["bind"]);
    stage.mount("bind", &directory, "/link", &["rbind"]);
    stage.mount("bind", &file, "/deep/er/file", &["bind", "ro"]);
    stage.check_output("one\none\none\n644\none");
    assert_eq!(std::fs::read_to_string(source.join("written")).unwrap(), "new\n");
    assert!(stage.upper("real").exists() && stage.upper("deep/er/file").exists());
}

fn read_only_binds() {
    // A mount below the bound directory: plain `ro` leaves it writable, `rro` does not.
    for (option, wanted) in [("ro", "inner\n"), ("rro", "")] {
        let script = "(touch /data/x && echo outer; touch /data/below/x && echo inner) 2>/dev/null; true";
        let mut stage = Stage::script(script);
        let source = stage.directory.join("source");
        std::fs::create_dir_all(source.join("below")).unwrap();
        crate::stage::in_child(|| {
            use kernel::mount::{Attributes, Filesystem, Propagation, set_propagation};
            kernel::namespace::unshare([kernel::namespace::Kind::Mount].into_iter().collect()).unwrap();
            set_propagation(Path::new("/"), Propagation::Private, true).unwrap();
            let below = Filesystem::open("tmpfs").unwrap().mount(Attributes::NONE).unwrap();
            below.attach_at(rustix::fs::CWD, &source.join("below")).unwrap();
            stage.mount("bind", source.to_str().unwrap(), "/data", &["rbind", option]);
            assert_eq!(stage.output(), wanted, "{option}");
        });
    }
}

fn tmpfs_permissions() {
    let mut stage = Stage::script("stat -c %a /tmp /own /new");
    std::fs::create_dir(stage.upper("own")).unwrap();
    std::fs::set_permissions(stage.upper("own"), PermissionsExt::from_mode(0o710)).unwrap();
    for destination in ["/tmp", "/own", "/new"] {
        stage.mount("tmpfs", "tmpfs", destination, &["nosuid"]);
    }
    stage.check_output("1777\n710\n1777");
}

fn tmpfs_copy_up() {
    let mut stage = Stage::script("cat /etc/plain; touch /etc/x 2>/dev/null || echo read-only; stat -c %u /etc/owned");
    std::fs::create_dir(stage.upper("etc")).unwrap();
    std::fs::write(stage.upper("etc/owned"), "").unwrap();
    std::os::unix::fs::chown(stage.upper("etc/owned"), Some(33), None).unwrap();
    stage.mount("tmpfs", "tmpfs", "/etc", &["tmpcopyup", "ro"]);
    stage.check_output("textread-only\n33");
}

fn devices() {
    let script = "cd /dev; for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' $d; done; \
        for l in fd stdin stdout stderr ptmx; do readlink $l; done; head -c 3 /dev/zero | wc -c; echo x > /dev/null; \
        echo out > /dev/stdout; ls /dev | tr '\\n' ' '";
    let output = Stage::script(script).output();
    let wanted = "null 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\ntty 5:0 666\n\
        /proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n3\nout\n";
    assert!(output.starts_with(wanted), "{output}");
}

fn own_devices() {
    let device = |kind, path: &str, major, minor| Device {
        kind,
        path: path.into(),
        major,
        minor,
        file_mode: Some(0o640),
        uid: Some(7),
        gid: Some(8),
    };
    let mut stage = Stage::script("stat -c '%n %F %t:%T %a %u:%g' /dev/fuse /dev/net/tun /dev/blk /opt/pipe /dev/null");
    stage.linux().devices = vec![
        device('c', "/dev/fuse", 10, 229),
        device('c', "/dev/net/tun", 10, 200),
        device('b', "/dev/blk", 7, 0),
        device('p', "/opt/pipe", 0, 0),
        device('c', "/dev/null", 1, 3),
    ];
    stage.check_output(
        "/dev/fuse character special file a:e5 640 7:8\n/dev/net/tun character special file a:c8 640 7:8\n\
         /dev/blk block special file 7:0 640 7:8\n/opt/pipe fifo 0:0 640 7:8\n\
         /dev/null character special file 1:3 640 7:8",
    );
}

fn masks() {
    let script = "wc -c < /proc/timer_list; ls /proc/acpi /sys/firmware | grep -v : | tr -d '\\n'; \
        touch /sys/firmware/x 2>&1 | grep -o 'Read-only file system'; \
        echo 1 > /proc/sys/net/ipv4/ip_forward; grep -E -c ' /proc/(bus|fs|irq|sys) ro,' /proc/self/mountinfo";
    let (output, _) = Stage::script(script).run();
    let lines: Vec<&str> = output.lines().collect();
    let present = ["bus", "fs", "irq", "sys"].iter().filter(|name| Path::new("/proc").join(name).exists()).count();
    assert_eq!(lines[..2], ["0", "Read-only file system"], "{output}");
    assert!(lines[2].contains("Read-only") && lines[3] == present.to_string(), "{output}");
}

fn read_only_root() {
    let mut stage = Stage::script("touch /x; touch /dev/shm/x && echo shm; touch /tmp/x && echo tmp");
    stage.spec.root.as_mut().unwrap().readonly = true;
    stage.spec.mounts.push(mount("tmpfs", "tmpfs", "/tmp", &[]));
    let output = stage.output();
    assert!(output.contains("touch: /x: Read-only file system") && output.ends_with("shm\ntmp\n"), "{output}");
}

fn only_root() {
    let output = Stage::script("cut -d' ' -f5 /proc/self/mountinfo; ls -a / | tr '\\n' ' '").output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "/");
    let known = |line: &str| ["/proc", "/dev", "/sys"].iter().any(|part| line.starts_with(part));
    assert!(lines[1..lines.len() - 1].iter().all(|line| known(line)), "{output}");
    assert_eq!(*lines.last().unwrap(), ". .. bin dev etc proc root sys tmp ");
}

fn working_directory() {
    let mut stage = Stage::script("pwd; stat -c '%u %a' .");
    stage.process().cwd = "/srv/app".into();
    stage.process().user.uid = 1000;
    stage.check_output("/srv/app\n0 755");
    // One that only root can reach, as docker.
    let mut stage = Stage::script("pwd");
    std::fs::create_dir_all(stage.upper("root/in")).unwrap();
    std::fs::set_permissions(stage.upper("root"), PermissionsExt::from_mode(0o700)).unwrap();
    stage.process().cwd = "/root/in".into();
    stage.process().user.uid = 1000;
    stage.check_output("/root/in");
}

fn path_as_root() {
    let stage = Stage::script("touch /made; cat /etc/plain");
    let (output, stdio) = crate::stage::piped();
    let root = stage.directory.join("copy");
    let copied = std::process::Command::new("cp").arg("-a").arg(stage.directory.join("../root")).arg(&root).status();
    assert!(copied.unwrap().success());
    let point = stage.directory.join("../point");
    let created = runtime::create(runtime::Create {
        spec: &stage.spec,
        rootfs: runtime::Rootfs::Path(&root),
        mount_point: &point,
        stdio,
        cgroup: None,
        seccomp: None,
        reaper: false,
        bundle: None,
    });
    let running = created.unwrap().start().unwrap();
    assert_eq!(crate::stage::read_all(output), "text");
    assert_eq!(running.pidfd.wait().unwrap().code(), 0);
    assert_eq!(std::fs::metadata(root.join("made")).unwrap().uid(), 0);
}

fn cgroups() {
    let layout = kernel::cgroup::Layout::detect().unwrap();
    let name = format!("brig-runtime-test-{}", std::process::id());
    let cgroup = layout.create(&name, &kernel::cgroup::Resources::default()).unwrap();
    let script =
        "cat /proc/self/cgroup; cat /proc/self/mountinfo | grep cgroup; ls /sys/fs/cgroup; cat /sys/fs/cgroup/*/tasks";
    let mut stage = Stage::script(script);
    stage.mount("cgroup", "cgroup", "/sys/fs/cgroup", &["ro", "nosuid", "noexec", "nodev"]);
    let mount = stage.rootfs();
    let (output, stdio) = crate::stage::piped();
    let created = runtime::create(runtime::Create {
        spec: &stage.spec,
        rootfs: runtime::Rootfs::Detached(&mount),
        mount_point: &stage.directory.join("../point"),
        stdio,
        cgroup: Some(runtime::Group::Made(&cgroup)),
        seccomp: None,
        reaper: false,
        bundle: None,
    });
    let created = created.unwrap();
    assert!(cgroup.processes().unwrap().contains(&created.pid));
    let running = created.start().unwrap();
    let text = crate::stage::read_all(output);
    running.pidfd.wait().unwrap();
    cgroup.remove().unwrap();
    // The container sees its own group as the root, and cannot write there.
    assert!(!text.contains(&name), "{text}");
    assert!(text.contains(" /sys/fs/cgroup") && text.contains(" ro,nosuid,nodev,noexec"), "{text}");
    if !layout.is_v2() {
        assert!(text.contains("memory") && text.lines().any(|line| line == "1"), "{text}");
    }
}
