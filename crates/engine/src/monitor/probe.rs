//! Running health probes for the monitor: a process in the container by `exec`, its output
//! read from its pipes, its time bounded. When to probe and what follows decides `health.rs`.

use super::health::{Checker, Due, OUTPUT_MAX, Outcome};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::exec::{self, ExecOptions, Session};
use crate::record::{Record, ResolvedHealth};
use crate::state::{Health, Status};
use kernel::epoll::{Epoll, Interest};
use kernel::timer::{Timer, monotonic_nanoseconds};
use rustix::io::Errno;
use spec::Timestamp;
use std::os::fd::OwnedFd;

const TOKEN_TIMER: u64 = 6;
const TOKEN_PROCESS: u64 = 7;
const TOKEN_STDOUT: u64 = 8;
const TOKEN_STDERR: u64 = 9;

/// What a new pipe holds (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;

/// The state of health before the first probe; `None` without a check.
pub fn initial(record: &Record) -> Option<Health> {
    record.process.health.as_ref().map(|_| Health::default())
}

/// The check of one run of a container.
#[derive(Debug)]
pub struct Prober {
    check: ResolvedHealth,
    checker: Checker,
    timer: Timer,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    session: Session,
    output: Vec<u8>,
    timed_out: bool,
}

impl Prober {
    /// `None` when the container has no check.
    pub fn new(record: &Record, epoll: &Epoll) -> Result<Option<Prober>> {
        let Some(check) = record.process.health.clone() else { return Ok(None) };
        let timer = Timer::new()?;
        epoll.add(&timer, TOKEN_TIMER, Interest::IN)?;
        let prober =
            Prober { checker: Checker::new(check.clone(), monotonic_nanoseconds()), check, timer, running: None };
        prober.arm()?;
        Ok(Some(prober))
    }

    /// Deals with an event of ours. `Some`: a probe has ended and this is the state of health now.
    pub fn handle(
        &mut self,
        token: u64,
        engine: &Engine,
        container: &Container,
        epoll: &Epoll,
    ) -> Result<Option<Health>> {
        let ended = match token {
            TOKEN_TIMER => {
                self.timer.acknowledge();
                match self.checker.next_due() {
                    Due::Probe(_) => self.begin(engine, container, epoll)?,
                    Due::Timeout(_) => self.kill(),
                }
            }
            TOKEN_STDOUT | TOKEN_STDERR => self.read(token, epoll)?,
            TOKEN_PROCESS => self.end(epoll)?,
            _ => false,
        };
        self.arm()?;
        Ok(ended.then(|| self.checker.health().clone()))
    }

    /// Starts a probe; true when it could not be and that was its result.
    fn begin(&mut self, engine: &Engine, container: &Container, epoll: &Epoll) -> Result<bool> {
        let now = monotonic_nanoseconds();
        if container.status() == Status::Paused {
            self.checker.postponed(now);
            return Ok(false);
        }
        let options = ExecOptions { command: command(&self.check), ..ExecOptions::default() };
        match exec::exec(engine, container, &options) {
            Ok(session) => {
                self.checker.started(now, Timestamp::now());
                epoll.add(&session.pidfd, TOKEN_PROCESS, Interest::IN)?;
                for (end, token) in [(&session.ends.stdout, TOKEN_STDOUT), (&session.ends.stderr, TOKEN_STDERR)] {
                    if let Some(end) = end {
                        kernel::fifo::set_nonblocking(end)?;
                        epoll.add(end, token, Interest::IN)?;
                    }
                }
                self.running = Some(Running { session, output: Vec::new(), timed_out: false });
                Ok(false)
            }
            Err(error) => {
                self.checker.finished(Outcome::NotStarted(error.to_string()), &[], now, Timestamp::now());
                Ok(true)
            }
        }
    }

    fn kill(&mut self) -> bool {
        if let Some(running) = &mut self.running {
            running.timed_out = true;
            let _ = running.session.pidfd.send_signal(kernel::signal::Signal::KILL.number());
        }
        false
    }

    fn read(&mut self, token: u64, epoll: &Epoll) -> Result<bool> {
        if let Some(running) = &mut self.running {
            let ends = &mut running.session.ends;
            let end = if token == TOKEN_STDOUT { &mut ends.stdout } else { &mut ends.stderr };
            if !drain(end, &mut running.output)
                && let Some(end) = end.take()
            {
                epoll.remove(&end)?;
            }
        }
        Ok(false)
    }

    fn end(&mut self, epoll: &Epoll) -> Result<bool> {
        let Some(mut running) = self.running.take() else { return Ok(false) };
        let exit = running.session.pidfd.wait()?;
        epoll.remove(&running.session.pidfd)?;
        let ends = &mut running.session.ends;
        for end in [&mut ends.stdout, &mut ends.stderr] {
            drain(end, &mut running.output);
            if let Some(end) = end.take() {
                epoll.remove(&end)?;
            }
        }
        let outcome = if running.timed_out { Outcome::TimedOut } else { Outcome::Exited(exit.code()) };
        self.checker.finished(outcome, &running.output, monotonic_nanoseconds(), Timestamp::now());
        Ok(true)
    }

    /// Sets the timer to what is due next; a probe that is being killed has no further deadline.
    fn arm(&self) -> Result<()> {
        if self.running.as_ref().is_some_and(|running| running.timed_out) {
            return Ok(self.timer.stop()?);
        }
        let (Due::Probe(time) | Due::Timeout(time)) = self.checker.next_due();
        Ok(self.timer.set(time.saturating_sub(monotonic_nanoseconds()))?)
    }
}

/// `["CMD", word…]` as it is, `["CMD-SHELL", line]` by the shell.
fn command(check: &ResolvedHealth) -> Vec<String> {
    match check.test.split_first() {
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            ["/bin/sh", "-c"].map(str::to_owned).into_iter().chain(rest.iter().cloned()).collect()
        }
        _ => check.test.clone(),
    }
}

/// Reads what is there, keeping the beginning; false at the end. No more than a full pipe at a time: a process that
/// writes without pause must not keep the monitor from everything else.
fn drain(end: &Option<OwnedFd>, output: &mut Vec<u8>) -> bool {
    let Some(end) = end else { return false };
    let mut buffer = [0; 4096];
    for _ in 0..PIPE_BYTES / buffer.len() {
        match rustix::io::read(end, &mut buffer) {
            Ok(0) => return false,
            // One byte more than is kept shows the checker that there was more.
            Ok(count) => output.extend_from_slice(&buffer[..count.min((OUTPUT_MAX + 1).saturating_sub(output.len()))]),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_never_stops_writing_is_let_alone_and_cut_off() {
        let endless = std::fs::File::open("/dev/zero").unwrap();
        let mut output = Vec::new();
        assert!(drain(&Some(endless.into()), &mut output));
        assert_eq!(output.len(), OUTPUT_MAX + 1);
    }
}
