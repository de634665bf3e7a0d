//! Every call by which a command changes the disk, and a kill at any one of them: strace(1) records the calls of a run,
//! then kills another run as it enters the n-th of a kind, which the kernel then does not carry out. strace counts
//! per thread and kind, and so do we.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::Process;

/// What changes a file system, by the names that strace knows on all architectures.
const CALLS: &str = "?open,openat,?creat,?mkdir,mkdirat,?rmdir,?unlink,unlinkat,?rename,renameat,renameat2,?link,linkat,\
                     ?symlink,symlinkat,?mknod,mknodat,truncate,ftruncate,fallocate,write,writev,pwrite64,pwritev,\
                     pwritev2,copy_file_range,sendfile,splice,fsync,fdatasync,syncfs,sync_file_range,?chmod,fchmod,\
                     fchmodat,?chown,fchown,fchownat,setxattr,lsetxattr,fsetxattr,utimensat";

/// A moment at which a command is killed: as it enters the `number`-th call of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub call: String,
    pub number: usize,
    /// The call as it was recorded.
    pub line: String,
    /// Where in the recording it was.
    position: usize,
}

impl Step {
    pub fn is_sync(&self) -> bool {
        ["fsync", "fdatasync", "syncfs"].contains(&self.call.as_str())
    }

    pub fn is_rename(&self) -> bool {
        self.call.starts_with("rename")
    }

    /// The call without what differs between the layers of an image and between runs.
    fn shape(&self) -> String {
        let arguments = self.line.split(" = ").next().unwrap_or_default();
        arguments.split(|c: char| c.is_ascii_hexdigit()).collect()
    }
}

/// Runs `command`, which must succeed, and gives its calls that change something below `directory`.
#[track_caller]
pub fn record(command: &Command, line: &str, directory: &Path, log: &Path) -> Vec<Step> {
    let directory = directory.to_str().expect("test paths are UTF-8");
    let is_change = |call: &str, rest: &str| {
        let changes = !call.contains("open") || rest.contains("O_CREAT");
        changes && rest.contains(directory)
    };
    record_calls(command, line, CALLS, is_change, log)
}

/// Runs `command`, which must succeed, and gives those of the `calls` that are wanted, by their names and what strace
/// shows of them; descriptors with paths, or what kind of socket they are.
#[track_caller]
pub fn record_calls(
    command: &Command,
    line: &str,
    calls: &str,
    is_wanted: impl Fn(&str, &str) -> bool,
    log: &Path,
) -> Vec<Step> {
    let log_path = log.to_str().expect("test paths are UTF-8");
    let traced = traced(command, &["-yy", "-s", "0", "-o", log_path, "-e", &format!("trace={calls}")]);
    Process::start(traced, line).finish().expect(0);
    let text = std::fs::read_to_string(log).expect("strace writes it");
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut steps: BTreeMap<(String, usize), Step> = BTreeMap::new();
    for (position, line) in text.lines().enumerate() {
        // `1234 rename("…", "…") = 0`, or `1234 <... rename resumed>) = 0` for the rest of what was begun above.
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some((call, _)) =
            rest.split_once('(').filter(|(call, _)| call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        else {
            continue;
        };
        let number = counts.entry((thread, call)).or_default();
        *number += 1;
        if is_wanted(call, rest) {
            let step = Step { call: call.to_owned(), number: *number, line: rest.to_owned(), position };
            steps.entry((step.call.clone(), step.number)).or_insert(step);
        }
    }
    let mut steps: Vec<Step> = steps.into_values().collect();
    steps.sort_by_key(|step| step.position);
    steps
}

/// Of calls that look alike the first and the last.
pub fn sample(steps: &[Step]) -> Vec<Step> {
    let shapes: BTreeSet<String> = steps.iter().map(Step::shape).collect();
    let mut chosen = BTreeSet::new();
    for shape in &shapes {
        let mut alike = steps.iter().enumerate().filter(|(_, step)| step.shape() == *shape).map(|(index, _)| index);
        chosen.extend(alike.next());
        chosen.extend(alike.next_back());
    }
    chosen.into_iter().map(|index| steps[index].clone()).collect()
}

/// `command` such that it is killed at the step.
pub fn killed_at(command: &Command, step: &Step) -> Command {
    let Step { call, number, .. } = step;
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
    traced(command, &["-o", "/dev/null", "-e", &trace, "-e", &inject])
}

/// `command` such that a call claims to have succeeded and does nothing.
pub fn without(command: &Command, call: &str) -> Command {
    traced(command, &["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:retval=0")])
}

fn traced(command: &Command, options: &[&str]) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq"]).args(options).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        traced.current_dir(directory);
    }
    traced
}
