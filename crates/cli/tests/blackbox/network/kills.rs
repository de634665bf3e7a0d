//! `kill -9` at the calls by which a command changes networks: of the command itself, of the monitor that it has started,
//! of the container's first process. After the next command nothing of a container that does not run is left, what was
//! asked for can be asked for again, and everything can be removed.

use std::process::Command;

use crate::harness::sandbox::is_docker;
use crate::harness::steps::{self, Step};
use crate::harness::{Process, words};
use crate::slow::is_wanted;

use super::host::Host;

/// Messages to the kernel's network configuration, and changes of files.
const CALLS: &str =
    "sendto,sendmsg,?mkdir,mkdirat,?unlink,unlinkat,?rename,renameat,renameat2,openat,write,pwrite64,bind";

/// How many of the moments are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moments {
    /// About so many.
    Some(usize),
    All,
}

/// A command that is killed.
struct Scenario {
    /// Lines before it that must succeed.
    before: &'static [&'static str],
    line: &'static str,
    /// What it may answer when it is asked for again, because the killed one had done it.
    refusal: &'static str,
}

/// The last lines of each: everything goes, whatever has become of it.
const AFTER: &[(&str, &str)] = &[("rm -f box", "No such container"), ("network rm lab", "not found")];

const RUN: Scenario = Scenario {
    before: &["network create --ipv6 lab"],
    line: "run --rm --name box --network lab -p 8080:80 -p 8080:80/udp bb true",
    // Killed before its start it is there, made and not started.
    refusal: "is already in use by container",
};
const CONNECT: Scenario = Scenario {
    before: &["network create lab", "run -d --name box -p 8080:80 bb sleep 1000"],
    line: "network connect lab box",
    refusal: "already exists in network lab",
};
const DISCONNECT: Scenario = Scenario {
    before: &["network create lab", "run -d --name box -p 8080:80 bb sleep 1000", "network connect lab box"],
    line: "network disconnect bridge box",
    refusal: "is not connected to network bridge",
};
const REMOVE: Scenario = Scenario {
    before: &["network create lab", "run -d --name box --network lab -p 8080:80 bb sleep 1000"],
    line: "rm -f box",
    refusal: "",
};
const REMOVE_NETWORK: Scenario = Scenario {
    before: &["network create lab", "run --rm --network lab bb true"],
    line: "network rm lab",
    refusal: "network lab not found",
};
const CREATE_NETWORK: Scenario =
    Scenario { before: &[], line: "network create --ipv6 lab", refusal: "network with name lab already exists" };
const RELOAD: Scenario = Scenario {
    before: &["network create lab", "run -d --name box --network lab -p 8080:80 bb sleep 1000"],
    line: "network reload",
    refusal: "",
};

impl Scenario {
    fn check(&self, moments: Moments) {
        let mut host = Host::new();
        let log = host.brig.dir.join("strace.log");
        assert_eq!(self.prepare(&host), Ok(()), "before");
        let all = steps::record_calls(&self.command(&host), self.line, CALLS, is_change, &log);
        assert!(!all.is_empty(), "`{}` changes nothing", self.line);
        assert_eq!(self.clear(&host).and_then(|()| settled(&host)), Ok(()), "without a kill");
        let every = match moments {
            Moments::All => 1,
            Moments::Some(count) => all.len().div_ceil(count),
        };
        let (mut killed, mut failures) = (0, Vec::new());
        let chosen: Vec<&Step> = all.iter().step_by(every).collect();
        for step in &chosen {
            let result = self.prepare(&host).and_then(|()| {
                let run = Process::start(steps::killed_at(&self.command(&host), step), self.line).finish();
                killed += usize::from(run.code != 0);
                self.recovers(&host)
            });
            if let Err(why) = result {
                failures.push(format!("killed at {} {}: {}: {why}", step.call, step.number, step.line));
                host.abandon();
                host = Host::new();
            }
        }
        eprintln!("`{}`: {} calls, {} tried, {killed} killed", self.line, all.len(), chosen.len());
        let (failed, tried) = (failures.len(), chosen.len());
        assert!(failures.is_empty(), "`{}`: {failed} of {tried}:\n{}", self.line, failures.join("\n"));
    }

    fn command(&self, host: &Host) -> Command {
        let mut command = host.brig.bare();
        command.args(words::split_as_typed(self.line));
        command
    }

    fn prepare(&self, host: &Host) -> Result<(), String> {
        self.before.iter().try_for_each(|line| may_refuse(host, line, ""))
    }

    fn recovers(&self, host: &Host) -> Result<(), String> {
        host.run("ps -a").expect(0);
        if host.ok("ps -q").is_empty() {
            settled(host).map_err(|left| format!("after the next command: {left}"))?;
        }
        may_refuse(host, self.line, self.refusal)?;
        self.clear(host)?;
        settled(host).map_err(|left| format!("at the end: {left}"))
    }

    fn clear(&self, host: &Host) -> Result<(), String> {
        AFTER.iter().try_for_each(|(line, refusal)| may_refuse(host, line, refusal))
    }
}

fn is_change(call: &str, rest: &str) -> bool {
    let is_message = call.starts_with("send") && rest.contains("<NETLINK");
    let is_file = rest.contains("/networks/") && (call != "openat" || rest.contains("O_CREAT"));
    is_message || is_file || (call == "bind" && rest.contains("<TCP"))
}

fn may_refuse(host: &Host, line: &str, refusal: &str) -> Result<(), String> {
    let run = host.run(line);
    match run.code == 0 || (!refusal.is_empty() && run.stderr.contains(refusal)) {
        true => Ok(()),
        false => Err(format!("`{line}`: {} {}", run.code, run.stderr.trim_end())),
    }
}

/// A monitor that is on its way out has a moment.
fn settled(host: &Host) -> Result<(), String> {
    match host.remains_settled() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left: {}", left.join(", "))),
    }
}

#[test]
fn a_run_killed_at_any_change_of_networks() {
    if !is_docker() {
        RUN.check(Moments::Some(7));
    }
}

#[test]
fn connecting_killed_at_any_change() {
    if !is_docker() {
        CONNECT.check(Moments::Some(5));
        DISCONNECT.check(Moments::Some(4));
    }
}

#[test]
fn making_and_removing_networks_killed_at_any_change() {
    if !is_docker() {
        CREATE_NETWORK.check(Moments::All);
        REMOVE_NETWORK.check(Moments::Some(4));
    }
}

mod slow {
    use super::*;

    fn all(scenarios: &[Scenario]) {
        if is_wanted() {
            scenarios.iter().for_each(|scenario| scenario.check(Moments::All));
        }
    }

    #[test]
    fn a_run_killed_at_every_change() {
        all(&[RUN]);
    }

    #[test]
    fn a_connection_killed_at_every_change() {
        all(&[CONNECT, RELOAD]);
    }

    #[test]
    fn the_end_of_a_connection_killed_at_every_change() {
        all(&[DISCONNECT, REMOVE]);
    }

    #[test]
    fn a_network_killed_at_every_change() {
        all(&[REMOVE_NETWORK, CREATE_NETWORK]);
    }
}
