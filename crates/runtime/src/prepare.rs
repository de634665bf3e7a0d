//! The specification's `process`, made ready in the parent: names looked up, strings laid out for execve, so that
//! the child only carries out. Called by `create` and `exec`; what is wrong here starts nothing.

use crate::attributes::Attributes;
use crate::error::{Error, Result, invalid};
use crate::listener::Listener;
use crate::program::Program;
use kernel::capability::{Capability, Set};
use kernel::seccomp::{self, Flags};
use rustix::process::Resource;
use std::borrow::Cow;
use std::ffi::CString;
use std::sync::OnceLock;

/// Access rights of a process that says nothing about its umask.
const UMASK_DEFAULT: u32 = 0o022;

pub(crate) struct Process<'a> {
    pub program: Program,
    pub working_directory: CString,
    pub user: u32,
    pub group: u32,
    pub groups: &'a [u32],
    pub umask: u32,
    pub capabilities: Capabilities,
    pub limits: Vec<Limit>,
    pub no_new_privileges: bool,
    pub oom_score_adjustment: Option<i32>,
    pub filter: Option<Filter<'a>>,
    pub attributes: Attributes,
    /// Run under our own pid 1, see `reaper.rs`.
    pub reaper: bool,
}

pub(crate) struct Limit {
    pub resource: Resource,
    pub soft: u64,
    pub hard: u64,
}

pub(crate) struct Filter<'a> {
    pub program: Cow<'a, seccomp::Program>,
    pub flags: Flags,
    /// Where the filter asks somebody about calls.
    pub listener: Option<Listener<'a>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capabilities {
    pub bounding: Set,
    pub effective: Set,
    pub permitted: Set,
    pub inheritable: Set,
    pub ambient: Set,
    /// What the running kernel knows.
    pub all: Set,
}

impl<'a> Process<'a> {
    pub fn prepare(
        process: &'a spec::runtime::Process,
        attributes: Attributes,
        filter: Option<Filter<'a>>,
        reaper: bool,
    ) -> Result<Self> {
        if !process.cwd.starts_with('/') {
            return Err(invalid(format!("working directory {:?} is not absolute", process.cwd)));
        }
        if let Some(adjustment @ (..-1000 | 1001..)) = process.oom_score_adj {
            return Err(invalid(format!("oom score adjustment {adjustment} is not within -1000 and 1000")));
        }
        Ok(Process {
            program: if std::ptr::eq(process, absent()) {
                Program::absent()
            } else {
                Program::prepare(&process.args, &process.env)?
            },
            working_directory: c_string("working directory", &process.cwd)?,
            user: process.user.uid,
            group: process.user.gid,
            groups: &process.user.additional_gids,
            umask: process.user.umask.unwrap_or(UMASK_DEFAULT),
            capabilities: capabilities(process.capabilities.as_ref())?,
            limits: limits(&process.rlimits)?,
            no_new_privileges: process.no_new_privileges,
            oom_score_adjustment: process.oom_score_adj,
            filter,
            attributes,
            reaper,
        })
    }
}

/// Stands for the process of a specification that has none: root without any rights, and no program.
pub(crate) fn absent() -> &'static spec::runtime::Process {
    static ABSENT: OnceLock<spec::runtime::Process> = OnceLock::new();
    ABSENT.get_or_init(|| spec::runtime::Process { cwd: "/".to_owned(), ..spec::runtime::Process::default() })
}

pub(crate) fn c_string(what: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| invalid(format!("{what} {text:?} holds a zero byte")))
}

/// Each kind once, as the specification wants (config.md, rlimits).
fn limits(asked: &[spec::runtime::Rlimit]) -> Result<Vec<Limit>> {
    for (index, limit) in asked.iter().enumerate() {
        if asked[..index].iter().any(|other| other.kind == limit.kind) {
            return Err(invalid(format!("resource limit {} is listed twice", limit.kind)));
        }
    }
    asked.iter().map(limit).collect()
}

fn limit(limit: &spec::runtime::Rlimit) -> Result<Limit> {
    let Some(resource) = kernel::rlimit::from_name(&limit.kind) else {
        return Err(invalid(format!("unknown resource limit {:?}", limit.kind)));
    };
    if limit.soft > limit.hard {
        return Err(invalid(format!("{}: soft limit {} is above hard limit {}", limit.kind, limit.soft, limit.hard)));
    }
    Ok(Limit { resource, soft: limit.soft, hard: limit.hard })
}

/// No capabilities in the specification means none for the process.
fn capabilities(wanted: Option<&spec::runtime::Capabilities>) -> Result<Capabilities> {
    let all = Set::all().map_err(Error::Setup)?;
    let Some(wanted) = wanted else {
        return Ok(Capabilities { all, ..Capabilities::default() });
    };
    // One that nobody or this kernel does not know cannot be granted; the specification wants that to be no error
    // but a warning, which is the caller's to give.
    let set = |names: &[String]| -> Set {
        names.iter().filter_map(|name| Capability::from_name(name)).collect::<Set>().intersection(all)
    };
    Ok(Capabilities {
        bounding: set(&wanted.bounding),
        effective: set(&wanted.effective),
        permitted: set(&wanted.permitted),
        inheritable: set(&wanted.inheritable),
        ambient: set(&wanted.ambient),
        all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::runtime;

    fn process() -> runtime::Process {
        runtime::Process { args: vec!["true".into()], cwd: "/".into(), ..runtime::Process::default() }
    }

    fn check_refused(change: impl FnOnce(&mut runtime::Process), word: &str) {
        let mut process = process();
        change(&mut process);
        match Process::prepare(&process, Attributes::default(), None, false) {
            Err(Error::Invalid(text)) => assert!(text.contains(word), "{text}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted, wanted an error about {word}"),
        }
    }

    #[test]
    fn nonsense_is_refused_before_anything_starts() {
        check_refused(|p| p.cwd = "relative".into(), "absolute");
        check_refused(|p| p.cwd = "/a\0b".into(), "zero byte");
        check_refused(|p| p.args.clear(), "no program");
        check_refused(|p| p.args[0] = "a\0b".into(), "zero byte");
        check_refused(|p| p.env = vec!["A=\0".into()], "zero byte");
        check_refused(|p| p.oom_score_adj = Some(1001), "1001");
        let limit = |kind: &str| vec![runtime::Rlimit { kind: kind.into(), soft: 2, hard: 1 }];
        check_refused(|p| p.rlimits = limit("RLIMIT_NOFILE"), "above");
        check_refused(|p| p.rlimits = limit("NOFILE"), "unknown");
        let limit = runtime::Rlimit { kind: "RLIMIT_CORE".into(), soft: 1, hard: 1 };
        check_refused(|p| p.rlimits = vec![limit.clone(), limit], "twice");
    }

    #[test]
    fn a_plain_process_has_no_capabilities() {
        let process = process();
        let prepared = Process::prepare(&process, Attributes::default(), None, false).unwrap();
        assert!(prepared.capabilities.bounding.is_empty());
        assert_eq!(prepared.umask, 0o022);
    }
}
