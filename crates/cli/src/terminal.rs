//! The user's terminal around a container's streams: which of them are attached, raw mode while a container's terminal is
//! ours, and the relay between the two. Used by `run`, `start`, `attach` and `exec`; the relaying itself is the engine's.

use crate::failure::Failure;
use engine::attach::{Client, Outcome, Relay, Streams};
use engine::exec::Session;
use engine::{Container, Engine};
use kernel::terminal::{Raw, is_terminal};
use std::io::{Write, stderr, stdin, stdout};
use std::os::fd::AsFd;

/// How to treat the user's side.
pub struct Side {
    /// The container's process has a terminal.
    pub tty: bool,
    pub detach_keys: Vec<u8>,
    pub forward_signals: bool,
    /// Exit code after the detach keys: in docker 0 for `run` and `start`, 1 for `attach` and `exec`.
    pub detached_code: u8,
}

/// Refuses `-t` with a standard input that is none, where that input is to be attached.
pub fn check_input(tty: bool, attach_stdin: bool) -> Result<(), Failure> {
    if tty && attach_stdin && !is_terminal(stdin()) {
        return Err(Failure::message(
            "the input device is not a TTY (leave out -t where standard input is a file or a pipe)",
        ));
    }
    Ok(())
}

/// The terminal's size as (width, height) when there is one.
pub fn size() -> Option<(u16, u16)> {
    kernel::terminal::size(stdout()).or_else(|| kernel::terminal::size(stdin()))
}

/// Connects our standard streams to a container's until it ends or the user detaches: the exit code.
pub fn relay(
    engine: &Engine,
    container: &Container,
    client: Client,
    streams: Streams,
    side: &Side,
) -> Result<u8, Failure> {
    with_relay(streams.stdin, side, |relay| engine::attach::relay(engine, container, client, streams, relay))
}

/// As `relay`, for a process made by `exec`.
pub fn relay_session(session: Session, attach_stdin: bool, side: &Side) -> Result<u8, Failure> {
    with_relay(attach_stdin, side, |relay| session.relay(relay))
}

fn with_relay(
    attach_stdin: bool,
    side: &Side,
    run: impl FnOnce(&Relay<'_>) -> engine::Result<Outcome>,
) -> Result<u8, Failure> {
    let (input, output, errors) = (stdin(), stdout(), stderr());
    let terminal = side.tty && is_terminal(&input);
    let relay = Relay {
        stdin: attach_stdin.then(|| input.as_fd()),
        stdout: output.as_fd(),
        stderr: errors.as_fd(),
        terminal: side.tty && (terminal || is_terminal(&output)),
        detach_keys: side.detach_keys.clone(),
        // In a terminal of the container, ctrl-c is a byte for it; signals from elsewhere are still ours.
        forward_signals: side.forward_signals,
    };
    // Raw only when what is typed goes to the container's terminal, which does the echoing and line editing then.
    let raw = (terminal && attach_stdin).then(|| Raw::enter(input.as_fd())).transpose()?;
    let outcome = run(&relay);
    drop(raw);
    match outcome? {
        Outcome::Exited(code) => Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        Outcome::Detached => {
            // Docker's words. Nobody is left to tell when stderr is gone.
            let _ = writeln!(stderr(), "read escape sequence");
            Ok(side.detached_code)
        }
        Outcome::OutputClosed => Err(Failure::reader_gone()),
        Outcome::Lost => Err(Failure::Message(
            "the connection to the container was lost; see 'brig ps -a' for how it ended".to_owned(),
            125,
        )),
    }
}
