//! Making the container's process with its namespaces: in one clone3 where that is possible, through an
//! intermediate process where a user namespace must be joined first. Called by `create` and `exec`.

use crate::error::{Error, Result};
use crate::sync::{self, Message};
use kernel::clone::{self, Child, Options};
use kernel::namespace::{self, Kind};
use kernel::pidfd::PidFd;
use kernel::prctl;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Clones `child`, inside the pid namespace `pid_namespace` (a namespace file or a pidfd) if one is given.
pub(crate) fn spawn(
    options: Options<'_>,
    pid_namespace: Option<BorrowedFd<'_>>,
    child: impl FnOnce() -> i32,
) -> Result<Child> {
    let Some(pid_namespace) = pid_namespace else {
        return Ok(clone::clone3(options, child)?);
    };
    // setns changes the pid namespace of children only, so we join, clone and go back: that saves the
    // intermediate process that others use, about 0.3 ms.
    let own = namespace::of_process(std::process::id() as i32, Kind::Pid)?;
    namespace::join(pid_namespace, Kind::Pid)?;
    let spawned = clone::clone3(options, child);
    let back = namespace::join(&own, Kind::Pid);
    match (spawned, back) {
        (Ok(child), Ok(())) => Ok(child),
        (Ok(child), Err(error)) => {
            reap(&child.pidfd);
            Err(error.into())
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// As [`spawn`], in a user namespace that exists already: new namespaces must belong to it, so an intermediate
/// process joins it, with all others of `joined`, and clones its sibling from there.
pub(crate) fn spawn_through(
    joined: &[(Kind, OwnedFd)],
    options: Options<'_>,
    child: impl FnOnce() -> i32,
) -> Result<Child> {
    let options = Options { sibling: true, ..options };
    // Not the child's own socket: a child that fails at once would be heard before it is known.
    let (ours, theirs) = sync::pair()?;
    let between = clone::clone3(Options::default(), || {
        let message = match join_and_clone(joined, options, child) {
            Ok(child) => Message::Process { pid: child.pid, pidfd: child.pidfd.into() },
            Err(error) => Message::Failed(error),
        };
        // When this fails the parent is gone, and the sibling will see the end of file.
        i32::from(theirs.send(&message).is_err())
    })?;
    drop(theirs);
    let answer = ours.receive();
    between.pidfd.wait()?;
    match answer? {
        Some(Message::Process { pid, pidfd }) => Ok(Child { pid, pidfd: PidFd::from(pidfd) }),
        Some(Message::Failed(error)) => Err(error),
        _ => Err(Error::Ended),
    }
}

fn join_and_clone(joined: &[(Kind, OwnedFd)], options: Options<'_>, child: impl FnOnce() -> i32) -> Result<Child> {
    // Before we, or the child, are seen by a container that shares these namespaces with us: its user namespace may give
    // it the right to look into us, who are still root of the host with all of its files (CVE-2016-9962).
    prctl::forbid_inspection()?;
    // What is the host's, or anybody's else, can be joined only with our rights of now; what belongs to the user
    // namespace, perhaps only with those that it gives. Not the mounts: the child still needs the host's /proc.
    let joined = joined.iter().filter(|(kind, _)| *kind != Kind::Mount);
    let (user, mut later): (Vec<_>, Vec<_>) = joined.partition(|(kind, _)| *kind == Kind::User);
    if !user.is_empty() {
        later.retain(|(kind, fd)| namespace::join(fd, *kind).is_err());
    }
    for (kind, fd) in user.into_iter().chain(later) {
        namespace::join(fd, *kind)?;
    }
    Ok(clone::clone3(options, child)?)
}

/// Ends a process of ours that never became a program.
pub(crate) fn reap(pidfd: &PidFd) {
    // Either fails only when the process has ended and been reaped already.
    let _ = pidfd.send_signal(9);
    let _ = pidfd.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::namespace::Set;
    use kernel::pidfd::Exit;
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn nobody_in_a_joined_user_namespace_can_look_into_the_child() {
        let options = Options { namespaces: Set::NONE.with(Kind::User), ..Options::default() };
        let (ours, theirs) = sync::pair().unwrap();
        let other = clone::clone3(options, || {
            drop(ours.receive());
            0
        });
        // Not everybody may make one.
        let Ok(other) = other else { return };
        let user = namespace::of_process(other.pid, Kind::User).unwrap();
        let is_dumpable = || i32::from(!matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)));
        let child = spawn_through(&[(Kind::User, user)], Options::default(), is_dumpable).unwrap();
        assert_eq!(child.pidfd.wait().unwrap(), Exit::Code(0));
        drop((ours, theirs));
        reap(&other.pidfd);
    }
}
