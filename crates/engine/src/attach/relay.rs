//! The loop between the user's terminal or pipes and a container's monitor. When the monitor
//! is killed meanwhile, finding the container again puts a new one in its place, and the relay
//! goes on.

use super::Streams;
use super::client::{Client, Received, connect};
use super::frame::{Event, Request};
use super::local::{Input, Local, Outcome, Relay};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use kernel::signal::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::os::fd::AsFd;

/// Relays until the container ends or the user detaches.
pub fn relay(
    engine: &Engine,
    container: &Container,
    client: Client,
    streams: Streams,
    relay: &Relay<'_>,
) -> Result<Outcome> {
    let mut local = Local::new(relay)?;
    let mut client = client;
    loop {
        let signal_to = |signal: Signal| send_signal(engine, container, signal);
        match run(&mut local, &mut client, &signal_to)? {
            Outcome::Lost => {}
            outcome => return Ok(outcome),
        }
        match reconnect(engine, container, streams)? {
            Ok(again) => client = again,
            Err(code) => return Ok(Outcome::Exited(code)),
        }
    }
}

/// A connection to the new monitor, or the exit code of a container that has ended.
fn reconnect(engine: &Engine, container: &Container, streams: Streams) -> Result<std::result::Result<Client, i32>> {
    let Some(now) = Container::load(engine, container.id())? else { return Ok(Err(crate::recover::EXIT_UNKNOWN)) };
    if !now.is_running() {
        return Ok(Err(now.state.exit_code));
    }
    connect(engine, &now, streams).map(Ok)
}

/// On a connection of its own: on the one with the input it would wait behind input that the container does not take.
fn send_signal(engine: &Engine, container: &Container, signal: Signal) -> Result<()> {
    match connect(engine, container, Streams::NONE) {
        Ok(mut client) => client.queue(&Request::Signal(signal.number())),
        // The monitor has gone: the container has ended, or the relay is about to find a new monitor.
        Err(Error::Kernel(e)) if matches!(e.errno, Errno::NOENT | Errno::CONNREFUSED) => Ok(()),
        Err(error) => Err(error),
    }
}

fn run(local: &mut Local<'_>, client: &mut Client, signal_to: &dyn Fn(Signal) -> Result<()>) -> Result<Outcome> {
    send_size(local, client)?;
    loop {
        loop {
            match client.next()? {
                Received::Event(event) => {
                    if let Some(outcome) = handle(event, local, client, signal_to)? {
                        return Ok(outcome);
                    }
                }
                Received::Pending => break,
                Received::Lost => return Ok(Outcome::Lost),
            }
        }
        let (from_monitor, signalled, typed) = wait(local, client)?;
        client.flush()?;
        if signalled {
            while let Some(signal) = local.next_signal() {
                forward(signal, local, client, signal_to)?;
            }
        }
        if typed {
            match local.read_input()? {
                Input::Data(data) if data.is_empty() => {}
                Input::Data(data) => client.queue(&Request::Stdin(data))?,
                Input::End => client.queue(&Request::StdinEnd)?,
                Input::Detach => return Ok(Outcome::Detached),
            }
        }
        if from_monitor && !client.receive()? {
            return Ok(Outcome::Lost);
        }
    }
}

/// Which of monitor, signals and standard input have something for us.
fn wait(local: &Local<'_>, client: &Client) -> Result<(bool, bool, bool)> {
    let socket = client.as_fd();
    // No more input than the monitor takes: what waits here is never more than one read.
    let (signals, stdin) = local.poll_fds(client.is_flushed());
    let events = if client.is_flushed() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
    let mut fds = vec![PollFd::new(&socket, events), signals];
    fds.extend(stdin);
    match poll(&mut fds, None) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok((false, false, false)),
        Err(errno) => return Err(kernel::Error::new("poll", errno).into()),
    }
    let ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
    let readable = fds[0].revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    Ok((readable, ready(1), ready(2)))
}

fn handle(
    event: Event,
    local: &Local<'_>,
    client: &mut Client,
    signal_to: &dyn Fn(Signal) -> Result<()>,
) -> Result<Option<Outcome>> {
    let (to_stderr, data) = match event {
        Event::Stdout(data) => (false, data),
        Event::Stderr(data) => (true, data),
        Event::Exit(code) => return Ok(Some(Outcome::Exited(code))),
        Event::Started | Event::Failed { .. } | Event::Done => return Ok(None),
    };
    let open = local.write(to_stderr, &data, |signal| forward(signal, local, client, signal_to))?;
    Ok((!open).then_some(Outcome::OutputClosed))
}

fn forward(
    signal: Signal,
    local: &Local<'_>,
    client: &mut Client,
    signal_to: &dyn Fn(Signal) -> Result<()>,
) -> Result<()> {
    if signal == Signal::WINCH {
        return send_size(local, client);
    }
    signal_to(signal)
}

fn send_size(local: &Local<'_>, client: &mut Client) -> Result<()> {
    match local.size() {
        Some((width, height)) => client.queue(&Request::Resize { width, height }),
        None => Ok(()),
    }
}
