//! `create` and `run`: from a bundle to a container that waits for `start`, or that runs.

use crate::runtime::Context;
use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::foreground::Foreground;
use crate::runtime::handover::{self, Handover};
use crate::runtime::parse::Parsed;
use ::spec::runtime::Spec;
use oci::Container;
use oci::create::{Begin, Readiness, Request};
use oci::notify::Notifier;
use oci::starter::Starter;
use runtime::{Keyring, RootChange, Running};
use std::path::{Path, PathBuf};

pub fn create(context: &Context, parsed: &Parsed) -> Outcome {
    let made = || {
        let (mut spec, bundle) = bundle(parsed)?;
        let preserved = preserved(parsed, &mut spec)?;
        let terminal = has_terminal(&spec);
        let handover = Handover::prepare(parsed, context.program, terminal, true)?;
        let starter = make(context, parsed, spec, &bundle, Begin::AtTheGate, preserved)?;
        let_go(starter, &handover).map(drop)
    };
    made().map_err(|failure: Failure| failure.within(&format!("{} create failed", context.program)))?;
    Ok(0)
}

pub fn run(context: &Context, parsed: &Parsed) -> Outcome {
    let ran = || {
        let (mut spec, bundle) = bundle(parsed)?;
        let preserved = preserved(parsed, &mut spec)?;
        let terminal = has_terminal(&spec);
        let detached = parsed.switch("detach");
        let handover = Handover::prepare(parsed, context.program, terminal, detached)?;
        if detached {
            let starter = make(context, parsed, spec, &bundle, Begin::AtOnce, preserved)?;
            let notifier = notifier(starter.container())?;
            let (container, _) = let_go(starter, &handover)?;
            notifier.map_or(Ok(()), |notifier| notifier.forward(&container))?;
            return Ok(0);
        }
        let foreground = if parsed.switch("no-subreaper") { Foreground::new()? } else { Foreground::subreaper()? };
        let starter = make(context, parsed, spec, &bundle, Begin::AtOnce, preserved)?;
        let notifier = notifier(starter.container())?;
        let (container, running) = let_go(starter, &handover)?;
        let ended = attend(foreground, &container, &running, notifier);
        if !parsed.switch("keep") || ended.is_err() {
            let removed = oci::delete::delete_forced(&context.root, container.id());
            // If it ended badly, that is what counts.
            return ended.and_then(|code| Ok(removed.map(|()| code)?));
        }
        ended
    };
    ran().map_err(|failure: Failure| failure.within(&format!("{} run failed", context.program)))
}

/// Until the container's end; its exit code.
fn attend(foreground: Foreground, container: &Container, running: &Running, notifier: Option<Notifier>) -> Outcome {
    if let Some(notifier) = notifier {
        // Beside the relay. It ends with the container, and is reaped with its orphans.
        kernel::clone::fork(|| i32::from(notifier.forward(container).is_err()))?;
    }
    foreground.wait(running)
}

/// The container's end of NOTIFY_SOCKET, if we were given one.
pub fn notifier(container: &Container) -> Result<Option<Notifier>, Failure> {
    match handover::notify_socket() {
        Some(host) => Ok(Notifier::bind(container, &host)?),
        None => Ok(None),
    }
}

/// The specification, and the bundle's directory, which becomes the working directory: hooks start in it.
pub fn bundle(parsed: &Parsed) -> Result<(Spec, PathBuf), Failure> {
    kernel::self_exe::ensure_sealed()?;
    let bundle = parsed.text("bundle").filter(|bundle| !bundle.is_empty()).unwrap_or(".");
    let at = |error: std::io::Error| Failure::new(format!("chdir {bundle}: {}", crate::failure::plain(&error)));
    let absolute = std::fs::canonicalize(bundle).map_err(at)?;
    Ok((oci::create::read_spec(&absolute)?, absolute))
}

fn has_terminal(spec: &Spec) -> bool {
    spec.process.as_ref().is_some_and(|process| process.terminal)
}

fn preserved(parsed: &Parsed, spec: &mut Spec) -> Result<u32, Failure> {
    match &mut spec.process {
        Some(process) => handover::preserved(parsed, &mut process.env),
        None => Ok(0),
    }
}

fn make(
    context: &Context,
    parsed: &Parsed,
    spec: Spec,
    bundle: &Path,
    begin: Begin,
    preserved: u32,
) -> Result<Starter, Failure> {
    let size = spec.process.as_ref().and_then(|process| process.console_size);
    let size = size.map(|size| (size.width, size.height));
    let stdio = handover::stdio(has_terminal(&spec), size)?;
    std::env::set_current_dir(bundle).map_err(|error| Failure::new(format!("chdir {}: {error}", bundle.display())))?;
    let root_change = if parsed.switch("no-pivot") { RootChange::Move } else { RootChange::Pivot };
    let keyring = if parsed.switch("no-new-keyring") { Keyring::Inherited } else { Keyring::New };
    let id = parsed.first();
    context.log.debug("nsexec container setup: namespaces, mounts and limits of the container are made");
    let readiness = if handover::notify_socket().is_some() { Readiness::Told } else { Readiness::Untold };
    let request = Request { id, bundle, spec, stdio, begin, preserved, root_change, keyring, readiness };
    let starter = oci::create::create(&context.root, request).map_err(|error| start_failure(&error))?;
    context.log.debug(&format!("child process in init() is ready as process {}", starter.pid()));
    context.log.debug("init: closing the pipe to signal completion comes next");
    starter.warnings().iter().for_each(|warning| context.log.warning(warning));
    Ok(starter)
}

/// In runc's words, which callers look for.
fn start_failure(error: &oci::Error) -> Failure {
    use runtime::Error as Inner;
    Failure::new(match error {
        oci::Error::Runtime(Inner::Exec(error)) => format!("unable to start container process: {error}"),
        oci::Error::Runtime(Inner::Hook(text)) => format!("unable to start container process: {text}"),
        oci::Error::Runtime(_) | oci::Error::Kernel(_) => {
            format!("unable to start container process: error during container init: {error}")
        }
        other => other.to_string(),
    })
}

fn let_go(starter: Starter, handover: &Handover) -> Result<(Container, Running), Failure> {
    handover.deliver(starter.pid(), starter.pidfd(), starter.console())?;
    starter.start().map_err(|error| exec_failure(&error))
}

/// A program that could not be executed after all, which the process itself says with runc, in one line of its own.
pub fn exec_failure(error: &oci::Error) -> Failure {
    match error {
        oci::Error::Runtime(runtime::Error::Exec(error)) => {
            // Nobody is left to tell when this fails.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("exec {}: {}\n", error.program, error.reason).as_bytes(),
            );
            Failure { text: String::new(), code: 255 }
        }
        other => start_failure(other),
    }
}
