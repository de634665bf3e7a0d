//! What a monitor does, from the fork to the last cleaning up: start or take over the
//! container, serve until it ends, record the end, start it again or finish. One epoll loop, no
//! threads.
//!
//! ```text
//!  Launch ──▶ start ──▶ serve ──▶ record exit ──▶ restart due? ──no──▶ finish
//!  Adopt ───────────────▲                            │ yes
//!  Restart ──▶ start ◀──────────── wait (back-off) ◀─┘   stop ends the waiting
//! ```

use super::clients::{Clients, TOKEN_FIRST};
use super::log::LogWriter;
use super::probe::{self, Prober};
use super::process::{self, Process, Ready};
use super::restart::{BackOff, is_due};
use super::stdio::{Stdio, TOKEN_STDERR, TOKEN_STDIN, TOKEN_STDOUT};
use super::{Begin, lock_path};
use crate::attach::frame::{Event, FailureKind, Request};
use crate::attach::{SOCKET, Streams};
use crate::container::{Container, boot_id};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::network::{self, Held};
use crate::record::Record;
use crate::run::{self, Launch};
use crate::state::{State, Status};
use crate::{file, lifecycle, logs, recover};
use image::{Registered, Stack};
use kernel::epoll::{Epoll, Interest};
use kernel::lock::Lock;
use kernel::mount::Mount;
use kernel::namespace::{self, Kind};
use kernel::signal::{Signal, SignalSet, ignore, set_mask};
use kernel::timer::{Timer, monotonic_nanoseconds};
use net::dns::Resolver;
use spec::Timestamp;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

const TOKEN_LISTENER: u64 = 0;
const TOKEN_PROCESS: u64 = 1;
const TOKEN_RESTART: u64 = 5;
const TOKEN_NAMES: u64 = 10;

/// Reads of up to 64 KiB after the end: more than any pipe holds. Whoever shares the container's pid namespace may have
/// its output open through /proc and write into it for ever.
const DRAINS_MAX: u32 = 256;

/// Everything a monitor holds between two events.
struct Monitor<'e> {
    engine: &'e Engine,
    container: Container,
    epoll: Epoll,
    listener: OwnedFd,
    clients: Clients,
    log: Option<LogWriter>,
    timer: Timer,
    back_off: BackOff,
    /// A user stops the container: the coming exit is the last.
    stopping: bool,
    /// Dropped last of what others wait for: whoever gets it next finds everything done.
    _alive: Lock,
    /// Dropped when nobody waits any more: its end takes the kernel a while.
    firewall: network::Session,
}

/// A container that runs.
struct Live {
    process: Process,
    stdio: Stdio,
    prober: Option<Prober>,
    since: i64,
    /// How often a stream was read since the end.
    drained: u32,
    /// Held past the report of the end: the last one to let go of an overlay waits until everything below it is
    /// on disk, and that should be us and not the container's last process, whose parent waits for it.
    _rootfs: Option<Mount>,
    layers: Layers,
    /// Keeps the host's ports and answers for names.
    network: Held,
}

/// The mounts of the container's layers. Others are told of them once the caller knows that the container runs.
enum Layers {
    Held(Stack),
    Shared(#[expect(dead_code, reason = "held for its drop")] Registered),
    /// A former monitor had them.
    None,
}

/// The whole life; the value is the process's exit code, which nobody reads.
pub fn run(engine: &Engine, container: Container, begin: Begin, caller: OwnedFd, lock: Option<Lock>) -> i32 {
    let run_folder = engine.paths().run(container.id());
    let mut monitor = match enter(engine, container, lock) {
        Ok(monitor) => monitor,
        // The place may be somebody else's: nothing of it is touched.
        Err(error) => return report_failure(&caller, &error),
    };
    let (streams, is_launch) = match &begin {
        Begin::Launch(_, streams) => (*streams, true),
        Begin::Adopt(_) | Begin::Restart => (Streams::NONE, false),
    };
    let begun = match begin {
        Begin::Launch(launch, _) => monitor.start(*launch).map(Some),
        Begin::Adopt(id) => monitor.adopt(id).map(Some),
        Begin::Restart => monitor.timer.set(0).map(|()| None).map_err(Error::from),
    };
    match begun {
        Ok(live) => {
            monitor.clients.add_with(caller, streams);
            monitor.clients.everyone(&Event::Started);
            monitor.live(live)
        }
        Err(error) => {
            if is_launch {
                monitor.record_failed_start(&error);
                let _ = std::fs::remove_dir_all(run_folder);
            }
            drop(monitor);
            report_failure(&caller, &error)
        }
    }
}

/// How often and how long apart the monitor's place is asked for: somebody may just be asking whether it is taken.
const ENTER_ATTEMPTS: u32 = 200;
const ENTER_PAUSE: Duration = Duration::from_millis(1);

/// Leaves the caller's session and takes the monitor's place, which must be free.
fn enter(engine: &Engine, container: Container, lock: Option<Lock>) -> Result<Monitor<'_>> {
    kernel::daemon::detach()?;
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        ignore(signal);
    }
    set_mask(SignalSet::EMPTY)?;
    let run = engine.paths().run(container.id());
    let alive = take_place(engine, &container)?;
    drop(lock); // the caller's, which kept others away until now
    file::make_directory(&run)?;
    let listener = kernel::socket::listen(&run, SOCKET)?;
    let epoll = Epoll::new()?;
    epoll.add(&listener, TOKEN_LISTENER, Interest::IN)?;
    let timer = Timer::new()?;
    epoll.add(&timer, TOKEN_RESTART, Interest::IN)?;
    let attributes = logs::attributes::of(&container.record)?;
    let directory = engine.paths().container(container.id());
    let log = LogWriter::open(&directory, &container.record.options.log, &attributes)?;
    Ok(Monitor {
        engine,
        container,
        epoll,
        listener,
        clients: Clients::default(),
        log: Some(log),
        timer,
        back_off: BackOff::new(),
        stopping: false,
        _alive: alive,
        firewall: network::Session::default(),
    })
}

fn take_place(engine: &Engine, container: &Container) -> Result<Lock> {
    let path = lock_path(engine, container);
    for _ in 0..ENTER_ATTEMPTS {
        if let Some(lock) = Lock::try_exclusive(&path)? {
            return Ok(lock);
        }
        std::thread::sleep(ENTER_PAUSE);
    }
    Err(Error::Conflict(format!("container {} has a monitor already", container.name())))
}

/// The caller is waiting for one event; nothing else of the start is left.
fn report_failure(caller: &OwnedFd, error: &Error) -> i32 {
    let mut bytes = Vec::new();
    Event::Failed { kind: FailureKind::of(error), text: error.to_string() }.encode(&mut bytes);
    let _ = rustix::io::write(caller, &bytes);
    1
}

impl<'e> Monitor<'e> {
    /// From the first start (or the first waiting for one) to the end.
    fn live(mut self, first: Option<Live>) -> i32 {
        let mut live = first;
        loop {
            let code = match live.take() {
                Some(mut running) => match self.serve(&mut running) {
                    Ok(()) => self.record_exit(running),
                    // A failure of ours (no memory, a full state folder): leave the container to the next monitor.
                    Err(_) => return 1,
                },
                None => self.container.state.exit_code,
            };
            if !self.restart_is_due(code) {
                return self.finish(code);
            }
            self.clients.everyone(&Event::Exit(code));
            match self.start_again() {
                Ok(Some(again)) => live = Some(again),
                Ok(None) => return self.finish(code),
                Err(error) => self.record_failed_start(&error),
            }
        }
    }

    /// The first start, or one by the restart policy. An error is the caller's to record.
    fn start(&mut self, launch: Launch) -> Result<Live> {
        // Between the namespaces and the command: its first look finds its addresses.
        let (ready, network) = self.create_connected(&launch)?;
        let before = &self.container.state;
        self.container.state = State {
            status: Status::Running,
            boot_id: boot_id(),
            process: Some(ready.id.into()),
            monitor_pid: Some(std::process::id() as i32),
            started_at: Some(Timestamp::now()),
            finished_at: before.finished_at,
            restart_count: before.restart_count,
            health: probe::initial(&self.container.record),
            ..State::default()
        };
        // Written before the command runs: killed in between, the next command finds the process and ends it. And not
        // before init is ready: `exec` and `cp` believe it, and until the pivot init's root is the host's.
        if let Err(error) = self.container.save_state(self.engine) {
            ready.abandon();
            network::release_by(self.engine, &self.firewall, &self.container.record);
            return Err(error);
        }
        let started = ready.start();
        if started.is_err() {
            network::release_by(self.engine, &self.firewall, &self.container.record);
        }
        let (process, stdio) = started?;
        let pidfd = process.pidfd.as_fd().try_clone_to_owned().map(kernel::pidfd::PidFd::from);
        let cgroup = process.cgroup.clone();
        self.watch(process, stdio, Some(launch.rootfs), Layers::Held(launch.layers), network).inspect_err(|_| {
            // It runs, but nobody could look after it.
            if let Ok(pidfd) = pidfd {
                let _ = pidfd.send_signal(Signal::KILL.number());
                let _ = pidfd.wait();
            }
            let _ = cgroup.remove();
        })
    }

    /// The container with its networks, which are made while its first process mounts where that is possible.
    fn create_connected(&self, launch: &Launch) -> Result<(Ready, Held)> {
        let record = &self.container.record;
        let attach = |namespace: BorrowedFd<'_>| network::attach_all(self.engine, &self.firewall, record, namespace);
        let mut early = None;
        let created = process::create(self.engine, &self.container, launch, |namespace| {
            if network::may_be_early(record) {
                early = Some(attach(namespace));
            }
        });
        let ready = created.inspect_err(|_| network::release_by(self.engine, &self.firewall, record))?;
        let late = || attach(namespace::of_process(ready.id.pid, Kind::Network)?.as_fd());
        match early.unwrap_or_else(late) {
            Ok(network) => Ok((ready, network)),
            Err(error) => {
                ready.abandon();
                Err(error)
            }
        }
    }

    fn adopt(&mut self, id: kernel::process::ProcessId) -> Result<Live> {
        let (process, stdio) = process::adopt(self.engine, &self.container, id)?;
        self.container.state.monitor_pid = Some(std::process::id() as i32);
        // For show only: a full disk must not keep the container from being looked after.
        let _ = self.container.save_state(self.engine);
        self.watch(process, stdio, None, Layers::None, network::adopt(self.engine, &self.container, id))
    }

    fn watch(
        &mut self,
        process: Process,
        stdio: Stdio,
        rootfs: Option<Mount>,
        layers: Layers,
        network: Held,
    ) -> Result<Live> {
        self.epoll.add(&process.pidfd, TOKEN_PROCESS, Interest::IN)?;
        let prober = Prober::new(&self.container.record, &self.epoll)?;
        if let Some(resolver) = &network.resolver {
            self.epoll.add(resolver.fd(), TOKEN_NAMES, Interest::IN)?;
        }
        Ok(Live {
            process,
            stdio,
            prober,
            since: monotonic_nanoseconds(),
            drained: 0,
            _rootfs: rootfs,
            layers,
            network,
        })
    }

    /// Handles events until the container has ended and all its output is passed on.
    fn serve(&mut self, live: &mut Live) -> Result<()> {
        let mut ended = false;
        let mut had_input = false;
        loop {
            if ended && self.drain(live)? {
                return Ok(());
            }
            self.clients.settle(&self.epoll, live.stdio.takes_input())?;
            self.share_layers(live);
            // Whoever typed has gone, and the container's input was only for them.
            if std::mem::replace(&mut had_input, self.clients.have_input()) && !self.clients.have_input() {
                self.input_ended(live);
            }
            live.stdio.settle(&self.epoll, !self.clients.are_behind())?;
            for event in self.epoll.wait(None)? {
                match event.token {
                    TOKEN_LISTENER => self.accept()?,
                    TOKEN_PROCESS => {
                        ended = true;
                        self.epoll.remove(&live.process.pidfd)?;
                        // With the host's pid namespace others may live on and write for ever.
                        live.process.end_rest();
                    }
                    TOKEN_STDOUT | TOKEN_STDERR => {
                        live.stdio.pump(event.token, &mut self.log, &mut self.clients)?;
                    }
                    TOKEN_STDIN => live.stdio.feed(),
                    TOKEN_RESTART => self.timer.acknowledge(),
                    TOKEN_NAMES => live.network.resolver.iter_mut().for_each(Resolver::work),
                    token if token >= TOKEN_FIRST => self.handle_requests(token, live),
                    token => self.probe_event(token, live)?,
                }
            }
        }
    }

    fn share_layers(&self, live: &mut Live) {
        live.layers = match std::mem::replace(&mut live.layers, Layers::None) {
            Layers::Held(stack) => Layers::Shared(stack.register(&self.engine.paths().layer_mounts())),
            other => other,
        };
    }

    /// What the pipes still hold after the end; false while clients are too far behind to go on.
    fn drain(&mut self, live: &mut Live) -> Result<bool> {
        for token in [TOKEN_STDOUT, TOKEN_STDERR] {
            while live.drained < DRAINS_MAX {
                if self.clients.are_behind() {
                    return Ok(false);
                }
                if !live.stdio.pump(token, &mut self.log, &mut self.clients)? {
                    break;
                }
                live.drained += 1;
            }
        }
        Ok(true)
    }

    fn accept(&mut self) -> Result<()> {
        while let Some(socket) = kernel::socket::accept(self.listener.as_fd())? {
            self.clients.add(socket);
        }
        Ok(())
    }

    fn handle_requests(&mut self, token: u64, live: &mut Live) {
        for request in self.clients.receive(token) {
            match request {
                Request::Stdin(data) => live.stdio.input(&data),
                Request::StdinEnd => self.input_ended(live),
                Request::Resize { width, height } => live.stdio.resize(width, height),
                Request::Signal(number) => live.process.signal(number),
                Request::NoRestart => self.stop_asked(token),
                Request::Networks => self.networks_changed(token, live),
                Request::Hello(_) => {}
            }
        }
    }

    /// Input given at `run -i` ends with its giver; that of a detached container stays open for the next.
    fn input_ended(&self, live: &mut Live) {
        if self.container.record.options.process.attach_stdin {
            live.stdio.end_input();
        }
    }

    /// Best effort: nothing of it may end the container.
    fn networks_changed(&mut self, token: u64, live: &mut Live) {
        self.reread_record();
        let had_names = live.network.resolver.is_some();
        let _ = network::refresh(self.engine, &self.firewall, &self.container, &mut live.network);
        if let (false, Some(resolver)) = (had_names, &live.network.resolver) {
            let _ = self.epoll.add(resolver.fd(), TOKEN_NAMES, Interest::IN);
        }
        self.clients.answer(token, &Event::Done);
    }

    fn stop_asked(&mut self, token: u64) {
        self.stopping = true;
        self.clients.answer(token, &Event::Done);
    }

    fn probe_event(&mut self, token: u64, live: &mut Live) -> Result<()> {
        let Some(prober) = &mut live.prober else { return Ok(()) };
        let Some(health) = prober.handle(token, self.engine, &self.container, &self.epoll)? else { return Ok(()) };
        self.container.state.health = Some(health);
        // On a full disk the container goes on, and so do its checks.
        let _ = self.container.save_state(self.engine);
        Ok(())
    }

    /// Reaps the process, writes down how it ended and prepares for what comes. The exit code.
    fn record_exit(&mut self, mut live: Live) -> i32 {
        let exit = live.process.reap().ok().flatten();
        let code = exit.map_or(recover::EXIT_UNKNOWN, |exit| exit.code());
        let state = &mut self.container.state;
        state.exit_code = code;
        state.finished_at = Some(Timestamp::now());
        state.oom_killed = live.process.cgroup.oom_kills().unwrap_or(0) > 0;
        state.process = None;
        state.stopped_by_user = self.stopping;
        if exit.is_none() {
            state.error = "the exit status was lost with the container's monitor, which was killed".into();
        }
        state.status = Status::Exited;
        self.reread_record();
        network::release_ports(self.engine, &self.firewall, &self.container.record, &mut live.network);
        let restarts = self.restart_is_due(code);
        if restarts {
            let delay = self.back_off.next(monotonic_nanoseconds() - live.since);
            let _ = self.timer.set(delay);
            self.container.state.status = Status::Restarting;
        }
        // A container that is about to be removed needs no last entry.
        if restarts || !self.container.record.options.lifecycle.auto_remove {
            let _ = self.container.save_state(self.engine);
        }
        if !restarts {
            self.announce_end(code);
        }
        live.process.clean_up();
        network::release_by(self.engine, &self.firewall, &self.container.record);
        code
    }

    /// `update` and `rename` may have changed it since the start.
    fn reread_record(&mut self) {
        let path = self.engine.paths().container(self.container.id()).join("container.json");
        if let Ok(Some(record)) = file::read_json::<Record>(&path) {
            self.container.record = record;
        }
    }

    fn restart_is_due(&self, code: i32) -> bool {
        let policy = self.container.record.options.lifecycle.restart;
        !self.stopping && is_due(policy, code, self.container.state.restart_count)
    }

    /// Waits for the back-off to pass and starts; `None` when a stop came first.
    fn start_again(&mut self) -> Result<Option<Live>> {
        if !self.wait_for_timer()? {
            return Ok(None);
        }
        self.container.state.restart_count += 1;
        // Networks may have been changed while nothing ran.
        self.reread_record();
        let launch = run::prepare(self.engine, &self.container)?;
        self.start(launch).map(Some)
    }

    fn wait_for_timer(&mut self) -> Result<bool> {
        loop {
            self.clients.settle(&self.epoll, true)?;
            for event in self.epoll.wait(None)? {
                match event.token {
                    TOKEN_LISTENER => self.accept()?,
                    TOKEN_RESTART => {
                        self.timer.acknowledge();
                        return Ok(true);
                    }
                    token => {
                        if self.clients.receive(token).contains(&Request::NoRestart) {
                            self.stop_asked(token);
                            return Ok(false);
                        }
                    }
                }
            }
        }
    }

    /// As an exit with the code that the shell would give.
    fn record_failed_start(&mut self, error: &Error) {
        let state = &mut self.container.state;
        state.error = error.to_string();
        state.exit_code = match error {
            Error::CommandNotFound(_) => 127,
            Error::CommandNotExecutable(_) => 126,
            _ => 128,
        };
        state.process = None;
        state.status = if state.restart_count > 0 { Status::Restarting } else { Status::Created };
        let _ = self.container.save_state(self.engine);
        let _ = self.timer.set(self.back_off.next(0));
    }

    /// Releases the name of a container that goes with its end, then tells everybody: whoever
    /// waited for the end may use the name at once.
    fn announce_end(&mut self, code: i32) {
        if self.container.record.options.lifecycle.auto_remove {
            let _ = lifecycle::hide(self.engine, &self.container, true);
        }
        self.clients.everyone(&Event::Exit(code));
    }

    /// The last words to the clients, then everything the container leaves behind.
    fn finish(mut self, code: i32) -> i32 {
        if self.container.state.status != Status::Exited {
            self.container.state.status = Status::Exited;
            self.container.state.stopped_by_user = self.stopping;
            let _ = self.container.save_state(self.engine);
            self.announce_end(code);
        }
        let _ = self.flush_clients();
        self.clients.forget_all();
        let run = self.engine.paths().run(self.container.id());
        let _ = std::fs::remove_dir_all(run);
        if self.container.record.options.lifecycle.auto_remove {
            let _ = lifecycle::remove_hidden(self.engine, &self.container.record, true);
        }
        0
    }

    fn flush_clients(&mut self) -> Result<()> {
        while !self.clients.are_flushed() {
            self.clients.settle(&self.epoll, true)?;
            if self.clients.are_flushed() {
                break;
            }
            for event in self.epoll.wait(None)? {
                match event.token {
                    TOKEN_LISTENER => self.accept()?,
                    TOKEN_RESTART => self.timer.acknowledge(),
                    token => {
                        // Somebody wants to remove or start the container: they need not wait for a client that does not read.
                        if self.clients.receive(token).contains(&Request::NoRestart) {
                            self.stop_asked(token);
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
