//! A container's changes as a new image: docker's `commit`. The configuration is the container's
//! (what its image said and what was asked at create), with the given instructions applied.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::record::{Record, ResolvedHealth};
use crate::state::Status;
use image::commit::Commit;
use kernel::Context;
use kernel::cgroup::Cgroup;
use kernel::lock::Lock;
use spec::image::{Config, Healthcheck};
use spec::{Digest, Reference, Timestamp};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// The new image's name; without one it is found by its id.
    pub repo: Option<Reference>,
    pub author: String,
    pub message: String,
    /// Instructions such as `CMD ["sh"]` or `ENV A=b`.
    pub changes: Vec<String>,
    /// Freeze a running container meanwhile, so that the files fit together.
    pub pause: bool,
}

/// Returns the id of the image, which is in the store durably.
pub fn commit(engine: &Engine, container: &Container, options: CommitOptions) -> Result<Digest> {
    let base = engine.store().image(&container.record.image_id)?;
    let mut config = config(&container.record, &base.config.config);
    image::change::apply(&mut config, &options.changes)?;
    let upper = container.upper(engine);
    let (container, _lock) = container.held_still(engine)?;
    let _frozen = if options.pause { Frozen::take(engine, &container)? } else { None };
    let image = image::commit::commit(
        engine.store(),
        &Commit {
            base: &base,
            upper: &upper,
            config,
            author: &options.author,
            comment: &options.message,
            created_by: &container.record.process.command.join(" "),
            created: Timestamp::now(),
            name: options.repo.as_ref(),
        },
    )?;
    Ok(image.id)
}

/// In the folder of a container's run: its lock is held while a commit has the container paused, and it has content then.
const PAUSED: &str = "paused-by-commit";

/// A container that we have paused; dropping it lets it go on.
struct Frozen {
    cgroup: Cgroup,
    mark: PathBuf,
    _lock: Lock,
}

impl Frozen {
    /// `None` when there is nothing to pause: it does not run, or somebody has paused it. Waits for another commit, which
    /// would let the container go on too early for us.
    fn take(engine: &Engine, container: &Container) -> Result<Option<Frozen>> {
        if !container.is_running() {
            return Ok(None);
        }
        let mark = engine.paths().run(container.id()).join(PAUSED);
        let lock = Lock::exclusive(&mark)?;
        if container.status() != Status::Running {
            return Ok(None);
        }
        let cgroup = container.cgroup()?;
        // First said, then done: killed in between, nothing is paused that nobody knows of.
        std::fs::write(&mark, "by a commit").during_at("write", &mark)?;
        let frozen = Frozen { cgroup, mark, _lock: lock };
        frozen.cgroup.freeze()?;
        Ok(Some(frozen))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        go_on(&self.cgroup, &self.mark);
    }
}

fn go_on(cgroup: &Cgroup, mark: &Path) {
    // When this fails the container has ended, or `unpause` says why it cannot.
    if cgroup.thaw().is_ok() {
        let _ = std::fs::write(mark, "");
    }
}

/// Lets a container go on that a commit had paused which was killed. Best effort, tried by every command that looks at it.
pub(crate) fn thaw_abandoned(engine: &Engine, container: &Container) {
    let mark = engine.paths().run(container.id()).join(PAUSED);
    if !std::fs::metadata(&mark).is_ok_and(|metadata| metadata.len() > 0) {
        return;
    }
    if let (Ok(Some(_lock)), Ok(cgroup)) = (Lock::try_exclusive(&mark), container.cgroup()) {
        go_on(&cgroup, &mark);
    }
}

/// What docker keeps of a container; `ONBUILD` was for the image it came from.
fn config(record: &Record, base: &Config) -> Config {
    let process = &record.process;
    let anonymous = record.volumes.iter().filter(|volume| volume.anonymous).map(|volume| volume.target.clone());
    Config {
        user: process.user.clone(),
        exposed_ports: process.exposed_ports.iter().cloned().collect(),
        env: process.env.clone(),
        entrypoint: process.entrypoint.clone(),
        cmd: process.command.clone(),
        volumes: process.image_volumes.iter().cloned().chain(anonymous).collect(),
        working_dir: process.workdir.clone(),
        labels: process.labels.clone(),
        stop_signal: process.stop_signal.clone(),
        healthcheck: process.health.as_ref().map(healthcheck),
        on_build: Vec::new(),
        shell: base.shell.clone(),
    }
}

fn healthcheck(health: &ResolvedHealth) -> Healthcheck {
    Healthcheck {
        test: health.test.clone(),
        interval: health.interval_nanoseconds,
        timeout: health.timeout_nanoseconds,
        start_period: health.start_period_nanoseconds,
        start_interval: health.start_interval_nanoseconds,
        retries: i64::from(health.retries),
    }
}
