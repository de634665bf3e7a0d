//! What every case needs: a busybox root, a specification like docker's, and running it to its end.

use kernel::clone;
use kernel::mount::Mount;
use kernel::pidfd::Exit;
use runtime::{Create, Created, Error, Rootfs, Stdio};
use spec::runtime::{
    Capabilities, IdMapping, Linux, Mount as SpecMount, Namespace, NamespaceKind, Process, Root, Spec, User,
};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const BUSYBOX: &str = "/bin/busybox";
const APPLETS: &str = "sh cat ls id mount umount stat readlink hostname grep head true false sleep tty stty echo touch \
    mkdir kill ps env pwd test dd wc ip sed cut sort ulimit mknod chmod od tr ln rm uname ionice";

pub fn is_possible() -> bool {
    rustix::process::geteuid().is_root() && Path::new(BUSYBOX).exists()
}

/// The directory of this run, with the base root in it. Removed by `check_nothing_is_left`.
fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let base = std::env::temp_dir().join(format!("brig-runtime-{}", std::process::id()));
        let root = base.join("root");
        for directory in ["bin", "etc", "tmp", "root"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        std::fs::create_dir_all(base.join("point")).unwrap();
        std::fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
        for applet in APPLETS.split_whitespace() {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        std::fs::write(root.join("etc/plain"), "text").unwrap();
        std::fs::set_permissions(root.join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
        base
    })
}

pub fn check_nothing_is_left() {
    std::fs::remove_dir_all(base()).unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("brig-runtime-"), "a mount is left on the host:\n{mounts}");
    let pid = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/self/task/{pid}/children")).unwrap();
    assert_eq!(children, "", "a process is left");
}

/// On which roots are attached.
static POINT: OnceLock<PathBuf> = OnceLock::new();

/// A root of its own for each case: an overlay over busybox.
pub struct Stage {
    pub directory: PathBuf,
    pub spec: Spec,
}

impl Stage {
    pub fn new() -> Stage {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = base().join(format!("case-{number}"));
        for name in ["upper", "work"] {
            std::fs::create_dir_all(directory.join(name)).unwrap();
        }
        Stage { directory, spec: spec() }
    }

    /// With `sh -c script` as its program.
    pub fn script(script: &str) -> Stage {
        let mut stage = Stage::new();
        stage.process().args = ["sh", "-c", script].map(String::from).to_vec();
        stage
    }

    pub fn process(&mut self) -> &mut Process {
        self.spec.process.as_mut().unwrap()
    }

    pub fn linux(&mut self) -> &mut Linux {
        self.spec.linux.as_mut().unwrap()
    }

    /// In a user namespace that owns the container's root.
    pub fn map_users(&mut self) {
        std::os::unix::fs::chown(self.directory.join("upper"), Some(100_000), Some(100_000)).unwrap();
        let linux = self.linux();
        linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: String::new() });
        linux.uid_mappings = vec![IdMapping { container_id: 0, host_id: 100_000, size: 65536 }];
        linux.gid_mappings = linux.uid_mappings.clone();
    }

    pub fn mount(&mut self, kind: &str, source: &str, destination: &str, options: &[&str]) {
        self.spec.mounts.push(mount(kind, source, destination, options));
    }

    /// A path in the container's writable layer, before it starts or after.
    pub fn upper(&self, path: &str) -> PathBuf {
        self.directory.join("upper").join(path)
    }

    pub fn rootfs(&self) -> Mount {
        let upper = self.directory.join("upper");
        let work = self.directory.join("work");
        kernel::overlay::mount(
            &[base().join("root")],
            Some(kernel::overlay::Upper { directory: &upper, work: &work, volatile: true }),
            false,
        )
        .unwrap()
    }

    /// A copy of the base root as a plain directory, for [`Stage::output_on`].
    pub fn plain_root(&self) -> PathBuf {
        let root = self.directory.join("rootfs");
        let copied = std::process::Command::new("cp").arg("-a").arg(base().join("root")).arg(&root).status();
        assert!(copied.unwrap().success());
        root
    }

    /// Standard output of a run on a directory of the host.
    pub fn output_on(&self, root: &Path) -> String {
        let (output, stdio) = piped();
        let created = runtime::create(self.request(Rootfs::Path(root), stdio, false));
        let running = created.unwrap().start().unwrap();
        let text = read_all(output);
        assert_eq!(running.pidfd.wait().unwrap().code(), 0, "{text}");
        text
    }

    pub fn create(&self, stdio: Stdio) -> Result<Created, Error> {
        self.create_with(stdio, false)
    }

    pub fn create_with(&self, stdio: Stdio, reaper: bool) -> Result<Created, Error> {
        self.create_on(&self.rootfs(), stdio, reaper)
    }

    pub fn create_on(&self, rootfs: &Mount, stdio: Stdio, reaper: bool) -> Result<Created, Error> {
        runtime::create(self.request(Rootfs::Detached(rootfs), stdio, reaper))
    }

    pub fn request<'a>(&'a self, rootfs: Rootfs<'a>, stdio: Stdio, reaper: bool) -> Create<'a> {
        Create {
            spec: &self.spec,
            rootfs,
            mount_point: POINT.get_or_init(|| base().join("point")),
            stdio,
            cgroup: None,
            seccomp: None,
            reaper,
            bundle: None,
        }
    }

    /// Runs to the end; standard output and error, and the exit code.
    pub fn run(&self) -> (String, i32) {
        self.run_with(false)
    }

    pub fn run_with(&self, reaper: bool) -> (String, i32) {
        let (output, stdio) = piped();
        let running = self.create_with(stdio, reaper).unwrap().start().unwrap();
        let text = read_all(output);
        (text, running.pidfd.wait().unwrap().code())
    }

    /// Standard output of a run that must succeed.
    pub fn output(&self) -> String {
        let (output, code) = self.run();
        assert_eq!(code, 0, "{output}");
        output
    }

    pub fn check_output(&self, wanted: &str) {
        assert_eq!(self.output().trim_end(), wanted);
    }

    /// The error of a container that cannot be created or started.
    pub fn error(&self) -> Error {
        let (_output, stdio) = piped();
        match self.create(stdio).and_then(Created::start) {
            Err(error) => error,
            Ok(running) => {
                running.pidfd.send_signal(9).unwrap();
                running.pidfd.wait().unwrap();
                panic!("started, wanted an error")
            }
        }
    }
}

pub fn piped() -> (File, Stdio) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let stdin: OwnedFd = File::open("/dev/null").unwrap().into();
    (File::from(read), Stdio::Fds { stdin, stdout: write.try_clone().unwrap(), stderr: write })
}

pub fn read_all(mut file: File) -> String {
    let mut text = Vec::new();
    file.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// What a terminal's master gives until the last user of the terminal is gone (EIO).
pub fn read_terminal(master: OwnedFd) -> String {
    let mut file = File::from(master);
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = file.read(&mut buffer) {
        text.extend(&buffer[..n]);
    }
    String::from_utf8_lossy(&text).replace("\r\n", "\n")
}

/// Runs `act` in a forked process and passes its panic on, for cases that change the process for good.
pub fn in_child(act: impl FnOnce()) {
    let child = clone::fork(|| {
        act();
        0
    });
    assert_eq!(child.unwrap().pidfd.wait().unwrap(), Exit::Code(0));
}

pub fn mount(kind: &str, source: &str, destination: &str, options: &[&str]) -> SpecMount {
    SpecMount {
        destination: destination.into(),
        kind: kind.into(),
        source: source.into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..SpecMount::default()
    }
}

/// As docker's for a plain `run`, without seccomp.
fn spec() -> Spec {
    let capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_MKNOD", "CAP_NET_BIND_SERVICE"];
    let capabilities = capabilities.map(String::from).to_vec();
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Spec {
        oci_version: spec::runtime::VERSION.into(),
        process: Some(Process {
            user: User::default(),
            args: vec!["true".into()],
            env: strings(&["PATH=/bin"]),
            cwd: "/".into(),
            capabilities: Some(Capabilities {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities,
                ..Capabilities::default()
            }),
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        hostname: "brig-test".into(),
        mounts: vec![
            mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"]),
            mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount(
                "devpts",
                "devpts",
                "/dev/pts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
            mount("mqueue", "mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
            mount("tmpfs", "shm", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]),
        ],
        linux: Some(Linux {
            namespaces: [
                NamespaceKind::Mount,
                NamespaceKind::Pid,
                NamespaceKind::Network,
                NamespaceKind::Ipc,
                NamespaceKind::Uts,
                NamespaceKind::Cgroup,
            ]
            .map(|kind| Namespace { kind, path: String::new() })
            .to_vec(),
            masked_paths: strings(&["/proc/timer_list", "/proc/keys", "/proc/acpi", "/proc/no-such", "/sys/firmware"]),
            readonly_paths: strings(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}
