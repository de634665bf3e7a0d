//! What `exec` executes: a process as JSON, or the container's own with what the flags change.

use crate::runtime::failure::Failure;
use crate::runtime::parse::Parsed;
use ::spec::runtime::Process;
use oci::Container;

pub fn process(container: &Container, parsed: &Parsed) -> Result<Process, Failure> {
    let process = match parsed.text("process") {
        Some(path) => from_file(path)?,
        None => from_flags(container, parsed)?,
    };
    if process.cwd.is_empty() {
        return Err(Failure::new("Cwd property must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(Failure::new("Cwd must be an absolute path"));
    }
    if process.args.is_empty() {
        return Err(Failure::new("args must not be empty"));
    }
    Ok(process)
}

fn from_file(path: &str) -> Result<Process, Failure> {
    let text =
        std::fs::read(path).map_err(|error| Failure::new(format!("open {path}: {}", crate::failure::plain(&error))))?;
    ::spec::runtime::parse(&text).map_err(|error| Failure::new(format!("parse {path}: {error}")))
}

fn from_flags(container: &Container, parsed: &Parsed) -> Result<Process, Failure> {
    let command = &parsed.arguments[1..];
    if command.is_empty() {
        return Err(Failure::new("exec args cannot be empty"));
    }
    let mut process = container.record.config.process.clone().unwrap_or_default();
    process.args = command.to_vec();
    process.terminal = parsed.switch("tty");
    process.env.extend(parsed.all("env"));
    if let Some(cwd) = parsed.text("cwd") {
        process.cwd = cwd.to_owned();
    }
    if let Some(label) = parsed.text("process-label") {
        process.selinux_label = label.to_owned();
    }
    if let Some(profile) = parsed.text("apparmor") {
        process.apparmor_profile = profile.to_owned();
    }
    if parsed.text("no-new-privs").is_some() {
        process.no_new_privileges = parsed.switch("no-new-privs");
    }
    add_capabilities(&mut process, &parsed.all("cap"));
    set_user(&mut process, parsed)?;
    Ok(process)
}

/// Into the sets that a program gets; and into the ambient one if the specification has inheritable ones, without which
/// ambient ones cannot be.
fn add_capabilities(process: &mut Process, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let sets = process.capabilities.get_or_insert_default();
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        set.extend_from_slice(names);
    }
    if !sets.inheritable.is_empty() {
        sets.ambient.extend_from_slice(names);
    }
}

fn set_user(process: &mut Process, parsed: &Parsed) -> Result<(), Failure> {
    let number = |text: &str, what: &str| {
        text.parse::<u32>().map_err(|_| Failure::new(format!("bad {what}: {text:?} is not a number")))
    };
    if let Some(user) = parsed.text("user").filter(|user| !user.is_empty()) {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        process.user.uid = number(uid, "uid")?;
        if let Some(gid) = gid {
            process.user.gid = number(gid, "gid")?;
        }
    }
    for gid in parsed.all("additional-gids") {
        process.user.additional_gids.push(number(&gid, "additional gid")?);
    }
    Ok(())
}
