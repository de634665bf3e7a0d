//! A bundle of busybox for one test, with a state directory of its own, and at the end the search for what is left.

use crate::harness::image::busybox_path;
use crate::harness::process::{Output, Process, wait_until};
use crate::harness::sandbox::program;
use crate::harness::words;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Applets that tests use.
const APPLETS: [&str; 12] = ["cat", "echo", "env", "false", "id", "kill", "ls", "pwd", "sh", "sleep", "stty", "true"];

pub struct Bundle {
    pub dir: PathBuf,
    /// A container's name that no other test has.
    pub id: String,
}

impl Bundle {
    /// With a process that runs `arguments` without a terminal.
    pub fn new(arguments: &[&str]) -> Bundle {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("brig-o-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = PathBuf::from("/tmp").join(&id);
        for part in ["rootfs/bin", "rootfs/etc", "rootfs/tmp", "rootfs/proc", "rootfs/dev", "rootfs/sys"] {
            fs::create_dir_all(dir.join(part)).expect("make the root file system");
        }
        fs::copy(busybox_path(), dir.join("rootfs/bin/busybox")).expect("busybox-static is installed");
        for applet in APPLETS {
            symlink("busybox", dir.join("rootfs/bin").join(applet)).expect("link an applet");
        }
        fs::write(dir.join("rootfs/etc/passwd"), "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n")
            .expect("write passwd");
        let bundle = Bundle { dir, id };
        bundle.run("spec").expect(0);
        bundle.configure(|config| {
            config["process"]["terminal"] = json!(false);
            config["process"]["args"] = json!(arguments);
            config["root"]["readonly"] = json!(false);
        });
        bundle
    }

    /// Changes config.json.
    pub fn configure(&self, change: impl FnOnce(&mut Value)) {
        let path = self.dir.join("config.json");
        let mut config = serde_json::from_slice(&fs::read(&path).expect("config.json")).expect("JSON");
        change(&mut config);
        fs::write(&path, config.to_string()).expect("write config.json");
    }

    /// The runtime with the global flags that keep it inside the sandbox.
    pub fn bare(&self) -> Command {
        let mut command = match std::env::var("BRIG_OCI_RUNTIME") {
            Ok(other) => Command::new(other),
            Err(_) => {
                let mut command = Command::new(program());
                command.arg("runtime");
                command
            }
        };
        command.arg("--root").arg(self.root()).current_dir(&self.dir);
        command
    }

    pub fn root(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The words of a command line; `@` stands for the container's name.
    pub fn command(&self, line: &str) -> Command {
        let mut command = self.bare();
        command
            .args(words::split_as_typed(line).into_iter().map(|word| if word == "@" { self.id.clone() } else { word }));
        command
    }

    /// Runs a command line to its end.
    #[track_caller]
    pub fn run(&self, line: &str) -> Output {
        Process::start(self.command(line), line).finish()
    }

    /// One whose container outlives it, and must not have our pipes; it must succeed.
    #[track_caller]
    pub fn detached(&self, line: &str) {
        let errors = self.dir.join("errors");
        let stderr = fs::File::create(&errors).expect("a file for errors");
        let mut command = self.command(line);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).status().expect("start");
        assert!(status.success(), "`{line}`: {status}: {}", fs::read_to_string(errors).unwrap_or_default());
    }

    /// The document of `state`.
    #[track_caller]
    pub fn state(&self) -> Value {
        serde_json::from_slice(&self.run("state @").expect(0).stdout).expect("JSON")
    }

    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("a status").to_owned()
    }

    pub fn wait_for(&self, status: &str) {
        wait_until(&format!("{} is {status}", self.id), || (self.status() == status).then_some(()));
    }

    pub fn pid(&self) -> u32 {
        self.state()["pid"].as_u64().expect("a pid") as u32
    }

    /// A file below the bundle.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// What of the container is on the machine beside its bundle.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.root().join(&self.id).exists() {
            left.push("state directory".to_owned());
        }
        left.extend(cgroups(&self.id));
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let dir = format!("{}/", self.dir.display());
        left.extend(mounts.lines().filter(|line| line.contains(&dir)).map(|line| format!("mount {line}")));
        left
    }
}

/// Groups of this name, wherever below a hierarchy.
fn cgroups(id: &str) -> Vec<String> {
    // Groups of other tests go while it looks, which it calls a failure.
    let found = Command::new("find").args(["/sys/fs/cgroup", "-maxdepth", "6", "-name", id]).output().expect("find");
    String::from_utf8_lossy(&found.stdout).lines().map(|line| format!("cgroup {line}")).collect()
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let deleted = self.command("delete --force @").output().expect("start");
        let left = self.left();
        let _ = fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            assert!(deleted.status.success(), "delete: {}", String::from_utf8_lossy(&deleted.stderr));
            assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
        }
    }
}

/// True while a process has this pid and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), None | Some('Z' | 'X'))
}
