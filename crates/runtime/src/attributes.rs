//! What a process has besides its identity: labels, CPUs, scheduling, personality, memory policy. Looked up in the
//! parent (`prepare.rs`), applied by the child in three moments: before and after it enters its cgroup, and before it
//! gives up its rights. A process that asks for none of it only has its CPUs given back.

use crate::error::{Result, invalid};
use kernel::cpu_list::Mask;
use kernel::personality::Domain;
use kernel::scheduler::{self, IoClass};
use kernel::{label, memory_policy, personality};
use spec::runtime::{IoPriority, Linux, MemoryPolicy, Personality, Process, Scheduler};

#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// Before the cgroup is entered; only for a process of `exec`.
    first_cpus: Option<Mask>,
    cpus: Cpus,
    apparmor: String,
    selinux: String,
    scheduler: Option<scheduler::Attributes>,
    /// Whether the cgroup has CPUs of its own, with which a deadline does not go together.
    has_cpuset: bool,
    io_priority: Option<(IoClass, u8)>,
    personality: Option<Domain>,
    memory_policy: Option<(u32, Mask)>,
}

#[derive(Debug, Default)]
enum Cpus {
    /// All that the cgroup has, whatever the caller was bound to.
    #[default]
    All,
    These(Mask),
    /// What the kernel makes of those before.
    Kept,
}

impl Attributes {
    /// `linux` holds what concerns all processes of the container.
    pub fn of_first(process: &Process, linux: Option<&Linux>) -> Result<Attributes> {
        if !process.apparmor_profile.is_empty() && process.apparmor_profile != "unconfined" && !label::has_apparmor() {
            let profile = &process.apparmor_profile;
            return Err(invalid(format!("apparmor profile {profile:?} is asked for, but the kernel has no apparmor")));
        }
        if !process.selinux_label.is_empty() && !label::has_selinux() {
            return Err(invalid("selinux label is specified in config, but selinux is disabled or not supported"));
        }
        let apparmor =
            if label_applies(&process.apparmor_profile) { process.apparmor_profile.clone() } else { String::new() };
        Ok(Attributes {
            apparmor,
            selinux: process.selinux_label.clone(),
            has_cpuset: linux
                .and_then(|linux| linux.resources.as_ref()?.cpu.as_ref())
                .is_some_and(|cpu| !cpu.cpus.is_empty()),
            scheduler: process.scheduler.as_ref().map(scheduler_attributes).transpose()?,
            io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
            personality: linux.and_then(|linux| linux.personality.as_ref()).map(domain).transpose()?,
            memory_policy: linux.and_then(|linux| linux.memory_policy.as_ref()).map(policy).transpose()?,
            ..Attributes::default()
        })
    }

    /// As [`Attributes::of_first`], with `execCPUAffinity`, which is for these processes alone.
    pub fn of_exec(process: &Process, linux: Option<&Linux>) -> Result<Attributes> {
        let mut attributes = Attributes::of_first(process, linux)?;
        let Some(affinity) = &process.exec_cpu_affinity else { return Ok(attributes) };
        let mask = |list: &str| {
            let mask = Mask::parse(list).filter(|mask| !mask.is_empty());
            mask.ok_or_else(|| invalid(format!("CPU affinity {list:?} is no list of CPUs; an example is \"0-3,7\"")))
        };
        if !affinity.initial.is_empty() {
            attributes.first_cpus = Some(mask(&affinity.initial)?);
            attributes.cpus = Cpus::Kept;
        }
        if !affinity.r#final.is_empty() {
            attributes.cpus = Cpus::These(mask(&affinity.r#final)?);
        }
        Ok(attributes)
    }

    pub fn before_cgroup(&self) -> Result<()> {
        match &self.first_cpus {
            Some(cpus) => Ok(scheduler::set_affinity(cpus)?),
            None => Ok(()),
        }
    }

    /// In the cgroup, because its CPUs bound those of the process; and while the `/proc` that we see is the host's.
    pub fn in_cgroup(&self) -> Result<()> {
        match &self.cpus {
            // Nobody asked for it by name, and a sandbox around us may forbid the call.
            Cpus::All => drop(scheduler::set_affinity(&Mask::all())),
            Cpus::These(cpus) => scheduler::set_affinity(cpus)?,
            Cpus::Kept => {}
        }
        if !self.apparmor.is_empty() {
            label::set_apparmor_on_exec(&self.apparmor)?;
        }
        if !self.selinux.is_empty() {
            label::set_selinux_on_exec(&self.selinux)?;
            // The keyring comes later and is the program's.
            label::set_selinux_keys(&self.selinux)?;
        }
        Ok(())
    }

    /// As late as the rights for it last: a process with a deadline cannot fork.
    pub fn before_rights_go(&self) -> Result<()> {
        if let Some((mode, nodes)) = &self.memory_policy {
            memory_policy::set(*mode, nodes)?;
        }
        if let Some((class, priority)) = self.io_priority {
            scheduler::set_io_priority(class, priority)?;
        }
        if let Some(domain) = self.personality {
            personality::set(domain)?;
        }
        match &self.scheduler {
            Some(attributes) => scheduler::set(attributes).map_err(|error| self.explain(error).into()),
            None => Ok(()),
        }
    }

    fn explain(&self, error: kernel::Error) -> kernel::Error {
        if error.errno == rustix::io::Errno::PERM && self.has_cpuset {
            let action = format!("{} (process scheduler can't be used together with AllowedCPUs)", error.action);
            return kernel::Error { action, ..error };
        }
        error
    }
}

/// Without AppArmor there is nothing that "unconfined" could mean.
fn label_applies(profile: &str) -> bool {
    !profile.is_empty() && (profile != "unconfined" || label::has_apparmor())
}

fn scheduler_attributes(asked: &Scheduler) -> Result<scheduler::Attributes> {
    let Scheduler { policy: name, nice, priority, flags, runtime, deadline, period } = asked;
    if name.is_empty() {
        return Err(invalid("scheduler policy is required"));
    }
    let policy =
        scheduler::policy_from_name(name).ok_or_else(|| invalid(format!("invalid scheduler policy: {name:?}")))?;
    if matches!(name.as_str(), "SCHED_OTHER" | "SCHED_BATCH") && !(-20..=19).contains(nice) {
        return Err(invalid(format!("invalid scheduler.nice: {nice} when scheduler.policy is {name}")));
    }
    if *priority != 0 && !matches!(name.as_str(), "SCHED_FIFO" | "SCHED_RR") {
        return Err(invalid("scheduler.priority can only be specified for SchedFIFO or SchedRR policy"));
    }
    if name != "SCHED_DEADLINE" && (*runtime, *deadline, *period) != (0, 0, 0) {
        return Err(invalid("scheduler runtime/deadline/period can only be specified for SchedDeadline policy"));
    }
    let known = |flag: &String| {
        scheduler::flag_from_name(flag).ok_or_else(|| invalid(format!("invalid scheduler flag: {flag:?}")))
    };
    let flags = flags.iter().try_fold(0, |all, flag| known(flag).map(|flag| all | flag))?;
    let priority = u32::try_from(*priority).map_err(|_| invalid(format!("invalid scheduler.priority: {priority}")))?;
    Ok(scheduler::Attributes {
        policy,
        flags,
        nice: *nice,
        priority,
        runtime: *runtime,
        deadline: *deadline,
        period: *period,
    })
}

fn io_priority(asked: &IoPriority) -> Result<(IoClass, u8)> {
    let class = match asked.class.as_str() {
        "IOPRIO_CLASS_RT" => IoClass::RealTime,
        "IOPRIO_CLASS_BE" => IoClass::BestEffort,
        "IOPRIO_CLASS_IDLE" => IoClass::Idle,
        other => return Err(invalid(format!("invalid ioPriority.Class: {other:?}"))),
    };
    match u8::try_from(asked.priority) {
        Ok(priority @ 0..=7) => Ok((class, priority)),
        _ => Err(invalid(format!("invalid ioPriority.Priority: {}", asked.priority))),
    }
}

fn domain(asked: &Personality) -> Result<Domain> {
    if !asked.flags.is_empty() {
        return Err(invalid("personality flags: none are defined"));
    }
    match asked.domain.as_str() {
        "LINUX" => Ok(Domain::Linux),
        "LINUX32" => Ok(Domain::Linux32),
        other => Err(invalid(format!("invalid personality domain {other:?}; LINUX and LINUX32 are known"))),
    }
}

fn policy(asked: &MemoryPolicy) -> Result<(u32, Mask)> {
    let mode = memory_policy::mode_from_name(&asked.mode)
        .ok_or_else(|| invalid(format!("invalid memory policy mode {:?}", asked.mode)))?;
    let known = |flag: &String| {
        memory_policy::flag_from_name(flag).ok_or_else(|| invalid(format!("invalid memory policy flag {flag:?}")))
    };
    let flags = asked.flags.iter().try_fold(0, |all, flag| known(flag).map(|flag| all | flag))?;
    let nodes = Mask::parse(&asked.nodes)
        .ok_or_else(|| invalid(format!("invalid memory policy nodes {:?}; an example is \"0-1,3\"", asked.nodes)))?;
    let count = nodes.count();
    match asked.mode.as_str() {
        "MPOL_DEFAULT" | "MPOL_LOCAL" if count != 0 => {
            Err(invalid(format!("memory policy mode requires 0 nodes but got {count}")))
        }
        "MPOL_DEFAULT" | "MPOL_LOCAL" | "MPOL_PREFERRED" => Ok((mode | flags, nodes)),
        _ if count == 0 => Err(invalid("memory policy mode requires at least one node but got 0")),
        _ => Ok((mode | flags, nodes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime::CpuAffinity;

    fn refused(change: impl FnOnce(&mut Process, &mut Linux)) -> String {
        let (mut process, mut linux) = (Process::default(), Linux::default());
        change(&mut process, &mut linux);
        Attributes::of_exec(&process, Some(&linux)).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let scheduler = |policy: &str| Scheduler { policy: policy.into(), ..Scheduler::default() };
        assert!(refused(|p, _| p.scheduler = Some(scheduler(""))).contains("required"));
        assert!(refused(|p, _| p.scheduler = Some(scheduler("SCHED_NONE"))).contains("SCHED_NONE"));
        let nice = Scheduler { nice: 20, ..scheduler("SCHED_OTHER") };
        assert!(refused(|p, _| p.scheduler = Some(nice)).contains("nice"));
        let period = Scheduler { period: 20, ..scheduler("SCHED_FIFO") };
        assert!(refused(|p, _| p.scheduler = Some(period)).contains("SchedDeadline"));
        let io = |class: &str, priority| Some(IoPriority { class: class.into(), priority });
        assert!(refused(|p, _| p.io_priority = io("IOPRIO_CLASS_BE", 8)).contains('8'));
        assert!(refused(|p, _| p.io_priority = io("BE", 1)).contains("BE"));
        let affinity = CpuAffinity { initial: "x".into(), r#final: String::new() };
        assert!(refused(|p, _| p.exec_cpu_affinity = Some(affinity)).contains("\"x\""));
        let personality = Personality { domain: "LINUX64".into(), flags: Vec::new() };
        assert!(refused(|_, l| l.personality = Some(personality)).contains("LINUX64"));
        let policy =
            |mode: &str, nodes: &str| Some(MemoryPolicy { mode: mode.into(), nodes: nodes.into(), flags: vec![] });
        assert!(refused(|_, l| l.memory_policy = policy("MPOL_BIND", "")).contains("at least one"));
        assert!(refused(|_, l| l.memory_policy = policy("MPOL_DEFAULT", "0-7")).contains("got 8"));
        assert!(refused(|_, l| l.memory_policy = policy("", "0")).contains("mode"));
        assert!(refused(|_, l| l.memory_policy = policy("MPOL_BIND", "0-9876543210")).contains("nodes"));
    }

    #[test]
    fn labels_need_a_kernel_that_has_them() {
        if !label::has_selinux() {
            assert!(refused(|p, _| p.selinux_label = "x".into()).contains("selinux"));
        }
        if !label::has_apparmor() {
            assert!(refused(|p, _| p.apparmor_profile = "x".into()).contains("apparmor"));
        }
        let process = Process { apparmor_profile: "unconfined".into(), ..Process::default() };
        assert!(Attributes::of_first(&process, None).is_ok());
    }
}
