//! A container's changes as a new image: docker's `commit`. The configuration is the container's
//! (what its image said and what was asked at create), with the given instructions applied.

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::record::{Record, ResolvedHealth};
use crate::state::Status;
use image::commit::Commit;
use spec::image::{Config, Healthcheck};
use spec::{Digest, Reference, Timestamp};

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
    let _frozen = if options.pause { Frozen::take(&container)? } else { None };
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

/// A container that we have paused; dropping it lets it go on.
struct Frozen(kernel::cgroup::Cgroup);

impl Frozen {
    /// `None` when there is nothing to pause: it does not run, or somebody has paused it.
    fn take(container: &Container) -> Result<Option<Frozen>> {
        if container.status() != Status::Running {
            return Ok(None);
        }
        let cgroup = container.cgroup()?;
        cgroup.freeze()?;
        Ok(Some(Frozen(cgroup)))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // When this fails the container has ended, or `unpause` says why it cannot.
        let _ = self.0.thaw();
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
