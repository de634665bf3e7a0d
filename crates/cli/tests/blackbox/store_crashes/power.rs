//! Power cuts: the store lies in an ext4 file system in a file, mounted through a loop device in a mount namespace of the
//! test's own. A copy of that file, made without any sync, is what the disk had got; mounted, the journal is replayed as
//! at the next boot. A second copy is made after the sync of a file that has nothing to do with the store: then the
//! journal has all renames, but of the data only what brig had written out itself. The mount options leave nothing to
//! luck: no timer, no data written before its name, no rescue of files that are replaced.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use super::steps::{self, Step};
use super::{Moments, image, with_registry};
use crate::harness::image::busybox_tar;
use crate::harness::process::{Output, tool};
use crate::harness::sandbox::{is_docker, program};
use crate::harness::words::split;
use crate::harness::{Brig, Process};

const DISK: &str = "48M";
const OPTIONS: &str = "loop,noatime,commit=300,data=writeback,noauto_da_alloc,noinit_itable";

/// A command, and how its outcome is seen afterwards.
struct Scenario<'a> {
    brig: &'a Brig,
    /// Commands that make the store before.
    before: &'a [&'a str],
    line: &'a str,
    /// Must succeed once the command has.
    proof: &'a str,
    /// What the same command may answer when the cut one had come to its end.
    refusal: &'a str,
    env: &'a [(&'a str, &'a str)],
}

/// When the power goes.
enum Cut<'a> {
    /// As the command enters a call.
    At(&'a Step),
    AtTheEnd,
    /// At the end too, but a call that syncs has done nothing.
    Without(&'a str),
}

/// Whether there are loop devices and mounts; says so if not.
fn can_mount() -> bool {
    let can = !is_docker()
        && File::open("/dev/loop-control").is_ok()
        && Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: no loop device or mount namespace here");
    }
    can
}

impl Scenario<'_> {
    fn path(&self, name: &str) -> String {
        self.brig.dir.join(name).to_str().expect("test paths are UTF-8").to_owned()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(program());
        command.args(["--root", &self.path("mnt/root"), "--state", &self.path("state")]);
        command.args(split(line)).current_dir(&self.brig.dir).envs(self.env.iter().copied());
        command
    }

    /// The words of a command for sh(1).
    fn words(command: &Command) -> String {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| format!("'{}'", word.to_str().expect("test paths are UTF-8"))).collect::<Vec<_>>().join(" ")
    }

    /// A script in a mount namespace of its own; with it end all mounts and loop devices.
    fn inside(&self, script: &str) -> Output {
        let mut shell = Command::new("unshare");
        shell.args(["-m", "--propagation", "private", "sh", "-c", script]);
        shell.current_dir(&self.brig.dir).envs(self.env.iter().copied());
        Process::start(shell, self.line).finish()
    }

    /// Makes the disk.
    fn prepare(&self) {
        let brig = self.brig;
        for directory in ["mnt", "state"] {
            brig.mkdir(directory);
        }
        let template = brig.write("template.img", "");
        tool("truncate", &["-s", DISK, &template]);
        tool(
            "mke2fs",
            &["-q", "-F", "-t", "ext4", "-J", "size=4", "-E", "lazy_itable_init=0,root_owner=0:0", &template],
        );
        let before: Vec<String> =
            self.before.iter().map(|line| Self::words(&self.command(line)) + " >/dev/null").collect();
        let before = before.join("\n");
        self.inside(&format!("set -e\nmount -o {OPTIONS} template.img mnt\ntouch mnt/other\nmkdir mnt/root\n{before}"))
            .expect(0);
    }

    fn check(&self, moments: Moments) {
        self.prepare();
        let all = self.record();
        // Before the first sync nothing has reached the disk, in whatever order.
        let cuts: Vec<Step> = all.iter().filter(|step| step.is_sync() || step.is_rename()).cloned().collect();
        let chosen = if moments == Moments::All { cuts } else { thinned(&cuts) };
        let mut failures = Vec::new();
        for step in &chosen {
            if let Err(why) = self.survives(Cut::At(step)) {
                failures.push(format!("at {} {}: {}: {why}", step.call, step.number, step.line));
            }
        }
        if let Err(why) = self.survives(Cut::AtTheEnd) {
            failures.push(format!("at its end: {why}"));
        }
        eprintln!("`{}`: {} calls, power cut at {} of them and at the end", self.line, all.len(), chosen.len());
        assert!(failures.is_empty(), "`{}`:\n{}", self.line, failures.join("\n"));
    }

    fn record(&self) -> Vec<Step> {
        let log = self.brig.dir.join("strace.log");
        // The shell becomes the command, and has neither synced nor renamed anything before: the numbers are right.
        let script = format!(
            "cp template.img disk.img && mount -o {OPTIONS} disk.img mnt && exec {}",
            Self::words(&self.command(self.line))
        );
        let mut shell = Command::new("unshare");
        shell.args(["-m", "--propagation", "private", "sh", "-c", &script]);
        shell.current_dir(&self.brig.dir).envs(self.env.iter().copied());
        steps::record(&shell, self.line, &self.brig.dir.join("mnt/root"), &log)
    }

    fn survives(&self, cut: Cut<'_>) -> Result<(), String> {
        let command = self.command(self.line);
        let (cut, has_ended) = match cut {
            Cut::At(step) => (Self::words(&steps::killed_at(&command, step)) + " >/dev/null 2>&1 || true", false),
            Cut::AtTheEnd => (Self::words(&command) + " >/dev/null", true),
            Cut::Without(call) => (Self::words(&steps::without(&command, call)) + " >/dev/null", true),
        };
        let (check, again) = (Self::words(&self.command("image check")), Self::words(&command));
        let proof = match has_ended {
            true => Self::words(&self.command(self.proof)) + " >/dev/null",
            false => String::new(),
        };
        let refusal =
            if self.refusal.is_empty() { "false".to_owned() } else { format!("grep -q '{}' err", self.refusal) };
        let script = format!(
            "set -e\n\
             cp template.img disk.img\n\
             mount -o {OPTIONS} disk.img mnt\n\
             {cut}\n\
             cp disk.img one.img\n\
             echo >mnt/other\n\
             sync mnt/other\n\
             cp disk.img two.img\n\
             umount mnt\n\
             for image in one two; do\n\
             mount -o {OPTIONS} $image.img mnt\n\
             {proof}\n\
             {check} || {{ echo \"$image: check: $?\"; exit 1; }}\n\
             {again} >/dev/null 2>err || {refusal} || {{ echo \"$image: again:\"; cat err; exit 1; }}\n\
             {check} || {{ echo \"$image: check after: $?\"; exit 1; }}\n\
             umount mnt\n\
             done"
        );
        match self.inside(&script) {
            output if output.code == 0 => Ok(()),
            output => Err(format!("{} {}", output.text(), output.stderr)),
        }
    }
}

/// Every third of them and the last.
fn thinned(steps: &[Step]) -> Vec<Step> {
    let chosen = steps.iter().enumerate().filter(|(index, _)| index % 3 == 1 || index + 1 == steps.len());
    chosen.map(|(_, step)| step.clone()).collect()
}

fn archive(directory: &Path) -> String {
    crate::harness::image::write(directory, "in.tar", &image(8).oci_archive("team/app:v2"))
}

fn pull(moments: Moments) {
    let brig = Brig::empty();
    let (_registry, name) = with_registry(&brig.dir, &image(7));
    let (line, proof) = (format!("pull -q {name}"), format!("image inspect {name}"));
    Scenario { brig: &brig, before: &["images"], line: &line, proof: &proof, refusal: "", env: &[] }.check(moments);
}

fn load(moments: Moments, layers: &str) {
    let brig = Brig::empty();
    let line = format!("load -i {}", archive(&brig.dir));
    let env = [("BRIG_LAYERS", layers)];
    Scenario { brig: &brig, before: &[], line: &line, proof: "image inspect team/app:v2", refusal: "", env: &env }
        .check(moments);
}

fn rmi(moments: Moments) {
    let brig = Brig::empty();
    let load = format!("load -i {}", archive(&brig.dir));
    let line = "rmi team/app:v2";
    // The load may not be listed any more.
    let proof = "image prune -f";
    Scenario { brig: &brig, before: &[&load], line, proof, refusal: "No such image", env: &[] }.check(moments);
}

#[test]
fn a_load_that_syncs_nothing_would_be_found_out() {
    if !can_mount() {
        return;
    }
    let brig = Brig::empty();
    let line = format!("load -i {}", archive(&brig.dir));
    let proof = "image inspect team/app:v2";
    let load = Scenario { brig: &brig, before: &[], line: &line, proof, refusal: "", env: &[] };
    load.prepare();
    load.survives(Cut::AtTheEnd).expect("as it is");
    for (call, part) in [("fdatasync", "is too short"), ("fsync", "index.json")] {
        let why = load.survives(Cut::Without(call)).expect_err(call);
        assert!(why.contains(part), "without {call}: {why}");
    }
}

/// One more name.
fn tag(moments: Moments) {
    let brig = Brig::empty();
    let load = format!("load -i {}", archive(&brig.dir));
    let before = [load.as_str(), "tag team/app:v2 team/app:old"];
    let line = "tag team/app:v2 team/app:new";
    let proof = "image inspect team/app:new team/app:old team/app:v2";
    Scenario { brig: &brig, before: &before, line, proof, refusal: "", env: &[] }.check(moments);
}

fn import(moments: Moments) {
    let brig = Brig::empty();
    let line = format!("import {} team/made", brig.write("bb.tar", busybox_tar()));
    Scenario { brig: &brig, before: &[], line: &line, proof: "image inspect team/made", refusal: "", env: &[] }
        .check(moments);
}

pub fn all(moments: Moments) {
    if can_mount() {
        tag(moments);
        import(moments);
        pull(moments);
        load(moments, "auto");
        load(moments, "directory");
        rmi(moments);
    }
}

#[test]
fn a_pull_and_a_power_cut() {
    if can_mount() {
        pull(Moments::Some);
    }
}

#[test]
fn a_load_and_a_power_cut() {
    if can_mount() {
        load(Moments::Some, "auto");
    }
}

#[test]
fn a_load_of_directories_and_a_power_cut() {
    if can_mount() {
        load(Moments::Some, "directory");
    }
}

#[test]
fn a_tag_and_a_power_cut() {
    if can_mount() {
        tag(Moments::All);
    }
}

#[test]
fn a_removal_and_a_power_cut() {
    if can_mount() {
        rmi(Moments::Some);
    }
}
