//! A small pid 1 for programs that are none (`--init`): starts the program as its child, passes signals on to it,
//! reaps orphans, and ends as the program ends. Runs in the container's first process instead of execve, with
//! the program's own rights and filter; the kernel's memory of the host's command line is wiped.

use crate::error::{Error, Result};
use crate::prepare::Process;
use crate::sync::{Message, Socket};
use kernel::clone::{self, Child};
use kernel::signal::{Signal, SignalFd, SignalSet, set_mask};
use kernel::{exec, identity, prctl, pty};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;
use std::convert::Infallible;
use std::ffi::CStr;

/// Returns only an error from before the program's process exists.
pub(crate) fn run(process: &Process<'_>, program: &CStr, socket: &Socket) -> Result<Infallible> {
    // Not pid 1 where the pid namespace is shared: orphans come to us all the same.
    if rustix::process::getpid() != rustix::process::Pid::INIT {
        prctl::become_subreaper()?;
    }
    // Before the fork, so that none is lost between the program's start and the loop.
    set_mask(SignalSet::ALL)?;
    let child = clone::fork(|| become_program(process, program, socket))?;
    clone::exit(serve(&child, socket))
}

fn become_program(process: &Process<'_>, program: &CStr, socket: &Socket) -> i32 {
    let error = match prepare_program() {
        Ok(()) => process.program.execute(program),
        Err(error) => error,
    };
    let code = if let Error::Exec(error) = &error { error.kind.exit_code() } else { 125 };
    // When this fails the parent is gone and nobody waits for the reason.
    let _ = socket.send(&Message::Failed(error));
    code
}

fn prepare_program() -> Result<()> {
    identity::new_session()?;
    if rustix::termios::isatty(rustix::stdio::stdin()) {
        pty::make_controlling(rustix::stdio::stdin())?;
    }
    Ok(exec::reset_signals()?)
}

/// Until the program ends; the result is its exit code, 128 plus the signal that ended it.
fn serve(child: &Child, socket: &Socket) -> i32 {
    // From here on nothing may fail for good: pid 1 ending takes the container with it.
    let _ = prctl::set_name(c"init");
    let _ = prctl::replace_command_line("init");
    // The program's copy of the socket alone tells the parent that it was executed, and its copies of the streams
    // alone that it closed them.
    exec::close_copy(rustix::fd::AsFd::as_fd(socket));
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        exec::close_copy(stream);
    }
    let signals = SignalFd::new(SignalSet::ALL);
    loop {
        if let Some(code) = reap(child) {
            return code;
        }
        match &signals {
            Ok(signals) => forward_next(signals, child),
            // No descriptor to be had (RLIMIT_NOFILE of 0): wait without passing signals on.
            Err(_) => return child.pidfd.wait().map_or(255, |exit| exit.code()),
        }
    }
}

/// Takes in all that have ended; the program's code if it is among them.
fn reap(child: &Child) -> Option<i32> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == child.pid => {
                return status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

fn forward_next(signals: &SignalFd, child: &Child) {
    let mut fds = [PollFd::new(signals, PollFlags::IN)];
    // An interrupted wait is no error: the next round looks again.
    let _ = rustix::event::poll(&mut fds, None);
    while let Some(signal) = signals.read() {
        if signal != Signal::CHLD {
            // Fails when it has just ended, which the next round sees.
            let _ = child.pidfd.send_signal(signal.number());
        }
    }
}
