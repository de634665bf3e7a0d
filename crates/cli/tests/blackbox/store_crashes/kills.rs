//! `kill -9` at each call that changes the disk, and what the next commands make of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Moments, image, with_registry};
use crate::harness::image::busybox_tar;
use crate::harness::process::tool;
use crate::harness::sandbox::is_docker;
use crate::harness::steps;
use crate::harness::words::split;
use crate::harness::{Brig, Process};

/// A command that is killed, from a state of the store that a test has made.
pub struct Scenario<'a> {
    pub brig: &'a Brig,
    pub line: &'a str,
    /// What the same command may answer when the killed one had come to its end: empty if it must succeed.
    pub refusal: &'a str,
    pub env: &'a [(&'a str, &'a str)],
    /// The store is damaged before, and whole afterwards.
    pub repairs: bool,
}

impl<'a> Scenario<'a> {
    /// To be filled in.
    fn of(brig: &'a Brig) -> Scenario<'a> {
        Scenario { brig, line: "", refusal: "", env: &[], repairs: false }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.brig.bare();
        command.args(split(line)).envs(self.env.iter().copied());
        command
    }

    fn run(&self, line: &str) -> crate::harness::process::Output {
        Process::start(self.command(line), line).finish()
    }

    /// Tries the moments, each from the state that the store has now.
    pub fn check(&self, moments: Moments) {
        let template = self.brig.dir.join("template");
        fs::rename(self.brig.root(), &template).expect("one directory");
        let reset = || copy(&template, &self.brig.root());
        reset();
        let log = self.brig.dir.join("strace.log");
        let all = steps::record(&self.command(self.line), self.line, &self.brig.dir, &log);
        let (expected, _) = self.tidied();
        let chosen = if moments == Moments::All { all.clone() } else { steps::sample(&all) };
        assert!(!chosen.is_empty(), "`{}` writes nothing", self.line);
        let (mut killed, mut failures) = (0, Vec::new());
        for step in &chosen {
            reset();
            let run = Process::start(steps::killed_at(&self.command(self.line), step), self.line).finish();
            killed += usize::from(run.code == 137);
            if let Err(why) = self.recovers(&expected) {
                failures.push(format!("killed at {} {}: {}: {why}", step.call, step.number, step.line));
            }
        }
        let _ = fs::remove_dir_all(&template);
        eprintln!("`{}`: {} calls, {} tried, {killed} killed", self.line, all.len(), chosen.len());
        assert!(
            failures.is_empty(),
            "`{}`: {} of {}:\n{}",
            self.line,
            failures.len(),
            chosen.len(),
            failures.join("\n")
        );
        assert!(killed * 2 > chosen.len(), "strace killed only {killed} of {}", chosen.len());
    }

    fn recovers(&self, expected: &[String]) -> Result<(), String> {
        let sound = |when: &str| match self.run("image check") {
            check if check.code == 0 => Ok(()),
            check => Err(format!("{when}: image check: {} {}", check.text(), check.stderr)),
        };
        if !self.repairs {
            sound("before")?;
        }
        let again = self.run(self.line);
        let is_refused = !self.refusal.is_empty() && again.stderr.contains(self.refusal);
        if again.code != 0 && !is_refused {
            return Err(format!("again: {} {}", again.code, again.stderr));
        }
        sound("after")?;
        let (left, freed) = self.tidied();
        match left == expected {
            true => Ok(()),
            false => Err(format!("left in the store: {left:#?}\nexpected: {expected:#?}\n{freed}")),
        }
    }

    /// What is in the store after a prune, names without digests.
    fn tidied(&self) -> (Vec<String>, String) {
        let freed = self.run("image prune -f").expect(0).text();
        let root = self.brig.root();
        let mut files = Vec::new();
        for directory in ["images", "layers"] {
            list(&root.join(directory), &root, &mut files);
        }
        files.sort();
        (files, freed)
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let path = |path: &Path| path.to_str().expect("test paths are UTF-8").to_owned();
    tool("cp", &["-a", &path(from), &path(to)]);
}

/// Everything below `directory` but locks and `origins`, which are hints that may be lost, as paths below `root` with each digest as `*`.
fn list(directory: &Path, root: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let below = path.strip_prefix(root).expect("it is below").to_string_lossy().into_owned();
        let parts = below.split('/').map(|part| if part.len() == 64 { "*" } else { part });
        let name = parts.collect::<Vec<_>>().join("/");
        if name.starts_with("images/origins") {
            continue;
        }
        if !name.ends_with("lock") {
            into.push(name);
        }
        if path.is_dir() {
            list(&path, root, into);
        }
    }
}

/// A store with an image of busybox, so that the command is not the store's first.
fn sandbox() -> Brig {
    Brig::new()
}

pub fn pull(moments: Moments) {
    let brig = sandbox();
    let (_registry, name) = with_registry(&brig.dir, &image(7));
    let line = format!("pull -q {name}");
    Scenario { line: &line, ..Scenario::of(&brig) }.check(moments);
}

pub fn load(moments: Moments, layers: &str) {
    let brig = sandbox();
    let archive = brig.write("in.tar", image(8).oci_archive("team/app:v2"));
    let line = format!("load -i {archive}");
    Scenario { line: &line, env: &[("BRIG_LAYERS", layers)], ..Scenario::of(&brig) }.check(moments);
}

/// The first command in a new store.
pub fn first(moments: Moments) {
    let brig = Brig::empty();
    fs::create_dir(brig.root()).expect("a new directory");
    let archive = brig.write("in.tar", image(9).oci_archive("team/app:v2"));
    let line = format!("load -i {archive}");
    Scenario { line: &line, ..Scenario::of(&brig) }.check(moments);
}

pub fn import(moments: Moments) {
    let brig = sandbox();
    let archive = brig.write("bb.tar", busybox_tar());
    let line = format!("import -c 'ENV A=b' {archive} team/made");
    Scenario { line: &line, ..Scenario::of(&brig) }.check(moments);
}

pub fn commit(moments: Moments) {
    let brig = sandbox();
    brig.ok("create --name box bb true");
    let file = brig.write("file", super::noise(20_000, 5));
    brig.ok(&format!("cp {file} box:/file"));
    Scenario { line: "commit box team/made", ..Scenario::of(&brig) }.check(moments);
}

pub fn tag(moments: Moments) {
    let brig = sandbox();
    Scenario { line: "tag bb team/other:v3", ..Scenario::of(&brig) }.check(moments);
}

pub fn rmi(moments: Moments) {
    let brig = sandbox();
    let archive = brig.write("in.tar", image(8).oci_archive("team/app:v2"));
    brig.ok(&format!("load -i {archive}"));
    Scenario { line: "rmi team/app:v2", refusal: "No such image", ..Scenario::of(&brig) }.check(moments);
}

/// Also what an interrupted download has left.
pub fn prune(moments: Moments) {
    let brig = sandbox();
    let archive = brig.write("in.tar", image(8).oci_archive("team/app:v2"));
    brig.ok(&format!("load -i {archive}"));
    brig.ok("tag bb keep");
    brig.mkdir("root/images/partial");
    brig.write("root/images/partial/00", [7; 5000]);
    Scenario { line: "image prune -af", ..Scenario::of(&brig) }.check(moments);
}

/// A load that makes the store too large, so that another image goes.
pub fn eviction(moments: Moments) {
    let brig = sandbox();
    for (seed, name) in [(8, "team/app:v2"), (9, "team/next:v1")] {
        brig.write(&format!("{seed}.tar"), image(seed).oci_archive(name));
    }
    brig.ok(&format!("load -i {}", brig.dir.join("8.tar").display()));
    brig.ok("create --name box bb true");
    // Less than busybox and the three layers of one of the two take.
    let config = brig.write("brig.toml", "store.max = \"2MB\"");
    let line = format!("load -i {}", brig.dir.join("9.tar").display());
    Scenario { line: &line, env: &[("BRIG_CONFIG", &config)], ..Scenario::of(&brig) }.check(moments);
    assert_eq!(brig.ok("images -q").lines().count(), 2, "one was evicted");
}

/// A layer and a configuration are damaged.
pub fn repair(moments: Moments) {
    let brig = sandbox();
    let (_registry, name) = with_registry(&brig.dir, &image(7));
    brig.ok(&format!("pull -q {name}"));
    let id = brig.inspect(&name, "{{.Id}}").replace(':', "/");
    fs::write(brig.root().join("images/blobs").join(id), "nonsense").expect("it is there");
    let layers = fs::read_dir(brig.root().join("layers")).expect("a directory").flatten();
    let images = layers.map(|layer| layer.path().join("image.erofs"));
    let large = images.filter(|path| path.metadata().is_ok_and(|metadata| metadata.len() > 1_300_000));
    let large = large.min_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len())).expect("the large layer");
    let file = fs::File::options().write(true).open(large).expect("it can be opened");
    std::os::unix::fs::FileExt::write_all_at(&file, b"nonsense", 200_000).expect("it can be written");
    Scenario { line: "image check --repair", repairs: true, ..Scenario::of(&brig) }.check(moments);
}

#[test]
fn a_pull_killed_at_any_write() {
    if !is_docker() {
        pull(Moments::Some);
    }
}

#[test]
fn a_load_killed_at_any_write() {
    if !is_docker() {
        load(Moments::Some, "auto");
    }
}

#[test]
fn a_load_of_directories_killed_at_any_write() {
    if !is_docker() {
        load(Moments::Some, "directory");
    }
}

#[test]
fn the_first_load_killed_at_any_write() {
    if !is_docker() {
        first(Moments::Some);
    }
}

#[test]
fn an_import_killed_at_any_write() {
    if !is_docker() {
        import(Moments::Some);
    }
}

#[test]
fn a_commit_killed_at_any_write() {
    if !is_docker() {
        commit(Moments::Some);
    }
}

#[test]
fn a_tag_killed_at_any_write() {
    if !is_docker() {
        tag(Moments::All);
    }
}

#[test]
fn a_removal_killed_at_any_write() {
    if !is_docker() {
        rmi(Moments::Some);
    }
}

#[test]
fn an_eviction_killed_at_any_write() {
    if !is_docker() {
        eviction(Moments::Some);
    }
}

#[test]
fn a_repair_killed_at_any_write() {
    if !is_docker() {
        repair(Moments::Some);
    }
}

#[test]
fn a_prune_killed_at_any_write() {
    if !is_docker() {
        prune(Moments::Some);
    }
}

/// The next command that looks at the container lets it go on.
#[test]
fn a_killed_commit_leaves_nothing_paused() {
    if is_docker() {
        return;
    }
    let brig = sandbox();
    brig.ok("run -d --network none --name box bb sleep 1000");
    let commit = brig.bare();
    let mut killed = Command::new("strace");
    let inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:signal=KILL:when=1"];
    killed.args(["-f", "-qq", "-o", "/dev/null"]).args(inject).arg(commit.get_program()).args(commit.get_args());
    killed.args(["commit", "box", "team/made"]).current_dir(&brig.dir);
    Process::start(killed, "commit").finish().expect(137);
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "running");
    assert_eq!(brig.ok("exec box echo on"), "on");
    brig.ok("commit box team/made");
    // What the user pauses stays paused.
    brig.ok("pause box");
    brig.ok("commit box team/made");
    assert_eq!(brig.inspect("box", "{{.State.Status}}"), "paused");
    brig.ok("rm -f box");
}
