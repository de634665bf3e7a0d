//! A container from its bundle, up to the moment before its program (runtime.md, create). The name is taken first, then
//! the state says which cgroup will be made, then it is made: killed in between, `delete --force` finds everything. On
//! an error nothing is left.

use crate::container::{self, Container, Record};
use crate::error::{Error, Result, invalid};
use crate::rdt::{self, Membership};
use crate::root::{Cgroups, Driver, Root};
use crate::starter::Starter;
use crate::{capabilities, delete, environment, notify, unavailable};
use kernel::cgroup::{Cgroup, Layout, Making};
use kernel::lock::Lock;
use kernel::process::ProcessId;
use runtime::systemd::{self, Placeholder, Unit};
use runtime::{Bundle, Create, Created, Group, Keyring, RootChange, Rootfs, Stdio};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use spec::Timestamp;
use spec::runtime::{Process, Spec, Status};
use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What a new container is made from.
pub struct Request<'a> {
    pub id: &'a str,
    /// The directory with `config.json`, absolute.
    pub bundle: &'a Path,
    pub spec: Spec,
    pub stdio: Stdio,
    /// Whether it waits for `start`.
    pub begin: Begin,
    /// Descriptors from 3 on that its program gets.
    pub preserved: u32,
    pub root_change: RootChange,
    pub keyring: Keyring,
    pub readiness: Readiness,
}

/// Whether the container gets a socket for sd_notify(3), see `notify.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    Untold,
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// As soon as whoever made it says so.
    AtOnce,
    /// When `start` opens the gate; whoever made it may be gone by then.
    AtTheGate,
}

/// The specification in `bundle`.
pub fn read_spec(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(invalid("JSON specification file config.json not found"));
        }
        Err(error) => return Err(Error::file("read", &path, &error)),
    };
    let spec = Spec::parse(&text).map_err(|error| invalid(format!("parse {}: {error}", path.display())))?;
    check(&spec)?;
    Ok(spec)
}

fn check(spec: &Spec) -> Result<()> {
    if let Some(process) = &spec.process {
        check_process(process)?;
    }
    match &spec.root {
        Some(root) if !root.path.is_empty() => Ok(()),
        _ => Err(invalid("root must be specified")),
    }
}

fn check_process(process: &Process) -> Result<()> {
    if process.cwd.is_empty() {
        return Err(invalid("Cwd property must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(invalid("Cwd must be an absolute path"));
    }
    if process.args.is_empty() {
        return Err(invalid("args must not be empty"));
    }
    Ok(())
}

/// Makes the container; [`Starter`] lets it go.
pub fn create(root: &Root, mut request: Request<'_>) -> Result<Starter> {
    if request.spec.process.is_none() && request.begin == Begin::AtOnce {
        return Err(invalid("process property must not be empty"));
    }
    let mut warnings = unavailable::sift(&mut request.spec);
    warnings.extend(request.spec.process.as_mut().map(capabilities::sift).unwrap_or_default());
    if request.readiness == Readiness::Told {
        notify::add_to(&mut request.spec, &root.directory(request.id)?);
    }
    let cgroup = if runtime::enters_cgroup_late(&request.spec) { Timing::WithInit } else { Timing::Before };
    let mut prepared = prepare(root, request.id, request.bundle, request.spec.clone(), cgroup)?;
    if request.readiness == Readiness::Told {
        notify::make_directory(&prepared.container.directory)?;
    }
    prepared.container.record.no_new_keyring = request.keyring == Keyring::Inherited;
    let made = make_init(&prepared.container, request, prepared.group.as_ref()).and_then(|created| {
        match prepared.record_init(created.pid) {
            Ok(()) => Ok(created),
            Err(error) => {
                created.abandon();
                Err(error)
            }
        }
    });
    let created = match made {
        Ok(created) => created,
        Err(error) => {
            let (container, _lock) = prepared.into_parts();
            // With the hooks that undo what others have done (runtime.md, lifecycle): some may have run. What cannot be
            // taken back is told by the next `delete`; the first error is the one to tell.
            let _ = delete::remove(&container);
            return Err(error);
        }
    };
    let (container, lock) = prepared.into_parts();
    Ok(Starter::new(container, created, lock, warnings))
}

/// A container's name, state and cgroup, without a process. Dropped, it is taken back.
pub(crate) struct Prepared {
    pub container: Container,
    /// `None` where there was no right to make one.
    pub group: Option<Making>,
    // Dropped in this order: the lock guards what is taken back.
    undo: Undo,
    lock: Lock,
    /// Keeps a scope of systemd's alive until the container's first process is in it.
    _placeholder: Option<Placeholder>,
}

impl Prepared {
    pub fn record_init(&mut self, pid: i32) -> Result<()> {
        let init = ProcessId::of(pid)?;
        self.container.record.init_process_pid = init.pid;
        self.container.record.init_process_start = init.start_time;
        if let Some(membership) = &self.undo.rdt {
            // More than the first where they were restored.
            let all = self.group.as_ref().map_or(Ok(Vec::new()), |making| making.group().processes())?;
            all.into_iter().chain([pid]).try_for_each(|pid| membership.add(pid))?;
        }
        self.container.save()
    }

    pub fn into_parts(self) -> (Container, Lock) {
        self.undo.keep();
        (self.container, self.lock)
    }
}

/// When the cgroup is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    Before,
    /// As far as that is possible, while the first process is busy with its mounts.
    WithInit,
}

/// What goes before the process.
pub(crate) fn prepare(root: &Root, id: &str, bundle: &Path, spec: Spec, cgroup: Timing) -> Result<Prepared> {
    let layout = Layout::detect()?;
    let linux = spec.linux.as_ref();
    let asked = linux.and_then(|linux| linux.resources.as_ref());
    let place = Place::of(root, &layout, linux.map_or("", |linux| &linux.cgroups_path), id)?;
    if !layout.is_v2() && asked.is_some_and(|resources| !resources.unified.is_empty()) {
        return Err(invalid("invalid configuration: cannot use unified resources on cgroup version 1"));
    }
    let limits = runtime::cgroup::resources_of_bundle(asked);
    let rootfs = rootfs(bundle, &spec)?;
    let directory = root.reserve(id)?;
    // Before `undo`, which it guards and must survive.
    let lock = container::lock(&directory)?;
    if directory.join(container::STATE).exists() {
        // Removed between the two lines, and made anew by somebody else.
        return Err(Error::Exists);
    }
    let mut undo = Undo { directory: Some(directory.clone()), cgroup: None, unit: None, rdt: None };
    let record = Record {
        id: id.to_owned(),
        init_process_pid: 0,
        init_process_start: 0,
        created: Timestamp::now(),
        bundle: bundle.to_owned(),
        rootfs,
        cgroup: place.cgroup.clone(),
        systemd_unit: place.unit.as_ref().map(|unit| unit.name().to_owned()).unwrap_or_default(),
        config: spec,
        owner: rustix::process::geteuid().as_raw(),
        no_new_keyring: false,
    };
    let mut container = Container { directory, record };
    container.save()?;
    // Before systemd puts anything into it: what is frozen does not even end.
    refuse_one_in_use(&layout, &place.cgroup)?;
    let placeholder = match &place.unit {
        None => None,
        Some(unit) => {
            let placeholder = unit.start(&limits, layout.is_v2(), &container.record.config.annotations)?;
            undo.unit = Some(unit.name().to_owned());
            Some(placeholder)
        }
    };
    // Who goes on without one must know beforehand.
    let timing = if root.cgroups == Cgroups::Required { cgroup } else { Timing::Before };
    let group = match make_cgroup(&layout, &place, &limits, timing) {
        Ok(group) => Some(group),
        Err(error) if may_do_without(root, &container.record.config, &error) => None,
        Err(error) => return Err(in_words(error)),
    };
    match &group {
        None => container.record.cgroup.clear(),
        Some(making) => {
            undo.cgroup = Some(making.group().clone());
            if let Some(owner) = runtime::cgroup::owner(&container.record.config) {
                making.group().delegate(owner)?;
            }
        }
    }
    if let Some(asked) = container.record.config.linux.as_ref().and_then(|linux| linux.intel_rdt.as_ref()) {
        undo.rdt = Some(rdt::make(asked, id)?);
    }
    Ok(Prepared { container, group, lock, undo, _placeholder: placeholder })
}

fn rootfs(bundle: &Path, spec: &Spec) -> Result<PathBuf> {
    let path = bundle.join(spec.root.as_ref().map_or("", |root| root.path.as_str()));
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(invalid(format!("invalid rootfs: {} is not a directory", path.display()))),
        Err(_) => Err(invalid(format!("invalid rootfs: stat {}: no such file or directory", path.display()))),
    }
}

/// Where a container's cgroup is, and whose unit it is.
struct Place {
    cgroup: String,
    unit: Option<Unit>,
}

impl Place {
    fn of(root: &Root, layout: &Layout, path: &str, id: &str) -> Result<Place> {
        match root.driver {
            Driver::Cgroupfs => Ok(Place { cgroup: runtime::cgroup::name(layout, path, id)?, unit: None }),
            Driver::Systemd if systemd::is_running() => {
                let unit = Unit::parse(path, id)?;
                Ok(Place { cgroup: unit.group()?, unit: Some(unit) })
            }
            Driver::Systemd => {
                Err(invalid("systemd cgroup flag passed, but systemd support for managing cgroups is not available"))
            }
        }
    }
}

fn make_cgroup(
    layout: &Layout,
    place: &Place,
    limits: &kernel::cgroup::Resources,
    timing: Timing,
) -> kernel::Result<Making> {
    let path = place.cgroup.as_str();
    match (&place.unit, timing) {
        (Some(_), _) => layout.adopt(path, limits).map(Making::from),
        (None, Timing::Before) => layout.create_or_adopt(path, limits).map(Making::from),
        (None, Timing::WithInit) => layout.begin_or_adopt(path, limits),
    }
}

fn in_words(error: kernel::Error) -> Error {
    let text = Error::Kernel(error).to_string();
    invalid(format!("unable to start container process: unable to apply cgroup configuration: {text}"))
}

/// As runc's `--rootless`: the kernel says no, and nobody has asked for this cgroup or for limits. Which devices may be used is
/// not asked for: every specification has rules.
fn may_do_without(root: &Root, spec: &Spec, error: &kernel::Error) -> bool {
    let denied = matches!(error.errno, Errno::PERM | Errno::ACCESS | Errno::ROFS);
    let linux = spec.linux.as_ref();
    let asked = linux.and_then(|linux| linux.resources.as_ref()).map(runtime::cgroup::resources).unwrap_or_default();
    let limits = kernel::cgroup::Resources { devices: Vec::new(), ..asked };
    let named = linux.is_some_and(|linux| !linux.cgroups_path.is_empty());
    root.cgroups == Cgroups::WherePermitted && denied && !named && limits == kernel::cgroup::Resources::default()
}

fn refuse_one_in_use(layout: &Layout, path: &str) -> Result<()> {
    let existing = layout.open(path)?;
    if existing.is_frozen().unwrap_or(false) {
        return Err(invalid("container's cgroup unexpectedly frozen"));
    }
    let processes = existing.processes()?.len();
    if processes > 0 {
        return Err(invalid(format!("container's cgroup is not empty: {processes} process(es) found")));
    }
    Ok(())
}

fn make_init(container: &Container, request: Request<'_>, group: Option<&Making>) -> Result<Created> {
    let mut spec = request.spec;
    if let Some(process) = &mut spec.process {
        process.env = environment::complete(&process.env, process.user.uid, &container.record.rootfs);
    }
    let gate = match request.begin {
        Begin::AtOnce => None,
        Begin::AtTheGate => Some(make_gate(&container.gate())?),
    };
    let state = container.state(Status::Creating);
    let bundle = Bundle {
        state: &state,
        gate: gate.as_ref().map(AsFd::as_fd),
        preserved: request.preserved,
        root: request.root_change,
        keyring: request.keyring,
    };
    let failed = Cell::new(None);
    let complete = || match group.map_or(Ok(()), Making::complete) {
        Ok(()) => Ok(()),
        Err(error) => {
            let error = in_words(error);
            let text = error.to_string();
            failed.set(Some(error));
            Err(runtime::Error::Invalid(text))
        }
    };
    let created = runtime::create(Create {
        spec: &spec,
        rootfs: Rootfs::Path(&container.record.rootfs),
        // Where hooks and people look for the container's mounts, in its own mount namespace.
        mount_point: &container.record.rootfs,
        stdio: request.stdio,
        cgroup: group.map(|making| Group::Begun { making, complete: &complete }),
        seccomp: None,
        reaper: false,
        bundle: Some(bundle),
    });
    // What could not be done for the cgroup is not a failure of the first process.
    created.map_err(|error| failed.take().unwrap_or_else(|| error.into()))
}

/// Open for both, so that opening does not wait and the last reader's end is never an end of file.
fn make_gate(path: &Path) -> Result<OwnedFd> {
    kernel::fifo::make(path, 0, 0)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| kernel::Error::at("open", path, errno).into())
}

/// Takes back what was made so far, in reverse.
struct Undo {
    directory: Option<PathBuf>,
    cgroup: Option<Cgroup>,
    unit: Option<String>,
    rdt: Option<Membership>,
}

impl Undo {
    fn keep(mut self) {
        self.directory = None;
        self.cgroup = None;
        self.unit = None;
        self.rdt = None;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.rdt.iter().for_each(Membership::take_back);
        // When one of these fails the name stays taken, and `delete --force` tries again.
        if let Some(unit) = self.unit.take() {
            let _ = systemd::stop(&unit);
        }
        if self.cgroup.take().is_some_and(|cgroup| cgroup.remove().is_err()) {
            return;
        }
        if let Some(directory) = self.directory.take() {
            let _ = delete::remove_directory(&directory);
        }
    }
}
