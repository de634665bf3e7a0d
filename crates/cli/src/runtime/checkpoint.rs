//! `checkpoint` and `restore`: a running container into files and back.

use crate::runtime::Context;
use crate::runtime::failure::{Failure, Outcome};
use crate::runtime::foreground::Foreground;
use crate::runtime::handover::Handover;
use crate::runtime::launch;
use crate::runtime::parse::Parsed;
use oci::checkpoint::{NETWORK_NAMESPACE, Options, Saving};
use oci::restore::Restoring;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub fn checkpoint(context: &Context, parsed: &Parsed) -> Outcome {
    let container = context.root.open(parsed.first())?;
    let options = options(parsed)?;
    let parent = parent(parsed, &options.images)?;
    let status = status(parsed)?;
    let saving = Saving {
        parent,
        leave_running: parsed.switch("leave-running"),
        memory_only: parsed.switch("pre-dump"),
        skip_connections_in_flight: parsed.switch("tcp-skip-in-flight"),
        link_remap: parsed.switch("link-remap"),
        page_server: page_server(parsed)?,
        status,
    };
    let goes_on = saving.leave_running || saving.memory_only;
    oci::checkpoint::checkpoint(&container, &options, saving)?;
    if !goes_on {
        oci::delete::delete_forced(&context.root, container.id())?;
    }
    Ok(0)
}

pub fn restore(context: &Context, parsed: &Parsed) -> Outcome {
    let options = options(parsed)?;
    let (spec, bundle) = launch::bundle(parsed)?;
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    let detached = parsed.switch("detach");
    let handover = Handover::prepare(parsed, context.program, terminal, detached)?;
    let foreground = match (detached, parsed.switch("no-subreaper")) {
        (true, _) => None,
        (false, true) => Some(Foreground::new()?),
        (false, false) => Some(Foreground::subreaper()?),
    };
    let text = |name: &str| parsed.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let restoring = Restoring { lsm_profile: text("lsm-profile"), lsm_mount_context: text("lsm-mount-context") };
    let (container, running) =
        oci::restore::restore(&context.root, parsed.first(), &bundle, spec, &options, &restoring)?;
    if let Err(failure) = handover.deliver(running.pid, &running.pidfd, running.console.as_ref()) {
        // The first failure is the one to tell.
        let _ = oci::delete::delete_forced(&context.root, container.id());
        return Err(failure);
    }
    let Some(foreground) = foreground else { return Ok(0) };
    let ended = foreground.wait(&running);
    let removed = oci::delete::delete_forced(&context.root, container.id());
    ended.and_then(|code| Ok(removed.map(|()| code)?))
}

/// What both have; paths are from where we were called.
fn options(parsed: &Parsed) -> Result<Options, Failure> {
    let path = |name: &str| parsed.text(name).filter(|path| !path.is_empty());
    let absolute = |path: &str| std::path::absolute(path).map_err(|error| Failure::new(error.to_string()));
    let images = absolute(path("image-path").unwrap_or("checkpoint"))?;
    std::fs::create_dir_all(&images)
        .map_err(|error| Failure::new(format!("mkdir {}: {}", images.display(), crate::failure::plain(&error))))?;
    for name in parsed.all("empty-ns") {
        if name != "network" {
            return Err(Failure::new(format!("namespace {name:?} is not supported")));
        }
    }
    Ok(Options {
        images,
        work: path("work-path").map(absolute).transpose()?,
        tcp_established: parsed.switch("tcp-established"),
        external_sockets: parsed.switch("ext-unix-sk"),
        shell_job: parsed.switch("shell-job"),
        file_locks: parsed.switch("file-locks"),
        auto_dedup: parsed.switch("auto-dedup"),
        lazy_pages: parsed.switch("lazy-pages"),
        cgroups: parsed.text("manage-cgroups-mode").unwrap_or_default().to_owned(),
        // Devices of a network are not ours to restore; whoever made them makes them again.
        empty_namespaces: NETWORK_NAMESPACE,
    })
}

fn parent(parsed: &Parsed, images: &Path) -> Result<Option<String>, Failure> {
    let Some(parent) = parsed.text("parent-path").filter(|path| !path.is_empty()) else { return Ok(None) };
    if parent.starts_with('/') {
        return Err(Failure::new("--parent-path must be relative"));
    }
    let path: PathBuf = images.join(parent);
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(Some(parent.to_owned())),
        Ok(_) => Err(Failure::new(format!("invalid --parent-path: {}: not a directory", path.display()))),
        Err(error) => Err(Failure::new(format!(
            "invalid --parent-path: stat {}: {}",
            path.display(),
            crate::failure::plain(&error)
        ))),
    }
}

fn page_server(parsed: &Parsed) -> Result<Option<(String, i64)>, Failure> {
    let Some(text) = parsed.text("page-server").filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = || Failure::new("Use --page-server ADDRESS:PORT to specify page server");
    let (address, port) = text.rsplit_once(':').filter(|(address, _)| !address.is_empty()).ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| Failure::new("Invalid port number"))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    Ok(Some((address.to_owned(), i64::from(port))))
}

/// Taken over: it is closed when its byte is written, which whoever reads it may wait for.
fn status(parsed: &Parsed) -> Result<Option<OwnedFd>, Failure> {
    let Some(text) = parsed.text("status-fd").filter(|text| !text.is_empty() && *text != "-1") else {
        return Ok(None);
    };
    let invalid = || Failure::new(format!("invalid --status-fd argument {text}"));
    let number: u32 = text.parse().map_err(|_| invalid())?;
    kernel::exec::take(number).map(Some).ok_or_else(invalid)
}
