//! Power cuts: the store lies in an ext4 file system in a file, mounted through a loop device in a mount namespace of the
//! test's own. A copy of that file, made without any sync, is what the disk had got; mounted, the journal is replayed as
//! at the next boot. A second copy is made after the sync of a file that has nothing to do with the store: then the
//! journal has all renames, but of the data only what brig had written out itself. The mount options leave nothing to
//! luck: no timer, no data written before its name, no rescue of files that are replaced. Which commands: `cuts.rs`.

use std::fs::File;
use std::process::Command;

use super::Moments;
use crate::harness::process::{Output, tool};
use crate::harness::sandbox::{is_docker, program};
use crate::harness::steps::{self, Step};
use crate::harness::words::split;
use crate::harness::{Brig, Process};

const DISK: &str = "48M";
const OPTIONS: &str = "loop,noatime,commit=300,data=writeback,noauto_da_alloc,noinit_itable";

/// A command, and how its outcome is seen afterwards.
pub struct Scenario<'a> {
    pub brig: &'a Brig,
    /// Commands that make the store before.
    pub before: &'a [&'a str],
    pub line: &'a str,
    /// Must be there once the command has succeeded.
    pub made: &'a str,
    /// Must be gone once it has.
    pub removed: &'a str,
    /// Names of images that must be there whenever the power goes: what has nothing to do with the command.
    pub kept: &'a str,
    /// What the same command may answer when the cut one had come to its end.
    pub refusal: &'a str,
    pub env: &'a [(&'a str, &'a str)],
    /// A line of sh(1) that damages the store (in `mnt/root`), which the command repairs.
    pub damage: &'a str,
}

/// When the power goes.
pub enum Cut<'a> {
    /// As the command enters a call.
    At(&'a Step),
    AtTheEnd,
    /// At the end too, but a call that syncs has done nothing.
    Without(&'a str),
}

/// Whether there are loop devices and mounts; says so if not.
pub fn can_mount() -> bool {
    let can = !is_docker()
        && File::open("/dev/loop-control").is_ok()
        && Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: no loop device or mount namespace here");
    }
    can
}

impl<'a> Scenario<'a> {
    /// To be filled in.
    pub fn of(brig: &'a Brig) -> Scenario<'a> {
        let (before, env) = (&[], &[]);
        Scenario { brig, before, line: "", made: "", removed: "", kept: "", refusal: "", env, damage: "" }
    }

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
    pub fn prepare(&self) {
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
        let (before, damage) = (before.join("\n"), self.damage);
        self.inside(&format!(
            "set -e\nmount -o {OPTIONS} template.img mnt\ntouch mnt/other\nmkdir mnt/root\n{before}\n{damage}"
        ))
        .expect(0);
    }

    pub fn check(&self, moments: Moments) {
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

    pub fn survives(&self, cut: Cut<'_>) -> Result<(), String> {
        let command = self.command(self.line);
        let (cut, has_ended) = match cut {
            Cut::At(step) => (Self::words(&steps::killed_at(&command, step)) + " >/dev/null 2>&1 || true", false),
            Cut::AtTheEnd => (Self::words(&command) + " >/dev/null", true),
            Cut::Without(call) => (Self::words(&steps::without(&command, call)) + " >/dev/null", true),
        };
        let check = Self::words(&self.command("image check"));
        let again = Self::words(&command);
        let proof = self.proof(has_ended);
        // What is damaged may be so until the repair has come to its end.
        let first_check = if self.damage.is_empty() || has_ended { check.as_str() } else { "true" };
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
             {first_check} || {{ echo \"$image: check: $?\"; exit 1; }}\n\
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

    /// Lines of sh(1) that fail when the store lacks what it must have, or has what it must not.
    fn proof(&self, has_ended: bool) -> String {
        let inspect = |name: &str| Self::words(&self.command(&format!("image inspect {name}")));
        let mut lines = String::new();
        let present = self.kept.split(' ').chain(has_ended.then_some(self.made));
        for name in present.filter(|name| !name.is_empty()) {
            lines += &format!("{} >/dev/null || {{ echo \"$image: lost: {name}\"; exit 1; }}\n", inspect(name));
        }
        if has_ended && !self.removed.is_empty() {
            let name = self.removed;
            lines += &format!("if {} >/dev/null 2>&1; then echo \"$image: back: {name}\"; exit 1; fi\n", inspect(name));
        }
        lines
    }
}

/// Every third of them and the last.
fn thinned(steps: &[Step]) -> Vec<Step> {
    let chosen = steps.iter().enumerate().filter(|(index, _)| index % 3 == 1 || index + 1 == steps.len());
    chosen.map(|(_, step)| step.clone()).collect()
}
